//! `GET /api/v1/events/stream`: the record as it grows, as server-sent events (WHATWG HTML section 9.2).

use std::convert::Infallible;
use std::sync::atomic::Ordering;
use std::time::Duration;

use axum::body::Body;
use axum::extract::State;
use axum::response::Response;
use countersign_ground::problem::{Code, Problem};
use countersign_ground::record::{Filter, Place};
use futures_util::stream;
use http::{HeaderMap, HeaderValue, header};
use tokio::sync::{OwnedSemaphorePermit, mpsc, watch};

use super::filter;
use crate::app::App;
use crate::doors::extract::{Query, caller, certificate, origin};
use crate::doors::openapi::ProblemBody;
use crate::law::action::ReadRecord;
use crate::law::directory::Thumbprint;

/// Followers at once, on one node.
pub const MOST: usize = 256;
/// Pieces that wait for the reader.
const WAITING: usize = 2;
/// How often a silent stream shows that it lives, and looks whether its reader still may.
const BEAT: Duration = Duration::from_secs(5);

/// Follow the record: each event once it is sealed, within about a second, in the order of the record.
///
/// `Last-Event-ID` goes on behind an event; without it the stream begins with what comes. The id of an
/// event is its seal and its index there. The stream ends when its reader may no more read the record.
#[utoipa::path(get, path = "/api/v1/events/stream", tag = "record",
    params(("last-event-id" = Option<String>, Header, description = "`SEAL-INDEX`"),
        ("agentId" = Option<String>, Query), ("action" = Option<String>, Query),
        ("outcome" = Option<String>, Query)),
    responses((status = 200, body = String, content_type = "text/event-stream"),
        (status = 400, body = ProblemBody), (status = 401, body = ProblemBody),
        (status = 403, body = ProblemBody), (status = 503, body = ProblemBody)))]
pub async fn follow(
    State(app): State<App>,
    request: Asking,
    Query(mut query): Query,
) -> Result<Response, Problem> {
    let origin = request.origin.clone();
    let caller = caller(&app, &request.headers, request.certificate.as_ref(), origin).await?;
    let tenant = app.law.permit::<ReadRecord>(&caller, "*").await?.tenant().to_owned();
    let filter = filter(&mut query, &tenant);
    query.finish()?;
    let from = match request.headers.get("last-event-id") {
        Some(id) => {
            let id = id.to_str().ok().and_then(|id| id.parse().ok());
            let wrong =
                || Problem::new(Code::Validation, "`Last-Event-ID` is not of an event here");
            id.ok_or_else(wrong)?
        }
        None => Place { seal: app.record.newest_seal().await?, index: i64::MAX },
    };
    let busy = || Problem::new(Code::Unavailable, "too many follow the record on this node");
    let slot = std::sync::Arc::clone(&app.followers).try_acquire_owned().map_err(|_| busy())?;
    let (pieces, received) = mpsc::channel(WAITING);
    tokio::spawn(Follower { app, request, filter, from, pieces, _slot: slot }.run());
    let body = stream::unfold(received, |mut received| async {
        received.recv().await.map(|piece| (Ok::<_, Infallible>(piece), received))
    });
    let mut response = Response::new(Body::from_stream(body));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    // Proxies that gather an answer before they pass it on would hold back every event.
    headers.insert("x-accel-buffering", HeaderValue::from_static("no"));
    Ok(response)
}

/// What proved who asks; it is asked again while the stream goes on.
pub struct Asking {
    headers: HeaderMap,
    certificate: Option<Thumbprint>,
    origin: countersign_ground::record::Origin,
}

impl axum::extract::FromRequestParts<App> for Asking {
    type Rejection = Problem;

    async fn from_request_parts(
        parts: &mut http::request::Parts,
        app: &App,
    ) -> Result<Self, Problem> {
        let certificate = certificate(&parts.extensions).copied();
        Ok(Self { headers: parts.headers.clone(), certificate, origin: origin(parts, app) })
    }
}

impl Asking {
    /// Whether this tenant's record may still be read.
    async fn may_read(&self, app: &App, tenant: &str) -> bool {
        let (certificate, origin) = (self.certificate.as_ref(), self.origin.clone());
        let caller = app.law.caller_again(&self.headers, certificate, origin).await;
        let Some(caller) = caller else { return false };
        let permit = app.law.permit::<ReadRecord>(&caller, "*").await;
        permit.is_ok_and(|permit| permit.tenant() == tenant)
    }
}

struct Follower {
    app: App,
    request: Asking,
    filter: Filter,
    from: Place,
    pieces: mpsc::Sender<String>,
    _slot: OwnedSemaphorePermit,
}

impl Follower {
    async fn run(mut self) {
        let mut newest: watch::Receiver<i64> = self.app.newest_seal.subscribe();
        // The head of the answer leaves at once, so that a client knows that it follows.
        let mut alive = self.pieces.send(": following\n\n".to_owned()).await.is_ok();
        while alive && !self.app.draining.load(Ordering::Relaxed) {
            if !self.request.may_read(&self.app, &self.filter.tenant).await {
                return;
            }
            let until = *newest.borrow_and_update();
            alive = match self.send(until).await {
                Ok(alive) => alive,
                Err(error) => {
                    // The client comes again with the last id that it has seen.
                    tracing::warn!(%error, "a stream of events was broken off");
                    return;
                }
            };
            let waited = tokio::select! {
                changed = newest.changed() => changed.is_ok(),
                () = tokio::time::sleep(BEAT) => self.pieces.send(":\n\n".to_owned()).await.is_ok(),
                () = self.pieces.closed() => false,
            };
            alive = alive && waited;
        }
    }

    /// Sends what was sealed since; false when nobody reads on.
    async fn send(&mut self, until: i64) -> countersign_ground::db::Result<bool> {
        // The seal that was begun may hold more.
        let mut after = self.from.seal - 1;
        while after < until {
            let batch = self.app.record.sealed(&self.filter, after, until).await?;
            let Some(last) = batch.seals.last() else { return Ok(true) };
            after = last.seal;
            let fresh = batch.events.iter().filter(|(place, _)| *place > self.from);
            let text: String =
                fresh.map(|(place, body)| format!("id: {place}\ndata: {body}\n\n")).collect();
            self.from = self.from.max(Place { seal: after, index: i64::MAX });
            if !text.is_empty() && self.pieces.send(text).await.is_err() {
                return Ok(false);
            }
        }
        Ok(true)
    }
}
