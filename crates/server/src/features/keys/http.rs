//! `/api/v1/keys`: the keys that sign tokens. They are the installation's, not a tenant's.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use axum::Json as Body;
use axum::extract::State;
use countersign_ground::clock::Time;
use countersign_ground::keyring::{self, KeyRow, PUBLISHED_FOR, State as KeyState};
use countersign_ground::problem::Problem;
use serde::Serialize;
use utoipa::ToSchema;

use super::RingChange;
use crate::app::App;
use crate::doors::extract::{Json, Name, Page};
use crate::doors::fields;
use crate::doors::openapi::ProblemBody;
use crate::jobs;
use crate::law::action::{ReadKeys, WriteKeys};
use crate::law::caller::Caller;
use crate::law::change::Changed;

type Answer<T> = Result<T, Problem>;

/// A signing key, without the key.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Shown {
    kid: String,
    alg: String,
    /// `next`, `active`, `retiring` or `retired`.
    #[schema(value_type = String, example = "active")]
    state: KeyState,
    /// `generated` or `imported`.
    origin: String,
    #[schema(value_type = String, format = "date-time")]
    created_at: Time,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = "date-time")]
    activated_at: Option<Time>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = "date-time")]
    retires_at: Option<Time>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = "date-time")]
    revoked_at: Option<Time>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = "date-time")]
    last_used_at: Option<Time>,
}

impl From<KeyRow> for Shown {
    fn from(row: KeyRow) -> Self {
        Self {
            kid: row.kid,
            alg: row.alg,
            state: row.state,
            origin: row.origin,
            created_at: row.created_at,
            activated_at: row.activated_at,
            retires_at: row.retires_at,
            revoked_at: row.revoked_at,
            last_used_at: row.last_used_at,
        }
    }
}

/// A page of signing keys.
#[derive(Debug, Serialize, ToSchema)]
pub struct KeyPage {
    data: Vec<Shown>,
    page: i64,
    limit: i64,
    total: i64,
}

/// List the keys that sign and verify tokens, newest first; retired ones stay on the list.
#[utoipa::path(get, path = "/api/v1/keys", tag = "keys", params(Page),
    responses((status = 200, body = KeyPage), (status = 401, body = ProblemBody),
        (status = 403, body = ProblemBody)))]
pub async fn list(State(app): State<App>, caller: Caller, page: Page) -> Answer<Body<KeyPage>> {
    app.law.permit::<ReadKeys>(&caller, "*").await?;
    let (rows, total) = keyring::rows(&app.db, page.limit, page.offset()).await?;
    let data = rows.into_iter().map(Shown::from).collect();
    Ok(Body(KeyPage { data, page: page.page, limit: page.limit, total }))
}

/// What moves the ring.
#[derive(Debug, ToSchema)]
#[expect(dead_code, reason = "describes a body to readers of the API")]
pub struct Rotation {
    /// Also while others may not have seen the next key yet.
    force: Option<bool>,
    /// `token`, the keys that sign tokens, or `seal`, those that seal the record; token when absent.
    #[schema(example = "token")]
    purpose: Option<String>,
}

/// What became of the ring.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Moved {
    /// Signs from now on.
    active_kid: String,
    /// Verifies what it has signed.
    #[serde(skip_serializing_if = "Option::is_none")]
    retiring_kid: Option<String>,
    /// Until then.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = "date-time")]
    retires_at: Option<Time>,
}

/// What keys are for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Purpose {
    Token,
    Seal,
}

impl std::str::FromStr for Purpose {
    type Err = &'static str;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "token" => Ok(Self::Token),
            "seal" => Ok(Self::Seal),
            _ => Err("must be `token` or `seal`"),
        }
    }
}

/// Make the next key sign. No live token breaks: the former one verifies until the last has expired.
///
/// A key of seals is followed at once; its public half stays published for good.
#[utoipa::path(post, path = "/api/v1/keys/rotate", tag = "keys",
    request_body(content = Rotation, description = "may be empty"),
    responses((status = 200, body = Moved), (status = 401, body = ProblemBody),
        (status = 403, body = ProblemBody),
        (status = 409, body = ProblemBody, description = "the next key is too young",
            headers(("retry-after" = i64)))))]
pub async fn rotate(
    State(app): State<App>,
    caller: Caller,
    Json(mut fields): Json,
) -> Answer<Body<Moved>> {
    let permit = app.law.permit::<WriteKeys>(&caller, "*").await?;
    let force = fields.optional("force", fields::flag).unwrap_or(false);
    let purpose = fields.optional("purpose", fields::parsed).unwrap_or(Purpose::Token);
    fields.finish()?;
    if purpose == Purpose::Seal {
        let (change, entropy) = (app.ring_change("key.rotated"), app.entropy.clone());
        let (active_kid, retiring_kid) = super::rotate_seal_key(&change, permit, entropy).await?;
        return Ok(Body(Moved { active_kid, retiring_kid, retires_at: None }));
    }
    jobs::ensure_next_key(&app).await?;
    let rotated = super::rotate(&app.ring_change("key.rotated"), permit, force).await?;
    jobs::make_next_key(&app);
    Ok(Body(Moved {
        active_kid: rotated.active,
        retiring_kid: rotated.former,
        retires_at: rotated.retires_at,
    }))
}

/// Why a key is revoked.
#[derive(Debug, ToSchema)]
#[expect(dead_code, reason = "describes a body to readers of the API")]
pub struct Revocation {
    /// For the record; 1 to 512 characters.
    reason: Option<String>,
}

/// What a revocation did.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Revoked {
    kid: String,
    #[schema(value_type = String, format = "date-time")]
    revoked_at: Time,
    /// Signs now.
    active_kid: String,
    /// Whoever verifies on their own may take its tokens until then: so long they may keep the keys
    /// that were published.
    #[schema(value_type = String, format = "date-time")]
    offline_until: Time,
}

/// Revoke a leaked key: it leaves the published keys, and every token that it signed dies at once.
#[utoipa::path(post, path = "/api/v1/keys/{kid}/revoke", tag = "keys",
    request_body(content = Revocation, description = "may be empty"),
    params(("kid" = String, Path)),
    responses((status = 200, body = Revoked), (status = 401, body = ProblemBody),
        (status = 403, body = ProblemBody), (status = 404, body = ProblemBody),
        (status = 409, body = ProblemBody)))]
pub async fn revoke(
    State(app): State<App>,
    caller: Caller,
    Name(kid): Name,
    Json(mut fields): Json,
) -> Answer<Body<Revoked>> {
    let permit = app.law.permit::<WriteKeys>(&caller, &kid).await?;
    let reason = fields.optional("reason", fields::text_up_to(512));
    fields.finish()?;
    jobs::ensure_next_key(&app).await?;
    let RingChange { ring, db, mut event, ttl, at } = app.ring_change("key.revoked");
    event.resource = Some(format!("keys/{kid}"));
    if let Some(reason) = reason {
        event.meta("reason", reason);
    }
    let input = (permit, kid.clone(), event, AssertUnwindSafe(ring));
    let rotated = db
        .write(input, move |tx, (permit, kid, event, ring)| {
            Box::pin(async move {
                let rotated = keyring::revoke(tx, kid, ttl, at).await?;
                let mut event = event.clone();
                event.meta("active", rotated.active.clone());
                event.meta("kid", kid.clone());
                tx.record(permit.sign(event).leaf());
                let (ring, moves) = (Arc::clone(ring), rotated.moves.clone());
                Changed::Keys.announce(tx);
                tx.after_commit(move || ring.advance(&moves));
                Ok::<_, Problem>(rotated)
            })
        })
        .await?;
    jobs::make_next_key(&app);
    let offline_until = at + PUBLISHED_FOR;
    Ok(Body(Revoked { kid, revoked_at: at, active_kid: rotated.active, offline_until }))
}

/// What was sealed anew.
#[derive(Debug, Serialize, ToSchema)]
pub struct Resealed {
    /// Rows that moved from `MASTER_KEY_PREVIOUS` to `MASTER_KEY`.
    resealed: i64,
    /// Rows there are.
    total: i64,
}

/// Seal everything under `MASTER_KEY` that `MASTER_KEY_PREVIOUS` sealed.
#[utoipa::path(post, path = "/api/v1/keys/reseal", tag = "keys",
    request_body(content = Object, description = "may be empty"),
    responses((status = 200, body = Resealed), (status = 401, body = ProblemBody),
        (status = 403, body = ProblemBody)))]
pub async fn reseal(
    State(app): State<App>,
    caller: Caller,
    Json(fields): Json,
) -> Answer<Body<Resealed>> {
    let permit = app.law.permit::<WriteKeys>(&caller, "*").await?;
    fields.finish()?;
    let RingChange { ring, db, event, .. } = app.ring_change("key.resealed");
    let input = (permit, event, AssertUnwindSafe(ring), app.entropy.clone());
    let (resealed, total) = db
        .write(input, |tx, (permit, event, ring, entropy)| {
            Box::pin(async move {
                let (resealed, total) = keyring::reseal(tx, ring.masters(), entropy)
                    .await
                    .map_err(Problem::internal)?;
                let mut event = event.clone();
                event.meta("master", ring.masters().current.id().to_owned());
                event.meta("resealed", resealed);
                tx.record(permit.sign(event).leaf());
                Ok::<_, Problem>((resealed, total))
            })
        })
        .await?;
    Ok(Body(Resealed { resealed, total }))
}
