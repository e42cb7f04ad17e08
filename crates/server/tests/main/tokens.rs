//! Access tokens (contract 2.3, RFC 6749 section 4.4, RFC 9068): what is issued, and how long it
//! is good. What is refused is in the modules below.

mod clients;
mod malformed;
mod resources;
mod scopes;

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use futures_util::future::join_all;
use insta::assert_json_snapshot;
use serde_json::{Value, json};

use crate::support::{As, TestAgent, TestApp};

/// One part of a token, unverified: 0 is the header, 1 the claims.
pub fn part(token: &str, n: usize) -> Value {
    let part = token.split('.').nth(n).unwrap();
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap()
}

pub async fn set(app: &TestApp, agent: &TestAgent, change: Value) {
    app.operator().patch(&format!("/api/v1/agents/{}", agent.id), change).await.expect(200);
}

#[tokio::test]
async fn a_token_is_answered_as_rfc_6749_section_5_1_asks() {
    let app = TestApp::start().await;
    let agent = app.agent("screener", &["agents:read", "audit:read"]).await;
    let answer = app.token_answer(&agent, &[]).await;
    assert_json_snapshot!(answer.expect(200), { ".access_token" => "[token]" }, @r#"
    {
      "access_token": "[token]",
      "expires_in": 3600,
      "scope": "agents:read audit:read",
      "token_type": "Bearer"
    }
    "#);
    let expected = [
        ("content-type", "application/json"),
        ("cache-control", "no-store"),
        ("pragma", "no-cache"),
        ("x-content-type-options", "nosniff"),
    ];
    for (name, value) in expected {
        assert_eq!(answer.header(name), value, "{name}");
    }
}

#[tokio::test]
async fn a_token_says_what_rfc_9068_asks_for() {
    let app = TestApp::start().await;
    let agent = app.agent("screener", &["agents:read"]).await;
    let token = app.token(&agent).await;
    assert_json_snapshot!(part(&token, 0), { ".kid" => "[kid]" }, @r#"
    {
      "alg": "ES256",
      "kid": "[kid]",
      "typ": "at+jwt"
    }
    "#);
    let redacted = part(&token, 1)
        .to_string()
        .replace(&agent.id, "[agent]")
        .replace(&agent.credential, "[credential]")
        .replace(&*app.server.app.law.issuer, "[issuer]");
    let claims: Value = serde_json::from_str(&redacted).unwrap();
    assert_json_snapshot!(claims, { ".jti" => "[jti]" }, @r#"
    {
      "aud": [
        "[issuer]"
      ],
      "client_id": "[agent]",
      "cred": "[credential]",
      "exp": 1767229200,
      "gen": 1,
      "iat": 1767225600,
      "iss": "[issuer]",
      "jti": "[jti]",
      "nbf": 1767225600,
      "scope": "agents:read",
      "sub": "[agent]",
      "tenant": "default"
    }
    "#);
}

#[tokio::test]
async fn every_token_has_an_id_of_its_own() {
    let app = TestApp::start().await;
    let agent = app.agent("screener", &["agents:read"]).await;
    let (one, two) = (app.token(&agent).await, app.token(&agent).await);
    assert_ne!(part(&one, 1)["jti"], part(&two, 1)["jti"]);
}

#[tokio::test]
async fn the_other_name_of_the_endpoint_issues_tokens_too() {
    let app = TestApp::start().await;
    let agent = app.agent("screener", &["agents:read"]).await;
    let form = [
        ("grant_type", "client_credentials"),
        ("client_id", &agent.id),
        ("client_secret", &agent.secret),
    ];
    let answer = app.nobody().form("/oauth2/token", &form).await.expect(200);
    assert!(app.is_live(answer["access_token"].as_str().unwrap()).await);
}

#[tokio::test]
async fn an_issued_token_is_in_the_record_by_its_id_and_never_itself() {
    let app = TestApp::start().await;
    let agent = app.agent("screener", &["agents:read"]).await;
    let token = app.token(&agent).await;
    let events = app.events("token.issued").await;
    let [event] = &events[..] else { panic!("one event: {events:?}") };
    assert_eq!(event["agentId"], agent.id);
    assert_eq!(event["metadata"]["jti"], part(&token, 1)["jti"]);
    assert_eq!(event["metadata"]["kid"], part(&token, 0)["kid"]);
    let signature = token.rsplit('.').next().unwrap();
    assert!(!event.to_string().contains(signature));
}

#[tokio::test]
async fn a_token_lives_as_long_as_configured_and_not_at_its_exp() {
    let app = TestApp::with(&[("TOKEN_TTL_SECONDS", "60")]).await;
    let agent = app.agent("screener", &["agents:read"]).await;
    app.pass(Duration::from_micros(400_000));
    let token = app.token(&agent).await;
    assert_eq!(part(&token, 1)["exp"], 1_767_225_660);
    app.pass(Duration::from_micros(59_599_999));
    assert!(app.is_live(&token).await, "a microsecond before");
    app.pass(Duration::from_micros(1));
    assert!(!app.is_live(&token).await);
    let path = format!("/api/v1/agents/{}", agent.id);
    app.client(As::Bearer(&token)).get(&path).await.problem(401, "UNAUTHORIZED");
}

#[tokio::test]
async fn a_token_is_not_good_before_its_nbf() {
    let app = TestApp::start().await;
    let agent = app.agent("screener", &["agents:read"]).await;
    let token = app.token(&agent).await;
    app.clock.step(-1);
    assert!(!app.is_live(&token).await, "the clock was stepped back");
    app.clock.step(1);
    assert!(app.is_live(&token).await);
}

#[tokio::test]
async fn a_suspended_agents_token_stays_dead_when_the_agent_is_reactivated() {
    let app = TestApp::start().await;
    let agent = app.agent("screener", &["agents:read"]).await;
    let old = app.token(&agent).await;
    set(&app, &agent, json!({"status": "suspended"})).await;
    assert!(!app.is_live(&old).await);
    set(&app, &agent, json!({"status": "active"})).await;
    let new = app.token(&agent).await;
    assert!(!app.is_live(&old).await && app.is_live(&new).await);
    assert_eq!(part(&new, 1)["gen"], 2);
}

/// Those who ask while the agent is being suspended get a token of the time before, or none.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_token_slips_past_a_suspension() {
    let app = TestApp::start().await;
    for round in 0..5 {
        let agent = app.agent(&format!("screener{round}"), &["agents:read"]).await;
        let asks = async || {
            let mut tokens = Vec::new();
            loop {
                let answer = app.token_answer(&agent, &[]).await;
                if answer.status == 403 {
                    return tokens;
                }
                tokens.push(answer.expect(200)["access_token"].as_str().unwrap().to_owned());
            }
        };
        let suspend = async {
            app.token(&agent).await;
            set(&app, &agent, json!({"status": "suspended"})).await;
        };
        let (tokens, ()) = tokio::join!(join_all((0..8).map(|_| asks())), suspend);
        let now = app.clock.now();
        let live =
            tokens.iter().flatten().filter(|t| app.server.app.law.tokens.live(t, now).is_some());
        assert_eq!(live.count(), 0);
    }
}

#[tokio::test]
async fn a_revoked_credential_ends_its_own_tokens_and_no_others() {
    let app = TestApp::start().await;
    let agent = app.agent("screener", &["agents:read"]).await;
    let path = format!("/api/v1/agents/{}/credentials", agent.id);
    let made = app.operator().post(&path, json!({})).await.expect(201);
    let text = |name: &str| made[name].as_str().unwrap().to_owned();
    let second =
        TestAgent { id: agent.id, credential: text("credentialId"), secret: text("clientSecret") };
    let first = TestAgent { id: second.id.clone(), ..agent };
    let (dies, lives) = (app.token(&first).await, app.token(&second).await);
    app.operator().delete(&format!("{path}/{}", first.credential)).await.expect(204);
    assert!(!app.is_live(&dies).await && app.is_live(&lives).await);
    app.token_answer(&first, &[]).await.oauth(401, "invalid_client");
    app.token(&second).await;
}

#[tokio::test]
async fn a_token_for_another_audience_is_refused_here_though_it_is_good_there() {
    let app = TestApp::start().await;
    let agent = app.agent("screener", &["agents:read"]).await;
    set(&app, &agent, json!({"allowedResources": ["https://mail.example/"]})).await;
    let resource = [("resource", "https://mail.example/")];
    let answer = app.token_answer(&agent, &resource).await.expect(200);
    let token = answer["access_token"].as_str().unwrap();
    let path = format!("/api/v1/agents/{}", agent.id);
    let refused = app.client(As::Bearer(token)).get(&path).await.problem(401, "UNAUTHORIZED");
    assert_eq!(refused["reason"], "wrong-audience");
    assert!(app.is_live(token).await);
}

/// 256 scopes of 128 characters: as many and as long as an agent may have.
#[tokio::test]
async fn a_token_of_an_agent_with_many_scopes_is_as_good_as_any() {
    let app = TestApp::start().await;
    let scopes: Vec<String> = (0..256).map(|n| format!("{n:0>63}:{n:0>64}")).collect();
    let scopes: Vec<&str> = scopes.iter().map(String::as_str).collect();
    let agent = app.agent("screener", &scopes).await;
    let token = app.token(&agent).await;
    assert!(app.is_live(&token).await, "a token of {} characters", token.len());
}
