//! Reinstating reverses the suspension only: what was stopped stays stopped.

use insta::assert_json_snapshot;
use serde_json::json;

use super::{one, quarantine, reinstate, shown};
use crate::credentials::{path as credentials, works};
use crate::support::{TestAgent, TestApp};

#[tokio::test]
async fn it_answers_the_agent_as_it_is_now() {
    let app = TestApp::start().await;
    let agent = app.agent("screener", &["audit:read"]).await;
    quarantine(&app, &agent).await.expect(200);
    app.pass(std::time::Duration::from_secs(5));
    let answer = reinstate(&app, &agent).await;
    assert_eq!(answer.expect(200), shown(&app, &agent).await);
    assert_eq!(answer.header("etag"), app.operator().get(&one(&agent)).await.header("etag"));
    assert_json_snapshot!(answer.json(), {".agentId" => "[id]"}, @r#"
    {
      "agentId": "[id]",
      "agentType": "screener",
      "allowedResources": [],
      "capabilities": [
        "resumes:read"
      ],
      "createdAt": "2026-01-01T00:00:00.000Z",
      "deploymentEnv": "development",
      "email": "screener@agents.example",
      "owner": "tests",
      "scopes": [
        "audit:read"
      ],
      "status": "active",
      "tenant": "default",
      "updatedAt": "2026-01-01T00:00:05.000Z",
      "version": "1.0.0"
    }
    "#);
    let event = app.events("agent.reinstated").await.remove(0);
    assert_eq!((&event["agentId"], &event["actorId"]), (&json!(agent.id), &json!("bootstrap")));
    assert_eq!(event["requestId"], answer.header("x-request-id"));
}

#[tokio::test]
async fn old_tokens_and_credentials_stay_dead_and_a_new_credential_works() {
    let app = TestApp::start().await;
    let agent = app.agent("screener", &["audit:read"]).await;
    let token = app.token(&agent).await;
    quarantine(&app, &agent).await.expect(200);
    reinstate(&app, &agent).await.expect(200);
    assert!(!works(&app, &agent, &json!(agent.secret)).await);
    assert!(!app.is_live(&token).await);
    let rotate = format!("{}/{}/rotate", credentials(&agent), agent.credential);
    let rotated = app.operator().post(&rotate, json!({})).await;
    rotated.problem(409, "CREDENTIAL_ALREADY_REVOKED");
    let made = app.operator().post(&credentials(&agent), json!({})).await.expect(201);
    let secret = made["clientSecret"].as_str().unwrap().to_owned();
    let new = TestAgent { id: agent.id.clone(), credential: String::new(), secret };
    let app = app.restart().await;
    assert!(!app.is_live(&token).await);
    assert!(!works(&app, &agent, &json!(agent.secret)).await);
    let token = app.token(&new).await;
    assert!(app.is_live(&token).await);
}

#[tokio::test]
async fn reactivating_revives_nothing_either() {
    let app = TestApp::start().await;
    let agent = app.agent("screener", &["audit:read"]).await;
    let token = app.token(&agent).await;
    quarantine(&app, &agent).await.expect(200);
    app.operator().patch(&one(&agent), json!({"status": "active"})).await.expect(200);
    assert!(!works(&app, &agent, &json!(agent.secret)).await);
    assert!(!app.is_live(&token).await);
}

#[tokio::test]
async fn an_agent_that_was_only_suspended_gets_its_credentials_back() {
    let app = TestApp::start().await;
    let agent = app.agent("screener", &["audit:read"]).await;
    let token = app.token(&agent).await;
    app.operator().patch(&one(&agent), json!({"status": "suspended"})).await.expect(200);
    reinstate(&app, &agent).await.expect(200);
    assert!(works(&app, &agent, &json!(agent.secret)).await);
    assert!(!app.is_live(&token).await);
}

#[tokio::test]
async fn an_active_agent_is_not_reinstated() {
    let app = TestApp::start().await;
    let agent = app.agent("screener", &[]).await;
    reinstate(&app, &agent).await.problem(409, "CONFLICT");
    quarantine(&app, &agent).await.expect(200);
    let (first, second) = tokio::join!(reinstate(&app, &agent), reinstate(&app, &agent));
    let lost = if first.status == 200 { second } else { first };
    lost.problem(409, "CONFLICT");
    assert_eq!(app.events("agent.reinstated").await.len(), 1);
    let path = format!("{}/reinstate", one(&agent));
    let refused = app.operator().post(&path, json!({"reason": "test"})).await;
    refused.problem(400, "VALIDATION_ERROR");
}
