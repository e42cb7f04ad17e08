//! `resource` (RFC 8707): whom a token is for.

use serde_json::{Value, json};

use super::{part, set};
use crate::support::{TestAgent, TestApp};

const MAIL: &str = "https://mail.example/";
const FILES: &str = "urn:example:files";

async fn app_with_agent() -> (TestApp, TestAgent) {
    let app = TestApp::start().await;
    let agent = app.agent("screener", &["agents:read"]).await;
    set(&app, &agent, json!({"allowedResources": [MAIL, FILES]})).await;
    (app, agent)
}

async fn audience(app: &TestApp, agent: &TestAgent, resources: &[&str]) -> Value {
    let form: Vec<_> = resources.iter().map(|resource| ("resource", *resource)).collect();
    let answer = app.token_answer(agent, &form).await.expect(200);
    part(answer["access_token"].as_str().unwrap(), 1)["aud"].clone()
}

#[tokio::test]
async fn a_token_is_for_this_server_unless_it_is_asked_for_others() {
    let (app, agent) = app_with_agent().await;
    let issuer = &*app.server.app.law.issuer;
    assert_eq!(audience(&app, &agent, &[]).await, json!([issuer]));
    assert_eq!(audience(&app, &agent, &[issuer]).await, json!([issuer]));
    assert_eq!(audience(&app, &agent, &[MAIL]).await, json!([MAIL]));
    assert_eq!(audience(&app, &agent, &[FILES, issuer]).await, json!([FILES, issuer]));
    assert_eq!(audience(&app, &agent, &[MAIL, FILES, MAIL]).await, json!([MAIL, FILES]));
}

#[tokio::test]
async fn another_audience_is_in_the_record() {
    let (app, agent) = app_with_agent().await;
    audience(&app, &agent, &[MAIL, FILES]).await;
    let events = app.events("token.issued").await;
    assert_eq!(events[0]["metadata"]["audience"], json!([MAIL, FILES]));
}

#[tokio::test]
async fn what_is_not_allowed_letter_by_letter_is_refused() {
    let (app, agent) = app_with_agent().await;
    let issuer = app.server.app.law.issuer.to_string();
    let fragment = format!("{MAIL}#part");
    for resource in [
        "https://other.example/",
        "https://mail.example",
        "https://MAIL.example/",
        "https://mail.example/box",
        "mail.example",
        "/",
        &fragment,
        &format!("{issuer}/"),
        &format!("{issuer}#part"),
    ] {
        let answer = app.token_answer(&agent, &[("resource", resource)]).await;
        answer.oauth(400, "invalid_target");
        // One that is allowed does not bring the other along.
        let both = [("resource", MAIL), ("resource", resource)];
        app.token_answer(&agent, &both).await.oauth(400, "invalid_target");
    }
}

#[tokio::test]
async fn an_agent_without_allowed_resources_may_ask_for_this_server_only() {
    let app = TestApp::start().await;
    let agent = app.agent("screener", &["agents:read"]).await;
    app.token_answer(&agent, &[("resource", MAIL)]).await.oauth(400, "invalid_target");
}
