//! `/api/v1/audit`.

pub mod export;
pub mod seals;
pub mod stream;

use axum::extract::State;
use countersign_ground::clock::Time;
use countersign_ground::ids::EventId;
use countersign_ground::problem::{Code, Problem};
use countersign_ground::record::Filter;
use http::{HeaderName, HeaderValue, header};
use serde_json::Value;

use crate::app::App;
use crate::doors::extract::{Id, Query};
use crate::doors::fields::{self, Fields};
use crate::doors::openapi::{EventPage, ProblemBody};
use crate::law::action::ReadRecord;
use crate::law::caller::Caller;

const JSON: (HeaderName, HeaderValue) =
    (header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
const MOST: i64 = 500;

/// Search the record, newest first.
///
/// A page may be shorter than `limit`, even empty, while `nextCursor` says that there is more.
#[utoipa::path(get, path = "/api/v1/audit", tag = "record",
    params(("agentId" = Option<String>, Query), ("action" = Option<String>, Query),
        ("outcome" = Option<String>, Query, description = "success, failure, denied, would_deny"),
        ("startDate" = Option<String>, Query, description = "RFC 3339, or a date in UTC"),
        ("endDate" = Option<String>, Query, description = "RFC 3339, or a date in UTC"),
        ("decisionId" = Option<String>, Query), ("requestId" = Option<String>, Query),
        ("limit" = Option<i64>, Query, description = "at most 500; 50 when absent"),
        ("cursor" = Option<String>, Query, description = "`nextCursor` of the page before")),
    responses((status = 200, body = EventPage), (status = 400, body = ProblemBody),
        (status = 401, body = ProblemBody), (status = 403, body = ProblemBody)))]
pub async fn search(
    State(app): State<App>,
    caller: Caller,
    Query(mut query): Query,
) -> Result<([(HeaderName, HeaderValue); 1], String), Problem> {
    let permit = app.law.permit::<ReadRecord>(&caller, "*").await?;
    let limit = query.optional("limit", fields::query_integer(1, MOST));
    let filter = Filter {
        limit: limit.and_then(|limit| usize::try_from(limit).ok()).unwrap_or(50),
        cursor: query.optional("cursor", fields::parsed),
        ..filter(&mut query, permit.tenant())
    };
    query.finish()?;
    let found = app.record.search(&filter).await?;
    // Events are JSON already: what is sealed is what is answered, byte for byte.
    let next = found.next.map_or(Value::Null, |cursor| cursor.to_string().into());
    let page = format!(r#"{{"data":[{}],"nextCursor":{next}}}"#, found.bodies.join(","));
    Ok(([JSON], page))
}

/// Show one event.
#[utoipa::path(get, path = "/api/v1/audit/{id}", tag = "record",
    params(("id" = String, Path, description = "eventId")),
    responses((status = 200, body = crate::doors::openapi::EventBody),
        (status = 401, body = ProblemBody), (status = 403, body = ProblemBody),
        (status = 404, body = ProblemBody)))]
pub async fn show(
    State(app): State<App>,
    caller: Caller,
    Id(id): Id<EventId>,
) -> Result<([(HeaderName, HeaderValue); 1], String), Problem> {
    let permit = app.law.permit::<ReadRecord>(&caller, &id.to_string()).await?;
    let found = app.record.find(permit.tenant(), id).await?;
    let missing = || Problem::new(Code::EventNotFound, format!("no event `{id}`"));
    Ok(([JSON], found.ok_or_else(missing)?))
}

/// Which events of a tenant a query asks for.
fn filter(query: &mut Fields, tenant: &str) -> Filter {
    Filter {
        agent: query.optional("agentId", fields::parsed),
        action: query.optional("action", fields::text_up_to(64)),
        outcome: query.optional("outcome", fields::text_up_to(64)),
        decision: query.optional("decisionId", fields::text_up_to(128)),
        request: query.optional("requestId", fields::text_up_to(128)),
        since: query.optional("startDate", |value| moment(value, "T00:00:00Z")),
        until: query.optional("endDate", |value| moment(value, "T23:59:59.999999Z")),
        ..Filter::all(tenant)
    }
}

/// RFC 3339, or a date that stands for the whole day.
fn moment(value: Value, rest_of_day: &str) -> Result<Time, String> {
    let text = fields::text(value)?;
    let full = if text.len() == 10 { format!("{text}{rest_of_day}") } else { text };
    full.parse().map_err(|_| "expected a time such as `2026-01-31T12:00:00Z`, or a date".into())
}
