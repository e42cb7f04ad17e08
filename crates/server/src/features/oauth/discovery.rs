//! Where everything is: RFC 8414, OpenID Connect Discovery, RFC 9728 and RFC 7517.

use axum::Json as Body;
use axum::extract::State;
use http::{HeaderName, HeaderValue, header};
use serde_json::{Value, json};

use super::{INTROSPECT, REVOKE, TOKEN};
use crate::app::App;

/// How long clients may keep the key set. A next key is published at least that long before it
/// signs.
pub const JWKS_MAX_AGE: HeaderValue = HeaderValue::from_static("public, max-age=300");

type Document = ([(HeaderName, HeaderValue); 1], Body<Value>);

fn cached(document: Value) -> Document {
    ([(header::CACHE_CONTROL, JWKS_MAX_AGE)], Body(document))
}

/// Authorization server metadata (RFC 8414 section 3).
#[utoipa::path(get, path = "/.well-known/oauth-authorization-server", tag = "discovery",
    responses((status = 200, body = Object)))]
pub async fn authorization_server(State(app): State<App>) -> Document {
    cached(metadata(&app))
}

/// The same for clients that speak OpenID Connect Discovery.
#[utoipa::path(get, path = "/.well-known/openid-configuration", tag = "discovery",
    responses((status = 200, body = Object)))]
pub async fn openid_configuration(State(app): State<App>) -> Document {
    let mut document = metadata(&app);
    document["subject_types_supported"] = json!(["public"]);
    document["id_token_signing_alg_values_supported"] = json!([app.config.algorithm.as_str()]);
    cached(document)
}

/// Protected resource metadata (RFC 9728 section 3).
#[utoipa::path(get, path = "/.well-known/oauth-protected-resource", tag = "discovery",
    responses((status = 200, body = Object)))]
pub async fn protected_resource(State(app): State<App>) -> Document {
    let issuer = &*app.law.issuer;
    cached(json!({
        "resource": issuer,
        "authorization_servers": [issuer],
        "jwks_uri": format!("{issuer}/.well-known/jwks.json"),
        "bearer_methods_supported": ["header"],
        "resource_name": "Countersign",
        "resource_documentation": format!("{issuer}/openapi.json"),
    }))
}

/// The key set (RFC 7517 section 5): every key that a good token may be signed with, now or soon.
#[utoipa::path(get, path = "/.well-known/jwks.json", tag = "discovery",
    responses((status = 200, body = Object)))]
pub async fn jwks(State(app): State<App>) -> Document {
    let keys = app.keys.token_keys();
    let jwks: Vec<_> = keys.iter().map(|ring| ring.key.jwk()).collect();
    cached(json!({ "keys": jwks }))
}

fn metadata(app: &App) -> Value {
    let issuer = &*app.law.issuer;
    let mut methods = vec!["client_secret_basic", "client_secret_post"];
    let certificates = app.config.tls.as_ref().is_some_and(|tls| tls.client_authorities.is_some());
    if certificates {
        // RFC 8705 section 2.1.1.
        methods.push("tls_client_auth");
    }
    let mut document = json!({
        "issuer": issuer,
        "token_endpoint": format!("{issuer}{}", TOKEN[0]),
        "introspection_endpoint": format!("{issuer}{}", INTROSPECT[0]),
        "revocation_endpoint": format!("{issuer}{}", REVOKE[0]),
        "jwks_uri": format!("{issuer}/.well-known/jwks.json"),
        "grant_types_supported": ["client_credentials"],
        "response_types_supported": [],
        "token_endpoint_auth_methods_supported": methods,
        "introspection_endpoint_auth_methods_supported": methods,
        "revocation_endpoint_auth_methods_supported": methods,
        "service_documentation": format!("{issuer}/openapi.json"),
    });
    if certificates {
        // RFC 8705 section 3.3.
        document["tls_client_certificate_bound_access_tokens"] = true.into();
    }
    document
}
