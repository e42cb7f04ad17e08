//! Client authentication: `client_secret_basic` and `client_secret_post` (RFC 6749 section 2.3.1).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use countersign_ground::clock::Time;
use countersign_ground::ids::AgentId;
use http::{HeaderMap, header};

use super::error::OAuthError;
use super::form::{OAuthRequest, Params};
use crate::app::App;
use crate::features::credentials::vault::out_of_reach;
use crate::law::Client;
use crate::law::caller::MACHINE_HEADERS;

struct Presented {
    id: String,
    secret: String,
    basic: bool,
}

/// Proves which client is asking. `None` when no client credentials were presented.
///
/// # Errors
/// `invalid_client`, the same whatever was wrong; `invalid_request` for two ways at once.
pub async fn authenticate(
    app: &App,
    request: &OAuthRequest,
    params: &Params<'_>,
) -> Result<Option<Client>, OAuthError> {
    let presented = match presented(&request.headers, params) {
        Ok(Some(presented)) => presented,
        Ok(None) => return certified(app, request, params).await,
        Err(OAuthError::InvalidClient { basic }) => return Err(refuse(app, request, basic).await?),
        Err(malformed) => return Err(malformed),
    };
    app.law.following.fresh().await?;
    let now = app.clock.now();
    // An id that is none is looked up all the same, so that it takes as long.
    let id = presented.id.parse().unwrap_or_else(|_| AgentId::new(now, &app.entropy));
    let client = match app.law.client_anywhere(id, &presented.secret, now).await? {
        Some(client) => Some(client),
        None => unread(app, id, &presented.secret, now).await?,
    };
    match client {
        Some(client) => admitted(app, client).await.map(Some),
        None => Err(refuse(app, request, presented.basic).await?),
    }
}

/// The client, if its secret is one that memory did not have yet.
async fn unread(
    app: &App,
    id: AgentId,
    secret: &str,
    now: Time,
) -> Result<Option<Client>, OAuthError> {
    let agent = app.law.directory.agent(id).filter(|agent| agent.unread(now).next().is_some());
    let Some(agent) = agent else { return Ok(None) };
    let learnt = match &app.vault {
        Some(vault) => vault.learn(&agent, now).await,
        None => Err(out_of_reach()),
    };
    match app.law.client(id, secret, now) {
        Some(client) => Ok(Some(client)),
        // Which of its secrets this would have been is not known.
        None => learnt.map(|()| None).map_err(OAuthError::from),
    }
}

/// A client that names itself and proves it by its certificate (RFC 8705 section 2).
async fn certified(
    app: &App,
    request: &OAuthRequest,
    params: &Params<'_>,
) -> Result<Option<Client>, OAuthError> {
    let (Some(id), Some(thumbprint)) = (params.get("client_id"), &request.certificate) else {
        return Ok(None);
    };
    app.law.following.fresh().await?;
    let found = || app.law.client_by_certificate(thumbprint, app.clock.now());
    let found = match found() {
        None if app.law.following.may_know_more().await? => found(),
        found => found,
    };
    match found.filter(|client| *client.agent.name == *id) {
        Some(client) => admitted(app, client).await.map(Some),
        None => Err(refuse(app, request, false).await?),
    }
}

/// A client that its plan allows one more request.
async fn admitted(app: &App, client: Client) -> Result<Client, OAuthError> {
    app.law.admit(client.agent.id, &client.agent.tenant).await?;
    Ok(client)
}

/// Records a failed attempt; gives the refusal.
///
/// # Errors
/// When it can't be recorded.
pub async fn refuse(
    app: &App,
    request: &OAuthRequest,
    basic: bool,
) -> Result<OAuthError, OAuthError> {
    app.law.auth_failed("invalid-client", request.origin.clone()).await?;
    Ok(OAuthError::InvalidClient { basic })
}

fn presented(headers: &HeaderMap, params: &Params<'_>) -> Result<Option<Presented>, OAuthError> {
    let basic = basic(headers)?;
    let posted = params.get("client_secret").map(|secret| Presented {
        id: params.get("client_id").unwrap_or_default().to_owned(),
        secret: secret.to_owned(),
        basic: false,
    });
    let other = || {
        headers.contains_key(header::AUTHORIZATION)
            || MACHINE_HEADERS.iter().any(|name| headers.contains_key(name))
    };
    match (basic, posted) {
        // Section 2.3: not more than one method in a request.
        (_, Some(_)) if other() => Err(OAuthError::InvalidRequest(
            "credentials in the headers and in the body: send one of them".into(),
        )),
        (Some(basic), None) if params.get("client_id").is_some_and(|id| id != basic.id) => Err(
            OAuthError::InvalidRequest("`client_id` differs from the Authorization header".into()),
        ),
        (basic, posted) => Ok(basic.or(posted)),
    }
}

fn basic(headers: &HeaderMap) -> Result<Option<Presented>, OAuthError> {
    let mut values = headers.get_all(header::AUTHORIZATION).iter();
    let Some(value) = values.next() else { return Ok(None) };
    if values.next().is_some() {
        return Err(OAuthError::InvalidRequest("more than one Authorization header".into()));
    }
    let Some((scheme, encoded)) = value.to_str().ok().and_then(|value| value.split_once(' '))
    else {
        return Err(OAuthError::InvalidClient { basic: true });
    };
    if !scheme.eq_ignore_ascii_case("basic") {
        return Ok(None);
    }
    let decoded =
        STANDARD.decode(encoded.trim()).ok().and_then(|bytes| String::from_utf8(bytes).ok());
    let decoded = decoded.ok_or(OAuthError::InvalidClient { basic: true })?;
    let (id, secret) = decoded.split_once(':').ok_or(OAuthError::InvalidClient { basic: true })?;
    Ok(Some(Presented { id: form_decoded(id), secret: form_decoded(secret), basic: true }))
}

/// Section 2.3.1: both halves are form-encoded before they are joined.
fn form_decoded(text: &str) -> String {
    let whole = form_urlencoded::parse(text.as_bytes()).next();
    match whole {
        Some((name, value)) if value.is_empty() && !text.contains(['=', '&']) => name.into_owned(),
        _ => text.to_owned(),
    }
}
