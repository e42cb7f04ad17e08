//! `POST /api/v1/token`: an access token for an agent (RFC 6749 section 4.4, RFC 9068).

use std::net::IpAddr;
use std::sync::Arc;

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use countersign_ground::clock::Time;
use countersign_ground::keyring::RingKey;
use countersign_ground::problem::Problem;
use countersign_ground::record::Event;
use countersign_policy::Permissions;
use http::{HeaderName, HeaderValue, header};
use serde::Serialize;
use utoipa::ToSchema;

use super::client::{authenticate, refuse};
use super::error::OAuthError;
use super::form::{OAuthRequest, Params};
use crate::app::App;
use crate::doors::openapi::OAuthErrorBody;
use crate::features::quotas::{self, Taken};
use crate::law::Client;
use crate::law::directory::{AgentFacts, Standing};
use crate::law::token::{Claims, Confirmation, TokenId};

/// An issued token (section 5.1).
#[derive(Debug, Serialize, ToSchema)]
pub struct Issued {
    /// A JWT of RFC 9068.
    pub access_token: String,
    /// Always `Bearer`.
    pub token_type: &'static str,
    /// Seconds.
    pub expires_in: u64,
    /// What it may be used for.
    pub scope: String,
}

/// What asks for a token.
#[derive(Debug, ToSchema)]
#[expect(dead_code, reason = "describes a body to readers of the API")]
pub struct TokenForm {
    /// `client_credentials`.
    grant_type: String,
    /// The agentId, unless HTTP Basic carries it.
    client_id: Option<String>,
    /// The secret, unless HTTP Basic carries it.
    client_secret: Option<String>,
    /// Permissions with spaces between; all that the agent may have when absent.
    scope: Option<String>,
    /// Audiences (RFC 8707); may be repeated.
    resource: Option<String>,
}

const HEADERS: [(HeaderName, HeaderValue); 3] = [
    (header::CONTENT_TYPE, HeaderValue::from_static("application/json")),
    (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
    (header::PRAGMA, HeaderValue::from_static("no-cache")),
];

/// Get an access token with client credentials.
#[utoipa::path(post, path = "/api/v1/token", tag = "tokens",
    request_body(content = TokenForm, content_type = "application/x-www-form-urlencoded"),
    responses((status = 200, body = Issued), (status = 400, body = OAuthErrorBody),
        (status = 401, body = OAuthErrorBody), (status = 403, body = OAuthErrorBody),
        (status = 503, body = OAuthErrorBody)))]
pub async fn issue(State(app): State<App>, request: OAuthRequest) -> Result<Response, OAuthError> {
    let Made { claims, scopes, access_token, event, at, from, taken } = make(&app, request).await?;
    // The answer leaves only after the event is durable.
    app.record.append(event).await?;
    app.law.following.still_fresh().await?;
    // What was suspended or revoked meanwhile gets no answer: its token would be dead anyway.
    still_active(&app, &claims, at)?;
    if let Some(taken) = taken {
        taken.used();
    }
    app.activity.issued(claims.sub, claims.cred, (at, Time::from_seconds(claims.exp)), from);
    app.metrics.token_issued(&scopes, &app.law.matrix());

    let expires_in = app.token_ttl().as_secs();
    let issued = Issued { access_token, token_type: "Bearer", expires_in, scope: claims.scope };
    let body = serde_json::to_vec(&issued).map_err(Problem::internal)?;
    Ok((HEADERS, body).into_response())
}

/// A token that nobody has seen yet.
struct Made<'a> {
    claims: Claims,
    scopes: Permissions,
    access_token: String,
    event: Event,
    at: Time,
    from: Option<IpAddr>,
    /// What its plan allows and is now used up by it.
    taken: Option<Taken<'a>>,
}

/// The request has gone when the record is waited for.
async fn make(app: &App, request: OAuthRequest) -> Result<Made<'_>, OAuthError> {
    let params = request.params(&["resource"])?;
    let grant_type = params.required("grant_type")?;
    let client = match authenticate(app, &request, &params).await? {
        Some(client) => client,
        None => return Err(refuse(app, &request, false).await?),
    };
    if grant_type != "client_credentials" {
        return Err(OAuthError::UnsupportedGrantType);
    }
    require_active(app, &request, &client).await?;
    let scopes = scopes(&params, &client.agent)?;
    let audience = audience(&params, &client.agent, &app.law.issuer)?;

    let taken = take_quota(app, &client.agent).await?;
    let no_key = || Problem::internal("the key ring has no active token key");
    let key = app.keys.signing().ok_or_else(no_key)?;
    let at = app.clock.now();
    let claims = claims(app, &client, &scopes, audience, at);
    let json = serde_json::to_vec(&claims).map_err(Problem::internal)?;
    let access_token = key.key.sign(&json).map_err(Problem::internal)?;
    key.note_signed(at, Time::from_seconds(claims.exp));
    let event = issued_event(app, &request, &client, &claims, &key, at);
    Ok(Made { claims, scopes, access_token, event, at, from: request.origin.ip, taken })
}

/// One of the tokens that the client's plan allows this month, where it says how many.
async fn take_quota<'a>(app: &'a App, agent: &AgentFacts) -> Result<Option<Taken<'a>>, OAuthError> {
    let Some(most) = app.law.directory.limits(&agent.tenant).tokens_a_month else {
        return Ok(None);
    };
    let now = app.clock.now();
    if let Some(taken) = app.quotas.take(agent.id, most, now) {
        return Ok(Some(taken?));
    }
    // What is noted and not stored yet counts, too.
    app.activity.flush_agent(&app.db, agent.id).await?;
    let stored = quotas::store::count(&app.db, agent.id, now.month()).await?;
    app.quotas.learn(agent.id, now.month(), stored);
    app.quotas.take(agent.id, most, now).transpose().map_err(OAuthError::from)
}

/// Refuses, and records, a client that proved to be itself but may not act.
///
/// # Errors
/// `unauthorized_client`.
pub(super) async fn require_active(
    app: &App,
    request: &OAuthRequest,
    client: &Client,
) -> Result<(), OAuthError> {
    let Err(refusal) = active(&client.agent) else { return Ok(()) };
    app.law.agent_refused(&client.agent, request.origin.clone()).await?;
    Err(refusal)
}

fn active(agent: &AgentFacts) -> Result<(), OAuthError> {
    match agent.standing {
        Standing::Active => Ok(()),
        Standing::Suspended => Err(OAuthError::UnauthorizedClient("the agent is suspended")),
        Standing::Decommissioned => {
            Err(OAuthError::UnauthorizedClient("the agent is decommissioned"))
        }
    }
}

fn still_active(app: &App, claims: &Claims, now: Time) -> Result<(), OAuthError> {
    let agent = app.law.directory.agent(claims.sub);
    let agent = agent.ok_or(OAuthError::UnauthorizedClient("the agent is gone"))?;
    active(&agent)?;
    if agent.generation == claims.r#gen && agent.live_credential(claims.cred, now).is_some() {
        Ok(())
    } else {
        Err(OAuthError::UnauthorizedClient("the agent or its credential was stopped meanwhile"))
    }
}

fn scopes(params: &Params<'_>, agent: &AgentFacts) -> Result<Permissions, OAuthError> {
    let Some(wanted) = params.get("scope") else {
        return if agent.scopes.is_empty() {
            Err(OAuthError::InvalidScope("the agent holds no scope".into()))
        } else {
            Ok(Permissions::clone(&agent.scopes))
        };
    };
    let malformed = |error: countersign_policy::InvalidPermission| {
        OAuthError::InvalidScope(format!("the scope is malformed: {error}"))
    };
    let wanted = Permissions::from_scope(wanted).map_err(malformed)?;
    if let Some(lacking) = wanted.iter().find(|scope| !agent.scopes.holds(scope.as_str())) {
        return Err(OAuthError::InvalidScope(format!("the agent does not hold `{lacking}`")));
    }
    Ok(wanted)
}

/// RFC 8707 section 2. Without `resource`, the token is for this server.
fn audience(
    params: &Params<'_>,
    agent: &AgentFacts,
    issuer: &Arc<str>,
) -> Result<Vec<Arc<str>>, OAuthError> {
    let mut audience: Vec<Arc<str>> = Vec::with_capacity(1);
    for resource in params.all("resource") {
        let known = if resource == &**issuer {
            Arc::clone(issuer)
        } else if agent.allowed_resources.iter().any(|allowed| allowed == resource) {
            resource.into()
        } else {
            let shown: String = resource.chars().take(256).collect();
            let what = format!("the agent may not ask for a token for `{shown}`");
            return Err(OAuthError::InvalidTarget(what));
        };
        if !audience.contains(&known) {
            audience.push(known);
        }
    }
    if audience.is_empty() {
        audience.push(Arc::clone(issuer));
    }
    Ok(audience)
}

fn claims(
    app: &App,
    client: &Client,
    scopes: &Permissions,
    aud: Vec<Arc<str>>,
    now: Time,
) -> Claims {
    let iat = now.seconds();
    let ttl = i64::try_from(app.token_ttl().as_secs()).unwrap_or(i64::MAX);
    Claims {
        iss: Arc::clone(&app.law.issuer),
        sub: client.agent.id,
        client_id: client.agent.id,
        aud,
        scope: scopes.to_scope(),
        jti: TokenId::new(&app.entropy),
        iat,
        nbf: iat,
        exp: iat.saturating_add(ttl),
        tenant: Arc::clone(&client.agent.tenant),
        cred: client.credential,
        r#gen: client.agent.generation,
        cnf: client.certificate.as_ref().map(Confirmation::of),
    }
}

fn issued_event(
    app: &App,
    request: &OAuthRequest,
    client: &Client,
    claims: &Claims,
    key: &RingKey,
    at: Time,
) -> Event {
    let mut event = app.event("token.issued", at);
    event.tenant = Arc::clone(&claims.tenant);
    event.actor = client.agent.actor();
    event.agent = Some(claims.sub);
    event.origin = request.origin.clone();
    if claims.aud.len() != 1 || claims.aud[0] != app.law.issuer {
        event.meta("audience", claims.aud.iter().map(ToString::to_string).collect::<Vec<_>>());
    }
    event.meta("credentialId", claims.cred.to_string());
    event.meta("expiresAt", claims.exp);
    event.meta("gen", claims.r#gen);
    event.meta("jti", claims.jti.to_string());
    event.meta("kid", key.key.kid().to_owned());
    event.meta("scope", claims.scope.clone());
    event
}
