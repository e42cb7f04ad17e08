//! Many changes at once while Vault fails now and then: at the end what is live, what Vault keeps and
//! what was answered are the same.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;

use countersign_ground::entropy::Entropy;
use futures_util::future::join_all;
use serde_json::json;

use super::double::{Ailment, Call, Double};
use super::{kept_at, settle, unsettled};
use crate::credentials::{path as credentials, works};
use crate::support::{TestAgent, TestApp};

/// Every secret that was answered, by its credential.
type Answered = Mutex<BTreeMap<String, Vec<String>>>;

#[tokio::test]
async fn after_a_storm_vault_the_database_and_the_answers_agree() {
    let vault = Double::start().await;
    let app = TestApp::with(&vault.settings()).await;
    let agent = app.agent("screener", &["audit:read"]).await;
    let answered = Answered::default();
    note(&answered, &agent.credential, &agent.secret);
    let entropy = Entropy::seeded(7);
    join_all((0..6).map(|_| changes(&app, &vault, &agent, &answered, &entropy))).await;

    vault.recovers();
    settle(&app).await;
    assert_eq!(unsettled(&app).await, 0);
    agree(&app, &vault, &agent, &answered).await;
    let app = app.restart().await;
    agree(&app, &vault, &agent, &answered).await;
}

fn note(answered: &Answered, credential: &str, secret: &str) {
    let mut answered = answered.lock().unwrap();
    answered.entry(credential.to_owned()).or_default().push(secret.to_owned());
}

async fn changes(
    app: &TestApp,
    vault: &Double,
    agent: &TestAgent,
    answered: &Answered,
    entropy: &Entropy,
) {
    let list = credentials(agent);
    for _ in 0..25 {
        let [what, which, weather] = entropy.bytes::<3>();
        let calls = [Call::Write, Call::Versions, Call::Erase];
        let ailments = [Ailment::HalfClosed, Ailment::Garbage, Ailment::Sealed, Ailment::Broken];
        let (call, ailment) = (calls[usize::from(weather) % 3], ailments[usize::from(weather) % 4]);
        match weather % 5 {
            0 => vault.fails_at(call, ailment),
            1 => vault.does_and_fails_at(call, ailment),
            _ => vault.recovers(),
        }
        let known: Vec<String> = answered.lock().unwrap().keys().cloned().collect();
        let one = format!("{list}/{}", known[usize::from(which) % known.len()]);
        let answer = match what % 8 {
            0..=2 => app.operator().post(&list, json!({})).await,
            3..=6 => app.operator().post(&format!("{one}/rotate"), json!({})).await,
            _ => app.operator().delete(&one).await,
        };
        match answer.status.as_u16() {
            200 | 201 => {
                let made = answer.json();
                let text = |name: &str| made[name].as_str().unwrap().to_owned();
                note(answered, &text("credentialId"), &text("clientSecret"));
            }
            204 | 409 | 503 => {}
            other => panic!("{other}: {}", answer.text),
        }
    }
}

/// Of what was answered for a live credential one secret works, and Vault keeps it as the newest.
async fn agree(app: &TestApp, vault: &Double, agent: &TestAgent, answered: &Answered) {
    let answered = answered.lock().unwrap().clone();
    let path = format!("{}?limit=100", credentials(agent));
    let page = app.operator().get(&path).await.expect(200);
    let all = page["data"].as_array().unwrap();
    assert_eq!(page["total"], all.len());
    let live = all.iter().filter(|one| one["status"] == "active");
    let live: BTreeSet<String> =
        live.map(|one| one["credentialId"].as_str().unwrap().to_owned()).collect();
    let paths: BTreeSet<String> = live.iter().map(|id| kept_at(agent, id)).collect();
    assert_eq!(paths, vault.paths().into_iter().collect::<BTreeSet<_>>());
    assert!(live.iter().all(|id| answered.contains_key(id)), "nothing is live that nobody saw");
    for (id, secrets) in &answered {
        let mut working = Vec::new();
        for secret in secrets {
            if works(app, agent, &json!(secret)).await {
                working.push(json!(secret));
            }
        }
        assert_eq!(working.len(), usize::from(live.contains(id)), "{id}");
        if let Some(secret) = working.first() {
            let kept = vault.versions(&kept_at(agent, id));
            let newest = kept.values().rev().find(|one| !one.destroyed).unwrap();
            assert_eq!(&newest.data["client_secret"], secret, "{id}");
        }
    }
    assert!(live.len() > 1 && live.len() < answered.len(), "the storm did something");
}
