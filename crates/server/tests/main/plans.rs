//! Plans (contract 2.6): how much a tenant may use.

mod agents;
mod requests;
mod tokens;

use serde_json::json;

use crate::support::{TestAgent, TestApp, new_agent};

const AGENTS: &str = "/api/v1/agents";
/// The tenant whose plan it is.
const TENANT: &str = "acme";

/// A server with a tenant of the plan `free`.
async fn start() -> TestApp {
    let app = TestApp::start().await;
    app.tenant(TENANT, "free").await;
    app
}

/// An agent of that tenant.
async fn agent(app: &TestApp, name: &str) -> TestAgent {
    let there = || app.operator().within(TENANT);
    let made = there().post(AGENTS, new_agent(name)).await.expect(201);
    let id = made["agentId"].as_str().unwrap().to_owned();
    let path = format!("{AGENTS}/{id}/credentials");
    let made = there().post(&path, json!({})).await.expect(201);
    let text = |name: &str| made[name].as_str().unwrap().to_owned();
    TestAgent { id, credential: text("credentialId"), secret: text("clientSecret") }
}

/// Puts the tenant on another plan.
async fn plan(app: &TestApp, plan: &str) {
    let path = format!("/api/v1/tenants/{TENANT}");
    app.operator().patch(&path, json!({"plan": plan})).await.expect(200);
}
