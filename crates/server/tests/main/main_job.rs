//! The main job: registered, credentialed, given a token, allowed, refused, stopped, recorded.

use serde_json::json;

use crate::support::{As, TestApp, new_agent};

#[tokio::test]
async fn an_agent_is_registered_gets_a_token_is_allowed_refused_and_stopped() {
    let app = TestApp::start().await;
    let agent = app.agent("screener", &["agents:read"]).await;
    let token = app.token(&agent).await;
    let path = format!("/api/v1/agents/{}", agent.id);

    app.client(As::Bearer(&token)).get(&path).await.expect(200);
    let refused = app.client(As::Bearer(&token)).post("/api/v1/agents", new_agent("x")).await;
    refused.problem(403, "INSUFFICIENT_SCOPE");
    app.operator().patch(&path, json!({"status": "suspended"})).await.expect(200);
    app.client(As::Bearer(&token)).get(&path).await.problem(401, "UNAUTHORIZED");
    app.token_answer(&agent, &[]).await.oauth(403, "unauthorized_client");

    let page = app.operator().get("/api/v1/audit").await.expect(200);
    let actions: Vec<_> = page["data"].as_array().unwrap().iter().rev().collect();
    let actions: Vec<&str> =
        actions.iter().map(|event| event["action"].as_str().unwrap()).collect();
    assert_eq!(
        actions,
        [
            "operator.bootstrapped",
            "agent.created",
            "credential.generated",
            "token.issued",
            "decision.made",
            "agent.suspended",
            "auth.failed",
            "auth.failed",
        ]
    );
}

#[tokio::test]
async fn what_is_known_survives_a_restart() {
    let app = TestApp::start().await;
    let agent = app.agent("screener", &["agents:read"]).await;
    let other = app.agent("other", &["agents:read"]).await;
    let (token, revoked) = (app.token(&agent).await, app.token(&agent).await);
    let stopped = app.token(&other).await;
    app.operator().form("/api/v1/token/revoke", &[("token", &revoked)]).await.expect(200);
    let path = format!("/api/v1/agents/{}", other.id);
    app.operator().patch(&path, json!({"status": "suspended"})).await.expect(200);

    let app = app.restart().await;
    assert!(app.is_live(&token).await, "a good token stays good");
    assert!(!app.is_live(&revoked).await, "a revoked token stays dead");
    assert!(!app.is_live(&stopped).await, "a suspended agent's token stays dead");
}
