//! What the record says of operators: each change once, with who made it and why they might.

use insta::assert_json_snapshot;
use serde_json::json;

use super::{OPERATORS, new_operator, one};
use crate::support::{As, TestApp};

#[tokio::test]
async fn each_change_is_recorded_once_with_who_made_it_and_why_they_might() {
    let app = TestApp::start().await;
    let (admin, token) = app.operator_with("default", &["admin"]).await;
    let admins = app.client(As::Bearer(&token));
    let made = admins.post(OPERATORS, new_operator("olga", &["readonly"])).await;
    let path = one(&made.expect(201));
    let changed = admins.patch(&path, json!({"displayName": "Olga II"})).await;
    let token = admins.post(&format!("{path}/tokens"), json!({})).await;
    let of_token = format!("{path}/tokens/{}", token.expect(201)["tokenId"].as_str().unwrap());
    let revoked = admins.delete(&of_token).await;
    let removed = admins.delete(&path).await;
    let id = made.json()["operatorId"].clone();
    for (action, answer) in [
        ("operator.created", &made),
        ("operator.updated", &changed),
        ("operator.token_created", &token),
        ("operator.token_revoked", &revoked),
        ("operator.removed", &removed),
    ] {
        let resource = format!("operators/{}", id.as_str().unwrap());
        let mut events = app.events(action).await;
        events.retain(|event| event["resource"] == resource);
        assert_eq!(events.len(), 1, "{action}");
        let event = &events[0];
        assert_eq!((&event["actorType"], &event["actorId"]), (&json!("operator"), &json!(admin)));
        assert_eq!((&event["outcome"], &event["tenant"]), (&json!("success"), &json!("default")));
        assert_eq!(event["requestId"], answer.header("x-request-id"), "{action}");
        assert!(event["decisionId"].as_str().unwrap().starts_with("decision:"), "{event}");
        assert!(!event.to_string().contains("op_live_"), "{event}");
    }
}

#[tokio::test]
async fn a_change_is_recorded_with_what_it_changed_and_what_holds_now() {
    let app = TestApp::start().await;
    let made = app.operator().post(OPERATORS, new_operator("olga", &["readonly"])).await;
    let change = json!({"roles": ["engineer"], "maxApprovalLevel": 3});
    app.operator().patch(&one(&made.expect(201)), change).await.expect(200);
    let event = app.events("operator.updated").await.remove(0);
    assert_json_snapshot!(event["metadata"], @r#"
    {
      "changed": [
        "maxApprovalLevel",
        "roles"
      ],
      "displayName": "Olga",
      "email": "olga@people.example",
      "level": 3,
      "roles": [
        "engineer"
      ]
    }
    "#);
}

#[tokio::test]
async fn what_was_refused_is_not_recorded_as_done() {
    let app = TestApp::start().await;
    let path =
        one(&app.operator().post(OPERATORS, new_operator("olga", &["dev"])).await.expect(201));
    app.operator().post(OPERATORS, new_operator("olga", &["dev"])).await.expect(409);
    app.operator().patch(&path, json!({"roles": ["king"]})).await.expect(400);
    let revoked = app.operator().delete(&format!("{path}/tokens/bootstrap")).await;
    revoked.problem(404, "TOKEN_NOT_FOUND");
    assert_eq!(app.events("operator.created").await.len(), 1);
    assert_eq!(app.events("operator.updated").await.len(), 0);
    assert_eq!(app.events("operator.token_revoked").await.len(), 0);
}
