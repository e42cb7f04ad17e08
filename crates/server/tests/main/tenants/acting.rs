//! `X-Tenant`: operators with the role `infra` act in another tenant, nobody else does.

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{Answer, As, MACHINE, TestAgent, TestApp, new_agent};

const AGENTS: &str = "/api/v1/agents";
const OTHER: &str = "other";

/// A server with a second tenant, and the token of that one's administrator.
async fn start() -> (TestApp, String) {
    let app = TestApp::start().await;
    let token = app.tenant(OTHER, "unlimited").await;
    (app, token)
}

/// An agent of the second tenant, made from the first.
async fn theirs(app: &TestApp, scopes: &[&str]) -> TestAgent {
    let mut body = new_agent("theirs");
    body["scopes"] = json!(scopes);
    let there = app.operator().within(OTHER);
    let id = there.post(AGENTS, body).await.expect(201)["agentId"].as_str().unwrap().to_owned();
    let path = format!("{AGENTS}/{id}/credentials");
    let made = app.operator().within(OTHER).post(&path, json!({})).await.expect(201);
    let text = |name: &str| made[name].as_str().unwrap().to_owned();
    TestAgent { id, credential: text("credentialId"), secret: text("clientSecret") }
}

#[tokio::test]
async fn infra_makes_and_lists_agents_of_the_tenant_that_it_names() {
    let (app, admin) = start().await;
    let agent = theirs(&app, &["agents:read"]).await;
    let shown = app.client(As::Bearer(&admin)).get(&format!("{AGENTS}/{}", agent.id)).await;
    assert_eq!(shown.expect(200)["tenant"], OTHER);
    let there = app.operator().within(OTHER);
    assert_eq!(there.get(AGENTS).await.expect(200)["total"], 1);
    assert_eq!(app.operator().get(AGENTS).await.expect(200)["total"], 0);
    assert_eq!(app.operator().within("default").get(AGENTS).await.expect(200)["total"], 0);
    let path = format!("{AGENTS}/{}", agent.id);
    there.patch(&path, json!({"owner": "infra"})).await.expect(200);
    there.post(&format!("{path}/quarantine"), json!({"reason": "test"})).await.expect(200);
    there.delete(&path).await.expect(204);
}

#[tokio::test]
async fn infra_introspects_and_revokes_in_the_tenant_that_it_names() {
    let (app, _) = start().await;
    let token = app.token(&theirs(&app, &["agents:read"]).await).await;
    let is_live = async |tenant: &str| {
        let form = [("token", token.as_str())];
        let answer = app.operator().within(tenant).form("/api/v1/token/introspect", &form).await;
        answer.expect(200)["active"] == json!(true)
    };
    assert!(!is_live("default").await && is_live(OTHER).await);
    let form = [("token", token.as_str())];
    app.operator().form("/api/v1/token/revoke", &form).await.expect(200);
    assert!(is_live(OTHER).await, "not from another tenant");
    app.operator().within(OTHER).form("/api/v1/token/revoke", &form).await.expect(200);
    assert!(!is_live(OTHER).await);
}

#[tokio::test]
async fn infra_reads_the_record_of_the_tenant_that_it_names_and_writes_to_it() {
    let (app, admin) = start().await;
    let agent = theirs(&app, &[]).await;
    let page: Value = app.operator().within(OTHER).get("/api/v1/audit").await.expect(200);
    assert!(page["data"].as_array().unwrap().iter().all(|event| event["tenant"] == OTHER));
    let path = "/api/v1/audit?action=agent.created";
    let there = app.operator().within(OTHER).get(path).await.expect(200);
    let event = &there["data"][0];
    assert_eq!((&event["actorId"], &event["agentId"]), (&json!("bootstrap"), &json!(agent.id)));
    assert_eq!(app.client(As::Bearer(&admin)).get(path).await.expect(200), there);
    assert_eq!(app.operator().get(path).await.expect(200)["data"], json!([]));
    let one = format!("/api/v1/audit/{}", event["eventId"].as_str().unwrap());
    app.operator().within(OTHER).get(&one).await.expect(200);
    app.operator().get(&one).await.problem(404, "AUDIT_EVENT_NOT_FOUND");
}

#[tokio::test]
async fn everybody_may_name_their_own_tenant() {
    let (app, admin) = start().await;
    app.client(As::Bearer(&admin)).within(OTHER).get(AGENTS).await.expect(200);
    let token = app.token(&theirs(&app, &["agents:read"]).await).await;
    app.client(As::Bearer(&token)).within(OTHER).get(AGENTS).await.expect(200);
    let machine = app.client(As::Machine(MACHINE)).within("default");
    machine.get("/api/v1/rbac/info").await.expect(200);
}

#[tokio::test]
async fn nobody_but_infra_names_another_tenant_there_or_not() {
    let (app, admin) = start().await;
    let (_, dev) = app.operator_with("default", &["dev", "admin", "machine"]).await;
    let agent = app.token(&app.agent("ours", &["agents:read", "agents:write"]).await).await;
    for (who, foreign) in [
        (As::Bearer(&admin), "default"),
        (As::Bearer(&dev), OTHER),
        (As::Bearer(&agent), OTHER),
        (As::Machine(MACHINE), OTHER),
    ] {
        for tenant in [foreign, "nobody", "", "Default", "default,other"] {
            let refused = app.client(who).within(tenant).get(AGENTS).await;
            let problem = refused.problem(403, "FORBIDDEN");
            assert_eq!([&problem["error"], &problem["reason"]], ["forbidden", "foreign-tenant"]);
        }
        app.client(who).within(foreign).post(AGENTS, new_agent("x")).await.expect(403);
    }
    assert_eq!(app.operator().within(OTHER).get(AGENTS).await.expect(200)["total"], 0);
}

#[tokio::test]
async fn a_tenant_that_is_not_there_is_not_found() {
    let (app, _) = start().await;
    for tenant in ["nobody", "", "OTHER", "other,default", "*", "'", &"x".repeat(5_000)] {
        let refused = app.operator().within(tenant).get(AGENTS).await;
        refused.problem(404, "TENANT_NOT_FOUND");
    }
    let request = app.operator().request(Method::GET, AGENTS);
    let bytes = reqwest::header::HeaderValue::from_bytes(b"\xff\xfe").unwrap();
    Answer::to(request.header("x-tenant", bytes)).await.problem(404, "TENANT_NOT_FOUND");
}

#[tokio::test]
async fn a_tenant_is_named_once() {
    let (app, _) = start().await;
    for again in [OTHER, "default"] {
        let request = app.operator().within(OTHER).request(Method::GET, AGENTS);
        let answer = Answer::to(request.header("x-tenant", again)).await;
        answer.problem(400, "VALIDATION_ERROR");
    }
}

#[tokio::test]
async fn whoever_is_nobody_learns_nothing_of_tenants() {
    let (app, _) = start().await;
    for tenant in [OTHER, "nobody", "default"] {
        app.nobody().within(tenant).get(AGENTS).await.problem(401, "UNAUTHORIZED");
    }
}

#[tokio::test]
async fn the_token_endpoint_takes_the_tenant_from_the_client_alone() {
    let (app, _) = start().await;
    let agent = theirs(&app, &["agents:read"]).await;
    let form = [
        ("grant_type", "client_credentials"),
        ("client_id", agent.id.as_str()),
        ("client_secret", agent.secret.as_str()),
    ];
    for tenant in ["default", "nobody", OTHER] {
        let answer = app.nobody().within(tenant).form("/api/v1/token", &form).await.expect(200);
        let claims = crate::tokens::part(answer["access_token"].as_str().unwrap(), 1);
        assert_eq!(claims["tenant"], OTHER);
    }
}

#[tokio::test]
async fn a_role_that_is_lost_no_longer_crosses() {
    let (app, _) = start().await;
    let (id, token) = app.operator_with("default", &["infra"]).await;
    app.client(As::Bearer(&token)).within(OTHER).get(AGENTS).await.expect(200);
    let path = format!("/api/v1/operators/{id}");
    app.operator().patch(&path, json!({"roles": ["admin"]})).await.expect(200);
    let refused = app.client(As::Bearer(&token)).within(OTHER).get(AGENTS).await;
    refused.problem(403, "FORBIDDEN");
}

#[tokio::test]
async fn who_named_another_tenant_is_recorded() {
    let (app, _) = start().await;
    let (id, token) = app.operator_with("default", &["admin"]).await;
    app.client(As::Bearer(&token)).within(OTHER).get(AGENTS).await.expect(403);
    assert_eq!(app.events("auth.failed").await[0]["actorId"], id.as_str());
}
