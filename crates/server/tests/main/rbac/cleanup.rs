//! Old role decisions are forgotten early, and nothing else is.

use std::time::Duration;

use insta::assert_json_snapshot;
use serde_json::{Value, json};

use super::{MATRIX, built_in};
use crate::support::{As, TestApp, new_agent};

const CLEANUP: &str = "/api/v1/rbac/audit/cleanup";
const AGENTS: &str = "/api/v1/agents";
const DAY: Duration = Duration::from_secs(24 * 3600);

/// One decision against somebody of this tenant, and an agent made there.
async fn decide(app: &TestApp, tenant: &str, name: &str) {
    let (_, token) = app.operator_with(tenant, &["readonly"]).await;
    app.client(As::Bearer(&token)).post(AGENTS, json!({})).await.expect(403);
    app.operator().within(tenant).post(AGENTS, new_agent(name)).await.expect(201);
}

async fn count(app: &TestApp, tenant: &str, action: &str) -> usize {
    let path = format!("/api/v1/audit?action={action}");
    let page: Value = app.operator().within(tenant).get(&path).await.expect(200);
    page["data"].as_array().unwrap().len()
}

#[tokio::test]
async fn old_decisions_of_the_own_tenant_are_forgotten_and_nothing_else() {
    let app = TestApp::start().await;
    app.tenant("acme", "unlimited").await;
    decide(&app, "default", "one").await;
    decide(&app, "acme", "one").await;
    app.pass(40 * DAY);
    decide(&app, "default", "two").await;
    let done = app.operator().post(&format!("{CLEANUP}?retention_days=30"), json!({})).await;
    assert_json_snapshot!(done.expect(200), @r#"
    {
      "deleted_count": 1,
      "retention_days": 30,
      "timestamp": "2026-02-10T00:00:00.000Z"
    }
    "#);
    assert_eq!(count(&app, "default", "decision.made").await, 1);
    assert_eq!(count(&app, "acme", "decision.made").await, 1);
    assert_eq!(count(&app, "default", "agent.created").await, 2);
    assert_eq!(count(&app, "default", "operator.bootstrapped").await, 1);
    let events = app.events("audit.expired").await;
    assert_eq!(events.len(), 1);
    let mut told = events[0]["metadata"].clone();
    assert_eq!(told["leaves"].as_array_mut().unwrap().drain(..).count(), 1, "it names its place");
    assert_eq!((&told["before"], &told["count"]), (&json!("2026-01-11T00:00:00.000Z"), &json!(1)));
    assert_eq!(events[0]["requestId"], done.header("x-request-id"));
}

#[tokio::test]
async fn what_is_exactly_as_old_as_asked_stays() {
    let app = TestApp::start().await;
    decide(&app, "default", "one").await;
    app.pass(DAY);
    let path = format!("{CLEANUP}?retention_days=1");
    let done = app.operator().post(&path, json!({})).await.expect(200);
    assert_eq!(done["deleted_count"], 0);
    app.pass(Duration::from_micros(1));
    let done = app.operator().post(&path, json!({})).await.expect(200);
    assert_eq!(done["deleted_count"], 1);
    let done = app.operator().post(&path, json!({})).await.expect(200);
    assert_eq!(done["deleted_count"], 0);
}

#[tokio::test]
async fn how_old_is_what_the_matrix_says_unless_it_is_asked_for() {
    let app = TestApp::start().await;
    app.operator_with("default", &["admin"]).await;
    for (audit, days) in [(json!({"retention_days": 7}), 7), (json!({}), 90)] {
        let mut matrix = built_in();
        matrix["audit"] = audit;
        app.operator().put(MATRIX, matrix).await.expect(200);
        let done = app.operator().post(CLEANUP, json!({})).await.expect(200);
        assert_eq!(done["retention_days"], days);
    }
}

#[tokio::test]
async fn infra_cleans_up_in_the_tenant_that_it_names() {
    let app = TestApp::start().await;
    app.tenant("acme", "unlimited").await;
    decide(&app, "default", "one").await;
    decide(&app, "acme", "one").await;
    app.pass(2 * DAY);
    let path = format!("{CLEANUP}?retention_days=1");
    let done = app.operator().within("acme").post(&path, json!({})).await.expect(200);
    assert_eq!(done["deleted_count"], 1);
    assert_eq!(count(&app, "acme", "decision.made").await, 0);
    assert_eq!(count(&app, "default", "decision.made").await, 1);
    assert_eq!(count(&app, "acme", "audit.expired").await, 1);
}

#[tokio::test]
async fn every_bad_parameter_is_refused_and_nothing_forgotten() {
    let app = TestApp::start().await;
    decide(&app, "default", "one").await;
    app.pass(100 * DAY);
    for query in [
        "retention_days=0",
        "retention_days=-1",
        "retention_days=36501",
        "retention_days=9223372036854775807",
        "retention_days=x",
        "retention_days=",
        "retention_days=1&retention_days=2",
        "days=1",
    ] {
        let refused = app.operator().post(&format!("{CLEANUP}?{query}"), json!({})).await;
        refused.problem(400, "VALIDATION_ERROR");
    }
    let refused = app.operator().post(CLEANUP, json!({"retention_days": 1})).await;
    refused.problem(400, "VALIDATION_ERROR");
    assert_eq!(count(&app, "default", "decision.made").await, 1);
}
