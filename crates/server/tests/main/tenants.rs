//! Tenants don't meet: what belongs to one is not there for another. How they are kept, and who acts in
//! another, is in the modules below.

mod acting;
mod kept;

use serde_json::json;

use crate::support::{As, TestAgent, TestApp, new_agent};

/// A server with a second tenant, and the token of that one's administrator.
async fn start() -> (TestApp, String) {
    let app = TestApp::start().await;
    let olga = app.tenant("other", "unlimited").await;
    (app, olga)
}

/// An agent of the second tenant.
async fn agent((app, olga): &(TestApp, String), name: &str) -> TestAgent {
    let olga = app.client(As::Bearer(olga));
    let made = olga.post("/api/v1/agents", new_agent(name)).await.expect(201);
    assert_eq!(made["tenant"], "other");
    let id = made["agentId"].as_str().unwrap().to_owned();
    let path = format!("/api/v1/agents/{id}/credentials");
    let made = olga.post(&path, json!({})).await.expect(201);
    let text = |name: &str| made[name].as_str().unwrap().to_owned();
    TestAgent { id, credential: text("credentialId"), secret: text("clientSecret") }
}

#[tokio::test]
async fn an_agent_of_another_tenant_is_not_found() {
    let both = start().await;
    let (app, olga) = &both;
    let path = format!("/api/v1/agents/{}", agent(&both, "screener").await.id);
    app.operator().get(&path).await.problem(404, "AGENT_NOT_FOUND");
    let changed = app.operator().patch(&path, json!({"owner": "others"})).await;
    changed.problem(404, "AGENT_NOT_FOUND");
    app.operator().delete(&path).await.problem(404, "AGENT_NOT_FOUND");
    let olga = app.client(As::Bearer(olga));
    assert_eq!(olga.get(&path).await.expect(200)["owner"], "tests", "nothing was changed");
}

#[tokio::test]
async fn credentials_of_another_tenants_agent_are_not_found() {
    let both = start().await;
    let (app, _) = &both;
    let agent = agent(&both, "screener").await;
    let path = format!("/api/v1/agents/{}/credentials", agent.id);
    let one = format!("{path}/{}", agent.credential);
    app.operator().get(&path).await.problem(404, "AGENT_NOT_FOUND");
    app.operator().post(&path, json!({})).await.problem(404, "AGENT_NOT_FOUND");
    app.operator().post(&format!("{one}/rotate"), json!({})).await.expect(404);
    app.operator().delete(&one).await.expect(404);
    app.token(&agent).await;
}

#[tokio::test]
async fn a_credential_of_another_tenant_is_not_found_under_an_own_agent() {
    let both = start().await;
    let (app, _) = &both;
    let (own, other) = (app.agent("screener", &[]).await, agent(&both, "screener").await);
    let path = format!("/api/v1/agents/{}/credentials/{}", own.id, other.credential);
    let rotated = app.operator().post(&format!("{path}/rotate"), json!({})).await;
    rotated.problem(404, "CREDENTIAL_NOT_FOUND");
    app.operator().delete(&path).await.problem(404, "CREDENTIAL_NOT_FOUND");
    app.token(&other).await;
}

#[tokio::test]
async fn the_list_has_the_own_tenants_agents_only() {
    let both = start().await;
    let (app, _) = &both;
    agent(&both, "theirs").await;
    let own = app.agent("ours", &[]).await;
    let page = app.operator().get("/api/v1/agents").await.expect(200);
    assert_eq!((&page["total"], &page["data"][0]["agentId"]), (&json!(1), &json!(own.id)));
}

#[tokio::test]
async fn an_email_may_be_registered_in_each_tenant() {
    let both = start().await;
    let (app, _) = &both;
    agent(&both, "screener").await;
    app.agent("screener", &[]).await;
}

#[tokio::test]
async fn an_agent_acts_in_its_own_tenant() {
    let both = start().await;
    let (app, _) = &both;
    let (own, other) = (app.agent("screener", &[]).await, agent(&both, "screener").await);
    let token = app.token(&other).await;
    let client = app.client(As::Bearer(&token));
    client.get(&format!("/api/v1/agents/{}", other.id)).await.expect(200);
    let stranger = client.get(&format!("/api/v1/agents/{}", own.id)).await;
    stranger.problem(404, "AGENT_NOT_FOUND");
}

#[tokio::test]
async fn a_token_of_another_tenant_is_not_live_for_whoever_asks() {
    let both = start().await;
    let (app, _) = &both;
    let token = app.token(&agent(&both, "screener").await).await;
    assert!(!app.is_live(&token).await);
}

#[tokio::test]
async fn the_record_shows_the_own_tenants_events_only() {
    let both = start().await;
    let (app, olga) = &both;
    agent(&both, "screener").await;
    assert_eq!(app.events("agent.created").await.len(), 0);
    let path = "/api/v1/audit?action=agent.created";
    let page = app.client(As::Bearer(olga)).get(path).await.expect(200);
    let id = page["data"][0]["eventId"].as_str().unwrap();
    let event = app.operator().get(&format!("/api/v1/audit/{id}")).await;
    event.problem(404, "AUDIT_EVENT_NOT_FOUND");
}

#[tokio::test]
async fn an_operator_grants_only_what_their_roles_hold() {
    let both = start().await;
    let (app, olga) = &both;
    let olga = app.client(As::Bearer(olga));
    for (scope, status) in [("audit:read", 201), ("tokens:write", 201), ("payroll:write", 403)] {
        let mut body = new_agent(&scope.replace(':', "-"));
        body["scopes"] = json!([scope]);
        let answer = olga.post("/api/v1/agents", body).await;
        answer.expect(status);
        if status == 403 {
            answer.problem(403, "FORBIDDEN");
        }
    }
}
