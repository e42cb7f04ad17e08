//! Seals kept elsewhere, and events that need not be kept any longer.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::extract::State;
use axum::routing::post;
use axum::{Json, Router};
use countersign_ground::record::Seal;
use countersign_ground::record::verify::Kind;
use countersign_server::jobs;
use http::StatusCode;
use serde_json::json;

use super::tampering::{change, told, verified};
use super::{sealed, seals};
use crate::support::{As, TestApp};

const DAY: Duration = Duration::from_secs(24 * 3600);

fn in_file(path: &Path) -> Vec<Seal> {
    let text = std::fs::read_to_string(path).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[tokio::test]
async fn every_seal_is_kept_in_the_file_once_and_across_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("seals.jsonl");
    let sink = format!("file:{}", path.display());
    let app = TestApp::with(&[("AUDIT_SEAL_SINK", &sink)]).await;
    sealed(&app, "a", 1).await;
    jobs::tell_sink(&app.server.app).await;
    assert_eq!(in_file(&path), seals(&app).await);
    // A crash in the middle of a line.
    let text = std::fs::read_to_string(&path).unwrap() + "{\"count\":";
    std::fs::write(&path, text).unwrap();
    let app = app.restart().await;
    sealed(&app, "b", 1).await;
    jobs::tell_sink(&app.server.app).await;
    assert_eq!(in_file(&path), seals(&app).await);
    std::fs::remove_file(&path).unwrap();
    sealed(&app, "c", 1).await;
    jobs::tell_sink(&app.server.app).await;
    assert_eq!(in_file(&path), seals(&app).await, "all of them again");
    assert!(app.server.app.metrics.degraded_by().is_empty());
}

#[tokio::test]
async fn a_record_that_is_not_the_one_in_the_file_is_told_of() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("seals.jsonl");
    let sink = format!("file:{}", path.display());
    let other = TestApp::with(&[("AUDIT_SEAL_SINK", &sink)]).await;
    sealed(&other, "a", 1).await;
    jobs::tell_sink(&other.server.app).await;
    let kept = std::fs::read_to_string(&path).unwrap();
    let app = TestApp::with(&[("AUDIT_SEAL_SINK", &sink)]).await;
    sealed(&app, "a", 1).await;
    jobs::tell_sink(&app.server.app).await;
    let ready = app.nobody().get("/readyz").await.expect(200);
    assert_eq!(ready["degraded"], json!(["seal_sink"]));
    assert_eq!(std::fs::read_to_string(&path).unwrap(), kept, "nothing was added to it");
}

#[derive(Clone, Default)]
struct Keeper(Arc<Mutex<(Vec<Seal>, Option<StatusCode>)>>);

async fn keep(State(keeper): State<Keeper>, Json(seal): Json<Seal>) -> StatusCode {
    let mut kept = keeper.0.lock().unwrap();
    let answer = kept.1.unwrap_or(StatusCode::NO_CONTENT);
    if answer.is_success() {
        kept.0.push(seal);
    }
    answer
}

#[tokio::test]
async fn an_address_is_told_each_seal_in_order_and_again_until_it_takes_it() {
    let keeper = Keeper::default();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let sink = format!("http://{}/seals", listener.local_addr().unwrap());
    let router = Router::new().route("/seals", post(keep)).with_state(keeper.clone());
    tokio::spawn(async move { axum::serve(listener, router).await });
    let app = TestApp::with(&[("AUDIT_SEAL_SINK", &sink)]).await;
    keeper.0.lock().unwrap().1 = Some(StatusCode::SERVICE_UNAVAILABLE);
    sealed(&app, "a", 1).await;
    jobs::tell_sink(&app.server.app).await;
    assert!(app.server.app.metrics.degraded_by().contains("seal_sink"));
    keeper.0.lock().unwrap().1 = None;
    sealed(&app, "b", 1).await;
    jobs::tell_sink(&app.server.app).await;
    let mut kept = BTreeMap::new();
    let told = keeper.0.lock().unwrap().0.clone();
    assert!(told.is_sorted_by_key(|seal| seal.seal), "{told:?}");
    kept.extend(told.into_iter().map(|seal| (seal.seal, seal)));
    assert_eq!(kept.into_values().collect::<Vec<_>>(), seals(&app).await);
}

#[tokio::test]
async fn what_has_expired_is_gone_and_the_record_still_verifies() {
    let app = TestApp::with(&[("AUDIT_RETENTION_DAYS", "30")]).await;
    sealed(&app, "old", 5).await;
    app.pass(31 * DAY);
    sealed(&app, "new", 3).await;
    assert_eq!(jobs::expire(&app.server.app).await.unwrap(), 6);
    assert_eq!(jobs::expire(&app.server.app).await.unwrap(), 0);
    assert_eq!(app.events("agent.created").await.len(), 3);
    let events = app.events("audit.expired").await;
    assert_eq!((events.len(), &events[0]["actorId"]), (1, &json!("retention")));
    assert_eq!(events[0]["metadata"]["count"], 6);
    // What tells of it is vouched for, sealed or not.
    for _ in 0..2 {
        let report = verified(&app).await;
        assert!(report.is_good() && report.expired == 6, "{report:?}");
        app.server.seal().await.unwrap();
    }

    let sql = "DELETE FROM audit_events WHERE action = 'agent.created'";
    change(&app, sql, &[]).await;
    let report = verified(&app).await;
    assert_eq!(told(&report), [(Kind::Removed, None); 3]);
    assert_eq!(report.expired, 6);
    app.pass(400 * DAY);
    jobs::expire(&app.server.app).await.unwrap();
    assert!(!app.events("audit.expired").await.is_empty(), "what tells of it never expires");
}

/// Whoever can write to the database can have an event of theirs sealed. It excuses nothing.
#[tokio::test]
async fn an_expiry_that_no_key_vouches_for_excuses_nothing() {
    let app = TestApp::start().await;
    sealed(&app, "a", 3).await;
    let forged = "UPDATE event_streams SET n = n + 1";
    change(&app, forged, &[]).await;
    let insert = "INSERT INTO audit_events (position, time, tenant, action, outcome, body)
        SELECT e.stream * 1099511627776 + e.n, 0, 'default', 'audit.expired', 'success',
               '{\"action\":\"audit.expired\",\"actorId\":\"retention\",\"actorType\":\"system\",\"eventId\":\"019b76da-a800-7000-8000-000000000001\",\"metadata\":{\"before\":\"2026-01-01T00:00:00.000Z\",\"count\":1,\"kid\":\"x\",\"leaves\":[\"1:1\"],\"signature\":\"AAAA\"},\"outcome\":\"success\",\"tenant\":\"default\",\"timestamp\":\"1970-01-01T00:00:00.000Z\"}'
          FROM event_streams e WHERE e.n > 0";
    change(&app, insert, &[]).await;
    app.server.seal().await.unwrap();
    assert!(verified(&app).await.is_good(), "it was sealed like any other");
    let place =
        "SELECT s.stream * 1099511627776 + s.first + 1 - s.at FROM seal_spans s WHERE s.seal = 1";
    let row = app.server.app.db.query_opt(place, &[]).await.unwrap();
    let position: i64 = row.unwrap().take().unwrap();
    let sql = "DELETE FROM audit_events WHERE position = $1";
    change(&app, sql, countersign_ground::params![position]).await;
    let report = verified(&app).await;
    assert_eq!(told(&report), [(Kind::Removed, None)]);
    assert_eq!(report.expired, 0);
}

#[tokio::test]
async fn each_tenant_keeps_what_its_plan_says() {
    let app = TestApp::start().await;
    let free = app.tenant("free", "free").await;
    let agent = crate::support::new_agent("theirs");
    app.client(As::Bearer(&free)).post("/api/v1/agents", agent).await.expect(201);
    sealed(&app, "ours", 2).await;
    app.pass(91 * DAY);
    app.server.seal().await.unwrap();
    let expired = jobs::expire(&app.server.app).await.unwrap();
    assert!(expired > 0);
    assert_eq!(app.events("agent.created").await.len(), 2);
    let theirs = app.operator().within("free").get("/api/v1/audit?action=agent.created").await;
    assert_eq!(theirs.expect(200)["data"], json!([]));
    app.server.seal().await.unwrap();
    let report = verified(&app).await;
    assert!(report.is_good() && report.expired == expired, "{report:?}");
}
