//! `/api/v1/agents/{id}/credentials`.

use std::sync::Arc;
use std::time::Duration;

use axum::Json as Body;
use axum::extract::State;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use countersign_ground::clock::Time;
use countersign_ground::ids::{AgentId, CredentialId};
use countersign_ground::problem::Problem;
use countersign_ground::secret::Secret;
use http::{HeaderName, HeaderValue, StatusCode, header};
use serde::Serialize;
use utoipa::ToSchema;

use super::store::{self, Grace, NewProof, NewSecret, intents};
use super::vault::IntentId;
use super::{Credential, Status, changed, in_memory};
use crate::app::App;
use crate::doors::extract::{Id, Ids, Json, Page};
use crate::doors::fields;
use crate::doors::openapi::ProblemBody;
use crate::features::agents;
use crate::law::action::{
    Action, CreateCredential, ReadCredentials, RevokeCredential, RotateCredential,
};
use crate::law::caller::Caller;
use crate::law::directory::{AgentFacts, Thumbprint};
use crate::law::permit::Permit;

type Answer<T> = Result<T, Problem>;

const NO_STORE: (HeaderName, HeaderValue) =
    (header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
const LONGEST_GRACE_SECONDS: i64 = 7 * 24 * 3600;

/// A credential, without its secret.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Shown {
    #[schema(value_type = String, format = "uuid")]
    credential_id: CredentialId,
    #[schema(value_type = String, format = "uuid")]
    client_id: AgentId,
    status: Status,
    #[schema(value_type = String, format = "date-time")]
    created_at: Time,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = "date-time")]
    expires_at: Option<Time>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = "date-time")]
    revoked_at: Option<Time>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = "date-time")]
    last_used_at: Option<Time>,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_used_from: Option<String>,
    /// Of the client certificate that proves it in place of a secret (RFC 8705 section 3.1).
    #[serde(skip_serializing_if = "Option::is_none")]
    certificate_thumbprint: Option<String>,
    /// Shown this once: when it is made and when it is rotated.
    #[serde(skip_serializing_if = "Option::is_none")]
    client_secret: Option<String>,
}

impl Shown {
    fn new(credential: Credential, now: Time, secret: Option<&Secret>) -> Self {
        Self {
            status: credential.status(now),
            credential_id: credential.id,
            client_id: credential.agent,
            created_at: credential.created_at,
            expires_at: credential.expires_at,
            revoked_at: credential.revoked_at,
            last_used_at: credential.last_used_at,
            last_used_from: credential.last_used_from,
            certificate_thumbprint: credential.certificate.map(|one| URL_SAFE_NO_PAD.encode(one)),
            client_secret: secret.map(|secret| secret.reveal().to_owned()),
        }
    }
}

/// Make a credential; its secret is shown this once. An agent may make its own.
///
/// With `certificateThumbprint` there is no secret: the agent proves to be itself by a client
/// certificate, at this server and where it asks for tokens (RFC 8705).
#[utoipa::path(post, path = "/api/v1/agents/{id}/credentials", tag = "credentials",
    params(("id" = String, Path, description = "agentId")),
    request_body(content = NewCredential, description = "may be empty"),
    responses((status = 201, body = Shown), (status = 400, body = ProblemBody),
        (status = 401, body = ProblemBody), (status = 403, body = ProblemBody),
        (status = 404, body = ProblemBody), (status = 409, body = ProblemBody),
        (status = 503, body = ProblemBody)))]
pub async fn create(
    State(app): State<App>,
    caller: Caller,
    Id(agent): Id<AgentId>,
    Json(mut fields): Json,
) -> Answer<(StatusCode, [(HeaderName, HeaderValue); 1], Body<Shown>)> {
    let permit = app.law.permit_own::<CreateCredential>(&caller, agent).await?;
    no_more_than_own::<CreateCredential>(&app, &caller, agent).await?;
    let now = app.clock.now();
    let expires_at = fields.optional("expiresAt", fields::time);
    if expires_at.is_some_and(|end| end <= now) {
        fields.fault("expiresAt", "must be in the future");
    }
    let thumbprint = fields.optional("certificateThumbprint", thumbprint);
    fields.finish()?;
    known(&app, permit.tenant(), agent).await?;

    let (credential, secret) = match (thumbprint, &app.vault) {
        (None, Some(vault)) => {
            let (credential, secret) = vault.create(permit, agent, expires_at, now).await?;
            (credential, Some(secret))
        }
        (thumbprint, _) => create_here(&app, permit, agent, (thumbprint, expires_at), now).await?,
    };
    Ok((StatusCode::CREATED, [NO_STORE], Body(Shown::new(credential, now, secret.as_ref()))))
}

/// A credential that the database alone knows.
async fn create_here(
    app: &App,
    permit: Permit<CreateCredential>,
    agent: AgentId,
    (thumbprint, expires_at): (Option<Thumbprint>, Option<Time>),
    now: Time,
) -> Answer<(Credential, Option<Secret>)> {
    let (secret, proof) = match thumbprint {
        Some(thumbprint) => (None, NewProof::Certificate(thumbprint)),
        None => {
            let (secret, digested) = new_secret(app);
            (Some(secret), NewProof::Secret(digested))
        }
    };
    let id = CredentialId::new(now, &app.entropy);
    let event = app.event("credential.generated", now);
    let input = (permit, proof, event, Arc::clone(&app.law.directory));
    let credential = app
        .db
        .write(input, move |tx, (permit, proof, event, directory)| {
            Box::pin(async move {
                agents::store::hold_active(tx, permit.tenant(), agent).await?;
                let ids = (agent, id);
                let made = store::create(tx, permit, ids, proof, expires_at, now).await?;
                changed(tx, permit, event.clone(), &made, directory);
                Ok::<_, Problem>(made)
            })
        })
        .await?;
    Ok((credential, secret))
}

/// SHA-256 of a certificate as RFC 8705 section 3.1 writes it.
fn thumbprint(value: serde_json::Value) -> Result<Thumbprint, String> {
    let bytes = URL_SAFE_NO_PAD.decode(fields::text(value)?).unwrap_or_default();
    bytes
        .try_into()
        .map_err(|_| "must be the SHA-256 of the certificate's DER, as base64url".into())
}

/// What makes a credential.
#[derive(Debug, ToSchema)]
#[schema(rename_all = "camelCase")]
#[expect(dead_code, reason = "describes a body to readers of the API")]
pub struct NewCredential {
    /// RFC 3339; it never expires when absent.
    #[schema(value_type = Option<String>, format = "date-time")]
    expires_at: Option<String>,
    /// base64url SHA-256 of a client certificate's DER, in place of a secret.
    certificate_thumbprint: Option<String>,
}

/// A page of credentials.
#[derive(Debug, Serialize, ToSchema)]
pub struct CredentialPage {
    data: Vec<Shown>,
    page: i64,
    limit: i64,
    total: i64,
}

/// List an agent's credentials, newest first, never a secret. An agent may list its own.
#[utoipa::path(get, path = "/api/v1/agents/{id}/credentials", tag = "credentials",
    params(("id" = String, Path, description = "agentId"), Page),
    responses((status = 200, body = CredentialPage), (status = 401, body = ProblemBody),
        (status = 403, body = ProblemBody), (status = 404, body = ProblemBody)))]
pub async fn list(
    State(app): State<App>,
    caller: Caller,
    Id(agent): Id<AgentId>,
    page: Page,
) -> Answer<Body<CredentialPage>> {
    let permit = app.law.permit_own::<ReadCredentials>(&caller, agent).await?;
    known(&app, permit.tenant(), agent).await?;
    let (found, total) = store::list(&app.db, &permit, agent, page.limit, page.offset()).await?;
    let now = app.clock.now();
    let data = found.into_iter().map(|credential| Shown::new(credential, now, None)).collect();
    Ok(Body(CredentialPage { data, page: page.page, limit: page.limit, total }))
}

/// What rotates a credential.
#[derive(Debug, ToSchema)]
#[schema(rename_all = "camelCase")]
#[expect(dead_code, reason = "describes a body to readers of the API")]
pub struct Rotation {
    /// How long the old secret is still good; at most seven days, not at all when absent.
    grace_seconds: Option<i64>,
}

/// Give a credential a new secret, shown this once. An agent may rotate its own.
#[utoipa::path(post, path = "/api/v1/agents/{id}/credentials/{credentialId}/rotate",
    tag = "credentials", request_body(content = Rotation, description = "may be empty"),
    params(("id" = String, Path, description = "agentId"), ("credentialId" = String, Path)),
    responses((status = 200, body = Shown), (status = 400, body = ProblemBody),
        (status = 401, body = ProblemBody), (status = 403, body = ProblemBody),
        (status = 404, body = ProblemBody), (status = 409, body = ProblemBody),
        (status = 503, body = ProblemBody)))]
pub async fn rotate(
    State(app): State<App>,
    caller: Caller,
    Ids(agent, id): Ids<AgentId, CredentialId>,
    Json(mut fields): Json,
) -> Answer<([(HeaderName, HeaderValue); 1], Body<Shown>)> {
    let permit = app.law.permit_own::<RotateCredential>(&caller, agent).await?;
    no_more_than_own::<RotateCredential>(&app, &caller, agent).await?;
    let grace = fields.optional("graceSeconds", fields::integer(0, LONGEST_GRACE_SECONDS));
    fields.finish()?;
    known(&app, permit.tenant(), agent).await?;

    let now = app.clock.now();
    let grace = grace.and_then(|seconds| u64::try_from(seconds).ok()).filter(|grace| *grace > 0);
    let grace_until = grace.map(|seconds| now + Duration::from_secs(seconds));
    let (credential, secret) = match &app.vault {
        Some(vault) => vault.rotate(permit, (agent, id), grace_until, now).await?,
        None => rotate_here(&app, permit, (agent, id), grace_until, now).await?,
    };
    Ok(([NO_STORE], Body(Shown::new(credential, now, Some(&secret)))))
}

/// A new secret that is kept in the database, wherever the old one is.
async fn rotate_here(
    app: &App,
    permit: Permit<RotateCredential>,
    ids: (AgentId, CredentialId),
    grace_until: Option<Time>,
    now: Time,
) -> Answer<(Credential, Secret)> {
    let (secret, digested) = new_secret(app);
    let mut event = app.event("credential.rotated", now);
    if let Some(until) = grace_until {
        event.meta("graceUntil", until.to_string());
    }
    let grace = Grace { until: grace_until, known: in_memory(&app.law.directory, ids) };
    let erasure = IntentId::new(now, &app.entropy);
    let input = (permit, digested, event, Arc::clone(&app.law.directory));
    let credential = app
        .db
        .write(input, move |tx, (permit, secret, event, directory)| {
            Box::pin(async move {
                agents::store::hold_active(tx, permit.tenant(), ids.0).await?;
                let rotated = store::rotate(tx, permit, ids, secret, grace, now).await?;
                // Vault is not configured: its turn comes when it is.
                intents::erase(tx, permit, &rotated, erasure, now).await?;
                changed(tx, permit, event.clone(), &rotated, directory);
                Ok::<_, Problem>(rotated)
            })
        })
        .await?;
    Ok((credential, secret))
}

/// End a credential, and every token that it asked for. An agent may end its own.
#[utoipa::path(delete, path = "/api/v1/agents/{id}/credentials/{credentialId}",
    tag = "credentials",
    params(("id" = String, Path, description = "agentId"), ("credentialId" = String, Path)),
    responses((status = 204), (status = 401, body = ProblemBody),
        (status = 403, body = ProblemBody), (status = 404, body = ProblemBody),
        (status = 409, body = ProblemBody)))]
pub async fn revoke(
    State(app): State<App>,
    caller: Caller,
    Ids(agent, id): Ids<AgentId, CredentialId>,
) -> Answer<StatusCode> {
    let permit = app.law.permit_own::<RevokeCredential>(&caller, agent).await?;
    let now = app.clock.now();
    let event = app.event("credential.revoked", now);
    let erasure = IntentId::new(now, &app.entropy);
    let erasure = app
        .db
        .write(
            (permit, event, Arc::clone(&app.law.directory)),
            move |tx, (permit, event, directory)| {
                Box::pin(async move {
                    agents::store::hold(tx, permit.tenant(), agent).await?;
                    let revoked = store::revoke(tx, permit, (agent, id), now).await?;
                    let erasure = intents::erase(tx, permit, &revoked, erasure, now).await?;
                    changed(tx, permit, event.clone(), &revoked, directory);
                    Ok::<_, Problem>(erasure)
                })
            },
        )
        .await?;
    if let Some(vault) = &app.vault {
        vault.erase_soon(erasure.into_iter().collect());
    }
    Ok(StatusCode::NO_CONTENT)
}

/// A secret is as good as what its agent holds: whoever could make one for an agent that holds more
/// would gain scopes that nobody gave. So could a token that was asked for with less than its agent
/// holds. For an operator what no role knows does not count: it is not theirs to hold.
async fn no_more_than_own<A: Action>(app: &App, caller: &Caller, agent: AgentId) -> Answer<()> {
    // Whoever is not known here is refused as not found, after what else is wrong.
    let target = app.agent(agent).await?.filter(|found| *found.tenant == *caller.tenant);
    let Some(target) = target else { return Ok(()) };
    let matrix = app.law.matrix();
    let counts = |scope: &&str| caller.agent().is_some() || matrix.knows(scope);
    let lacking: Vec<&str> =
        caller.lacks(&app.law, &target.scopes).into_iter().filter(counts).collect();
    if !lacking.is_empty() {
        let names = lacking.join("`, `");
        let detail = format!("agent `{agent}` holds what you do not: `{names}`");
        app.law.forbid::<A>(caller, &agent.to_string(), detail, &lacking).await?;
    }
    Ok(())
}

/// The agent, as memory has it.
async fn known(app: &App, tenant: &str, agent: AgentId) -> Answer<Arc<AgentFacts>> {
    let found = app.agent(agent).await?.filter(|found| *found.tenant == *tenant);
    found.ok_or_else(|| agents::AgentError::NotFound(agent).into())
}

fn new_secret(app: &App) -> (Secret, NewSecret) {
    let secret = Secret::generate("sk_live_", &app.entropy);
    let key = app.keys.digest();
    let digested = NewSecret { digest: key.digest(secret.reveal()), digest_key: key.version };
    (secret, digested)
}
