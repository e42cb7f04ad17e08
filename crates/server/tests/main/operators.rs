//! Operators (contract 2.5): made, shown, listed, changed, removed. Their tokens, who may give what,
//! and who must be left are in the modules below.

mod authority;
mod bootstrap;
mod fields;
mod if_match;
mod last;
mod record;
mod tokens;

use std::time::Duration;

use insta::assert_json_snapshot;
use serde_json::{Value, json};

use crate::agents::NOBODYS_ID;
use crate::support::{As, TestApp};

const OPERATORS: &str = "/api/v1/operators";

fn new_operator(name: &str, roles: &[&str]) -> Value {
    let email = format!("{name}@people.example");
    json!({"email": email, "displayName": "Olga", "roles": roles})
}

/// Makes an operator of the tenant `default`.
async fn make(app: &TestApp, name: &str, roles: &[&str]) -> Value {
    app.operator().post(OPERATORS, new_operator(name, roles)).await.expect(201)
}

/// Where an operator is.
fn one(operator: &Value) -> String {
    format!("{OPERATORS}/{}", operator["operatorId"].as_str().unwrap())
}

#[tokio::test]
async fn a_new_operator_is_answered_with_where_they_are_and_in_which_state() {
    let app = TestApp::start().await;
    let made = app.operator().post(OPERATORS, new_operator("olga", &["approver"])).await;
    assert_json_snapshot!(made.expect(201), {".operatorId" => "[id]"}, @r#"
    {
      "approvalLevel": 3,
      "createdAt": "2026-01-01T00:00:00.000Z",
      "displayName": "Olga",
      "email": "olga@people.example",
      "operatorId": "[id]",
      "roles": [
        "approver"
      ],
      "tenant": "default",
      "updatedAt": "2026-01-01T00:00:00.000Z"
    }
    "#);
    assert_eq!(made.header("location"), one(&made.json()));
    let shown = app.operator().get(made.header("location")).await;
    assert_eq!(shown.expect(200), made.json());
    assert!(!made.header("etag").is_empty());
    assert_eq!(shown.header("etag"), made.header("etag"));
}

#[tokio::test]
async fn the_first_operator_is_there_from_the_start() {
    let app = TestApp::start().await;
    let first = app.operator().get("/api/v1/operators/bootstrap").await.expect(200);
    assert_json_snapshot!(first, @r#"
    {
      "approvalLevel": 5,
      "createdAt": "2026-01-01T00:00:00.000Z",
      "displayName": "First operator",
      "maxApprovalLevel": 5,
      "operatorId": "bootstrap",
      "roles": [
        "admin",
        "infra"
      ],
      "tenant": "default",
      "updatedAt": "2026-01-01T00:00:00.000Z"
    }
    "#);
}

#[tokio::test]
async fn the_list_is_paged_and_holds_who_is_there() {
    let app = TestApp::start().await;
    for name in ["anna", "bert", "cleo"] {
        app.pass(Duration::from_secs(1));
        make(&app, name, &["readonly"]).await;
    }
    let page = |query: &str| format!("{OPERATORS}?{query}");
    let names = |page: &Value| -> Vec<String> {
        let all = page["data"].as_array().unwrap().iter();
        all.map(|one| one["email"].as_str().unwrap_or("first").to_owned()).collect()
    };
    let all = app.operator().get(OPERATORS).await.expect(200);
    let people = ["cleo@people.example", "bert@people.example", "anna@people.example"];
    assert_eq!(names(&all)[1..], people);
    assert_eq!((&all["page"], &all["limit"], &all["total"]), (&json!(1), &json!(20), &json!(4)));
    let second = app.operator().get(&page("limit=2&page=2")).await.expect(200);
    assert_eq!(names(&second), &people[1..]);
    let beyond = app.operator().get(&page("limit=100&page=1000000")).await.expect(200);
    assert_eq!((&beyond["data"], &beyond["total"]), (&json!([]), &json!(4)));

    app.operator().delete(&one(&all["data"][1])).await.expect(204);
    let left = app.operator().get(OPERATORS).await.expect(200);
    assert_eq!((names(&left).len(), &left["total"]), (3, &json!(3)));
}

#[tokio::test]
async fn a_page_is_asked_for_with_numbers_within_bounds() {
    let app = TestApp::start().await;
    for query in [
        "limit=0",
        "limit=101",
        "limit=-1",
        "limit=1e1",
        "page=0",
        "page=1000001",
        "page=9223372036854775808",
        "page=99999999999999999999999999",
        "page=1&page=2",
        "page=",
        "page=%00",
        "colour=red",
    ] {
        let refused = app.operator().get(&format!("{OPERATORS}?{query}")).await;
        let problem = refused.problem(400, "VALIDATION_ERROR");
        let named: Vec<_> = problem["details"].as_object().unwrap().keys().collect();
        assert_eq!(named, [query.split('=').next().unwrap()], "{query}");
    }
}

#[tokio::test]
async fn a_change_changes_what_it_names_and_no_more() {
    let app = TestApp::start().await;
    let path = one(&make(&app, "olga", &["readonly"]).await);
    let mut expected = app.operator().get(&path).await.expect(200);
    for (field, value) in [
        ("email", json!("olga@elsewhere.example")),
        ("displayName", json!("Olga the second")),
        ("roles", json!(["dev", "guest"])),
        ("maxApprovalLevel", json!(4)),
    ] {
        app.pass(Duration::from_secs(1));
        let changed = app.operator().patch(&path, json!({field: value})).await;
        expected[field] = value;
        expected["updatedAt"] = json!(app.clock.now().to_string());
        expected["approvalLevel"] = json!(if field == "maxApprovalLevel" { 4 } else { 1 });
        assert_eq!(changed.expect(200), expected);
        let shown = app.operator().get(&path).await;
        assert_eq!(shown.expect(200), expected);
        assert_eq!(shown.header("etag"), changed.header("etag"));
    }
}

#[tokio::test]
async fn an_unknown_operator_is_not_found() {
    let app = TestApp::start().await;
    let path = format!("{OPERATORS}/{NOBODYS_ID}");
    let tokens = format!("{path}/tokens");
    for answer in [
        app.operator().get(&path).await,
        app.operator().patch(&path, json!({"displayName": "Nobody"})).await,
        app.operator().delete(&path).await,
        app.operator().get(&tokens).await,
        app.operator().post(&tokens, json!({})).await,
        app.operator().delete(&format!("{tokens}/{NOBODYS_ID}")).await,
    ] {
        answer.problem(404, "OPERATOR_NOT_FOUND");
    }
}

#[tokio::test]
async fn an_operator_who_was_removed_is_not_found() {
    let app = TestApp::start().await;
    let path = one(&make(&app, "olga", &["readonly"]).await);
    app.operator().delete(&path).await.expect(204);
    let tokens = format!("{path}/tokens");
    for answer in [
        app.operator().get(&path).await,
        app.operator().patch(&path, json!({"displayName": "Back"})).await,
        app.operator().delete(&path).await,
        app.operator().get(&tokens).await,
        app.operator().post(&tokens, json!({})).await,
    ] {
        answer.problem(404, "OPERATOR_NOT_FOUND");
    }
}

#[tokio::test]
async fn an_operator_of_another_tenant_is_not_found() {
    let app = TestApp::start().await;
    let token = app.tenant("other", "unlimited").await;
    let path = one(&make(&app, "olga", &["readonly"]).await);
    let other = app.client(As::Bearer(&token));
    for answer in [
        other.get(&path).await,
        other.patch(&path, json!({"displayName": "Mine"})).await,
        other.delete(&path).await,
        other.get(&format!("{path}/tokens")).await,
        other.post(&format!("{path}/tokens"), json!({})).await,
    ] {
        answer.problem(404, "OPERATOR_NOT_FOUND");
    }
    assert_eq!(other.get(OPERATORS).await.expect(200)["total"], 1);
    assert_eq!(app.operator().get(&path).await.expect(200)["displayName"], "Olga");
}

#[tokio::test]
async fn a_removal_ends_all_tokens_at_once_and_for_good() {
    let app = TestApp::start().await;
    let (id, token) = app.operator_with("default", &["readonly"]).await;
    app.client(As::Bearer(&token)).get(OPERATORS).await.expect(200);
    app.operator().delete(&format!("{OPERATORS}/{id}")).await.expect(204);
    app.client(As::Bearer(&token)).get(OPERATORS).await.problem(401, "UNAUTHORIZED");
    let app = app.restart().await;
    app.client(As::Bearer(&token)).get(OPERATORS).await.problem(401, "UNAUTHORIZED");
}

#[tokio::test]
async fn a_change_of_roles_counts_at_once_and_survives_a_restart() {
    let app = TestApp::start().await;
    let (id, token) = app.operator_with("default", &["readonly"]).await;
    let path = format!("{OPERATORS}/{id}");
    app.client(As::Bearer(&token)).post(OPERATORS, json!({})).await.problem(403, "FORBIDDEN");
    app.operator().patch(&path, json!({"roles": ["admin"]})).await.expect(200);
    let may = app.client(As::Bearer(&token)).post(OPERATORS, json!({})).await;
    may.problem(400, "VALIDATION_ERROR");
    app.operator().patch(&path, json!({"roles": ["readonly"]})).await.expect(200);
    app.client(As::Bearer(&token)).post(OPERATORS, json!({})).await.problem(403, "FORBIDDEN");
    let app = app.restart().await;
    app.client(As::Bearer(&token)).post(OPERATORS, json!({})).await.problem(403, "FORBIDDEN");
    app.client(As::Bearer(&token)).get(OPERATORS).await.expect(200);
}
