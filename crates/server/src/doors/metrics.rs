//! `GET /metrics`, in the form that the scraper asks for.

use axum::extract::State;
use http::{HeaderMap, HeaderName, HeaderValue, header};

use crate::app::App;

const OPENMETRICS: HeaderValue =
    HeaderValue::from_static("application/openmetrics-text; version=1.0.0; charset=utf-8");
const PROMETHEUS: HeaderValue =
    HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");

/// Everything that is measured.
#[utoipa::path(get, path = "/metrics", tag = "health", responses((status = 200, body = String)))]
pub async fn serve(
    State(app): State<App>,
    headers: HeaderMap,
) -> ([(HeaderName, HeaderValue); 1], String) {
    let accept = headers.get(header::ACCEPT).and_then(|accept| accept.to_str().ok());
    if accept.is_some_and(|accept| accept.contains("application/openmetrics-text")) {
        ([(header::CONTENT_TYPE, OPENMETRICS)], app.metrics.openmetrics())
    } else {
        ([(header::CONTENT_TYPE, PROMETHEUS)], app.metrics.prometheus())
    }
}
