//! `/api/v1/guards`.

use axum::Json as Body;
use axum::extract::State;
use countersign_ground::clock::Time;
use countersign_ground::problem::Problem;
use countersign_ground::record::Event;
use serde::Serialize;
use utoipa::ToSchema;

use super::report::{MOST, Report};
use super::{Change, GuardError, Stored, remember, store, suggest, tell, write_traffic};
use crate::app::App;
use crate::doors::extract::{Json, Name, Query};
use crate::doors::fields;
use crate::doors::openapi::ProblemBody;
use crate::law::action::{ReadGuards, ReportGuards, WriteGuards};
use crate::law::caller::Caller;
use crate::law::change::Changed;
use crate::law::guards::Mode;

type Answer<T> = Result<T, Problem>;

/// All guards.
#[derive(Debug, Serialize, ToSchema)]
pub struct GuardList {
    data: Vec<Stored>,
}

/// All guards, by name.
#[utoipa::path(get, path = "/api/v1/guards", tag = "guards",
    responses((status = 200, body = GuardList), (status = 401, body = ProblemBody),
        (status = 403, body = ProblemBody)))]
pub async fn list(State(app): State<App>, caller: Caller) -> Answer<Body<GuardList>> {
    app.law.permit::<ReadGuards>(&caller, "*").await?;
    Ok(Body(GuardList { data: store::list(&app.db).await? }))
}

/// One guard.
#[utoipa::path(get, path = "/api/v1/guards/{name}", tag = "guards", params(("name" = String, Path)),
    responses((status = 200, body = Stored), (status = 401, body = ProblemBody),
        (status = 403, body = ProblemBody), (status = 404, body = ProblemBody)))]
pub async fn show(
    State(app): State<App>,
    caller: Caller,
    Name(name): Name,
) -> Answer<Body<Stored>> {
    app.law.permit::<ReadGuards>(&caller, &name).await?;
    find(&app, name).await.map(Body)
}

async fn find(app: &App, name: String) -> Answer<Stored> {
    let found = store::list(&app.db).await?.into_iter().find(|one| one.name == name);
    found.ok_or_else(|| GuardError::NotFound(name).into())
}

/// What a guard is to do.
#[derive(Debug, ToSchema)]
#[expect(dead_code, reason = "describes a body to readers of the API")]
pub struct NewMode {
    /// `off`, `observe` or `enforce`.
    #[schema(value_type = String)]
    mode: Mode,
    /// 0 to 100; as it was when absent, 100 for a new guard.
    percent: Option<u8>,
    /// At most 500 characters.
    reason: Option<String>,
}

/// Change a guard, on every node within a second; a new name makes one, for routes to name.
#[utoipa::path(put, path = "/api/v1/guards/{name}", tag = "guards", params(("name" = String, Path)),
    request_body = NewMode,
    responses((status = 200, body = Stored), (status = 400, body = ProblemBody),
        (status = 401, body = ProblemBody), (status = 403, body = ProblemBody),
        (status = 409, body = ProblemBody)))]
pub async fn set(
    State(app): State<App>,
    caller: Caller,
    Name(name): Name,
    Json(mut fields): Json,
) -> Answer<Body<Stored>> {
    let permit = app.law.permit::<WriteGuards>(&caller, &name).await?;
    if !is_name(&name) {
        let what = "must be 1 to 64 of letters, digits, `_`, `-` and `.`, a letter or digit first";
        fields.fault("name", what);
    }
    let mode = fields.required("mode", fields::parsed::<Mode>);
    let percent = fields.optional("percent", fields::integer(0, 100));
    let reason = fields.optional("reason", fields::text_up_to(500)).unwrap_or_default();
    fields.finish()?;
    let change = Change {
        name: name.into(),
        mode: mode.unwrap_or(Mode::Enforce),
        percent: percent.and_then(|percent| u8::try_from(percent).ok()),
        reason,
    };
    let now = app.clock.now();
    let event = about(&app, "guard.changed", &change.name, now);
    let key = app.entropy.bytes::<32>();
    let input = (permit, change, event, key);
    let set = app
        .db
        .write(input, move |tx, (permit, change, event, key)| {
            Box::pin(async move {
                let before = store::find(tx, &change.name).await?;
                if before.is_none() && store::count(tx).await? >= super::MOST {
                    return Err(GuardError::TooMany.into());
                }
                let after = store::set(tx, permit, change, &key[..], now).await?;
                let mut event = event.clone();
                tell(&mut event, before.as_ref(), &after);
                Changed::Guards.announce(tx);
                tx.record(permit.sign(event).leaf());
                Ok::<_, Problem>(after)
            })
        })
        .await?;
    remember(&app.db, &app.law.guards, &app.metrics).await?;
    Ok(Body(set))
}

fn about(app: &App, action: &'static str, guard: &str, now: Time) -> Event {
    let mut event = app.event(action, now);
    event.resource = Some(format!("guards/{guard}"));
    event
}

fn is_name(text: &str) -> bool {
    (1..=64).contains(&text.len())
        && text.starts_with(|c: char| c.is_ascii_alphanumeric())
        && text.bytes().all(|c| c.is_ascii_alphanumeric() || b"_-.".contains(&c))
}

/// How far back a report looks.
const DAY: std::time::Duration = std::time::Duration::from_secs(24 * 3_600);

/// What a guard has denied, or would have: by caller, route and reason, with the smallest change that would admit
/// each, and whether it may enforce.
#[utoipa::path(get, path = "/api/v1/guards/{name}/report", tag = "guards",
    params(("name" = String, Path),
        ("since" = Option<String>, Query, description = "a time, or how long ago: `24h`, which it is when absent")),
    responses((status = 200, body = Report), (status = 400, body = ProblemBody),
        (status = 401, body = ProblemBody), (status = 403, body = ProblemBody),
        (status = 404, body = ProblemBody)))]
pub async fn report(
    State(app): State<App>,
    caller: Caller,
    Name(name): Name,
    Query(mut query): Query,
) -> Answer<Body<Report>> {
    app.law.permit::<ReportGuards>(&caller, &name).await?;
    let now = app.clock.now();
    let since = query.optional("since", fields::since(now)).unwrap_or(now - DAY);
    query.finish()?;
    let guard = find(&app, name).await?;
    write_traffic(&app.db, &app.law.guards, now).await?;
    let totals = store::totals(&app.db, &guard.name, since).await?;
    let seen = store::groups(&app.db, &guard.name, since, MOST).await?;
    let accepted = store::accepted(&app.db, &guard.name).await?;
    let strangers = store::strangers(&app.db, &guard.name, since, STRANGERS).await?;
    let routes = app.law.routes();
    let advice = suggest::Advice::new(&app.law, routes.as_deref(), &guard.name);
    let on = |seen: &_| advice.on(seen);
    Ok(Body(Report::new(&guard, since, totals, seen, accepted, strangers, on)))
}

/// The most addresses that are shown.
const STRANGERS: i64 = 100;

/// Denials that are expected.
#[derive(Debug, ToSchema)]
#[expect(dead_code, reason = "describes a body to readers of the API")]
pub struct Acceptance {
    /// As the report names it; `*` at its end stands for whatever follows, as in `anonymous@*`.
    caller: String,
    /// As the report names it, or `*`.
    route: String,
    /// As the report names it, or `*`.
    reason: String,
    /// Why they are expected; at most 500 characters.
    note: Option<String>,
    /// `false` withdraws it.
    accepted: Option<bool>,
}

/// What is accepted now.
#[derive(Debug, Serialize, ToSchema)]
pub struct AcceptedList {
    data: Vec<super::report::Accepted>,
}

/// Accept denials as expected: they leave the verdict of the report. Nothing is admitted by it.
#[utoipa::path(post, path = "/api/v1/guards/{name}/accept", tag = "guards",
    params(("name" = String, Path)), request_body = Acceptance,
    responses((status = 200, body = AcceptedList), (status = 400, body = ProblemBody),
        (status = 401, body = ProblemBody), (status = 403, body = ProblemBody),
        (status = 404, body = ProblemBody)))]
pub async fn accept(
    State(app): State<App>,
    caller: Caller,
    Name(name): Name,
    Json(mut fields): Json,
) -> Answer<Body<AcceptedList>> {
    let permit = app.law.permit::<WriteGuards>(&caller, &name).await?;
    let group = ["caller", "route", "reason"]
        .map(|name| fields.required(name, fields::text_up_to(2_300)).unwrap_or_default());
    let note = fields.optional("note", fields::text_up_to(500)).unwrap_or_default();
    let accepted = fields.optional("accepted", fields::flag).unwrap_or(true);
    fields.finish()?;
    let guard = find(&app, name).await?;
    let now = app.clock.now();
    let action = if accepted { "guard.accepted" } else { "guard.withdrawn" };
    let mut event = about(&app, action, &guard.name, now);
    for (name, text) in ["caller", "route", "reason"].into_iter().zip(&group) {
        event.meta(name, text.clone());
    }
    if !note.is_empty() {
        event.meta("note", note.clone());
    }
    let input = (permit, guard.name.clone(), group, note, event);
    app.db
        .write(input, move |tx, (permit, guard, group, note, event)| {
            Box::pin(async move {
                if accepted {
                    store::accept(tx, permit, guard, group, note, now).await?;
                } else if !store::withdraw(tx, permit, guard, group).await? {
                    return Err(GuardError::NotAccepted.into());
                }
                tx.record(permit.sign(event.clone()).leaf());
                Ok::<_, Problem>(())
            })
        })
        .await?;
    Ok(Body(AcceptedList { data: store::accepted(&app.db, &guard.name).await? }))
}
