//! The first operator's token: what ended stays ended until another one is configured.

use countersign_server::features::operators::bootstrap::BootstrapToken;
use serde_json::json;

use super::{OPERATORS, new_operator};
use crate::support::{As, OPERATOR, TestApp};

const FIRST: &str = "/api/v1/operators/bootstrap";
const WHOAMI: &str = "/api/v1/whoami";
/// Another token for the first operator. Made of nothing secret.
const ANOTHER: &str =
    concat!("op_live_", "fedcba9876543210fedcba9876543210fedcba9876543210fedcba9876543210");

async fn is_first(app: &TestApp, token: &str) -> bool {
    let answer = app.client(As::Bearer(token)).get(WHOAMI).await;
    if answer.status != 200 {
        answer.problem(401, "UNAUTHORIZED");
        return false;
    }
    answer.json()["id"] == "bootstrap"
}

#[tokio::test]
async fn one_who_was_removed_stays_so_while_the_configured_token_is_the_same() {
    let app = TestApp::start().await;
    assert_eq!(app.server.bootstrap, BootstrapToken::Configured);
    let (_, infra) = app.operator_with("default", &["infra"]).await;
    app.client(As::Bearer(&infra)).delete(FIRST).await.expect(204);
    assert!(!is_first(&app, OPERATOR).await);
    let app = app.restart().await;
    assert_eq!(app.server.bootstrap, BootstrapToken::Ended);
    assert!(!is_first(&app, OPERATOR).await);
    let shown = app.client(As::Bearer(&infra)).get(FIRST).await;
    shown.problem(404, "OPERATOR_NOT_FOUND");
}

#[tokio::test]
async fn one_who_was_removed_is_back_with_another_configured_token() {
    let app = TestApp::start().await;
    let made = app.operator().post(&format!("{FIRST}/tokens"), json!({})).await.expect(201);
    let (_, infra) = app.operator_with("default", &["infra"]).await;
    app.client(As::Bearer(&infra)).delete(FIRST).await.expect(204);
    let app = app.restart_with(&[("BOOTSTRAP_ADMIN_TOKEN", ANOTHER)]).await;
    assert_eq!(app.server.bootstrap, BootstrapToken::Configured);
    assert!(is_first(&app, ANOTHER).await);
    assert!(!is_first(&app, OPERATOR).await, "the former one");
    assert!(!is_first(&app, made["token"].as_str().unwrap()).await, "one made by hand");
    let operator = app.client(As::Bearer(ANOTHER));
    operator.post(OPERATORS, new_operator("olga", &["infra"])).await.expect(201);
}

#[tokio::test]
async fn a_token_that_was_revoked_stays_so_while_it_is_configured() {
    let app = TestApp::start().await;
    app.operator_with("default", &["infra"]).await;
    app.operator().delete(&format!("{FIRST}/tokens/bootstrap")).await.expect(204);
    assert!(!is_first(&app, OPERATOR).await);
    let app = app.restart().await;
    assert_eq!(app.server.bootstrap, BootstrapToken::Ended);
    assert!(!is_first(&app, OPERATOR).await);
    let app = app.restart_with(&[("BOOTSTRAP_ADMIN_TOKEN", ANOTHER)]).await;
    assert!(is_first(&app, ANOTHER).await && !is_first(&app, OPERATOR).await);
}

#[tokio::test]
async fn another_configured_token_ends_the_former() {
    let app = TestApp::start().await;
    let app = app.restart_with(&[("BOOTSTRAP_ADMIN_TOKEN", ANOTHER)]).await;
    assert!(is_first(&app, ANOTHER).await && !is_first(&app, OPERATOR).await);
    let path = "/api/v1/audit?action=operator.bootstrapped";
    let page = app.client(As::Bearer(ANOTHER)).get(path).await.expect(200);
    let events = page["data"].as_array().unwrap();
    assert_eq!(events.len(), 2);
    for event in events {
        let who = (&event["actorType"], &event["actorId"], &event["resource"]);
        assert_eq!(who, (&json!("system"), &json!("bootstrap"), &json!("operators/bootstrap")));
    }
}

#[tokio::test]
async fn a_restart_with_nothing_new_records_nothing() {
    let app = TestApp::start().await.restart().await;
    assert_eq!(app.server.bootstrap, BootstrapToken::Configured);
    assert_eq!(app.events("operator.bootstrapped").await.len(), 1);
}

#[tokio::test]
async fn one_is_not_lost_without_roles_for_they_hold_everything() {
    let app = TestApp::start().await;
    app.operator().patch(FIRST, json!({"roles": ["readonly"]})).await.expect(200);
    app.operator().get("/api/v1/tenants").await.expect(200);
    app.operator().delete(FIRST).await.problem(409, "CONFLICT");
    app.operator().delete(&format!("{FIRST}/tokens/bootstrap")).await.problem(409, "CONFLICT");
    app.operator().post(OPERATORS, new_operator("olga", &["infra"])).await.expect(201);
}

#[tokio::test]
async fn one_is_back_though_somebody_has_their_address_by_now() {
    let app = TestApp::start().await;
    let (_, infra) = app.operator_with("default", &["infra"]).await;
    app.operator().patch(FIRST, json!({"email": "olga@people.example"})).await.expect(200);
    let infras = app.client(As::Bearer(&infra));
    infras.delete(FIRST).await.expect(204);
    infras.post(OPERATORS, new_operator("olga", &["admin"])).await.expect(201);
    let app = app.restart_with(&[("BOOTSTRAP_ADMIN_TOKEN", ANOTHER)]).await;
    assert!(is_first(&app, ANOTHER).await);
}

#[tokio::test]
async fn another_configured_token_comes_with_roles_and_level_again() {
    let app = TestApp::start().await;
    app.operator().patch(FIRST, json!({"maxApprovalLevel": 1})).await.expect(200);
    let app = app.restart_with(&[("BOOTSTRAP_ADMIN_TOKEN", ANOTHER)]).await;
    assert_eq!(app.client(As::Bearer(ANOTHER)).get(FIRST).await.expect(200)["approvalLevel"], 5);
}
