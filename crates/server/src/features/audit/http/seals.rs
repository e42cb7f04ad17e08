//! Seals, the keys that made them, and the proof that an event is under one.

use std::time::Duration;

use axum::Json as Body;
use axum::extract::State;
use countersign_ground::ids::EventId;
use countersign_ground::keyring::seal_jwks;
use countersign_ground::problem::{Code, Problem};
use countersign_ground::record::Proven;
use http::{HeaderName, HeaderValue, header};
use serde_json::{Value, json};

use super::JSON;
use crate::app::App;
use crate::doors::extract::{Id, Query};
use crate::doors::fields;
use crate::doors::openapi::{ProblemBody, ProofBody, SealPage};
use crate::law::action::ReadRecord;
use crate::law::caller::Caller;

type Answer<T> = Result<T, Problem>;
const MOST: i64 = 1_000;

/// List seals, oldest first. They are the installation's: each seals events of every tenant.
#[utoipa::path(get, path = "/api/v1/audit/seals", tag = "record",
    params(("after" = Option<i64>, Query, description = "number of a seal: those that follow it"),
        ("limit" = Option<i64>, Query, description = "at most 1000; 100 when absent"),
        ("cursor" = Option<i64>, Query, description = "`nextCursor` of the page before")),
    responses((status = 200, body = SealPage), (status = 400, body = ProblemBody),
        (status = 401, body = ProblemBody), (status = 403, body = ProblemBody)))]
pub async fn list(
    State(app): State<App>,
    caller: Caller,
    Query(mut query): Query,
) -> Answer<Body<Value>> {
    app.law.permit::<ReadRecord>(&caller, "*").await?;
    let after = query.optional("after", fields::query_integer(0, i64::MAX));
    let cursor = query.optional("cursor", fields::query_integer(0, i64::MAX));
    let limit = query.optional("limit", fields::query_integer(1, MOST)).unwrap_or(100);
    query.finish()?;
    let mut seals = app.record.seals_after(cursor.or(after).unwrap_or(0), limit + 1).await?;
    let is_more = i64::try_from(seals.len()).is_ok_and(|found| found > limit);
    if is_more {
        seals.pop();
    }
    let next = seals.last().filter(|_| is_more).map(|seal| seal.seal.to_string());
    Ok(Body(json!({"data": seals, "nextCursor": next})))
}

/// The keys of seals, as a JWK set (RFC 7517 section 5). None is ever taken from it. Open to all.
#[utoipa::path(get, path = "/api/v1/audit/keys", tag = "record", security(),
    responses((status = 200, body = Object), (status = 503, body = ProblemBody)))]
pub async fn keys(State(app): State<App>) -> Answer<([(HeaderName, HeaderValue); 2], String)> {
    const CACHED: (HeaderName, HeaderValue) =
        (header::CACHE_CONTROL, HeaderValue::from_static("max-age=300"));
    let keys = seal_jwks(&app.db).await?;
    Ok(([JSON, CACHED], format!(r#"{{"keys":[{}]}}"#, keys.join(","))))
}

/// Prove that an event is in the record: its leaf hash, and the way from there to the root of its seal
/// (RFC 6962 section 2.1.1).
#[utoipa::path(get, path = "/api/v1/audit/{id}/proof", tag = "record",
    params(("id" = String, Path, description = "eventId")),
    responses((status = 200, body = ProofBody), (status = 401, body = ProblemBody),
        (status = 403, body = ProblemBody), (status = 404, body = ProblemBody),
        (status = 409, body = ProblemBody, description = "it waits for its seal",
            headers(("retry-after" = i64)))))]
pub async fn prove(
    State(app): State<App>,
    caller: Caller,
    Id(id): Id<EventId>,
) -> Answer<Body<Value>> {
    let permit = app.law.permit::<ReadRecord>(&caller, &id.to_string()).await?;
    match app.record.prove(permit.tenant(), id).await? {
        Proven::Unknown => Err(Problem::new(Code::EventNotFound, format!("no event `{id}`"))),
        Proven::NotYet => {
            let detail = format!("event `{id}` waits for its seal; ask again in a second");
            Err(Problem::new(Code::Conflict, detail).retry_after(Duration::from_secs(1)))
        }
        Proven::Sealed(proof) => {
            let event: Value = serde_json::from_str(&proof.leaf).map_err(Problem::internal)?;
            let mut body = serde_json::to_value(&*proof).map_err(Problem::internal)?;
            body["event"] = event;
            Ok(Body(body))
        }
    }
}
