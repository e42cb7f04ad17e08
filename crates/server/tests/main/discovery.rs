//! Discovery (contract 2.3): RFC 8414, OpenID Connect Discovery, RFC 9728 and RFC 7517, and that
//! somebody who knows nothing but these documents can verify a token.

use std::time::Duration;

use insta::assert_json_snapshot;
use jsonwebtoken::jwk::{JwkSet, ThumbprintHash};
use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode, decode_header};
use serde_json::Value;

use crate::support::TestApp;

/// A document with this server's own address in it taken out.
async fn document(app: &TestApp, name: &str) -> Value {
    let answer = app.nobody().get(&format!("/.well-known/{name}")).await;
    answer.expect(200);
    assert_eq!(answer.header("content-type"), "application/json");
    assert!(answer.header("cache-control").contains("max-age=300"));
    serde_json::from_str(&answer.text.replace(&*app.server.app.law.issuer, "ISSUER")).unwrap()
}

/// The key set once it has this many keys: the next one is made beside the work.
async fn key_set(app: &TestApp, keys: usize) -> JwkSet {
    let complete = async {
        loop {
            let set = app.nobody().get("/.well-known/jwks.json").await;
            let set: JwkSet = serde_json::from_value(set.expect(200)).unwrap();
            if set.keys.len() >= keys {
                return set;
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(60), complete).await.expect("the next key appears")
}

#[tokio::test]
async fn the_authorization_server_is_described_by_rfc_8414() {
    let app = TestApp::start().await;
    assert_json_snapshot!(document(&app, "oauth-authorization-server").await, @r#"
    {
      "grant_types_supported": [
        "client_credentials"
      ],
      "introspection_endpoint": "ISSUER/api/v1/token/introspect",
      "introspection_endpoint_auth_methods_supported": [
        "client_secret_basic",
        "client_secret_post"
      ],
      "issuer": "ISSUER",
      "jwks_uri": "ISSUER/.well-known/jwks.json",
      "response_types_supported": [],
      "revocation_endpoint": "ISSUER/api/v1/token/revoke",
      "revocation_endpoint_auth_methods_supported": [
        "client_secret_basic",
        "client_secret_post"
      ],
      "service_documentation": "ISSUER/openapi.json",
      "token_endpoint": "ISSUER/api/v1/token",
      "token_endpoint_auth_methods_supported": [
        "client_secret_basic",
        "client_secret_post"
      ]
    }
    "#);
}

#[tokio::test]
async fn the_same_is_there_for_clients_of_openid_connect() {
    let app = TestApp::start().await;
    let mut more = document(&app, "openid-configuration").await;
    let Value::Object(same) = document(&app, "oauth-authorization-server").await else { panic!() };
    for (name, value) in same {
        assert_eq!(more.as_object_mut().unwrap().remove(&name), Some(value), "{name}");
    }
    assert_json_snapshot!(more, @r#"
    {
      "id_token_signing_alg_values_supported": [
        "ES256"
      ],
      "subject_types_supported": [
        "public"
      ]
    }
    "#);
}

#[tokio::test]
async fn the_protected_resource_is_described_by_rfc_9728() {
    let app = TestApp::start().await;
    assert_json_snapshot!(document(&app, "oauth-protected-resource").await, @r#"
    {
      "authorization_servers": [
        "ISSUER"
      ],
      "bearer_methods_supported": [
        "header"
      ],
      "jwks_uri": "ISSUER/.well-known/jwks.json",
      "resource": "ISSUER",
      "resource_documentation": "ISSUER/openapi.json",
      "resource_name": "Countersign"
    }
    "#);
}

#[tokio::test]
async fn every_address_in_the_documents_is_under_the_issuer_and_answers() {
    let app = TestApp::start().await;
    let document = document(&app, "oauth-authorization-server").await;
    for (name, value) in document.as_object().unwrap() {
        let Some(path) = value.as_str().and_then(|value| value.strip_prefix("ISSUER/")) else {
            continue;
        };
        let status = app.nobody().get(&format!("/{path}")).await.status.as_u16();
        let expected = if name.ends_with("_endpoint") { 405 } else { 200 };
        assert_eq!(status, expected, "{name}");
    }
}

#[tokio::test]
async fn a_configured_issuer_is_the_base_of_every_document() {
    let app = TestApp::with(&[("ISSUER_URL", "https://id.example/base/")]).await;
    let document = document(&app, "oauth-authorization-server").await;
    assert_eq!(&*app.server.app.law.issuer, "https://id.example/base");
    assert_eq!(document["token_endpoint"], "ISSUER/api/v1/token");
}

#[tokio::test]
async fn the_key_set_has_the_active_and_the_next_key() {
    let app = TestApp::start().await;
    let set = key_set(&app, 2).await;
    let listed = app.operator().get("/api/v1/keys").await.expect(200);
    let states: Vec<_> = listed["data"].as_array().unwrap().iter().map(|k| &k["state"]).collect();
    assert_eq!(states, ["next", "active"]);
    for (jwk, listed) in set.keys.iter().zip(listed["data"].as_array().unwrap()) {
        assert_eq!(jwk.common.key_id.as_deref(), listed["kid"].as_str());
    }
    let answer = app.nobody().get("/.well-known/jwks.json").await.expect(200);
    for key in answer["keys"].as_array().unwrap() {
        let members: Vec<_> = key.as_object().unwrap().keys().map(String::as_str).collect();
        assert_eq!(members, ["alg", "crv", "kid", "kty", "use", "x", "y"], "nothing private");
        assert_eq!((&key["use"], &key["alg"]), (&"sig".into(), &"ES256".into()));
    }
}

/// RFC 7638, computed by somebody else.
async fn keys_are_named_by_thumbprint_and_verify(name: &str, algorithm: Algorithm) {
    let _ = jsonwebtoken::crypto::aws_lc::DEFAULT_PROVIDER.install_default();
    let app = TestApp::with(&[("JWT_ALG", name)]).await;
    let agent = app.agent("screener", &["agents:read"]).await;
    let token = app.token(&agent).await;
    let set = key_set(&app, 2).await;
    for jwk in &set.keys {
        let thumbprint = jwk.thumbprint(ThumbprintHash::SHA256).unwrap();
        assert_eq!(jwk.common.key_id.as_ref(), Some(&thumbprint));
    }
    let header = decode_header(&token).unwrap();
    assert_eq!((header.alg, header.typ.as_deref()), (algorithm, Some("at+jwt")));
    let kid = header.kid.unwrap();
    let mut validation = Validation::new(algorithm);
    validation.set_issuer(&[&*app.server.app.law.issuer]);
    validation.set_audience(&[&*app.server.app.law.issuer]);
    validation.set_required_spec_claims(&["iss", "sub", "aud", "exp"]);
    // The test's clock is not this library's.
    validation.validate_exp = false;
    let key = DecodingKey::from_jwk(set.find(&kid).unwrap()).unwrap();
    let told = decode::<Value>(&token, &key, &validation).unwrap();
    assert_eq!(told.claims["sub"], agent.id.as_str());

    let other = set.keys.iter().find(|jwk| jwk.common.key_id.as_ref() != Some(&kid)).unwrap();
    let other = DecodingKey::from_jwk(other).unwrap();
    assert!(decode::<Value>(&token, &other, &validation).is_err(), "the next key signs nothing");
}

#[tokio::test]
async fn a_token_of_rs256_is_verified_by_another_library() {
    keys_are_named_by_thumbprint_and_verify("RS256", Algorithm::RS256).await;
}

#[tokio::test]
async fn a_token_of_es256_is_verified_by_another_library() {
    keys_are_named_by_thumbprint_and_verify("ES256", Algorithm::ES256).await;
}

#[tokio::test]
async fn a_token_of_eddsa_is_verified_by_another_library() {
    keys_are_named_by_thumbprint_and_verify("EdDSA", Algorithm::EdDSA).await;
}
