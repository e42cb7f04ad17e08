//! Changes of an agent: which there are, who may make them, and when they come too late.

use serde_json::{Value, json};

use crate::support::{As, TestApp, new_agent};

fn path(id: &str) -> String {
    format!("/api/v1/agents/{id}")
}

#[tokio::test]
async fn every_field_but_identity_can_be_changed() {
    let app = TestApp::start().await;
    let agent = app.agent("screener", &[]).await;
    app.pass(std::time::Duration::from_secs(60));
    let patch = json!({
        "agentType": "router", "version": "2.0.0", "capabilities": ["a:b"], "owner": "others",
        "deploymentEnv": "production", "status": "suspended", "scopes": ["audit:read"],
        "allowedResources": ["https://api.example"],
    });
    let changed = app.operator().patch(&path(&agent.id), patch.clone()).await.expect(200);
    for (field, value) in patch.as_object().unwrap() {
        assert_eq!(&changed[field], value);
    }
    assert_eq!(changed["createdAt"], "2026-01-01T00:00:00.000Z");
    assert_eq!(changed["updatedAt"], "2026-01-01T00:01:00.000Z");
    assert_eq!(app.operator().get(&path(&agent.id)).await.expect(200), changed);
}

#[tokio::test]
async fn what_a_patch_does_not_name_stays() {
    let app = TestApp::start().await;
    let agent = app.agent("screener", &["audit:read"]).await;
    let before = app.operator().get(&path(&agent.id)).await.expect(200);
    let mut wanted = before.clone();
    wanted["owner"] = json!("others");
    let changed = app.operator().patch(&path(&agent.id), json!({"owner": "others"})).await;
    assert_eq!(changed.expect(200), wanted);
}

#[tokio::test]
async fn an_immutable_field_is_refused_even_with_its_own_value() {
    let app = TestApp::start().await;
    let agent = app.agent("screener", &[]).await;
    let before = app.operator().get(&path(&agent.id)).await.expect(200);
    for field in ["agentId", "email", "tenant", "createdAt", "updatedAt"] {
        let patch = json!({"owner": "others", field: before[field]});
        let refused = app.operator().patch(&path(&agent.id), patch).await;
        let problem = refused.problem(400, "VALIDATION_ERROR");
        let details = problem["details"].as_object().unwrap();
        assert_eq!(details.keys().collect::<Vec<_>>(), [field], "{problem}");
    }
    assert_eq!(app.operator().get(&path(&agent.id)).await.expect(200), before);
}

#[tokio::test]
async fn a_patch_that_changes_nothing_is_refused() {
    let app = TestApp::start().await;
    let agent = app.agent("screener", &[]).await;
    let refused = app.operator().patch(&path(&agent.id), json!({})).await;
    refused.problem(400, "VALIDATION_ERROR");
}

#[tokio::test]
async fn every_bad_field_of_a_patch_is_named_at_once() {
    let app = TestApp::start().await;
    let agent = app.agent("screener", &[]).await;
    let patch = json!({
        "agentId": "x", "email": "x", "agentType": "robot", "version": "one", "capabilities": [],
        "owner": null, "deploymentEnv": "moon", "status": "asleep", "scopes": ["all"],
        "allowedResources": ["api"], "colour": "red",
    });
    let refused = app.operator().patch(&path(&agent.id), patch.clone()).await;
    let problem = refused.problem(400, "VALIDATION_ERROR");
    let (named, sent) = (problem["details"].as_object().unwrap(), patch.as_object().unwrap());
    assert!(named.keys().eq(sent.keys()), "{problem}");
}

#[tokio::test]
async fn each_transition_is_recorded_under_its_own_name() {
    let app = TestApp::start().await;
    let agent = app.agent("screener", &[]).await;
    for (patch, action, changed) in [
        (json!({"owner": "a", "version": "2.0.0"}), "agent.updated", json!(["owner", "version"])),
        (json!({"status": "active"}), "agent.updated", json!(["status"])),
        (json!({"status": "suspended"}), "agent.suspended", json!(["status"])),
        (
            json!({"status": "active", "owner": "b"}),
            "agent.reactivated",
            json!(["owner", "status"]),
        ),
        (json!({"status": "decommissioned"}), "agent.decommissioned", json!(["status"])),
    ] {
        let answer = app.operator().patch(&path(&agent.id), patch).await;
        answer.expect(200);
        let event = app.events(action).await.remove(0);
        assert_eq!(event["metadata"]["changed"], changed, "{action}");
        assert_eq!(
            (&event["actorId"], &event["outcome"]),
            (&json!("bootstrap"), &json!("success"))
        );
        assert_eq!(event["agentId"], agent.id);
        assert_eq!(event["requestId"], answer.header("x-request-id"));
        assert!(event["decisionId"].is_string(), "{event}");
    }
}

#[tokio::test]
async fn a_token_from_before_a_suspension_stays_dead_after_it() {
    let app = TestApp::start().await;
    let agent = app.agent("screener", &["agents:read"]).await;
    let token = app.token(&agent).await;
    app.operator().patch(&path(&agent.id), json!({"status": "suspended"})).await.expect(200);
    assert!(!app.is_live(&token).await);
    app.operator().patch(&path(&agent.id), json!({"status": "active"})).await.expect(200);
    assert!(!app.is_live(&token).await);
    assert!(app.is_live(&app.token(&agent).await).await, "a new one lives");
}

#[tokio::test]
async fn a_suspended_agent_can_be_decommissioned() {
    let app = TestApp::start().await;
    let agent = app.agent("screener", &[]).await;
    app.operator().patch(&path(&agent.id), json!({"status": "suspended"})).await.expect(200);
    app.operator().delete(&path(&agent.id)).await.expect(204);
}

#[tokio::test]
async fn a_decommissioned_agent_stays_on_record_with_its_email() {
    let app = TestApp::start().await;
    let agent = app.agent("screener", &[]).await;
    assert_eq!(app.operator().delete(&path(&agent.id)).await.expect(204), Value::Null);
    let shown = app.operator().get(&path(&agent.id)).await.expect(200);
    assert_eq!(shown["status"], "decommissioned");
    assert_eq!(app.events("agent.decommissioned").await.len(), 1);
    let again = app.operator().post("/api/v1/agents", new_agent("screener")).await;
    again.problem(409, "AGENT_ALREADY_EXISTS");
}

#[tokio::test]
async fn whoever_is_decommissioned_is_never_written_again() {
    let app = TestApp::start().await;
    let agent = app.agent("screener", &[]).await;
    app.operator().delete(&path(&agent.id)).await.expect(204);
    let (operator, path) = (app.operator(), path(&agent.id));
    let credentials = format!("{path}/credentials");
    let credential = format!("{credentials}/{}", agent.credential);
    for answer in [
        operator.patch(&path, json!({"owner": "others"})).await,
        operator.patch(&path, json!({"status": "active"})).await,
        operator.patch(&path, json!({"status": "decommissioned"})).await,
        operator.delete(&path).await,
        operator.post(&credentials, json!({})).await,
        operator.post(&format!("{credential}/rotate"), json!({})).await,
        operator.delete(&credential).await,
    ] {
        answer.problem(409, "AGENT_ALREADY_DECOMMISSIONED");
    }
}

#[tokio::test]
async fn an_agent_never_changes_itself() {
    let app = TestApp::start().await;
    let agent = app.agent("writer", &["agents:write", "agents:read"]).await;
    let token = app.token(&agent).await;
    let itself = app.client(As::Bearer(&token));
    let refusals = [
        itself.patch(&path(&agent.id), json!({"owner": "me"})).await,
        itself.patch(&path(&agent.id), json!({"status": "suspended"})).await,
        itself.delete(&path(&agent.id)).await,
    ];
    for refused in refusals {
        let problem = refused.expect(403);
        assert_eq!(
            (&problem["error"], &problem["resource"]),
            (&json!("forbidden"), &json!("agents"))
        );
        assert_eq!(problem["code"], "FORBIDDEN", "no scope would help: {problem}");
        assert_eq!(refused.header("www-authenticate"), "", "no scope would help");
    }
    assert_eq!(app.events("decision.made").await.len(), 3, "each refusal is recorded");
}

#[tokio::test]
async fn an_agent_with_agents_write_changes_and_ends_another() {
    let app = TestApp::start().await;
    let other = app.agent("other", &[]).await;
    let token = app.token(&app.agent("writer", &["agents:write"]).await).await;
    let writer = app.client(As::Bearer(&token));
    writer.patch(&path(&other.id), json!({"owner": "writer"})).await.expect(200);
    writer.delete(&path(&other.id)).await.expect(204);
}

#[tokio::test]
async fn an_agent_without_agents_write_changes_and_ends_nobody() {
    let app = TestApp::start().await;
    let other = app.agent("other", &[]).await;
    let token = app.token(&app.agent("reader", &["agents:read"]).await).await;
    let reader = app.client(As::Bearer(&token));
    let changed = reader.patch(&path(&other.id), json!({"owner": "reader"})).await;
    changed.problem(403, "INSUFFICIENT_SCOPE");
    reader.delete(&path(&other.id)).await.problem(403, "INSUFFICIENT_SCOPE");
}

#[tokio::test]
async fn nobody_gives_a_scope_by_patch_that_they_do_not_hold() {
    let app = TestApp::start().await;
    let other = app.agent("other", &[]).await;
    let token = app.token(&app.agent("writer", &["agents:write"]).await).await;
    let writer = app.client(As::Bearer(&token));
    let refused = writer.patch(&path(&other.id), json!({"scopes": ["audit:read"]})).await;
    refused.problem(403, "INSUFFICIENT_SCOPE");
    let granted = writer.patch(&path(&other.id), json!({"scopes": ["agents:write"]})).await;
    assert_eq!(granted.expect(200)["scopes"], json!(["agents:write"]));
}
