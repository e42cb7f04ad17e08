//! Requests that are not what RFC 6749 asks for, each answered in its words.

use reqwest::Method;

use crate::support::{Answer, TestAgent, TestApp};

const NAMES: [&str; 2] = ["/api/v1/token", "/oauth2/token"];
const FORM: &str = "application/x-www-form-urlencoded";

/// Sends a body as it stands.
async fn send(app: &TestApp, kind: Option<&str>, body: impl Into<reqwest::Body>) -> Answer {
    let mut request = app.nobody().request(Method::POST, NAMES[0]).body(body);
    if let Some(kind) = kind {
        request = request.header("content-type", kind);
    }
    Answer::to(request).await
}

fn good(agent: &TestAgent) -> String {
    let TestAgent { id, secret, .. } = agent;
    format!("grant_type=client_credentials&client_id={id}&client_secret={secret}")
}

#[tokio::test]
async fn a_grant_type_must_be_there_and_be_client_credentials() {
    let app = TestApp::start().await;
    let agent = app.agent("screener", &["agents:read"]).await;
    let missing = good(&agent).replace("grant_type=client_credentials&", "");
    let told = send(&app, Some(FORM), missing).await.oauth(400, "invalid_request");
    assert_eq!(told, "parameter `grant_type` is missing");
    for grant in ["password", "refresh_token", "authorization_code", "CLIENT_CREDENTIALS"] {
        let body = good(&agent).replace("client_credentials", grant);
        send(&app, Some(FORM), body).await.oauth(400, "unsupported_grant_type");
    }
}

#[tokio::test]
async fn a_parameter_that_is_given_twice_is_refused() {
    let app = TestApp::start().await;
    let agent = app.agent("screener", &["agents:read"]).await;
    for (name, value) in [
        ("grant_type", "client_credentials"),
        ("client_id", &agent.id),
        ("client_secret", &agent.secret),
        ("scope", "agents:read"),
        ("unknown", "x"),
    ] {
        let twice = [(name, value), (name, value)];
        let more = if good(&agent).contains(&format!("{name}=")) { &twice[1..] } else { &twice };
        let told = app.token_answer(&agent, more).await.oauth(400, "invalid_request");
        assert_eq!(told, format!("parameter `{name}` is given more than once"));
    }
}

/// RFC 6749 section 3.2.
#[tokio::test]
async fn unknown_parameters_are_ignored_and_empty_ones_count_as_absent() {
    let app = TestApp::start().await;
    let agent = app.agent("screener", &["agents:read"]).await;
    let more = [("unknown", "x"), ("scope", ""), ("resource", ""), ("state", "")];
    app.token_answer(&agent, &more).await.expect(200);
    let empty = good(&agent).replace("client_credentials", "");
    send(&app, Some(FORM), empty).await.oauth(400, "invalid_request");
}

/// Contract 1.2: 400 here, where other endpoints say 415.
#[tokio::test]
async fn a_body_that_is_no_form_is_refused() {
    let app = TestApp::start().await;
    let agent = app.agent("screener", &["agents:read"]).await;
    let wrong = ["application/json", "text/plain", "multipart/form-data; boundary=x", "", "x"];
    for kind in wrong.map(Some).into_iter().chain([None]) {
        send(&app, kind, good(&agent)).await.oauth(400, "invalid_request");
    }
    send(&app, Some(FORM), "").await.oauth(400, "invalid_request");
    for kind in
        ["Application/X-WWW-Form-Urlencoded", "application/x-www-form-urlencoded;charset=UTF-8"]
    {
        send(&app, Some(kind), good(&agent)).await.expect(200);
    }
}

#[tokio::test]
async fn another_method_is_refused_in_the_words_of_rfc_6749() {
    let app = TestApp::start().await;
    for name in NAMES {
        for method in [Method::GET, Method::PUT, Method::PATCH, Method::DELETE] {
            let answer = Answer::to(app.nobody().request(method, name)).await;
            answer.oauth(405, "invalid_request");
            assert_eq!(answer.header("allow"), "POST");
        }
    }
}

#[tokio::test]
async fn a_body_over_a_mebibyte_is_refused_in_the_words_of_rfc_6749() {
    let app = TestApp::start().await;
    let agent = app.agent("screener", &["agents:read"]).await;
    let padding = (1 << 20) + 1 - good(&agent).len() - "&unknown=".len();
    let body = format!("{}&unknown={}", good(&agent), "x".repeat(padding));
    for name in NAMES {
        let request = app.nobody().request(Method::POST, name).header("content-type", FORM);
        Answer::to(request.body(body.clone())).await.oauth(413, "invalid_request");
    }
    send(&app, Some(FORM), body[..1 << 20].to_owned()).await.expect(200);
}

#[tokio::test]
async fn a_nul_is_refused_in_every_parameter() {
    let app = TestApp::start().await;
    let agent = app.agent("screener", &["agents:read"]).await;
    for name in ["grant_type", "client_id", "client_secret", "scope", "resource", "unknown"] {
        let body = if good(&agent).contains(name) {
            good(&agent).replace(&format!("{name}="), &format!("{name}=%00"))
        } else {
            format!("{}&{name}=a%00b", good(&agent))
        };
        send(&app, Some(FORM), body).await.oauth(400, "invalid_request");
    }
}

/// RFC 6749 appendix B: values are UTF-8.
#[tokio::test]
async fn bytes_that_are_not_utf_8_are_refused_in_every_parameter_that_is_read() {
    let app = TestApp::start().await;
    let agent = app.agent("screener", &["agents:read"]).await;
    for name in ["grant_type", "client_id", "client_secret", "scope", "resource"] {
        for bad in [&b"%ff"[..], b"\xff", b"\xc0\xaf", b"\xed\xa0\x80"] {
            let mut body = good(&agent).into_bytes();
            let at = match good(&agent).find(&format!("{name}=")) {
                Some(at) => at + name.len() + 1,
                None => {
                    body.extend_from_slice(format!("&{name}=").as_bytes());
                    body.len()
                }
            };
            body.splice(at..at, bad.iter().copied());
            let answer = send(&app, Some(FORM), body).await;
            let status = answer.status.as_u16();
            assert!([400, 401].contains(&status), "{name}: {status} {}", answer.text);
            answer.oauth(status, answer.json()["error"].as_str().unwrap());
        }
    }
}

/// RFC 6749 section 5.2: `error_description` is of printable ASCII without `"` and `\`.
#[tokio::test]
async fn what_a_client_sent_does_not_make_a_description_malformed() {
    let app = TestApp::start().await;
    let agent = app.agent("screener", &["agents:read"]).await;
    for bad in ["\"quoted\"", "back\\slash", "ünïcödé", "line\nbreak", "\u{202e}"] {
        for name in ["scope", "resource"] {
            let answer = app.token_answer(&agent, &[(name, bad)]).await;
            let told = answer.oauth(400, answer.json()["error"].as_str().unwrap());
            let allowed = |c: char| matches!(c, ' '..='~') && c != '"' && c != '\\';
            assert!(told.chars().all(allowed), "{told:?}");
        }
    }
}

#[tokio::test]
async fn a_refused_request_issues_nothing() {
    let app = TestApp::start().await;
    let agent = app.agent("screener", &["agents:read"]).await;
    for more in [("scope", "keys:write"), ("resource", "https://x.example"), ("client_id", "x")] {
        assert!(app.token_answer(&agent, &[more]).await.status.is_client_error());
    }
    assert!(app.events("token.issued").await.is_empty());
}
