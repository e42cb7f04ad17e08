//! `/api/v1/decisions`: what was decided, and why.

use axum::Json as Body;
use axum::extract::State;
use countersign_ground::problem::{Code, Problem};
use countersign_ground::record::{Cursor, Filter};
use countersign_policy::{Effect, Form, Json, Question, Tried};
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use super::extract::{Name, Query};
use super::fields::{self, Fields};
use super::openapi::ProblemBody;
use crate::app::App;
use crate::law::action::ReadDecisions;
use crate::law::caller::Caller;
use crate::law::told;

/// Events of one page of the record.
const CHUNK: usize = 500;
/// Pages of the record that are looked through for one answer.
const CHUNKS: usize = 20;
/// Events that are shown with a decision.
const SHOWN: usize = 100;

/// One decision of a listing.
#[derive(Debug, Serialize, ToSchema)]
pub struct Line {
    id: String,
    /// `allow`, `deny` or `requires_approval`.
    effect: String,
    reason: String,
    /// `TYPE/ID`.
    subject: String,
    action: String,
    /// `TYPE/ID`.
    resource: String,
    policy_package: String,
    decided_at: String,
    /// Who asked.
    asked_by: String,
}

/// A page of decisions, newest first.
#[derive(Debug, Serialize, ToSchema)]
pub struct Lines {
    decisions: Vec<Line>,
    /// Where to go on; null at the end. A page may be shorter than `limit` while there is more.
    next_cursor: Option<String>,
}

/// Which decisions are wanted.
struct Wanted {
    effect: Option<String>,
    reason: Option<String>,
    subject: Option<String>,
    action: Option<String>,
    resource: Option<String>,
}

impl Wanted {
    fn take(query: &mut Fields) -> Self {
        let mut text = |name| query.optional(name, fields::text_up_to(1_024));
        Self {
            effect: text("effect"),
            reason: text("reason"),
            subject: text("subject"),
            action: text("action"),
            resource: text("resource"),
        }
    }

    /// A subject or resource is wanted by its id, or with its type before a slash.
    fn matches(&self, line: &Line) -> bool {
        let is =
            |wanted: &Option<String>, found: &str| wanted.as_deref().is_none_or(|one| one == found);
        let names = |wanted: &Option<String>, found: &str| {
            let id = found.split_once('/').map_or(found, |(_, id)| id);
            wanted.as_deref().is_none_or(|one| one == found || one == id)
        };
        is(&self.effect, &line.effect)
            && is(&self.reason, &line.reason)
            && is(&self.action, &line.action)
            && names(&self.subject, &line.subject)
            && names(&self.resource, &line.resource)
    }
}

/// Search the questions that were decided, newest first.
#[utoipa::path(get, path = "/api/v1/decisions", tag = "decisions",
    params(("effect" = Option<String>, Query, description = "allow, deny, requires_approval"),
        ("reason" = Option<String>, Query), ("action" = Option<String>, Query),
        ("subject" = Option<String>, Query, description = "an id, or `TYPE/ID`"),
        ("resource" = Option<String>, Query, description = "an id, or `TYPE/ID`"),
        ("since" = Option<String>, Query), ("until" = Option<String>, Query),
        ("limit" = Option<i64>, Query, description = "at most 500; 50 when absent"),
        ("cursor" = Option<String>, Query, description = "`next_cursor` of the page before")),
    responses((status = 200, body = Lines), (status = 400, body = ProblemBody),
        (status = 401, body = ProblemBody), (status = 403, body = ProblemBody)))]
pub async fn list(
    State(app): State<App>,
    caller: Caller,
    Query(mut query): Query,
) -> Result<Body<Lines>, Problem> {
    let permit = app.law.permit::<ReadDecisions>(&caller, "*").await?;
    let wanted = Wanted::take(&mut query);
    let limit = query.optional("limit", fields::query_integer(1, 500)).unwrap_or(50);
    let limit = usize::try_from(limit).unwrap_or(50);
    let mut filter = Filter {
        action: Some("decision.made".into()),
        since: query.optional("since", fields::time),
        until: query.optional("until", fields::time),
        cursor: query.optional("cursor", fields::parsed::<Cursor>),
        ..Filter::all(permit.tenant())
    };
    query.finish()?;
    let mut decisions = Vec::new();
    filter.limit = CHUNK;
    for _ in 0..CHUNKS {
        let found = app.record.search(&filter).await?;
        let lines = found.bodies.iter().flat_map(|body| lines(body));
        let lines: Vec<Line> = lines.filter(|line| wanted.matches(line)).collect();
        // What does not fit would be lost to the next page: a smaller piece from the same place. A request for
        // many decisions is one event, and stays together.
        let fits = decisions.len() + lines.len() <= limit;
        if !fits && (filter.limit > 1 || !decisions.is_empty()) {
            if filter.limit == 1 {
                break;
            }
            filter.limit = (filter.limit / 2).max(1);
            continue;
        }
        decisions.extend(lines);
        filter.cursor = found.next;
        if filter.cursor.is_none() || decisions.len() >= limit {
            break;
        }
    }
    Ok(Body(Lines { decisions, next_cursor: filter.cursor.map(|cursor| cursor.to_string()) }))
}

/// What an event says of decisions; nothing where it holds no question.
fn lines(body: &str) -> Vec<Line> {
    let Ok(event) = serde_json::from_str::<Value>(body) else { return Vec::new() };
    told::decisions(&event).iter().filter_map(|told| line(&event, told)).collect()
}

fn line(event: &Value, told: &Value) -> Option<Line> {
    let text = |of: &Value, pointer: &str| Some(of.pointer(pointer)?.as_str()?.to_owned());
    let pair =
        |of: &Value, kind: &str, id: &str| Some(format!("{}/{}", text(of, kind)?, text(of, id)?));
    Some(Line {
        id: text(told, "/decisionId")?,
        effect: text(told, "/effect")?,
        reason: text(told, "/reason")?,
        subject: pair(told, "/question/subject/type", "/question/subject/id")?,
        action: text(told, "/question/action/name")?,
        resource: pair(told, "/question/resource/type", "/question/resource/id")?,
        policy_package: text(told, "/policyPackage")?,
        decided_at: text(event, "/timestamp")?,
        asked_by: pair(event, "/actorType", "/actorId")?,
    })
}

/// A decision, and why.
#[derive(Debug, Serialize, ToSchema)]
pub struct Explained {
    id: String,
    /// What its id is the beginning of.
    digest: Option<String>,
    effect: Option<String>,
    reason: Option<String>,
    matched_rule: Option<String>,
    policy_package: Option<String>,
    policy_version: Option<String>,
    registry_digest: Option<String>,
    decided_at: Option<String>,
    /// The canonical question; null where the event of what was done is all that there is.
    question: Option<Value>,
    /// The same question, asked of the policies that are in force now.
    now: Option<Now>,
    /// Every event that carries the id, newest first; the newest hundred.
    events: Vec<Value>,
    /// Whether there are more.
    more_events: bool,
}

/// What would be decided now.
#[derive(Debug, Serialize, ToSchema)]
pub struct Now {
    id: String,
    #[schema(value_type = String)]
    effect: Effect,
    reason: String,
    policy_package: String,
    policy_version: String,
    /// Whether that is the same decision, under the same policies.
    same: bool,
    /// The rules in the order in which they were tried, and whether each held.
    #[schema(value_type = Vec<Object>)]
    tried: Vec<Tried>,
}

/// Explain a decision: what was asked, what answered, which rules were tried, and what came of it.
#[utoipa::path(get, path = "/api/v1/decisions/{id}", tag = "decisions",
    params(("id" = String, Path, description = "`decision:` and 16 hex digits")),
    responses((status = 200, body = Explained), (status = 401, body = ProblemBody),
        (status = 403, body = ProblemBody), (status = 404, body = ProblemBody)))]
pub async fn show(
    State(app): State<App>,
    caller: Caller,
    Name(id): Name,
) -> Result<Body<Explained>, Problem> {
    let permit = app.law.permit::<ReadDecisions>(&caller, "*").await?;
    let id = if id.starts_with("decision:") { id } else { format!("decision:{id}") };
    let mut filter =
        Filter { decision: Some(id.clone()), limit: SHOWN, ..Filter::all(permit.tenant()) };
    let mut events: Vec<Value> = Vec::new();
    for _ in 0..CHUNKS {
        filter.limit = SHOWN - events.len();
        let found = app.record.search(&filter).await?;
        events.extend(found.bodies.iter().filter_map(|body| serde_json::from_str(body).ok()));
        filter.cursor = found.next;
        if filter.cursor.is_none() || events.len() >= SHOWN {
            break;
        }
    }
    if events.is_empty() {
        return Err(Problem::new(Code::NotFound, format!("no event carries `{id}`")));
    }
    let made = events.iter().find_map(|event| {
        let made =
            told::decisions(event).into_iter().find(|told| told["decisionId"] == id.as_str())?;
        Some((event["timestamp"].as_str()?.to_owned(), made))
    });
    let text = |name: &str| Some(made.as_ref()?.1[name].as_str()?.to_owned());
    let question = made.as_ref().map(|(_, made)| made["question"].clone());
    let now = question.as_ref().and_then(|question| again(&app, &caller, question, &id));
    Ok(Body(Explained {
        digest: text("digest"),
        effect: text("effect"),
        reason: text("reason"),
        matched_rule: text("rule"),
        policy_package: text("policyPackage"),
        policy_version: text("policyVersion"),
        registry_digest: text("registryDigest"),
        decided_at: made.as_ref().map(|(at, _)| at.clone()),
        id,
        question,
        now,
        more_events: filter.cursor.is_some(),
        events,
    }))
}

/// Asks a recorded question again, for nobody: that it was asked is no event.
fn again(app: &App, caller: &Caller, question: &Value, id: &str) -> Option<Now> {
    let question = Json::from(question);
    let question = Question::read(&question, Form::Canonical).ok()?;
    let known = app.law.known(&question.subject, &caller.tenant);
    let mut tried: Vec<Tried> = Vec::new();
    let policies = app.law.policies_for(caller);
    let decision =
        policies.decide_telling(&question, known.holder(), app.clock.now().0, &mut tried);
    Some(Now {
        same: decision.id.as_str() == id,
        id: decision.id.to_string(),
        effect: decision.effect(),
        reason: decision.reason().to_string(),
        policy_package: decision.policy.package.to_string(),
        policy_version: decision.policy.version.to_string(),
        tried,
    })
}
