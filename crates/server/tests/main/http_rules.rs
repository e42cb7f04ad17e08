//! What every request gets and every answer carries: paths, methods, request ids, headers, CORS.

use std::collections::BTreeSet;

use countersign_ground::ids::EventId;
use reqwest::{Method, RequestBuilder};
use serde_json::json;

use crate::agents::NOBODYS_ID;
use crate::support::{Answer, TestApp, new_agent};

const AGENTS: &str = "/api/v1/agents";

#[tokio::test]
async fn nothing_is_at_an_unknown_path() {
    let app = TestApp::start().await;
    let wrong = [
        "/nothing",
        "/api/v1",
        "/api/v1/agents/",
        "//api/v1/agents",
        "/API/v1/agents",
        "/api/v2/agents",
    ];
    for path in wrong {
        app.operator().get(path).await.problem(404, "NOT_FOUND");
        app.nobody().post(path, json!({})).await.problem(404, "NOT_FOUND");
    }
    let answer = app.nobody().get("/nothing").await.problem(404, "NOT_FOUND");
    insta::assert_json_snapshot!(answer, {".request_id" => "[request]"}, @r#"
    {
      "code": "NOT_FOUND",
      "detail": "nothing is at this path; see `/openapi.json`",
      "message": "nothing is at this path; see `/openapi.json`",
      "request_id": "[request]",
      "status": 404,
      "title": "Nothing is here",
      "type": "urn:countersign:error:not-found"
    }
    "#);
}

#[tokio::test]
async fn a_method_that_a_path_does_not_take_is_told_which_it_takes() {
    let app = TestApp::start().await;
    let id = NOBODYS_ID;
    for (path, allowed) in [
        (AGENTS.to_owned(), ["GET", "HEAD", "POST"].as_slice()),
        (format!("{AGENTS}/{id}"), &["GET", "HEAD", "PATCH", "DELETE"]),
        (format!("{AGENTS}/{id}/credentials"), &["GET", "HEAD", "POST"]),
        (format!("{AGENTS}/{id}/credentials/{id}"), &["DELETE"]),
        (format!("{AGENTS}/{id}/credentials/{id}/rotate"), &["POST"]),
        ("/api/v1/audit".to_owned(), &["GET", "HEAD"]),
        (format!("/api/v1/audit/{id}"), &["GET", "HEAD"]),
        ("/api/v1/keys".to_owned(), &["GET", "HEAD"]),
        ("/health".to_owned(), &["GET", "HEAD"]),
        ("/metrics".to_owned(), &["GET", "HEAD"]),
        ("/openapi.json".to_owned(), &["GET", "HEAD"]),
    ] {
        for method in [Method::PUT, Method::OPTIONS, Method::from_bytes(b"BREW").unwrap()] {
            let answer = Answer::to(app.operator().request(method, &path)).await;
            answer.problem(405, "METHOD_NOT_ALLOWED");
            let told: BTreeSet<_> = answer.header("allow").split(',').map(str::trim).collect();
            assert_eq!(told, allowed.iter().copied().collect(), "{path}");
        }
    }
}

/// A registration that carries this request id.
fn with_id(app: &TestApp, id: &[u8]) -> RequestBuilder {
    let request = app.operator().request(Method::POST, AGENTS).json(&new_agent("screener"));
    request.header("x-request-id", id)
}

#[tokio::test]
async fn a_request_id_is_echoed_and_in_the_event() {
    let app = TestApp::start().await;
    let id = "client.7/abc-~!".to_owned() + &"x".repeat(128 - 15);
    let answer = Answer::to(with_id(&app, id.as_bytes())).await;
    answer.expect(201);
    assert_eq!(answer.header("x-request-id"), id);
    assert_eq!(app.events("agent.created").await[0]["requestId"], id);
}

#[tokio::test]
async fn a_request_id_is_in_the_body_of_an_error() {
    let app = TestApp::start().await;
    let request = app.operator().request(Method::GET, "/nothing").header("x-request-id", "mine");
    assert_eq!(Answer::to(request).await.problem(404, "NOT_FOUND")["request_id"], "mine");
}

#[tokio::test]
async fn a_request_id_is_made_when_there_is_none() {
    let app = TestApp::start().await;
    let answer = app.operator().post(AGENTS, new_agent("screener")).await;
    let id = answer.header("x-request-id");
    id.parse::<EventId>().expect("a UUIDv7");
    assert_eq!(app.events("agent.created").await[0]["requestId"], id);
    assert_ne!(app.nobody().get("/health").await.header("x-request-id"), id, "each its own");
}

#[tokio::test]
async fn a_request_id_that_is_too_long_or_odd_is_replaced() {
    let app = TestApp::start().await;
    let long = "x".repeat(129);
    for odd in [long.as_bytes(), b"", b"two words", b"tab\there", b"\xc3\xbc", b"\xff"] {
        let answer = Answer::to(with_id(&app, odd)).await;
        answer.header("x-request-id").parse::<EventId>().expect("a UUIDv7");
    }
}

#[tokio::test]
async fn no_answer_may_be_taken_for_another_type_than_it_says() {
    let app = TestApp::start().await;
    let preflight =
        app.nobody().request(Method::OPTIONS, AGENTS).header("origin", "https://a.example");
    for answer in [
        app.operator().get(AGENTS).await,
        app.operator().post(AGENTS, json!({})).await,
        app.nobody().get(AGENTS).await,
        app.nobody().get("/nothing").await,
        app.nobody().delete("/health").await,
        app.nobody().get("/metrics").await,
        app.nobody().get("/openapi.json").await,
        app.nobody().form("/api/v1/token", &[]).await,
        Answer::to(preflight.header("access-control-request-method", "PATCH")).await,
    ] {
        assert_eq!(answer.header("x-content-type-options"), "nosniff", "{answer:?}");
    }
}

#[tokio::test]
async fn whatever_has_a_secret_or_a_token_is_not_stored() {
    let app = TestApp::start().await;
    let agent = app.agent("screener", &["audit:read"]).await;
    let credentials = format!("{AGENTS}/{}/credentials", agent.id);
    let rotate = format!("{credentials}/{}/rotate", agent.credential);
    for answer in [
        app.token_answer(&agent, &[]).await,
        app.operator().post(&credentials, json!({})).await,
        app.operator().post(&rotate, json!({})).await,
    ] {
        assert!(answer.status.is_success());
        assert_eq!(answer.header("cache-control"), "no-store");
    }
}

/// A page's request from this origin.
fn from_origin(app: &TestApp, method: Method, path: &str, origin: &str) -> RequestBuilder {
    app.operator().request(method, path).header("origin", origin)
}

#[tokio::test]
async fn any_page_may_call_unless_an_origin_is_configured() {
    let app = TestApp::start().await;
    for path in [AGENTS, "/nothing"] {
        let request = from_origin(&app, Method::GET, path, "https://any.example");
        assert_eq!(Answer::to(request).await.header("access-control-allow-origin"), "*");
    }
}

#[tokio::test]
async fn only_the_configured_origin_may_call() {
    let app = TestApp::with(&[("CORS_ORIGIN", "https://app.example")]).await;
    for origin in ["https://app.example", "https://evil.example", "null"] {
        let answer = Answer::to(from_origin(&app, Method::GET, AGENTS, origin)).await;
        assert_eq!(answer.header("access-control-allow-origin"), "https://app.example");
        assert_eq!(answer.header("vary"), "origin");
        assert_eq!(answer.header("access-control-allow-credentials"), "");
        let exposed = answer.header("access-control-expose-headers");
        assert!(exposed.contains("etag") && exposed.contains("x-request-id"), "{exposed}");
    }
}

#[tokio::test]
async fn a_preflight_is_answered_without_credentials() {
    let app = TestApp::with(&[("CORS_ORIGIN", "https://app.example")]).await;
    let path = format!("{AGENTS}/{NOBODYS_ID}");
    let preflight = app.nobody().request(Method::OPTIONS, &path);
    let preflight = preflight
        .header("origin", "https://app.example")
        .header("access-control-request-method", "PATCH")
        .header("access-control-request-headers", "authorization,content-type,if-match");
    let answer = Answer::to(preflight).await;
    answer.expect(204);
    assert_eq!(answer.header("access-control-allow-origin"), "https://app.example");
    assert!(answer.header("access-control-allow-methods").contains("PATCH"));
    let allowed = answer.header("access-control-allow-headers");
    for name in ["authorization", "content-type", "if-match", "x-request-id"] {
        assert!(allowed.contains(name), "{name}: {allowed}");
    }
}

#[tokio::test]
async fn a_request_that_no_page_sent_gets_no_cors_headers() {
    let app = TestApp::start().await;
    let answer = app.operator().get(AGENTS).await;
    assert_eq!(answer.header("access-control-allow-origin"), "");
}
