//! What was revoked stays dead when the clock steps back into the time of a token.

use std::time::Duration;

use countersign_server::features::oauth;

use crate::support::TestApp;

const LIFE: Duration = Duration::from_secs(3600);
const BACK: i64 = -5_000_000;

async fn revoke(app: &TestApp, token: &str) {
    app.operator().form("/api/v1/token/revoke", &[("token", token)]).await.expect(200);
}

#[tokio::test]
async fn a_token_that_was_revoked_after_it_expired_stays_dead() {
    let app = TestApp::start().await;
    let token = app.token(&app.agent("screener", &["agents:read"]).await).await;
    app.pass(LIFE);
    revoke(&app, &token).await;
    app.clock.step(BACK);
    assert!(!app.is_live(&token).await);
}

#[tokio::test]
async fn a_token_that_was_revoked_stays_dead_though_its_revocation_was_forgotten() {
    let app = TestApp::start().await;
    let token = app.token(&app.agent("screener", &["agents:read"]).await).await;
    revoke(&app, &token).await;
    app.pass(LIFE);
    let now = app.clock.now();
    app.server.app.law.directory.forget_expired(now - oauth::store::REMEMBERED);
    oauth::store::forget_expired(&app.server.app.db, now).await.unwrap();
    app.clock.step(BACK);
    assert!(!app.is_live(&token).await);
}
