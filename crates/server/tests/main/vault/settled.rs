//! What is brought to its end later, and what happens meanwhile.

use std::time::Duration;

use countersign_server::jobs;
use serde_json::json;

use super::double::{Ailment, Call};
use super::{
    ask, create, kept_at, listed, outcomes, revoke, rotate, settle, started, unsettled, versions,
};
use crate::credentials::{path as credentials, works};

const ALMOST: Duration = Duration::from_micros(59_999_999);

#[tokio::test]
async fn what_somebody_may_still_be_at_is_left_alone_for_a_minute() {
    let (vault, app, agent) = started().await;
    vault.does_and_fails_at(Call::Write, Ailment::HalfClosed);
    create(&app, &agent).await.expect(503);
    vault.recovers();
    app.pass(ALMOST);
    jobs::settle_vault(&app.server.app).await.unwrap();
    assert_eq!((unsettled(&app).await, vault.paths().len()), (1, 2));
    app.pass(Duration::from_micros(1));
    jobs::settle_vault(&app.server.app).await.unwrap();
    assert_eq!((unsettled(&app).await, vault.paths().len()), (0, 1));
}

#[tokio::test]
async fn what_fails_again_waits_its_turn_and_holds_up_nobody() {
    let (vault, app, agent) = started().await;
    vault.does_and_fails_at(Call::Write, Ailment::HalfClosed);
    for _ in 0..3 {
        create(&app, &agent).await.expect(503);
    }
    vault.recovers();
    vault.fails_at(Call::Erase, Ailment::Broken);
    settle(&app).await;
    assert_eq!(vault.calls(Call::Erase), 1, "Vault is not pressed");
    assert_eq!(unsettled(&app).await, 3);
    vault.recovers();
    jobs::settle_vault(&app.server.app).await.unwrap();
    assert_eq!(unsettled(&app).await, 1, "the other two, whose turn it is");
    settle(&app).await;
    assert_eq!((unsettled(&app).await, vault.paths().len()), (0, 1));
    assert_eq!(outcomes(&app, "credential.erased").await.len(), 3);
}

#[tokio::test]
async fn a_creation_that_takes_longer_than_a_minute_comes_to_nothing() {
    let (vault, app, agent) = started().await;
    vault.hold(Call::Write);
    let (refused, ()) = tokio::join!(create(&app, &agent), async {
        vault.holds().await;
        settle(&app).await;
        vault.let_go();
    });
    refused.problem(409, "CREDENTIAL_ALREADY_REVOKED");
    assert_eq!((unsettled(&app).await, vault.paths().len()), (0, 1));
    let mut statuses: Vec<String> =
        listed(&app, &agent).await.into_iter().map(|(_, status)| status).collect();
    statuses.sort();
    assert_eq!(statuses, ["active", "revoked"]);
    assert_eq!(outcomes(&app, "credential.generated").await, ["success", "failure"]);
}

#[tokio::test]
async fn a_rotation_that_takes_longer_than_a_minute_comes_to_nothing() {
    let (vault, app, agent) = started().await;
    vault.hold(Call::Write);
    let (refused, ()) = tokio::join!(rotate(&app, &agent, json!({})), async {
        vault.holds().await;
        settle(&app).await;
        vault.let_go();
    });
    refused.problem(409, "CONFLICT");
    assert!(versions(&vault, &agent)[&2].destroyed);
    assert!(works(&app, &agent, &json!(agent.secret)).await);
    assert_eq!(outcomes(&app, "credential.rotated").await, ["failure"]);
}

#[tokio::test]
async fn a_revocation_during_a_rotation_wins() {
    let (vault, app, agent) = started().await;
    vault.hold(Call::Write);
    let (refused, ()) = tokio::join!(rotate(&app, &agent, json!({})), async {
        vault.holds().await;
        revoke(&app, &agent).await.expect(204);
        vault.let_go();
    });
    refused.problem(409, "CREDENTIAL_ALREADY_REVOKED");
    let lost = versions(&vault, &agent)[&2].data["client_secret"].clone();
    for secret in [&lost, &json!(agent.secret)] {
        ask(&app, &agent, secret).await.oauth(401, "invalid_client");
    }
    assert_eq!(unsettled(&app).await, 1, "what was being written had to end first");
    settle(&app).await;
    assert_eq!((unsettled(&app).await, vault.paths().len()), (0, 0));
}

#[tokio::test]
async fn a_quarantine_during_a_creation_wins() {
    let (vault, app, agent) = started().await;
    vault.hold(Call::Write);
    let (refused, receipt) = tokio::join!(create(&app, &agent), async {
        vault.holds().await;
        let path = format!("/api/v1/agents/{}/quarantine", agent.id);
        let stopped = app.operator().post(&path, json!({"reason": "it leaks"})).await;
        vault.let_go();
        stopped.expect(200)
    });
    refused.problem(409, "AGENT_NOT_ACTIVE");
    assert_eq!(receipt["credentials"], json!([agent.credential]), "the other one never was");
    assert!(listed(&app, &agent).await.iter().all(|(_, status)| status == "revoked"));
    settle(&app).await;
    assert_eq!((unsettled(&app).await, vault.paths().len()), (0, 0));
}

#[tokio::test]
async fn a_suspension_during_a_change_leaves_nothing_of_it() {
    let (vault, app, agent) = started().await;
    let one = format!("/api/v1/agents/{}", agent.id);
    vault.hold(Call::Write);
    let (refused, ()) = tokio::join!(rotate(&app, &agent, json!({})), async {
        vault.holds().await;
        app.operator().patch(&one, json!({"status": "suspended"})).await.expect(200);
        vault.let_go();
    });
    refused.problem(409, "AGENT_NOT_ACTIVE");
    app.operator().patch(&one, json!({"status": "active"})).await.expect(200);
    let lost = versions(&vault, &agent)[&2].data["client_secret"].clone();
    assert!(!works(&app, &agent, &lost).await);
    assert!(works(&app, &agent, &json!(agent.secret)).await);
    settle(&app).await;
    assert!(versions(&vault, &agent)[&2].destroyed);
}

#[tokio::test]
async fn an_unfinished_creation_may_be_revoked_by_its_id() {
    let (vault, app, agent) = started().await;
    vault.hold(Call::Write);
    let (refused, ()) = tokio::join!(create(&app, &agent), async {
        vault.holds().await;
        let event = &app.events("credential.generating").await[0];
        let id = event["metadata"]["credentialId"].as_str().unwrap();
        let one = format!("{}/{id}", credentials(&agent));
        app.operator().delete(&one).await.expect(204);
        vault.let_go();
    });
    refused.problem(409, "CREDENTIAL_ALREADY_REVOKED");
    settle(&app).await;
    assert_eq!(vault.paths(), [kept_at(&agent, &agent.credential)]);
}

#[tokio::test]
async fn settling_twice_at_once_settles_once() {
    let (vault, app, agent) = started().await;
    vault.does_and_fails_at(Call::Write, Ailment::HalfClosed);
    create(&app, &agent).await.expect(503);
    vault.recovers();
    app.pass(Duration::from_secs(60));
    let attempt = || jobs::settle_vault(&app.server.app);
    let (one, other) = tokio::join!(attempt(), attempt());
    one.and(other).unwrap();
    assert_eq!((vault.calls(Call::Erase), unsettled(&app).await), (1, 0));
    assert_eq!(outcomes(&app, "credential.erased").await.len(), 1);
}
