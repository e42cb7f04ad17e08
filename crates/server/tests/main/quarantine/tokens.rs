//! How many tokens a quarantine ended, and until when a verifier that works offline may take one.

use std::time::Duration;

use serde_json::json;

use super::{one, quarantine, reinstate};
use crate::credentials::path as credentials;
use crate::support::{TestAgent, TestApp};

const TTL: Duration = Duration::from_secs(3600);

#[tokio::test]
async fn an_agent_without_tokens_has_none_that_were_live() {
    let app = TestApp::start().await;
    let agent = app.agent("screener", &["audit:read"]).await;
    let receipt = quarantine(&app, &agent).await.expect(200);
    assert_eq!(receipt["tokens"]["live"], 0);
    assert_eq!(receipt.get("selfContainedUntil"), None);
}

#[tokio::test]
async fn expired_tokens_are_not_counted_and_reach_no_further() {
    let app = TestApp::start().await;
    let agent = app.agent("screener", &["audit:read"]).await;
    app.token(&agent).await;
    app.pass(Duration::from_secs(1800));
    app.token(&agent).await;
    app.pass(TTL - Duration::from_secs(1800));
    let receipt = quarantine(&app, &agent).await.expect(200);
    assert_eq!(receipt["tokens"]["live"], 1);
    assert_eq!(receipt["selfContainedUntil"], "2026-01-01T01:30:00.000Z");
    let agent = app.agent("other", &["audit:read"]).await;
    app.token(&agent).await;
    app.pass(TTL);
    let receipt = quarantine(&app, &agent).await.expect(200);
    assert_eq!(receipt["tokens"]["live"], 0);
    assert_eq!(receipt.get("selfContainedUntil"), None);
}

#[tokio::test]
async fn a_token_that_was_revoked_is_not_counted_though_an_offline_verifier_may_take_it() {
    let app = TestApp::start().await;
    let agent = app.agent("screener", &["audit:read"]).await;
    let token = app.token(&agent).await;
    app.operator().form("/api/v1/token/revoke", &[("token", &token)]).await.expect(200);
    let receipt = quarantine(&app, &agent).await.expect(200);
    assert_eq!(receipt["tokens"]["live"], 0);
    assert_eq!(receipt["selfContainedUntil"], "2026-01-01T01:00:00.000Z");
}

#[tokio::test]
async fn tokens_of_others_are_not_counted() {
    let app = TestApp::start().await;
    let (agent, other) = (app.agent("a", &["a:b"]).await, app.agent("b", &["a:b"]).await);
    app.token(&other).await;
    app.token(&agent).await;
    let receipt = quarantine(&app, &agent).await.expect(200);
    assert_eq!(receipt["tokens"]["live"], 1);
}

#[tokio::test]
async fn what_was_issued_before_a_restart_is_counted() {
    let app = TestApp::start().await;
    let agent = app.agent("screener", &["audit:read"]).await;
    app.token(&agent).await;
    let app = app.restart().await;
    let receipt = quarantine(&app, &agent).await.expect(200);
    assert_eq!(receipt["tokens"]["live"], 1);
    assert_eq!(receipt["selfContainedUntil"], "2026-01-01T01:00:00.000Z");
}

#[tokio::test]
async fn another_lifetime_of_tokens_does_not_change_what_was_issued() {
    let app = TestApp::start().await;
    let agent = app.agent("screener", &["audit:read"]).await;
    let token = app.token(&agent).await;
    let app = app.restart_with(&[("TOKEN_TTL_SECONDS", "60")]).await;
    app.pass(Duration::from_secs(600));
    assert!(app.is_live(&token).await);
    let receipt = quarantine(&app, &agent).await.expect(200);
    assert_eq!(receipt["selfContainedUntil"], "2026-01-01T01:00:00.000Z");
    assert_eq!(receipt["tokens"]["live"], 1);
}

#[tokio::test]
async fn tokens_of_a_credential_that_was_revoked_before_are_not_counted() {
    let app = TestApp::start().await;
    let agent = app.agent("screener", &["audit:read"]).await;
    let made = app.operator().post(&credentials(&agent), json!({})).await.expect(201);
    let text = |name: &str| made[name].as_str().unwrap().to_owned();
    let second = TestAgent {
        id: agent.id.clone(),
        credential: text("credentialId"),
        secret: text("clientSecret"),
    };
    let token = app.token(&second).await;
    app.token(&agent).await;
    let path = format!("{}/{}", credentials(&agent), second.credential);
    app.operator().delete(&path).await.expect(204);
    assert!(!app.is_live(&token).await);
    assert_eq!(quarantine(&app, &agent).await.expect(200)["tokens"]["live"], 1);
}

#[tokio::test]
async fn tokens_that_a_suspension_ended_are_not_counted() {
    let app = TestApp::start().await;
    let agent = app.agent("screener", &["audit:read"]).await;
    let token = app.token(&agent).await;
    app.operator().patch(&one(&agent), json!({"status": "suspended"})).await.expect(200);
    reinstate(&app, &agent).await.expect(200);
    assert!(!app.is_live(&token).await);
    assert_eq!(quarantine(&app, &agent).await.expect(200)["tokens"]["live"], 0);
}

#[tokio::test]
async fn tokens_that_an_earlier_stop_ended_are_not_counted_again() {
    let app = TestApp::start().await;
    let agent = app.agent("screener", &["audit:read"]).await;
    app.token(&agent).await;
    assert_eq!(quarantine(&app, &agent).await.expect(200)["tokens"]["live"], 1);
    let again = quarantine(&app, &agent).await.expect(200);
    assert_eq!(again["selfContainedUntil"], "2026-01-01T01:00:00.000Z", "offline they still pass");
    assert_eq!(again["tokens"]["live"], 0, "{again}");
}
