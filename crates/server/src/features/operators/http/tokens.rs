//! `/api/v1/operators/{id}/tokens`.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use axum::Json as Body;
use axum::extract::State;
use countersign_ground::clock::Time;
use countersign_ground::db::Tx;
use countersign_ground::ids::{OperatorId, OperatorTokenId};
use countersign_ground::problem::Problem;
use countersign_ground::record::Event;
use countersign_ground::secret::Secret;
use http::{HeaderName, HeaderValue, StatusCode, header};
use serde::Serialize;
use utoipa::ToSchema;

use super::super::store::tokens as store;
use super::super::tokens::{NewToken, Token};
use super::{administration, known, no_more_than_own};
use crate::app::App;
use crate::doors::extract::{Id, Ids, Json, Page};
use crate::doors::fields;
use crate::doors::openapi::ProblemBody;
use crate::law::action::{ChangeOperator, CreateOperator, ReadOperators};
use crate::law::caller::Caller;
use crate::law::change::Changed;
use crate::law::directory::Directory;
use crate::law::permit::Permit;

type Answer<T> = Result<T, Problem>;

/// A token of an operator, without the token.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ShownToken {
    #[schema(value_type = String)]
    token_id: OperatorTokenId,
    #[schema(value_type = String)]
    operator_id: OperatorId,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    /// `active`, `expired` or `revoked`.
    #[schema(value_type = String)]
    status: &'static str,
    #[schema(value_type = String, format = "date-time")]
    created_at: Time,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = "date-time")]
    expires_at: Option<Time>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = "date-time")]
    revoked_at: Option<Time>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = "date-time")]
    last_used_at: Option<Time>,
    /// Shown this once, when it is made.
    #[serde(skip_serializing_if = "Option::is_none")]
    token: Option<String>,
}

impl ShownToken {
    fn new(token: Token, now: Time, secret: Option<&Secret>) -> Self {
        let status = match (token.revoked_at, token.expires_at) {
            (Some(_), _) => "revoked",
            (None, Some(end)) if end <= now => "expired",
            _ => "active",
        };
        Self {
            token_id: token.id,
            operator_id: token.operator,
            name: token.name,
            status,
            created_at: token.created_at,
            expires_at: token.expires_at,
            revoked_at: token.revoked_at,
            last_used_at: token.last_used_at,
            token: secret.map(|secret| secret.reveal().to_owned()),
        }
    }
}

/// What makes a token of an operator.
#[derive(Debug, ToSchema)]
#[schema(rename_all = "camelCase")]
#[expect(dead_code, reason = "describes a body to readers of the API")]
pub struct NewTokenBody {
    /// What it is for; 1 to 128 characters.
    name: Option<String>,
    /// RFC 3339; it never expires when absent.
    #[schema(value_type = Option<String>, format = "date-time")]
    expires_at: Option<String>,
}

/// Make a token for an operator, shown this once. Nobody makes one for somebody who holds more.
#[utoipa::path(post, path = "/api/v1/operators/{id}/tokens", tag = "operators",
    request_body(content = NewTokenBody, description = "may be empty"),
    params(("id" = String, Path, description = "operatorId")),
    responses((status = 201, body = ShownToken), (status = 400, body = ProblemBody),
        (status = 401, body = ProblemBody), (status = 403, body = ProblemBody),
        (status = 404, body = ProblemBody)))]
pub async fn create(
    State(app): State<App>,
    caller: Caller,
    Id(operator): Id<OperatorId>,
    Json(mut fields): Json,
) -> Answer<(StatusCode, [(HeaderName, HeaderValue); 1], Body<ShownToken>)> {
    let name = operator.to_string();
    let permit = app.law.permit::<CreateOperator>(&caller, &name).await?;
    let now = app.clock.now();
    let label = fields.optional("name", fields::text_up_to(128));
    let expires_at = fields.optional("expiresAt", fields::time);
    if expires_at.is_some_and(|end| end <= now) {
        fields.fault("expiresAt", "must be in the future");
    }
    fields.finish()?;
    let target = known(&app, &caller, &operator)?;
    no_more_than_own::<CreateOperator>(&app, &caller, &name, &target.roles, target.level).await?;
    // The first operator holds what no role does, and so does nobody else.
    if operator.is_bootstrap() && *caller.who.actor().id != *name {
        let detail = "only the first operator makes tokens of the first operator".to_owned();
        app.law.forbid::<CreateOperator>(&caller, &name, detail, &[]).await?;
    }

    let secret = Secret::generate("op_live_", &app.entropy);
    let key = app.keys.digest();
    let new = NewToken {
        id: OperatorTokenId::new(now, &app.entropy),
        name: label,
        digest: key.digest(secret.reveal()),
        digest_key: key.version,
        expires_at,
    };
    let event = app.event("operator.token_created", now);
    let input = (permit, operator, new, event, Arc::clone(&app.law.directory));
    let token = app
        .db
        .write(input, move |tx, (permit, operator, new, event, directory)| {
            Box::pin(async move {
                let token = store::create(tx, permit, operator, new, now).await?;
                changed(tx, permit, event.clone(), &token, directory);
                Ok::<_, Problem>(token)
            })
        })
        .await?;
    let no_store = [(header::CACHE_CONTROL, HeaderValue::from_static("no-store"))];
    Ok((StatusCode::CREATED, no_store, Body(ShownToken::new(token, now, Some(&secret)))))
}

/// A page of tokens.
#[derive(Debug, Serialize, ToSchema)]
pub struct TokenPage {
    data: Vec<ShownToken>,
    page: i64,
    limit: i64,
    total: i64,
}

/// List an operator's tokens, newest first, never a secret.
#[utoipa::path(get, path = "/api/v1/operators/{id}/tokens", tag = "operators",
    params(("id" = String, Path, description = "operatorId"), Page),
    responses((status = 200, body = TokenPage), (status = 401, body = ProblemBody),
        (status = 403, body = ProblemBody), (status = 404, body = ProblemBody)))]
pub async fn list(
    State(app): State<App>,
    caller: Caller,
    Id(operator): Id<OperatorId>,
    page: Page,
) -> Answer<Body<TokenPage>> {
    let permit = app.law.permit::<ReadOperators>(&caller, &operator.to_string()).await?;
    known(&app, &caller, &operator)?;
    let (found, total) =
        store::list(&app.db, &permit, &operator, page.limit, page.offset()).await?;
    let now = app.clock.now();
    let data = found.into_iter().map(|token| ShownToken::new(token, now, None)).collect();
    Ok(Body(TokenPage { data, page: page.page, limit: page.limit, total }))
}

/// End a token of an operator, at once.
#[utoipa::path(delete, path = "/api/v1/operators/{id}/tokens/{tokenId}", tag = "operators",
    params(("id" = String, Path, description = "operatorId"), ("tokenId" = String, Path)),
    responses((status = 204), (status = 401, body = ProblemBody),
        (status = 403, body = ProblemBody), (status = 404, body = ProblemBody),
        (status = 409, body = ProblemBody)))]
pub async fn revoke(
    State(app): State<App>,
    caller: Caller,
    Ids(operator, id): Ids<OperatorId, OperatorTokenId>,
) -> Answer<StatusCode> {
    let name = operator.to_string();
    let permit = app.law.permit::<ChangeOperator>(&caller, &name).await?;
    let target = known(&app, &caller, &operator)?;
    no_more_than_own::<ChangeOperator>(&app, &caller, &name, &target.roles, target.level).await?;
    let now = app.clock.now();
    let event = app.event("operator.token_revoked", now);
    let parts = AssertUnwindSafe(app.clone());
    let input = (permit, operator, id, event, parts, Arc::clone(&app.law.directory));
    app.db
        .write(input, move |tx, (permit, operator, id, event, parts, directory)| {
            Box::pin(async move {
                let administration = administration(tx, parts, now).await?;
                let which = (operator, id);
                let token = store::revoke(tx, permit, &administration, which, now).await?;
                changed(tx, permit, event.clone(), &token, directory);
                Ok::<_, Problem>(())
            })
        })
        .await?;
    Ok(StatusCode::NO_CONTENT)
}

fn changed<A>(
    tx: &mut Tx,
    permit: &Permit<A>,
    mut event: Event,
    token: &Token,
    directory: &Arc<Directory>,
) {
    event.resource = Some(format!("operators/{}", token.operator));
    event.meta("tokenId", token.id.to_string());
    tx.record(permit.sign(event).leaf());
    Changed::Operator(token.operator.clone()).announce(tx);
    let (directory, digest, facts) = (Arc::clone(directory), token.digest, token.facts());
    tx.after_commit(move || directory.put_operator_token(&digest, facts));
}
