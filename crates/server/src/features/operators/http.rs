//! `/api/v1/operators`.

pub mod tokens;

use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use axum::Json as Body;
use axum::extract::State;
use countersign_ground::clock::Time;
use countersign_ground::db::{self, Tx};
use countersign_ground::ids::OperatorId;
use countersign_ground::problem::Problem;
use countersign_ground::record::Event;
use http::{HeaderName, StatusCode, header};
use serde::Serialize;
use utoipa::ToSchema;

use super::super::rbac;
use super::store::present::{self, Administration};
use super::wire::{NewOperator, OperatorPatch};
use super::{Operator, OperatorError, Patch, approval_level, store};
use crate::app::App;
use crate::doors::extract::{Id, IfMatch, Json, Page};
use crate::doors::openapi::ProblemBody;
use crate::law::action::{Action, ChangeOperator, CreateOperator, ReadOperators};
use crate::law::caller::Caller;
use crate::law::change::Changed;
use crate::law::directory::{Directory, OperatorFacts};
use crate::law::permit::Permit;

type Answer<T> = Result<T, Problem>;

/// Make an operator. Nobody gives roles that hold more than they do themselves.
#[utoipa::path(post, path = "/api/v1/operators", tag = "operators", request_body = NewOperator,
    responses(
        (status = 201, body = Operator, headers(("location" = String), ("etag" = String))),
        (status = 400, body = ProblemBody), (status = 401, body = ProblemBody),
        (status = 403, body = ProblemBody), (status = 409, body = ProblemBody)))]
pub async fn create(
    State(app): State<App>,
    caller: Caller,
    Json(fields): Json,
) -> Answer<(StatusCode, [(HeaderName, String); 2], Body<Operator>)> {
    let permit = app.law.permit::<CreateOperator>(&caller, "*").await?;
    let new = NewOperator::read(fields, &app.law.matrix())?;
    let level = approval_level(new.max_approval_level, new.roles.iter().map(String::as_str));
    no_more_than_own::<CreateOperator>(&app, &caller, "*", &new.roles, level).await?;

    let now = app.clock.now();
    let id = OperatorId::new(now, &app.entropy);
    let location = (header::LOCATION, format!("/api/v1/operators/{id}"));
    let event = app.event("operator.created", now);
    let input = (permit, id, new, event, Arc::clone(&app.law.directory));
    let made = app
        .db
        .write(input, move |tx, (permit, id, new, event, directory)| {
            Box::pin(async move {
                let operator = store::create(tx, permit, id, new, now).await?;
                changed(tx, permit, event.clone(), &operator, directory);
                Ok::<_, Problem>(operator)
            })
        })
        .await?;
    Ok((StatusCode::CREATED, [location, (header::ETAG, made.etag())], Body(made)))
}

/// A page of operators.
#[derive(Debug, Serialize, ToSchema)]
pub struct OperatorPage {
    data: Vec<Operator>,
    page: i64,
    limit: i64,
    total: i64,
}

/// List operators, newest first.
#[utoipa::path(get, path = "/api/v1/operators", tag = "operators", params(Page),
    responses((status = 200, body = OperatorPage), (status = 400, body = ProblemBody),
        (status = 401, body = ProblemBody), (status = 403, body = ProblemBody)))]
pub async fn list(
    State(app): State<App>,
    caller: Caller,
    page: Page,
) -> Answer<Body<OperatorPage>> {
    let permit = app.law.permit::<ReadOperators>(&caller, "*").await?;
    let (data, total) = store::list(&app.db, &permit, page.limit, page.offset()).await?;
    Ok(Body(OperatorPage { data, page: page.page, limit: page.limit, total }))
}

/// Show an operator.
#[utoipa::path(get, path = "/api/v1/operators/{id}", tag = "operators",
    params(("id" = String, Path, description = "operatorId")),
    responses((status = 200, body = Operator, headers(("etag" = String))),
        (status = 401, body = ProblemBody), (status = 403, body = ProblemBody),
        (status = 404, body = ProblemBody)))]
pub async fn show(
    State(app): State<App>,
    caller: Caller,
    Id(id): Id<OperatorId>,
) -> Answer<([(HeaderName, String); 1], Body<Operator>)> {
    let permit = app.law.permit::<ReadOperators>(&caller, &id.to_string()).await?;
    let operator = store::find(&app.db, &permit, &id).await?;
    Ok(([(header::ETAG, operator.etag())], Body(operator)))
}

/// Change an operator. The last one who can administer keeps a role that lets them.
#[utoipa::path(patch, path = "/api/v1/operators/{id}", tag = "operators",
    request_body = OperatorPatch,
    params(("id" = String, Path, description = "operatorId"),
        ("if-match" = Option<String>, Header, description = "the ETag that was read")),
    responses((status = 200, body = Operator, headers(("etag" = String))),
        (status = 400, body = ProblemBody), (status = 401, body = ProblemBody),
        (status = 403, body = ProblemBody), (status = 404, body = ProblemBody),
        (status = 409, body = ProblemBody), (status = 412, body = ProblemBody)))]
pub async fn update(
    State(app): State<App>,
    caller: Caller,
    Id(id): Id<OperatorId>,
    IfMatch(if_match): IfMatch,
    Json(fields): Json,
) -> Answer<([(HeaderName, String); 1], Body<Operator>)> {
    let name = id.to_string();
    let permit = app.law.permit::<ChangeOperator>(&caller, &name).await?;
    let patch = Patch::read(fields, &app.law.matrix())?;
    let target = known(&app, &caller, &id)?;
    no_more_than_own::<ChangeOperator>(&app, &caller, &name, &target.roles, target.level).await?;
    // What is wanted may hold more than what is there.
    let roles = patch.roles.as_ref().unwrap_or(&target.roles);
    let by_roles = |by_hand| approval_level(by_hand, roles.iter().map(String::as_str));
    let level = match (patch.max_approval_level, &patch.roles) {
        (Some(by_hand), _) => by_roles(by_hand),
        (None, Some(_)) => by_roles(None),
        (None, None) => target.level,
    };
    no_more_than_own::<ChangeOperator>(&app, &caller, &name, roles, level).await?;

    let now = app.clock.now();
    let event = app.event("operator.updated", now);
    let parts = AssertUnwindSafe(app.clone());
    let input = (permit, id, patch, if_match, event, parts, Arc::clone(&app.law.directory));
    let changed = app
        .db
        .write(input, move |tx, (permit, id, patch, if_match, event, parts, directory)| {
            Box::pin(async move {
                let administration = administration(tx, parts, now).await?;
                let which = (id, if_match.as_deref());
                let operator =
                    store::change(tx, permit, &administration, which, patch, now).await?;
                let mut event = event.clone();
                event.meta("changed", patch.names());
                changed(tx, permit, event, &operator, directory);
                Ok::<_, Problem>(operator)
            })
        })
        .await?;
    Ok(([(header::ETAG, changed.etag())], Body(changed)))
}

/// Remove an operator; their tokens end at once. The last one who can administer can't be removed.
#[utoipa::path(delete, path = "/api/v1/operators/{id}", tag = "operators",
    params(("id" = String, Path, description = "operatorId"),
        ("if-match" = Option<String>, Header, description = "the ETag that was read")),
    responses((status = 204), (status = 401, body = ProblemBody),
        (status = 403, body = ProblemBody), (status = 404, body = ProblemBody),
        (status = 409, body = ProblemBody), (status = 412, body = ProblemBody)))]
pub async fn remove(
    State(app): State<App>,
    caller: Caller,
    Id(id): Id<OperatorId>,
    IfMatch(if_match): IfMatch,
) -> Answer<StatusCode> {
    let name = id.to_string();
    let permit = app.law.permit::<ChangeOperator>(&caller, &name).await?;
    let target = known(&app, &caller, &id)?;
    no_more_than_own::<ChangeOperator>(&app, &caller, &name, &target.roles, target.level).await?;
    let now = app.clock.now();
    let event = app.event("operator.removed", now);
    let parts = AssertUnwindSafe(app.clone());
    let input = (permit, id, if_match, event, parts, Arc::clone(&app.law.directory));
    app.db
        .write(input, move |tx, (permit, id, if_match, event, parts, directory)| {
            Box::pin(async move {
                let administration = administration(tx, parts, now).await?;
                let which = (id, if_match.as_deref());
                let operator = store::remove(tx, permit, &administration, which, now).await?;
                changed(tx, permit, event.clone(), &operator, directory);
                Ok::<_, Problem>(())
            })
        })
        .await?;
    Ok(StatusCode::NO_CONTENT)
}

/// An operator of the tenant that is acted in, as memory has them.
fn known(app: &App, caller: &Caller, id: &OperatorId) -> Answer<Arc<OperatorFacts>> {
    let found = app.law.directory.operator(id);
    let found = found.filter(|one| one.tenant == caller.tenant && !one.removed);
    found.ok_or_else(|| OperatorError::NotFound(id.clone()).into())
}

/// Refuses to give, or to touch, what holds more than the caller does: permissions, the reach over
/// all tenants, the level of approval.
async fn no_more_than_own<A: Action>(
    app: &App,
    caller: &Caller,
    resource_id: &str,
    roles: &[String],
    level: u8,
) -> Answer<()> {
    let matrix = app.law.matrix();
    let roles = roles.iter().map(String::as_str);
    let permissions = matrix.permissions(roles.clone());
    let lacking = caller.lacks(&app.law, &permissions);
    let mut beyond: Vec<String> = lacking.iter().map(|one| format!("`{one}`")).collect();
    if roles.clone().any(|role| matrix.role(role) == Some("infra"))
        && !caller.crosses_tenants(&app.law)
    {
        beyond.push("the role `infra`".into());
    }
    if level > caller.level() {
        beyond.push(format!("approval level {level}"));
    }
    if !beyond.is_empty() {
        beyond.truncate(10);
        let detail = format!("this holds what you do not: {}", beyond.join(", "));
        app.law.forbid::<A>(caller, resource_id, detail, &lacking).await?;
    }
    Ok(())
}

/// Stands in line with all that changes who may administer, and looks at how things are.
async fn administration(tx: &mut Tx, app: &App, now: Time) -> db::Result<Administration> {
    present::hold_administration(tx).await?;
    let matrix = rbac::in_force(&app.rbac, tx, || app.law.matrix()).await?;
    Ok(Administration { before: present::present(tx, now).await?, matrix })
}

/// What every change of an operator ends with: its event, and memory that follows the commit.
fn changed<A>(
    tx: &mut Tx,
    permit: &Permit<A>,
    mut event: Event,
    operator: &Operator,
    directory: &Arc<Directory>,
) {
    event.resource = Some(format!("operators/{}", operator.operator_id));
    event.meta("displayName", operator.display_name.clone());
    if let Some(email) = &operator.email {
        event.meta("email", email.clone());
    }
    event.meta("level", i64::from(operator.approval_level));
    event.meta("roles", operator.roles.clone());
    tx.record(permit.sign(event).leaf());
    Changed::Operator(operator.operator_id.clone()).announce(tx);
    let (directory, facts) = (Arc::clone(directory), operator.facts());
    tx.after_commit(move || directory.put_operator(facts));
}
