//! The plan `free` allows each client 100 requests a minute.

use std::time::Duration;

use futures_util::future::join_all;

use super::{AGENTS, TENANT, agent, plan, start};
use crate::support::{As, TestApp};

/// So many requests with this token, all of them allowed.
async fn ask(app: &TestApp, token: &str, count: usize) {
    for _ in 0..count {
        app.client(As::Bearer(token)).get(AGENTS).await.expect(200);
    }
}

#[tokio::test]
async fn the_hundredth_request_of_a_minute_is_the_last() {
    let app = start().await;
    let (one, other) = (agent(&app, "one").await, agent(&app, "other").await);
    app.pass(Duration::from_secs(20));
    let (one, other) = (app.token(&one).await, app.token(&other).await);
    ask(&app, &one, 99).await;
    let refused = app.client(As::Bearer(&one)).get(AGENTS).await;
    let problem = refused.problem(429, "RATE_LIMIT_EXCEEDED");
    assert_eq!(problem["detail"], "the plan allows 100 requests a minute");
    assert_eq!(refused.header("retry-after"), "40");
    app.client(As::Bearer(&other)).get(AGENTS).await.expect(200);
    app.operator().within(TENANT).get(AGENTS).await.expect(200);
    app.pass(Duration::from_micros(39_999_999));
    let refused = app.client(As::Bearer(&one)).get(AGENTS).await;
    assert_eq!(refused.header("retry-after"), "1", "{refused:?}");
    app.pass(Duration::from_micros(1));
    ask(&app, &one, 100).await;
    app.client(As::Bearer(&one)).get(AGENTS).await.problem(429, "RATE_LIMIT_EXCEEDED");
}

#[tokio::test]
async fn the_token_endpoint_counts_too_and_refuses_in_its_own_words() {
    let app = start().await;
    let client = agent(&app, "one").await;
    let token = app.token(&client).await;
    ask(&app, &token, 99).await;
    let refused = app.token_answer(&client, &[]).await;
    let told = refused.oauth(429, "temporarily_unavailable");
    assert_eq!(told, "the plan allows 100 requests a minute");
    assert_eq!(refused.header("retry-after"), "60");
    app.pass(Duration::from_secs(60));
    app.token(&client).await;
}

#[tokio::test]
async fn requests_of_all_a_clients_tokens_count_together() {
    let app = start().await;
    let client = agent(&app, "one").await;
    let (one, other) = (app.token(&client).await, app.token(&client).await);
    ask(&app, &one, 98).await;
    app.client(As::Bearer(&other)).get(AGENTS).await.problem(429, "RATE_LIMIT_EXCEEDED");
}

#[tokio::test]
async fn of_requests_at_the_boundary_at_once_one_passes() {
    let app = start().await;
    let token = app.token(&agent(&app, "one").await).await;
    ask(&app, &token, 98).await;
    let client = app.client(As::Bearer(&token));
    let answers = join_all((0..5).map(|_| client.get(AGENTS))).await;
    let passed = answers.iter().filter(|answer| answer.status == 200).count();
    assert_eq!(passed, 1);
}

#[tokio::test]
async fn another_plan_counts_at_once() {
    let app = start().await;
    let token = app.token(&agent(&app, "one").await).await;
    ask(&app, &token, 99).await;
    app.client(As::Bearer(&token)).get(AGENTS).await.problem(429, "RATE_LIMIT_EXCEEDED");
    plan(&app, "unlimited").await;
    ask(&app, &token, 101).await;
    plan(&app, "free").await;
    app.client(As::Bearer(&token)).get(AGENTS).await.problem(429, "RATE_LIMIT_EXCEEDED");
}

#[tokio::test]
async fn a_client_that_asks_for_what_it_does_not_hold_is_counted_too() {
    let app = start().await;
    let client = agent(&app, "one").await;
    for _ in 0..100 {
        let refused = app.token_answer(&client, &[("scope", "payroll:run")]).await;
        refused.oauth(400, "invalid_scope");
    }
    let refused = app.token_answer(&client, &[("scope", "payroll:run")]).await;
    refused.oauth(429, "temporarily_unavailable");
}

#[tokio::test]
async fn a_client_that_introspects_by_its_secret_is_counted_too() {
    let app = start().await;
    let client = agent(&app, "one").await;
    let form =
        [("client_id", client.id.as_str()), ("client_secret", &client.secret), ("token", "x")];
    for _ in 0..100 {
        app.nobody().form("/api/v1/token/introspect", &form).await.expect(200);
    }
    let refused = app.nobody().form("/api/v1/token/introspect", &form).await;
    refused.oauth(429, "temporarily_unavailable");
}
