//! `/api/v1/rbac/audit`: decisions by roles, as the record has them.

use axum::Json as Body;
use axum::extract::State;
use countersign_ground::clock::{Stopwatch, Time};
use countersign_ground::db;
use countersign_ground::problem::Problem;
use countersign_ground::record::{Cursor, EXPIRED, Expiry, Filter};
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use crate::app::App;
use crate::doors::extract::{Json, Query};
use crate::doors::fields::{self, Fields};
use crate::doors::openapi::ProblemBody;
use crate::law::action::{ReadMatrix, ReloadMatrix};
use crate::law::caller::Caller;
use crate::law::told;

type Answer<T> = Result<T, Problem>;

/// Events of one page of the record.
const CHUNK: usize = 500;
/// How long the record is looked through for one answer.
const PATIENCE: std::time::Duration = std::time::Duration::from_secs(1);

/// One decision.
#[derive(Debug, Serialize, ToSchema)]
pub struct Entry {
    /// The event's.
    id: String,
    timestamp: String,
    subject: String,
    subject_type: String,
    tenant_id: String,
    resource: String,
    resource_id: String,
    action: String,
    allowed: bool,
    reason: String,
    decision_id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    request_id: Option<String>,
}

/// Decisions, newest first.
#[derive(Debug, Serialize, ToSchema)]
pub struct Entries {
    entries: Vec<Entry>,
    /// How many match, as far as was looked.
    total: usize,
    limit: i64,
    offset: i64,
    /// False when the record was too long to look through to its end: narrow it by `since`.
    complete: bool,
}

/// Which decisions are wanted.
struct Wanted {
    resource: Option<String>,
    action: Option<String>,
    allowed: Option<bool>,
    subject: Option<String>,
}

impl Wanted {
    fn take(query: &mut Fields) -> Self {
        Self {
            resource: query.optional("resource", fields::text_up_to(128)),
            action: query.optional("action", fields::text_up_to(128)),
            allowed: query.optional("allowed", fields::parsed::<Flag>).map(|flag| flag.0),
            subject: query.optional("subject", fields::text_up_to(256)),
        }
    }

    fn matches(&self, entry: &Entry) -> bool {
        self.resource.as_ref().is_none_or(|resource| *resource == entry.resource)
            && self.action.as_ref().is_none_or(|action| *action == entry.action)
            && self.allowed.is_none_or(|allowed| allowed == entry.allowed)
            && self.subject.as_ref().is_none_or(|subject| *subject == entry.subject)
    }
}

/// `true` or `false` in a query.
struct Flag(bool);

impl std::str::FromStr for Flag {
    type Err = &'static str;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse().map(Self).map_err(|_| "must be `true` or `false`")
    }
}

/// Search the decisions by roles, newest first. The record holds every denial; what was allowed at
/// Countersign's own endpoints is told of by the event of the change itself.
#[utoipa::path(get, path = "/api/v1/rbac/audit", tag = "rbac",
    params(("resource" = Option<String>, Query), ("action" = Option<String>, Query),
        ("allowed" = Option<bool>, Query), ("subject" = Option<String>, Query),
        ("tenant_id" = Option<String>, Query), ("since" = Option<String>, Query),
        ("limit" = Option<i64>, Query, description = "at most 1000; 100 when absent"),
        ("offset" = Option<i64>, Query)),
    responses((status = 200, body = Entries), (status = 400, body = ProblemBody),
        (status = 401, body = ProblemBody), (status = 403, body = ProblemBody)))]
pub async fn search(
    State(app): State<App>,
    caller: Caller,
    Query(mut query): Query,
) -> Answer<Body<Entries>> {
    let permit = app.law.permit::<ReadMatrix>(&caller, "*").await?;
    let wanted = Wanted::take(&mut query);
    let tenant = query.optional("tenant_id", fields::text_up_to(63));
    let since = query.optional("since", fields::time);
    let limit = query.optional("limit", fields::query_integer(1, 1_000)).unwrap_or(100);
    let offset = query.optional("offset", fields::query_integer(0, 1_000_000)).unwrap_or(0);
    query.finish()?;
    let tenant = tenant.unwrap_or_else(|| permit.tenant().to_owned());
    if tenant != permit.tenant() && !caller.crosses_tenants(&app.law) {
        let detail = "only operators with the role `infra` see another tenant".to_owned();
        app.law.forbid::<ReadMatrix>(&caller, "*", detail, &[]).await?;
    }

    let watch = Stopwatch::start();
    let (mut entries, mut total, mut cursor, mut complete) = (Vec::new(), 0, None, false);
    let (first, most) = (index(offset), index(limit));
    while watch.elapsed() < PATIENCE {
        let found = app.record.search(&filter(&tenant, since, cursor)).await?;
        for entry in found.bodies.iter().flat_map(|body| told(body)) {
            if wanted.matches(&entry) {
                total += 1;
                if total > first && entries.len() < most {
                    entries.push(entry);
                }
            }
        }
        cursor = found.next;
        if cursor.is_none() {
            complete = true;
            break;
        }
    }
    Ok(Body(Entries { entries, total, limit, offset, complete }))
}

fn index(number: i64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

fn filter(tenant: &str, since: Option<Time>, cursor: Option<Cursor>) -> Filter {
    Filter {
        tenant: tenant.to_owned(),
        agent: None,
        action: Some("decision.made".into()),
        outcome: None,
        decision: None,
        request: None,
        since,
        until: None,
        limit: CHUNK,
        cursor,
    }
}

/// The decisions by roles that an event tells of.
fn told(body: &str) -> Vec<Entry> {
    let Ok(event) = serde_json::from_str::<Value>(body) else { return Vec::new() };
    told::decisions(&event).iter().filter_map(|decision| entry(&event, decision)).collect()
}

fn entry(event: &Value, decision: &Value) -> Option<Entry> {
    let text = |of: &Value, pointer: &str| Some(of.pointer(pointer)?.as_str()?.to_owned());
    // Other policies decide, too.
    if decision["policyPackage"] != "rbac" {
        return None;
    }
    Some(Entry {
        id: text(event, "/eventId")?,
        timestamp: text(event, "/timestamp")?,
        subject: text(decision, "/question/subject/id")?,
        subject_type: text(decision, "/question/subject/type")?,
        tenant_id: text(event, "/tenant")?,
        resource: text(decision, "/question/resource/type")?,
        resource_id: text(decision, "/question/resource/id")?,
        action: text(decision, "/question/action/name")?,
        allowed: decision["effect"] == "allow",
        reason: text(decision, "/reason")?,
        decision_id: text(decision, "/decisionId")?,
        request_id: text(event, "/requestId"),
    })
}

/// What was cleaned up.
#[derive(Debug, Serialize, ToSchema)]
pub struct CleanedUp {
    deleted_count: i64,
    retention_days: i64,
    #[schema(value_type = String, format = "date-time")]
    timestamp: Time,
}

/// Forget role decisions that are older than so many days, earlier than the record's retention would.
#[utoipa::path(post, path = "/api/v1/rbac/audit/cleanup", tag = "rbac",
    request_body(content = Object, description = "may be empty"),
    params(("retention_days" = Option<i64>, Query,
        description = "at least 1; what the matrix says, or 90, when absent")),
    responses((status = 200, body = CleanedUp), (status = 400, body = ProblemBody),
        (status = 401, body = ProblemBody), (status = 403, body = ProblemBody)))]
pub async fn cleanup(
    State(app): State<App>,
    caller: Caller,
    Query(mut query): Query,
    Json(fields): Json,
) -> Answer<Body<CleanedUp>> {
    let permit = app.law.permit::<ReloadMatrix>(&caller, "*").await?;
    let by_file = app.law.matrix().retention_days().map_or(90, i64::from);
    let days = query.optional("retention_days", fields::query_integer(1, 36_500));
    query.finish()?;
    fields.finish()?;
    let days = days.unwrap_or(by_file);
    let now = app.clock.now();
    let before = Time(now.0.saturating_sub(days.saturating_mul(24 * 3600 * 1_000_000)));
    let tenant = permit.tenant().to_owned();
    let expiry = Expiry { tenant, action: Some("decision.made"), before };
    // Only what is sealed can go.
    app.record.seal(&app.keys).await.map_err(db::Error::from)?;
    let tell = || {
        let mut event = app.event(EXPIRED, now);
        event.resource = Some("rbac".into());
        permit.sign(event)
    };
    let deleted = app.record.expire(&app.keys, &expiry, tell).await;
    let deleted = deleted.map_err(|error| Problem::from(db::Error::from(error)))?;
    Ok(Body(CleanedUp { deleted_count: deleted, retention_days: days, timestamp: now }))
}
