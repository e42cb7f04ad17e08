//! Agents: registered, shown, and not granted more than whoever registers them holds.

use countersign_ground::ids::AgentId;
use serde_json::json;

use crate::support::{As, TestApp, new_agent};

const AGENTS: &str = "/api/v1/agents";
/// Of the right form, and nobody's.
pub const NOBODYS_ID: &str = "01890000-0000-7000-8000-000000000000";

#[tokio::test]
async fn a_registered_agent_is_active_and_may_at_first_only_read_agents() {
    let app = TestApp::start().await;
    let agent = app.operator().post(AGENTS, new_agent("screener")).await.expect(201);
    agent["agentId"].as_str().unwrap().parse::<AgentId>().expect("a UUIDv7");
    insta::assert_json_snapshot!(agent, {".agentId" => "[id]"}, @r#"
    {
      "agentId": "[id]",
      "agentType": "screener",
      "allowedResources": [],
      "capabilities": [
        "resumes:read"
      ],
      "createdAt": "2026-01-01T00:00:00.000Z",
      "deploymentEnv": "development",
      "email": "screener@agents.example",
      "owner": "tests",
      "scopes": [
        "agents:read"
      ],
      "status": "active",
      "tenant": "default",
      "updatedAt": "2026-01-01T00:00:00.000Z",
      "version": "1.0.0"
    }
    "#);
}

#[tokio::test]
async fn a_registration_says_where_the_agent_is_and_in_which_state() {
    let app = TestApp::start().await;
    let made = app.operator().post(AGENTS, new_agent("screener")).await;
    let agent = made.expect(201);
    let location = made.header("location");
    assert_eq!(location, format!("{AGENTS}/{}", agent["agentId"].as_str().unwrap()));
    let shown = app.operator().get(location).await;
    assert_eq!(shown.expect(200), agent);
    assert!(!made.header("etag").is_empty());
    assert_eq!(shown.header("etag"), made.header("etag"));
}

#[tokio::test]
async fn a_registration_is_recorded_with_who_did_it_and_why_they_might() {
    let app = TestApp::start().await;
    let mut body = new_agent("screener");
    body["scopes"] = json!(["tokens:read", "audit:read"]);
    let made = app.operator().post(AGENTS, body).await;
    let id = made.expect(201)["agentId"].clone();
    let event = app.events("agent.created").await.remove(0);
    assert_eq!(event["agentId"], id);
    assert_eq!(event["requestId"], made.header("x-request-id"));
    insta::assert_json_snapshot!(event, {
        ".agentId" => "[id]", ".resource" => "agents/[id]", ".eventId" => "[id]",
        ".decisionId" => "[decision]", ".requestId" => "[request]",
    }, @r#"
    {
      "action": "agent.created",
      "actorId": "bootstrap",
      "actorType": "operator",
      "agentId": "[id]",
      "decisionId": "[decision]",
      "eventId": "[id]",
      "ipAddress": "127.0.0.1",
      "metadata": {
        "agentType": "screener",
        "email": "screener@agents.example",
        "owner": "tests",
        "scopes": "tokens:read audit:read"
      },
      "outcome": "success",
      "requestId": "[request]",
      "resource": "agents/[id]",
      "tenant": "default",
      "timestamp": "2026-01-01T00:00:00.000Z"
    }
    "#);
}

#[tokio::test]
async fn an_email_registers_one_agent() {
    let app = TestApp::start().await;
    app.operator().post(AGENTS, new_agent("screener")).await.expect(201);
    let again = app.operator().post(AGENTS, new_agent("screener")).await;
    again.problem(409, "AGENT_ALREADY_EXISTS");
    assert_eq!(app.events("agent.created").await.len(), 1, "a refusal registers nobody");
}

#[tokio::test]
async fn of_concurrent_registrations_of_one_email_exactly_one_wins() {
    let app = TestApp::start().await;
    let operator = app.operator();
    let register = || operator.post(AGENTS, new_agent("screener"));
    let answers: [_; 4] = tokio::join!(register(), register(), register(), register()).into();
    let (won, lost): (Vec<_>, Vec<_>) = answers.iter().partition(|one| one.status == 201);
    assert_eq!((won.len(), lost.len()), (1, 3));
    for answer in lost {
        answer.problem(409, "AGENT_ALREADY_EXISTS");
    }
    assert_eq!(app.events("agent.created").await.len(), 1);
}

#[tokio::test]
async fn an_unknown_agent_is_not_found() {
    let app = TestApp::start().await;
    let path = format!("{AGENTS}/{NOBODYS_ID}");
    app.operator().get(&path).await.problem(404, "AGENT_NOT_FOUND");
    app.operator().delete(&path).await.problem(404, "AGENT_NOT_FOUND");
    let changed = app.operator().patch(&path, json!({"owner": "me"})).await;
    changed.problem(404, "AGENT_NOT_FOUND");
}

#[tokio::test]
async fn a_malformed_agent_id_is_refused_by_name() {
    let app = TestApp::start().await;
    let wrong = [
        "1",
        "not-an-id",
        "%00",
        "%ff",
        "6f2a4b1e-7c33-4d5e-8f90-aabbccddeeff",
        "01890000000070008000000000000000",
        &NOBODYS_ID.replace('0', "a").to_uppercase(),
    ];
    for id in wrong {
        let path = format!("{AGENTS}/{id}");
        let refused = app.operator().get(&path).await.problem(400, "VALIDATION_ERROR");
        assert!(id == "%ff" || refused["details"]["id"].is_string(), "{id}: {refused}");
        app.operator().delete(&path).await.problem(400, "VALIDATION_ERROR");
        let changed = app.operator().patch(&path, json!({"owner": "me"})).await;
        changed.problem(400, "VALIDATION_ERROR");
    }
}

#[tokio::test]
async fn an_agent_sees_itself_without_any_scope_for_it() {
    let app = TestApp::start().await;
    let agent = app.agent("screener", &["audit:read"]).await;
    let token = app.token(&agent).await;
    let shown = app.client(As::Bearer(&token)).get(&format!("{AGENTS}/{}", agent.id)).await;
    assert_eq!(shown.expect(200)["agentId"], agent.id);
}

#[tokio::test]
async fn an_agent_sees_others_only_with_agents_read() {
    let app = TestApp::start().await;
    let other = app.agent("other", &[]).await;
    let path = format!("{AGENTS}/{}", other.id);
    for (name, scope, status) in [("reader", "agents:read", 200), ("blind", "audit:read", 403)] {
        let token = app.token(&app.agent(name, &[scope]).await).await;
        let client = app.client(As::Bearer(&token));
        assert_eq!(client.get(&path).await.status, status, "{name}");
        assert_eq!(client.get(AGENTS).await.status, status, "{name}");
    }
}

#[tokio::test]
async fn an_agent_registers_another_only_with_agents_write() {
    let app = TestApp::start().await;
    let writer = app.agent("writer", &["agents:write", "agents:read"]).await;
    let reader = app.agent("reader", &["agents:read"]).await;
    let (writer, reader) = (app.token(&writer).await, app.token(&reader).await);
    app.client(As::Bearer(&writer)).post(AGENTS, new_agent("one")).await.expect(201);
    let refused = app.client(As::Bearer(&reader)).post(AGENTS, new_agent("two")).await;
    let body = refused.problem(403, "INSUFFICIENT_SCOPE");
    assert_eq!((&body["resource"], &body["action"]), (&json!("agents"), &json!("write")));
}

#[tokio::test]
async fn an_agent_grants_only_scopes_that_it_holds() {
    let app = TestApp::start().await;
    let writer = app.agent("writer", &["agents:write", "audit:read"]).await;
    let token = app.token(&writer).await;
    let mut body = new_agent("one");
    body["scopes"] = json!(["audit:read"]);
    app.client(As::Bearer(&token)).post(AGENTS, body).await.expect(201);

    let mut body = new_agent("two");
    body["scopes"] = json!(["audit:read", "tokens:write"]);
    let refused = app.client(As::Bearer(&token)).post(AGENTS, body).await;
    let problem = refused.problem(403, "INSUFFICIENT_SCOPE");
    assert!(problem["detail"].as_str().unwrap().contains("`tokens:write`"), "{problem}");
    let challenge = refused.header("www-authenticate");
    assert!(challenge.contains("tokens:write"), "names the scope that is lacking: {challenge}");
}

#[tokio::test]
async fn an_agent_that_may_not_read_agents_does_not_grant_it_by_default_either() {
    let app = TestApp::start().await;
    let token = app.token(&app.agent("writer", &["agents:write"]).await).await;
    let refused = app.client(As::Bearer(&token)).post(AGENTS, new_agent("one")).await;
    refused.problem(403, "INSUFFICIENT_SCOPE");
}
