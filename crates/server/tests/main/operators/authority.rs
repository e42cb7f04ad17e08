//! Nobody gives, or touches, what holds more than they do (contract 2.5).

use insta::assert_json_snapshot;
use serde_json::{Value, json};

use super::{OPERATORS, make, new_operator, one};
use crate::support::{As, MACHINE, OPERATOR, TestApp};

/// What `readonly` holds.
const READS: [&str; 18] = [
    "memory_pin:read",
    "prometheus:query",
    "costsim:read",
    "policy:read",
    "rbac:read",
    "memory:read",
    "agents:read",
    "tokens:read",
    "services:read",
    "operators:read",
    "keys:read",
    "guards:read",
    "routes:read",
    "registry:read",
    "webhooks:read",
    "ssh:read",
    "audit:read",
    "decisions:read",
];

#[tokio::test]
async fn only_who_may_write_operators_makes_one() {
    let app = TestApp::start().await;
    let body = || new_operator("olga", &["readonly"]);
    for role in ["dev", "approver", "readonly", "machine"] {
        let (_, token) = app.operator_with("default", &[role]).await;
        let refused = app.client(As::Bearer(&token)).post(OPERATORS, body()).await;
        refused.problem(403, "FORBIDDEN");
    }
    let machine = app.client(As::Machine(MACHINE));
    machine.post(OPERATORS, body()).await.problem(403, "FORBIDDEN");
    machine.get(OPERATORS).await.problem(403, "FORBIDDEN");
    let token = app.token(&app.agent("reader", &["operators:read"]).await).await;
    let reader = app.client(As::Bearer(&token));
    reader.get(OPERATORS).await.expect(200);
    reader.post(OPERATORS, body()).await.problem(403, "INSUFFICIENT_SCOPE");
    for answer in [app.nobody().post(OPERATORS, body()).await, app.nobody().get(OPERATORS).await] {
        assert_eq!(answer.problem(401, "UNAUTHORIZED")["reason"], "no-credentials");
    }
    assert_eq!(app.events("operator.created").await.len(), 4);
}

#[tokio::test]
async fn an_administrator_does_not_make_infra() {
    let app = TestApp::start().await;
    let (admin, token) = app.operator_with("default", &["admin"]).await;
    let admins = app.client(As::Bearer(&token));
    let refused = admins.post(OPERATORS, new_operator("olga", &["infra"])).await;
    let problem = refused.problem(403, "FORBIDDEN");
    assert_json_snapshot!(problem, {".request_id" => "[id]", ".decision_id" => "[decision]"}, @r#"
    {
      "action": "write",
      "code": "FORBIDDEN",
      "decision_id": "[decision]",
      "detail": "this holds what you do not: the role `infra`",
      "error": "forbidden",
      "message": "this holds what you do not: the role `infra`",
      "reason": "insufficient-permissions",
      "request_id": "[id]",
      "resource": "operators",
      "status": 403,
      "title": "Permission denied",
      "type": "urn:countersign:error:forbidden"
    }
    "#);
    let denied = app.events("decision.made").await.remove(0);
    assert_eq!((&denied["actorId"], &denied["outcome"]), (&json!(admin), &json!("denied")));
    assert_eq!(denied["decisionId"], problem["decision_id"]);
    admins.post(OPERATORS, new_operator("olga", &["owner"])).await.expect(201);
}

#[tokio::test]
async fn an_administrator_does_not_touch_infra() {
    let app = TestApp::start().await;
    let (infra, kept) = app.operator_with("default", &["infra"]).await;
    let (_, token) = app.operator_with("default", &["admin"]).await;
    let admins = app.client(As::Bearer(&token));
    let path = format!("{OPERATORS}/{infra}");
    let tokens = format!("{path}/tokens");
    let made = app.operator().get(&tokens).await.expect(200);
    let one = format!("{tokens}/{}", made["data"][0]["tokenId"].as_str().unwrap());
    for answer in [
        admins.patch(&path, json!({"displayName": "Mine"})).await,
        admins.patch(&path, json!({"roles": ["readonly"]})).await,
        admins.delete(&path).await,
        admins.post(&tokens, json!({})).await,
        admins.delete(&one).await,
        admins.delete(&format!("{OPERATORS}/bootstrap")).await,
        admins.delete(&format!("{OPERATORS}/bootstrap/tokens/bootstrap")).await,
    ] {
        answer.problem(403, "FORBIDDEN");
    }
    for token in [&kept, OPERATOR] {
        app.client(As::Bearer(token)).get(OPERATORS).await.expect(200);
    }
}

#[tokio::test]
async fn nobody_raises_themselves() {
    let app = TestApp::start().await;
    let (id, token) = app.operator_with("default", &["admin"]).await;
    let path = format!("{OPERATORS}/{id}");
    app.operator().patch(&path, json!({"maxApprovalLevel": 3})).await.expect(200);
    let own = app.client(As::Bearer(&token));
    for wanted in [
        json!({"roles": ["infra"]}),
        json!({"roles": ["admin", "infra"]}),
        json!({"maxApprovalLevel": 4}),
        json!({"maxApprovalLevel": null}),
    ] {
        own.patch(&path, wanted).await.problem(403, "FORBIDDEN");
    }
    let shown = own.get(&path).await.expect(200);
    assert_eq!((&shown["roles"], &shown["approvalLevel"]), (&json!(["admin"]), &json!(3)));
    own.patch(&path, json!({"maxApprovalLevel": 2})).await.expect(200);
    own.patch(&path, json!({"maxApprovalLevel": 3})).await.problem(403, "FORBIDDEN");
}

#[tokio::test]
async fn nobody_gives_a_level_that_is_above_their_own() {
    let app = TestApp::start().await;
    let (id, token) = app.operator_with("default", &["admin"]).await;
    let lower = json!({"maxApprovalLevel": 2});
    app.operator().patch(&format!("{OPERATORS}/{id}"), lower).await.expect(200);
    let own = app.client(As::Bearer(&token));
    own.post(OPERATORS, new_operator("a", &["approver"])).await.problem(403, "FORBIDDEN");
    let mut body = new_operator("b", &["readonly"]);
    body["maxApprovalLevel"] = json!(3);
    own.post(OPERATORS, body.clone()).await.problem(403, "FORBIDDEN");
    body["maxApprovalLevel"] = json!(2);
    let made = own.post(OPERATORS, body).await.expect(201);
    for more in [json!({"maxApprovalLevel": 3}), json!({"roles": ["director"]})] {
        let refused = own.patch(&one(&made), more).await;
        refused.problem(403, "FORBIDDEN");
    }
    let higher = make(&app, "c", &["approver"]).await;
    let touched = own.patch(&one(&higher), json!({"displayName": "Mine"})).await;
    touched.problem(403, "FORBIDDEN");
}

#[tokio::test]
async fn an_agent_makes_no_operator_who_holds_more_than_its_token() {
    let app = TestApp::start().await;
    let token = app.token(&app.agent("maker", &["operators:write"]).await).await;
    let maker = app.client(As::Bearer(&token));
    for role in ["admin", "infra", "readonly"] {
        let refused = maker.post(OPERATORS, new_operator("olga", &[role])).await;
        refused.problem(403, "INSUFFICIENT_SCOPE");
        assert!(refused.header("www-authenticate").contains("operators:write"), "{refused:?}");
    }
    let tokens = format!("{OPERATORS}/bootstrap/tokens");
    maker.post(&tokens, json!({})).await.expect(403);
    let scopes: Vec<&str> = READS.into_iter().chain(["operators:write"]).collect();
    let token = app.token(&app.agent("registrar", &scopes).await).await;
    let registrar = app.client(As::Bearer(&token));
    let made = registrar.post(OPERATORS, new_operator("olga", &["readonly"])).await.expect(201);
    let raised = registrar.patch(&one(&made), json!({"maxApprovalLevel": 2})).await;
    raised.problem(403, "FORBIDDEN");
    registrar.post(&format!("{}/tokens", one(&made)), json!({})).await.expect(201);
}

#[tokio::test]
async fn only_the_first_operator_makes_tokens_of_the_first_operator() {
    let app = TestApp::start().await;
    let tokens = format!("{OPERATORS}/bootstrap/tokens");
    let (_, infra) = app.operator_with("default", &["infra", "admin"]).await;
    let refused = app.client(As::Bearer(&infra)).post(&tokens, json!({})).await;
    refused.problem(403, "FORBIDDEN");
    let made = app.operator().post(&tokens, json!({})).await.expect(201);
    let own: &Value = &made["token"];
    let who = app.client(As::Bearer(own.as_str().unwrap())).get("/api/v1/whoami").await;
    assert_eq!(who.expect(200)["id"], "bootstrap");
}

#[tokio::test]
async fn infra_keeps_the_operators_of_another_tenant_and_its_record_says_so() {
    let app = TestApp::start().await;
    let theirs = app.tenant("other", "unlimited").await;
    let (infra, token) = app.operator_with("default", &["infra"]).await;
    let there = app.client(As::Bearer(&token)).within("other");
    let made = there.post(OPERATORS, new_operator("olga", &["admin"])).await.expect(201);
    assert_eq!(made["tenant"], "other");
    let path = "/api/v1/audit?action=operator.created";
    let page = app.client(As::Bearer(&theirs)).get(path).await.expect(200);
    assert_eq!(page["data"][0]["actorId"], infra);
    assert!(page["data"][0]["resource"].as_str().unwrap().contains(&one(&made)[18..]));
    app.operator().get(&one(&made)).await.problem(404, "OPERATOR_NOT_FOUND");
    let foreign = app.client(As::Bearer(&theirs)).within("default").get(OPERATORS).await;
    foreign.problem(403, "FORBIDDEN");
}

#[tokio::test]
async fn another_tenants_administrator_makes_no_infra_either() {
    let app = TestApp::start().await;
    let token = app.tenant("other", "unlimited").await;
    let theirs = app.client(As::Bearer(&token));
    theirs.post(OPERATORS, new_operator("olga", &["infra"])).await.problem(403, "FORBIDDEN");
    theirs.post(OPERATORS, new_operator("olga", &["admin"])).await.expect(201);
}
