//! AuthZEN Authorization API 1.0.

use reqwest::Method;
use serde_json::{Value, json};

use super::REGISTRY;
use crate::support::{Answer, As, TestApp};

const EVALUATION: &str = "/access/v1/evaluation";
const EVALUATIONS: &str = "/access/v1/evaluations";

/// Ann may read and write what is in the wiki, Bob may read it, and everybody has a pin.
async fn start() -> TestApp {
    let app = TestApp::start().await;
    let pages: Vec<Value> =
        (0..250).map(|n| json!({"id": format!("page:{n}"), "type": "page"})).collect();
    let snapshot = json!({
        "version": "1", "tenant": "wiki.example", "systems": [{"id": "wiki"}],
        "resource_manifests": [{"id": "pages", "system": "wiki", "actions": ["read", "write"],
            "relations": {"editor": ["read", "write"]}, "resources": pages}],
        "subjects": [{"id": "ann", "type": "user"}, {"id": "bob", "type": "user"}, {"id": "cy", "type": "user"},
            {"id": "robot", "type": "bot"}],
        "groups": [], "teams": [], "tenants": [],
        "relationships": [{"subject": "ann", "relation": "editor", "object": "pages"},
            {"subject": "bob", "relation": "read", "object": "system:wiki"},
            {"subject": "robot", "relation": "read", "object": "pages"},
            {"subject": "cy", "relation": "write", "object": "page:7"}],
    });
    app.operator().post(REGISTRY, snapshot).await.expect(200);
    app
}

fn asks(who: &str, action: &str, page: &str) -> Value {
    json!({"subject": {"type": "user", "id": who}, "action": {"name": action},
        "resource": {"type": "page", "id": page}, "context": {"time": "2026-01-31T12:00:00Z"}, "more": 1})
}

async fn decisions(app: &TestApp, body: Value) -> Vec<bool> {
    let answer = app.operator().post(EVALUATIONS, body).await.expect(200);
    let items = answer["evaluations"].as_array().unwrap();
    items.iter().map(|item| item["decision"].as_bool().unwrap()).collect()
}

#[tokio::test]
async fn an_evaluation_is_the_decision_of_check_with_the_same_id() {
    let app = start().await;
    for (who, action, permitted) in
        [("ann", "write", true), ("bob", "write", false), ("bob", "read", true)]
    {
        let answer = app.operator().post(EVALUATION, asks(who, action, "page:1")).await.expect(200);
        assert_eq!(answer["decision"], permitted);
        let mut question = asks(who, action, "page:1");
        question["action"] = action.into();
        question.as_object_mut().unwrap().remove("more");
        let checked = app.operator().post("/v1/check", question).await.expect(200);
        assert_eq!(answer["context"]["id"], checked["id"]);
        assert_eq!(answer["context"]["reason"], checked["reason"]);
    }
    let request =
        app.operator().request(Method::POST, EVALUATION).header("x-request-id", "bfe9eb29");
    let answer = Answer::to(request.json(&asks("ann", "read", "page:1"))).await;
    assert_eq!((answer.status.as_u16(), answer.header("x-request-id")), (200, "bfe9eb29"));
}

#[tokio::test]
async fn what_is_malformed_is_a_bad_request_and_nothing_else() {
    let app = start().await;
    let send = |path: &'static str, kind: &'static str, body: String| {
        Answer::to(
            app.operator().request(Method::POST, path).header("content-type", kind).body(body),
        )
    };
    for path in [
        EVALUATION,
        EVALUATIONS,
        "/access/v1/search/subject",
        "/access/v1/search/resource",
        "/access/v1/search/action",
    ] {
        for body in
            ["", "{", "[]", "null", "{}", "{\"subject\":1}", "{\"subject\":{},\"subject\":{}}"]
        {
            let answer = send(path, "application/json", body.to_owned()).await;
            assert_eq!(answer.status, 400, "{path} {body}: {}", answer.text);
        }
        assert_eq!(
            send(path, "text/plain", asks("ann", "read", "page:1").to_string()).await.status,
            400
        );
        assert_eq!(app.operator().get(path).await.status, 405);
        app.nobody().post(path, asks("ann", "read", "page:1")).await.expect(401);
    }
    for (pointer, wrong) in [
        ("/subject/type", json!(1)),
        ("/subject/id", json!(null)),
        ("/action/name", json!("")),
        ("/action", json!("read")),
        ("/resource/id", json!({})),
        ("/context", json!([])),
        ("/subject/properties", json!("x")),
    ] {
        let mut question = asks("ann", "read", "page:1");
        *question.pointer_mut(pointer).unwrap_or(&mut Value::Null) = wrong.clone();
        if pointer.ends_with("properties") {
            question["subject"]["properties"] = wrong;
        }
        app.operator().post(EVALUATION, question).await.problem(400, "VALIDATION_ERROR");
    }
}

#[tokio::test]
async fn several_questions_take_what_they_do_not_say_from_beside_them() {
    let app = start().await;
    let mut body = asks("bob", "read", "page:1");
    body["evaluations"] = json!([{}, {"action": {"name": "write"}}, {"subject": {"type": "user", "id": "ann"}, "action": {"name": "write"}}]);
    assert_eq!(decisions(&app, body.clone()).await, [true, false, true]);
    body["options"] = json!({"evaluations_semantic": "execute_all", "other": 1});
    assert_eq!(decisions(&app, body.clone()).await.len(), 3);
    body["options"] = json!({"evaluations_semantic": "deny_on_first_deny"});
    assert_eq!(decisions(&app, body.clone()).await, [true, false]);
    body["options"] = json!({"evaluations_semantic": "permit_on_first_permit"});
    assert_eq!(decisions(&app, body.clone()).await, [true]);
    let before = app.events("decision.made").await.len();
    decisions(&app, body.clone()).await;
    assert_eq!(
        app.events("decision.made").await.len(),
        before + 1,
        "what was not asked is no event"
    );
    body["options"] = json!({"evaluations_semantic": "sometimes"});
    app.operator().post(EVALUATIONS, body).await.problem(400, "VALIDATION_ERROR");
    for none in [json!([]), json!(null)] {
        let mut body = asks("bob", "read", "page:1");
        body["evaluations"] = none;
        assert_eq!(app.operator().post(EVALUATIONS, body).await.expect(200)["decision"], true);
    }
}

#[tokio::test]
async fn a_broken_item_is_false_and_the_others_stand() {
    let app = start().await;
    let mut body = asks("bob", "read", "page:1");
    body["evaluations"] =
        json!([{}, {"resource": {"type": "page"}}, 7, {"action": {"name": "read"}}]);
    let answer = app.operator().post(EVALUATIONS, body.clone()).await.expect(200);
    let items = answer["evaluations"].as_array().unwrap();
    let told: Vec<bool> = items.iter().map(|item| item["decision"].as_bool().unwrap()).collect();
    assert_eq!(told, [true, false, false, true]);
    assert_eq!(
        items[1]["context"]["error"],
        json!({"status": 400, "message": "/resource/id: is missing"})
    );
    assert!(items[3]["context"]["id"].is_string());
    body["options"] = json!({"evaluations_semantic": "deny_on_first_deny"});
    assert_eq!(decisions(&app, body).await, [true, false]);
}

/// All pages of a search: what was found, by the member that names it.
async fn found(
    app: &TestApp,
    kind: &str,
    mut body: Value,
    name: &str,
    limit: usize,
) -> Vec<String> {
    let mut all = Vec::new();
    loop {
        body["page"]["limit"] = limit.into();
        let path = format!("/access/v1/search/{kind}");
        let answer = app.operator().post(&path, body.clone()).await.expect(200);
        let results = answer["results"].as_array().unwrap();
        assert!(results.len() <= limit && answer["page"]["count"] == results.len());
        all.extend(results.iter().map(|one| one[name].as_str().unwrap().to_owned()));
        match answer["page"]["next_token"].as_str().unwrap() {
            "" => return all,
            token => body["page"]["token"] = token.into(),
        }
    }
}

#[tokio::test]
async fn searches_find_exactly_what_evaluations_permit_page_by_page() {
    let app = start().await;
    let question = asks("ann", "write", "page:7");
    for limit in [1, 2, 100] {
        assert_eq!(found(&app, "subject", question.clone(), "id", limit).await, ["ann", "cy"]);
        assert_eq!(found(&app, "action", question.clone(), "name", limit).await, ["read", "write"]);
    }
    let pages: Vec<String> = (0..250).map(|n| format!("page:{n}")).collect();
    for limit in [7, 100, 1_000] {
        assert_eq!(found(&app, "resource", question.clone(), "id", limit).await, pages);
    }
    assert_eq!(found(&app, "resource", asks("cy", "write", "page:0"), "id", 3).await, ["page:7"]);
    assert_eq!(found(&app, "resource", asks("nobody", "write", "x"), "id", 3).await, [""; 0]);
    let mut bots = asks("x", "read", "page:1");
    bots["subject"]["type"] = "bot".into();
    assert_eq!(found(&app, "subject", bots, "id", 3).await, ["robot"]);
    for page in [
        json!(1),
        json!({"limit": 0}),
        json!({"limit": -1}),
        json!({"token": "x"}),
        json!({"token": 1}),
    ] {
        let mut question = question.clone();
        question["page"] = page;
        app.operator()
            .post("/access/v1/search/subject", question)
            .await
            .problem(400, "VALIDATION_ERROR");
    }
    let event = app.events("decision.made").await.remove(0);
    assert_eq!(
        (&event["metadata"]["search"], &event["metadata"]["results"]),
        (&json!("subject"), &json!(1))
    );
}

#[tokio::test]
async fn who_may_ask_about_itself_alone_finds_nobody_else() {
    let app = start().await;
    let agent = app.agent("one", &["decisions:ask"]).await;
    let token = app.token(&agent).await;
    let client = app.client(As::Bearer(&token));
    let own = json!({"subject": {"type": "agent", "id": agent.id}, "action": {"name": "read"}, "resource": {"type": "page", "id": "page:1"}});
    client.post(EVALUATION, own.clone()).await.expect(200);
    client.post("/access/v1/search/resource", own.clone()).await.expect(200);
    client.post("/access/v1/search/action", own.clone()).await.expect(200);
    client.post("/access/v1/search/subject", own).await.problem(403, "INSUFFICIENT_SCOPE");
    for path in [EVALUATION, "/access/v1/search/resource", "/access/v1/search/action"] {
        client.post(path, asks("ann", "read", "page:1")).await.problem(403, "INSUFFICIENT_SCOPE");
    }
}

#[tokio::test]
async fn one_finds_out_where_the_endpoints_are() {
    let app = start().await;
    let told = app.nobody().get("/.well-known/authzen-configuration").await.expect(200);
    assert_eq!(told["policy_decision_point"], *app.server.app.law.issuer);
    for (name, path) in [
        ("access_evaluation_endpoint", EVALUATION),
        ("access_evaluations_endpoint", EVALUATIONS),
        ("search_subject_endpoint", "/access/v1/search/subject"),
        ("search_resource_endpoint", "/access/v1/search/resource"),
        ("search_action_endpoint", "/access/v1/search/action"),
    ] {
        assert_eq!(told[name], format!("{}{path}", app.server.app.law.issuer), "{name}");
    }
}
