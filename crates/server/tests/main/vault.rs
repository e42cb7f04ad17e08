//! Vault as the place of agents' secrets: what is kept where, what a failure at each step leaves, and
//! what is brought to its end later.

mod double;
mod failures;
mod first_use;
mod kept;
mod moving;
mod settled;
mod storm;
mod told;

use std::collections::BTreeMap;
use std::time::Duration;

use countersign_ground::db::Row;
use countersign_server::jobs;
use serde_json::{Value, json};

use crate::credentials::{first, path as credentials};
use crate::support::{Answer, TestAgent, TestApp};
use double::{Double, Version, in_time};

/// A server that keeps secrets in a double of Vault, and an agent with a credential there.
async fn started() -> (Double, TestApp, TestAgent) {
    let vault = Double::start().await;
    let app = TestApp::with(&vault.settings()).await;
    let agent = app.agent("screener", &["audit:read"]).await;
    (vault, app, agent)
}

/// Where Vault keeps the secret of an agent's credential.
fn kept_at(agent: &TestAgent, credential: &str) -> String {
    format!("agentidp/agents/{}/credentials/{credential}", agent.id)
}

/// The versions of the agent's first secret.
fn versions(vault: &Double, agent: &TestAgent) -> BTreeMap<i64, Version> {
    vault.versions(&kept_at(agent, &agent.credential))
}

async fn create(app: &TestApp, agent: &TestAgent) -> Answer {
    app.operator().post(&credentials(agent), json!({})).await
}

async fn rotate(app: &TestApp, agent: &TestAgent, body: Value) -> Answer {
    app.operator().post(&format!("{}/rotate", first(agent)), body).await
}

async fn revoke(app: &TestApp, agent: &TestAgent) -> Answer {
    app.operator().delete(&first(agent)).await
}

/// The answer to a token request with this secret.
async fn ask(app: &TestApp, agent: &TestAgent, secret: &Value) -> Answer {
    let secret = secret.as_str().unwrap().to_owned();
    let client = TestAgent { id: agent.id.clone(), credential: String::new(), secret };
    app.token_answer(&client, &[]).await
}

/// A minute later, what was left lying about is brought to its end.
async fn settle(app: &TestApp) {
    app.pass(Duration::from_secs(60));
    jobs::settle_vault(&app.server.app).await.unwrap();
}

/// How much is lying about.
async fn unsettled(app: &TestApp) -> i64 {
    let rows = app.server.app.db.query("SELECT COUNT(*) FROM vault_intents", &[]).await;
    rows.unwrap().first_mut().map(Row::take).unwrap().unwrap()
}

/// Until nothing is lying about: what is removed at once is not waited for by who asked for it.
async fn all_settled(app: &TestApp) {
    in_time(async {
        while unsettled(app).await > 0 {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

/// The outcomes of the events of an action, oldest first.
async fn outcomes(app: &TestApp, action: &str) -> Vec<String> {
    let events = app.events(action).await;
    events.iter().rev().map(|event| event["outcome"].as_str().unwrap().to_owned()).collect()
}

/// The agent's credentials as the list has them: id and status.
async fn listed(app: &TestApp, agent: &TestAgent) -> Vec<(String, String)> {
    let page = app.operator().get(&credentials(agent)).await.expect(200);
    let all = page["data"].as_array().unwrap();
    assert_eq!(page["total"], all.len(), "{page}");
    let text = |one: &Value, name: &str| one[name].as_str().unwrap().to_owned();
    all.iter().map(|one| (text(one, "credentialId"), text(one, "status"))).collect()
}
