//! Request bodies: what is JSON, what is too much of it, and what a failure tells about itself.

use std::io::{Read as _, Write as _};

use countersign_ground::{db, params};
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{Answer, OPERATOR, TestApp, new_agent};

const AGENTS: &str = "/api/v1/agents";
const MIB: usize = 1 << 20;

/// Registers an agent with these very bytes.
async fn register(app: &TestApp, body: impl Into<reqwest::Body>) -> Answer {
    let request = app.operator().request(Method::POST, AGENTS);
    Answer::to(request.header("content-type", "application/json").body(body)).await
}

/// A valid registration, with white space up to this length.
fn padded(length: usize) -> String {
    let text = new_agent("screener").to_string();
    text.clone() + &" ".repeat(length - text.len())
}

#[tokio::test]
async fn a_body_of_1_mib_is_read() {
    let app = TestApp::start().await;
    register(&app, padded(MIB)).await.expect(201);
}

#[tokio::test]
async fn a_body_of_one_byte_more_is_too_large() {
    let app = TestApp::start().await;
    register(&app, padded(MIB + 1)).await.problem(413, "PAYLOAD_TOO_LARGE");
    assert_eq!(app.events("agent.created").await.len(), 0);
}

#[tokio::test]
async fn a_body_that_does_not_say_its_length_is_measured_all_the_same() {
    let app = TestApp::start().await;
    let address = app.server.address;
    let answer = tokio::task::spawn_blocking(move || {
        let mut stream = std::net::TcpStream::connect(address).unwrap();
        let (length, body) = (MIB + 1, padded(MIB + 1));
        // Not to its end: the server answers as soon as it has seen too much.
        write!(
            stream,
            "POST {AGENTS} HTTP/1.1\r\nhost: test\r\nauthorization: Bearer {OPERATOR}\r\n\
             content-type: application/json\r\ntransfer-encoding: chunked\r\n\
             connection: close\r\n\r\n{length:x}\r\n{body}"
        )
        .unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    });
    let answer = answer.await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 413 "), "{answer}");
}

#[tokio::test]
async fn a_body_is_one_json_object() {
    let app = TestApp::start().await;
    let deep = |depth| format!("{{\"owner\":{}", "[".repeat(depth));
    let wrong: Vec<Vec<u8>> = vec![
        b"{".into(),
        b"[]".into(),
        b"null".into(),
        b"7".into(),
        b"\"text\"".into(),
        b"{} {}".into(),
        b"{\"owner\":\"me\",}".into(),
        b"{'owner':'me'}".into(),
        b"{\"owner\":NaN}".into(),
        b"{\"owner\":1e999}".into(),
        b"{\"owner\":\"\xff\"}".into(),
        b"{\"own\xff\":\"me\"}".into(),
        b"{\"owner\":\"\\ud800\"}".into(),
        b"{\"owner\":\"line\nbreak\"}".into(),
        b"\xef\xbb\xbf{}".into(),
        deep(200).into(),
        deep(MIB - 20).into(),
    ];
    for body in wrong {
        let shown = String::from_utf8_lossy(&body[..body.len().min(40)]).into_owned();
        let problem = register(&app, body).await.problem(400, "VALIDATION_ERROR");
        let detail = problem["detail"].as_str().unwrap();
        assert!(detail.starts_with("the body is not a JSON object"), "{shown}: {detail}");
    }
}

#[tokio::test]
async fn an_empty_body_lacks_every_field() {
    let app = TestApp::start().await;
    let problem = register(&app, "").await.problem(400, "VALIDATION_ERROR");
    let named: Vec<_> = problem["details"].as_object().unwrap().keys().collect();
    let required = ["agentType", "capabilities", "deploymentEnv", "email", "owner", "version"];
    assert_eq!(named, required);
}

/// The fault that the one field at fault has, when a member is put before a valid registration's.
async fn fault(app: &TestApp, member: &str, field: &str) -> Value {
    let valid = new_agent("screener").to_string();
    let problem = register(app, format!("{{{member},{}", &valid[1..])).await;
    let problem = problem.problem(400, "VALIDATION_ERROR");
    let details = problem["details"].as_object().unwrap();
    assert_eq!(details.keys().collect::<Vec<_>>(), [field], "{problem}");
    details[field].clone()
}

#[tokio::test]
async fn a_field_is_given_once() {
    let app = TestApp::start().await;
    for member in [r#""owner":"tests""#, r#""owner":null"#, r#""own\u0065r":"me""#] {
        assert_eq!(fault(&app, member, "owner").await, "given more than once");
    }
}

#[tokio::test]
async fn an_unknown_field_is_refused_by_name() {
    let app = TestApp::start().await;
    for field in ["colour", "Owner", "", "__proto__", "deployment_env"] {
        let fault = fault(&app, &format!("{}:1", json!(field)), field).await;
        assert_eq!(fault, "is not a known field");
    }
}

#[tokio::test]
async fn u_0000_is_refused_wherever_it_stands() {
    let app = TestApp::start().await;
    for (field, value) in [
        ("owner", json!("a\0b")),
        ("owner", json!("\0")),
        ("capabilities", json!(["a:b", "a\0:b"])),
        ("allowedResources", json!(["https://api.example/\0"])),
    ] {
        let mut body = new_agent("screener");
        body[field] = value;
        let problem = register(&app, body.to_string()).await.problem(400, "VALIDATION_ERROR");
        assert!(problem["details"][field].is_string(), "{problem}");
    }
    let unknown = fault(&app, r#""a\u0000b":1"#, "a\0b").await;
    assert_eq!(unknown, "is not a known field");
}

#[tokio::test]
async fn a_body_of_another_type_is_refused_wherever_one_is_taken() {
    let app = TestApp::start().await;
    let agent = app.agent("screener", &[]).await;
    let one = format!("{AGENTS}/{}", agent.id);
    let credentials = format!("{one}/credentials");
    let rotate = format!("{credentials}/{}/rotate", agent.credential);
    let places = [
        (Method::POST, AGENTS),
        (Method::PATCH, one.as_str()),
        (Method::POST, credentials.as_str()),
        (Method::POST, rotate.as_str()),
    ];
    let types = [
        "text/plain",
        "application/x-www-form-urlencoded",
        "application/merge-patch+json",
        "application/json5",
        "text/json",
        "",
    ];
    for (method, path) in places {
        let request = || app.operator().request(method.clone(), path).body("{}");
        for wrong in types {
            let answer = Answer::to(request().header("content-type", wrong)).await;
            answer.problem(415, "UNSUPPORTED_MEDIA_TYPE");
        }
        Answer::to(request()).await.problem(415, "UNSUPPORTED_MEDIA_TYPE");
    }
}

#[tokio::test]
async fn the_type_may_be_in_any_case_and_have_parameters() {
    let app = TestApp::start().await;
    let request = app.operator().request(Method::POST, AGENTS);
    let request = request.header("content-type", "Application/JSON; charset=utf-8");
    Answer::to(request.body(new_agent("screener").to_string())).await.expect(201);
}

#[tokio::test]
async fn an_error_of_the_server_does_not_tell_its_cause() {
    let app = TestApp::start().await;
    let agent = app.agent("screener", &[]).await;
    let spoilt = app.server.app.db.write(agent.id.clone(), |tx, id| {
        Box::pin(async move {
            tx.execute("UPDATE agents SET status = 'spoilt' WHERE id = $1", params![id]).await?;
            Ok::<_, db::Error>(())
        })
    });
    spoilt.await.unwrap();
    let answer = app.operator().get(&format!("{AGENTS}/{}", agent.id)).await;
    let problem = answer.problem(500, "INTERNAL_SERVER_ERROR");
    insta::assert_json_snapshot!(problem, {".request_id" => "[request]"}, @r#"
    {
      "code": "INTERNAL_SERVER_ERROR",
      "detail": "the server could not complete the request",
      "message": "the server could not complete the request",
      "request_id": "[request]",
      "status": 500,
      "title": "Internal error",
      "type": "urn:countersign:error:internal-server-error"
    }
    "#);
}

#[tokio::test]
async fn without_its_database_the_server_asks_to_try_again() {
    let app = TestApp::start().await;
    app.server.app.db.close().await;
    for answer in [
        app.operator().get(AGENTS).await,
        app.operator().post(AGENTS, new_agent("screener")).await,
        app.nobody().get(AGENTS).await,
    ] {
        answer.problem(503, "DEPENDENCY_UNAVAILABLE");
        assert_ne!(answer.header("retry-after"), "");
        assert!(!answer.text.contains("closed"), "{}", answer.text);
    }
}
