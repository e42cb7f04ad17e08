//! `ETag` and `If-Match`, and who comes first: of two who change an operator at once none is lost.

use futures_util::future::join_all;
use reqwest::Method;
use serde_json::json;

use super::{OPERATORS, make, new_operator, one};
use crate::support::{Answer, TestApp};

async fn etag(app: &TestApp, path: &str) -> String {
    app.operator().get(path).await.header("etag").to_owned()
}

/// Changes the name, if the operator is what `if_match` says.
async fn rename(app: &TestApp, path: &str, if_match: &str, name: &str) -> Answer {
    let request = app.operator().request(Method::PATCH, path).header("if-match", if_match);
    Answer::to(request.json(&json!({"displayName": name}))).await
}

async fn remove(app: &TestApp, path: &str, if_match: &str) -> Answer {
    let request = app.operator().request(Method::DELETE, path).header("if-match", if_match);
    Answer::to(request).await
}

#[tokio::test]
async fn a_change_passes_while_nobody_else_made_one() {
    let app = TestApp::start().await;
    let path = one(&make(&app, "olga", &["readonly"]).await);
    let read = etag(&app, &path).await;
    let first = rename(&app, &path, &read, "first").await;
    first.expect(200);
    assert_eq!(first.header("etag"), etag(&app, &path).await);
    rename(&app, &path, &read, "second").await.problem(412, "PRECONDITION_FAILED");
    assert_eq!(app.operator().get(&path).await.expect(200)["displayName"], "first");
    rename(&app, &path, "*", "third").await.expect(200);
    rename(&app, &path, "\"x\", W/\"1\"", "fourth").await.problem(412, "PRECONDITION_FAILED");
}

#[tokio::test]
async fn a_removal_obeys_it_too() {
    let app = TestApp::start().await;
    let path = one(&make(&app, "olga", &["readonly"]).await);
    let stale = etag(&app, &path).await;
    rename(&app, &path, "*", "Olga II").await.expect(200);
    remove(&app, &path, &stale).await.problem(412, "PRECONDITION_FAILED");
    app.operator().get(&path).await.expect(200);
    remove(&app, &path, &etag(&app, &path).await).await.expect(204);
}

#[tokio::test]
async fn of_concurrent_changes_of_what_was_read_exactly_one_wins() {
    let app = TestApp::start().await;
    let path = one(&make(&app, "olga", &["readonly"]).await);
    let read = etag(&app, &path).await;
    let names = ["a", "b", "c", "d", "e"];
    let answers = join_all(names.map(|name| rename(&app, &path, &read, name))).await;
    let lost: Vec<_> = answers.iter().filter(|answer| answer.status != 200).collect();
    assert_eq!(lost.len(), 4);
    for answer in lost {
        answer.problem(412, "PRECONDITION_FAILED");
    }
    assert_eq!(app.events("operator.updated").await.len(), 1);
}

#[tokio::test]
async fn concurrent_changes_without_it_all_happen() {
    let app = TestApp::start().await;
    let path = one(&make(&app, "olga", &["readonly"]).await);
    let operator = app.operator();
    let bodies = [
        json!({"displayName": "Olga II"}),
        json!({"email": "olga2@people.example"}),
        json!({"maxApprovalLevel": 2}),
        json!({"roles": ["dev"]}),
    ];
    for answer in join_all(bodies.map(|body| operator.patch(&path, body))).await {
        answer.expect(200);
    }
    let shown = operator.get(&path).await.expect(200);
    let fields = [&shown["displayName"], &shown["email"], &shown["roles"][0]];
    assert_eq!(fields, ["Olga II", "olga2@people.example", "dev"]);
    assert_eq!(shown["approvalLevel"], 2);
}

#[tokio::test]
async fn of_concurrent_operators_with_one_email_exactly_one_is_made() {
    let app = TestApp::start().await;
    let operator = app.operator();
    let body = new_operator("olga", &["readonly"]);
    let answers = join_all((0..5).map(|_| operator.post(OPERATORS, body.clone()))).await;
    let lost: Vec<_> = answers.iter().filter(|answer| answer.status != 201).collect();
    assert_eq!(lost.len(), 4);
    for answer in lost {
        answer.problem(409, "CONFLICT");
    }
    assert_eq!(app.events("operator.created").await.len(), 1);
}

#[tokio::test]
async fn an_email_that_is_taken_meanwhile_is_a_conflict_for_one_of_the_two() {
    let app = TestApp::start().await;
    let path = one(&make(&app, "bert", &["readonly"]).await);
    let operator = app.operator();
    for round in 0..10 {
        let name = format!("olga{round}");
        let address = json!({"email": format!("{name}@people.example")});
        let (made, changed) = tokio::join!(
            operator.post(OPERATORS, new_operator(&name, &["readonly"])),
            operator.patch(&path, address)
        );
        match (made.status.as_u16(), changed.status.as_u16()) {
            (201, 409) => drop(changed.problem(409, "CONFLICT")),
            (409, 200) => drop(made.problem(409, "CONFLICT")),
            _ => panic!("{made:?} {changed:?}"),
        }
    }
}
