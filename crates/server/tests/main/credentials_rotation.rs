//! Rotation: the new secret, and how long the old one is still good.

use std::time::Duration;

use serde_json::{Value, json};

use crate::credentials::{first, path, works};
use crate::support::{Answer, TestAgent, TestApp};

const WEEK: u64 = 7 * 24 * 3600;

async fn started() -> (TestApp, TestAgent) {
    let app = TestApp::start().await;
    let agent = app.agent("screener", &["audit:read"]).await;
    (app, agent)
}

async fn rotate(app: &TestApp, agent: &TestAgent, body: Value) -> Answer {
    app.operator().post(&format!("{}/rotate", first(agent)), body).await
}

#[tokio::test]
async fn a_rotated_credential_refuses_its_old_secret_at_once() {
    let (app, agent) = started().await;
    let answer = rotate(&app, &agent, json!({})).await;
    let rotated = answer.expect(200);
    assert_eq!(answer.header("cache-control"), "no-store");
    assert_eq!(rotated["credentialId"], agent.credential);
    assert!(!works(&app, &agent, &json!(agent.secret)).await, "the old secret");
    assert!(works(&app, &agent, &rotated["clientSecret"]).await, "the new one");
}

#[tokio::test]
async fn a_credential_may_be_rotated_without_a_body() {
    let (app, agent) = started().await;
    let path = format!("{}/rotate", first(&agent));
    Answer::to(app.operator().request(reqwest::Method::POST, &path)).await.expect(200);
    assert!(!works(&app, &agent, &json!(agent.secret)).await);
}

#[tokio::test]
async fn no_grace_is_the_same_as_none_given() {
    let (app, agent) = started().await;
    rotate(&app, &agent, json!({"graceSeconds": 0})).await.expect(200);
    assert!(!works(&app, &agent, &json!(agent.secret)).await);
    assert_eq!(app.events("credential.rotated").await[0]["metadata"].get("graceUntil"), None);
}

#[tokio::test]
async fn an_old_secret_works_until_exactly_the_end_of_its_grace() {
    let (app, agent) = started().await;
    let rotated = rotate(&app, &agent, json!({"graceSeconds": WEEK})).await.expect(200);
    let until = "2026-01-08T00:00:00.000Z";
    assert_eq!(app.events("credential.rotated").await[0]["metadata"]["graceUntil"], until);
    app.pass(Duration::from_secs(WEEK) - Duration::from_micros(1));
    assert!(works(&app, &agent, &json!(agent.secret)).await, "one moment before");
    app.pass(Duration::from_micros(1));
    assert!(!works(&app, &agent, &json!(agent.secret)).await, "at the end");
    assert!(works(&app, &agent, &rotated["clientSecret"]).await);
}

#[tokio::test]
async fn a_grace_survives_a_restart_and_no_longer() {
    let (app, agent) = started().await;
    rotate(&app, &agent, json!({"graceSeconds": 60})).await.expect(200);
    let app = app.restart().await;
    assert!(works(&app, &agent, &json!(agent.secret)).await);
    app.pass(Duration::from_secs(60));
    assert!(!works(&app, &agent, &json!(agent.secret)).await);
}

#[tokio::test]
async fn a_grace_lasts_from_0_to_7_days_in_whole_seconds() {
    let (app, agent) = started().await;
    let wrong = [json!(WEEK + 1), json!(-1), json!(1.5), json!("60"), json!(null), json!(u64::MAX)];
    for value in wrong {
        let refused = rotate(&app, &agent, json!({"graceSeconds": value})).await;
        let problem = refused.problem(400, "VALIDATION_ERROR");
        assert!(problem["details"]["graceSeconds"].is_string(), "{value}: {problem}");
    }
    assert!(works(&app, &agent, &json!(agent.secret)).await, "nothing was rotated");
}

#[tokio::test]
async fn an_unknown_field_rotates_nothing() {
    let (app, agent) = started().await;
    let refused = rotate(&app, &agent, json!({"grace": 60})).await;
    let problem = refused.problem(400, "VALIDATION_ERROR");
    assert!(problem["details"]["grace"].is_string(), "{problem}");
    assert!(works(&app, &agent, &json!(agent.secret)).await);
}

#[tokio::test]
async fn a_rotation_without_grace_ends_a_grace_that_still_runs() {
    let (app, agent) = started().await;
    let second = rotate(&app, &agent, json!({"graceSeconds": 60})).await.expect(200);
    rotate(&app, &agent, json!({})).await.expect(200);
    assert!(!works(&app, &agent, &json!(agent.secret)).await, "the first secret");
    assert!(!works(&app, &agent, &second["clientSecret"]).await, "the second");
}

#[tokio::test]
async fn revoking_ends_the_grace_too() {
    let (app, agent) = started().await;
    rotate(&app, &agent, json!({"graceSeconds": 60})).await.expect(200);
    app.operator().delete(&first(&agent)).await.expect(204);
    assert!(!works(&app, &agent, &json!(agent.secret)).await);
}

#[tokio::test]
async fn a_grace_does_not_outlive_the_credential() {
    let (app, agent) = started().await;
    let body = json!({"expiresAt": "2026-01-01T00:00:10Z"});
    let made = app.operator().post(&path(&agent), body).await.expect(201);
    let one = format!("{}/{}/rotate", path(&agent), made["credentialId"].as_str().unwrap());
    let rotated = app.operator().post(&one, json!({"graceSeconds": 60})).await.expect(200);
    assert_eq!(rotated["expiresAt"], made["expiresAt"], "a new secret is no new term");
    assert!(works(&app, &agent, &made["clientSecret"]).await);
    app.pass(Duration::from_secs(10));
    assert!(!works(&app, &agent, &made["clientSecret"]).await, "the old secret");
    assert!(!works(&app, &agent, &rotated["clientSecret"]).await, "the new one");
}

#[tokio::test]
async fn of_concurrent_rotations_one_secret_is_left() {
    let (app, agent) = started().await;
    let attempt = || rotate(&app, &agent, json!({}));
    let answers: [_; 3] = tokio::join!(attempt(), attempt(), attempt()).into();
    let mut working = 0;
    for answer in answers {
        let secret = &answer.expect(200)["clientSecret"];
        working += u8::from(works(&app, &agent, secret).await);
    }
    assert_eq!(working, 1);
    assert!(!works(&app, &agent, &json!(agent.secret)).await);
}

#[tokio::test]
async fn a_revoked_credential_is_not_rotated() {
    let (app, agent) = started().await;
    app.operator().delete(&first(&agent)).await.expect(204);
    rotate(&app, &agent, json!({})).await.problem(409, "CREDENTIAL_ALREADY_REVOKED");
}

#[tokio::test]
async fn an_expired_credential_is_not_rotated() {
    let (app, agent) = started().await;
    let body = json!({"expiresAt": "2026-01-01T00:00:10Z"});
    let made = app.operator().post(&path(&agent), body).await.expect(201);
    app.pass(Duration::from_secs(10));
    let one = format!("{}/{}", path(&agent), made["credentialId"].as_str().unwrap());
    let rotated = app.operator().post(&format!("{one}/rotate"), json!({})).await;
    rotated.problem(409, "CONFLICT");
    app.operator().delete(&one).await.expect(204);
}
