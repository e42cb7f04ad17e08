//! Several nodes on one database. On SQLite there is one process, and these tests say so.

mod redis;

use std::time::Duration;

use countersign_ground::clock::{Clock, Stopwatch};
use serde_json::json;

use crate::support::{As, Engine, START, TestApp, new_agent};

/// Two nodes on one database, under one issuer. `None` where there can be only one.
pub async fn two(settings: &[(&str, &str)]) -> Option<(TestApp, TestApp)> {
    if Engine::current() == Engine::Sqlite {
        println!("skipped: SQLite has one process, and so one node");
        return None;
    }
    let clock = Clock::manual(START);
    let issuer = ("ISSUER_URL", "http://127.0.0.1:3000");
    let settings = [settings, &[issuer]].concat();
    let one = TestApp::beside(None, &settings, &clock).await;
    let other = TestApp::beside(Some(&one), &settings, &clock).await;
    Some((one, other))
}

/// What one node did, the other does not answer otherwise for longer than that.
const WITHIN: Duration = Duration::from_secs(1);

pub async fn until<F: Future<Output = bool>>(what: &str, holds: impl Fn() -> F) {
    let watch = Stopwatch::start();
    while !holds().await {
        assert!(watch.elapsed() < WITHIN, "{what}");
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn an_agent_of_one_node_gets_its_token_from_another_at_once() {
    let Some((one, other)) = two(&[]).await else { return };
    for round in 0..5 {
        let agent = one.agent(&format!("a{round}"), &["agents:read"]).await;
        let token = other.token(&agent).await;
        assert!(one.is_live(&token).await && other.is_live(&token).await);
        one.client(As::Bearer(&token)).get("/api/v1/agents").await.expect(200);
        other.client(As::Bearer(&token)).get("/api/v1/agents").await.expect(200);
        let rotate = format!("/api/v1/agents/{}/credentials/{}/rotate", agent.id, agent.credential);
        let made = other.operator().post(&rotate, json!({})).await.expect(200);
        let secret = made["clientSecret"].as_str().unwrap().to_owned();
        let agent = crate::support::TestAgent { secret, ..agent };
        one.token(&agent).await;
    }
}

#[tokio::test]
async fn an_agent_that_one_node_stops_is_stopped_on_another() {
    let Some((one, other)) = two(&[]).await else { return };
    let agent = one.agent("screener", &["agents:read"]).await;
    let path = format!("/api/v1/agents/{}", agent.id);
    for change in [json!({"status": "suspended"}), json!({"status": "active"})] {
        let token = other.token_answer(&agent, &[]).await;
        one.operator().patch(&path, change.clone()).await.expect(200);
        let suspended = change["status"] == "suspended";
        until("a token", || async {
            let answer = other.token_answer(&agent, &[]).await;
            (answer.status == 403) == suspended
        })
        .await;
        if let Some(token) = token.json()["access_token"].as_str() {
            assert!(!other.is_live(token).await, "the generation is over");
        }
    }
    let token = other.token(&agent).await;
    one.operator().post(&format!("{path}/quarantine"), json!({"reason": "test"})).await.expect(200);
    until("quarantine", || async { !other.is_live(&token).await }).await;
}

#[tokio::test]
async fn what_is_revoked_on_one_node_is_dead_on_another() {
    let Some((one, other)) = two(&[]).await else { return };
    let agent = one.agent("screener", &["agents:read"]).await;
    let token = one.token(&agent).await;
    assert!(other.is_live(&token).await);
    one.operator().form("/api/v1/token/revoke", &[("token", &token)]).await.expect(200);
    until("revocation", || async { !other.is_live(&token).await }).await;

    let token = one.token(&agent).await;
    let credential = format!("/api/v1/agents/{}/credentials/{}", agent.id, agent.credential);
    other.operator().delete(&credential).await.expect(204);
    until("credential", || async { !one.is_live(&token).await }).await;
}

#[tokio::test]
async fn operators_tenants_keys_and_the_matrix_are_the_same_everywhere() {
    let Some((one, other)) = two(&[]).await else { return };
    let admin = one.tenant("acme", "unlimited").await;
    other.client(As::Bearer(&admin)).get("/api/v1/agents").await.expect(200);
    other.operator().within("acme").get("/api/v1/agents").await.expect(200);
    let (id, token) = other.operator_with("default", &["admin"]).await;
    one.client(As::Bearer(&token)).get("/api/v1/agents").await.expect(200);
    one.operator().delete(&format!("/api/v1/operators/{id}")).await.expect(204);
    until("operator", || async {
        other.client(As::Bearer(&token)).get("/api/v1/agents").await.status == 401
    })
    .await;

    let agent = one.agent("screener", &["agents:read"]).await;
    let before = one.token(&agent).await;
    one.operator().post("/api/v1/keys/rotate", json!({"force": true})).await.expect(200);
    let after = one.token(&agent).await;
    assert!(other.is_live(&before).await && other.is_live(&after).await);

    let mut matrix = one.operator().get("/api/v1/rbac/matrix").await.expect(200);
    matrix["version"] = json!("2.0.0");
    one.operator().put("/api/v1/rbac/matrix", matrix).await.expect(200);
    until("matrix", || async {
        let info = other.operator().get("/api/v1/rbac/info").await.expect(200);
        info["version"] == "2.0.0"
    })
    .await;
}

#[tokio::test]
async fn changes_are_numbered_without_gaps_by_nodes_that_change_at_once() {
    let Some((one, other)) = two(&[]).await else { return };
    let agents = [one.agent("a", &["agents:read"]).await, one.agent("b", &["agents:read"]).await];
    let begin = one.server.app.db.change_clock().await.unwrap();
    let change = |app, agent: usize, number: usize| {
        let (app, path): (&TestApp, _) = (app, format!("/api/v1/agents/{}", agents[agent].id));
        async move {
            let owner = json!({"owner": format!("owner{number}")});
            app.operator().patch(&path, owner).await.expect(200);
        }
    };
    let all = (0..40).map(|number| {
        let app = if number % 2 == 0 { &one } else { &other };
        change(app, number / 2 % 2, number)
    });
    futures_util::future::join_all(all).await;
    let changes = one.server.app.db.changes_after(begin).await.unwrap();
    let numbers: Vec<i64> = changes.iter().map(|change| change.n).collect();
    assert_eq!(numbers, (begin + 1..=begin + 40).collect::<Vec<_>>());
    assert_eq!(one.server.app.db.change_clock().await.unwrap(), begin + 40);
}

/// Two sealers at once: whichever comes second sees the head moved, and nothing is sealed twice.
#[tokio::test]
async fn two_nodes_seal_one_chain() {
    let Some((one, other)) = two(&[]).await else { return };
    for round in 0..10 {
        for (app, name) in [(&one, "a"), (&other, "b")] {
            let agent = new_agent(&format!("{name}{round}"));
            app.operator().post("/api/v1/agents", agent).await.expect(201);
        }
        let (first, second) = tokio::join!(one.server.seal(), other.server.seal());
        first.and(second).unwrap();
    }
    for app in [&one, &other] {
        app.server.seal().await.unwrap();
    }
    let trust = countersign_ground::record::verify::Trust::default();
    let report =
        countersign_ground::record::verify::database(&one.server.app.db, &trust, |_, _| {});
    let report = report.await.unwrap();
    assert!(report.is_good(), "{:?}", report.faults);
    let page = one.operator().get("/api/v1/audit/seals?limit=1000").await.expect(200);
    let sealed: i64 =
        page["data"].as_array().unwrap().iter().map(|one| one["count"].as_i64().unwrap()).sum();
    assert_eq!(sealed, report.events);
}

/// A copy of the database takes its place that was behind: numbers that were seen come once more, for
/// other changes.
#[tokio::test]
async fn a_node_whose_database_went_back_reads_everything_again() {
    let Some((one, other)) = two(&[]).await else { return };
    let agent = one.agent("screener", &["agents:read"]).await;
    let path = format!("/api/v1/agents/{}", agent.id);
    for number in 0..10 {
        let owner = json!({"owner": format!("owner{number}")});
        one.operator().patch(&path, owner).await.expect(200);
    }
    let token = other.token(&agent).await;
    assert!(other.is_live(&token).await);
    for sql in [
        "DELETE FROM changes WHERE n > (SELECT n - 5 FROM change_clock)",
        "UPDATE change_clock SET n = n - 5",
    ] {
        let went_back = one
            .server
            .app
            .db
            .write((), move |tx, ()| Box::pin(async move { tx.execute(sql, &[]).await }));
        let went_back: Result<u64, countersign_ground::db::Error> = went_back.await;
        went_back.unwrap();
    }
    one.operator().patch(&path, json!({"status": "suspended"})).await.expect(200);
    until("suspension", || async { !other.is_live(&token).await }).await;
}

/// Nobody polled for so long that the changes were forgotten meanwhile.
#[tokio::test]
async fn a_node_that_missed_changes_reads_everything_again() {
    let Some((one, other)) = two(&[]).await else { return };
    let agent = one.agent("screener", &["agents:read"]).await;
    let token = other.token(&agent).await;
    let sql = "UPDATE change_clock SET n = n + 500";
    let moved = one
        .server
        .app
        .db
        .write((), move |tx, ()| Box::pin(async move { tx.execute(sql, &[]).await }));
    let moved: Result<u64, countersign_ground::db::Error> = moved.await;
    moved.unwrap();
    let path = format!("/api/v1/agents/{}", agent.id);
    one.operator().patch(&path, json!({"status": "suspended"})).await.expect(200);
    until("suspension", || async { !other.is_live(&token).await }).await;
}
