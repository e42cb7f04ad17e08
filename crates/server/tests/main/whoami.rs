//! Who the server takes the caller for.

use insta::assert_json_snapshot;
use serde_json::json;

use crate::support::{As, MACHINE, TestApp};

const WHOAMI: &str = "/api/v1/whoami";

#[tokio::test]
async fn an_operator_has_roles_and_a_level() {
    let app = TestApp::start().await;
    assert_json_snapshot!(app.operator().get(WHOAMI).await.expect(200), @r#"
    {
      "approvalLevel": 5,
      "id": "bootstrap",
      "roles": [
        "admin",
        "infra"
      ],
      "tenant": "default",
      "type": "operator"
    }
    "#);
    let (id, _) = app.operator_with("default", &["engineer"]).await;
    let path = format!("/api/v1/operators/{id}/tokens");
    let body = json!({"expiresAt": "2026-01-02T00:00:00Z"});
    let made = app.operator().post(&path, body).await.expect(201);
    let olga = app.client(As::Bearer(made["token"].as_str().unwrap()));
    assert_json_snapshot!(olga.get(WHOAMI).await.expect(200), {".id" => "[id]"}, @r#"
    {
      "approvalLevel": 2,
      "expiresAt": "2026-01-02T00:00:00.000Z",
      "id": "[id]",
      "roles": [
        "engineer"
      ],
      "tenant": "default",
      "type": "operator"
    }
    "#);
}

#[tokio::test]
async fn an_agent_has_the_scopes_of_its_token() {
    let app = TestApp::start().await;
    let agent = app.agent("screener", &["agents:read", "audit:read"]).await;
    let answer = app.token_answer(&agent, &[("scope", "audit:read")]).await.expect(200);
    let token = answer["access_token"].as_str().unwrap();
    let who = app.client(As::Bearer(token)).get(WHOAMI).await.expect(200);
    assert_eq!(who["id"], agent.id);
    assert_json_snapshot!(who, {".id" => "[id]"}, @r#"
    {
      "expiresAt": "2026-01-01T01:00:00.000Z",
      "id": "[id]",
      "scopes": [
        "audit:read"
      ],
      "tenant": "default",
      "type": "agent"
    }
    "#);
}

#[tokio::test]
async fn the_machine_has_its_role() {
    let app = TestApp::start().await;
    let who = app.client(As::Machine(MACHINE)).get(WHOAMI).await.expect(200);
    assert_json_snapshot!(who, @r#"
    {
      "id": "machine",
      "roles": [
        "machine"
      ],
      "tenant": "default",
      "type": "machine"
    }
    "#);
}

#[tokio::test]
async fn nobody_is_asked_for_credentials() {
    let app = TestApp::start().await;
    let answer = app.nobody().get(WHOAMI).await;
    let problem = answer.problem(401, "UNAUTHORIZED");
    assert_eq!([&problem["error"], &problem["reason"]], ["unauthorized", "no-credentials"]);
    assert!(answer.header("www-authenticate").starts_with("Bearer resource_metadata="));
}

#[tokio::test]
async fn the_tenant_is_the_one_that_is_acted_in() {
    let app = TestApp::start().await;
    let token = app.tenant("acme", "free").await;
    let theirs = app.client(As::Bearer(&token));
    assert_eq!(theirs.get(WHOAMI).await.expect(200)["tenant"], "acme");
    let there = app.operator().within("acme").get(WHOAMI).await.expect(200);
    assert_eq!([&there["id"], &there["tenant"]], ["bootstrap", "acme"]);
    let foreign = app.client(As::Bearer(&token)).within("default").get(WHOAMI).await;
    foreign.problem(403, "FORBIDDEN");
}

#[tokio::test]
async fn whoever_holds_nothing_is_told_who_they_are_all_the_same() {
    let app = TestApp::start().await;
    let agent = app.agent("screener", &["payroll:run"]).await;
    let token = app.token(&agent).await;
    let who = app.client(As::Bearer(&token)).get(WHOAMI).await.expect(200);
    assert_eq!(who["scopes"], json!(["payroll:run"]));
    assert_eq!(app.events("decision.made").await.len(), 0);
}
