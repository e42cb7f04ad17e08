//! `scope` (RFC 6749 section 3.3): what a token holds, out of what its agent holds.

use serde_json::json;

use super::{part, set};
use crate::support::TestApp;

const HELD: [&str; 3] = ["agents:read", "audit:read", "tokens:read"];

#[tokio::test]
async fn without_a_scope_the_token_holds_all_that_the_agent_holds() {
    let app = TestApp::start().await;
    let agent = app.agent("screener", &HELD).await;
    let token = app.token(&agent).await;
    assert_eq!(part(&token, 1)["scope"], "agents:read audit:read tokens:read");
}

#[tokio::test]
async fn a_token_holds_what_was_asked_for_in_that_order_and_each_once() {
    let app = TestApp::start().await;
    let agent = app.agent("screener", &HELD).await;
    for (asked, given) in [
        ("audit:read", "audit:read"),
        ("tokens:read agents:read", "tokens:read agents:read"),
        ("audit:read agents:read audit:read", "audit:read agents:read"),
    ] {
        let answer = app.token_answer(&agent, &[("scope", asked)]).await.expect(200);
        assert_eq!(answer["scope"], given);
        assert_eq!(part(answer["access_token"].as_str().unwrap(), 1)["scope"], given);
    }
}

#[tokio::test]
async fn a_malformed_scope_is_refused() {
    let app = TestApp::start().await;
    let agent = app.agent("screener", &HELD).await;
    let long = format!("agents:{}", "r".repeat(128));
    for scope in [
        " ",
        "agents",
        "agents:",
        ":read",
        "agents:read ",
        " agents:read",
        "agents:*",
        "agents:read  audit:read",
        "agents:read\taudit:read",
        "agents:read,audit:read",
        &long,
    ] {
        let told = app.token_answer(&agent, &[("scope", scope)]).await.oauth(400, "invalid_scope");
        assert!(told.starts_with("the scope is malformed"), "{scope:?}: {told}");
    }
}

#[tokio::test]
async fn a_scope_that_the_agent_does_not_hold_is_refused_whole() {
    let app = TestApp::start().await;
    let agent = app.agent("screener", &HELD).await;
    for scope in ["keys:read", "agents:read keys:read", "AGENTS:READ", "agents:readx"] {
        let told = app.token_answer(&agent, &[("scope", scope)]).await.oauth(400, "invalid_scope");
        assert!(told.starts_with("the agent does not hold"), "{told}");
    }
}

#[tokio::test]
async fn an_agent_without_scopes_gets_no_token() {
    let app = TestApp::start().await;
    let agent = app.agent("screener", &[]).await;
    app.token_answer(&agent, &[]).await.oauth(400, "invalid_scope");
}

#[tokio::test]
async fn a_scope_that_was_taken_away_is_not_given_again() {
    let app = TestApp::start().await;
    let agent = app.agent("screener", &HELD).await;
    set(&app, &agent, json!({"scopes": ["audit:read"]})).await;
    assert_eq!(app.token_answer(&agent, &[]).await.expect(200)["scope"], "audit:read");
    let asked = app.token_answer(&agent, &[("scope", "agents:read")]).await;
    asked.oauth(400, "invalid_scope");
}
