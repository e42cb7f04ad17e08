//! `POST /api/v1/token/revoke` (RFC 7009).

use std::sync::Arc;

use axum::extract::State;
use countersign_ground::clock::Time;
use countersign_ground::problem::Problem;
use countersign_ground::record::Event;
use http::{HeaderName, HeaderValue, StatusCode, header};

use super::client::authenticate;
use super::error::OAuthError;
use super::form::OAuthRequest;
use super::introspect::TokenName;
use super::store::{self, REMEMBERED};
use super::token::require_active;
use crate::app::App;
use crate::doors::openapi::OAuthErrorBody;
use crate::law::action::RevokeToken;
use crate::law::change::Changed;
use crate::law::permit::Permit;

type Empty = (StatusCode, [(HeaderName, HeaderValue); 1]);

const DONE: Empty =
    (StatusCode::OK, [(header::CACHE_CONTROL, HeaderValue::from_static("no-store"))]);

/// End a token. Needs `tokens:write`, or the authentication of the token's own client.
///
/// Answers 200 also for a token that is unknown or somebody else's (section 2.2): the client has
/// nothing to do about either.
#[utoipa::path(post, path = "/api/v1/token/revoke", tag = "tokens",
    request_body(content = TokenName, content_type = "application/x-www-form-urlencoded"),
    responses((status = 200), (status = 400, body = OAuthErrorBody),
        (status = 401, body = OAuthErrorBody), (status = 403, body = OAuthErrorBody),
        (status = 503, body = OAuthErrorBody)))]
pub async fn revoke(State(app): State<App>, request: OAuthRequest) -> Result<Empty, OAuthError> {
    let params = request.params(&[])?;
    let now = app.clock.now();
    let mut event = app.event("token.revoked", now);
    let own = match authenticate(&app, &request, &params).await? {
        Some(client) => {
            require_active(&app, &request, &client).await?;
            event.tenant = Arc::clone(&client.agent.tenant);
            event.actor = client.agent.actor();
            event.origin = request.origin.clone();
            Some(client.agent.id)
        }
        None => {
            let caller = request.caller(&app).await?;
            let permit: Permit<RevokeToken> = app.law.permit(&caller, "*").await?;
            event = permit.sign(event);
            None
        }
    };
    let Some(token) = app.law.signed_anywhere(params.required("token")?).await? else {
        return Ok(DONE);
    };
    let claims = &token.claims;
    let foreign = claims.tenant != event.tenant || own.is_some_and(|agent| agent != claims.sub);
    let expires_at = Time::from_seconds(claims.exp);
    // One that has expired is revoked, too: a clock may step back.
    if foreign || expires_at + REMEMBERED <= now {
        return Ok(DONE);
    }
    event.agent = Some(claims.sub);
    event.meta("jti", claims.jti.to_string());
    end(&app, claims.jti, expires_at, event).await?;
    Ok(DONE)
}

async fn end(
    app: &App,
    token: crate::law::token::TokenId,
    expires_at: Time,
    event: Event,
) -> Result<(), Problem> {
    let input = (event, Arc::clone(&app.law.directory));
    app.db
        .write(input, move |tx, (event, directory)| {
            Box::pin(async move {
                // A token that is revoked already is revoked once, and recorded once; this memory
                // may not have heard of it.
                if store::revoke(tx, token, expires_at).await? {
                    tx.record(event.leaf());
                }
                let directory = Arc::clone(directory);
                Changed::Revocation(token).announce(tx);
                tx.after_commit(move || directory.put_revoked(token, expires_at));
                Ok(())
            })
        })
        .await
}
