//! The role matrix (contract 3.2): what is in force, another one uploaded, read again from its file,
//! and the decisions by it.

mod audit;
mod authority;
mod cleanup;
mod file;
mod invalid;
mod upload;

use insta::assert_json_snapshot;
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{Answer, As, MACHINE, TestApp};

const INFO: &str = "/api/v1/rbac/info";
const MATRIX: &str = "/api/v1/rbac/matrix";
const RELOAD: &str = "/api/v1/rbac/reload";
/// The matrix that is built in.
const BUILT_IN: &str = include_str!("../../../../tests/vectors/rbac-policies.json");

fn built_in() -> Value {
    serde_json::from_str(BUILT_IN).unwrap()
}

/// The built-in matrix, with this role in place of the former of its name.
fn with_role(role: &str, permissions: Value) -> Value {
    let mut matrix = built_in();
    matrix["matrix"][role] = permissions;
    let roles = matrix["roles"].as_array_mut().unwrap();
    if !roles.contains(&json!(role)) {
        roles.push(json!(role));
    }
    matrix
}

/// Sends these very bytes as a matrix.
async fn send(app: &TestApp, body: impl Into<reqwest::Body>) -> Answer {
    let request = app.operator().request(Method::PUT, MATRIX);
    Answer::to(request.header("content-type", "application/json").body(body)).await
}

async fn hash(app: &TestApp) -> Value {
    app.operator().get(INFO).await.expect(200)["hash"].clone()
}

#[tokio::test]
async fn what_is_in_force_is_told_with_its_roles_and_resources() {
    let app = TestApp::start().await;
    assert_json_snapshot!(app.operator().get(INFO).await.expect(200), {".hash" => "[hash]"}, @r#"
    {
      "enforce_mode": "enforce",
      "fail_open": false,
      "hash": "[hash]",
      "loaded_at": "2026-01-01T00:00:00.000Z",
      "resources": [
        "agents",
        "audit",
        "chaos",
        "costsim",
        "decisions",
        "guards",
        "keys",
        "memory",
        "memory_pin",
        "operators",
        "policy",
        "prometheus",
        "rbac",
        "registry",
        "routes",
        "services",
        "ssh",
        "tokens",
        "webhooks"
      ],
      "roles": [
        "infra",
        "admin",
        "machine",
        "dev",
        "approver",
        "readonly"
      ],
      "source": "built-in",
      "version": "1.0.0"
    }
    "#);
}

#[tokio::test]
async fn the_matrix_is_the_document_itself() {
    let app = TestApp::start().await;
    let answer = app.operator().get(MATRIX).await;
    assert_eq!(answer.expect(200), built_in());
    assert_eq!(answer.header("content-type"), "application/json");
}

#[tokio::test]
async fn whoever_may_read_it_reads_it() {
    let app = TestApp::start().await;
    let agent = app.token(&app.agent("reader", &["rbac:read"]).await).await;
    let other = app.token(&app.agent("other", &["rbac:reload"]).await).await;
    let (_, dev) = app.operator_with("default", &["dev"]).await;
    let theirs = app.tenant("acme", "free").await;
    for path in [INFO, MATRIX, "/api/v1/rbac/audit"] {
        for who in [As::Bearer(&agent), As::Bearer(&dev), As::Bearer(&theirs), As::Machine(MACHINE)]
        {
            app.client(who).get(path).await.expect(200);
        }
        app.client(As::Bearer(&other)).get(path).await.problem(403, "INSUFFICIENT_SCOPE");
        app.nobody().get(path).await.problem(401, "UNAUTHORIZED");
    }
}

#[tokio::test]
async fn the_built_in_matrix_is_read_again_as_it_was() {
    let app = TestApp::start().await;
    let request = app.operator().request(Method::POST, RELOAD);
    let reloaded = Answer::to(request).await.expect(200);
    assert_eq!(reloaded["new_hash"], hash(&app).await);
    assert_json_snapshot!(reloaded, {
        ".new_hash" => "[hash]", ".previous_hash" => "[hash]",
    }, @r#"
    {
      "message": "the matrix is the same as before",
      "new_hash": "[hash]",
      "previous_hash": "[hash]",
      "success": true,
      "timestamp": "2026-01-01T00:00:00.000Z"
    }
    "#);
    for wrong in [json!({"force": true}), json!({"a\0b": 1})] {
        app.operator().post(RELOAD, wrong).await.problem(400, "VALIDATION_ERROR");
    }
    let request = app.operator().request(Method::POST, RELOAD).body("x");
    Answer::to(request).await.problem(415, "UNSUPPORTED_MEDIA_TYPE");
}
