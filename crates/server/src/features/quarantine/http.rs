//! `/api/v1/agents/{id}/quarantine` and `/reinstate`.

use std::sync::Arc;
use std::time::Duration;

use axum::Json as Body;
use axum::extract::State;
use countersign_ground::clock::Stopwatch;
use countersign_ground::ids::{AgentId, CredentialId, ReceiptId};
use countersign_ground::problem::Problem;
use countersign_ground::record::Filter;
use http::header;
use serde_json::Value;
use utoipa::ToSchema;

use super::{Receipt, Tokens};
use crate::app::App;
use crate::doors::extract::{Id, Json};
use crate::doors::fields;
use crate::doors::openapi::ProblemBody;
use crate::features::agents::{self, Agent};
use crate::features::credentials;
use crate::law::action::QuarantineAgent;
use crate::law::caller::Caller;
use crate::law::permit::Permit;

type Answer<T> = Result<T, Problem>;

/// Why an agent is stopped.
#[derive(Debug, ToSchema)]
#[expect(dead_code, reason = "describes a body to readers of the API")]
pub struct Reason {
    /// For the record; 1 to 512 characters.
    reason: String,
}

/// Stop an agent and everything that it holds, at once: credentials, live tokens, and what else was
/// given to it. An agent never quarantines itself.
#[utoipa::path(post, path = "/api/v1/agents/{id}/quarantine", tag = "agents",
    request_body = Reason, params(("id" = String, Path, description = "agentId")),
    responses((status = 200, body = Receipt), (status = 400, body = ProblemBody),
        (status = 401, body = ProblemBody), (status = 403, body = ProblemBody),
        (status = 404, body = ProblemBody), (status = 409, body = ProblemBody)))]
pub async fn quarantine(
    State(app): State<App>,
    caller: Caller,
    Id(id): Id<AgentId>,
    Json(mut fields): Json,
) -> Answer<Body<Receipt>> {
    let permit = permit(&app, &caller, id).await?;
    let reason = fields.required("reason", fields::text_up_to(512));
    fields.finish()?;
    // What was noted of its tokens must be stored before it is asked for.
    app.activity.flush_agent(&app.db, id).await?;

    let now = app.clock.now();
    let receipt_id = ReceiptId::new(now, &app.entropy);
    let event = app.event("agent.quarantined", now);
    let memory = (Arc::clone(&app.law.directory), app.entropy.clone());
    let input = (permit, reason.unwrap_or_default(), event, memory);
    let (mut receipt, generation, erasures) = app
        .db
        .write(input, move |tx, (permit, reason, event, (directory, entropy))| {
            Box::pin(async move {
                let (agent, until) = agents::store::quarantine(tx, permit, id, now).await?;
                agents::remember_after(tx, &agent, directory);
                let stopped = credentials::stop(tx, permit, id, (directory, entropy), now).await?;
                let mut event = event.clone();
                event.agent = Some(id);
                event.resource = Some(format!("agents/{id}"));
                let ids: Vec<String> = stopped.ids.iter().map(ToString::to_string).collect();
                event.meta("credentials", ids);
                event.meta("reason", reason.clone());
                event.meta("receiptId", receipt_id.to_string());
                if let Some(until) = until {
                    event.meta("selfContainedUntil", until.to_string());
                }
                let event_id = event.id;
                tx.record(permit.sign(event).leaf());
                let receipt = Receipt {
                    receipt_id,
                    event_id,
                    agent_id: id,
                    reason: reason.clone(),
                    stopped_at: now,
                    credentials: stopped.ids,
                    tokens: Tokens { not_before: now, live: None },
                    services: [],
                    ssh_certificates: [],
                    approvals: [],
                    webhooks: [],
                    self_contained_until: until,
                };
                Ok::<_, Problem>((receipt, agent.generation(), stopped.erasures))
            })
        })
        .await?;
    if let Some(vault) = &app.vault {
        vault.erase_soon(erasures);
    }
    // The stop does not wait for the count, and does not fail with it.
    receipt.tokens.live = live_tokens(&app, &caller.tenant, &receipt, generation).await;
    Ok(Body(receipt))
}

/// Let a quarantined or suspended agent act again. What was stopped stays stopped: it needs a new
/// credential.
#[utoipa::path(post, path = "/api/v1/agents/{id}/reinstate", tag = "agents",
    request_body(content = Object, description = "may be empty"),
    params(("id" = String, Path, description = "agentId")),
    responses((status = 200, body = Agent, headers(("etag" = String))),
        (status = 401, body = ProblemBody), (status = 403, body = ProblemBody),
        (status = 404, body = ProblemBody), (status = 409, body = ProblemBody)))]
pub async fn reinstate(
    State(app): State<App>,
    caller: Caller,
    Id(id): Id<AgentId>,
    Json(fields): Json,
) -> Answer<([(header::HeaderName, String); 1], Body<Agent>)> {
    let permit = permit(&app, &caller, id).await?;
    fields.finish()?;
    let now = app.clock.now();
    let event = app.event("agent.reinstated", now);
    let input = (permit, event, Arc::clone(&app.law.directory));
    let agent = app
        .db
        .write(input, move |tx, (permit, event, directory)| {
            Box::pin(async move {
                let agent = agents::store::reinstate(tx, permit, id, now).await?;
                agents::remember_after(tx, &agent, directory);
                let mut event = event.clone();
                event.agent = Some(id);
                event.resource = Some(format!("agents/{id}"));
                tx.record(permit.sign(event).leaf());
                Ok::<_, Problem>(agent)
            })
        })
        .await?;
    Ok(([(header::ETAG, agent.etag())], Body(agent)))
}

async fn permit(app: &App, caller: &Caller, id: AgentId) -> Answer<Permit<QuarantineAgent>> {
    if caller.agent() == Some(id) {
        let detail = "an agent never changes itself".to_owned();
        app.law.forbid::<QuarantineAgent>(caller, &id.to_string(), detail, &[]).await?;
    }
    app.law.permit::<QuarantineAgent>(caller, &id.to_string()).await
}

/// How many of the agent's tokens died by this: those of the generation that it ended, by a credential
/// and a key that were good until now, not expired, and not revoked.
async fn live_tokens(app: &App, tenant: &str, receipt: &Receipt, generation: i64) -> Option<usize> {
    const PATIENCE: Duration = Duration::from_millis(500);
    /// The longest that a token may be set to live.
    const LONGEST: Duration = Duration::from_secs(24 * 3600);
    let watch = Stopwatch::start();
    let (mut live, mut cursor) = (0, None);
    while receipt.self_contained_until.is_some() && watch.elapsed() < PATIENCE {
        let filter = Filter {
            tenant: tenant.to_owned(),
            agent: Some(receipt.agent_id),
            action: Some("token.issued".into()),
            outcome: None,
            decision: None,
            request: None,
            since: Some(receipt.stopped_at - LONGEST),
            until: Some(receipt.stopped_at),
            limit: 500,
            cursor,
        };
        let found = app.record.search(&filter).await.ok()?;
        let lived = |body: &&String| had_lived(app, body, receipt, generation).unwrap_or(false);
        live += found.bodies.iter().filter(lived).count();
        cursor = found.next;
        if cursor.is_none() {
            return Some(live);
        }
    }
    receipt.self_contained_until.is_none().then_some(0)
}

/// Whether the token that an event tells of was good when its agent was stopped.
fn had_lived(app: &App, event: &str, receipt: &Receipt, generation: i64) -> Option<bool> {
    let event: Value = serde_json::from_str(event).ok()?;
    let said = &event["metadata"];
    let jti = said["jti"].as_str()?.parse().ok()?;
    let by: CredentialId = said["credentialId"].as_str()?.parse().ok()?;
    let agent = app.law.directory.agent(receipt.agent_id)?;
    let expires = agent.credentials.iter().find(|one| one.id == by)?.expires_at;
    Some(
        said["gen"].as_i64()? == generation - 1
            && said["expiresAt"].as_i64()? > receipt.stopped_at.seconds()
            && receipt.credentials.contains(&by)
            && expires.is_none_or(|end| receipt.stopped_at < end)
            && app.keys.verifying(said["kid"].as_str()?).is_some()
            && !app.law.directory.is_revoked(&jti),
    )
}
