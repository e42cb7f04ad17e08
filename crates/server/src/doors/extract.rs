//! What a handler takes from a request; what can't be taken is refused as a [`Problem`].

use std::net::IpAddr;
use std::pin::pin;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::{FromRequest, FromRequestParts, RawPathParams, Request};
use bytes::{Bytes, BytesMut};
use countersign_ground::aside;
use countersign_ground::ids::ParseIdError;
use countersign_ground::problem::{Code, Problem};
use countersign_ground::record::Origin;
use countersign_ground::text::Text;
use futures_util::future::poll_immediate;
use http::Extensions;
use http::header::{self, HeaderMap};
use http::request::Parts;
use http_body::Body as _;
use http_body_util::{BodyExt, LengthLimitError, Limited};

use utoipa::IntoParams;

use super::edge::Peer;
use super::fields::{self, Fields};
use crate::app::App;
use crate::law::caller::{Caller, Who};
use crate::law::directory::Thumbprint;

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
    pub peer: Peer,
}

/// The client certificate of a request's connection.
#[must_use]
pub fn certificate(extensions: &Extensions) -> Option<&Thumbprint> {
    extensions.get::<Arrival>()?.peer.certificate.as_ref()
}

impl FromRequestParts<App> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        let origin = origin(parts, app);
        // Who changes something must be who they are now; without the database they change nothing.
        if !parts.method.is_safe() {
            app.law.following.fresh().await?;
        }
        caller(app, &parts.headers, certificate(&parts.extensions), origin).await
    }
}

/// Whoever asks; that an operator did is noted.
///
/// # Errors
/// As [`crate::law::Law::caller`].
pub async fn caller(
    app: &App,
    headers: &HeaderMap,
    certificate: Option<&Thumbprint>,
    origin: Origin,
) -> Result<Caller, Problem> {
    let caller = app.law.caller(headers, certificate, origin).await?;
    if let Who::Operator(_, token) = &caller.who {
        app.activity.operator_seen(&token.id, app.clock.now());
    }
    Ok(caller)
}

/// Where a request comes from, with the proxies that may speak for others taken away.
#[must_use]
pub fn origin(parts: &Parts, app: &App) -> Origin {
    let arrival = parts.extensions.get::<Arrival>();
    let peer = arrival.map(|arrival| arrival.peer.address.ip());
    Origin {
        request_id: arrival.map(|arrival| Arc::clone(&arrival.request_id)),
        ip: peer
            .map(|peer| client_address(peer.to_canonical(), &parts.headers, |ip| app.trusts(*ip))),
        user_agent: user_agent(&parts.headers),
        asked: app
            .law
            .policies()
            .authz
            .as_ref()
            .map(|_| Arc::new((parts.method.as_str().to_owned(), parts.uri.path().to_owned()))),
    }
}

/// What the client calls itself, shortened.
pub(super) fn user_agent(headers: &HeaderMap) -> Option<Arc<str>> {
    let text = headers.get(header::USER_AGENT)?.to_str().ok()?;
    Some(text[..text.len().min(MAX_USER_AGENT)].into())
}

/// The rightmost hop that is not a trusted proxy.
pub(super) fn client_address(
    peer: IpAddr,
    headers: &HeaderMap,
    trusted: impl Fn(&IpAddr) -> bool,
) -> IpAddr {
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

/// One name of the path, as it was typed.
pub struct Name(pub String);

impl FromRequestParts<App> for Name {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        let (name, text) = path(parts, app).await?.into_iter().next().unwrap_or_default();
        if text.len() > LONGEST_NAME || text.contains(char::is_control) {
            let what = format!("must have at most {LONGEST_NAME} characters, none of them control");
            return Err(Problem::fields([(name, what)]));
        }
        Ok(Self(text))
    }
}

const LONGEST_NAME: usize = 256;

/// Which page of a listing that has no other parameters.
#[derive(Debug, Clone, Copy, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct Page {
    /// From 1.
    #[param(value_type = Option<i64>)]
    pub page: i64,
    /// At most 100; 20 when absent.
    #[param(value_type = Option<i64>)]
    pub limit: i64,
}

impl Page {
    /// Reads both from a query that may hold more.
    pub fn take(query: &mut Fields) -> Self {
        Self {
            page: query.optional("page", fields::query_integer(1, 1_000_000)).unwrap_or(1),
            limit: query.optional("limit", fields::query_integer(1, 100)).unwrap_or(20),
        }
    }

    /// How many come before it.
    #[must_use]
    pub fn offset(self) -> i64 {
        (self.page - 1).saturating_mul(self.limit)
    }
}

impl FromRequestParts<App> for Page {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        let Query(mut query) = Query::from_request_parts(parts, app).await?;
        let page = Self::take(&mut query);
        query.finish()?;
        Ok(page)
    }
}

/// The parameters of the query.
pub struct Query(pub Fields);

impl FromRequestParts<App> for Query {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &App) -> Result<Self, Problem> {
        Ok(Self(Fields::from_query(parts.uri.query().unwrap_or_default())))
    }
}

/// The tags of `If-Match` (RFC 9110 section 13.1.1), any of which must match; `None` when there is
/// no condition. `*` matches whatever there is. Our tags hold no comma.
pub struct IfMatch(pub Option<Vec<String>>);

impl FromRequestParts<App> for IfMatch {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &App) -> Result<Self, Problem> {
        let lines = parts.headers.get_all(header::IF_MATCH).iter();
        let lines: Vec<&str> = lines.map(|line| line.to_str().unwrap_or_default()).collect();
        let tags = lines.iter().flat_map(|line| line.split(',')).map(|tag| tag.trim().to_owned());
        let tags: Vec<String> = tags.collect();
        let any = lines.is_empty() || tags.iter().any(|tag| tag == "*");
        Ok(Self((!any).then_some(tags)))
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
            Some(JSON) if body.is_empty() => return Ok(Self(empty())),
            Some(JSON) => {}
            _ => return Err(not_json()),
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

/// A JSON body, not yet read.
pub struct JsonText(Bytes);

impl JsonText {
    /// Its text.
    ///
    /// # Errors
    /// 400 when it is not UTF-8.
    pub fn text(&self) -> Result<&str, Problem> {
        str::from_utf8(&self.0).map_err(|_| not_utf8())
    }
}

impl FromRequest<App> for JsonText {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &App) -> Result<Self, Problem> {
        if !content_type(request.headers()).is_some_and(|kind| kind.eq_ignore_ascii_case(JSON)) {
            return Err(not_json());
        }
        read(request.into_body()).await.map(Self)
    }
}

const JSON: &str = "application/json";

fn not_json() -> Problem {
    let detail = "the body must be `Content-Type: application/json`";
    Problem::new(Code::UnsupportedMediaType, detail)
}

fn not_utf8() -> Problem {
    Problem::new(Code::Validation, "the body is not UTF-8")
}

/// A JSON body that may be large: read only once it is known that the caller may send it.
pub struct LargeText(Body);

impl FromRequest<App> for LargeText {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &App) -> Result<Self, Problem> {
        match content_type(request.headers()) {
            Some(kind) if kind.eq_ignore_ascii_case(JSON) => Ok(Self(request.into_body())),
            _ => Err(not_json()),
        }
    }
}

impl LargeText {
    /// Its bytes; whether they are UTF-8 is found where they are read.
    ///
    /// # Errors
    /// 413 when it is too large, 400 when it does not arrive.
    pub async fn read(self) -> Result<Text, Problem> {
        let size = announced(&self.0, LARGE_BODY)?;
        let text = tokio::time::timeout(LARGE_BODY_TIME, gathered(self.0, size));
        text.await.map_err(|_| too_slow())?
    }
}

/// Puts the pieces together beside the work: where the network is quick, the next is always there.
async fn gathered(body: Body, size: usize) -> Result<Text, Problem> {
    let no_room = || Problem::internal("no room for a body");
    let mut text = Text::with_capacity(size).map_err(|_| no_room())?;
    let mut body = pin!(Limited::new(body, LARGE_BODY));
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| cut_short(&*error, LARGE_BODY))?;
        let Ok(piece) = frame.into_data() else { continue };
        let push = move || text.push(&piece).map(|()| text);
        text = aside::run(push).await.and_then(Result::ok).ok_or_else(no_room)?;
    }
    Ok(text)
}

const LARGE_BODY: usize = 256 << 20;
const LARGE_BODY_TIME: Duration = Duration::from_secs(120);

/// The whole body, within bounds of size and time.
///
/// # Errors
/// 413 when it is too large, 400 when it does not arrive.
pub async fn read(body: Body) -> Result<Bytes, Problem> {
    collect(body, MAX_BODY, BODY_TIME).await
}

fn too_large(most: usize) -> Problem {
    Problem::new(Code::PayloadTooLarge, format!("the body is larger than {most} bytes"))
}

fn too_slow() -> Problem {
    Problem::new(Code::Validation, "the body took too long to arrive")
}

fn cut_short(error: &(dyn std::error::Error + Send + Sync + 'static), most: usize) -> Problem {
    if error.is::<LengthLimitError>() {
        return too_large(most);
    }
    Problem::new(Code::Validation, "the body was cut short")
}

/// How large a body is by its own word, before any of it is read.
fn announced(body: &Body, most: usize) -> Result<usize, Problem> {
    let size = usize::try_from(body.size_hint().lower()).unwrap_or(usize::MAX);
    if size > most { Err(too_large(most)) } else { Ok(size) }
}

async fn collect(body: Body, most: usize, patience: Duration) -> Result<Bytes, Problem> {
    announced(&body, most)?;
    let mut collecting = pin!(joined(body, most));
    // Most bodies came with their heads, and need no timer.
    match poll_immediate(collecting.as_mut()).await {
        Some(collected) => collected,
        None => {
            Box::pin(tokio::time::timeout(patience, collecting)).await.map_err(|_| too_slow())?
        }
    }
}

/// A body as one piece, which most are.
async fn joined(body: Body, most: usize) -> Result<Bytes, Problem> {
    let mut body = pin!(Limited::new(body, most));
    let mut whole = Bytes::new();
    let mut longer = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| cut_short(&*error, most))?;
        let Ok(piece) = frame.into_data() else { continue };
        if whole.is_empty() && longer.is_empty() {
            if body.is_end_stream() {
                return Ok(piece);
            }
            whole = piece;
            continue;
        }
        longer.extend_from_slice(&std::mem::take(&mut whole));
        longer.extend_from_slice(&piece);
    }
    Ok(if longer.is_empty() { whole } else { longer.freeze() })
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
