//! The last operator who can administer can't be removed (contract 2.5).

use std::time::Duration;

use futures_util::future::join_all;
use serde_json::{Value, json};

use super::OPERATORS;
use crate::support::{Answer, As, TestApp};

/// A server whose tenant `other` has one administrator: their id and token.
async fn start() -> (TestApp, String, String) {
    let app = TestApp::start().await;
    let token = app.tenant("other", "unlimited").await;
    let who = app.client(As::Bearer(&token)).get("/api/v1/whoami").await.expect(200);
    let id = who["id"].as_str().unwrap().to_owned();
    (app, id, token)
}

fn path(id: &str) -> String {
    format!("{OPERATORS}/{id}")
}

/// Where the only token of an operator of the tenant `other` is.
async fn only_token(app: &TestApp, id: &str) -> String {
    let tokens = format!("{}/tokens", path(id));
    let page = app.operator().within("other").get(&tokens).await.expect(200);
    assert_eq!(page["total"], 1);
    format!("{tokens}/{}", page["data"][0]["tokenId"].as_str().unwrap())
}

/// Each way for an administrator to go, all refused.
async fn stays(app: &TestApp, id: &str, token: &str) {
    let own = app.client(As::Bearer(token));
    for answer in [
        own.delete(&path(id)).await,
        own.patch(&path(id), json!({"roles": ["readonly"]})).await,
        own.delete(&only_token(app, id).await).await,
        app.operator().within("other").delete(&path(id)).await,
    ] {
        let problem = answer.problem(409, "CONFLICT");
        assert!(problem["detail"].as_str().unwrap().contains("the last"), "{problem}");
    }
    let who = own.get(&path(id)).await.expect(200);
    assert_eq!(who["roles"], json!(["admin"]), "nothing was changed");
    own.get("/api/v1/audit").await.expect(200);
}

#[tokio::test]
async fn the_last_administrator_of_a_tenant_stays() {
    let (app, id, token) = start().await;
    stays(&app, &id, &token).await;
}

#[tokio::test]
async fn whoever_has_no_token_administers_nothing() {
    let (app, id, token) = start().await;
    let body = json!({"email": "o@people.example", "displayName": "Olga", "roles": ["admin"]});
    let second = app.operator().within("other").post(OPERATORS, body).await.expect(201);
    stays(&app, &id, &token).await;
    let tokens = format!("{}/tokens", path(second["operatorId"].as_str().unwrap()));
    app.operator().within("other").post(&tokens, json!({})).await.expect(201);
    app.client(As::Bearer(&token)).delete(&path(&id)).await.expect(204);
}

#[tokio::test]
async fn whoever_has_an_expired_token_administers_nothing() {
    let (app, id, token) = start().await;
    let body = json!({"email": "o@people.example", "displayName": "Olga", "roles": ["admin"]});
    let second = app.operator().within("other").post(OPERATORS, body).await.expect(201);
    let tokens = format!("{}/tokens", path(second["operatorId"].as_str().unwrap()));
    let soon = json!({"expiresAt": "2026-01-01T00:00:10Z"});
    app.operator().within("other").post(&tokens, soon).await.expect(201);
    app.pass(Duration::from_secs(10));
    stays(&app, &id, &token).await;
}

#[tokio::test]
async fn whoever_may_only_read_administers_nothing() {
    let (app, id, token) = start().await;
    for role in ["dev", "approver", "readonly", "machine"] {
        app.operator_with("other", &[role]).await;
    }
    app.operator_with("default", &["admin"]).await;
    stays(&app, &id, &token).await;
}

#[tokio::test]
async fn the_last_administrator_may_change_otherwise() {
    let (app, id, token) = start().await;
    let own = app.client(As::Bearer(&token));
    let change =
        json!({"roles": ["owner", "dev"], "maxApprovalLevel": 1, "displayName": "Olga II"});
    own.patch(&path(&id), change).await.expect(200);
    let token = only_token(&app, &id).await;
    own.post(&format!("{}/tokens", path(&id)), json!({})).await.expect(201);
    own.delete(&token).await.expect(204);
}

#[tokio::test]
async fn whoever_is_not_the_last_administrator_goes() {
    let (app, id, token) = start().await;
    let (second, _) = app.operator_with("other", &["admin"]).await;
    let (reader, _) = app.operator_with("other", &["readonly"]).await;
    let own = app.client(As::Bearer(&token));
    own.delete(&path(&reader)).await.expect(204);
    own.delete(&path(&second)).await.expect(204);
    stays(&app, &id, &token).await;
}

/// Exactly one of the two went, and the other is still there.
fn one_went(answers: &[Answer]) {
    let (went, stayed): (Vec<_>, Vec<_>) = answers.iter().partition(|one| one.status.is_success());
    assert_eq!(went.len(), 1, "{answers:?}");
    for answer in stayed {
        // Whoever was removed first is not known any more when their own request is looked at.
        match answer.status.as_u16() {
            401 => answer.problem(401, "UNAUTHORIZED"),
            _ => answer.problem(409, "CONFLICT"),
        };
    }
}

#[tokio::test]
async fn of_two_administrators_who_remove_each_other_one_stays() {
    let (app, one, ones) = start().await;
    let (two, twos) = app.operator_with("other", &["admin"]).await;
    let (first, second) = (app.client(As::Bearer(&ones)), app.client(As::Bearer(&twos)));
    let (of_one, of_two) = (path(&one), path(&two));
    let answers: [Answer; 2] = tokio::join!(first.delete(&of_two), second.delete(&of_one)).into();
    one_went(&answers);
    let (left, token) = if answers[0].status == 204 { (one, ones) } else { (two, twos) };
    app.client(As::Bearer(&token)).get(&path(&left)).await.expect(200);
    app.client(As::Bearer(&token)).delete(&path(&left)).await.problem(409, "CONFLICT");
}

#[tokio::test]
async fn of_all_administrators_removed_at_once_one_stays() {
    let (app, first, _) = start().await;
    let mut paths = vec![path(&first)];
    for _ in 0..4 {
        paths.push(path(&app.operator_with("other", &["admin"]).await.0));
    }
    let infra = app.operator().within("other");
    let answers = join_all(paths.iter().map(|path| infra.delete(path))).await;
    let stayed: Vec<_> = answers.iter().filter(|answer| answer.status != 204).collect();
    assert_eq!(stayed.len(), 1);
    stayed[0].problem(409, "CONFLICT");
    assert_eq!(infra.get(OPERATORS).await.expect(200)["total"], 1);
}

#[tokio::test]
async fn of_two_administrators_who_end_each_other_in_different_ways_one_stays() {
    let (app, one, ones) = start().await;
    let (two, twos) = app.operator_with("other", &["admin"]).await;
    let token = only_token(&app, &two).await;
    let (first, second) = (app.client(As::Bearer(&ones)), app.client(As::Bearer(&twos)));
    let (of_one, change) = (path(&one), json!({"roles": ["readonly"]}));
    let answers: [Answer; 2] =
        tokio::join!(first.delete(&token), second.patch(&of_one, change)).into();
    one_went(&answers);
    let roles: Value = app.operator().within("other").get(&path(&one)).await.expect(200);
    let kept = roles["roles"] == json!(["admin"]);
    let second = second.get(OPERATORS).await.status == 200;
    assert_ne!(kept, second, "one of the two administers");
}

#[tokio::test]
async fn the_last_who_crosses_tenants_stays_though_others_administer() {
    let app = TestApp::start().await;
    let (id, token) = app.operator_with("default", &["infra"]).await;
    app.operator_with("default", &["admin"]).await;
    let infra = app.client(As::Bearer(&token));
    infra.delete(&path("bootstrap")).await.expect(204);
    for answer in
        [infra.delete(&path(&id)).await, infra.patch(&path(&id), json!({"roles": ["admin"]})).await]
    {
        let problem = answer.problem(409, "CONFLICT");
        assert!(problem["detail"].as_str().unwrap().contains("the installation"), "{problem}");
    }
    infra.get("/api/v1/tenants").await.expect(200);
}

#[tokio::test]
async fn of_two_who_cross_tenants_and_remove_each_other_one_stays() {
    let app = TestApp::start().await;
    let (one, ones) = app.operator_with("default", &["infra"]).await;
    let (two, twos) = app.operator_with("default", &["infra"]).await;
    app.client(As::Bearer(&ones)).delete(&path("bootstrap")).await.expect(204);
    let (first, second) = (app.client(As::Bearer(&ones)), app.client(As::Bearer(&twos)));
    let (of_one, of_two) = (path(&one), path(&two));
    let answers: [Answer; 2] = tokio::join!(first.delete(&of_two), second.delete(&of_one)).into();
    one_went(&answers);
}
