//! `/api/v1/agents`.

use std::sync::Arc;

use axum::Json as Body;
use axum::extract::State;
use countersign_ground::db::Tx;
use countersign_ground::ids::AgentId;
use countersign_ground::problem::{Code, Problem};
use countersign_ground::record::Event;
use countersign_policy::Permissions;
use http::{StatusCode, header};
use serde::Serialize;
use utoipa::ToSchema;

use super::wire::{AgentPatch, NewAgent};
use super::{Agent, Patch, remember_after, store};
use crate::app::App;
use crate::doors::extract::{Id, IfMatch, Json, Page, Query};
use crate::doors::fields;
use crate::doors::openapi::ProblemBody;
use crate::features::tenants;
use crate::law::action::{ChangeAgent, CreateAgent, ReadAgents};
use crate::law::caller::Caller;
use crate::law::permit::Permit;

type Answer<T> = Result<T, Problem>;

/// Register an agent.
///
/// It is active at once. Nobody grants a scope that they do not hold.
#[utoipa::path(post, path = "/api/v1/agents", tag = "agents", request_body = NewAgent,
    responses(
        (status = 201, body = Agent, headers(("location" = String), ("etag" = String))),
        (status = 400, body = ProblemBody), (status = 401, body = ProblemBody),
        (status = 403, body = ProblemBody), (status = 409, body = ProblemBody),
        (status = 503, body = ProblemBody)))]
pub async fn create(
    State(app): State<App>,
    caller: Caller,
    Json(fields): Json,
) -> Answer<(StatusCode, [(header::HeaderName, String); 2], Body<Agent>)> {
    let permit = app.law.permit::<CreateAgent>(&caller, "*").await?;
    let new = NewAgent::read(fields)?;
    may_grant::<CreateAgent>(&app, &caller, "*", &new.scopes).await?;

    let now = app.clock.now();
    let id = AgentId::new(now, &app.entropy);
    let deployment_env = new.deployment_env.as_str();
    let event = app.event("agent.created", now);
    let directory = Arc::clone(&app.law.directory);
    let plan_limits = app.law.directory.limits(permit.tenant()).agents.is_some();
    let agent = app
        .db
        .write((permit, new, event, directory), move |tx, (permit, new, event, directory)| {
            Box::pin(async move {
                within_plan(tx, permit, plan_limits).await?;
                let agent = store::create(tx, permit, id, new, now).await?;
                let mut event = event.clone();
                event.meta("agentType", agent.agent_type.as_str());
                event.meta("email", agent.email.clone());
                event.meta("owner", agent.owner.clone());
                event.meta("scopes", agent.scopes.to_scope());
                changed(tx, permit, event, &agent, directory);
                Ok::<_, Problem>(agent)
            })
        })
        .await?;
    app.metrics.agent_registered(deployment_env);

    let headers =
        [(header::LOCATION, format!("/api/v1/agents/{id}")), (header::ETAG, agent.etag())];
    Ok((StatusCode::CREATED, headers, Body(agent)))
}

/// A page of agents.
#[derive(Debug, Serialize, ToSchema)]
pub struct AgentPage {
    data: Vec<Agent>,
    page: i64,
    limit: i64,
    total: i64,
}

/// List agents, newest first.
#[utoipa::path(get, path = "/api/v1/agents", tag = "agents",
    params(("owner" = Option<String>, Query), ("agentType" = Option<String>, Query),
        ("deploymentEnv" = Option<String>, Query), ("status" = Option<String>, Query),
        Page),
    responses((status = 200, body = AgentPage), (status = 400, body = ProblemBody),
        (status = 401, body = ProblemBody), (status = 403, body = ProblemBody)))]
pub async fn list(
    State(app): State<App>,
    caller: Caller,
    Query(mut query): Query,
) -> Answer<Body<AgentPage>> {
    let permit = app.law.permit::<ReadAgents>(&caller, "*").await?;
    let wanted = store::Wanted {
        owner: query.optional("owner", fields::text_up_to(128)),
        agent_type: query.optional("agentType", fields::parsed),
        deployment_env: query.optional("deploymentEnv", fields::parsed),
        status: query.optional("status", fields::parsed),
    };
    let page = Page::take(&mut query);
    query.finish()?;
    let (data, total) =
        store::list_page(&app.db, &permit, &wanted, page.limit, page.offset()).await?;
    Ok(Body(AgentPage { data, page: page.page, limit: page.limit, total }))
}

/// Show an agent. An agent may always see itself.
#[utoipa::path(get, path = "/api/v1/agents/{id}", tag = "agents",
    params(("id" = String, Path, description = "agentId")),
    responses((status = 200, body = Agent, headers(("etag" = String))),
        (status = 401, body = ProblemBody), (status = 403, body = ProblemBody),
        (status = 404, body = ProblemBody)))]
pub async fn show(
    State(app): State<App>,
    caller: Caller,
    Id(id): Id<AgentId>,
) -> Answer<([(header::HeaderName, String); 1], Body<Agent>)> {
    let permit = app.law.permit_own::<ReadAgents>(&caller, id).await?;
    let agent = store::find(&app.db, &permit, id).await?;
    Ok(([(header::ETAG, agent.etag())], Body(agent)))
}

/// Change an agent: suspend it, reactivate it, move it, grant it scopes.
///
/// Suspending ends its live tokens for good. With `If-Match` it is changed only if it still is
/// what was read. An agent never changes itself.
#[utoipa::path(patch, path = "/api/v1/agents/{id}", tag = "agents", request_body = AgentPatch,
    params(("id" = String, Path, description = "agentId"),
        ("if-match" = Option<String>, Header, description = "the ETag that was read")),
    responses((status = 200, body = Agent, headers(("etag" = String))),
        (status = 400, body = ProblemBody), (status = 401, body = ProblemBody),
        (status = 403, body = ProblemBody), (status = 404, body = ProblemBody),
        (status = 409, body = ProblemBody), (status = 412, body = ProblemBody)))]
pub async fn update(
    State(app): State<App>,
    caller: Caller,
    Id(id): Id<AgentId>,
    IfMatch(if_match): IfMatch,
    Json(fields): Json,
) -> Answer<([(header::HeaderName, String); 1], Body<Agent>)> {
    let permit = permit_change(&app, &caller, id).await?;
    let patch = Patch::read(fields)?;
    if let Some(scopes) = &patch.scopes {
        may_grant::<ChangeAgent>(&app, &caller, &id.to_string(), scopes).await?;
    }
    let agent = change(&app, permit, id, patch, if_match).await?;
    Ok(([(header::ETAG, agent.etag())], Body(agent)))
}

/// Decommission an agent. Final: its record stays, its tokens and credentials are dead.
#[utoipa::path(delete, path = "/api/v1/agents/{id}", tag = "agents",
    params(("id" = String, Path, description = "agentId")),
    responses((status = 204), (status = 401, body = ProblemBody),
        (status = 403, body = ProblemBody), (status = 404, body = ProblemBody),
        (status = 409, body = ProblemBody)))]
pub async fn decommission(
    State(app): State<App>,
    caller: Caller,
    Id(id): Id<AgentId>,
    IfMatch(if_match): IfMatch,
) -> Answer<StatusCode> {
    let permit = permit_change(&app, &caller, id).await?;
    change(&app, permit, id, Patch::decommission(), if_match).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn permit_change(app: &App, caller: &Caller, id: AgentId) -> Answer<Permit<ChangeAgent>> {
    if caller.agent() == Some(id) {
        let detail = "an agent never changes itself".to_owned();
        app.law.forbid::<ChangeAgent>(caller, &id.to_string(), detail, &[]).await?;
    }
    app.law.permit::<ChangeAgent>(caller, &id.to_string()).await
}

async fn may_grant<A: crate::law::action::Action>(
    app: &App,
    caller: &Caller,
    resource_id: &str,
    scopes: &Permissions,
) -> Answer<()> {
    let lacking = caller.lacks(&app.law, scopes);
    if !lacking.is_empty() {
        let names = lacking.join("`, `");
        let detail = format!("you can't grant what you do not hold: `{names}`");
        app.law.forbid::<A>(caller, resource_id, detail, &lacking).await?;
    }
    Ok(())
}

async fn change(
    app: &App,
    permit: Permit<ChangeAgent>,
    id: AgentId,
    patch: Patch,
    if_match: Option<Vec<String>>,
) -> Answer<Agent> {
    let now = app.clock.now();
    let event = app.event("agent.updated", now);
    let directory = Arc::clone(&app.law.directory);
    let input = (permit, patch, if_match, event, directory);
    app.db
        .write(input, move |tx, (permit, patch, if_match, event, directory)| {
            Box::pin(async move {
                let (agent, action) =
                    store::change(tx, permit, id, patch, if_match.as_deref(), now).await?;
                let mut event = event.clone();
                event.action = action;
                event.meta("changed", patch.names());
                changed(tx, permit, event, &agent, directory);
                Ok(agent)
            })
        })
        .await
}

/// Refuses one more agent than the plan allows. Only where memory knows of a limit: the others would
/// stand in line for nothing.
async fn within_plan(tx: &mut Tx, permit: &Permit<CreateAgent>, limited: bool) -> Answer<()> {
    if !limited {
        return Ok(());
    }
    let plan = tenants::store::hold_plan(tx, permit.tenant()).await?;
    let Some(limit) = plan.limits().agents else { return Ok(()) };
    if store::count(tx, permit).await? < limit {
        return Ok(());
    }
    let detail = format!("the plan `{}` allows {limit} agents", plan.as_str());
    let details = serde_json::json!({"limit": limit, "plan": plan.as_str()});
    Err(Problem::new(Code::PlanLimit, detail).with("details", details))
}

/// What every change of an agent ends with: its event, and memory that follows the commit.
fn changed<A>(
    tx: &mut Tx,
    permit: &Permit<A>,
    mut event: Event,
    agent: &Agent,
    directory: &Arc<crate::law::directory::Directory>,
) {
    event.agent = Some(agent.agent_id);
    event.resource = Some(format!("agents/{}", agent.agent_id));
    tx.record(permit.sign(event).leaf());
    remember_after(tx, agent, directory);
}
