//! Introspection (contract 2.3, RFC 7662): who may ask, and what is told of a good token. Of which
//! tokens nothing is told is in `inactive`.

mod inactive;

use countersign_ground::ids::AgentId;
use countersign_server::law::directory::AgentFacts;
use insta::assert_json_snapshot;
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{Answer, As, MACHINE, TestAgent, TestApp};
use crate::tokens::part;

const NAMES: [&str; 2] = ["/api/v1/token/introspect", "/oauth2/introspect"];

/// An agent of another tenant. Memory alone knows it: there is no call yet that makes tenants.
pub async fn stranger(app: &TestApp, scopes: &[&str]) -> TestAgent {
    let model = app.agent("stranger", scopes).await;
    let directory = &app.server.app.law.directory;
    let facts = directory.agent(model.id.parse().unwrap()).unwrap();
    let id = AgentId::new(app.clock.now(), &app.server.app.entropy);
    directory.put_agent(AgentFacts { id, tenant: "elsewhere".into(), ..(*facts).clone() });
    TestAgent { id: id.to_string(), ..model }
}

/// Asks as a client, with these further parameters.
pub async fn as_client(
    app: &TestApp,
    path: &str,
    client: &TestAgent,
    more: &[(&str, &str)],
) -> Answer {
    let client = [("client_id", client.id.as_str()), ("client_secret", client.secret.as_str())];
    let form: Vec<_> = client.iter().chain(more).copied().collect();
    app.nobody().form(path, &form).await
}

#[tokio::test]
async fn a_good_token_is_told_of_as_rfc_7662_section_2_2_asks() {
    let app = TestApp::start().await;
    let agent = app.agent("screener", &["agents:read", "audit:read"]).await;
    let token = app.token(&agent).await;
    let answer = app.operator().form(NAMES[0], &[("token", &token)]).await;
    let redacted = answer.text.replace(&agent.id, "[agent]");
    let redacted = redacted.replace(&*app.server.app.law.issuer, "[issuer]");
    let told: Value = serde_json::from_str(&redacted).unwrap();
    assert_json_snapshot!(told, { ".jti" => "[jti]" }, @r#"
    {
      "active": true,
      "aud": [
        "[issuer]"
      ],
      "client_id": "[agent]",
      "exp": 1767229200,
      "iat": 1767225600,
      "iss": "[issuer]",
      "jti": "[jti]",
      "nbf": 1767225600,
      "scope": "agents:read audit:read",
      "sub": "[agent]",
      "tenant": "default",
      "token_type": "Bearer"
    }
    "#);
    assert_eq!(answer.status.as_u16(), 200);
    assert_eq!(answer.header("content-type"), "application/json");
    assert_eq!(answer.header("cache-control"), "no-store");
    assert_eq!(answer.json()["jti"], part(&token, 1)["jti"]);
}

#[tokio::test]
async fn whoever_authenticates_as_a_client_or_holds_tokens_read_may_ask() {
    let app = TestApp::start().await;
    let agent = app.agent("screener", &["agents:read"]).await;
    let reader = app.agent("reader", &["tokens:read"]).await;
    let (token, bearer) = (app.token(&agent).await, app.token(&reader).await);
    let form = [("token", token.as_str())];
    for name in NAMES {
        let basic = app.nobody().request(Method::POST, name);
        let basic = basic.basic_auth(&agent.id, Some(&agent.secret)).form(&form);
        for answer in [
            as_client(&app, name, &agent, &form).await,
            Answer::to(basic).await,
            app.client(As::Bearer(&bearer)).form(name, &form).await,
            app.operator().form(name, &form).await,
        ] {
            assert_eq!(answer.expect(200)["active"], true);
        }
    }
}

#[tokio::test]
async fn nobody_else_may_ask() {
    let app = TestApp::start().await;
    let agent = app.agent("screener", &["agents:read", "tokens:write"]).await;
    let token = app.token(&agent).await;
    let form = [("token", token.as_str())];
    for name in NAMES {
        let lacking = app.client(As::Bearer(&token)).form(name, &form).await;
        lacking.oauth(403, "insufficient_scope");
        assert!(lacking.header("www-authenticate").contains("tokens:read"));
        let bad = app.client(As::Bearer("nonsense")).form(name, &form).await;
        bad.oauth(401, "invalid_token");
        let machine = app.client(As::Machine(MACHINE)).form(name, &form).await;
        machine.oauth(403, "insufficient_scope");
        let anonymous = app.nobody().form(name, &form).await;
        anonymous.oauth(401, anonymous.json()["error"].as_str().unwrap());
        let wrong =
            TestAgent { secret: "wrong".into(), id: agent.id.clone(), credential: "".into() };
        as_client(&app, name, &wrong, &form).await.oauth(401, "invalid_client");
    }
}

/// Contract 1.7: two at once that name different callers.
#[tokio::test]
async fn a_bearer_and_another_client_at_once_are_refused() {
    let app = TestApp::start().await;
    let agent = app.agent("screener", &["agents:read"]).await;
    let token = app.token(&agent).await;
    let form = [("token", &*token), ("client_id", &*agent.id), ("client_secret", &*agent.secret)];
    let answer = app.operator().form(NAMES[0], &form).await;
    assert!(answer.status.is_client_error(), "{}", answer.text);
}

#[tokio::test]
async fn a_client_that_may_not_act_may_not_ask() {
    let app = TestApp::start().await;
    let agent = app.agent("screener", &["agents:read"]).await;
    let token = app.token(&agent).await;
    crate::tokens::set(&app, &agent, json!({"status": "suspended"})).await;
    let answer = as_client(&app, NAMES[0], &agent, &[("token", &token)]).await;
    answer.oauth(403, "unauthorized_client");
}

#[tokio::test]
async fn a_token_of_another_tenant_is_as_good_as_none() {
    let app = TestApp::start().await;
    let theirs = stranger(&app, &["agents:read"]).await;
    let ours = app.agent("us", &["tokens:read"]).await;
    let (token, bearer) = (app.token(&theirs).await, app.token(&ours).await);
    let form = [("token", token.as_str())];
    let told = as_client(&app, NAMES[0], &theirs, &form).await.expect(200);
    assert_eq!((&told["active"], &told["tenant"]), (&json!(true), &json!("elsewhere")));
    for answer in [
        as_client(&app, NAMES[0], &ours, &form).await,
        app.client(As::Bearer(&bearer)).form(NAMES[0], &form).await,
    ] {
        assert_eq!(answer.expect(200), json!({"active": false}));
    }
}

#[tokio::test]
async fn a_request_names_one_token_and_may_hint_at_anything() {
    let app = TestApp::start().await;
    let agent = app.agent("screener", &["agents:read"]).await;
    let token = app.token(&agent).await;
    for wrong in [&[][..], &[("token", "")], &[("token", &*token), ("token", &*token)]] {
        as_client(&app, NAMES[0], &agent, wrong).await.oauth(400, "invalid_request");
    }
    for hint in ["access_token", "refresh_token", "nonsense"] {
        let form = [("token", &*token), ("token_type_hint", hint)];
        assert_eq!(as_client(&app, NAMES[0], &agent, &form).await.expect(200)["active"], true);
    }
    let request = app.operator().request(Method::POST, NAMES[0]).json(&json!({"token": token}));
    Answer::to(request).await.oauth(400, "invalid_request");
    app.operator().get(NAMES[0]).await.oauth(405, "invalid_request");
}

#[tokio::test]
async fn every_answer_is_in_the_record() {
    let app = TestApp::start().await;
    let agent = app.agent("screener", &["agents:read"]).await;
    let token = app.token(&agent).await;
    as_client(&app, NAMES[0], &agent, &[("token", &token)]).await.expect(200);
    app.operator().form(NAMES[0], &[("token", "nonsense")]).await.expect(200);
    let events = app.events("token.introspected").await;
    let [unknown, known] = &events[..] else { panic!("two events: {events:?}") };
    assert_eq!(known["actorId"], agent.id);
    assert_eq!(known["agentId"], agent.id);
    assert_eq!(known["metadata"]["jti"], part(&token, 1)["jti"]);
    assert_eq!(known["metadata"]["active"], "true");
    assert_eq!((&unknown["actorType"], &unknown["agentId"]), (&json!("operator"), &Value::Null));
    assert_eq!(unknown["metadata"], json!({"active": "false"}));
}
