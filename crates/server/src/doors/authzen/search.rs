//! The three searches (section 8): who may, on what, and which actions. Whatever the registry knows is asked
//! about, one after another, by the same function that answers evaluations.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use countersign_ground::clock::Time;
use countersign_ground::problem::Problem;
use countersign_ground::record::Meta;
use countersign_policy::{
    Action, Effect, Fault, Form, Json, Members, Parts, Policies, Question, Resource, Subject,
    nothing,
};
use serde_json::{Value, json};

use super::{Asked, ProblemBody};
use crate::app::App;
use crate::doors::check::{self, Turns, invalid};
use crate::law::action::AskAboutOthers;
use crate::law::caller::{Caller, Who};

/// Results of a page, when the request does not say, and at most.
const USUAL: usize = 100;
const MOST: usize = 1_000;
/// Candidates that are asked about for one page: it may be short while `next_token` says that there is more.
const LOOKED_AT: usize = 20_000;

/// Where a page begins, and how long it may be.
struct Page {
    from: usize,
    limit: usize,
}

impl Page {
    fn read(asked: &Json<'_>) -> Result<Self, Problem> {
        let wrong = |at: &str, what: &str| invalid(Fault { at: at.into(), what: what.into() });
        let page = &asked["page"];
        if !matches!(page, Json::Null | Json::Object(_)) {
            return Err(wrong("/page", "must be an object"));
        }
        let from = match &page["token"] {
            Json::Null => 0,
            Json::Text(token) if token.is_empty() => 0,
            Json::Text(token) => {
                token.parse().map_err(|_| wrong("/page/token", "is no `next_token` of ours"))?
            }
            _ => return Err(wrong("/page/token", "must be text")),
        };
        let limit = match &page["limit"] {
            Json::Null => USUAL,
            limit => match limit.as_i64().and_then(|limit| usize::try_from(limit).ok()) {
                Some(limit) if limit >= 1 => limit.min(MOST),
                _ => return Err(wrong("/page/limit", "must be a whole number, at least 1")),
            },
        };
        Ok(Self { from, limit })
    }
}

/// Subject search: who may do this to that?
#[utoipa::path(post, path = "/access/v1/search/subject", tag = "authzen",
    request_body(content = Object, description = "as for an evaluation, the subject without its `id`; `page{token,limit}`"),
    responses((status = 200, body = Object, description = "`{results[{type,id}], page{next_token,count}}`"),
        (status = 400, body = ProblemBody), (status = 401, body = ProblemBody), (status = 403, body = ProblemBody)))]
pub async fn subjects(
    State(app): State<App>,
    caller: Caller,
    asked: Asked,
) -> Result<Response, Problem> {
    let asked = asked.json()?;
    let (policies, page) = begin(&app, &caller, &asked, true).await?;
    let (kind, properties) = kind_of(&asked, "subject")?;
    let parts = without(&asked, "subject");
    let frame =
        Parts { subject: Some(nobody(kind)), ..parts_of(&parts)? }.question().map_err(invalid)?;
    app.law.may_ask_this(&caller, &Question { subject: nobody(kind), ..frame }).await?;
    let all = policies.registry.iter().flat_map(|registry| registry.subjects());
    let found: Vec<Arc<str>> =
        all.filter(|one| one.kind() == kind).map(|one| Arc::clone(one.id())).collect();
    let search = Search {
        app: &app,
        caller: &caller,
        policies: &policies,
        page: &page,
        kind: "subject",
        asked: &asked,
    };
    search
        .answer(&found, |id| {
            let subject = Subject { id, properties, ..nobody(kind) };
            (Question { subject, ..frame }, json!({"type": kind, "id": id}))
        })
        .await
}

/// Resource search: what may this subject do this to?
#[utoipa::path(post, path = "/access/v1/search/resource", tag = "authzen",
    request_body(content = Object, description = "as for an evaluation, the resource without its `id`; `page{token,limit}`"),
    responses((status = 200, body = Object, description = "`{results[{type,id}], page{next_token,count}}`"),
        (status = 400, body = ProblemBody), (status = 401, body = ProblemBody), (status = 403, body = ProblemBody)))]
pub async fn resources(
    State(app): State<App>,
    caller: Caller,
    asked: Asked,
) -> Result<Response, Problem> {
    let asked = asked.json()?;
    let (policies, page) = begin(&app, &caller, &asked, false).await?;
    let (kind, properties) = kind_of(&asked, "resource")?;
    let parts = without(&asked, "resource");
    let system = asked["resource"]["system"].as_str();
    let nothing = Resource { kind, id: "*", system, properties };
    let frame =
        Parts { resource: Some(nothing), ..parts_of(&parts)? }.question().map_err(invalid)?;
    app.law.may_ask_this(&caller, &frame).await?;
    let all = policies.registry.iter().flat_map(|registry| registry.resources());
    let found: Vec<Arc<str>> =
        all.filter(|one| one.kind() == kind).map(|one| Arc::clone(one.id())).collect();
    let search = Search {
        app: &app,
        caller: &caller,
        policies: &policies,
        page: &page,
        kind: "resource",
        asked: &asked,
    };
    search
        .answer(&found, |id| {
            let resource = Resource { id, ..nothing };
            (Question { resource, ..frame }, json!({"type": kind, "id": id}))
        })
        .await
}

/// Action search: what may this subject do to that?
#[utoipa::path(post, path = "/access/v1/search/action", tag = "authzen",
    request_body(content = Object, description = "as for an evaluation, without `action`; `page{token,limit}`"),
    responses((status = 200, body = Object, description = "`{results[{name}], page{next_token,count}}`"),
        (status = 400, body = ProblemBody), (status = 401, body = ProblemBody), (status = 403, body = ProblemBody)))]
pub async fn actions(
    State(app): State<App>,
    caller: Caller,
    asked: Asked,
) -> Result<Response, Problem> {
    let asked = asked.json()?;
    let (policies, page) = begin(&app, &caller, &asked, false).await?;
    let parts = without(&asked, "action");
    let any = Action { name: "*", properties: nothing() };
    let frame = Parts { action: Some(any), ..parts_of(&parts)? }.question().map_err(invalid)?;
    app.law.may_ask_this(&caller, &frame).await?;
    let of = frame.resource;
    let mut names: Vec<Arc<str>> =
        policies.matrix.actions(of.kind).into_iter().map(Arc::from).collect();
    if let Some(registry) = &policies.registry
        && let Some(resource) = registry.resource(of.kind, of.id)
    {
        names.extend(registry.actions(resource).iter().map(Arc::clone));
    }
    names.sort_unstable();
    names.dedup();
    let search = Search {
        app: &app,
        caller: &caller,
        policies: &policies,
        page: &page,
        kind: "action",
        asked: &asked,
    };
    search
        .answer(&names, |name| {
            let action = Action { name, properties: nothing() };
            (Question { action, ..frame }, json!({"name": name}))
        })
        .await
}

/// Who searches asks about many at once.
async fn begin(
    app: &App,
    caller: &Caller,
    asked: &Json<'_>,
    about_others: bool,
) -> Result<(Arc<Policies>, Page), Problem> {
    app.law.may_ask(caller).await?;
    if about_others && matches!(caller.who, Who::Agent(_)) {
        app.law.permit::<AskAboutOthers>(caller, "*").await?;
    }
    Ok((app.law.policies_for(caller), Page::read(asked)?))
}

fn nobody(kind: &str) -> Subject<'_> {
    Subject { kind, id: "*", tenant: None, properties: nothing() }
}

/// The type that is searched for; an id that is given all the same is ignored (section 8.4).
fn kind_of<'a>(asked: &'a Json<'a>, part: &str) -> Result<(&'a str, &'a Members<'a>), Problem> {
    let wrong =
        |name: &str, what: &str| invalid(Fault { at: format!("/{part}{name}"), what: what.into() });
    let object = match &asked[part] {
        Json::Object(object) => object,
        Json::Null => return Err(wrong("", "is missing")),
        _ => return Err(wrong("", "must be an object")),
    };
    let kind = match object.get("type") {
        Some(Json::Text(kind)) if !kind.is_empty() => &**kind,
        _ => return Err(wrong("/type", "must be text")),
    };
    match object.get("properties") {
        None | Some(Json::Null) => Ok((kind, nothing())),
        Some(Json::Object(properties)) => Ok((kind, properties)),
        Some(_) => Err(wrong("/properties", "must be an object")),
    }
}

/// The request without the part that is searched for.
fn without<'a>(asked: &Json<'a>, part: &str) -> Json<'a> {
    let members = asked.as_object().unwrap_or_else(|| nothing());
    let rest = members.iter().filter(|(name, _)| *name != part);
    Json::Object(rest.map(|(name, member)| (name.to_owned().into(), member.clone())).collect())
}

fn parts_of<'a>(value: &'a Json<'a>) -> Result<Parts<'a>, Problem> {
    Parts::read(value, Form::AuthZen, &[]).map_err(invalid)
}

/// What is being searched, and where.
struct Search<'s> {
    app: &'s App,
    caller: &'s Caller,
    policies: &'s Policies,
    page: &'s Page,
    /// `subject`, `resource` or `action`.
    kind: &'static str,
    asked: &'s Json<'s>,
}

impl Search<'_> {
    /// Asks about one candidate after another until the page is full; that it was searched is an event.
    async fn answer<'c>(
        self,
        candidates: &'c [Arc<str>],
        ask: impl Fn(&'c str) -> (Question<'c>, Value),
    ) -> Result<Response, Problem> {
        let Self { app, caller, page, .. } = self;
        let asked = self.asked.canonical();
        check::fits(asked.len())?;
        let now = app.clock.now();
        let mut turns = Turns::begin();
        let mut results = Vec::new();
        let mut next = String::new();
        for (n, candidate) in candidates.iter().enumerate().skip(page.from) {
            if results.len() == page.limit || n - page.from == LOOKED_AT {
                next = n.to_string();
                break;
            }
            turns.give().await;
            let (question, result) = ask(candidate);
            let known = app.law.known(&question.subject, &caller.tenant);
            if self.policies.decide(&question, known.holder(), now.0).effect() == Effect::Allow {
                results.push(result);
            }
        }
        self.record(asked, results.len(), now).await?;
        let page = json!({"next_token": next, "count": results.len()});
        Ok(check::json(json!({"results": results, "page": page}).to_string()))
    }

    async fn record(&self, asked: String, count: usize, at: Time) -> Result<(), Problem> {
        let mut event = self.app.law.asked(self.caller, at);
        event.meta("asked", Meta::Json(asked));
        event.meta("results", i64::try_from(count).unwrap_or(i64::MAX));
        event.meta("search", self.kind);
        Ok(self.app.record.append(event).await?)
    }
}
