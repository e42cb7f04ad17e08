//! Guards: modes, shares, variables, and the report.

mod report;
mod story;

use countersign_server::jobs;
use serde_json::{Value, json};

use crate::forward::{asks, routes};
use crate::support::{As, MACHINE, TestApp};

/// Sets a guard; gives what it is then.
async fn set(app: &TestApp, name: &str, body: Value) -> Value {
    app.operator().put(&format!("/api/v1/guards/{name}"), body).await.expect(200)
}

async fn shown(app: &TestApp, name: &str) -> (String, i64) {
    let guard = app.operator().get(&format!("/api/v1/guards/{name}")).await.expect(200);
    (guard["mode"].as_str().unwrap().to_owned(), guard["percent"].as_i64().unwrap())
}

async fn report(app: &TestApp, name: &str) -> Value {
    app.operator().get(&format!("/api/v1/guards/{name}/report?since=1h")).await.expect(200)
}

#[tokio::test]
async fn three_guards_are_always_there_as_their_variables_say() {
    let app = TestApp::start().await;
    let all = app.operator().get("/api/v1/guards").await.expect(200);
    let told = |name: &str| {
        let all = all["data"].as_array().unwrap();
        all.iter().map(|guard| guard[name].clone()).collect::<Vec<_>>()
    };
    assert_eq!(told("name"), ["rbac", "service-auth", "ssh-sign"]);
    assert_eq!(told("mode"), ["enforce", "observe", "enforce"]);
    assert_eq!(
        told("variable"),
        ["RBAC_ENFORCE", "SERVICE_AUTH_ENFORCEMENT_MODE", "SSH_SIGN_ENFORCE"]
    );
    assert_eq!(told("percent"), [100, 100, 100]);
}

#[tokio::test]
async fn a_variable_counts_when_it_has_changed_and_is_told_of_when_it_does_not() {
    let app = TestApp::start().await;
    assert_eq!(app.events("guard.changed").await.len(), 0, "as it is meant to be");
    set(&app, "rbac", json!({"mode": "observe", "reason": "roll back"})).await;
    let app = app.restart().await;
    assert_eq!(
        shown(&app, "rbac").await,
        ("observe".into(), 100),
        "the variable is the same as before"
    );
    let settings = app.operator().get("/api/v1/config").await.expect(200);
    assert!(settings["warnings"].to_string().contains("RBAC_ENFORCE does not say"), "{settings}");
    let app = app.restart_with(&[("RBAC_ENFORCE", "false")]).await;
    assert_eq!(shown(&app, "rbac").await, ("observe".into(), 100));
    let app = app.restart_without(&["RBAC_ENFORCE"]).await;
    assert_eq!(
        shown(&app, "rbac").await,
        ("enforce".into(), 100),
        "it says another thing than before"
    );
    let more = [
        ("SERVICE_AUTH_ENFORCEMENT_MODE", "true"),
        ("SERVICE_AUTH_CIRCUIT_BREAKER_PERCENTAGE", "25"),
    ];
    let app = app.restart_with(&more).await;
    assert_eq!(shown(&app, "service-auth").await, ("enforce".into(), 25));
    set(&app, "service-auth", json!({"mode": "observe"})).await;
    let app = app.restart_with(&[("SERVICE_AUTH_CIRCUIT_BREAKER_PERCENTAGE", "50")]).await;
    assert_eq!(shown(&app, "service-auth").await, ("observe".into(), 50), "only what has changed");
    set(&app, "service-auth", json!({"mode": "enforce", "percent": 25})).await;
    let mut events = app.events("guard.changed").await;
    assert_eq!(events.drain(..3).count(), 3);
    let by: Vec<_> = events.iter().map(|one| one["actorId"].as_str().unwrap()).collect();
    let system = "guard-variable";
    assert_eq!(by, [system, system, system, "bootstrap"]);
    assert_eq!(
        events[0]["metadata"],
        json!({"mode": "enforce", "percent": 25, "previousMode": "observe",
        "previousPercent": 100, "reason": "as `SERVICE_AUTH_ENFORCEMENT_MODE` says"})
    );
}

#[tokio::test]
async fn what_a_guard_is_to_do_is_checked_and_only_changed_by_whoever_may() {
    let app = TestApp::start().await;
    let path = "/api/v1/guards/npu";
    for (body, field) in [
        (json!({}), "mode"),
        (json!({"mode": "on"}), "mode"),
        (json!({"mode": "observe", "percent": 101}), "percent"),
        (json!({"mode": "observe", "percent": -1}), "percent"),
        (json!({"mode": "observe", "percent": 2.5}), "percent"),
        (json!({"mode": "observe", "share": 1}), "share"),
        (json!({"mode": "observe", "reason": "x".repeat(501)}), "reason"),
    ] {
        let problem = app.operator().put(path, body.clone()).await.problem(400, "VALIDATION_ERROR");
        assert!(problem["details"][field].is_string(), "{body} {problem}");
    }
    for name in ["a%20b", "%C3%BC", &"x".repeat(65)] {
        let path = format!("/api/v1/guards/{name}");
        app.operator()
            .put(&path, json!({"mode": "observe"}))
            .await
            .problem(400, "VALIDATION_ERROR");
    }
    app.operator().get(path).await.problem(404, "NOT_FOUND");
    app.operator().get(&format!("{path}/report")).await.problem(404, "NOT_FOUND");
    let group = json!({"caller": "*", "route": "*", "reason": "*"});
    app.operator().post(&format!("{path}/accept"), group).await.problem(404, "NOT_FOUND");

    let foreign = app.tenant("acme", "unlimited").await;
    let (_, dev) = app.operator_with("default", &["dev"]).await;
    for token in [&foreign, &dev] {
        let client = app.client(As::Bearer(token));
        client.put(path, json!({"mode": "off"})).await.problem(403, "FORBIDDEN");
        client.post("/api/v1/guards/rbac/accept", json!({})).await.problem(403, "FORBIDDEN");
    }
    app.client(As::Bearer(&dev)).get("/api/v1/guards").await.expect(200);
    let client = app.client(As::Bearer(&foreign));
    for path in ["/api/v1/guards", "/api/v1/guards/rbac", "/api/v1/routes"] {
        client.get(path).await.problem(403, "FORBIDDEN");
    }
    client.get("/api/v1/guards/rbac/report").await.problem(403, "FORBIDDEN");
    client.put("/api/v1/routes", json!({"routes": []})).await.problem(403, "FORBIDDEN");
    app.nobody().put(path, json!({"mode": "off"})).await.problem(401, "UNAUTHORIZED");

    let made = set(&app, "npu", json!({"mode": "enforce", "percent": 25})).await;
    assert_eq!((&made["percent"], &made["overrides_variable"]), (&json!(25), &json!(false)));
    assert!(made.get("variable").is_none());
    let kept = set(&app, "npu", json!({"mode": "observe"})).await;
    assert_eq!(kept["percent"], 25, "what is not said stays");
}

#[tokio::test]
async fn a_route_names_a_guard_that_is_there() {
    let app = TestApp::start().await;
    let table = json!({"routes": [{"path": "/a", "callers": ["*"], "guard": "npu"}]});
    let problem =
        app.operator().put("/api/v1/routes", table.clone()).await.problem(400, "VALIDATION_ERROR");
    assert!(problem["details"]["/routes/0/guard"].is_string(), "{problem}");
    set(&app, "npu", json!({"mode": "observe"})).await;
    app.operator().put("/api/v1/routes", table).await.expect(200);
}

#[tokio::test]
async fn a_share_is_the_same_on_every_request_and_grows() {
    let app = TestApp::start().await;
    set(&app, "npu", json!({"mode": "enforce", "percent": 0})).await;
    routes(&app, json!([{"path": "/*", "permission": "npu:write", "guard": "npu"}])).await;
    let mut tokens = Vec::new();
    for n in 0..12 {
        let agent = app.agent(&format!("a{n}"), &["npu:read"]).await;
        tokens.push(app.token(&agent).await);
    }
    let mut before = vec![false; tokens.len()];
    for percent in [0, 30, 60, 100] {
        set(&app, "npu", json!({"mode": "enforce", "percent": percent})).await;
        let mut denied = Vec::new();
        for token in &tokens {
            let once = asks(&app, As::Bearer(token), "GET /").await.status == 403;
            assert_eq!(asks(&app, As::Bearer(token), "GET /").await.status == 403, once);
            denied.push(once);
        }
        assert!(before.iter().zip(&denied).all(|(before, now)| !before || *now), "{percent}");
        before = denied;
    }
    assert!(before.iter().all(|denied| *denied));
}

#[tokio::test]
async fn our_own_resources_are_behind_the_guard_rbac_and_our_own_doors_are_not() {
    let app = TestApp::with(&[("POLICY_DIR", "tests/no-packages")]).await;
    let agent = app.agent("curious", &["npu:read"]).await;
    let token = app.token(&agent).await;
    let path = "/api/v1/policy/packages";
    app.client(As::Bearer(&token)).get(path).await.problem(403, "INSUFFICIENT_SCOPE");
    app.nobody().get(path).await.problem(401, "UNAUTHORIZED");
    set(&app, "rbac", json!({"mode": "observe"})).await;
    app.client(As::Bearer(&token)).get(path).await.expect(200);
    app.nobody().get(path).await.expect(200);
    app.client(As::Machine(MACHINE)).get(path).await.expect(200);
    app.client(As::Bearer(&token)).get("/api/v1/agents").await.problem(403, "INSUFFICIENT_SCOPE");
    app.nobody().get("/api/v1/guards").await.problem(401, "UNAUTHORIZED");
    let outcomes: Vec<_> = app.events("decision.made").await;
    let outcomes: Vec<_> = outcomes
        .iter()
        .filter(|one| one["metadata"]["request"]["guard"] == "rbac")
        .map(|one| (one["actorType"].as_str().unwrap(), one["outcome"].as_str().unwrap()))
        .collect();
    assert_eq!(
        outcomes,
        [
            ("machine", "success"),
            ("anonymous", "would_deny"),
            ("agent", "would_deny"),
            ("anonymous", "denied"),
            ("agent", "denied")
        ]
    );
    let report = report(&app, "rbac").await;
    assert_eq!(
        (&report["allowed"], &report["would_deny"], &report["denied"]),
        (&json!(1), &json!(2), &json!(2))
    );
    let group = report["groups"]
        .as_array()
        .unwrap()
        .iter()
        .find(|one| one["caller"] == format!("agent:{}", agent.id));
    let group = group.unwrap();
    assert_eq!((&group["route"], &group["count"]), (&json!("policy:read"), &json!(2)));
    assert_eq!(group["suggestion"], format!("give agent {} the scope `policy:read`", agent.id));

    set(&app, "rbac", json!({"mode": "off"})).await;
    app.nobody().get(path).await.expect(200);
    let last = &app.events("decision.made").await[0];
    assert_eq!(
        (&last["metadata"]["reason"], &last["outcome"]),
        (&json!("rbac-disabled"), &json!("success"))
    );
    let shown = app.operator().get("/api/v1/rbac/info").await.expect(200);
    assert_eq!(shown["enforce_mode"], "off");
}

#[tokio::test]
async fn the_guard_rbac_fails_open_where_it_is_told_to_and_says_so() {
    let settings = [("POLICY_DIR", "tests/no-packages"), ("RBAC_FAIL_OPEN", "true")];
    let app = TestApp::with(&settings).await;
    set(&app, "npu", json!({"mode": "enforce"})).await;
    routes(
        &app,
        json!([
            {"path": "/open", "permission": "npu:read", "guard": "rbac"},
            {"path": "/shut", "permission": "npu:read", "guard": "npu"},
            {"path": "/none", "callers": ["operator"], "guard": "rbac"},
            {"path": "/agents", "permission": "agents:read", "guard": "rbac"},
        ]),
    )
    .await;
    let agent = app.agent("curious", &["npu:write"]).await;
    let token = app.token(&agent).await;
    app.nobody().get("/api/v1/policy/packages").await.expect(200);
    asks(&app, As::Bearer(&token), "GET /open").await.expect(200);
    asks(&app, As::Bearer(&token), "GET /shut").await.problem(403, "INSUFFICIENT_SCOPE");
    asks(&app, As::Bearer(&token), "GET /none").await.problem(403, "FORBIDDEN");
    asks(&app, As::Bearer("nonsense"), "GET /open").await.problem(401, "UNAUTHORIZED");
    // What passed at a route opens no door of our own.
    asks(&app, As::Bearer(&token), "GET /agents").await.expect(200);
    app.client(As::Bearer(&token)).get("/api/v1/agents").await.problem(403, "INSUFFICIENT_SCOPE");
    let reasons: Vec<_> = app.events("decision.made").await;
    let told = |word: &str| {
        reasons.iter().any(|one| one["metadata"]["reason"] == word && one["outcome"] == "success")
    };
    assert!(told("fail-open-no-credentials") && told("fail-open-insufficient"));
    assert_eq!(app.operator().get("/api/v1/rbac/info").await.expect(200)["fail_open"], true);
    let ready = app.nobody().get("/readyz").await.expect(200);
    assert_eq!(ready["degraded"], json!(["rbac_fail_open"]));
}

#[tokio::test]
async fn what_was_counted_survives_a_restart_and_is_forgotten_after_a_week() {
    let app = TestApp::start().await;
    set(&app, "npu", json!({"mode": "observe"})).await;
    routes(&app, json!([{"path": "/*", "callers": ["*"], "guard": "npu"}])).await;
    asks(&app, As::Machine(MACHINE), "GET /").await.expect(200);
    asks(&app, As::Nobody, "GET /").await.expect(200);
    let app = app.restart().await;
    let told = report(&app, "npu").await;
    assert_eq!((&told["allowed"], &told["would_deny"]), (&json!(1), &json!(1)));
    app.pass(std::time::Duration::from_secs(7 * 24 * 3600 + 60));
    jobs::forget_guard_traffic(&app.server.app).await.unwrap();
    let path = "/api/v1/guards/npu/report?since=30d";
    assert_eq!(app.operator().get(path).await.expect(200)["verdict"], "no_traffic");
}
