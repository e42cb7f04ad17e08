//! Health: is the process alive, is it ready. Open to all, and tells nothing about where or why.

use std::sync::atomic::Ordering;

use axum::Json as Body;
use axum::extract::State;
use http::StatusCode;
use serde_json::{Value, json};

use super::extract::Query;
use crate::app::App;

/// `GET /healthz`, `/livez`: the process can answer.
#[utoipa::path(get, path = "/healthz", tag = "health", responses((status = 200)))]
pub async fn live() -> Body<Value> {
    Body(json!({"status": "ok"}))
}

/// `GET /health`: what it depends on, in the form that existing monitors read.
#[utoipa::path(get, path = "/health", tag = "health",
    responses((status = 200, body = Object), (status = 503, body = Object)))]
pub async fn health(State(app): State<App>) -> (StatusCode, Body<Value>) {
    let (outage, redis) = tokio::join!(app.database_outage(), app.redis_is_up());
    let up = outage.is_none();
    let redis_word = match redis {
        None => "not_configured",
        Some(true) => "connected",
        Some(false) => "error",
    };
    let database = if up { "connected" } else { "error" };
    let postgres = if app.db.engine_name() == "postgres" { database } else { "not_configured" };
    let (code, status) = if up && redis != Some(false) {
        (StatusCode::OK, "ok")
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "error")
    };
    let body = json!({
        "status": status, "database": database, "postgres": postgres, "redis": redis_word,
    });
    (code, Body(body))
}

/// `GET /readyz`: it can do its work. `?verbose` lists each check.
#[utoipa::path(get, path = "/readyz", tag = "health",
    params(("verbose" = Option<String>, Query)),
    responses((status = 200, body = Object), (status = 503, body = Object)))]
pub async fn ready(State(app): State<App>, Query(query): Query) -> (StatusCode, Body<Value>) {
    let outage = app.database_outage().await;
    // Much goes on from memory; a balancer that took every node away would make it worse.
    let bearable = outage.is_none_or(|lost| lost <= app.config.database_grace);
    let degraded = app.metrics.degraded_by();
    let checks = [
        ("database", bearable),
        ("draining", !app.draining.load(Ordering::Relaxed)),
        ("migrated", true),
        ("signing_key", app.keys.signing().is_some()),
    ];
    let ready = checks.iter().all(|(_, passed)| *passed);
    let failed: Vec<&str> = checks.iter().filter(|(_, ok)| !ok).map(|(name, _)| *name).collect();
    let mut body = json!({
        "status": if ready { "ready" } else { "not ready" }, "degraded": degraded, "failed": failed,
    });
    if query.has("verbose") {
        let word = |ok: bool| Value::from(if ok { "ok" } else { "failed" });
        let checks: serde_json::Map<String, Value> =
            checks.iter().map(|(name, ok)| ((*name).to_owned(), word(*ok))).collect();
        body["checks"] = checks.into();
    }
    let code = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (code, Body(body))
}
