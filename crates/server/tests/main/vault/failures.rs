//! A failure at each step: before the call, in it, and between the call and its outcome.

use serde_json::json;

use super::double::{AILMENTS, Ailment, Call, Double};
use super::{
    Answer, ask, create, kept_at, listed, outcomes, revoke, rotate, settle, started, unsettled,
    versions,
};
use crate::credentials::works;
use crate::support::{TestAgent, TestApp};

/// A 503 that says what to do, and neither where Vault is, nor by which token, nor any secret.
#[track_caller]
fn unavailable(vault: &Double, answer: &Answer) -> String {
    let problem = answer.problem(503, "DEPENDENCY_UNAVAILABLE");
    let port = vault.address.rsplit_once(':').unwrap().1;
    for secret in [port, super::double::TOKEN, "sk_live_", "127.0.0.1", "secret/data"] {
        assert!(!answer.text.contains(secret), "{secret}: {problem}");
    }
    assert!(!answer.header("retry-after").is_empty());
    let detail = problem["detail"].as_str().unwrap().to_owned();
    assert!(detail.contains("nothing was changed"), "{detail}");
    detail
}

async fn active(app: &TestApp, agent: &TestAgent) -> usize {
    listed(app, agent).await.iter().filter(|(_, status)| status == "active").count()
}

#[tokio::test]
async fn whatever_ails_vault_no_credential_is_made() {
    let (vault, app, agent) = started().await;
    for ailment in AILMENTS {
        vault.ails(ailment);
        unavailable(&vault, &create(&app, &agent).await);
        vault.recovers();
        assert_eq!(active(&app, &agent).await, 1, "{ailment:?}");
        assert_eq!(vault.paths().len(), 1, "{ailment:?}");
    }
    let failed = outcomes(&app, "credential.generated").await;
    assert_eq!(failed.iter().filter(|outcome| *outcome == "failure").count(), AILMENTS.len());
    settle(&app).await;
    assert_eq!((unsettled(&app).await, vault.paths().len()), (0, 1));
    let made = create(&app, &agent).await.expect(201);
    assert!(works(&app, &agent, &made["clientSecret"]).await);
    assert!(works(&app, &agent, &json!(agent.secret)).await);
}

#[tokio::test]
async fn whatever_ails_vault_a_rotation_leaves_the_old_secret_in_force() {
    let (vault, app, agent) = started().await;
    for ailment in AILMENTS {
        for call in [Call::Versions, Call::Write] {
            vault.fails_at(call, ailment);
            unavailable(&vault, &rotate(&app, &agent, json!({"graceSeconds": 60})).await);
            assert!(works(&app, &agent, &json!(agent.secret)).await, "{call:?} {ailment:?}");
            vault.recovers();
            if call == Call::Versions {
                assert_eq!(unsettled(&app).await, 0, "nothing was written");
            }
            settle(&app).await;
            assert_eq!((unsettled(&app).await, versions(&vault, &agent).len()), (0, 1));
        }
    }
    let rotated = rotate(&app, &agent, json!({})).await.expect(200);
    assert!(works(&app, &agent, &rotated["clientSecret"]).await);
    assert!(!works(&app, &agent, &json!(agent.secret)).await);
}

#[tokio::test]
async fn a_vault_that_is_not_there_is_told_of_and_nothing_is_left() {
    let app = TestApp::with(&[("VAULT_ADDR", "http://127.0.0.1:1"), ("VAULT_TOKEN", "t")]).await;
    let new = crate::support::new_agent("screener");
    let agent = app.operator().post("/api/v1/agents", new).await.expect(201);
    let path = format!("/api/v1/agents/{}/credentials", agent["agentId"].as_str().unwrap());
    let refused = app.operator().post(&path, json!({})).await;
    let problem = refused.problem(503, "DEPENDENCY_UNAVAILABLE");
    assert!(problem["detail"].as_str().unwrap().contains("does not answer"), "{problem}");
    assert_eq!(unsettled(&app).await, 0, "nothing was sent");
    let page = app.operator().get(&path).await.expect(200);
    assert_eq!(page["data"][0]["status"], "revoked", "{page}");
}

#[tokio::test]
async fn each_ailment_has_a_remedy() {
    let (vault, app, agent) = started().await;
    for (ailment, remedy) in [
        (Ailment::Sealed, "unseal"),
        (Ailment::Forbidden, "VAULT_TOKEN"),
        (Ailment::HalfClosed, "see that it runs"),
        (Ailment::Garbage, "VAULT_ADDR and VAULT_MOUNT"),
        (Ailment::Redirecting, "VAULT_ADDR and VAULT_MOUNT"),
        (Ailment::Unmounted, "VAULT_ADDR and VAULT_MOUNT"),
    ] {
        vault.ails(ailment);
        let detail = unavailable(&vault, &create(&app, &agent).await);
        assert!(detail.contains(remedy), "{ailment:?}: {detail}");
    }
}

#[tokio::test]
async fn what_vault_refuses_itself_can_be_tried_again_at_once() {
    let (vault, app, agent) = started().await;
    for ailment in [Ailment::Forbidden, Ailment::Unmounted] {
        vault.ails(ailment);
        unavailable(&vault, &rotate(&app, &agent, json!({})).await);
        unavailable(&vault, &create(&app, &agent).await);
        assert_eq!(unsettled(&app).await, 0, "{ailment:?}");
    }
    vault.recovers();
    rotate(&app, &agent, json!({})).await.expect(200);
}

#[tokio::test]
async fn a_creation_whose_answer_was_lost_is_removed_from_vault() {
    let (vault, app, agent) = started().await;
    for ailment in [Ailment::HalfClosed, Ailment::Garbage, Ailment::Broken, Ailment::Slow] {
        vault.does_and_fails_at(Call::Write, ailment);
        unavailable(&vault, &create(&app, &agent).await);
        vault.recovers();
        let path = vault.paths().into_iter().find(|path| !path.contains(&agent.credential));
        let secret = vault.versions(&path.unwrap())[&1].data["client_secret"].clone();
        assert!(!works(&app, &agent, &secret).await, "{ailment:?}");
        settle(&app).await;
        assert_eq!(vault.paths(), [kept_at(&agent, &agent.credential)], "{ailment:?}");
        assert!(!works(&app, &agent, &secret).await, "{ailment:?}");
        assert_eq!((unsettled(&app).await, active(&app, &agent).await), (0, 1));
    }
    let revoked = listed(&app, &agent).await;
    assert_eq!(revoked.iter().filter(|(_, status)| status == "revoked").count(), 4);
}

#[tokio::test]
async fn a_rotation_whose_answer_was_lost_never_comes_into_force() {
    let (vault, mut app, agent) = started().await;
    for (lost, ailment) in [(2, Ailment::HalfClosed), (3, Ailment::Garbage)] {
        vault.does_and_fails_at(Call::Write, ailment);
        unavailable(&vault, &rotate(&app, &agent, json!({"graceSeconds": 60})).await);
        vault.recovers();
        let secret = versions(&vault, &agent)[&lost].data["client_secret"].clone();
        assert!(!works(&app, &agent, &secret).await);
        app = app.restart().await;
        assert!(!works(&app, &agent, &secret).await);
        assert!(works(&app, &agent, &json!(agent.secret)).await);
        let refused = rotate(&app, &agent, json!({})).await;
        let problem = refused.problem(409, "CONFLICT");
        assert_eq!(refused.header("retry-after"), "60");
        assert!(problem["detail"].as_str().unwrap().contains("in a minute"), "{problem}");
        settle(&app).await;
        let kept = versions(&vault, &agent);
        assert!(kept[&lost].destroyed && !kept[&1].destroyed);
        assert_eq!(unsettled(&app).await, 0);
    }
    let rotated = rotate(&app, &agent, json!({})).await.expect(200);
    assert_eq!(versions(&vault, &agent)[&4].data["client_secret"], rotated["clientSecret"]);
    let app = app.restart().await;
    assert!(works(&app, &agent, &rotated["clientSecret"]).await);
    assert!(!works(&app, &agent, &json!(agent.secret)).await);
}

#[tokio::test]
async fn a_rotation_that_another_version_crosses_is_refused() {
    let (vault, app, agent) = started().await;
    vault.hold(Call::Versions);
    let (refused, ()) = tokio::join!(rotate(&app, &agent, json!({})), async {
        vault.holds().await;
        vault.forge(&kept_at(&agent, &agent.credential), json!({"client_secret": "sk_live_x"}));
        vault.let_go();
    });
    let detail = unavailable(&vault, &refused);
    assert!(detail.contains("newer version"), "{detail}");
    assert!(works(&app, &agent, &json!(agent.secret)).await);
    settle(&app).await;
    assert!(versions(&vault, &agent)[&2].destroyed, "the database knows of none");
    rotate(&app, &agent, json!({})).await.expect(200);
}

#[tokio::test]
async fn something_on_the_way_that_asks_twice_leaves_nothing_behind() {
    let (vault, app, agent) = started().await;
    vault.is_asked_twice(Call::Write);
    unavailable(&vault, &create(&app, &agent).await);
    unavailable(&vault, &rotate(&app, &agent, json!({})).await);
    vault.recovers();
    assert_eq!((vault.paths().len(), versions(&vault, &agent).len()), (2, 2));
    settle(&app).await;
    assert_eq!(vault.paths(), [kept_at(&agent, &agent.credential)]);
    assert!(versions(&vault, &agent)[&2].destroyed);
    assert!(works(&app, &agent, &json!(agent.secret)).await);
}

#[tokio::test]
async fn a_client_that_goes_away_leaves_no_credential_that_nobody_saw() {
    let (vault, app, agent) = started().await;
    vault.hold(Call::Write);
    tokio::select! {
        _ = create(&app, &agent) => panic!("it was held"),
        () = vault.holds() => {}
    }
    assert_eq!(vault.paths().len(), 2, "it was written");
    settle(&app).await;
    vault.let_go();
    assert_eq!(vault.paths(), [kept_at(&agent, &agent.credential)]);
    assert_eq!((unsettled(&app).await, active(&app, &agent).await), (0, 1));
}

#[tokio::test]
async fn a_client_that_goes_away_before_vault_did_anything_leaves_nothing() {
    let (vault, app, agent) = started().await;
    vault.fails_at(Call::Write, Ailment::Slow);
    let before = vault.calls(Call::Write);
    let reached = async {
        while vault.calls(Call::Write) < before + 2 {
            tokio::task::yield_now().await;
        }
    };
    tokio::select! {
        _ = create(&app, &agent) => panic!("it was slow"),
        _ = rotate(&app, &agent, json!({})) => panic!("it was slow"),
        () = reached => {}
    }
    assert_eq!(unsettled(&app).await, 2);
    vault.recovers();
    settle(&app).await;
    assert_eq!((unsettled(&app).await, active(&app, &agent).await), (0, 1));
    assert_eq!((vault.paths().len(), versions(&vault, &agent).len()), (1, 1));
    assert!(works(&app, &agent, &json!(agent.secret)).await);
}

#[tokio::test]
async fn a_client_that_goes_away_leaves_the_old_secret_in_force() {
    let (vault, app, agent) = started().await;
    vault.hold(Call::Write);
    tokio::select! {
        _ = rotate(&app, &agent, json!({})) => panic!("it was held"),
        () = vault.holds() => {}
    }
    assert_eq!(versions(&vault, &agent).len(), 2, "it was written");
    settle(&app).await;
    vault.let_go();
    assert!(versions(&vault, &agent)[&2].destroyed);
    assert!(works(&app, &agent, &json!(agent.secret)).await);
    assert_eq!(unsettled(&app).await, 0);
}

#[tokio::test]
async fn a_database_that_goes_away_after_the_call_brings_nothing_into_force() {
    let (vault, app, agent) = started().await;
    vault.hold(Call::Write);
    let (refused, ()) = tokio::join!(rotate(&app, &agent, json!({})), async {
        vault.holds().await;
        app.server.app.db.close().await;
        vault.let_go();
    });
    refused.problem(503, "DEPENDENCY_UNAVAILABLE");
    let lost = versions(&vault, &agent)[&2].data["client_secret"].clone();
    let app = app.restart().await;
    assert!(!works(&app, &agent, &lost).await);
    assert!(works(&app, &agent, &json!(agent.secret)).await);
    settle(&app).await;
    assert!(versions(&vault, &agent)[&2].destroyed);
    assert_eq!(outcomes(&app, "credential.rotated").await, ["failure"]);
    assert!(works(&app, &agent, &json!(agent.secret)).await);
}

#[tokio::test]
async fn a_revocation_succeeds_whatever_ails_vault_and_is_finished_later() {
    let vault = Double::start().await;
    let app = TestApp::with(&vault.settings()).await;
    for ailment in [Ailment::Sealed, Ailment::Forbidden, Ailment::Garbage, Ailment::HalfClosed] {
        let agent = app.agent(&format!("{ailment:?}").to_lowercase(), &["audit:read"]).await;
        let token = app.token(&agent).await;
        vault.ails(ailment);
        revoke(&app, &agent).await.expect(204);
        assert!(!works(&app, &agent, &json!(agent.secret)).await);
        assert!(!app.is_live(&token).await);
        settle(&app).await;
        assert_eq!((unsettled(&app).await, vault.paths().len()), (1, 1), "{ailment:?}");
        vault.recovers();
        settle(&app).await;
        assert_eq!((unsettled(&app).await, vault.paths().len()), (0, 0), "{ailment:?}");
    }
}

#[tokio::test]
async fn a_quarantine_succeeds_without_vault_and_is_finished_after_a_restart() {
    let (vault, app, agent) = started().await;
    let second = create(&app, &agent).await.expect(201);
    vault.ails(Ailment::Sealed);
    let path = format!("/api/v1/agents/{}/quarantine", agent.id);
    app.operator().post(&path, json!({"reason": "it leaks"})).await.expect(200);
    for secret in [&json!(agent.secret), &second["clientSecret"]] {
        ask(&app, &agent, secret).await.oauth(401, "invalid_client");
    }
    let app = app.restart().await;
    assert_eq!((unsettled(&app).await, vault.paths().len()), (2, 2));
    vault.recovers();
    settle(&app).await;
    assert_eq!((unsettled(&app).await, vault.paths().len()), (0, 0));
}
