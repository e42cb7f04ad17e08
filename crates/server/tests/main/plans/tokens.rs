//! The plan `free` allows each client 10 000 tokens a calendar month.

use std::time::Duration;

use countersign_ground::db::{self, Value};
use countersign_ground::params;
use futures_util::future::join_all;

use super::{agent, plan, start};
use crate::support::{TestAgent, TestApp};

/// January of 2026, and how long it lasts.
const MONTH: i64 = 202_601;
const DAYS: u64 = 31;
const DAY: Duration = Duration::from_secs(24 * 3600);

async fn execute(app: &TestApp, sql: &'static str, values: Vec<Value>) {
    let done = app.server.app.db.write(values, move |tx, values| {
        Box::pin(async move { tx.execute(sql, values).await.map(drop) })
    });
    done.await.map_err(|error: db::Error| error.to_string()).unwrap();
}

/// As if the agent had been issued so many tokens this month.
async fn issued(app: &TestApp, agent: &TestAgent, n: i64) {
    let sql = "INSERT INTO token_monthly_counts (client_id, month, n) VALUES ($1, $2, $3)";
    execute(app, sql, params![&agent.id, MONTH, n].to_vec()).await;
}

async fn stored(app: &TestApp, agent: &TestAgent, month: i64) -> i64 {
    app.server.app.activity.flush(&app.server.app.db, Vec::new()).await.unwrap();
    let sql = "SELECT n FROM token_monthly_counts WHERE client_id = $1 AND month = $2";
    let mut rows = app.server.app.db.query(sql, params![&agent.id, month]).await.unwrap();
    rows.first_mut().map_or(0, |row| row.take().unwrap())
}

async fn exhausted(app: &TestApp, agent: &TestAgent) {
    let refused = app.token_answer(agent, &[]).await;
    let told = refused.oauth(429, "temporarily_unavailable");
    assert_eq!(told, "the plan allows 10000 tokens a calendar month");
}

#[tokio::test]
async fn the_last_token_of_a_month_is_issued_and_no_further_one_until_it_turns() {
    let app = start().await;
    let (one, other) = (agent(&app, "one").await, agent(&app, "other").await);
    issued(&app, &one, 9_999).await;
    app.token(&one).await;
    exhausted(&app, &one).await;
    app.token(&other).await;
    app.pass(Duration::from_secs(90));
    let refused = app.token_answer(&one, &[]).await;
    let left = u64::from(u32::try_from(DAYS).unwrap()) * DAY.as_secs() - 90;
    assert_eq!(refused.header("retry-after"), left.to_string());
    app.pass(Duration::from_secs(left) - Duration::from_micros(1));
    let refused = app.token_answer(&one, &[]).await;
    assert_eq!(refused.header("retry-after"), "1", "{refused:?}");
    app.pass(Duration::from_micros(1));
    app.token(&one).await;
    assert_eq!((stored(&app, &one, MONTH).await, stored(&app, &one, MONTH + 1).await), (10_000, 1));
}

#[tokio::test]
async fn of_requests_for_the_last_token_at_once_one_gets_it() {
    let app = start().await;
    let client = agent(&app, "one").await;
    issued(&app, &client, 9_999).await;
    let answers = join_all((0..5).map(|_| app.token_answer(&client, &[]))).await;
    let (won, lost): (Vec<_>, Vec<_>) = answers.iter().partition(|answer| answer.status == 200);
    assert_eq!((won.len(), lost.len()), (1, 4));
    for answer in lost {
        answer.oauth(429, "temporarily_unavailable");
    }
    assert_eq!(stored(&app, &client, MONTH).await, 10_000);
}

#[tokio::test]
async fn clients_at_their_boundaries_at_once_each_get_their_last_token() {
    let app = start().await;
    let (one, other) = (agent(&app, "one").await, agent(&app, "other").await);
    for client in [&one, &other] {
        issued(&app, client, 9_999).await;
    }
    let (first, second) = tokio::join!(app.token_answer(&one, &[]), app.token_answer(&other, &[]));
    first.expect(200);
    second.expect(200);
    exhausted(&app, &one).await;
    exhausted(&app, &other).await;
}

#[tokio::test]
async fn counts_survive_a_restart() {
    let app = start().await;
    let client = agent(&app, "one").await;
    issued(&app, &client, 9_997).await;
    app.token(&client).await;
    let app = app.restart().await;
    app.token(&client).await;
    app.token(&client).await;
    exhausted(&app, &client).await;
    let app = app.restart().await;
    exhausted(&app, &client).await;
}

#[tokio::test]
async fn an_unlimited_plan_lifts_it_and_what_was_issued_meanwhile_counts() {
    let app = start().await;
    let client = agent(&app, "one").await;
    issued(&app, &client, 10_000).await;
    exhausted(&app, &client).await;
    plan(&app, "unlimited").await;
    app.token(&client).await;
    assert_eq!(stored(&app, &client, MONTH).await, 10_001);
    plan(&app, "free").await;
    exhausted(&app, &client).await;
}

#[tokio::test]
async fn a_token_that_was_refused_is_not_counted() {
    let app = start().await;
    let client = agent(&app, "one").await;
    issued(&app, &client, 9_999).await;
    app.token_answer(&client, &[("scope", "payroll:run")]).await.oauth(400, "invalid_scope");
    let foreign = [("resource", "https://api.example")];
    app.token_answer(&client, &foreign).await.oauth(400, "invalid_target");
    app.token(&client).await;
    exhausted(&app, &client).await;
}

#[tokio::test]
async fn a_token_that_could_not_be_recorded_gives_its_unit_back() {
    let app = start().await;
    let client = agent(&app, "one").await;
    issued(&app, &client, 9_999).await;
    execute(&app, "UPDATE event_streams SET stream = stream + 1000", Vec::new()).await;
    let failed = app.token_answer(&client, &[]).await;
    assert!(failed.status.is_server_error(), "{failed:?}");
    execute(&app, "UPDATE event_streams SET stream = stream - 1000", Vec::new()).await;
    app.token(&client).await;
    exhausted(&app, &client).await;
    assert_eq!(stored(&app, &client, MONTH).await, 10_000);
}

#[tokio::test]
async fn what_an_unlimited_plan_issued_counts_when_it_is_limited_again() {
    let app = start().await;
    let client = agent(&app, "one").await;
    issued(&app, &client, 9_998).await;
    app.token(&client).await;
    plan(&app, "unlimited").await;
    for _ in 0..5 {
        app.token(&client).await;
    }
    assert_eq!(stored(&app, &client, MONTH).await, 10_004);
    plan(&app, "free").await;
    exhausted(&app, &client).await;
}
