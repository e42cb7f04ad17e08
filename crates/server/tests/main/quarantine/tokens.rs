//! How many tokens a quarantine ended, and until when a verifier that works offline may take one.

use std::time::Duration;

use super::quarantine;
use crate::support::TestApp;

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
