//! What can't be recorded is not done: not to operators, agents, tenants or the matrix.

use countersign_ground::db;
use serde_json::{Value, json};

use crate::support::{As, TestApp};

/// Lets every append to the record fail from now on, or succeed again.
async fn record_fails(app: &TestApp, fails: bool) {
    let sql = if fails {
        "UPDATE event_streams SET stream = stream + 1000"
    } else {
        "UPDATE event_streams SET stream = stream - 1000"
    };
    let done = app
        .server
        .app
        .db
        .write((), move |tx, ()| Box::pin(async move { tx.execute(sql, &[]).await.map(drop) }));
    done.await.map_err(|error: db::Error| error.to_string()).unwrap();
}

#[tokio::test]
async fn a_stop_a_removal_and_another_matrix_that_cannot_be_recorded_change_nothing() {
    let app = TestApp::start().await;
    app.operator_with("default", &["admin"]).await;
    let agent = app.agent("screener", &["audit:read"]).await;
    let token = app.token(&agent).await;
    let (id, reader) = app.operator_with("default", &["readonly"]).await;
    let operator = format!("/api/v1/operators/{id}");
    let tokens = format!("{operator}/tokens");
    let listed = app.operator().get(&tokens).await.expect(200);
    let one = format!("{tokens}/{}", listed["data"][0]["tokenId"].as_str().unwrap());
    let text = include_str!("../../../../tests/vectors/rbac-policies.json");
    let mut matrix: Value = serde_json::from_str(text).unwrap();
    matrix["version"] = json!("2");
    let quarantine = format!("/api/v1/agents/{}/quarantine", agent.id);

    record_fails(&app, true).await;
    for answer in [
        app.operator().post(&quarantine, json!({"reason": "test"})).await,
        app.operator().delete(&operator).await,
        app.operator().delete(&one).await,
        app.operator().patch(&operator, json!({"roles": ["admin"]})).await,
        app.operator().post(&tokens, json!({})).await,
        app.operator().put("/api/v1/rbac/matrix", matrix).await,
        app.operator().post("/api/v1/tenants", json!({"id": "acme", "displayName": "A"})).await,
        app.operator().patch("/api/v1/tenants/default", json!({"plan": "free"})).await,
    ] {
        assert!(answer.status.is_server_error(), "{answer:?}");
    }
    record_fails(&app, false).await;

    unchanged(&app, &reader, &token).await;
    app.token(&agent).await;
    let app = app.restart().await;
    unchanged(&app, &reader, &token).await;
    app.token(&agent).await;
}

async fn unchanged(app: &TestApp, reader: &str, token: &str) {
    let own = app.client(As::Bearer(reader));
    assert_eq!(own.get("/api/v1/whoami").await.expect(200)["roles"], json!(["readonly"]));
    assert!(app.is_live(token).await);
    let info = app.operator().get("/api/v1/rbac/info").await.expect(200);
    assert_eq!(info["version"], "1.0.0");
    let tenants = app.operator().get("/api/v1/tenants").await.expect(200);
    assert_eq!((&tenants["total"], &tenants["data"][0]["plan"]), (&json!(1), &json!("unlimited")));
}

#[tokio::test]
async fn a_cleanup_that_cannot_be_recorded_forgets_nothing() {
    let app = TestApp::start().await;
    app.nobody().get("/api/v1/agents").await.expect(401);
    app.pass(std::time::Duration::from_secs(2 * 86_400));
    // Only what is sealed can go.
    app.server.seal().await.unwrap();
    record_fails(&app, true).await;
    app.operator().post("/api/v1/rbac/audit/cleanup?retention_days=1", json!({})).await.expect(500);
    record_fails(&app, false).await;
    assert_eq!(app.events("decision.made").await.len(), 1);
}
