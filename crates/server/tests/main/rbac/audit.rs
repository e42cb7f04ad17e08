//! Decisions by roles, as they are searched.

use std::time::Duration;

use insta::assert_json_snapshot;
use serde_json::{Value, json};

use crate::support::{As, TestApp};

const AUDIT: &str = "/api/v1/rbac/audit";
const AGENTS: &str = "/api/v1/agents";

async fn search(app: &TestApp, query: &str) -> Value {
    app.operator().get(&format!("{AUDIT}?{query}")).await.expect(200)
}

/// Three refusals of an operator, a second apart: of agents, operators, tenants.
async fn refusals(app: &TestApp) -> (String, String) {
    let (id, token) = app.operator_with("default", &["readonly"]).await;
    let reader = app.client(As::Bearer(&token));
    reader.post(AGENTS, json!({})).await.expect(403);
    app.pass(Duration::from_secs(1));
    reader.post("/api/v1/operators", json!({})).await.expect(403);
    app.pass(Duration::from_secs(1));
    reader.get("/api/v1/tenants/acme").await.expect(403);
    (id, token)
}

#[tokio::test]
async fn a_decision_is_shown_with_who_asked_for_what_and_why_not() {
    let app = TestApp::start().await;
    let (id, _) = refusals(&app).await;
    let found = search(&app, "").await;
    assert_eq!(found["entries"][0]["subject"], id.as_str());
    let event = app.events("decision.made").await.remove(0);
    for (name, of_event) in
        [("id", "eventId"), ("decision_id", "decisionId"), ("request_id", "requestId")]
    {
        assert_eq!(found["entries"][0][name], event[of_event]);
    }
    assert_eq!(
        (&found["total"], &found["limit"], &found["offset"]),
        (&json!(3), &json!(100), &json!(0))
    );
    assert_json_snapshot!(found["entries"][0], {
        ".id" => "[event]", ".subject" => "[operator]", ".decision_id" => "[decision]",
        ".request_id" => "[request]",
    }, @r#"
    {
      "action": "read",
      "allowed": false,
      "decision_id": "[decision]",
      "id": "[event]",
      "reason": "insufficient-permissions",
      "request_id": "[request]",
      "resource": "tenants",
      "resource_id": "acme",
      "subject": "[operator]",
      "subject_type": "operator",
      "tenant_id": "default",
      "timestamp": "2026-01-01T00:00:02.000Z"
    }
    "#);
}

#[tokio::test]
async fn decisions_are_found_by_any_of_their_features() {
    let app = TestApp::start().await;
    let (id, _) = refusals(&app).await;
    app.nobody().get(AGENTS).await.expect(401);
    for (query, total) in [
        ("resource=agents".to_owned(), 2),
        ("resource=agents&action=write".to_owned(), 1),
        ("action=read".to_owned(), 2),
        ("allowed=false".to_owned(), 4),
        ("allowed=true".to_owned(), 0),
        (format!("subject={id}"), 3),
        ("subject=nobody".to_owned(), 0),
        ("since=2026-01-01T00:00:02Z".to_owned(), 2),
        ("since=2026-01-01T00:00:02.000001Z".to_owned(), 0),
        ("tenant_id=default".to_owned(), 4),
        ("tenant_id=nobody".to_owned(), 0),
        (format!("subject={id}&resource=operators&action=write&allowed=false"), 1),
    ] {
        let found = search(&app, &query).await;
        assert_eq!(found["total"], total, "{query}: {found}");
        assert_eq!(found["entries"].as_array().unwrap().len(), total, "{query}");
    }
}

#[tokio::test]
async fn pages_follow_each_other_from_the_newest_to_the_oldest() {
    let app = TestApp::start().await;
    refusals(&app).await;
    let mut resources = Vec::new();
    for offset in 0..4 {
        let found = search(&app, &format!("limit=1&offset={offset}")).await;
        assert_eq!((&found["total"], &found["offset"]), (&json!(3), &json!(offset)));
        resources.push(found["entries"][0]["resource"].clone());
    }
    assert_eq!(resources, [json!("tenants"), json!("operators"), json!("agents"), Value::Null]);
    let found = search(&app, "limit=1000&offset=1000000").await;
    assert_eq!((&found["total"], &found["entries"]), (&json!(3), &json!([])));
}

#[tokio::test]
async fn every_bad_parameter_is_named_at_once() {
    let app = TestApp::start().await;
    let query = "resource=&action=&allowed=yes&subject=&tenant_id=&since=today&limit=1001\
                 &offset=-1&colour=red";
    let refused = app.operator().get(&format!("{AUDIT}?{query}")).await;
    let problem = refused.problem(400, "VALIDATION_ERROR");
    let named: Vec<_> = problem["details"].as_object().unwrap().keys().collect();
    let all = [
        "action",
        "allowed",
        "colour",
        "limit",
        "offset",
        "resource",
        "since",
        "subject",
        "tenant_id",
    ];
    assert_eq!(named, all);
    for query in [
        "limit=0",
        "offset=99999999999999999999",
        "offset=1000001",
        "limit=1&limit=1",
        "allowed=TRUE",
        "allowed=1",
        "since=",
        "resource=%00",
    ] {
        let refused = app.operator().get(&format!("{AUDIT}?{query}")).await;
        refused.problem(400, "VALIDATION_ERROR");
    }
}

#[tokio::test]
async fn another_tenants_decisions_are_for_infra_alone() {
    let app = TestApp::start().await;
    let theirs = app.tenant("acme", "unlimited").await;
    let (_, reader) = app.operator_with("acme", &["readonly"]).await;
    app.client(As::Bearer(&reader)).post(AGENTS, json!({})).await.expect(403);
    let (_, admin) = app.operator_with("default", &["admin"]).await;
    let path = format!("{AUDIT}?tenant_id=acme");
    let foreign = app.client(As::Bearer(&admin)).get(&path).await;
    assert_eq!(foreign.problem(403, "FORBIDDEN")["error"], "forbidden");
    let foreign = app.client(As::Bearer(&theirs)).get(&format!("{AUDIT}?tenant_id=default")).await;
    foreign.problem(403, "FORBIDDEN");
    let own = app.client(As::Bearer(&theirs)).get(&path).await.expect(200);
    // What the reader, and their own administrator, were refused.
    assert_eq!((&own["total"], &own["entries"][0]["tenant_id"]), (&json!(2), &json!("acme")));
    assert_eq!(search(&app, "tenant_id=acme").await, own);
    assert_eq!(app.operator().within("acme").get(AUDIT).await.expect(200), own);
    let own = search(&app, "resource=agents").await;
    assert_eq!(own["total"], 0, "not in the tenant default: {own}");
}

#[tokio::test]
async fn whoever_asks_for_another_tenants_decisions_is_refused_as_everywhere() {
    let app = TestApp::start().await;
    app.tenant("acme", "unlimited").await;
    let (id, admin) = app.operator_with("default", &["admin"]).await;
    let refused = app.client(As::Bearer(&admin)).get(&format!("{AUDIT}?tenant_id=acme")).await;
    let problem = refused.problem(403, "FORBIDDEN");
    assert_eq!([&problem["resource"], &problem["action"]], ["rbac", "read"], "{problem}");
    assert!(problem["reason"].is_string(), "{problem}");
    let denied = app.events("decision.made").await;
    assert!(denied.iter().any(|event| event["actorId"] == id.as_str()), "{denied:?}");
}
