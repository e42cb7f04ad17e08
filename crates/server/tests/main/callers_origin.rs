//! Where a caller is: proxies that may speak for others, and strangers that come in crowds.

use std::time::Duration;

use countersign_ground::clock::Time;
use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};

use crate::support::{Answer, As, MACHINE, TestApp};

const AGENTS: &str = "/api/v1/agents";

fn asking(app: &TestApp) -> RequestBuilder {
    app.nobody().request(Method::GET, AGENTS)
}

/// The event of a request that came with these lines of `X-Forwarded-For`.
async fn event(app: &TestApp, forwarded: &[&str]) -> Value {
    let request = asking(app).bearer_auth("x");
    let request =
        forwarded.iter().fold(request, |request, line| request.header("x-forwarded-for", *line));
    let answer = Answer::to(request).await;
    answer.problem(401, "UNAUTHORIZED");
    let id = answer.header("x-request-id");
    let events = app.events("auth.failed").await;
    events.into_iter().find(|event| event["requestId"] == id).expect("it is recorded")
}

/// So many requests with a token that is not good, from this address.
async fn fail(app: &TestApp, times: usize, from: &str) {
    for _ in 0..times {
        let request = asking(app).bearer_auth("x").header("x-forwarded-for", from);
        Answer::to(request).await.problem(401, "UNAUTHORIZED");
    }
}

async fn count(app: &TestApp) {
    app.server.app.record.append_crowds(app.clock.now()).await.unwrap();
}

#[tokio::test]
async fn a_trusted_proxy_says_from_where_a_request_came() {
    let app = TestApp::start().await;
    assert_eq!(event(&app, &[]).await["ipAddress"], "127.0.0.1");
    assert_eq!(event(&app, &["198.51.100.7"]).await["ipAddress"], "198.51.100.7");
    assert_eq!(event(&app, &["2001:db8::7"]).await["ipAddress"], "2001:db8::7");
    assert_eq!(event(&app, &["::ffff:198.51.100.7"]).await["ipAddress"], "198.51.100.7");
}

#[tokio::test]
async fn whoever_is_no_trusted_proxy_speaks_for_itself() {
    let app = TestApp::with(&[("TRUSTED_PROXIES", "10.0.0.0/8")]).await;
    assert_eq!(event(&app, &["198.51.100.7"]).await["ipAddress"], "127.0.0.1");
    let none = TestApp::with(&[("TRUSTED_PROXIES", "")]).await;
    assert_eq!(event(&none, &["198.51.100.7"]).await["ipAddress"], "127.0.0.1");
}

#[tokio::test]
async fn the_rightmost_hop_that_is_no_trusted_proxy_is_the_client() {
    let app = TestApp::with(&[("TRUSTED_PROXIES", "127.0.0.1, 10.0.0.0/8")]).await;
    for forwarded in [
        ["203.0.113.9, 198.51.100.7", "10.1.2.3"].as_slice(),
        &["203.0.113.9", "198.51.100.7,10.9.9.9 , 10.1.2.3"],
        &["nonsense, 198.51.100.7"],
    ] {
        assert_eq!(event(&app, forwarded).await["ipAddress"], "198.51.100.7", "{forwarded:?}");
    }
    let unknown = event(&app, &["198.51.100.7, nonsense"]).await;
    assert_eq!(unknown["ipAddress"], "127.0.0.1", "what a proxy may not have written ends it");
}

#[tokio::test]
async fn a_credential_was_last_used_from_the_clients_address() {
    let app = TestApp::start().await;
    let agent = app.agent("screener", &["audit:read"]).await;
    let form = [
        ("grant_type", "client_credentials"),
        ("client_id", &agent.id),
        ("client_secret", &agent.secret),
    ];
    let request = app.nobody().request(Method::POST, "/api/v1/token").form(&form);
    Answer::to(request.header("x-forwarded-for", "198.51.100.7")).await.expect(200);
    app.server.app.activity.flush(&app.server.app.db, Vec::new()).await.unwrap();
    let path = format!("{AGENTS}/{}/credentials", agent.id);
    let listed = app.operator().get(&path).await.expect(200);
    assert_eq!(listed["data"][0]["lastUsedFrom"], "198.51.100.7");
}

#[tokio::test]
async fn a_failed_authentication_is_recorded_with_its_reason_and_origin() {
    let app = TestApp::start().await;
    let request = asking(&app).bearer_auth("x").header("user-agent", "curl/8 ".repeat(100));
    Answer::to(request.header("x-request-id", "mine")).await.problem(401, "UNAUTHORIZED");
    let mut event = app.events("auth.failed").await.remove(0);
    let user_agent = event["userAgent"].take();
    assert!((1..=256).contains(&user_agent.as_str().unwrap().len()), "{user_agent}");
    insta::assert_json_snapshot!(event, {".eventId" => "[id]"}, @r#"
    {
      "action": "auth.failed",
      "actorId": "anonymous",
      "actorType": "anonymous",
      "eventId": "[id]",
      "ipAddress": "127.0.0.1",
      "metadata": {
        "reason": "invalid-token"
      },
      "outcome": "denied",
      "requestId": "mine",
      "tenant": "default",
      "timestamp": "2026-01-01T00:00:00.000Z",
      "userAgent": null
    }
    "#);
}

#[tokio::test]
async fn failures_beyond_ten_a_minute_become_one_event_with_a_count() {
    let app = TestApp::start().await;
    fail(&app, 13, "198.51.100.7").await;
    assert_eq!(app.events("auth.failed").await.len(), 10);
    count(&app).await;
    assert_eq!(app.events("auth.failed").await.len(), 10, "its minute is not over");
    app.pass(Duration::from_secs(60));
    count(&app).await;
    let events = app.events("auth.failed").await;
    assert_eq!(events.len(), 11);
    assert_eq!(events[0]["outcome"], "denied");
    insta::assert_json_snapshot!(events[0]["metadata"], @r#"
    {
      "count": 3,
      "minute": "2026-01-01T00:00:00.000Z",
      "network": "198.51.100.0/24",
      "reason": "invalid-token"
    }
    "#);
    count(&app).await;
    assert_eq!(app.events("auth.failed").await.len(), 11, "counted once");
}

#[tokio::test]
async fn ten_failures_are_no_crowd() {
    let app = TestApp::start().await;
    fail(&app, 10, "198.51.100.7").await;
    app.pass(Duration::from_secs(60));
    count(&app).await;
    assert_eq!(app.events("auth.failed").await.len(), 10);
}

#[tokio::test]
async fn a_crowd_is_of_one_network_one_reason_and_one_minute() {
    let app = TestApp::start().await;
    fail(&app, 11, "198.51.100.7").await;
    fail(&app, 1, "198.51.100.200").await;
    assert_eq!(app.events("auth.failed").await.len(), 10, "a /24 is one network");
    fail(&app, 11, "2001:db8::1").await;
    fail(&app, 1, "2001:db8::ffff").await;
    assert_eq!(app.events("auth.failed").await.len(), 20, "a /64 is one network");
    let other = asking(&app).header("authorization", "Basic x");
    Answer::to(other.header("x-forwarded-for", "198.51.100.7")).await.problem(401, "UNAUTHORIZED");
    assert_eq!(app.events("auth.failed").await.len(), 21, "another reason");
    app.pass(Duration::from_secs(60));
    fail(&app, 1, "198.51.100.7").await;
    assert_eq!(app.events("auth.failed").await.len(), 22, "another minute");
}

#[tokio::test]
async fn what_nobody_was_refused_is_counted_likewise() {
    let app = TestApp::start().await;
    for _ in 0..12 {
        app.nobody().get(AGENTS).await.problem(401, "UNAUTHORIZED");
    }
    assert_eq!(app.events("decision.made").await.len(), 10);
    app.server.app.record.append_crowds(Time::MAX).await.unwrap();
    let counted = app.events("decision.made").await.remove(0);
    let metadata = &counted["metadata"];
    assert_eq!((&metadata["count"], &metadata["reason"]), (&json!(2), &json!("no-credentials")));
    assert_eq!(counted["outcome"], "denied");
}

#[tokio::test]
async fn whoever_proved_who_they_are_is_never_a_crowd() {
    let app = TestApp::start().await;
    for _ in 0..12 {
        app.client(As::Machine(MACHINE)).get(AGENTS).await.problem(403, "FORBIDDEN");
    }
    assert_eq!(app.events("decision.made").await.len(), 12);
}
