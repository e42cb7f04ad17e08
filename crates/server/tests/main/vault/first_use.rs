//! A secret is read from Vault once, when it is first used after a start.

use std::time::Duration;

use futures_util::future::join_all;
use serde_json::{Value, json};

use super::double::{AILMENTS, Ailment, Call, Double, TOKEN};
use super::{ask, create, kept_at, rotate, started};
use crate::credentials::{path as credentials, works};
use crate::support::{Answer, TestAgent, TestApp};

/// Not now: says nothing about where or why, and when to come back.
#[track_caller]
fn not_now(answer: &Answer) {
    let said = answer.oauth(503, "temporarily_unavailable");
    assert_eq!(answer.header("retry-after"), "1");
    for secret in ["ault", "127.0.0.1", TOKEN] {
        assert!(!answer.text.contains(secret), "{said}");
    }
}

async fn restarted() -> (Double, TestApp, TestAgent) {
    let (vault, app, agent) = started().await;
    let app = app.restart().await;
    vault.take_calls();
    (vault, app, agent)
}

#[tokio::test]
async fn a_secret_is_read_once_after_a_restart() {
    let (vault, app, agent) = restarted().await;
    for _ in 0..3 {
        assert!(works(&app, &agent, &json!(agent.secret)).await);
    }
    assert!(!works(&app, &agent, &json!("sk_live_wrong")).await);
    assert_eq!(vault.take_calls(), [Call::Read]);
    assert_eq!(vault.headers()["x-vault-token"], TOKEN);
}

#[tokio::test]
async fn many_at_once_cause_one_read() {
    let (vault, app, agent) = restarted().await;
    let secret = json!(agent.secret);
    let answers = join_all((0..20).map(|_| ask(&app, &agent, &secret))).await;
    assert!(answers.iter().all(|answer| answer.status == 200));
    assert_eq!(vault.calls(Call::Read), 1);
}

#[tokio::test]
async fn the_version_in_force_is_read_not_the_newest() {
    let (vault, app, agent) = started().await;
    let rotated = rotate(&app, &agent, json!({})).await.expect(200);
    let forged = json!({"client_id": agent.id, "client_secret": "sk_live_forged"});
    vault.forge(&kept_at(&agent, &agent.credential), forged);
    let app = app.restart().await;
    for (secret, good) in [
        (&json!(agent.secret), false),
        (&json!("sk_live_forged"), false),
        (&rotated["clientSecret"], true),
    ] {
        assert_eq!(works(&app, &agent, secret).await, good);
    }
}

#[tokio::test]
async fn a_wrong_secret_causes_one_read_and_then_none() {
    let (vault, app, agent) = restarted().await;
    for _ in 0..5 {
        ask(&app, &agent, &json!("sk_live_wrong")).await.oauth(401, "invalid_client");
    }
    assert_eq!(vault.calls(Call::Read), 1);
    assert!(works(&app, &agent, &json!(agent.secret)).await);
    assert_eq!(vault.calls(Call::Read), 1);
}

#[tokio::test]
async fn while_vault_is_down_secrets_cause_one_read_a_second() {
    let (vault, app, agent) = restarted().await;
    vault.ails(Ailment::Sealed);
    for second in 1..=3 {
        for secret in [&agent.secret, "sk_live_wrong", "sk_live_other", &agent.secret] {
            not_now(&ask(&app, &agent, &json!(secret)).await);
        }
        assert_eq!(vault.calls(Call::Read), second);
        app.pass(Duration::from_secs(1));
    }
    vault.recovers();
    assert!(works(&app, &agent, &json!(agent.secret)).await);
}

#[tokio::test]
async fn whatever_ails_vault_an_unread_secret_is_not_accepted() {
    let (vault, app, agent) = restarted().await;
    for ailment in AILMENTS {
        vault.ails(ailment);
        not_now(&ask(&app, &agent, &json!(agent.secret)).await);
        app.pass(Duration::from_secs(1));
    }
    vault.recovers();
    assert!(works(&app, &agent, &json!(agent.secret)).await);
}

#[tokio::test]
async fn what_memory_has_stays_good_while_vault_is_down() {
    let (vault, app, agent) = restarted().await;
    assert!(works(&app, &agent, &json!(agent.secret)).await);
    let token = app.token(&agent).await;
    vault.ails(Ailment::Sealed);
    assert!(works(&app, &agent, &json!(agent.secret)).await);
    ask(&app, &agent, &json!("sk_live_wrong")).await.oauth(401, "invalid_client");
    let app = app.restart().await;
    not_now(&ask(&app, &agent, &json!(agent.secret)).await);
    assert!(app.is_live(&token).await, "a token asks for no secret");
}

#[tokio::test]
async fn a_clients_own_requests_read_its_secret_too() {
    let (vault, app, agent) = started().await;
    let token = app.token(&agent).await;
    let app = app.restart().await;
    let form = [("token", &*token), ("client_id", &*agent.id), ("client_secret", &*agent.secret)];
    let answer = app.nobody().form("/api/v1/token/introspect", &form).await.expect(200);
    assert_eq!((&answer["active"], vault.calls(Call::Read)), (&json!(true), 1));
}

#[tokio::test]
async fn an_unknown_client_asks_vault_for_nothing() {
    let (vault, app, _agent) = restarted().await;
    vault.ails(Ailment::Sealed);
    let nobody = TestAgent {
        id: crate::agents::NOBODYS_ID.into(),
        credential: String::new(),
        secret: String::new(),
    };
    ask(&app, &nobody, &json!("sk_live_x")).await.oauth(401, "invalid_client");
    assert_eq!(vault.take_calls(), []);
}

#[tokio::test]
async fn a_secret_that_is_gone_from_vault_proves_nobody() {
    let (vault, mut app, agent) = started().await;
    let path = kept_at(&agent, &agent.credential);
    for gone in ["deleted", "destroyed"] {
        vault.tamper(&path, 1, |one| {
            (one.deleted, one.destroyed) = (gone == "deleted", gone == "destroyed");
        });
        app = app.restart().await;
        ask(&app, &agent, &json!(agent.secret)).await.oauth(401, "invalid_client");
    }
    vault.tamper(&path, 1, |one| one.destroyed = false);
    app.pass(Duration::from_secs(1));
    assert!(works(&app, &agent, &json!(agent.secret)).await, "it was undeleted");
}

#[tokio::test]
async fn a_secret_that_is_another_clients_is_not_taken_over() {
    let (vault, app, agent) = started().await;
    let other = app.agent("other", &[]).await;
    let theirs = vault.versions(&kept_at(&other, &other.credential))[&1].clone();
    let wrong = [
        theirs.data,
        json!({"client_id": agent.id}),
        json!({"client_id": agent.id, "client_secret": 7}),
        json!([]),
        Value::Null,
    ];
    let mut app = app;
    for data in wrong {
        vault.tamper(&kept_at(&agent, &agent.credential), 1, |one| one.data = data);
        app = app.restart().await;
        for secret in [&other.secret, &agent.secret] {
            not_now(&ask(&app, &agent, &json!(secret)).await);
        }
    }
}

#[tokio::test]
async fn one_credential_that_can_not_be_read_does_not_stop_another() {
    let (vault, app, agent) = started().await;
    let second = create(&app, &agent).await.expect(201);
    let id = second["credentialId"].as_str().unwrap();
    let app = app.restart().await;
    vault.tamper(&kept_at(&agent, id), 1, |one| one.data = json!([]));
    assert!(works(&app, &agent, &json!(agent.secret)).await);
    not_now(&ask(&app, &agent, &second["clientSecret"]).await);
    app.operator().delete(&format!("{}/{id}", credentials(&agent))).await.expect(204);
    ask(&app, &agent, &second["clientSecret"]).await.oauth(401, "invalid_client");
}

#[tokio::test]
async fn a_credential_that_ended_is_not_read() {
    let (vault, app, agent) = started().await;
    let body = json!({"expiresAt": "2026-01-01T00:00:10Z"});
    let made = app.operator().post(&credentials(&agent), body).await.expect(201);
    app.operator().delete(&crate::credentials::first(&agent)).await.expect(204);
    app.pass(Duration::from_secs(10));
    let app = app.restart().await;
    for secret in [&json!(agent.secret), &made["clientSecret"]] {
        ask(&app, &agent, secret).await.oauth(401, "invalid_client");
    }
    assert_eq!(vault.calls(Call::Read), 0);
}

#[tokio::test]
async fn only_a_few_are_read_at_once() {
    let (vault, app, agent) = started().await;
    let more = join_all((0..39).map(|_| create(&app, &agent))).await;
    assert!(more.iter().all(|answer| answer.status == 201));
    let app = app.restart().await;
    vault.fails_at(Call::Read, Ailment::Slow);
    not_now(&ask(&app, &agent, &json!(agent.secret)).await);
    let reads = vault.calls(Call::Read);
    assert!((16..=32).contains(&reads), "{reads} of 40 within one patience and a half");
}
