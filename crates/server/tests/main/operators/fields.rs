//! What each field of an operator must be.

use insta::assert_json_snapshot;
use reqwest::Method;
use serde_json::{Value, json};

use super::{OPERATORS, make, new_operator, one};
use crate::support::{Answer, TestApp};

/// Sends a body as it stands.
async fn send(app: &TestApp, method: Method, path: &str, body: impl Into<reqwest::Body>) -> Answer {
    let request = app.operator().request(method, path).header("content-type", "application/json");
    Answer::to(request.body(body)).await
}

fn named(answer: &Answer) -> Vec<String> {
    let problem = answer.problem(400, "VALIDATION_ERROR");
    problem["details"].as_object().unwrap().keys().cloned().collect()
}

#[tokio::test]
async fn every_bad_field_of_a_new_operator_is_named_at_once() {
    let app = TestApp::start().await;
    let bad = json!({
        "email": "olga", "displayName": "", "roles": ["king"], "maxApprovalLevel": 6,
        "operatorId": "bootstrap", "colour": "red",
    });
    let problem = app.operator().post(OPERATORS, bad).await.problem(400, "VALIDATION_ERROR");
    assert_json_snapshot!(problem["details"], @r#"
    {
      "colour": "is not a known field",
      "displayName": "must have 1 to 128 characters",
      "email": "must be an address such as `name@agents.example`",
      "maxApprovalLevel": "must be an integer from 1 to 5",
      "operatorId": "is not a known field",
      "roles": "item 0: must be one of `infra`, `admin`, `machine`, `dev`, `approver`, `readonly`, or an alias of one"
    }
    "#);
    assert_eq!(app.events("operator.created").await.len(), 0);
}

#[tokio::test]
async fn every_field_that_a_new_operator_lacks_is_named() {
    let app = TestApp::start().await;
    let answer = app.operator().post(OPERATORS, json!({})).await;
    assert_eq!(named(&answer), ["displayName", "email", "roles"]);
}

#[tokio::test]
async fn every_bad_field_of_a_change_is_named_at_once() {
    let app = TestApp::start().await;
    let path = one(&make(&app, "olga", &["readonly"]).await);
    let bad = json!({
        "email": null, "displayName": 7, "roles": [], "maxApprovalLevel": "5",
        "operatorId": "x", "tenant": "other", "approvalLevel": 5, "createdAt": "now",
        "updatedAt": "now", "token": "op_live_",
    });
    let problem = app.operator().patch(&path, bad).await.problem(400, "VALIDATION_ERROR");
    assert_json_snapshot!(problem["details"], @r#"
    {
      "approvalLevel": "can't be changed",
      "createdAt": "can't be changed",
      "displayName": "must be a string",
      "email": "must be a string",
      "maxApprovalLevel": "must be an integer from 1 to 5",
      "operatorId": "can't be changed",
      "roles": "must have at least one",
      "tenant": "can't be changed",
      "token": "is not a known field",
      "updatedAt": "can't be changed"
    }
    "#);
    assert_eq!(app.events("operator.updated").await.len(), 0);
}

#[tokio::test]
async fn a_change_that_changes_nothing_is_refused() {
    let app = TestApp::start().await;
    let path = one(&make(&app, "olga", &["readonly"]).await);
    app.operator().patch(&path, json!({})).await.problem(400, "VALIDATION_ERROR");
}

#[tokio::test]
async fn roles_are_of_the_matrix_each_once_and_at_least_one() {
    let app = TestApp::start().await;
    let many: Vec<String> = (0..33).map(|n| format!("role{n}")).collect();
    for wrong in [
        json!([]),
        json!(["king"]),
        json!(["admin", "admin"]),
        json!(["Admin"]),
        json!(["admin "]),
        json!(["admin infra"]),
        json!([""]),
        json!([null]),
        json!([["admin"]]),
        json!("admin"),
        json!({"0": "admin"}),
        json!(null),
        json!(["a\0b"]),
        json!(["x".repeat(200_000)]),
        json!(many),
    ] {
        let mut body = new_operator("olga", &[]);
        body["roles"] = wrong.clone();
        let answer = app.operator().post(OPERATORS, body).await;
        assert_eq!(named(&answer), ["roles"], "{}", answer.text);
        assert!(answer.text.len() < 2_000, "what was sent is not sent back");
    }
}

#[tokio::test]
async fn a_level_by_hand_is_an_integer_from_1_to_5() {
    let app = TestApp::start().await;
    for wrong in [json!(0), json!(6), json!(-1), json!(2.5), json!("3"), json!(null), json!(true)] {
        let mut body = new_operator("olga", &["readonly"]);
        body["maxApprovalLevel"] = wrong;
        let answer = app.operator().post(OPERATORS, body).await;
        assert_eq!(named(&answer), ["maxApprovalLevel"], "{}", answer.text);
    }
}

#[tokio::test]
async fn what_is_hostile_in_a_body_is_refused_by_its_field() {
    let app = TestApp::start().await;
    let path = one(&make(&app, "olga", &["readonly"]).await);
    let long = "x".repeat(200_000);
    for (body, field) in [
        (json!({"displayName": "a\0b"}).to_string(), "displayName"),
        (json!({"displayName": long}).to_string(), "displayName"),
        (json!({"displayName": {"first": "Olga"}}).to_string(), "displayName"),
        (json!({"displayName": ["Olga"]}).to_string(), "displayName"),
        (json!({"email": format!("{long}@people.example")}).to_string(), "email"),
        (json!({"email": "a\0@people.example"}).to_string(), "email"),
        (json!({"email": "olga@people.example\r\nBcc: x"}).to_string(), "email"),
        (r#"{"displayName":"a","displayName":"b"}"#.to_owned(), "displayName"),
        (r#"{"displayName":"a","display\u004eame":"b"}"#.to_owned(), "displayName"),
        (r#"{"roles":["readonly"],"roles":["infra"]}"#.to_owned(), "roles"),
        (r#"{"maxApprovalLevel":1e0}"#.to_owned(), "maxApprovalLevel"),
        (r#"{"maxApprovalLevel":18446744073709551616}"#.to_owned(), "maxApprovalLevel"),
        (r#"{"display_name":"Olga"}"#.to_owned(), "display_name"),
    ] {
        let answer = send(&app, Method::PATCH, &path, body.clone()).await;
        assert_eq!(named(&answer), [field], "{}", &body[..body.len().min(60)]);
    }
    assert_eq!(app.events("operator.updated").await.len(), 0);
}

#[tokio::test]
async fn an_id_has_one_spelling_and_may_be_percent_encoded() {
    let app = TestApp::start().await;
    let made = make(&app, "olga", &["readonly"]).await;
    let id = made["operatorId"].as_str().unwrap();
    for wrong in [
        id.to_uppercase(),
        id.replace('-', ""),
        format!("{{{id}}}"),
        format!("{id}%00"),
        format!("%20{id}"),
        "Bootstrap".into(),
        "bootstrap%0a".into(),
        "%ff".into(),
        "1".repeat(10_000),
    ] {
        let refused = app.operator().get(&format!("{OPERATORS}/{wrong}")).await;
        refused.problem(400, "VALIDATION_ERROR");
    }
    let encoded: String = id.bytes().map(|byte| format!("%{byte:02x}")).collect();
    let shown = app.operator().get(&format!("{OPERATORS}/{encoded}")).await.expect(200);
    assert_eq!(shown, made);
    app.operator().get(&format!("{OPERATORS}/{id}%2ftokens")).await.expect(400);
}

#[tokio::test]
async fn a_level_is_by_the_highest_role_until_it_is_given_by_hand_and_by_the_roles_again() {
    let app = TestApp::start().await;
    for (roles, level) in [
        (vec!["readonly"], 1),
        (vec!["guest"], 1),
        (vec!["dev"], 1),
        (vec!["machine"], 1),
        (vec!["developer"], 2),
        (vec!["engineer", "guest"], 2),
        (vec!["team_member"], 2),
        (vec!["approver"], 3),
        (vec!["tech_lead", "developer"], 3),
        (vec!["manager"], 4),
        (vec!["readonly", "director"], 4),
        (vec!["owner"], 5),
        (vec!["admin"], 5),
        (vec!["infra"], 5),
    ] {
        let made = make(&app, &roles.join("-"), &roles).await;
        assert_eq!(made["approvalLevel"], level, "{roles:?}");
        assert_eq!(made.get("maxApprovalLevel"), None, "{roles:?}");
        let path = one(&made);
        let by_hand = app.operator().patch(&path, json!({"maxApprovalLevel": 2})).await.expect(200);
        assert_eq!([&by_hand["approvalLevel"], &by_hand["maxApprovalLevel"]], [2, 2], "{roles:?}");
        let again = json!({"maxApprovalLevel": null});
        let again = app.operator().patch(&path, again).await.expect(200);
        assert_eq!(again["approvalLevel"], level, "{roles:?}");
        assert_eq!(again.get("maxApprovalLevel"), None, "{roles:?}");
    }
}

#[tokio::test]
async fn a_level_by_hand_stays_when_the_roles_change() {
    let app = TestApp::start().await;
    let mut body = new_operator("olga", &["readonly"]);
    body["maxApprovalLevel"] = json!(4);
    let made = app.operator().post(OPERATORS, body).await.expect(201);
    let changed = app.operator().patch(&one(&made), json!({"roles": ["admin"]})).await.expect(200);
    assert_eq!([&changed["approvalLevel"], &changed["maxApprovalLevel"]], [4, 4]);
}

fn email(address: &str) -> Value {
    json!({"email": address})
}

#[tokio::test]
async fn an_email_is_one_operators_in_a_tenant_until_they_are_removed() {
    let app = TestApp::start().await;
    app.tenant("other", "unlimited").await;
    let olga = make(&app, "olga", &["readonly"]).await;
    let bert = make(&app, "bert", &["readonly"]).await;
    let operator = app.operator();
    operator.post(OPERATORS, new_operator("olga", &["readonly"])).await.problem(409, "CONFLICT");
    let taken = app.operator().patch(&one(&bert), email("olga@people.example")).await;
    taken.problem(409, "CONFLICT");
    let own = app.operator().patch(&one(&olga), email("olga@people.example")).await;
    own.expect(200);
    let elsewhere = app.operator().within("other");
    elsewhere.post(OPERATORS, new_operator("olga", &["readonly"])).await.expect(201);
    app.operator().delete(&one(&olga)).await.expect(204);
    app.operator().post(OPERATORS, new_operator("olga", &["readonly"])).await.expect(201);
}
