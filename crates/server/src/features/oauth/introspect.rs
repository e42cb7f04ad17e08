//! `POST /api/v1/token/introspect` (RFC 7662).

use std::sync::Arc;

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use countersign_ground::db;
use countersign_ground::ids::AgentId;
use countersign_ground::problem::Problem;
use countersign_ground::record::Event;
use http::{HeaderName, HeaderValue, header};
use serde::Serialize;
use utoipa::ToSchema;

use super::client::authenticate;
use super::error::OAuthError;
use super::form::OAuthRequest;
use super::token::require_active;
use crate::app::App;
use crate::doors::openapi::OAuthErrorBody;
use crate::law::action::IntrospectToken;
use crate::law::permit::Permit;
use crate::law::token::{Confirmation, TokenId, Verified};

/// What a token says, if it is good (section 2.2).
#[derive(Debug, Serialize, ToSchema)]
pub struct Introspection<'t> {
    active: bool,
    #[serde(skip_serializing_if = "Option::is_none", flatten)]
    says: Option<Says<'t>>,
}

#[derive(Debug, Serialize, ToSchema)]
struct Says<'t> {
    scope: &'t str,
    #[schema(value_type = String)]
    client_id: AgentId,
    token_type: &'static str,
    exp: i64,
    iat: i64,
    nbf: i64,
    #[schema(value_type = String)]
    sub: AgentId,
    #[schema(value_type = Vec<String>)]
    aud: &'t [Arc<str>],
    iss: &'t str,
    #[schema(value_type = String)]
    jti: TokenId,
    tenant: &'t str,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    cnf: Option<&'t Confirmation>,
}

/// What names a token.
#[derive(Debug, ToSchema)]
#[expect(dead_code, reason = "describes a body to readers of the API")]
pub struct TokenName {
    /// The token.
    token: String,
    /// Ignored: there is one kind.
    token_type_hint: Option<String>,
}

const HEADERS: [(HeaderName, HeaderValue); 2] = [
    (header::CONTENT_TYPE, HeaderValue::from_static("application/json")),
    (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
];

/// Learn what a token of the own tenant says, and whether it is good at this moment.
///
/// Needs `tokens:read`, or client authentication.
#[utoipa::path(post, path = "/api/v1/token/introspect", tag = "tokens",
    request_body(content = TokenName, content_type = "application/x-www-form-urlencoded"),
    responses((status = 200, body = Introspection<'static>), (status = 400, body = OAuthErrorBody),
        (status = 401, body = OAuthErrorBody), (status = 403, body = OAuthErrorBody),
        (status = 503, body = OAuthErrorBody)))]
pub async fn introspect(
    State(app): State<App>,
    request: OAuthRequest,
) -> Result<Response, OAuthError> {
    let Looked { event, body, active } = look(&app, request).await?;
    app.record.append(event).await?;
    if let Some(token) = active.filter(|_| !app.law.following.is_fresh()) {
        app.law.following.still_fresh().await?;
        if !app.law.tokens.is_live(&token, app.clock.now()) {
            let meanwhile = db::Error::OutcomeUnknown("the token was stopped meanwhile".into());
            return Err(Problem::from(meanwhile).into());
        }
    }
    Ok((HEADERS, body).into_response())
}

/// What is to be recorded, the answer, and the token that it calls good.
struct Looked {
    event: Event,
    body: Bytes,
    active: Option<Arc<Verified>>,
}

/// What is to be recorded, and the answer. The request has gone when the record is waited for.
async fn look(app: &App, request: OAuthRequest) -> Result<Looked, OAuthError> {
    let params = request.params(&[])?;
    let now = app.clock.now();
    let event = app.event("token.introspected", now);
    let mut event = match authenticate(app, &request, &params).await? {
        Some(client) => {
            require_active(app, &request, &client).await?;
            let mut event = event;
            event.tenant = Arc::clone(&client.agent.tenant);
            event.actor = client.agent.actor();
            event.origin = request.origin.clone();
            event
        }
        None => by_permission(app, &request, event).await?,
    };
    // What is said here is acted upon elsewhere.
    app.law.following.fresh().await?;
    let token = app.law.live_anywhere(params.required("token")?, now).await?;
    let Some(token) = token.filter(|token| token.claims.tenant == event.tenant) else {
        event.meta("active", "false");
        let body = Bytes::from_static(br#"{"active":false}"#);
        return Ok(Looked { event, body, active: None });
    };
    event.agent = Some(token.claims.sub);
    event.meta("active", "true");
    event.meta("jti", token.claims.jti.to_string());
    // What a token says is the same each time; that it is good was asked just now.
    let body = token.said.get_or_init(|| says(&token)).clone();
    Ok(Looked { event, body, active: Some(token) })
}

async fn by_permission(
    app: &App,
    request: &OAuthRequest,
    event: Event,
) -> Result<Event, OAuthError> {
    let caller = request.caller(app).await?;
    let permit: Permit<IntrospectToken> = app.law.permit(&caller, "*").await?;
    Ok(permit.sign(event))
}

fn says(token: &Verified) -> Bytes {
    let claims = &token.claims;
    let says = Says {
        scope: &claims.scope,
        client_id: claims.client_id,
        token_type: "Bearer",
        exp: claims.exp,
        iat: claims.iat,
        nbf: claims.nbf,
        sub: claims.sub,
        aud: &claims.aud,
        iss: &claims.iss,
        jti: claims.jti,
        tenant: &claims.tenant,
        cnf: claims.cnf.as_ref(),
    };
    // Strings and numbers are always written.
    serde_json::to_vec(&Introspection { active: true, says: Some(says) }).unwrap_or_default().into()
}
