//! Vault is configured later than the first credential was made, or no longer.

use std::time::Duration;

use serde_json::json;

use super::double::{Ailment, Call, Double};
use super::{ask, create, revoke, rotate, settle, started, unsettled, versions};
use crate::credentials::works;
use crate::support::{TestAgent, TestApp};

/// An agent whose credential was made before Vault was configured.
async fn moved() -> (Double, TestApp, TestAgent) {
    let vault = Double::start().await;
    let app = TestApp::start().await;
    let agent = app.agent("screener", &["audit:read"]).await;
    let app = app.restart_with(&vault.settings()).await;
    (vault, app, agent)
}

/// A server that no longer knows of Vault, and an agent whose credential is there.
async fn unset() -> (Double, TestApp, TestAgent) {
    let (vault, app, agent) = started().await;
    let app = app.restart_without(&["VAULT_ADDR", "VAULT_TOKEN"]).await;
    vault.take_calls();
    (vault, app, agent)
}

#[tokio::test]
async fn what_was_made_before_stays_good_from_the_database() {
    let (vault, app, agent) = moved().await;
    vault.ails(Ailment::Sealed);
    assert!(works(&app, &agent, &json!(agent.secret)).await);
    assert!(!works(&app, &agent, &json!("sk_live_wrong")).await);
    revoke(&app, &agent).await.expect(204);
    assert!(!works(&app, &agent, &json!(agent.secret)).await);
    assert_eq!((vault.take_calls(), unsettled(&app).await), (vec![], 0));
}

#[tokio::test]
async fn a_rotation_moves_a_secret_to_vault() {
    let (vault, app, agent) = moved().await;
    let rotated = rotate(&app, &agent, json!({"graceSeconds": 60})).await.expect(200);
    assert_eq!(versions(&vault, &agent)[&1].data["client_secret"], rotated["clientSecret"]);
    let app = app.restart().await;
    assert!(works(&app, &agent, &json!(agent.secret)).await, "in its grace");
    assert!(works(&app, &agent, &rotated["clientSecret"]).await);
    app.pass(Duration::from_secs(60));
    assert!(!works(&app, &agent, &json!(agent.secret)).await);
}

#[tokio::test]
async fn a_move_that_fails_leaves_the_secret_in_the_database_in_force() {
    let (vault, app, agent) = moved().await;
    vault.does_and_fails_at(Call::Write, Ailment::HalfClosed);
    rotate(&app, &agent, json!({})).await.problem(503, "DEPENDENCY_UNAVAILABLE");
    vault.recovers();
    assert!(works(&app, &agent, &json!(agent.secret)).await);
    let app = app.restart().await;
    settle(&app).await;
    assert_eq!((vault.paths().len(), unsettled(&app).await), (0, 0));
    assert!(works(&app, &agent, &json!(agent.secret)).await);
    let rotated = rotate(&app, &agent, json!({})).await.expect(200);
    assert!(works(&app, &agent, &rotated["clientSecret"]).await);
    assert!(!works(&app, &agent, &json!(agent.secret)).await);
}

#[tokio::test]
async fn without_vault_its_secrets_are_not_accepted() {
    let (_vault, app, agent) = unset().await;
    for secret in [&agent.secret, "sk_live_wrong"] {
        let answer = ask(&app, &agent, &json!(secret)).await;
        answer.oauth(503, "temporarily_unavailable");
        assert_eq!(answer.header("retry-after"), "60");
    }
    let second = create(&app, &agent).await.expect(201);
    assert!(works(&app, &agent, &second["clientSecret"]).await, "kept in the database");
    ask(&app, &agent, &json!(agent.secret)).await.oauth(503, "temporarily_unavailable");
}

#[tokio::test]
async fn without_vault_a_rotation_brings_a_secret_home() {
    let (vault, app, agent) = unset().await;
    let refused = rotate(&app, &agent, json!({"graceSeconds": 60})).await;
    let problem = refused.problem(503, "DEPENDENCY_UNAVAILABLE");
    assert!(problem["detail"].as_str().unwrap().contains("`graceSeconds`"), "{problem}");
    let rotated = rotate(&app, &agent, json!({})).await.expect(200);
    assert!(works(&app, &agent, &rotated["clientSecret"]).await);
    assert!(!works(&app, &agent, &json!(agent.secret)).await);
    let again = rotate(&app, &agent, json!({"graceSeconds": 60})).await.expect(200);
    for secret in [&rotated["clientSecret"], &again["clientSecret"]] {
        assert!(works(&app, &agent, secret).await);
    }
    assert_eq!((vault.take_calls(), vault.paths().len()), (vec![], 1));

    let app = app.restart_with(&vault.settings()).await;
    settle(&app).await;
    assert_eq!((vault.paths().len(), unsettled(&app).await), (0, 0), "what it left there");
    assert!(works(&app, &agent, &again["clientSecret"]).await);
    let third = rotate(&app, &agent, json!({})).await.expect(200);
    settle(&app).await;
    let app = app.restart().await;
    assert!(works(&app, &agent, &third["clientSecret"]).await, "there again");
    assert_eq!(vault.paths().len(), 1);
}

#[tokio::test]
async fn without_vault_a_revocation_succeeds_and_is_finished_when_it_is_back() {
    let (vault, app, agent) = unset().await;
    revoke(&app, &agent).await.expect(204);
    ask(&app, &agent, &json!(agent.secret)).await.oauth(401, "invalid_client");
    settle(&app).await;
    assert_eq!((vault.take_calls(), unsettled(&app).await), (vec![], 1));
    let app = app.restart_with(&vault.settings()).await;
    settle(&app).await;
    assert_eq!((vault.paths().len(), unsettled(&app).await), (0, 0));
}

#[tokio::test]
async fn vault_that_is_configured_again_has_what_it_had() {
    let (vault, app, agent) = unset().await;
    let app = app.restart_with(&vault.settings()).await;
    assert!(works(&app, &agent, &json!(agent.secret)).await);
}
