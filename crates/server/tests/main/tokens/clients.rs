//! Client authentication (RFC 6749 section 2.3): who gets in, and what those read who don't.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use reqwest::Method;
use serde_json::json;

use super::set;
use crate::support::{Answer, TestAgent, TestApp};

const GRANT: (&str, &str) = ("grant_type", "client_credentials");

/// Asks for a token with this `Authorization` and this form besides the grant type.
async fn ask(app: &TestApp, authorization: &str, form: &[(&str, &str)]) -> Answer {
    let request = app.nobody().request(Method::POST, "/api/v1/token");
    let form: Vec<_> = [GRANT].iter().chain(form).copied().collect();
    Answer::to(request.header("authorization", authorization).form(&form)).await
}

fn basic(id: &str, secret: &str) -> String {
    format!("Basic {}", STANDARD.encode(format!("{id}:{secret}")))
}

fn challenged(answer: &Answer) -> bool {
    answer.header("www-authenticate").starts_with("Basic ")
}

#[tokio::test]
async fn basic_is_as_good_as_the_body() {
    let app = TestApp::start().await;
    let agent = app.agent("screener", &["agents:read"]).await;
    let header = basic(&agent.id, &agent.secret);
    ask(&app, &header, &[]).await.expect(200);
    ask(&app, &header.replacen("Basic", "bASIC", 1), &[]).await.expect(200);
    ask(&app, &header, &[("client_id", &agent.id)]).await.expect(200);
}

#[tokio::test]
async fn both_halves_of_basic_may_be_form_encoded() {
    let app = TestApp::start().await;
    let agent = app.agent("screener", &["agents:read"]).await;
    let encoded = |text: &str| text.bytes().map(|b| format!("%{b:02x}")).collect::<String>();
    let header = basic(&encoded(&agent.id), &encoded(&agent.secret));
    ask(&app, &header, &[]).await.expect(200);
}

#[tokio::test]
async fn two_methods_at_once_are_refused_although_each_is_right() {
    let app = TestApp::start().await;
    let agent = app.agent("screener", &["agents:read"]).await;
    let header = basic(&agent.id, &agent.secret);
    let body = [("client_id", &*agent.id), ("client_secret", &*agent.secret)];
    ask(&app, &header, &body).await.oauth(400, "invalid_request");
    ask(&app, &header, &body[1..]).await.oauth(400, "invalid_request");
    let twice = app.nobody().request(Method::POST, "/api/v1/token");
    let twice = twice.header("authorization", &header).header("authorization", &header);
    Answer::to(twice.form(&[GRANT])).await.oauth(400, "invalid_request");
}

#[tokio::test]
async fn a_client_id_that_differs_from_the_header_is_refused() {
    let app = TestApp::start().await;
    let agent = app.agent("screener", &["agents:read"]).await;
    let other = app.agent("other", &["agents:read"]).await;
    let answer = ask(&app, &basic(&agent.id, &agent.secret), &[("client_id", &other.id)]).await;
    answer.oauth(400, "invalid_request");
}

#[tokio::test]
async fn whatever_is_wrong_with_a_client_it_reads_the_same() {
    let app = TestApp::start().await;
    let agent = app.agent("screener", &["agents:read"]).await;
    let revoked = app.agent("revoked", &["agents:read"]).await;
    let path = format!("/api/v1/agents/{}/credentials/{}", revoked.id, revoked.credential);
    app.operator().delete(&path).await.expect(204);
    let expired = app.agent("expired", &["agents:read"]).await;
    let path = format!("/api/v1/agents/{}/credentials", expired.id);
    let body = json!({"expiresAt": "2026-01-01T00:01:00Z"});
    let made = app.operator().post(&path, body).await.expect(201);
    app.pass(std::time::Duration::from_secs(60));
    let suspended = app.agent("suspended", &["agents:read"]).await;
    set(&app, &suspended, json!({"status": "suspended"})).await;

    let wrong = format!("sk_live_{}", "0".repeat(64));
    let clients = [
        (&*agent.id, &*wrong),
        ("01890a5d-ac96-774b-bcce-b302099a8057", &*agent.secret),
        ("no-id", &*agent.secret),
        ("", &*agent.secret),
        (&*agent.id, &*revoked.secret),
        (&*revoked.id, &*revoked.secret),
        (&*expired.id, made["clientSecret"].as_str().unwrap()),
        (&*suspended.id, &*wrong),
    ];
    let told = |answer: &Answer| {
        let mut headers = answer.headers.clone();
        assert!(headers.remove("x-request-id").is_some() && headers.remove("date").is_some());
        (answer.status, headers, answer.text.clone())
    };
    let (mut posted, mut in_header) = (Vec::new(), Vec::new());
    for (id, secret) in clients {
        let form = [GRANT, ("client_id", id), ("client_secret", secret)];
        posted.push(told(&app.nobody().form("/api/v1/token", &form).await));
        in_header.push(told(&ask(&app, &basic(id, secret), &[]).await));
    }
    for told in [&posted, &in_header] {
        assert!(told.windows(2).all(|two| two[0] == two[1]), "{told:#?}");
    }
    let body = r#"{"error":"invalid_client","error_description":"client authentication failed"}"#;
    assert_eq!((posted[0].0.as_u16(), &*posted[0].2), (401, body));
    assert_eq!((in_header[0].0.as_u16(), &*in_header[0].2), (401, body));
}

#[tokio::test]
async fn only_who_used_basic_is_challenged_to_use_it() {
    let app = TestApp::start().await;
    let agent = app.agent("screener", &["agents:read"]).await;
    let answer = ask(&app, &basic(&agent.id, "wrong"), &[]).await;
    answer.oauth(401, "invalid_client");
    assert!(challenged(&answer));
    let none: &[(&str, &str)] = &[GRANT];
    for form in [none, &[GRANT, ("client_id", &agent.id)], &[GRANT, ("client_secret", "wrong")]] {
        let answer = app.nobody().form("/api/v1/token", form).await;
        answer.oauth(401, "invalid_client");
        assert!(!challenged(&answer), "{form:?}");
    }
}

#[tokio::test]
async fn a_malformed_header_is_a_failed_authentication_and_recorded_as_one() {
    let app = TestApp::start().await;
    let malformed = [
        "Basic".to_owned(),
        "Basic ".to_owned(),
        "Basic !!!".to_owned(),
        format!("Basic {}", STANDARD.encode("no colon")),
        format!("Basic {}", STANDARD.encode(b"\xff\xfe:\xff")),
    ];
    for header in &malformed {
        let answer = ask(&app, header, &[]).await;
        answer.oauth(401, "invalid_client");
        assert!(challenged(&answer), "{header}");
    }
    assert_eq!(app.events("auth.failed").await.len(), malformed.len());
}

#[tokio::test]
async fn a_failed_attempt_is_in_the_record_without_the_secret() {
    let app = TestApp::start().await;
    let agent = app.agent("screener", &["agents:read"]).await;
    let guess = TestAgent { secret: "sk_live_guessed".into(), ..agent };
    app.token_answer(&guess, &[]).await.oauth(401, "invalid_client");
    let events = app.events("auth.failed").await;
    let [event] = &events[..] else { panic!("one event: {events:?}") };
    assert_eq!(event["outcome"], "denied");
    assert_eq!(event["metadata"]["reason"], "invalid-client");
    assert!(!event.to_string().contains("guessed"));
}

#[tokio::test]
async fn a_suspended_and_a_decommissioned_agent_are_told_with_403() {
    let app = TestApp::start().await;
    for (name, status) in [("one", "suspended"), ("two", "decommissioned")] {
        let agent = app.agent(name, &["agents:read"]).await;
        set(&app, &agent, json!({"status": status})).await;
        let told = app.token_answer(&agent, &[]).await.oauth(403, "unauthorized_client");
        assert_eq!(told, format!("the agent is {status}"));
        let in_header = ask(&app, &basic(&agent.id, &agent.secret), &[]).await;
        in_header.oauth(403, "unauthorized_client");
    }
}

#[tokio::test]
async fn a_secret_of_64_kib_is_only_wrong() {
    let app = TestApp::start().await;
    let agent = app.agent("screener", &["agents:read"]).await;
    let long = TestAgent { secret: "s".repeat(64 << 10), ..agent };
    app.token_answer(&long, &[]).await.oauth(401, "invalid_client");
    ask(&app, &basic(&long.id, &long.secret), &[]).await.oauth(401, "invalid_client");
}

/// RFC 6749 section 2.3.1: never in the request's URI, where logs would keep it.
#[tokio::test]
async fn credentials_in_the_query_are_none() {
    let app = TestApp::start().await;
    let agent = app.agent("screener", &["agents:read"]).await;
    let path = format!("/api/v1/token?client_id={}&client_secret={}", agent.id, agent.secret);
    app.nobody().form(&path, &[GRANT]).await.oauth(401, "invalid_client");
}
