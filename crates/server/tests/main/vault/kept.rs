//! What is kept in Vault while all goes well.

use std::time::Duration;

use countersign_ground::db::Row;
use countersign_ground::params;
use serde_json::{Value, json};

use super::double::{Call, Double};
use super::{
    all_settled, create, kept_at, listed, outcomes, revoke, rotate, settle, started, unsettled,
    versions,
};
use crate::credentials::{first, path as credentials, works};
use crate::support::{As, TestAgent, TestApp};

/// What the database has of a credential: digest, previous digest, path, version.
type Stored = (Option<Vec<u8>>, Option<Vec<u8>>, Option<String>, Option<i64>);

async fn stored(app: &TestApp, credential: &str) -> Stored {
    let sql =
        "SELECT digest, previous_digest, vault_path, vault_version FROM credentials WHERE id = $1";
    let mut rows = app.server.app.db.query(sql, params![credential]).await.unwrap();
    let row: &mut Row = rows.first_mut().unwrap();
    (row.take().unwrap(), row.take().unwrap(), row.take().unwrap(), row.take().unwrap())
}

#[tokio::test]
async fn a_new_secret_is_kept_in_vault_and_nowhere_else() {
    let (vault, app, agent) = started().await;
    let path = kept_at(&agent, &agent.credential);
    assert_eq!(vault.paths(), [&*path]);
    let data = json!({"client_id": agent.id, "client_secret": agent.secret});
    assert_eq!(vault.versions(&path)[&1].data, data);
    let wanted = (None, None, Some(format!("secret/data/{path}")), Some(1));
    assert_eq!(stored(&app, &agent.credential).await, wanted);
    assert!(works(&app, &agent, &json!(agent.secret)).await);
    assert_eq!(unsettled(&app).await, 0);
}

#[tokio::test]
async fn what_is_made_is_announced_before_and_recorded_after() {
    let (_vault, app, agent) = started().await;
    let announced = app.events("credential.generating").await;
    let made = app.events("credential.generated").await;
    assert_eq!((announced.len(), made.len()), (1, 1));
    for event in [&announced[0], &made[0]] {
        assert_eq!(event["metadata"]["credentialId"], agent.credential);
        assert_eq!((&event["outcome"], &event["agentId"]), (&json!("success"), &json!(agent.id)));
        assert_eq!(event["resource"], format!("credentials/{}", agent.credential));
        assert!(event["decisionId"].is_string(), "{event}");
    }
    assert_eq!(made[0]["metadata"]["vaultVersion"], 1);
}

#[tokio::test]
async fn using_a_secret_that_was_made_here_asks_vault_for_nothing() {
    let (vault, app, agent) = started().await;
    assert_eq!(vault.take_calls(), [Call::Write]);
    assert!(works(&app, &agent, &json!(agent.secret)).await);
    assert!(!works(&app, &agent, &json!("sk_live_wrong")).await);
    assert_eq!(vault.take_calls(), []);
}

#[tokio::test]
async fn a_rotation_writes_another_version_and_the_old_secret_stops_at_once() {
    let (vault, app, agent) = started().await;
    let answer = rotate(&app, &agent, json!({})).await;
    let rotated = answer.expect(200);
    assert_eq!(answer.header("cache-control"), "no-store");
    let kept = versions(&vault, &agent);
    assert_eq!(kept.len(), 2);
    assert_eq!(kept[&2].data["client_secret"], rotated["clientSecret"]);
    assert!(!works(&app, &agent, &json!(agent.secret)).await);
    assert!(works(&app, &agent, &rotated["clientSecret"]).await);
    let (digest, previous, _, version) = stored(&app, &agent.credential).await;
    assert_eq!((digest, previous, version), (None, None, Some(2)));
    assert_eq!(outcomes(&app, "credential.rotating").await, ["success"]);
    assert_eq!(outcomes(&app, "credential.rotated").await, ["success"]);
    assert_eq!(unsettled(&app).await, 0);
}

#[tokio::test]
async fn a_grace_lasts_as_long_as_it_says_also_over_a_restart() {
    let (vault, app, agent) = started().await;
    let rotated = rotate(&app, &agent, json!({"graceSeconds": 60})).await.expect(200);
    assert!(works(&app, &agent, &json!(agent.secret)).await);
    let app = app.restart().await;
    assert!(works(&app, &agent, &json!(agent.secret)).await, "the old one");
    assert!(works(&app, &agent, &rotated["clientSecret"]).await, "the new one");
    app.pass(Duration::from_secs(60));
    assert!(!works(&app, &agent, &json!(agent.secret)).await);
    assert!(works(&app, &agent, &rotated["clientSecret"]).await);
    assert_eq!(vault.calls(Call::Read), 1);
}

#[tokio::test]
async fn a_grace_is_given_to_a_secret_that_was_not_used_since_the_start() {
    let (vault, app, agent) = started().await;
    let app = app.restart().await;
    let rotated = rotate(&app, &agent, json!({"graceSeconds": 60})).await.expect(200);
    assert_eq!(vault.calls(Call::Read), 1);
    assert!(works(&app, &agent, &json!(agent.secret)).await);
    assert!(works(&app, &agent, &rotated["clientSecret"]).await);
    app.pass(Duration::from_secs(60));
    assert!(!works(&app, &agent, &json!(agent.secret)).await);
}

#[tokio::test]
async fn a_secret_that_is_gone_from_vault_is_rotated_and_has_no_grace() {
    let (vault, app, agent) = started().await;
    vault.tamper(&kept_at(&agent, &agent.credential), 1, |one| one.deleted = true);
    let app = app.restart().await;
    let rotated = rotate(&app, &agent, json!({"graceSeconds": 60})).await.expect(200);
    assert!(!works(&app, &agent, &json!(agent.secret)).await);
    assert!(works(&app, &agent, &rotated["clientSecret"]).await);
    assert_eq!(app.events("credential.rotated").await[0]["metadata"].get("graceUntil"), None);
}

#[tokio::test]
async fn a_rotation_without_grace_ends_a_grace_that_still_runs() {
    let (_vault, app, agent) = started().await;
    let second = rotate(&app, &agent, json!({"graceSeconds": 60})).await.expect(200);
    let third = rotate(&app, &agent, json!({})).await.expect(200);
    for old in [&json!(agent.secret), &second["clientSecret"]] {
        assert!(!works(&app, &agent, old).await);
    }
    assert!(works(&app, &agent, &third["clientSecret"]).await);
}

#[tokio::test]
async fn revoking_removes_every_version() {
    let (vault, app, agent) = started().await;
    rotate(&app, &agent, json!({"graceSeconds": 60})).await.expect(200);
    revoke(&app, &agent).await.expect(204);
    assert!(!works(&app, &agent, &json!(agent.secret)).await);
    all_settled(&app).await;
    assert_eq!(vault.paths(), [""; 0]);
    assert_eq!(outcomes(&app, "credential.erased").await, ["success"]);
    let (_, previous, ..) = stored(&app, &agent.credential).await;
    assert_eq!(previous, None, "the grace has ended, too");
    revoke(&app, &agent).await.problem(409, "CREDENTIAL_ALREADY_REVOKED");
}

#[tokio::test]
async fn quarantine_removes_the_secrets_of_all_credentials() {
    let (vault, app, agent) = started().await;
    let other = app.agent("other", &["audit:read"]).await;
    let second = create(&app, &agent).await.expect(201);
    let path = format!("/api/v1/agents/{}/quarantine", agent.id);
    let receipt = app.operator().post(&path, json!({"reason": "it leaks"})).await.expect(200);
    assert_eq!(receipt["credentials"].as_array().unwrap().len(), 2);
    all_settled(&app).await;
    assert_eq!(vault.paths(), [kept_at(&other, &other.credential)]);
    for secret in [&json!(agent.secret), &second["clientSecret"]] {
        assert!(!works(&app, &agent, secret).await);
    }
    assert!(works(&app, &other, &json!(other.secret)).await);
}

#[tokio::test]
async fn a_certificate_never_goes_to_vault() {
    let vault = Double::start().await;
    let app = TestApp::with(&vault.settings()).await;
    let agent = app.agent("screener", &[]).await;
    vault.take_calls();
    let body = json!({"certificateThumbprint": "A".repeat(43)});
    let made = app.operator().post(&credentials(&agent), body).await.expect(201);
    let one = format!("{}/{}", credentials(&agent), made["credentialId"].as_str().unwrap());
    app.operator().post(&format!("{one}/rotate"), json!({})).await.problem(409, "CONFLICT");
    app.operator().delete(&one).await.expect(204);
    assert_eq!((vault.take_calls(), unsettled(&app).await), (vec![], 0));
}

#[tokio::test]
async fn what_is_refused_asks_vault_for_nothing() {
    let (vault, app, agent) = started().await;
    vault.take_calls();
    let list = credentials(&agent);
    let past = json!({"expiresAt": "2025-12-31T00:00:00Z"});
    app.operator().post(&list, past).await.problem(400, "VALIDATION_ERROR");
    let long = rotate(&app, &agent, json!({"graceSeconds": 7 * 24 * 3600 + 1})).await;
    long.problem(400, "VALIDATION_ERROR");
    let none = format!("{list}/{}/rotate", agent.id);
    app.operator().post(&none, json!({})).await.problem(404, "CREDENTIAL_NOT_FOUND");
    let theirs = app.tenant("acme", "unlimited").await;
    let theirs = app.client(As::Bearer(&theirs));
    theirs.post(&list, json!({})).await.problem(404, "AGENT_NOT_FOUND");
    theirs
        .post(&format!("{}/rotate", first(&agent)), json!({}))
        .await
        .problem(404, "AGENT_NOT_FOUND");
    theirs.delete(&first(&agent)).await.problem(404, "AGENT_NOT_FOUND");
    let suspended = json!({"status": "suspended"});
    app.operator().patch(&format!("/api/v1/agents/{}", agent.id), suspended).await.expect(200);
    create(&app, &agent).await.problem(409, "AGENT_NOT_ACTIVE");
    rotate(&app, &agent, json!({})).await.problem(409, "AGENT_NOT_ACTIVE");
    assert_eq!((vault.take_calls(), unsettled(&app).await), (vec![], 0));
}

#[tokio::test]
async fn an_expired_or_revoked_credential_is_not_rotated() {
    let (vault, app, agent) = started().await;
    let body = json!({"expiresAt": "2026-01-01T00:00:10Z"});
    let made = app.operator().post(&credentials(&agent), body).await.expect(201);
    assert!(works(&app, &agent, &made["clientSecret"]).await);
    app.pass(Duration::from_secs(10));
    assert!(!works(&app, &agent, &made["clientSecret"]).await);
    let one = format!("{}/{}", credentials(&agent), made["credentialId"].as_str().unwrap());
    app.operator().post(&format!("{one}/rotate"), json!({})).await.problem(409, "CONFLICT");
    revoke(&app, &agent).await.expect(204);
    let revoked = rotate(&app, &agent, json!({})).await;
    revoked.problem(409, "CREDENTIAL_ALREADY_REVOKED");
    assert_eq!(vault.calls(Call::Write), 2);
}

#[tokio::test]
async fn tenants_do_not_meet() {
    let vault = Double::start().await;
    let app = TestApp::with(&vault.settings()).await;
    app.tenant("acme", "unlimited").await;
    let theirs = {
        let body = crate::support::new_agent("theirs");
        let agent = app.operator().within("acme").post("/api/v1/agents", body).await.expect(201);
        let id = agent["agentId"].as_str().unwrap().to_owned();
        let path = format!("/api/v1/agents/{id}/credentials");
        let made = app.operator().within("acme").post(&path, json!({})).await.expect(201);
        let text = |name: &str| made[name].as_str().unwrap().to_owned();
        TestAgent { id, credential: text("credentialId"), secret: text("clientSecret") }
    };
    let ours = app.agent("ours", &["agents:read"]).await;
    assert!(works(&app, &ours, &json!(ours.secret)).await);
    assert!(!works(&app, &ours, &json!(theirs.secret)).await);
    let app = app.restart().await;
    assert!(!works(&app, &ours, &json!(theirs.secret)).await);
    app.operator().within("acme").delete(&first(&theirs)).await.expect(204);
    all_settled(&app).await;
    assert_eq!(vault.paths(), [kept_at(&ours, &ours.credential)]);
    assert_eq!(app.events("credential.erased").await, Vec::<Value>::new(), "it is none of ours");
    let erased = "/api/v1/audit?action=credential.erased";
    let erased = app.operator().within("acme").get(erased).await.expect(200);
    assert_eq!(erased["data"][0]["metadata"]["credentialId"], theirs.credential);
    assert_eq!(erased["data"][0]["tenant"], "acme");
}

#[tokio::test]
async fn of_two_rotations_at_once_one_is_told_to_come_back() {
    let (vault, app, agent) = started().await;
    vault.hold(Call::Write);
    let (one, other) = tokio::join!(rotate(&app, &agent, json!({})), async {
        vault.holds().await;
        let other = rotate(&app, &agent, json!({})).await;
        vault.let_go();
        other
    });
    let problem = other.problem(409, "CONFLICT");
    assert!(problem["detail"].as_str().unwrap().contains("try again"), "{problem}");
    let rotated = one.expect(200);
    assert!(works(&app, &agent, &rotated["clientSecret"]).await);
    assert!(!works(&app, &agent, &json!(agent.secret)).await);
    let again = rotate(&app, &agent, json!({})).await.expect(200);
    assert!(works(&app, &agent, &again["clientSecret"]).await);
    assert_eq!(versions(&vault, &agent).len(), 3);
}

#[tokio::test]
async fn of_many_rotations_at_once_exactly_one_secret_is_left() {
    let (vault, app, agent) = started().await;
    let attempt = || rotate(&app, &agent, json!({}));
    let answers: [_; 4] = tokio::join!(attempt(), attempt(), attempt(), attempt()).into();
    let mut working = 0;
    for answer in &answers {
        if answer.status == 200 {
            working += usize::from(works(&app, &agent, &answer.json()["clientSecret"]).await);
        } else {
            answer.problem(409, "CONFLICT");
        }
    }
    assert_eq!(working, 1);
    assert!(!works(&app, &agent, &json!(agent.secret)).await);
    let done = answers.iter().filter(|answer| answer.status == 200).count();
    assert_eq!(versions(&vault, &agent).len(), 1 + done);
}

#[tokio::test]
async fn a_version_that_somebody_wrote_in_vault_is_not_in_force() {
    let (vault, app, agent) = started().await;
    let forged = json!({"client_id": agent.id, "client_secret": "sk_live_forged"});
    vault.forge(&kept_at(&agent, &agent.credential), forged);
    let app = app.restart().await;
    assert!(!works(&app, &agent, &json!("sk_live_forged")).await);
    assert!(works(&app, &agent, &json!(agent.secret)).await);
    let rotated = rotate(&app, &agent, json!({})).await.expect(200);
    assert_eq!(versions(&vault, &agent)[&3].data["client_secret"], rotated["clientSecret"]);
    let app = app.restart().await;
    assert!(works(&app, &agent, &rotated["clientSecret"]).await);
}

#[tokio::test]
async fn what_is_being_made_is_not_there_yet() {
    let (vault, app, agent) = started().await;
    vault.hold(Call::Write);
    let (made, ()) = tokio::join!(create(&app, &agent), async {
        vault.holds().await;
        assert_eq!(listed(&app, &agent).await, [(agent.credential.clone(), "active".into())]);
        let event = &app.events("credential.generating").await[0];
        let id = event["metadata"]["credentialId"].as_str().unwrap();
        let one = format!("{}/{id}/rotate", credentials(&agent));
        app.operator().post(&one, json!({})).await.problem(404, "CREDENTIAL_NOT_FOUND");
        let kept = &vault.versions(&kept_at(&agent, id))[&1];
        assert!(!works(&app, &agent, &kept.data["client_secret"]).await);
        vault.let_go();
    });
    let made = made.expect(201);
    assert_eq!(listed(&app, &agent).await.len(), 2);
    assert!(works(&app, &agent, &made["clientSecret"]).await);
}

#[tokio::test]
async fn another_mount_and_a_namespace_are_used_where_they_are_set() {
    let vault = Double::mounted("team/kv").await;
    let mut settings = vault.settings().to_vec();
    settings.extend([("VAULT_MOUNT", "team/kv"), ("VAULT_NAMESPACE", "agents/eu")]);
    let app = TestApp::with(&settings).await;
    let agent = app.agent("screener", &["audit:read"]).await;
    assert_eq!(vault.headers()["x-vault-namespace"], "agents/eu");
    assert_eq!(vault.headers()["x-vault-request"], "true");
    let (_, _, path, _) = stored(&app, &agent.credential).await;
    assert_eq!(path, Some(format!("team/kv/data/{}", kept_at(&agent, &agent.credential))));
    let app = app.restart().await;
    assert!(works(&app, &agent, &json!(agent.secret)).await);
    settle(&app).await;
}
