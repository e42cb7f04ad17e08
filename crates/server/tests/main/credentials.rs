//! Credentials: made, shown once, listed, expired, revoked.

use std::time::Duration;

use serde_json::{Value, json};

use crate::agents::NOBODYS_ID;
use crate::support::{As, START, TestAgent, TestApp};

/// Where an agent's credentials are.
pub fn path(agent: &TestAgent) -> String {
    format!("/api/v1/agents/{}/credentials", agent.id)
}

/// Where its first credential is.
pub fn first(agent: &TestAgent) -> String {
    format!("{}/{}", path(agent), agent.credential)
}

/// Whether the agent gets a token with this secret. If not, it is for the secret.
pub async fn works(app: &TestApp, agent: &TestAgent, secret: &Value) -> bool {
    let secret = secret.as_str().unwrap().to_owned();
    let client = TestAgent { id: agent.id.clone(), credential: String::new(), secret };
    let answer = app.token_answer(&client, &[]).await;
    if answer.status != 200 {
        answer.oauth(401, "invalid_client");
    }
    answer.status == 200
}

/// The credential of this id, as the list has it.
async fn listed(app: &TestApp, agent: &TestAgent, id: &str) -> Value {
    let page = app.operator().get(&path(agent)).await.expect(200);
    let all = page["data"].as_array().unwrap();
    all.iter().find(|one| one["credentialId"] == id).expect("it is listed").clone()
}

#[tokio::test]
async fn a_new_credential_comes_with_a_secret_of_256_bits() {
    let app = TestApp::start().await;
    let agent = app.agent("screener", &["audit:read"]).await;
    let answer = app.operator().post(&path(&agent), json!({})).await;
    let made = answer.expect(201);
    assert_eq!(answer.header("cache-control"), "no-store");
    let secret = made["clientSecret"].as_str().unwrap();
    let digits = secret.strip_prefix("sk_live_").expect("what scanners look for");
    assert_eq!(digits.len(), 64);
    assert!(digits.bytes().all(|c| matches!(c, b'0'..=b'9' | b'a'..=b'f')), "{secret}");
    assert_ne!(secret, agent.secret);
    assert_eq!(made["clientId"], agent.id);
    insta::assert_json_snapshot!(made, {
        ".credentialId" => "[id]", ".clientId" => "[agent]", ".clientSecret" => "[secret]",
    }, @r#"
    {
      "clientId": "[agent]",
      "clientSecret": "[secret]",
      "createdAt": "2026-01-01T00:00:00.000Z",
      "credentialId": "[id]",
      "status": "active"
    }
    "#);
}

#[tokio::test]
async fn the_list_never_has_a_secret() {
    let app = TestApp::start().await;
    let agent = app.agent("screener", &[]).await;
    let answer = app.operator().get(&path(&agent)).await;
    let page = answer.expect(200);
    assert!(!answer.text.contains("sk_live_") && !answer.text.contains("ecret"), "{page}");
    assert_eq!(page["data"][0]["credentialId"], agent.credential);
    assert_eq!((&page["page"], &page["limit"], &page["total"]), (&json!(1), &json!(20), &json!(1)));
}

#[tokio::test]
async fn the_list_is_paged_from_the_newest_to_the_oldest() {
    let app = TestApp::start().await;
    let agent = app.agent("screener", &[]).await;
    app.pass(Duration::from_secs(1));
    let newest = app.operator().post(&path(&agent), json!({})).await.expect(201);
    let page = |query| format!("{}?{query}", path(&agent));
    let one = app.operator().get(&page("limit=1")).await.expect(200);
    assert_eq!(one["data"][0]["credentialId"], newest["credentialId"]);
    let two = app.operator().get(&page("limit=1&page=2")).await.expect(200);
    assert_eq!(two["data"][0]["credentialId"], agent.credential);
    let beyond = app.operator().get(&page("limit=100&page=2")).await.expect(200);
    assert_eq!((&beyond["data"], &beyond["total"]), (&json!([]), &json!(2)));
    for query in ["limit=0", "limit=101", "page=0", "colour=red"] {
        app.operator().get(&page(query)).await.problem(400, "VALIDATION_ERROR");
    }
}

#[tokio::test]
async fn several_credentials_of_an_agent_work_at_once() {
    let app = TestApp::start().await;
    let agent = app.agent("screener", &["audit:read"]).await;
    let second = app.operator().post(&path(&agent), json!({})).await.expect(201);
    assert!(works(&app, &agent, &json!(agent.secret)).await);
    assert!(works(&app, &agent, &second["clientSecret"]).await);
}

#[tokio::test]
async fn a_credential_may_be_made_without_a_body() {
    let app = TestApp::start().await;
    let agent = app.agent("screener", &[]).await;
    let request = app.operator().request(reqwest::Method::POST, &path(&agent));
    crate::support::Answer::to(request).await.expect(201);
}

#[tokio::test]
async fn expires_at_is_a_time_in_the_future() {
    let app = TestApp::start().await;
    let agent = app.agent("screener", &[]).await;
    let wrong = [
        json!("2026-01-01T00:00:00Z"),
        json!("2025-12-31T23:59:59Z"),
        json!("2027-01-01"),
        json!("tomorrow"),
        json!(""),
        json!(1_800_000_000),
        json!(true),
    ];
    for value in wrong {
        let refused = app.operator().post(&path(&agent), json!({"expiresAt": value})).await;
        let problem = refused.problem(400, "VALIDATION_ERROR");
        assert!(problem["details"]["expiresAt"].is_string(), "{value}: {problem}");
    }
    let soon = json!({"expiresAt": "2026-01-01T01:00:00.001+01:00"});
    let made = app.operator().post(&path(&agent), soon).await.expect(201);
    assert_eq!(made["expiresAt"], "2026-01-01T00:00:00.001Z");
}

#[tokio::test]
async fn an_unknown_field_makes_no_credential() {
    let app = TestApp::start().await;
    let agent = app.agent("screener", &[]).await;
    let refused = app.operator().post(&path(&agent), json!({"expires": "2027-01-01"})).await;
    let problem = refused.problem(400, "VALIDATION_ERROR");
    assert!(problem["details"]["expires"].is_string(), "{problem}");
    assert_eq!(app.events("credential.generated").await.len(), 1);
}

#[tokio::test]
async fn a_credential_and_its_tokens_end_at_exactly_its_time() {
    let app = TestApp::start().await;
    let agent = app.agent("screener", &["audit:read"]).await;
    let body = json!({"expiresAt": "2026-01-01T00:00:10Z"});
    let made = app.operator().post(&path(&agent), body).await.expect(201);
    let (id, secret) = (made["credentialId"].as_str().unwrap(), &made["clientSecret"]);
    let client = TestAgent {
        id: agent.id.clone(),
        credential: String::new(),
        secret: secret.as_str().unwrap().to_owned(),
    };
    let token = app.token(&client).await;

    app.pass(Duration::from_micros(9_999_999));
    assert!(works(&app, &agent, secret).await && app.is_live(&token).await);
    assert_eq!(listed(&app, &agent, id).await["status"], "active");
    app.pass(Duration::from_micros(1));
    assert!(!works(&app, &agent, secret).await, "the secret");
    assert!(!app.is_live(&token).await, "the token");
    assert_eq!(listed(&app, &agent, id).await["status"], "expired");
}

#[tokio::test]
async fn a_revoked_credential_and_its_tokens_end_at_once() {
    let app = TestApp::start().await;
    let agent = app.agent("screener", &["audit:read"]).await;
    let second = app.operator().post(&path(&agent), json!({})).await.expect(201);
    let token = app.token(&agent).await;
    app.pass(Duration::from_secs(5));
    app.operator().delete(&first(&agent)).await.expect(204);
    assert!(!works(&app, &agent, &json!(agent.secret)).await, "the secret");
    assert!(!app.is_live(&token).await, "the token");
    let refused = app.client(As::Bearer(&token)).get("/api/v1/audit").await;
    refused.problem(401, "UNAUTHORIZED");
    assert!(works(&app, &agent, &second["clientSecret"]).await, "the other credential stays");
    let listed = listed(&app, &agent, &agent.credential).await;
    assert_eq!(listed["status"], "revoked");
    assert_eq!(listed["revokedAt"], "2026-01-01T00:00:05.000Z");
}

#[tokio::test]
async fn a_credential_is_revoked_once() {
    let app = TestApp::start().await;
    let agent = app.agent("screener", &[]).await;
    app.operator().delete(&first(&agent)).await.expect(204);
    app.operator().delete(&first(&agent)).await.problem(409, "CREDENTIAL_ALREADY_REVOKED");
    assert_eq!(app.events("credential.revoked").await.len(), 1);
}

#[tokio::test]
async fn of_concurrent_revocations_exactly_one_wins() {
    let app = TestApp::start().await;
    let agent = app.agent("screener", &[]).await;
    let (operator, path) = (app.operator(), first(&agent));
    let (one, other) = tokio::join!(operator.delete(&path), operator.delete(&path));
    let lost = if one.status == 204 { other } else { one };
    lost.problem(409, "CREDENTIAL_ALREADY_REVOKED");
    assert_eq!(app.events("credential.revoked").await.len(), 1);
}

#[tokio::test]
async fn a_revocation_survives_a_restart() {
    let app = TestApp::start().await;
    let agent = app.agent("screener", &["audit:read"]).await;
    app.operator().delete(&first(&agent)).await.expect(204);
    let app = app.restart().await;
    assert!(!works(&app, &agent, &json!(agent.secret)).await);
}

#[tokio::test]
async fn a_credential_that_is_not_this_agents_is_not_found() {
    let app = TestApp::start().await;
    let (agent, other) = (app.agent("screener", &[]).await, app.agent("other", &["a:b"]).await);
    for id in [other.credential.as_str(), NOBODYS_ID] {
        let one = format!("{}/{id}", path(&agent));
        app.operator().delete(&one).await.problem(404, "CREDENTIAL_NOT_FOUND");
        let rotated = app.operator().post(&format!("{one}/rotate"), json!({})).await;
        rotated.problem(404, "CREDENTIAL_NOT_FOUND");
    }
    assert!(works(&app, &other, &json!(other.secret)).await);
}

#[tokio::test]
async fn an_unknown_agent_has_no_credentials() {
    let app = TestApp::start().await;
    let nobody =
        TestAgent { id: NOBODYS_ID.into(), credential: NOBODYS_ID.into(), secret: String::new() };
    app.operator().get(&path(&nobody)).await.problem(404, "AGENT_NOT_FOUND");
    app.operator().post(&path(&nobody), json!({})).await.problem(404, "AGENT_NOT_FOUND");
    let rotated = app.operator().post(&format!("{}/rotate", first(&nobody)), json!({})).await;
    rotated.problem(404, "AGENT_NOT_FOUND");
    app.operator().delete(&first(&nobody)).await.expect(404);
}

#[tokio::test]
async fn every_malformed_id_of_a_path_is_named() {
    let app = TestApp::start().await;
    let wrong = TestAgent { id: "x".into(), credential: "y".into(), secret: String::new() };
    let listed = app.operator().get(&path(&wrong)).await.problem(400, "VALIDATION_ERROR");
    assert!(listed["details"]["id"].is_string(), "{listed}");
    let revoked = app.operator().delete(&first(&wrong)).await.problem(400, "VALIDATION_ERROR");
    let named: Vec<_> = revoked["details"].as_object().unwrap().keys().collect();
    assert_eq!(named, ["credentialId", "id"]);
}

#[tokio::test]
async fn when_and_from_where_a_credential_was_last_used_is_shown() {
    let app = TestApp::start().await;
    let agent = app.agent("screener", &["audit:read"]).await;
    let unused = listed(&app, &agent, &agent.credential).await;
    assert!(unused.get("lastUsedAt").is_none() && unused.get("lastUsedFrom").is_none());
    app.pass(Duration::from_secs(7));
    app.token(&agent).await;
    app.server.app.activity.flush(&app.server.app.db, Vec::new()).await.unwrap();
    let used = listed(&app, &agent, &agent.credential).await;
    let seen = (START + Duration::from_secs(7)).to_string();
    assert_eq!((&used["lastUsedAt"], &used["lastUsedFrom"]), (&json!(seen), &json!("127.0.0.1")));
    let shown = app.operator().get(&format!("/api/v1/agents/{}", agent.id)).await.expect(200);
    assert_eq!(shown["lastSeenAt"], seen, "the agent was seen with it");
}

#[tokio::test]
async fn a_secret_that_is_wrong_is_no_use_of_the_credential() {
    let app = TestApp::start().await;
    let agent = app.agent("screener", &["audit:read"]).await;
    assert!(!works(&app, &agent, &json!(format!("sk_live_{}", "0".repeat(64)))).await);
    app.server.app.activity.flush(&app.server.app.db, Vec::new()).await.unwrap();
    assert!(listed(&app, &agent, &agent.credential).await.get("lastUsedAt").is_none());
}
