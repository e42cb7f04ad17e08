//! The outermost layer: what every request gets and every answer carries. It stands around the
//! router and not among its layers, each of which would box every request once more.

use std::net::SocketAddr;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use axum::Router;
use axum::extract::Request;
use axum::response::{IntoResponse, Response};
use countersign_ground::clock::Stopwatch;
use countersign_ground::ids::uuid_v7;
use countersign_ground::problem::{Code, Problem};
use futures_util::FutureExt;
use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http::{Method, StatusCode};
use tower::Service;

use super::extract::Arrival;
use super::templates::{Template, Templates};
use crate::app::App;
use crate::features::oauth;
use crate::law::directory::Thumbprint;

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const LONGEST_REQUEST_ID: usize = 128;

/// The other end of a connection.
#[derive(Debug, Clone, Copy)]
pub struct Peer {
    /// Its address.
    pub address: SocketAddr,
    /// Of the certificate that it has proved to own.
    pub certificate: Option<Thumbprint>,
}

/// The router and what stands around it; clones share them.
#[derive(Clone)]
pub struct Edge {
    app: App,
    router: Router,
    routes: Arc<Templates>,
}

impl Edge {
    /// An edge around `router`, whose templates `routes` knows.
    #[must_use]
    pub fn new(app: &App, router: Router<App>, routes: Templates) -> Self {
        let router = router
            .fallback(not_found)
            .method_not_allowed_fallback(method_not_allowed)
            .with_state(app.clone());
        Self { app: app.clone(), router, routes: Arc::new(routes) }
    }

    /// Gives the request an id, answers whatever happens, and counts it.
    pub async fn answer(mut self, mut request: Request, peer: Peer) -> Response {
        let watch = Stopwatch::start();
        let Self { app, router, routes } = &mut self;
        let (id, id_header) = request_id(app, request.headers());
        let route = routes.at(request.uri().path());
        let method = request.method().clone();
        let origin = request.headers().contains_key(header::ORIGIN);
        let preflight = is_preflight(&request);
        request.extensions_mut().insert(Arrival { request_id: Arc::clone(&id), peer });

        app.metrics.in_flight.inc();
        let answered = if preflight {
            Ok(Ok(StatusCode::NO_CONTENT.into_response()))
        } else {
            AssertUnwindSafe(router.call(request)).catch_unwind().await
        };
        app.metrics.in_flight.dec();

        let mut response = match answered {
            Ok(Ok(response)) => response,
            Err(_) => Problem::internal("panicked").into_response(),
        };
        if let Some(problem) = response.extensions_mut().remove::<Problem>() {
            response = write_out(&problem, response.headers(), &id, &method, route);
        }
        let headers = response.headers_mut();
        headers.insert(REQUEST_ID, id_header);
        headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        if origin {
            allow_origin(headers, &app.config.cors_origin, preflight);
        }
        let (status, seconds) = (response.status().as_u16(), watch.elapsed().as_secs_f64());
        let method = method_label(&method);
        route.counts.answered(&app.metrics, method, status, seconds);
        let route = route.counts.template();
        tracing::debug!(target: "countersign::access", request_id = &*id, method, route, status, seconds);
        response
    }
}

/// The body, which needs the request's id; and the log line, which alone may tell the cause.
fn write_out(
    problem: &Problem,
    had: &HeaderMap,
    id: &str,
    method: &Method,
    route: &Template,
) -> Response {
    if let Some(cause) = problem.cause() {
        let (status, route) = (problem.status().as_u16(), route.counts.template());
        tracing::error!(request_id = id, %method, route, status, cause, "request failed");
    }
    let mut response =
        if route.oauth { oauth::error::from_problem(problem) } else { problem.response(id) };
    // Of the framework's own: which methods a 405 would allow.
    if let Some(allow) = had.get(header::ALLOW) {
        response.headers_mut().insert(header::ALLOW, allow.clone());
    }
    response
}

fn request_id(app: &App, headers: &HeaderMap) -> (Arc<str>, HeaderValue) {
    let given = headers.get(REQUEST_ID).filter(|value| {
        (1..=LONGEST_REQUEST_ID).contains(&value.len())
            && value.as_bytes().iter().all(u8::is_ascii_graphic)
    });
    if let Some(value) = given
        && let Ok(text) = value.to_str()
    {
        return (text.into(), value.clone());
    }
    let mut text = [0; 36];
    let made = uuid_v7(app.clock.now(), &app.entropy);
    let text: &str = made.as_hyphenated().encode_lower(&mut text);
    (text.into(), HeaderValue::from_str(text).unwrap_or(HeaderValue::from_static("unknown")))
}

/// A CORS preflight (Fetch standard, section 3.3).
fn is_preflight(request: &Request) -> bool {
    let headers = request.headers();
    request.method() == Method::OPTIONS
        && headers.contains_key(header::ORIGIN)
        && headers.contains_key(header::ACCESS_CONTROL_REQUEST_METHOD)
}

fn allow_origin(headers: &mut HeaderMap, allowed: &str, preflight: bool) {
    let Ok(allowed) = HeaderValue::from_str(allowed) else { return };
    headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, allowed);
    headers.append(header::VARY, HeaderValue::from_static("origin"));
    let exposed = HeaderValue::from_static("x-request-id, etag, location, retry-after");
    headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, exposed);
    if preflight {
        let methods = HeaderValue::from_static("GET, POST, PUT, PATCH, DELETE");
        headers.insert(header::ACCESS_CONTROL_ALLOW_METHODS, methods);
        let names = HeaderValue::from_static(
            "authorization, content-type, if-match, x-request-id, x-tenant",
        );
        headers.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, names);
        headers.insert(header::ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static("600"));
    }
}

fn method_label(method: &Method) -> &'static str {
    let known = [
        Method::GET,
        Method::POST,
        Method::PUT,
        Method::PATCH,
        Method::DELETE,
        Method::HEAD,
        Method::OPTIONS,
    ];
    let names = ["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"];
    known.iter().position(|one| one == method).map_or("other", |at| names[at])
}

/// Nothing is at this path.
async fn not_found() -> Problem {
    Problem::new(Code::NotFound, "nothing is at this path; see `/openapi.json`")
}

/// Something is at this path, but not by this method.
async fn method_not_allowed() -> Problem {
    Problem::new(Code::MethodNotAllowed, "this path does not take this method; see `Allow`")
}
