//! What a handler takes from a request; what can't be taken is refused as a [`Problem`].

use std::net::{IpAddr, SocketAddr};
use std::pin::pin;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::{FromRequest, FromRequestParts, RawPathParams, Request};
use bytes::Bytes;
use countersign_ground::ids::ParseIdError;
use countersign_ground::problem::{Code, Problem};
use countersign_ground::record::Origin;
use futures_util::future::poll_immediate;
use http::header::{self, HeaderMap};
use http::request::Parts;
use http_body_util::{BodyExt, LengthLimitError, Limited};

use super::fields::Fields;
use crate::app::App;
use crate::law::caller::Caller;

/// The largest body that is read.
pub const MAX_BODY: usize = 1 << 20;
/// How long a body may take to arrive.
const BODY_TIME: Duration = Duration::from_secs(10);
/// How much of a `User-Agent` is kept.
const MAX_USER_AGENT: usize = 256;

/// What the edge notes of every request.
#[derive(Debug, Clone)]
pub struct Arrival {
    /// `X-Request-ID`, given or made.
    pub request_id: Arc<str>,
    /// The other end of the connection.
    pub peer: SocketAddr,
}

impl FromRequestParts<App> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        let origin = origin(parts, app);
        app.law.caller(&parts.headers, origin).await
    }
}

/// Where a request comes from, with the proxies that may speak for others taken away.
#[must_use]
pub fn origin(parts: &Parts, app: &App) -> Origin {
    let arrival = parts.extensions.get::<Arrival>();
    let peer = arrival.map(|arrival| arrival.peer.ip());
    let trusted = |ip: &IpAddr| app.config.trusted_proxies.iter().any(|net| net.contains(ip));
    let user_agent = parts.headers.get(header::USER_AGENT).and_then(|value| value.to_str().ok());
    Origin {
        request_id: arrival.map(|arrival| Arc::clone(&arrival.request_id)),
        ip: peer.map(|peer| client_address(peer.to_canonical(), &parts.headers, trusted)),
        user_agent: user_agent.map(|text| text[..text.len().min(MAX_USER_AGENT)].into()),
    }
}

/// The rightmost hop that is not a trusted proxy.
fn client_address(peer: IpAddr, headers: &HeaderMap, trusted: impl Fn(&IpAddr) -> bool) -> IpAddr {
    if !trusted(&peer) || !headers.contains_key("x-forwarded-for") {
        return peer;
    }
    let lines = headers.get_all("x-forwarded-for").iter().filter_map(|line| line.to_str().ok());
    let hops: Vec<&str> = lines.flat_map(|line| line.split(',')).map(str::trim).collect();
    let mut nearest = peer;
    for hop in hops.into_iter().rev() {
        let Ok(ip) = hop.parse::<IpAddr>() else { break };
        nearest = ip.to_canonical();
        if !trusted(&nearest) {
            break;
        }
    }
    nearest
}

/// One id of the path.
pub struct Id<T>(pub T);

impl<T: FromStr<Err = ParseIdError> + Send> FromRequestParts<App> for Id<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        let params = path(parts, app).await?;
        let (name, text) = params.into_iter().next().unwrap_or_default();
        Ok(Self(id(&name, &text)?))
    }
}

/// Two ids of the path.
pub struct Ids<T, U>(pub T, pub U);

impl<T, U> FromRequestParts<App> for Ids<T, U>
where
    T: FromStr<Err = ParseIdError> + Send,
    U: FromStr<Err = ParseIdError> + Send,
{
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        let mut params = path(parts, app).await?.into_iter();
        let mut next = || params.next().unwrap_or_default();
        let ((first, one), (second, two)) = (next(), next());
        match (one.parse(), two.parse()) {
            (Ok(one), Ok(two)) => Ok(Self(one, two)),
            (one, two) => {
                let faults = [(first, one.err()), (second, two.err())].into_iter();
                let named = faults.filter_map(|(name, error)| Some((name, error?.to_string())));
                Err(Problem::fields(named))
            }
        }
    }
}

async fn path(parts: &mut Parts, app: &App) -> Result<Vec<(String, String)>, Problem> {
    let invalid = |_| Problem::new(Code::Validation, "the path is not valid UTF-8");
    let params = RawPathParams::from_request_parts(parts, app).await.map_err(invalid)?;
    Ok(params.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect())
}

fn id<T: FromStr<Err = ParseIdError>>(name: &str, text: &str) -> Result<T, Problem> {
    text.parse().map_err(|error: ParseIdError| Problem::fields([(name, error.to_string())]))
}

/// The parameters of the query.
pub struct Query(pub Fields);

impl FromRequestParts<App> for Query {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &App) -> Result<Self, Problem> {
        Ok(Self(Fields::from_query(parts.uri.query().unwrap_or_default())))
    }
}

/// A JSON body; an empty one, if `Content-Type` is absent too, is an empty object.
pub struct Json(pub Fields);

impl FromRequest<App> for Json {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &App) -> Result<Self, Problem> {
        let kind = content_type(request.headers()).map(str::to_ascii_lowercase);
        let body = read(request.into_body()).await?;
        match kind.as_deref() {
            None if body.is_empty() => return Ok(Self(empty())),
            Some("application/json") if body.is_empty() => return Ok(Self(empty())),
            Some("application/json") => {}
            _ => {
                let detail = "the body must be `Content-Type: application/json`";
                return Err(Problem::new(Code::UnsupportedMediaType, detail));
            }
        }
        Fields::from_json(&body).map(Self).map_err(|error| {
            Problem::new(Code::Validation, format!("the body is not a JSON object: {error}"))
        })
    }
}

fn empty() -> Fields {
    Fields::from_query("")
}

/// `Content-Type` without its parameters.
#[must_use]
pub fn content_type(headers: &HeaderMap) -> Option<&str> {
    let value = headers.get(header::CONTENT_TYPE)?.to_str().unwrap_or("unreadable");
    Some(value.split(';').next().unwrap_or_default().trim())
}

/// The whole body, within bounds of size and time.
///
/// # Errors
/// 413 when it is too large, 400 when it does not arrive.
pub async fn read(body: Body) -> Result<Bytes, Problem> {
    let mut collecting = pin!(Limited::new(body, MAX_BODY).collect());
    // Most bodies came with their heads, and need no timer.
    let collected = match poll_immediate(collecting.as_mut()).await {
        Some(collected) => Ok(collected),
        None => Box::pin(tokio::time::timeout(BODY_TIME, collecting)).await,
    };
    match collected {
        Ok(Ok(body)) => Ok(body.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => {
            let detail = format!("the body is larger than {MAX_BODY} bytes");
            Err(Problem::new(Code::PayloadTooLarge, detail))
        }
        Ok(Err(_)) => Err(Problem::new(Code::Validation, "the body was cut short")),
        Err(_) => Err(Problem::new(Code::Validation, "the body took too long to arrive")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_trusted_hops_are_believed_and_the_rightmost_other_one_counts() {
        let trusted = |ip: &IpAddr| ip.is_loopback() || ip.to_string().starts_with("10.");
        let client = |peer: &str, forwarded: &[&str]| {
            let mut headers = HeaderMap::new();
            for line in forwarded {
                headers.append("x-forwarded-for", line.parse().unwrap());
            }
            client_address(peer.parse().unwrap(), &headers, trusted).to_string()
        };
        assert_eq!(client("192.0.2.1", &["198.51.100.7"]), "192.0.2.1", "not trusted");
        assert_eq!(client("127.0.0.1", &[]), "127.0.0.1");
        assert_eq!(client("127.0.0.1", &["198.51.100.7"]), "198.51.100.7");
        assert_eq!(client("127.0.0.1", &["1.1.1.1, 198.51.100.7", "10.0.0.1"]), "198.51.100.7");
        assert_eq!(client("127.0.0.1", &["198.51.100.7, nonsense"]), "127.0.0.1");
        assert_eq!(client("127.0.0.1", &["::ffff:198.51.100.7"]), "198.51.100.7");
    }
}
