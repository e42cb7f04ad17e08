//! Health: whether the process is alive, whether it is ready, and no word on where or why.

use std::sync::atomic::Ordering;
use std::time::Duration;

use serde_json::json;

use crate::support::{Engine, TestApp};

#[tokio::test]
async fn health_says_what_the_server_depends_on() {
    let app = TestApp::start().await;
    let health = app.nobody().get("/health").await.expect(200);
    let postgres = if Engine::current() == Engine::Sqlite { "not_configured" } else { "connected" };
    let wanted = json!({
        "status": "ok", "database": "connected", "postgres": postgres, "redis": "not_configured",
    });
    assert_eq!(health, wanted);
}

#[tokio::test]
async fn health_says_which_dependency_is_down_and_no_more() {
    let app = TestApp::start().await;
    app.server.app.db.close().await;
    let health = app.nobody().get("/health").await.expect(503);
    let postgres = if Engine::current() == Engine::Sqlite { "not_configured" } else { "error" };
    let wanted = json!({
        "status": "error", "database": "error", "postgres": postgres, "redis": "not_configured",
    });
    assert_eq!(health, wanted);
}

#[tokio::test]
async fn a_process_is_alive_while_it_can_answer() {
    let app = TestApp::start().await;
    app.server.app.draining.store(true, Ordering::Relaxed);
    app.server.app.db.close().await;
    for path in ["/healthz", "/livez"] {
        app.nobody().get(path).await.expect(200);
    }
}

#[tokio::test]
async fn a_server_that_works_is_ready() {
    let app = TestApp::start().await;
    let ready = app.nobody().get("/readyz").await.expect(200);
    assert_eq!(ready["degraded"], json!([]));
    assert!(ready.get("checks").is_none(), "{ready}");
}

#[tokio::test]
async fn verbose_lists_each_check() {
    let app = TestApp::start().await;
    for query in ["verbose", "verbose=1", "verbose=true"] {
        let ready = app.nobody().get(&format!("/readyz?{query}")).await.expect(200);
        insta::allow_duplicates! {
            insta::assert_json_snapshot!(ready["checks"], @r#"
            {
              "database": "ok",
              "draining": "ok",
              "migrated": "ok",
              "signing_key": "ok"
            }
            "#);
        }
    }
}

#[tokio::test]
async fn a_server_that_drains_is_not_ready() {
    let app = TestApp::start().await;
    app.server.app.draining.store(true, Ordering::Relaxed);
    let ready = app.nobody().get("/readyz?verbose").await.expect(503);
    assert_eq!(ready["checks"]["draining"], "failed");
}

#[tokio::test]
async fn a_server_stays_ready_for_a_while_without_its_database() {
    let app = TestApp::start().await;
    app.nobody().get("/readyz").await.expect(200);
    app.server.app.db.close().await;
    let ready = app.nobody().get("/readyz?verbose").await.expect(200);
    assert_ne!(ready["degraded"], json!([]), "it says so");
    app.pass(Duration::from_secs(61));
    app.nobody().get("/readyz").await.expect(503);
}

#[tokio::test]
async fn what_is_not_ready_tells_nothing_about_where_or_why() {
    let app = TestApp::start().await;
    app.server.app.db.close().await;
    app.nobody().get("/readyz").await.expect(200);
    app.pass(Duration::from_secs(61));
    app.nobody().get("/readyz").await.expect(503);
    let answer = app.nobody().get("/readyz?verbose").await;
    let ready = answer.expect(503);
    assert_eq!(ready["checks"]["database"], "failed");
    for secret in ["closed", "127.0.0.1", "localhost", "sqlite", "postgres", "/"] {
        assert!(!answer.text.contains(secret), "{secret}: {ready}");
    }
}
