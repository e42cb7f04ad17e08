//! Who is calling: which credentials count, which are refused, and what a refusal says.

use reqwest::{Method, RequestBuilder};
use serde_json::json;

use crate::support::{Answer, As, MACHINE, OPERATOR, TestApp, new_agent};

const AGENTS: &str = "/api/v1/agents";

fn asking(app: &TestApp) -> RequestBuilder {
    app.nobody().request(Method::GET, AGENTS)
}

/// Refused with 401 for this reason.
#[track_caller]
fn refused(answer: &Answer, reason: &str) {
    assert_eq!(answer.problem(401, "UNAUTHORIZED")["reason"], reason, "{}", answer.text);
    assert!(answer.header("www-authenticate").starts_with("Bearer "));
}

/// Known to be the machine, which may not see agents.
#[track_caller]
fn is_machine(answer: &Answer) {
    assert_eq!(answer.problem(403, "FORBIDDEN")["error"], "forbidden");
}

#[tokio::test]
async fn who_has_no_credentials_is_told_what_they_are_needed_for() {
    let app = TestApp::start().await;
    let answer = app.nobody().get(AGENTS).await;
    let problem = answer.problem(401, "UNAUTHORIZED");
    insta::assert_json_snapshot!(problem, {
        ".request_id" => "[request]", ".decision_id" => "[decision]",
    }, @r#"
    {
      "action": "read",
      "code": "UNAUTHORIZED",
      "decision_id": "[decision]",
      "detail": "`agents:read` needs credentials",
      "error": "unauthorized",
      "message": "`agents:read` needs credentials",
      "reason": "no-credentials",
      "request_id": "[request]",
      "resource": "agents",
      "status": 401,
      "title": "Authentication is needed",
      "type": "urn:countersign:error:unauthorized"
    }
    "#);
}

#[tokio::test]
async fn a_challenge_leads_to_the_metadata_by_an_absolute_url() {
    let app = TestApp::start().await;
    let answer = app.nobody().get(AGENTS).await;
    let metadata = app.url("/.well-known/oauth-protected-resource");
    let challenge = format!("Bearer resource_metadata=\"{metadata}\"");
    assert_eq!(answer.header("www-authenticate"), challenge);
    let known = app.nobody().get("/.well-known/oauth-protected-resource").await.expect(200);
    assert_eq!(known["resource"], app.url(""));
}

#[tokio::test]
async fn a_challenge_names_the_configured_issuer() {
    let app = TestApp::with(&[("ISSUER_URL", "https://id.example")]).await;
    let answer = app.nobody().get(AGENTS).await;
    let metadata = "https://id.example/.well-known/oauth-protected-resource";
    let challenge = format!("Bearer resource_metadata=\"{metadata}\"");
    assert_eq!(answer.header("www-authenticate"), challenge);
}

#[tokio::test]
async fn a_missing_scope_is_named() {
    let app = TestApp::start().await;
    let token = app.token(&app.agent("reader", &["agents:read"]).await).await;
    let answer = app.client(As::Bearer(&token)).post(AGENTS, new_agent("other")).await;
    let challenge = answer.header("www-authenticate");
    let wanted = "error=\"insufficient_scope\", scope=\"agents:write\"";
    assert!(challenge.ends_with(wanted), "{challenge}");
    let problem = answer.problem(403, "INSUFFICIENT_SCOPE");
    let fields = [&problem["error"], &problem["resource"], &problem["action"]];
    assert_eq!(fields, ["forbidden", "agents", "write"]);
    assert!(problem["reason"].is_string(), "{problem}");
}

#[tokio::test]
async fn a_role_that_does_not_suffice_is_no_missing_scope() {
    let app = TestApp::start().await;
    let answer = app.client(As::Machine(MACHINE)).post(AGENTS, new_agent("other")).await;
    let problem = answer.problem(403, "FORBIDDEN");
    let fields = [&problem["error"], &problem["resource"], &problem["action"]];
    assert_eq!(fields, ["forbidden", "agents", "write"]);
    assert_eq!(answer.header("www-authenticate"), "");
    let event = app.events("decision.made").await.remove(0);
    assert_eq!((&event["actorType"], &event["outcome"]), (&json!("machine"), &json!("denied")));
    assert_eq!(
        (&event["tenant"], &event["decisionId"]),
        (&json!("default"), &problem["decision_id"])
    );
}

#[tokio::test]
async fn a_bearer_token_that_is_not_good_is_refused_and_not_ignored() {
    let app = TestApp::start().await;
    let wrong = OPERATOR.replace("0123", "3210");
    for token in ["", "x", "a.b.c", "eyJhbGciOiJub25lIn0.e30.", &wrong, "op_live_"] {
        let answer =
            Answer::to(asking(&app).header("authorization", format!("Bearer {token}"))).await;
        refused(&answer, "invalid-token");
        assert!(answer.header("www-authenticate").contains("error=\"invalid_token\""));
    }
}

#[tokio::test]
async fn another_scheme_is_refused() {
    let app = TestApp::start().await;
    for value in ["Basic dXNlcjpwYXNz", "Digest username=\"me\"", OPERATOR, ""] {
        let answer = Answer::to(asking(&app).header("authorization", value)).await;
        refused(&answer, "unsupported-scheme");
    }
}

#[tokio::test]
async fn the_scheme_may_be_in_any_case() {
    let app = TestApp::start().await;
    for scheme in ["bearer", "BEARER"] {
        let request = asking(&app).header("authorization", format!("{scheme} {OPERATOR}"));
        Answer::to(request).await.expect(200);
    }
}

#[tokio::test]
async fn a_credential_header_is_there_once() {
    let app = TestApp::start().await;
    let twice = asking(&app).bearer_auth(OPERATOR).bearer_auth(OPERATOR);
    refused(&Answer::to(twice).await, "repeated-header");
    let twice = asking(&app).header("x-machine-token", MACHINE).header("x-machine-token", MACHINE);
    refused(&Answer::to(twice).await, "repeated-header");
}

#[tokio::test]
async fn two_credentials_that_name_two_callers_are_refused() {
    let app = TestApp::start().await;
    let token = app.token(&app.agent("reader", &["agents:read"]).await).await;
    for bearer in [OPERATOR, &token] {
        for name in ["x-machine-token", "authorization-machine"] {
            let request = asking(&app).bearer_auth(bearer).header(name, MACHINE);
            refused(&Answer::to(request).await, "two-callers");
        }
    }
}

#[tokio::test]
async fn a_good_credential_does_not_make_up_for_a_bad_one() {
    let app = TestApp::start().await;
    let wrong = MACHINE.replace('0', "1");
    let machine = asking(&app).bearer_auth(OPERATOR).header("x-machine-token", &wrong);
    refused(&Answer::to(machine).await, "invalid-token");
    let bearer = asking(&app).bearer_auth("x").header("x-machine-token", MACHINE);
    refused(&Answer::to(bearer).await, "invalid-token");
}

#[tokio::test]
async fn the_machine_token_counts_in_either_header() {
    let app = TestApp::start().await;
    for name in ["x-machine-token", "authorization-machine"] {
        is_machine(&Answer::to(asking(&app).header(name, MACHINE)).await);
        let wrong = asking(&app).header(name, MACHINE.replace('0', "1"));
        refused(&Answer::to(wrong).await, "invalid-token");
        let bearer = asking(&app).header(name, format!("Bearer {MACHINE}"));
        refused(&Answer::to(bearer).await, "invalid-token");
    }
}

#[tokio::test]
async fn a_machine_token_in_both_headers_is_one_caller_only_if_it_is_the_same() {
    let app = TestApp::start().await;
    let both = |one: &str, other: &str| {
        asking(&app).header("x-machine-token", one).header("authorization-machine", other)
    };
    is_machine(&Answer::to(both(MACHINE, MACHINE)).await);
    let wrong = MACHINE.replace('0', "1");
    Answer::to(both(MACHINE, &wrong)).await.problem(401, "UNAUTHORIZED");
    Answer::to(both(&wrong, MACHINE)).await.problem(401, "UNAUTHORIZED");
}

#[tokio::test]
async fn the_machine_token_is_no_bearer_token() {
    let app = TestApp::start().await;
    refused(&app.client(As::Bearer(MACHINE)).get(AGENTS).await, "invalid-token");
}

#[tokio::test]
async fn an_agents_secret_is_no_bearer_token() {
    let app = TestApp::start().await;
    let agent = app.agent("reader", &["agents:read"]).await;
    refused(&app.client(As::Bearer(&agent.secret)).get(AGENTS).await, "invalid-token");
}

#[tokio::test]
async fn a_token_for_another_audience_is_refused() {
    let app = TestApp::start().await;
    let agent = app.agent("reader", &["agents:read"]).await;
    let (path, api) = (format!("{AGENTS}/{}", agent.id), "https://api.example");
    app.operator().patch(&path, json!({"allowedResources": [api]})).await.expect(200);
    let token = app.token_answer(&agent, &[("resource", api)]).await.expect(200);
    let token = token["access_token"].as_str().unwrap();
    refused(&app.client(As::Bearer(token)).get(AGENTS).await, "wrong-audience");
}

#[tokio::test]
async fn credentials_are_not_looked_at_where_none_is_needed() {
    let app = TestApp::start().await;
    for path in ["/health", "/readyz", "/metrics", "/openapi.json", "/.well-known/jwks.json"] {
        assert_eq!(app.client(As::Bearer("x")).get(path).await.status, 200, "{path}");
    }
}
