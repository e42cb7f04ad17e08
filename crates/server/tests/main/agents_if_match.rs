//! `ETag` and `If-Match` (RFC 9110 sections 8.8.3 and 13.1.1): two who read the same agent don't
//! overwrite each other.

use reqwest::Method;
use serde_json::json;

use crate::support::{Answer, TestAgent, TestApp};

async fn started() -> (TestApp, TestAgent) {
    let app = TestApp::start().await;
    let agent = app.agent("screener", &[]).await;
    (app, agent)
}

async fn etag(app: &TestApp, agent: &TestAgent) -> String {
    app.operator().get(&format!("/api/v1/agents/{}", agent.id)).await.header("etag").to_owned()
}

/// Changes the owner, if the agent is what `if_match` says.
async fn change(app: &TestApp, agent: &TestAgent, if_match: &str, owner: &str) -> Answer {
    let path = format!("/api/v1/agents/{}", agent.id);
    let request = app.operator().request(Method::PATCH, &path).header("if-match", if_match);
    Answer::to(request.json(&json!({"owner": owner}))).await
}

#[tokio::test]
async fn a_change_passes_while_nobody_else_made_one() {
    let (app, agent) = started().await;
    let read = etag(&app, &agent).await;
    let first = change(&app, &agent, &read, "first").await;
    assert_eq!(first.expect(200)["owner"], "first");
    assert_eq!(first.header("etag"), etag(&app, &agent).await);
    change(&app, &agent, &read, "second").await.problem(412, "PRECONDITION_FAILED");
    let path = format!("/api/v1/agents/{}", agent.id);
    assert_eq!(app.operator().get(&path).await.expect(200)["owner"], "first");
}

#[tokio::test]
async fn of_concurrent_changes_of_what_was_read_exactly_one_wins() {
    let (app, agent) = started().await;
    let read = etag(&app, &agent).await;
    let attempt = |owner| change(&app, &agent, &read, owner);
    let answers: [_; 4] =
        tokio::join!(attempt("a"), attempt("b"), attempt("c"), attempt("d")).into();
    let (won, lost): (Vec<_>, Vec<_>) = answers.iter().partition(|one| one.status == 200);
    assert_eq!((won.len(), lost.len()), (1, 3));
    for answer in lost {
        answer.problem(412, "PRECONDITION_FAILED");
    }
    assert_eq!(app.events("agent.updated").await.len(), 1);
}

#[tokio::test]
async fn concurrent_changes_without_it_all_happen() {
    let (app, agent) = started().await;
    let (operator, path) = (app.operator(), format!("/api/v1/agents/{}", agent.id));
    let attempt = |body| operator.patch(&path, body);
    let answers: [_; 3] = tokio::join!(
        attempt(json!({"owner": "others"})),
        attempt(json!({"version": "2.0.0"})),
        attempt(json!({"deploymentEnv": "staging"}))
    )
    .into();
    for answer in answers {
        answer.expect(200);
    }
    let agent = app.operator().get(&path).await.expect(200);
    let fields = [&agent["owner"], &agent["version"], &agent["deploymentEnv"]];
    assert_eq!(fields, ["others", "2.0.0", "staging"]);
}

#[tokio::test]
async fn a_star_matches_whatever_there_is() {
    let (app, agent) = started().await;
    change(&app, &agent, "*", "others").await.expect(200);
}

#[tokio::test]
async fn a_list_matches_by_any_of_its_tags() {
    let (app, agent) = started().await;
    let list = format!("\"another\", {}", etag(&app, &agent).await);
    change(&app, &agent, &list, "others").await.expect(200);
    let list = "\"another\", \"yet-another\"";
    change(&app, &agent, list, "others").await.problem(412, "PRECONDITION_FAILED");
}

#[tokio::test]
async fn a_weak_or_malformed_tag_matches_nothing() {
    let (app, agent) = started().await;
    let tag = etag(&app, &agent).await;
    for wrong in [format!("W/{tag}"), tag.replace('"', ""), "\"\"".to_owned()] {
        change(&app, &agent, &wrong, "others").await.problem(412, "PRECONDITION_FAILED");
    }
}

#[tokio::test]
async fn decommissioning_obeys_it_too() {
    let (app, agent) = started().await;
    let stale = etag(&app, &agent).await;
    change(&app, &agent, "*", "others").await.expect(200);
    let path = format!("/api/v1/agents/{}", agent.id);
    let end = |tag: &str| app.operator().request(Method::DELETE, &path).header("if-match", tag);
    Answer::to(end(&stale)).await.problem(412, "PRECONDITION_FAILED");
    Answer::to(end(&etag(&app, &agent).await)).await.expect(204);
}
