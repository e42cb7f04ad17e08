//! Tenants are kept by operators with the role `infra`, and by nobody else (contract 2.6).

use std::time::Duration;

use insta::assert_json_snapshot;
use reqwest::Method;
use serde_json::json;

use crate::support::{Answer, As, MACHINE, TestApp};

const TENANTS: &str = "/api/v1/tenants";

#[tokio::test]
async fn a_new_tenant_is_answered_with_where_it_is() {
    let app = TestApp::start().await;
    let made = app.operator().post(TENANTS, json!({"id": "acme", "displayName": "Acme"})).await;
    assert_json_snapshot!(made.expect(201), @r#"
    {
      "createdAt": "2026-01-01T00:00:00.000Z",
      "displayName": "Acme",
      "id": "acme",
      "plan": "unlimited",
      "updatedAt": "2026-01-01T00:00:00.000Z"
    }
    "#);
    assert_eq!(made.header("location"), "/api/v1/tenants/acme");
    assert_eq!(app.operator().get(made.header("location")).await.expect(200), made.json());
}

#[tokio::test]
async fn a_change_changes_what_it_names_and_no_more() {
    let app = TestApp::start().await;
    app.tenant("acme", "unlimited").await;
    let path = format!("{TENANTS}/acme");
    app.pass(Duration::from_secs(1));
    let changed = app.operator().patch(&path, json!({"plan": "free"})).await.expect(200);
    assert_eq!([&changed["displayName"], &changed["plan"]], ["acme", "free"]);
    assert_eq!(changed["updatedAt"], "2026-01-01T00:00:01.000Z");
    let changed = app.operator().patch(&path, json!({"displayName": "Acme"})).await.expect(200);
    assert_eq!([&changed["displayName"], &changed["plan"]], ["Acme", "free"]);
    let app = app.restart().await;
    assert_eq!(app.operator().get(&path).await.expect(200), changed);
}

#[tokio::test]
async fn tenants_are_listed_page_by_page_by_their_ids() {
    let app = TestApp::start().await;
    for id in ["b", "a"] {
        app.tenant(id, "free").await;
    }
    let page = app.operator().get(&format!("{TENANTS}?limit=2")).await.expect(200);
    assert_eq!([&page["data"][0]["id"], &page["data"][1]["id"]], ["a", "b"]);
    assert_eq!((&page["page"], &page["limit"], &page["total"]), (&json!(1), &json!(2), &json!(3)));
    let page = app.operator().get(&format!("{TENANTS}?limit=2&page=2")).await.expect(200);
    assert_eq!(page["data"][0]["id"], "default");
    for query in ["limit=101", "page=0", "page=99999999999999999999", "plan=free"] {
        let refused = app.operator().get(&format!("{TENANTS}?{query}")).await;
        refused.problem(400, "VALIDATION_ERROR");
    }
}

#[tokio::test]
async fn an_id_is_there_once() {
    let app = TestApp::start().await;
    app.tenant("acme", "free").await;
    for id in ["acme", "default"] {
        let body = json!({"id": id, "displayName": "Again"});
        app.operator().post(TENANTS, body).await.problem(409, "CONFLICT");
    }
    let shown = app.operator().get(&format!("{TENANTS}/acme")).await.expect(200);
    assert_eq!([&shown["displayName"], &shown["plan"]], ["acme", "free"]);
}

#[tokio::test]
async fn of_concurrent_tenants_with_one_id_exactly_one_is_made() {
    let app = TestApp::start().await;
    let operator = app.operator();
    let body = || json!({"id": "acme", "displayName": "Acme"});
    let (one, other) = tokio::join!(operator.post(TENANTS, body()), operator.post(TENANTS, body()));
    let lost = if one.status == 201 { other } else { one };
    lost.problem(409, "CONFLICT");
}

#[tokio::test]
async fn every_bad_field_is_named_at_once() {
    let app = TestApp::start().await;
    let bad = json!({"id": "Acme", "displayName": "", "plan": "gold", "colour": "red"});
    let problem = app.operator().post(TENANTS, bad).await.problem(400, "VALIDATION_ERROR");
    assert_json_snapshot!(problem["details"], @r#"
    {
      "colour": "is not a known field",
      "displayName": "must have 1 to 128 characters",
      "id": "must be 1 to 63 of `a-z`, `0-9` and `-`, with `-` inside only",
      "plan": "must be one of `unlimited`, `free`"
    }
    "#);
    let bad = json!({"id": "acme2", "displayName": 1, "plan": null, "createdAt": "now"});
    let path = format!("{TENANTS}/default");
    let problem = app.operator().patch(&path, bad).await.problem(400, "VALIDATION_ERROR");
    let named: Vec<_> = problem["details"].as_object().unwrap().keys().collect();
    assert_eq!(named, ["createdAt", "displayName", "id", "plan"]);
    app.operator().patch(&path, json!({})).await.problem(400, "VALIDATION_ERROR");
}

#[tokio::test]
async fn an_id_is_what_may_stand_in_a_hosts_name() {
    let app = TestApp::start().await;
    let (longest, longer) = ("x".repeat(63), "x".repeat(64));
    for right in ["a", "0", "a-b", "a--b", &longest] {
        let body = json!({"id": right, "displayName": "Right"});
        app.operator().post(TENANTS, body).await.expect(201);
    }
    let huge = "x".repeat(200_000);
    for wrong in ["", "-a", "a-", "A", "a_b", "a.b", "a b", "ä", "a/b", "a\0", "*", &longer, &huge]
    {
        let body = json!({"id": wrong, "displayName": "Wrong"});
        let problem = app.operator().post(TENANTS, body).await.problem(400, "VALIDATION_ERROR");
        assert!(problem["details"]["id"].is_string(), "{problem}");
    }
}

#[tokio::test]
async fn a_field_that_is_given_twice_or_holds_u_0000_is_refused() {
    let app = TestApp::start().await;
    for body in [
        r#"{"id":"acme","id":"acme","displayName":"Acme"}"#,
        r#"{"id":"acme","displayName":"Acme","plan":"free","plan":"unlimited"}"#,
        r#"{"id":"acme","displayName":"Acme\u0000"}"#,
    ] {
        let request = app.operator().request(Method::POST, TENANTS);
        let request = request.header("content-type", "application/json").body(body);
        Answer::to(request).await.problem(400, "VALIDATION_ERROR");
    }
    app.operator().get(&format!("{TENANTS}/acme")).await.problem(404, "TENANT_NOT_FOUND");
}

#[tokio::test]
async fn a_tenant_that_is_not_there_is_not_found() {
    let app = TestApp::start().await;
    for id in ["nobody", "Default", "default%20", "..%2fdefault", "'; DROP TABLE tenants; --"] {
        let path = format!("{TENANTS}/{id}");
        app.operator().get(&path).await.problem(404, "TENANT_NOT_FOUND");
        let changed = app.operator().patch(&path, json!({"plan": "free"})).await;
        changed.problem(404, "TENANT_NOT_FOUND");
    }
    for id in ["a%00", "%ff", "%0a", &"x".repeat(300)] {
        let refused = app.operator().get(&format!("{TENANTS}/{id}")).await;
        refused.problem(400, "VALIDATION_ERROR");
    }
    app.operator().get(&format!("{TENANTS}/%64efault")).await.expect(200);
}

#[tokio::test]
async fn only_infra_sees_and_keeps_tenants() {
    let app = TestApp::start().await;
    let (_, admin) = app.operator_with("default", &["admin"]).await;
    let theirs = app.tenant("acme", "free").await;
    let agent = app.agent("agent", &["tenants:read", "tenants:write", "agents:read"]).await;
    let agent = app.token(&agent).await;
    let path = format!("{TENANTS}/acme");
    let body = || json!({"id": "mine", "displayName": "Mine"});
    for who in [As::Bearer(&admin), As::Bearer(&theirs), As::Bearer(&agent), As::Machine(MACHINE)] {
        let client = app.client(who);
        for answer in [
            client.get(TENANTS).await,
            client.get(&path).await,
            client.post(TENANTS, body()).await,
            client.patch(&path, json!({"plan": "unlimited"})).await,
        ] {
            assert_eq!(answer.status, 403, "{answer:?}");
        }
    }
    for answer in [
        app.nobody().get(TENANTS).await,
        app.nobody().post(TENANTS, body()).await,
        app.nobody().patch(&path, json!({"plan": "unlimited"})).await,
    ] {
        answer.problem(401, "UNAUTHORIZED");
    }
    let (_, infra) = app.operator_with("acme", &["infra"]).await;
    app.client(As::Bearer(&infra)).post(TENANTS, body()).await.expect(201);
    assert_eq!(app.operator().get(&path).await.expect(200)["plan"], "free");
}

#[tokio::test]
async fn a_refusal_says_who_may() {
    let app = TestApp::start().await;
    let (_, admin) = app.operator_with("default", &["admin"]).await;
    let refused = app.client(As::Bearer(&admin)).get(TENANTS).await.problem(403, "FORBIDDEN");
    assert_json_snapshot!(refused, {".request_id" => "[id]", ".decision_id" => "[decision]"}, @r#"
    {
      "action": "read",
      "code": "FORBIDDEN",
      "decision_id": "[decision]",
      "detail": "this is for operators with the role `infra`",
      "error": "forbidden",
      "message": "this is for operators with the role `infra`",
      "reason": "insufficient-permissions",
      "request_id": "[id]",
      "resource": "tenants",
      "status": 403,
      "title": "Permission denied",
      "type": "urn:countersign:error:forbidden"
    }
    "#);
}

#[tokio::test]
async fn a_change_is_recorded_in_the_tenant_that_it_touches() {
    let app = TestApp::start().await;
    let admin = app.tenant("acme", "free").await;
    let path = format!("{TENANTS}/acme");
    let changed = app.operator().patch(&path, json!({"plan": "unlimited"})).await;
    for action in ["tenant.created", "tenant.updated"] {
        assert_eq!(app.events(action).await.len(), 0, "nothing in the tenant default");
        let path = format!("/api/v1/audit?action={action}");
        let page = app.client(As::Bearer(&admin)).get(&path).await.expect(200);
        let events = page["data"].as_array().unwrap();
        assert_eq!(events.len(), 1, "{action}");
        assert_eq!(
            (&events[0]["actorId"], &events[0]["tenant"]),
            (&json!("bootstrap"), &json!("acme"))
        );
        assert_eq!(events[0]["resource"], "tenants/acme");
        assert!(events[0]["decisionId"].is_string());
        let updated = action == "tenant.updated";
        assert!(!updated || events[0]["requestId"] == changed.header("x-request-id"));
    }
}
