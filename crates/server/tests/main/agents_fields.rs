//! Every field of a registration: absent, of the wrong type, at its boundary and beyond it.

use serde_json::{Value, json};

use crate::support::{Answer, TestApp, new_agent};

/// Registers an agent whose `field` is `value`.
async fn register(app: &TestApp, name: &str, field: &str, value: &Value) -> Answer {
    let mut body = new_agent(name);
    body[field] = value.clone();
    app.operator().post("/api/v1/agents", body).await
}

async fn accepts(field: &str, values: &[Value]) {
    let app = TestApp::start().await;
    for (n, value) in values.iter().enumerate() {
        let agent = register(&app, &format!("agent-{n}"), field, value).await.expect(201);
        assert_eq!(&agent[field], value);
    }
}

/// Refuses each value, and its absence, naming this field and no other.
async fn requires(field: &str, wrong: &[Value]) {
    let app = TestApp::start().await;
    let mut body = new_agent("agent");
    body.as_object_mut().unwrap().remove(field);
    names(&app.operator().post("/api/v1/agents", body).await, field);
    refuses(&app, field, wrong).await;
}

async fn refuses(app: &TestApp, field: &str, wrong: &[Value]) {
    for value in [json!(null), json!(7), json!(true), json!({})].iter().chain(wrong) {
        names(&register(app, "agent", field, value).await, field);
    }
    assert_eq!(app.events("agent.created").await.len(), 0);
}

#[track_caller]
fn names(answer: &Answer, field: &str) {
    let problem = answer.problem(400, "VALIDATION_ERROR");
    let details = problem["details"].as_object().unwrap();
    assert_eq!(details.keys().collect::<Vec<_>>(), [field], "{problem}");
}

fn of_length(length: usize) -> String {
    "a".repeat(length)
}

/// An address of so many characters in all.
fn address(length: usize) -> Value {
    let domain = format!("{0}.{0}.{0}.", of_length(49));
    let rest = length - domain.len() - "@".len() - 64;
    json!(format!("{}@{domain}{}", of_length(64), of_length(rest)))
}

#[tokio::test]
async fn an_email_is_an_address_of_at_most_254_characters() {
    let local = |length| json!(format!("{}@agents.example", of_length(length)));
    let label = |length| json!(format!("a@{}", of_length(length)));
    accepts("email", &[local(64), label(63), address(254), json!("a.b+c@d-e.example")]).await;
    let wrong = [
        local(65),
        label(64),
        address(255),
        json!(""),
        json!("agents.example"),
        json!("@agents.example"),
        json!("a@"),
        json!("a b@agents.example"),
        json!("a..b@agents.example"),
        json!("a@agents..example"),
        json!("a@-agents.example"),
        json!("a@agents.example\n"),
        json!(["a@agents.example"]),
    ];
    requires("email", &wrong).await;
}

#[tokio::test]
async fn an_agent_type_is_one_of_eight() {
    let types = [
        "screener",
        "classifier",
        "orchestrator",
        "extractor",
        "summarizer",
        "router",
        "monitor",
        "custom",
    ];
    accepts("agentType", &types.map(Value::from)).await;
    requires("agentType", &[json!(""), json!("Screener"), json!("robot"), json!(["custom"])]).await;
}

#[tokio::test]
async fn a_version_is_a_semantic_one() {
    let right = ["0.0.0", "1.2.3", "1.0.0-rc.1+build.05", "10.20.30"].map(Value::from);
    accepts("version", &right).await;
    let wrong = ["", "1", "1.0", "1.0.0.0", "v1.0.0", "01.0.0", "1.0.0-", "1.0.0 ", "latest"];
    requires("version", &wrong.map(Value::from)).await;
}

#[tokio::test]
async fn there_is_at_least_one_capability_and_each_is_a_permission() {
    let longest = format!("a:{}", of_length(126));
    accepts(
        "capabilities",
        &[json!(["a:b"]), json!(["a:b", "memory_pin:delete"]), json!([longest])],
    )
    .await;
    let wrong = [
        json!([]),
        json!("a:b"),
        json!(["a"]),
        json!(["a:b", "a:"]),
        json!(["a:b:c"]),
        json!(["a:*"]),
        json!(["a b:c"]),
        json!([["a:b"]]),
        json!([null]),
        json!([format!("a:{}", of_length(127))]),
    ];
    requires("capabilities", &wrong).await;
}

#[tokio::test]
async fn an_owner_has_1_to_128_characters() {
    accepts("owner", &[json!("a"), json!(of_length(128)), json!("ü".repeat(128))]).await;
    requires("owner", &[json!(""), json!(of_length(129)), json!(["me"])]).await;
}

#[tokio::test]
async fn a_deployment_env_is_one_of_three() {
    let right = ["development", "staging", "production"].map(Value::from);
    accepts("deploymentEnv", &right).await;
    requires("deploymentEnv", &[json!(""), json!("Production"), json!("test")]).await;
}

#[tokio::test]
async fn scopes_are_permissions_and_may_be_none() {
    accepts("scopes", &[json!([]), json!(["agents:read"]), json!(["audit:read", "x_1:y-2"])]).await;
    let app = TestApp::start().await;
    let wrong = [json!("agents:read"), json!(["agents"]), json!(["a:b c:d"]), json!([7])];
    refuses(&app, "scopes", &wrong).await;
}

#[tokio::test]
async fn allowed_resources_are_absolute_uris_without_a_fragment() {
    let right = [json!([]), json!(["https://api.example/v1", "urn:example:api"])];
    accepts("allowedResources", &right).await;
    let app = TestApp::start().await;
    let wrong = [
        json!("https://api.example"),
        json!(["/v1"]),
        json!(["api.example"]),
        json!(["https://api.example/#part"]),
        json!(["https://api.example/a b"]),
        json!([""]),
    ];
    refuses(&app, "allowedResources", &wrong).await;
}

#[tokio::test]
async fn a_list_has_at_most_256_items() {
    let permissions = |number: usize| (0..number).map(|n| format!("a:b{n}")).collect::<Vec<_>>();
    let resources = |number: usize| vec!["urn:example:api".to_owned(); number];
    accepts("capabilities", &[json!(permissions(256))]).await;
    accepts("scopes", &[json!(permissions(256))]).await;
    accepts("allowedResources", &[json!(resources(256))]).await;
    let app = TestApp::start().await;
    refuses(&app, "capabilities", &[json!(permissions(257))]).await;
    refuses(&app, "scopes", &[json!(permissions(257))]).await;
    refuses(&app, "allowedResources", &[json!(resources(257))]).await;
}

#[tokio::test]
async fn what_the_server_sets_is_not_taken_from_the_client() {
    let app = TestApp::start().await;
    let set = ["agentId", "status", "tenant", "createdAt", "updatedAt", "lastSeenAt"];
    for field in set {
        names(&register(&app, "agent", field, &json!("active")).await, field);
    }
}

#[tokio::test]
async fn every_bad_field_is_named_at_once() {
    let app = TestApp::start().await;
    let body = json!({
        "email": "nobody", "agentType": "robot", "version": "one", "capabilities": [], "owner": "",
        "scopes": ["all"], "allowedResources": ["api"], "colour": "red",
    });
    let refused = app.operator().post("/api/v1/agents", body).await;
    let problem = refused.problem(400, "VALIDATION_ERROR");
    insta::assert_json_snapshot!(problem, {".request_id" => "[request]"}, @r#"
    {
      "code": "VALIDATION_ERROR",
      "detail": "not valid: `agentType`, `allowedResources`, `capabilities`, `colour`, `deploymentEnv`, `email`, `owner`, `scopes`, `version`",
      "details": {
        "agentType": "must be one of `screener`, `classifier`, `orchestrator`, `extractor`, `summarizer`, `router`, `monitor`, `custom`",
        "allowedResources": "item 0: must be an absolute URI without a fragment",
        "capabilities": "must have at least one",
        "colour": "is not a known field",
        "deploymentEnv": "is required",
        "email": "must be an address such as `name@agents.example`",
        "owner": "must have 1 to 128 characters",
        "scopes": "item 0: expected `resource:action` of letters, digits, `_`, `-` and `.`, at most 128 characters",
        "version": "must be a semantic version such as `1.0.0`"
      },
      "message": "not valid: `agentType`, `allowedResources`, `capabilities`, `colour`, `deploymentEnv`, `email`, `owner`, `scopes`, `version`",
      "request_id": "[request]",
      "status": 400,
      "title": "The request is not valid",
      "type": "urn:countersign:error:validation-error"
    }
    "#);
}
