//! Hostile requests at every endpoint that keeps operators, tenants, the matrix and stopped agents:
//! each is refused in the one shape, nothing is changed, and no cause is told.

use reqwest::Method;
use serde_json::{Value, json};

use crate::agents::NOBODYS_ID;
use crate::support::{Answer, TestApp};

/// Every endpoint that takes a JSON body, and a valid one.
fn writes(app: &Places) -> Vec<(Method, String, Value)> {
    let Places { agent, operator } = app;
    let operator_body = json!({
        "email": "o@people.example", "displayName": "Olga", "roles": ["readonly"],
    });
    vec![
        (Method::POST, "/api/v1/operators".into(), operator_body),
        (Method::PATCH, operator.clone(), json!({"displayName": "Olga"})),
        (Method::POST, format!("{operator}/tokens"), json!({"name": "laptop"})),
        (Method::POST, "/api/v1/tenants".into(), json!({"id": "acme", "displayName": "Acme"})),
        (Method::PATCH, "/api/v1/tenants/default".into(), json!({"displayName": "Default"})),
        (Method::POST, format!("{agent}/quarantine"), json!({"reason": "test"})),
        (Method::POST, format!("{agent}/reinstate"), json!({})),
        (Method::POST, "/api/v1/rbac/reload".into(), json!({})),
        (Method::POST, "/api/v1/rbac/audit/cleanup".into(), json!({})),
    ]
}

struct Places {
    agent: String,
    operator: String,
}

async fn start() -> (TestApp, Places) {
    let app = TestApp::start().await;
    let agent = format!("/api/v1/agents/{}", app.agent("screener", &["audit:read"]).await.id);
    let (operator, _) = app.operator_with("default", &["readonly"]).await;
    (app, Places { agent, operator: format!("/api/v1/operators/{operator}") })
}

async fn send(
    app: &TestApp,
    method: &Method,
    path: &str,
    body: impl Into<reqwest::Body>,
) -> Answer {
    let request = app.operator().request(method.clone(), path);
    Answer::to(request.header("content-type", "application/json").body(body)).await
}

/// How many changes the record holds.
async fn changes(app: &TestApp) -> usize {
    let page = app.operator().get("/api/v1/audit?limit=500&outcome=success").await.expect(200);
    page["data"].as_array().unwrap().len()
}

#[tokio::test]
async fn a_body_is_one_json_object() {
    let (app, places) = start().await;
    let before = changes(&app).await;
    for (method, path, _) in writes(&places) {
        for wrong in ["{", "[]", "null", "7", "\"x\"", "{} {}", "{\"a\":}", "{\"\\ud800\":1}"] {
            let refused = send(&app, &method, &path, wrong).await;
            refused.problem(400, "VALIDATION_ERROR");
        }
        let not_utf8: &[u8] = b"{\"displayName\":\"\xff\"}";
        send(&app, &method, &path, not_utf8).await.problem(400, "VALIDATION_ERROR");
        let deep = format!("{{\"a\":{}", "[".repeat(100_000));
        send(&app, &method, &path, deep).await.problem(400, "VALIDATION_ERROR");
    }
    assert_eq!(changes(&app).await, before);
}

#[tokio::test]
async fn a_body_is_application_json_and_at_most_1_mib() {
    let (app, places) = start().await;
    let before = changes(&app).await;
    for (method, path, body) in writes(&places) {
        for kind in ["text/plain", "application/x-www-form-urlencoded", "application/json5"] {
            let request = app.operator().request(method.clone(), &path);
            let request = request.header("content-type", kind).body(body.to_string());
            Answer::to(request).await.problem(415, "UNSUPPORTED_MEDIA_TYPE");
        }
        let long = body.to_string() + &" ".repeat(1 << 20);
        send(&app, &method, &path, long).await.problem(413, "PAYLOAD_TOO_LARGE");
    }
    assert_eq!(changes(&app).await, before);
}

#[tokio::test]
async fn an_unknown_a_doubled_and_a_nul_member_are_named() {
    let (app, places) = start().await;
    let before = changes(&app).await;
    for (method, path, body) in writes(&places) {
        let text = body.to_string();
        let comma = if text.len() > 2 { "," } else { "" };
        for member in ["colour", "__proto__", "", "tenant_id", &"x".repeat(200_000)] {
            let wrong = format!("{{{}:1{comma}{}", json!(member), &text[1..]);
            let problem = send(&app, &method, &path, wrong).await.problem(400, "VALIDATION_ERROR");
            let named: Vec<_> = problem["details"].as_object().unwrap().keys().collect();
            let shown: String = member.chars().take(64).collect();
            assert_eq!(named, [&shown], "{path}");
            assert!(problem.to_string().len() < 2_000, "{path}");
        }
        for (name, value) in body.as_object().unwrap() {
            let wrong = format!("{{\"{name}\":{value},{}", &text[1..]);
            let problem = send(&app, &method, &path, wrong).await.problem(400, "VALIDATION_ERROR");
            assert_eq!(problem["details"][name], "given more than once", "{path}");
            let mut wrong = body.clone();
            wrong[name] = json!("a\0b");
            let refused = send(&app, &method, &path, wrong.to_string()).await;
            let problem = refused.problem(400, "VALIDATION_ERROR");
            assert!(problem["details"][name].is_string(), "{problem}");
            for wrong in [json!({}), json!([[]]), json!(1e300), json!(true), json!(null)] {
                let mut body = body.clone();
                body[name] = wrong;
                let refused = send(&app, &method, &path, body.to_string()).await;
                let problem = refused.problem(400, "VALIDATION_ERROR");
                assert!(problem["details"][name].is_string(), "{problem}");
            }
        }
    }
    assert_eq!(changes(&app).await, before);
}

#[tokio::test]
async fn another_method_is_told_which_there_are() {
    let (app, places) = start().await;
    let Places { agent, operator } = &places;
    for (path, allowed) in [
        ("/api/v1/operators".to_owned(), "GET,HEAD,POST"),
        (operator.clone(), "DELETE,GET,HEAD,PATCH"),
        (format!("{operator}/tokens"), "GET,HEAD,POST"),
        (format!("{operator}/tokens/{NOBODYS_ID}"), "DELETE"),
        ("/api/v1/tenants".into(), "GET,HEAD,POST"),
        ("/api/v1/tenants/default".into(), "GET,HEAD,PATCH"),
        (format!("{agent}/quarantine"), "POST"),
        (format!("{agent}/reinstate"), "POST"),
        ("/api/v1/rbac/info".into(), "GET,HEAD"),
        ("/api/v1/rbac/matrix".into(), "GET,HEAD,PUT"),
        ("/api/v1/rbac/reload".into(), "POST"),
        ("/api/v1/rbac/audit".into(), "GET,HEAD"),
        ("/api/v1/rbac/audit/cleanup".into(), "POST"),
        ("/api/v1/whoami".into(), "GET,HEAD"),
        ("/api/v1/config".into(), "GET,HEAD"),
    ] {
        let method = Method::from_bytes(b"BREW").unwrap();
        let answer = Answer::to(app.operator().request(method, &path)).await;
        answer.problem(405, "METHOD_NOT_ALLOWED");
        let mut methods: Vec<_> = answer.header("allow").split(',').map(str::trim).collect();
        methods.sort_unstable();
        assert_eq!(methods.join(","), allowed, "{path}");
    }
}

#[tokio::test]
async fn an_unknown_parameter_of_a_list_is_refused() {
    let (app, _) = start().await;
    for path in ["/api/v1/operators", "/api/v1/tenants", "/api/v1/rbac/audit"] {
        for query in ["a=1", "page=1;limit=2", "%ff=1", "a%00b=1", &"x".repeat(5_000)] {
            let refused = app.operator().get(&format!("{path}?{query}")).await;
            refused.problem(400, "VALIDATION_ERROR");
        }
    }
}
