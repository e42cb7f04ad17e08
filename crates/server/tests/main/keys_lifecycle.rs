//! How signing keys follow one another (contract 2.4): no live token breaks by a rotation, and every
//! token of a leaked key dies at once.

use std::time::Duration;

use countersign_server::features::keys;
use countersign_server::jobs;
use countersign_server::law::permit::{Job, Permit};
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::support::{As, TestAgent, TestApp};

const KEYS: &str = "/api/v1/keys";
const ROTATE: &str = "/api/v1/keys/rotate";
const PUBLISHED: Duration = Duration::from_secs(300);

/// A server whose next key is there, and an agent.
async fn start() -> (TestApp, TestAgent) {
    let app = TestApp::start().await;
    jobs::ensure_next_key(&app.server.app).await.unwrap();
    let agent = app.agent("screener", &["agents:read"]).await;
    (app, agent)
}

/// The keys by their states, newest first.
async fn states(app: &TestApp) -> Vec<(String, String)> {
    let page = app.operator().get(KEYS).await.expect(200);
    let text = |key: &Value, name: &str| key[name].as_str().unwrap().to_owned();
    let keys = page["data"].as_array().unwrap().iter();
    keys.map(|key| (text(key, "state"), text(key, "kid"))).collect()
}

async fn kid_of_state(app: &TestApp, state: &str) -> String {
    states(app).await.into_iter().find(|(known, _)| known == state).expect(state).1
}

async fn published(app: &TestApp) -> Vec<String> {
    let set = app.nobody().get("/.well-known/jwks.json").await.expect(200);
    let keys = set["keys"].as_array().unwrap().iter();
    keys.map(|key| key["kid"].as_str().unwrap().to_owned()).collect()
}

/// The key that signed a token.
fn kid(token: &str) -> String {
    use base64::Engine as _;
    let header = token.split('.').next().unwrap();
    let header = base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(header).unwrap();
    serde_json::from_slice::<Value>(&header).unwrap()["kid"].as_str().unwrap().to_owned()
}

async fn retire(app: &TestApp) {
    let change = app.server.app.ring_change("key.retired");
    keys::retire(&change, Permit::system(Job::KeyRotation)).await.unwrap();
}

#[tokio::test]
async fn the_next_key_signs_only_after_others_could_have_seen_it() {
    let (app, _) = start().await;
    app.pass(PUBLISHED - Duration::from_secs(1));
    let refused = app.operator().post(ROTATE, json!({})).await;
    refused.problem(409, "CONFLICT");
    assert_eq!(refused.header("retry-after"), "1");
    app.pass(Duration::from_secs(1));
    app.operator().post(ROTATE, json!({})).await.expect(200);
}

#[tokio::test]
async fn whoever_is_in_a_hurry_rotates_by_force() {
    let (app, _) = start().await;
    let (active, next) = (kid_of_state(&app, "active").await, kid_of_state(&app, "next").await);
    let moved = app.operator().post(ROTATE, json!({"force": true})).await.expect(200);
    assert_eq!((&moved["activeKid"], &moved["retiringKid"]), (&json!(next), &json!(active)));
    app.operator().post(ROTATE, json!({"force": "yes"})).await.problem(400, "VALIDATION_ERROR");
}

#[tokio::test]
async fn a_rotation_breaks_no_live_token_and_the_former_key_goes_with_the_last() {
    let (app, agent) = start().await;
    let (former, old) = (kid_of_state(&app, "active").await, app.token(&agent).await);
    let moved = app.operator().post(ROTATE, json!({"force": true})).await.expect(200);
    // A token lives for an hour; a minute more is for whoever has not heard of it yet.
    assert_eq!(moved["retiresAt"], "2026-01-01T01:01:00.000Z");
    let new = app.token(&agent).await;
    assert_eq!((kid(&old), kid(&new) == former), (former.clone(), false));
    assert!(app.is_live(&old).await && app.is_live(&new).await);
    let path = format!("/api/v1/agents/{}", agent.id);
    app.client(As::Bearer(&old)).get(&path).await.expect(200);
    assert!(published(&app).await.contains(&former));

    app.pass(Duration::from_secs(3_659));
    retire(&app).await;
    assert!(published(&app).await.contains(&former), "not yet");
    app.pass(Duration::from_secs(1));
    retire(&app).await;
    assert!(!published(&app).await.contains(&former));
    assert_eq!(app.events("key.retired").await[0]["metadata"]["kids"], json!([former]));
    let shown = app.operator().get(KEYS).await.expect(200);
    let shown = shown["data"].as_array().unwrap().iter().find(|key| key["kid"] == former);
    assert_eq!(shown.unwrap()["state"], "retired", "it stays on the list");
}

#[tokio::test]
async fn a_ring_that_was_rotated_is_the_same_after_a_restart() {
    let (app, agent) = start().await;
    let old = app.token(&agent).await;
    app.operator().post(ROTATE, json!({"force": true})).await.expect(200);
    jobs::ensure_next_key(&app.server.app).await.unwrap();
    let (before, keys) = (states(&app).await, published(&app).await);
    let app = app.restart().await;
    assert_eq!((states(&app).await, published(&app).await), (before, keys));
    assert!(app.is_live(&old).await);
}

#[tokio::test]
async fn the_tokens_of_a_revoked_key_die_at_once_and_the_next_key_signs() {
    let (app, agent) = start().await;
    let (leaked, next) = (kid_of_state(&app, "active").await, kid_of_state(&app, "next").await);
    let token = app.token(&agent).await;
    let path = format!("{KEYS}/{leaked}/revoke");
    let revoked = app.operator().post(&path, json!({"reason": "found in a log"})).await;
    assert_eq!(
        revoked.expect(200),
        json!({
            "kid": leaked, "revokedAt": "2026-01-01T00:00:00.000Z", "activeKid": next,
            "offlineUntil": "2026-01-01T00:05:00.000Z",
        })
    );
    assert!(!app.is_live(&token).await);
    let agents = format!("/api/v1/agents/{}", agent.id);
    app.client(As::Bearer(&token)).get(&agents).await.problem(401, "UNAUTHORIZED");
    assert!(!published(&app).await.contains(&leaked));
    let fresh = app.token(&agent).await;
    assert_eq!(kid(&fresh), next);
    assert!(app.is_live(&fresh).await);
    let event = &app.events("key.revoked").await[0];
    assert_eq!(event["resource"], format!("keys/{leaked}"));
    assert_eq!(event["metadata"]["reason"], "found in a log");
    app.operator().post(&path, json!({})).await.problem(409, "CONFLICT");
    let app = app.restart().await;
    assert!(!app.is_live(&token).await, "also after a restart");
}

#[tokio::test]
async fn a_key_that_does_not_sign_is_revoked_and_nothing_else_changes() {
    let (app, agent) = start().await;
    let (former, token) = (kid_of_state(&app, "active").await, app.token(&agent).await);
    app.operator().post(ROTATE, json!({"force": true})).await.expect(200);
    let active = kid_of_state(&app, "active").await;
    let revoked = app.operator().post(&format!("{KEYS}/{former}/revoke"), json!({})).await;
    assert_eq!(revoked.expect(200)["activeKid"], active);
    assert!(!app.is_live(&token).await, "the retiring key's tokens die");
    jobs::ensure_next_key(&app.server.app).await.unwrap();
    let next = kid_of_state(&app, "next").await;
    app.operator().post(&format!("{KEYS}/{next}/revoke"), json!({})).await.expect(200);
    assert_eq!(kid_of_state(&app, "active").await, active);
    assert!(!published(&app).await.contains(&next));
}

#[tokio::test]
async fn a_revoked_keys_private_half_is_erased() {
    let (app, _) = start().await;
    let leaked = kid_of_state(&app, "active").await;
    app.operator().post(&format!("{KEYS}/{leaked}/revoke"), json!({})).await.expect(200);
    let find = "SELECT sealed FROM signing_keys WHERE kid = $1";
    let params = countersign_ground::params![&leaked];
    let mut row = app.server.app.db.query_opt(find, params).await.unwrap().unwrap();
    assert_eq!(row.take::<Vec<u8>>().unwrap(), Vec::<u8>::new());
}

#[tokio::test]
async fn a_key_that_is_none_is_not_found() {
    let (app, _) = start().await;
    for kid in ["x", "..%2F..", &"k".repeat(256)] {
        let path = format!("{KEYS}/{kid}/revoke");
        app.operator().post(&path, json!({})).await.problem(404, "KEY_NOT_FOUND");
    }
    for kid in ["%00", &"k".repeat(257)] {
        let path = format!("{KEYS}/{kid}/revoke");
        app.operator().post(&path, json!({})).await.problem(400, "VALIDATION_ERROR");
    }
}

#[tokio::test]
async fn keys_are_the_installations_and_no_tenants() {
    let (app, _) = start().await;
    let olga = app.tenant("other", "unlimited").await;
    let reader = app.operator_with("default", &["dev"]).await.1;
    for token in [&olga, &reader] {
        let client = app.client(As::Bearer(token));
        client.get(KEYS).await.expect(200);
        for path in [ROTATE, "/api/v1/keys/reseal", "/api/v1/keys/x/revoke"] {
            client.post(path, json!({})).await.problem(403, "FORBIDDEN");
        }
    }
    app.nobody().post(ROTATE, json!({})).await.problem(401, "UNAUTHORIZED");
}

#[tokio::test]
async fn a_rotation_is_scheduled() {
    let app = TestApp::with(&[("JWT_ROTATE_DAYS", "30")]).await;
    jobs::ensure_next_key(&app.server.app).await.unwrap();
    let active = kid_of_state(&app, "active").await;
    app.pass(Duration::from_secs(30 * 24 * 3600 - 1));
    jobs::rotate_when_due(&app.server.app).await;
    assert_eq!(kid_of_state(&app, "active").await, active);
    app.pass(Duration::from_secs(1));
    jobs::rotate_when_due(&app.server.app).await;
    assert_eq!(kid_of_state(&app, "retiring").await, active);
    let event = &app.events("key.rotated").await[0];
    assert_eq!(event["actorId"], "key-rotation", "nobody did it");
}

#[tokio::test]
async fn when_a_key_was_last_used_is_shown() {
    let (app, agent) = start().await;
    app.pass(Duration::from_secs(7));
    app.token(&agent).await;
    let parts = &app.server.app;
    parts.activity.flush(&parts.db, parts.keys.take_uses()).await.unwrap();
    let page = app.operator().get(KEYS).await.expect(200);
    let active = page["data"].as_array().unwrap().iter().find(|key| key["state"] == "active");
    assert_eq!(active.unwrap()["lastUsedAt"], "2026-01-01T00:00:07.000Z");
}

#[tokio::test]
async fn rotations_under_load_fail_no_request_and_break_no_token() {
    let (app, agent) = start().await;
    let app = std::sync::Arc::new(app);
    let agent = std::sync::Arc::new(agent);
    let mut clients = JoinSet::new();
    for _ in 0..8 {
        let (app, agent) = (app.clone(), agent.clone());
        clients.spawn(async move {
            let mut tokens = Vec::new();
            for _ in 0..30 {
                let token = app.token(&agent).await;
                assert!(app.is_live(&token).await);
                tokens.push(token);
            }
            tokens
        });
    }
    for _ in 0..10 {
        app.operator().post(ROTATE, json!({"force": true})).await.expect(200);
    }
    let mut signers = std::collections::BTreeSet::new();
    while let Some(tokens) = clients.join_next().await {
        for token in tokens.unwrap() {
            assert!(app.is_live(&token).await, "by {}", kid(&token));
            signers.insert(kid(&token));
        }
    }
    assert!(signers.len() > 1, "the keys did follow one another");
    assert_eq!(app.events("key.rotated").await.len(), 10);
}

#[tokio::test]
async fn rotations_at_once_move_the_ring_one_by_one() {
    let (app, _) = start().await;
    let app = std::sync::Arc::new(app);
    let mut all = JoinSet::new();
    for _ in 0..6 {
        let app = app.clone();
        all.spawn(async move {
            app.operator().post(ROTATE, json!({"force": true})).await.status.as_u16()
        });
    }
    let statuses = all.join_all().await;
    assert!(statuses.iter().all(|status| [200, 409].contains(status)), "{statuses:?}");
    let states = states(&app).await;
    let active = states.iter().filter(|(state, _)| state == "active").count();
    assert_eq!(active, 1, "{states:?}");
    let rotated = statuses.iter().filter(|status| **status == 200).count();
    assert_eq!(app.events("key.rotated").await.len(), rotated);
}
