//! `/api/v1/routes`.

use std::collections::BTreeSet;
use std::sync::Arc;

use axum::Json as Body;
use axum::extract::State;
use countersign_ground::clock::Time;
use countersign_ground::problem::Problem;
use countersign_ground::record::Event;
use countersign_policy::{Fault, Routes};
use serde::Serialize;
use serde_json::value::RawValue;
use utoipa::ToSchema;

use super::super::documents::http::{self as documents, Governing};
use super::super::documents::{DocumentError, Kind as _, Loaded, Origin, Source, parsed};
use super::super::guards;
use crate::app::App;
use crate::doors::extract::{Json, LargeText};
use crate::doors::fields;
use crate::doors::openapi::ProblemBody;
use crate::law::action::{ReadRoutes, WriteRoutes};
use crate::law::caller::Caller;
use crate::law::change::Changed;

type Answer<T> = Result<T, Problem>;

/// What is in force.
#[derive(Debug, Serialize, ToSchema)]
pub struct InForce {
    /// First 16 hex digits of SHA-256 over the RFC 8785 form.
    hash: String,
    #[schema(value_type = String, format = "date-time")]
    loaded_at: Time,
    /// `built-in`, `file` or `uploaded`.
    #[schema(value_type = String)]
    source: Source,
    /// How many routes there are.
    count: usize,
    /// Guards that routes name and that nobody has made: they enforce.
    unknown_guards: BTreeSet<String>,
}

/// The table in force.
#[derive(Debug, Serialize, ToSchema)]
pub struct Table {
    #[serde(flatten)]
    in_force: InForce,
    /// As it was loaded.
    #[schema(value_type = Object)]
    table: Box<RawValue>,
}

/// The route table in force, as it was loaded. In a new installation it has no route and denies everything.
#[utoipa::path(get, path = "/api/v1/routes", tag = "routes",
    responses((status = 200, body = Table), (status = 401, body = ProblemBody),
        (status = 403, body = ProblemBody)))]
pub async fn show(State(app): State<App>, caller: Caller) -> Answer<Body<Table>> {
    app.law.permit::<ReadRoutes>(&caller, "*").await?;
    let routes = in_memory(&app)?;
    let broken = |_| Problem::internal("a table that was read is no JSON");
    let table = RawValue::from_string(routes.text().to_owned()).map_err(broken)?;
    Ok(Body(Table { in_force: in_force(&app, &routes), table }))
}

/// Put another route table in force, on every node within a second, unless a file governs. One that can't be used is
/// refused whole, with the place of each fault, and changes nothing; so is one that names a guard that is not there.
#[utoipa::path(put, path = "/api/v1/routes", tag = "routes",
    request_body(content = Object, description = "`default` (`deny` or `allow`), `routes[{host?, path, methods[]?, \
        permission?, callers[]?, public?, guard?, raw?}]`; at most 256 MiB"),
    responses((status = 200, body = InForce), (status = 400, body = ProblemBody),
        (status = 401, body = ProblemBody), (status = 403, body = ProblemBody),
        (status = 409, body = ProblemBody), (status = 413, body = ProblemBody)))]
pub async fn upload(
    State(app): State<App>,
    caller: Caller,
    body: LargeText,
) -> Answer<Body<InForce>> {
    let permit = app.law.permit::<WriteRoutes>(&caller, "*").await?;
    app.routes.may_be_uploaded::<Routes>()?;
    let (document, text) = parsed::<Routes>(body.read().await?).await?;
    // One that another node has just made counts, too.
    guards::remember(&app.db, &app.law.guards, &app.metrics).await?;
    let faults: Vec<Fault> = unknown(&app, &document)
        .take(20)
        .map(|(at, guard)| Fault {
            at: format!("{at}/guard"),
            what: format!("there is no guard `{guard}`: make it first, in the mode `observe`"),
        })
        .collect();
    if !faults.is_empty() {
        return Err(DocumentError::Invalid(Routes::CALLED, faults).into());
    }
    let loaded = Loaded { document, source: Source::Uploaded, version: 0 };
    let routes = documents::put(&app, permit, loaded, Some(text.bytes())).await?;
    Ok(Body(in_force(&app, &routes)))
}

/// A request to try.
#[derive(Debug, ToSchema)]
#[expect(dead_code, reason = "describes a body to readers of the API")]
pub struct Trial {
    method: String,
    host: String,
    /// With its path and query, as it would be sent.
    target: String,
}

/// Which route answers.
#[derive(Debug, Serialize, ToSchema)]
pub struct Tried {
    /// `route`, `passes` or `refused`.
    outcome: &'static str,
    /// Why it is refused, if the table refuses it whoever asks.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    /// The route that answers: a JSON pointer into the table.
    #[serde(skip_serializing_if = "Option::is_none")]
    route: Option<String>,
    /// What the guard of the route does.
    #[serde(skip_serializing_if = "Option::is_none")]
    guard: Option<Holding>,
    /// The routes whose host and path match, the most specific first, and what becomes of each.
    considered: Vec<Considered>,
}

/// A guard, and what it does.
#[derive(Debug, Serialize, ToSchema)]
struct Holding {
    name: String,
    mode: &'static str,
    percent: u8,
}

/// A route whose host and path match.
#[derive(Debug, Serialize, ToSchema)]
struct Considered {
    route: String,
    path: String,
    why: String,
}

/// Find out which route answers a request, and why. Nothing is decided, nobody is asked, nothing recorded.
#[utoipa::path(post, path = "/api/v1/routes/test", tag = "routes", request_body = Trial,
    responses((status = 200, body = Tried), (status = 400, body = ProblemBody),
        (status = 401, body = ProblemBody), (status = 403, body = ProblemBody)))]
pub async fn test(
    State(app): State<App>,
    caller: Caller,
    Json(mut fields): Json,
) -> Answer<Body<Tried>> {
    app.law.permit::<ReadRoutes>(&caller, "*").await?;
    let [method, host, target] = ["method", "host", "target"]
        .map(|name| fields.required(name, fields::text_up_to(16_384)).unwrap_or_default());
    fields.finish()?;
    let routes = in_memory(&app)?;
    let explained = routes.explain(&method, &host, &target);
    let guard = explained.route.and_then(|route| route.guard.as_deref()).map(|name| {
        let known = app.law.guards.named(name);
        Holding {
            name: name.to_owned(),
            mode: known.as_ref().map_or("enforce", |guard| guard.mode.as_str()),
            percent: known.map_or(100, |guard| guard.percent),
        }
    });
    Ok(Body(Tried {
        outcome: explained.outcome,
        reason: explained.reason.map(|reason| reason.to_string()),
        route: explained.route.map(|route| route.at.to_string()),
        guard,
        considered: explained
            .considered
            .into_iter()
            .map(|(route, why)| Considered {
                route: route.at.to_string(),
                path: route.path.to_string(),
                why,
            })
            .collect(),
    }))
}

impl Governing for Routes {
    const EVENT: &'static str = "routes.loaded";
    const RESOURCE: &'static str = "routes";

    fn changed() -> Option<Changed> {
        Some(Changed::Routes)
    }

    fn origin(app: &App) -> &Origin {
        &app.routes
    }

    fn in_force(app: &App) -> Option<Arc<Self>> {
        app.law.routes()
    }

    fn set(app: &App, next: Arc<Self>) {
        for guard in names(app, &next) {
            tracing::warn!(guard, "routes name a guard that is not there: it enforces");
        }
        app.law.set_routes(next);
    }

    fn tell(&self, former: Option<&Self>, event: &mut Event) {
        event.meta("hash", self.hash().to_owned());
        if let Some(former) = former {
            event.meta("previousHash", former.hash().to_owned());
        }
        event.meta("routes", i64::try_from(self.iter().len()).unwrap_or(i64::MAX));
    }
}

/// The places of routes that name a guard that is not there, and its name.
fn unknown<'r>(app: &App, routes: &'r Routes) -> impl Iterator<Item = (&'r str, &'r str)> {
    let known: Vec<_> = app.law.guards.all().into_iter().map(|guard| guard.name).collect();
    let named = routes.iter().filter_map(|route| Some((&*route.at, route.guard.as_deref()?)));
    named.filter(move |(_, guard)| !known.iter().any(|known| **known == **guard))
}

/// The guards that are not there.
fn names<'r>(app: &App, routes: &'r Routes) -> BTreeSet<&'r str> {
    unknown(app, routes).map(|(_, guard)| guard).collect()
}

fn in_memory(app: &App) -> Answer<Arc<Routes>> {
    app.law.routes().ok_or_else(|| Problem::internal("there is no route table"))
}

fn in_force(app: &App, routes: &Routes) -> InForce {
    let (source, loaded_at) = app.routes.told();
    InForce {
        hash: routes.hash().to_owned(),
        loaded_at,
        source,
        count: routes.iter().len(),
        unknown_guards: names(app, routes).into_iter().take(100).map(str::to_owned).collect(),
    }
}
