//! Who quarantines whom.

use serde_json::json;

use super::{one, shown};
use crate::support::{As, MACHINE, TestAgent, TestApp};

/// Asks for both; gives the statuses.
async fn statuses(app: &TestApp, who: As<'_>, agent: &TestAgent) -> [u16; 2] {
    let client = app.client(who);
    let quarantine = format!("{}/quarantine", one(agent));
    let stopped = client.post(&quarantine, json!({"reason": "test"})).await;
    let back = client.post(&format!("{}/reinstate", one(agent)), json!({})).await;
    [stopped.status.as_u16(), back.status.as_u16()]
}

#[tokio::test]
async fn whoever_may_only_read_agents_stops_none() {
    let app = TestApp::start().await;
    let agent = app.agent("screener", &["audit:read"]).await;
    let (_, reader) = app.operator_with("default", &["readonly"]).await;
    let other = app.token(&app.agent("reader", &["agents:read"]).await).await;
    for who in [As::Bearer(&reader), As::Bearer(&other), As::Machine(MACHINE)] {
        assert_eq!(statuses(&app, who, &agent).await, [403, 403]);
    }
    assert_eq!(statuses(&app, As::Nobody, &agent).await, [401, 401]);
    assert_eq!(shown(&app, &agent).await["status"], "active");
    app.token(&agent).await;
    assert_eq!(app.events("agent.quarantined").await.len(), 0);
}

#[tokio::test]
async fn whoever_may_write_agents_stops_others() {
    let app = TestApp::start().await;
    let (_, admin) = app.operator_with("default", &["admin"]).await;
    let writer = app.token(&app.agent("writer", &["agents:write"]).await).await;
    for (name, token) in [("one", &admin), ("two", &writer)] {
        let agent = app.agent(name, &["audit:read"]).await;
        assert_eq!(statuses(&app, As::Bearer(token), &agent).await, [200, 200]);
    }
}

#[tokio::test]
async fn an_agent_neither_stops_nor_reinstates_itself() {
    let app = TestApp::start().await;
    let agent = app.agent("writer", &["agents:write"]).await;
    let token = app.token(&agent).await;
    let itself = app.client(As::Bearer(&token));
    let path = format!("{}/quarantine", one(&agent));
    let refused = itself.post(&path, json!({"reason": "test"})).await;
    let problem = refused.problem(403, "FORBIDDEN");
    assert_eq!(problem["detail"], "an agent never changes itself");
    let refused = itself.post(&format!("{}/reinstate", one(&agent)), json!({})).await;
    refused.problem(403, "FORBIDDEN");
    assert!(app.is_live(&token).await);
    assert_eq!(app.events("decision.made").await.len(), 2);
}

#[tokio::test]
async fn an_agent_of_another_tenant_is_not_found() {
    let app = TestApp::start().await;
    let theirs = app.tenant("acme", "unlimited").await;
    let agent = app.agent("screener", &["audit:read"]).await;
    assert_eq!(statuses(&app, As::Bearer(&theirs), &agent).await, [404, 404]);
    let there = app.operator().within("acme");
    let path = format!("{}/quarantine", one(&agent));
    let refused = there.post(&path, json!({"reason": "test"})).await;
    refused.problem(404, "AGENT_NOT_FOUND");
    assert_eq!(shown(&app, &agent).await["status"], "active");
}
