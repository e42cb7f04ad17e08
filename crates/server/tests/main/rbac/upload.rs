//! An uploaded matrix: it changes every decision at once, and stays.

use std::time::Duration;

use insta::assert_json_snapshot;
use serde_json::{Value, json};

use super::{INFO, MATRIX, RELOAD, built_in, hash, with_role};
use crate::support::{As, MACHINE, TestApp, new_agent};

const AGENTS: &str = "/api/v1/agents";
const OPERATORS: &str = "/api/v1/operators";

/// Puts an uploaded matrix in force; gives what was answered.
async fn upload(app: &TestApp, matrix: Value) -> Value {
    app.operator().put(MATRIX, matrix).await.expect(200)
}

#[tokio::test]
async fn an_uploaded_matrix_is_in_force_and_recorded() {
    let app = TestApp::start().await;
    app.operator_with("default", &["admin"]).await;
    let before = hash(&app).await;
    app.pass(Duration::from_secs(1));
    let matrix = with_role("clerk", json!({"agents": ["read"]}));
    let answer = app.operator().put(MATRIX, matrix.clone()).await;
    assert_json_snapshot!(answer.expect(200), {
        ".new_hash" => "[new]", ".previous_hash" => "[previous]",
    }, @r#"
    {
      "message": "another matrix is in force",
      "new_hash": "[new]",
      "previous_hash": "[previous]",
      "success": true,
      "timestamp": "2026-01-01T00:00:01.000Z"
    }
    "#);
    let info = app.operator().get(INFO).await.expect(200);
    assert_eq!([&info["source"], &info["loaded_at"]], ["uploaded", "2026-01-01T00:00:01.000Z"]);
    assert_eq!(answer.json()["previous_hash"], before);
    assert_eq!(answer.json()["new_hash"], info["hash"]);
    assert_ne!(info["hash"], before);
    assert_eq!(app.operator().get(MATRIX).await.expect(200), matrix);
    let event = app.events("rbac.reloaded").await.remove(0);
    assert_eq!((&event["actorId"], &event["resource"]), (&json!("bootstrap"), &json!("rbac")));
    assert_eq!(event["requestId"], answer.header("x-request-id"));
    assert!(event["decisionId"].is_string(), "{event}");
    let hashes = json!({"newHash": info["hash"], "previousHash": before});
    assert_eq!(event["metadata"], hashes);
}

#[tokio::test]
async fn an_operators_decisions_follow_at_once() {
    let app = TestApp::start().await;
    app.operator_with("default", &["admin"]).await;
    let (_, token) = app.operator_with("default", &["dev"]).await;
    let dev = app.client(As::Bearer(&token));
    dev.get(AGENTS).await.expect(200);
    dev.get(OPERATORS).await.expect(200);
    upload(&app, with_role("dev", json!({"agents": ["write"]}))).await;
    dev.get(AGENTS).await.problem(403, "FORBIDDEN");
    dev.get(OPERATORS).await.problem(403, "FORBIDDEN");
    let mut body = new_agent("by-dev");
    body["scopes"] = json!([]);
    dev.post(AGENTS, body).await.expect(201);
    upload(&app, built_in()).await;
    dev.get(AGENTS).await.expect(200);
    dev.post(AGENTS, new_agent("again")).await.problem(403, "FORBIDDEN");
}

#[tokio::test]
async fn the_machines_decisions_follow_at_once() {
    let app = TestApp::start().await;
    app.operator_with("default", &["admin"]).await;
    let machine = app.client(As::Machine(MACHINE));
    machine.get(AGENTS).await.problem(403, "FORBIDDEN");
    upload(&app, with_role("machine", json!({"agents": ["read"]}))).await;
    machine.get(AGENTS).await.expect(200);
    machine.get(INFO).await.problem(403, "FORBIDDEN");
    let mut without = built_in();
    without["matrix"].as_object_mut().unwrap().remove("machine");
    upload(&app, without).await;
    machine.get(AGENTS).await.problem(403, "FORBIDDEN");
}

#[tokio::test]
async fn what_was_decided_for_an_agent_under_another_matrix_is_decided_anew() {
    let app = TestApp::start().await;
    app.operator_with("default", &["admin"]).await;
    let agent = app.agent("maker", &["agents:write", "agents:read"]).await;
    let token = app.token(&agent).await;
    let maker = app.client(As::Bearer(&token));
    let mut decisions = Vec::new();
    for (name, matrix) in [
        ("a", None),
        ("b", None),
        ("c", Some(with_role("clerk", json!({"agents": ["read"]})))),
        ("d", Some(built_in())),
    ] {
        if let Some(matrix) = matrix {
            upload(&app, matrix).await;
        }
        maker.post(AGENTS, new_agent(name)).await.expect(201);
        decisions.push(app.events("agent.created").await[0]["decisionId"].clone());
    }
    assert_eq!(decisions[0], decisions[1], "the same question under the same policy");
    assert_ne!(decisions[0], decisions[2], "another policy");
    assert_eq!(decisions[0], decisions[3], "the first policy again");
}

#[tokio::test]
async fn it_survives_a_restart() {
    let app = TestApp::start().await;
    app.operator_with("default", &["admin"]).await;
    let (_, token) = app.operator_with("default", &["dev"]).await;
    let matrix = with_role("dev", json!({"agents": ["write"]}));
    upload(&app, matrix.clone()).await;
    let uploaded = hash(&app).await;
    let app = app.restart().await;
    let info = app.operator().get(INFO).await.expect(200);
    assert_eq!((&info["hash"], &info["source"]), (&uploaded, &json!("uploaded")));
    assert_eq!(app.operator().get(MATRIX).await.expect(200), matrix);
    app.client(As::Bearer(&token)).get(AGENTS).await.problem(403, "FORBIDDEN");
    let again = app.operator().post(RELOAD, json!({})).await.expect(200);
    assert_eq!((&again["new_hash"], &again["previous_hash"]), (&uploaded, &uploaded));
}

#[tokio::test]
async fn the_last_upload_counts_however_many_there_were() {
    let app = TestApp::start().await;
    app.operator_with("default", &["admin"]).await;
    for n in 0..12 {
        upload(&app, with_role(&format!("clerk{n}"), json!({"agents": ["read"]}))).await;
    }
    let app = app.restart().await;
    let roles = app.operator().get(INFO).await.expect(200)["roles"].clone();
    assert_eq!(roles.as_array().unwrap().last().unwrap(), "clerk11");
}

#[tokio::test]
async fn of_concurrent_uploads_the_one_in_force_is_the_one_that_is_stored() {
    let app = TestApp::start().await;
    app.operator_with("default", &["admin"]).await;
    let operator = app.operator();
    let matrices = ["a", "b", "c", "d"].map(|role| with_role(role, json!({"agents": ["read"]})));
    let puts = matrices.map(|matrix| operator.put(MATRIX, matrix));
    for answer in futures_util::future::join_all(puts).await {
        answer.expect(200);
    }
    let in_force = hash(&app).await;
    let app = app.restart().await;
    assert_eq!(hash(&app).await, in_force);
}

#[tokio::test]
async fn a_role_of_the_new_matrix_is_given_and_one_that_it_lacks_is_not() {
    let app = TestApp::start().await;
    app.operator_with("default", &["admin"]).await;
    let body = |role: &str| json!({"email": format!("{role}@people.example"), "displayName": "Olga", "roles": [role]});
    app.operator().post(OPERATORS, body("clerk")).await.problem(400, "VALIDATION_ERROR");
    let (dev, token) = app.operator_with("default", &["dev"]).await;
    let mut matrix = with_role("clerk", json!({"agents": ["read"]}));
    matrix["matrix"].as_object_mut().unwrap().remove("dev");
    matrix["roles"].as_array_mut().unwrap().retain(|role| role != "dev");
    upload(&app, matrix).await;
    app.operator().post(OPERATORS, body("clerk")).await.expect(201);
    app.operator().post(OPERATORS, body("dev")).await.problem(400, "VALIDATION_ERROR");
    app.client(As::Bearer(&token)).get(AGENTS).await.problem(403, "FORBIDDEN");
    let path = format!("{OPERATORS}/{dev}");
    assert_eq!(app.operator().get(&path).await.expect(200)["roles"], json!(["dev"]));
    app.operator().patch(&path, json!({"displayName": "Olga II"})).await.expect(200);
}

#[tokio::test]
async fn metrics_tell_how_often_one_was_read_and_which_is_in_force() {
    let app = TestApp::start().await;
    app.operator_with("default", &["admin"]).await;
    let lines = async |name: &str| -> Vec<String> {
        let text = app.nobody().get("/metrics").await.text;
        text.lines().filter(|line| line.starts_with(name)).map(str::to_owned).collect()
    };
    let loads = lines("rbac_policy_loads_total").await;
    assert_eq!(loads.len(), 1);
    assert!(loads[0].contains("success") && loads[0].ends_with(" 1"), "{loads:?}");
    let first = hash(&app).await;
    let info = lines("rbac_policy_version_info").await;
    assert!(info.len() == 1 && info[0].contains(first.as_str().unwrap()), "{info:?}");
    app.operator().post(RELOAD, json!({})).await.expect(200);
    assert!(lines("rbac_policy_loads_total").await[0].ends_with(" 2"));
    upload(&app, with_role("clerk", json!({"agents": ["read"]}))).await;
    let info = lines("rbac_policy_version_info").await;
    assert!(info.len() == 1 && !info[0].contains(first.as_str().unwrap()), "{info:?}");
}

#[tokio::test]
async fn an_upload_is_a_reading_that_is_counted() {
    let app = TestApp::start().await;
    app.operator_with("default", &["admin"]).await;
    upload(&app, with_role("clerk", json!({"agents": ["read"]}))).await;
    app.operator().put(MATRIX, json!({})).await.problem(400, "VALIDATION_ERROR");
    let text = app.nobody().get("/metrics").await.text;
    let loads: Vec<_> =
        text.lines().filter(|line| line.starts_with("rbac_policy_loads_total")).collect();
    assert!(loads.iter().any(|line| line.ends_with(" 2")) && loads.len() == 2, "{loads:?}");
}
