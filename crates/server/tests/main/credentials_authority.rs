//! Who may manage a credential, for whom none is made, and what is recorded.

use serde_json::json;

use crate::credentials::{first, path};
use crate::support::{As, TestApp};

#[tokio::test]
async fn an_agent_manages_its_own_credentials_without_any_scope_for_it() {
    let app = TestApp::start().await;
    let agent = app.agent("screener", &["audit:read"]).await;
    let token = app.token(&agent).await;
    let itself = app.client(As::Bearer(&token));
    let made = itself.post(&path(&agent), json!({})).await.expect(201);
    let second = format!("{}/{}", path(&agent), made["credentialId"].as_str().unwrap());
    assert_eq!(itself.get(&path(&agent)).await.expect(200)["total"], 2);
    itself.post(&format!("{second}/rotate"), json!({})).await.expect(200);
    itself.delete(&second).await.expect(204);
}

#[tokio::test]
async fn an_agent_that_revokes_what_its_token_came_from_has_ended_the_token() {
    let app = TestApp::start().await;
    let agent = app.agent("screener", &["audit:read"]).await;
    let token = app.token(&agent).await;
    let itself = app.client(As::Bearer(&token));
    itself.delete(&first(&agent)).await.expect(204);
    itself.get(&path(&agent)).await.problem(401, "UNAUTHORIZED");
}

#[tokio::test]
async fn an_agent_does_not_manage_anothers_credentials() {
    let app = TestApp::start().await;
    let other = app.agent("other", &[]).await;
    let token = app.token(&app.agent("screener", &["audit:read"]).await).await;
    let client = app.client(As::Bearer(&token));
    for answer in [
        client.get(&path(&other)).await,
        client.post(&path(&other), json!({})).await,
        client.post(&format!("{}/rotate", first(&other)), json!({})).await,
        client.delete(&first(&other)).await,
    ] {
        answer.problem(403, "INSUFFICIENT_SCOPE");
    }
    assert_eq!(app.events("decision.made").await.len(), 4, "each refusal is recorded");
}

#[tokio::test]
async fn reading_agents_is_seeing_their_credentials_and_no_more() {
    let app = TestApp::start().await;
    let other = app.agent("other", &[]).await;
    let token = app.token(&app.agent("reader", &["agents:read"]).await).await;
    let reader = app.client(As::Bearer(&token));
    reader.get(&path(&other)).await.expect(200);
    let rotated = reader.post(&format!("{}/rotate", first(&other)), json!({})).await;
    rotated.problem(403, "INSUFFICIENT_SCOPE");
}

#[tokio::test]
async fn writing_agents_is_managing_their_credentials() {
    let app = TestApp::start().await;
    let other = app.agent("other", &[]).await;
    let token = app.token(&app.agent("writer", &["agents:write"]).await).await;
    let writer = app.client(As::Bearer(&token));
    writer.post(&path(&other), json!({})).await.expect(201);
    writer.post(&format!("{}/rotate", first(&other)), json!({})).await.expect(200);
    writer.delete(&first(&other)).await.expect(204);
}

#[tokio::test]
async fn nobody_without_credentials_manages_any() {
    let app = TestApp::start().await;
    let agent = app.agent("screener", &[]).await;
    let nobody = app.nobody();
    for answer in [
        nobody.get(&path(&agent)).await,
        nobody.post(&path(&agent), json!({})).await,
        nobody.post(&format!("{}/rotate", first(&agent)), json!({})).await,
        nobody.delete(&first(&agent)).await,
    ] {
        assert_eq!(answer.problem(401, "UNAUTHORIZED")["reason"], "no-credentials");
    }
}

#[tokio::test]
async fn a_suspended_agent_gets_no_new_secret_but_loses_an_old_one() {
    let app = TestApp::start().await;
    let agent = app.agent("screener", &[]).await;
    let suspend = json!({"status": "suspended"});
    app.operator().patch(&format!("/api/v1/agents/{}", agent.id), suspend).await.expect(200);
    app.operator().post(&path(&agent), json!({})).await.problem(409, "AGENT_NOT_ACTIVE");
    let rotated = app.operator().post(&format!("{}/rotate", first(&agent)), json!({})).await;
    rotated.problem(409, "AGENT_NOT_ACTIVE");
    app.operator().get(&path(&agent)).await.expect(200);
    app.operator().delete(&first(&agent)).await.expect(204);
}

#[tokio::test]
async fn each_change_is_recorded_with_who_made_it_and_why_they_might() {
    let app = TestApp::start().await;
    let agent = app.agent("screener", &["audit:read"]).await;
    let token = app.token(&agent).await;
    let itself = app.client(As::Bearer(&token));
    let rotated = itself.post(&format!("{}/rotate", first(&agent)), json!({})).await;
    rotated.expect(200);
    let revoked = app.operator().delete(&first(&agent)).await;
    for (action, actor, request) in [
        ("credential.generated", "bootstrap", None),
        ("credential.rotated", agent.id.as_str(), Some(rotated.header("x-request-id"))),
        ("credential.revoked", "bootstrap", Some(revoked.header("x-request-id"))),
    ] {
        let event = app.events(action).await.remove(0);
        assert_eq!((&event["actorId"], &event["outcome"]), (&json!(actor), &json!("success")));
        assert_eq!(event["agentId"], agent.id);
        assert_eq!(event["resource"], format!("credentials/{}", agent.credential));
        assert_eq!(event["metadata"]["credentialId"], agent.credential);
        assert!(event["decisionId"].is_string(), "{event}");
        assert!(request.is_none_or(|request| event["requestId"] == request), "{event}");
        assert!(!event.to_string().contains("sk_live_"), "{event}");
    }
}

#[tokio::test]
async fn a_token_with_less_than_its_agent_holds_makes_no_secret_of_its_own_agent() {
    let app = TestApp::start().await;
    let agent = app.agent("screener", &["audit:read", "payroll:run"]).await;
    for less in ["audit:read", "payroll:run"] {
        let answer = app.token_answer(&agent, &[("scope", less)]).await.expect(200);
        let itself = app.client(As::Bearer(answer["access_token"].as_str().unwrap()));
        for answer in [
            itself.post(&path(&agent), json!({})).await,
            itself.post(&path(&agent), json!({"certificateThumbprint": "x"})).await,
            itself.post(&format!("{}/rotate", first(&agent)), json!({})).await,
        ] {
            answer.problem(403, "INSUFFICIENT_SCOPE");
            assert!(!answer.text.contains("sk_live_"));
        }
        itself.get(&path(&agent)).await.expect(200);
    }
    let whole = "payroll:run audit:read";
    let answer = app.token_answer(&agent, &[("scope", whole)]).await.expect(200);
    let itself = app.client(As::Bearer(answer["access_token"].as_str().unwrap()));
    itself.post(&path(&agent), json!({})).await.expect(201);
    itself.post(&format!("{}/rotate", first(&agent)), json!({})).await.expect(200);
}

#[tokio::test]
async fn a_token_from_before_its_agent_was_granted_more_makes_no_secret() {
    let app = TestApp::start().await;
    let agent = app.agent("screener", &["audit:read"]).await;
    let token = app.token(&agent).await;
    let more = json!({"scopes": ["audit:read", "agents:write"]});
    app.operator().patch(&format!("/api/v1/agents/{}", agent.id), more).await.expect(200);
    let itself = app.client(As::Bearer(&token));
    itself.post(&path(&agent), json!({})).await.problem(403, "INSUFFICIENT_SCOPE");
    let token = app.token(&agent).await;
    app.client(As::Bearer(&token)).post(&path(&agent), json!({})).await.expect(201);
}

#[tokio::test]
async fn an_operator_makes_no_secret_of_an_agent_that_holds_what_their_roles_do_not() {
    let app = TestApp::start().await;
    app.operator_with("default", &["admin"]).await;
    let text = include_str!("../../../../tests/vectors/rbac-policies.json");
    let mut matrix: serde_json::Value = serde_json::from_str(text).unwrap();
    matrix["matrix"]["dev"] = json!({"agents": ["write", "read"]});
    app.operator().put("/api/v1/rbac/matrix", matrix).await.expect(200);
    let (_, token) = app.operator_with("default", &["dev"]).await;
    let registrar = app.client(As::Bearer(&token));
    let more = app.agent("more", &["agents:read", "audit:read"]).await;
    let outside = app.agent("outside", &["agents:read", "payroll:run"]).await;
    for answer in [
        registrar.post(&path(&more), json!({})).await,
        registrar.post(&format!("{}/rotate", first(&more)), json!({})).await,
    ] {
        let problem = answer.problem(403, "FORBIDDEN");
        assert!(problem["detail"].as_str().unwrap().contains("`audit:read`"), "{problem}");
    }
    registrar.delete(&first(&more)).await.expect(204);
    registrar.post(&path(&outside), json!({})).await.expect(201);
    registrar.post(&format!("{}/rotate", first(&outside)), json!({})).await.expect(200);
}
