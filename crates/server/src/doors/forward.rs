//! `/v1/forward-auth`: may this request pass? For `auth_request` of nginx, and `forward_auth` of Caddy and Traefik.

use axum::extract::{Request, State};
use axum::response::Response;
use countersign_ground::problem::{Code, Problem};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};

use super::extract::{Arrival, origin};
use super::openapi::ProblemBody;
use super::tls::certificate_handed_on;
use crate::app::App;
use crate::law::caller::Who;
use crate::law::directory::Thumbprint;
use crate::law::passage::{Asked, DECISION_ID, Passage};

const METHOD: HeaderName = HeaderName::from_static("x-forwarded-method");
const TARGET: HeaderName = HeaderName::from_static("x-forwarded-uri");
const HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
/// Who asks, for the service behind the gateway.
const CALLER_ID: HeaderName = HeaderName::from_static("x-caller-id");
const CALLER_TYPE: HeaderName = HeaderName::from_static("x-caller-type");
const CALLER_ROLES: HeaderName = HeaderName::from_static("x-caller-roles");

/// Whether a request may pass that has reached a gateway, by the route table. The gateway itself needs no credential;
/// the request that it forwards brings its own.
#[utoipa::path(get, path = "/v1/forward-auth", tag = "gateways",
    params(("x-forwarded-method" = String, Header), ("x-forwarded-uri" = String, Header),
        ("x-forwarded-host" = String, Header)),
    responses((status = 200, description = "it may", headers(("x-caller-id" = String),
            ("x-caller-type" = String), ("x-caller-roles" = String), ("x-decision-id" = String))),
        (status = 401, body = ProblemBody), (status = 403, body = ProblemBody),
        (status = 503, body = ProblemBody)))]
pub async fn forward_auth(State(app): State<App>, request: Request) -> Result<Response, Problem> {
    let (parts, _) = request.into_parts();
    let arrival = parts.extensions.get::<Arrival>();
    let trusted = arrival.is_some_and(|arrival| app.trusts(arrival.peer.address.ip()));
    if !trusted {
        return Err(refused("only a trusted proxy may ask: add its address to TRUSTED_PROXIES"));
    }
    let asked = Asked {
        method: once(&parts.headers, &METHOD)?,
        target: once(&parts.headers, &TARGET)?,
        host: once(&parts.headers, &HOST)?,
    };
    let origin = origin(&parts, &app);
    let certificate = certificate(&app, &parts.headers)?;
    let ruled = app.law.pass(&asked, &parts.headers, certificate.as_ref(), origin).await?;
    drop(parts);
    let passage = ruled.recorded().await?;
    noted(&app, &passage);
    let mut response = Response::default();
    *response.status_mut() = StatusCode::OK;
    for (name, value) in told(&passage) {
        response.headers_mut().insert(name, value);
    }
    Ok(response)
}

/// Notes that an operator asked.
pub(super) fn noted(app: &App, passage: &Passage) {
    if let Who::Operator(_, token) = &passage.who {
        app.activity.operator_seen(&token.id, app.clock.now());
    }
}

/// Who asks, always in the same headers: what is not known is empty, so that what a client sent in them goes no
/// further.
pub(super) fn told(passage: &Passage) -> [(HeaderName, HeaderValue); 4] {
    let (kind, id, roles) = match &passage.who {
        Who::Anonymous => ("", text(""), text("")),
        Who::Agent(token) => ("agent", text(&token.subject), text("")),
        Who::Machine => ("machine", text("machine"), text("machine")),
        Who::Operator(operator, _) => {
            let roles: Vec<&str> = operator.roles().collect();
            ("operator", text(operator.id.as_str()), text(&roles.join(",")))
        }
    };
    let decision = text(passage.decision.as_deref().unwrap_or_default());
    [
        (CALLER_ID, id),
        (CALLER_TYPE, HeaderValue::from_static(kind)),
        (CALLER_ROLES, roles),
        (DECISION_ID, decision),
    ]
}

fn text(text: &str) -> HeaderValue {
    HeaderValue::from_str(text).unwrap_or(HeaderValue::from_static(""))
}

/// The certificate that the client has proved to own, where gateways are said to hand it on. That of the connection is
/// the gateway's.
fn certificate(app: &App, headers: &HeaderMap) -> Result<Option<Thumbprint>, Problem> {
    let Some(name) = &app.config.client_cert_header else { return Ok(None) };
    let mut values = headers.get_all(name).iter();
    let value = match (values.next(), values.next()) {
        (Some(value), None) => value.to_str().unwrap_or("?"),
        (None, _) => return Ok(None),
        (Some(_), Some(_)) => return Err(refused(format!("`{name}` is there more than once"))),
    };
    // What a client without a certificate has.
    if matches!(value.trim(), "" | "::") {
        return Ok(None);
    }
    let unreadable = || {
        let how = "PEM with URL escapes, DER in Base64, or as RFC 9440 has it";
        refused(format!("`{name}` holds no certificate: the gateway must send {how}"))
    };
    certificate_handed_on(value).map(Some).ok_or_else(unreadable)
}

/// A header that the gateway sets, and nobody beside it.
fn once<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Result<&'h str, Problem> {
    let mut values = headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (Some(value), None) => {
            // What is not ASCII is ambiguous, whatever it means.
            str::from_utf8(value.as_bytes()).map_err(|_| refused(format!("`{name}` is not UTF-8")))
        }
        (None, _) => Err(refused(format!("the gateway must send `{name}`"))),
        (Some(_), Some(_)) => Err(refused(format!("`{name}` is there more than once"))),
    }
}

pub(super) fn refused(detail: impl Into<String>) -> Problem {
    Problem::new(Code::Forbidden, detail.into())
        .with("error", "forbidden")
        .with("reason", "untrusted-gateway")
}
