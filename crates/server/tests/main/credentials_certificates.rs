//! Credentials that are client certificates (RFC 8705 section 3.1): no secret, one agent each.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use insta::assert_json_snapshot;
use serde_json::{Value, json};

use crate::credentials::path;
use crate::support::{Answer, TestAgent, TestApp};

/// As if it were the SHA-256 of a certificate.
fn thumbprint(byte: u8) -> String {
    URL_SAFE_NO_PAD.encode([byte; 32])
}

async fn bind(app: &TestApp, agent: &TestAgent, thumbprint: &str) -> Answer {
    app.operator().post(&path(agent), json!({"certificateThumbprint": thumbprint})).await
}

fn one(agent: &TestAgent, made: &Value) -> String {
    format!("{}/{}", path(agent), made["credentialId"].as_str().unwrap())
}

#[tokio::test]
async fn a_certificate_is_shown_and_has_no_secret() {
    let app = TestApp::start().await;
    let agent = app.agent("screener", &["audit:read"]).await;
    let answer = bind(&app, &agent, &thumbprint(7)).await;
    assert_eq!(answer.header("cache-control"), "no-store");
    let made = answer.expect(201);
    assert_json_snapshot!(made, {".credentialId" => "[id]", ".clientId" => "[agent]"}, @r#"
    {
      "certificateThumbprint": "BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc",
      "clientId": "[agent]",
      "createdAt": "2026-01-01T00:00:00.000Z",
      "credentialId": "[id]",
      "status": "active"
    }
    "#);
    let page = app.operator().get(&path(&agent)).await.expect(200);
    let listed = page["data"].as_array().unwrap();
    assert!(listed.contains(&made), "{page}");
    let secret = listed.iter().find(|one| one["credentialId"] == agent.credential).unwrap();
    assert_eq!(secret.get("certificateThumbprint"), None);
    let event = app.events("credential.generated").await.remove(0);
    assert_eq!(event["metadata"]["credentialId"], made["credentialId"]);
}

#[tokio::test]
async fn a_certificate_is_not_rotated() {
    let app = TestApp::start().await;
    let agent = app.agent("screener", &["audit:read"]).await;
    let made = bind(&app, &agent, &thumbprint(7)).await.expect(201);
    let rotate = format!("{}/rotate", one(&agent, &made));
    for body in [json!({}), json!({"graceSeconds": 60})] {
        app.operator().post(&rotate, body).await.problem(409, "CONFLICT");
    }
    assert_eq!(app.events("credential.rotated").await.len(), 0);
    app.operator().delete(&one(&agent, &made)).await.expect(204);
    let gone = app.operator().post(&rotate, json!({})).await;
    gone.problem(409, "CREDENTIAL_ALREADY_REVOKED");
}

#[tokio::test]
async fn a_certificate_proves_one_agent_in_whatever_tenant() {
    let app = TestApp::start().await;
    app.tenant("acme", "free").await;
    let (agent, other) = (app.agent("one", &[]).await, app.agent("other", &[]).await);
    bind(&app, &agent, &thumbprint(7)).await.expect(201);
    for again in [&agent, &other] {
        bind(&app, again, &thumbprint(7)).await.problem(409, "CONFLICT");
    }
    let there = app.operator().within("acme");
    let body = crate::support::new_agent("theirs");
    let theirs = there.post("/api/v1/agents", body).await.expect(201);
    let path = format!("/api/v1/agents/{}/credentials", theirs["agentId"].as_str().unwrap());
    let bound = json!({"certificateThumbprint": thumbprint(7)});
    there.post(&path, bound).await.problem(409, "CONFLICT");
    bind(&app, &other, &thumbprint(8)).await.expect(201);
    assert_eq!(app.events("credential.generated").await.len(), 4);
}

#[tokio::test]
async fn of_two_who_bind_one_certificate_at_once_one_does() {
    let app = TestApp::start().await;
    let (agent, other) = (app.agent("one", &[]).await, app.agent("other", &[]).await);
    let print = thumbprint(7);
    let (first, second) = tokio::join!(bind(&app, &agent, &print), bind(&app, &other, &print));
    let lost = if first.status == 201 { second } else { first };
    lost.problem(409, "CONFLICT");
}

#[tokio::test]
async fn a_certificate_that_was_revoked_or_quarantined_is_bound_anew() {
    let app = TestApp::start().await;
    let (agent, other) = (app.agent("one", &[]).await, app.agent("other", &[]).await);
    let made = bind(&app, &agent, &thumbprint(7)).await.expect(201);
    app.operator().delete(&one(&agent, &made)).await.expect(204);
    bind(&app, &other, &thumbprint(7)).await.expect(201);
    let quarantine = format!("/api/v1/agents/{}/quarantine", other.id);
    app.operator().post(&quarantine, json!({"reason": "test"})).await.expect(200);
    bind(&app, &agent, &thumbprint(7)).await.expect(201);
}

#[tokio::test]
async fn a_thumbprint_is_32_bytes_as_base64url_without_padding() {
    let app = TestApp::start().await;
    let agent = app.agent("screener", &[]).await;
    let right = URL_SAFE_NO_PAD.encode([0xfb; 32]);
    for wrong in [
        json!(""),
        json!(null),
        json!(7),
        json!([thumbprint(7)]),
        json!(URL_SAFE_NO_PAD.encode([7; 31])),
        json!(URL_SAFE_NO_PAD.encode([7; 33])),
        json!(format!("{right}=")),
        json!(right.replace('-', "+")),
        json!("07".repeat(32)),
        json!(format!("{}\0", thumbprint(7))),
        json!(format!(" {}", thumbprint(7))),
        // The last character says more than 256 bits hold.
        json!(format!("{}d", &thumbprint(7)[..42])),
        json!("x".repeat(200_000)),
    ] {
        let body = json!({"certificateThumbprint": wrong, "expiresAt": "x"});
        let problem = app.operator().post(&path(&agent), body).await;
        let problem = problem.problem(400, "VALIDATION_ERROR");
        let named: Vec<_> = problem["details"].as_object().unwrap().keys().collect();
        assert_eq!(named, ["certificateThumbprint", "expiresAt"]);
    }
    bind(&app, &agent, &right).await.expect(201);
}

#[tokio::test]
async fn a_thumbprint_is_no_secret() {
    let app = TestApp::start().await;
    let agent = app.agent("screener", &["audit:read"]).await;
    bind(&app, &agent, &thumbprint(7)).await.expect(201);
    for secret in [thumbprint(7), String::new()] {
        let client = TestAgent { id: agent.id.clone(), credential: String::new(), secret };
        let refused = app.token_answer(&client, &[]).await;
        assert!([400, 401].contains(&refused.status.as_u16()), "{refused:?}");
    }
}

#[tokio::test]
async fn a_certificate_of_a_decommissioned_agent_is_bound_anew() {
    let app = TestApp::start().await;
    let (agent, other) = (app.agent("one", &[]).await, app.agent("other", &[]).await);
    bind(&app, &agent, &thumbprint(7)).await.expect(201);
    app.operator().delete(&format!("/api/v1/agents/{}", agent.id)).await.expect(204);
    bind(&app, &other, &thumbprint(7)).await.expect(201);
}

#[tokio::test]
async fn a_certificate_whose_credential_has_expired_is_bound_anew() {
    let app = TestApp::start().await;
    let agent = app.agent("one", &[]).await;
    let body = json!({
        "certificateThumbprint": thumbprint(7), "expiresAt": "2026-01-01T00:00:10Z",
    });
    app.operator().post(&path(&agent), body).await.expect(201);
    app.pass(Duration::from_secs(10));
    bind(&app, &agent, &thumbprint(7)).await.expect(201);
}
