//! Quarantine (contract 2.3): one call stops an agent and all that it holds.

mod authority;
mod reinstate;
mod tokens;

use std::time::Duration;

use insta::assert_json_snapshot;
use serde_json::{Value, json};

use crate::agents::NOBODYS_ID;
use crate::credentials::{path as credentials, works};
use crate::support::{Answer, As, TestAgent, TestApp};

fn one(agent: &TestAgent) -> String {
    format!("/api/v1/agents/{}", agent.id)
}

/// Stops an agent, for a reason.
async fn quarantine(app: &TestApp, agent: &TestAgent) -> Answer {
    let path = format!("{}/quarantine", one(agent));
    app.operator().post(&path, json!({"reason": "it asks too much"})).await
}

async fn reinstate(app: &TestApp, agent: &TestAgent) -> Answer {
    app.operator().post(&format!("{}/reinstate", one(agent)), json!({})).await
}

async fn shown(app: &TestApp, agent: &TestAgent) -> Value {
    app.operator().get(&one(agent)).await.expect(200)
}

#[tokio::test]
async fn a_receipt_says_what_was_stopped() {
    let app = TestApp::start().await;
    let agent = app.agent("screener", &["audit:read"]).await;
    app.token(&agent).await;
    app.pass(Duration::from_secs(60));
    app.token(&agent).await;
    app.pass(Duration::from_secs(60));
    let receipt = quarantine(&app, &agent).await.expect(200);
    assert_eq!(
        (&receipt["agentId"], &receipt["credentials"]),
        (&json!(agent.id), &json!([agent.credential]))
    );
    assert_json_snapshot!(receipt, {
        ".receiptId" => "[receipt]", ".eventId" => "[event]", ".agentId" => "[agent]",
        ".credentials[]" => "[credential]",
    }, @r#"
    {
      "agentId": "[agent]",
      "approvals": [],
      "credentials": [
        "[credential]"
      ],
      "eventId": "[event]",
      "reason": "it asks too much",
      "receiptId": "[receipt]",
      "selfContainedUntil": "2026-01-01T01:01:00.000Z",
      "services": [],
      "sshCertificates": [],
      "stoppedAt": "2026-01-01T00:02:00.000Z",
      "tokens": {
        "live": 2,
        "notBefore": "2026-01-01T00:02:00.000Z"
      },
      "webhooks": []
    }
    "#);
}

#[tokio::test]
async fn the_agent_is_suspended_and_its_credentials_and_tokens_are_dead() {
    let app = TestApp::start().await;
    let agent = app.agent("screener", &["audit:read"]).await;
    let other = app.agent("other", &["audit:read"]).await;
    let second = app.operator().post(&credentials(&agent), json!({})).await.expect(201);
    let (token, others) = (app.token(&agent).await, app.token(&other).await);
    let receipt = quarantine(&app, &agent).await.expect(200);
    let mut stopped: Vec<_> = receipt["credentials"].as_array().unwrap().clone();
    stopped.sort_by_key(Value::to_string);
    let mut all = vec![json!(agent.credential), second["credentialId"].clone()];
    all.sort_by_key(Value::to_string);
    assert_eq!(stopped, all);

    let app = {
        dead(&app, &agent, &token, &second["clientSecret"]).await;
        app.restart().await
    };
    dead(&app, &agent, &token, &second["clientSecret"]).await;
    assert!(app.is_live(&others).await && works(&app, &other, &json!(other.secret)).await);
}

async fn dead(app: &TestApp, agent: &TestAgent, token: &str, second: &Value) {
    assert_eq!(shown(app, agent).await["status"], "suspended");
    assert!(!app.is_live(token).await);
    app.client(As::Bearer(token)).get("/api/v1/audit").await.problem(401, "UNAUTHORIZED");
    for secret in [&json!(agent.secret), second] {
        assert!(!works(app, agent, secret).await);
    }
    let page = app.operator().get(&credentials(agent)).await.expect(200);
    let all = page["data"].as_array().unwrap();
    assert!(all.iter().all(|one| one["status"] == "revoked"), "{page}");
    app.operator().post(&credentials(agent), json!({})).await.problem(409, "AGENT_NOT_ACTIVE");
}

#[tokio::test]
async fn it_is_recorded_once_with_its_receipt() {
    let app = TestApp::start().await;
    let agent = app.agent("screener", &["audit:read"]).await;
    app.token(&agent).await;
    let answer = quarantine(&app, &agent).await;
    let receipt = answer.expect(200);
    let events = app.events("agent.quarantined").await;
    assert_eq!(events.len(), 1);
    let event = &events[0];
    assert_eq!(event["eventId"], receipt["eventId"]);
    assert_eq!(event["metadata"]["receiptId"], receipt["receiptId"]);
    assert_eq!(event["metadata"]["credentials"], receipt["credentials"]);
    assert_eq!(event["metadata"]["selfContainedUntil"], receipt["selfContainedUntil"]);
    assert_eq!(event["metadata"]["reason"], "it asks too much");
    assert_eq!((&event["agentId"], &event["actorId"]), (&json!(agent.id), &json!("bootstrap")));
    assert_eq!(event["resource"], format!("agents/{}", agent.id));
    assert_eq!(event["requestId"], answer.header("x-request-id"));
    assert!(event["decisionId"].is_string());
    let path = format!("/api/v1/audit/{}", receipt["eventId"].as_str().unwrap());
    assert_eq!(app.operator().get(&path).await.expect(200), *event);
}

#[tokio::test]
async fn an_agent_that_is_suspended_already_is_quarantined_too() {
    let app = TestApp::start().await;
    let agent = app.agent("screener", &["audit:read"]).await;
    let suspend = json!({"status": "suspended"});
    app.operator().patch(&one(&agent), suspend).await.expect(200);
    let receipt = quarantine(&app, &agent).await.expect(200);
    assert_eq!(receipt["credentials"], json!([agent.credential]));
    assert_eq!(receipt.get("selfContainedUntil"), None);
    let again = quarantine(&app, &agent).await.expect(200);
    assert_eq!(again["credentials"], json!([]));
    assert_ne!(again["receiptId"], receipt["receiptId"]);
    assert_eq!(app.events("agent.quarantined").await.len(), 2);
    assert_eq!(shown(&app, &agent).await["status"], "suspended");
}

#[tokio::test]
async fn concurrent_quarantines_revoke_each_credential_once() {
    let app = TestApp::start().await;
    let agent = app.agent("screener", &["audit:read"]).await;
    let (one, other) = tokio::join!(quarantine(&app, &agent), quarantine(&app, &agent));
    let count = |answer: &Answer| answer.expect(200)["credentials"].as_array().unwrap().len();
    assert_eq!(count(&one) + count(&other), 1);
}

#[tokio::test]
async fn a_token_that_is_asked_for_meanwhile_does_not_outlive_it() {
    let app = TestApp::start().await;
    let agent = app.agent("screener", &["audit:read"]).await;
    let asking = futures_util::future::join_all((0..5).map(|_| app.token_answer(&agent, &[])));
    let (stopped, asked) = tokio::join!(quarantine(&app, &agent), asking);
    stopped.expect(200);
    for answer in asked {
        if answer.status == 200 {
            let token = answer.json()["access_token"].as_str().unwrap().to_owned();
            assert!(!app.is_live(&token).await);
        }
    }
}

#[tokio::test]
async fn what_is_decommissioned_or_not_there_is_not_quarantined() {
    let app = TestApp::start().await;
    let agent = app.agent("screener", &[]).await;
    app.operator().delete(&one(&agent)).await.expect(204);
    quarantine(&app, &agent).await.problem(409, "AGENT_ALREADY_DECOMMISSIONED");
    reinstate(&app, &agent).await.problem(409, "AGENT_ALREADY_DECOMMISSIONED");
    for action in ["quarantine", "reinstate"] {
        let path = format!("/api/v1/agents/{NOBODYS_ID}/{action}");
        let body = if action == "quarantine" { json!({"reason": "test"}) } else { json!({}) };
        app.operator().post(&path, body.clone()).await.problem(404, "AGENT_NOT_FOUND");
        let path = format!("/api/v1/agents/x/{action}");
        app.operator().post(&path, body).await.problem(400, "VALIDATION_ERROR");
    }
    assert_eq!(app.events("agent.quarantined").await.len(), 0);
}

#[tokio::test]
async fn a_reason_has_1_to_512_characters() {
    let app = TestApp::start().await;
    let agent = app.agent("screener", &["audit:read"]).await;
    let path = format!("{}/quarantine", one(&agent));
    for wrong in [
        json!(null),
        json!(""),
        json!("x".repeat(513)),
        json!("x".repeat(200_000)),
        json!("a\0b"),
        json!(7),
        json!(["test"]),
    ] {
        let refused = app.operator().post(&path, json!({"reason": wrong})).await;
        let problem = refused.problem(400, "VALIDATION_ERROR");
        assert!(problem["details"]["reason"].is_string(), "{problem}");
    }
    let missing = app.operator().post(&path, json!({})).await.problem(400, "VALIDATION_ERROR");
    assert_eq!(missing["details"], json!({"reason": "is required"}));
    let unknown = json!({"reason": "test", "force": true});
    app.operator().post(&path, unknown).await.problem(400, "VALIDATION_ERROR");
    assert_eq!(shown(&app, &agent).await["status"], "active");
    assert!(works(&app, &agent, &json!(agent.secret)).await);
    let longest = json!({"reason": "ä".repeat(512)});
    app.operator().post(&path, longest).await.expect(200);
}

#[tokio::test]
async fn a_secret_that_is_made_meanwhile_does_not_outlive_it() {
    let app = TestApp::start().await;
    for round in 0..5 {
        let agent = app.agent(&format!("agent{round}"), &["audit:read"]).await;
        let rotate = format!("{}/{}/rotate", credentials(&agent), agent.credential);
        let (operator, create) = (app.operator(), credentials(&agent));
        let grace = json!({"graceSeconds": 600});
        let (stopped, made, rotated) = tokio::join!(
            quarantine(&app, &agent),
            operator.post(&create, json!({})),
            operator.post(&rotate, grace)
        );
        stopped.expect(200);
        reinstate(&app, &agent).await.expect(200);
        for answer in [made, rotated] {
            if answer.status.is_success() {
                let secret = answer.json()["clientSecret"].clone();
                assert!(!works(&app, &agent, &secret).await);
            } else {
                assert_eq!(answer.status, 409, "{answer:?}");
            }
        }
        assert!(!works(&app, &agent, &json!(agent.secret)).await);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn eight_at_once_are_all_answered() {
    let app = TestApp::start().await;
    let agent = app.agent("screener", &["audit:read"]).await;
    for answer in futures_util::future::join_all((0..8).map(|_| quarantine(&app, &agent))).await {
        answer.expect(200);
    }
}
