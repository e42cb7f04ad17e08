//! The policy directory at the doors: asked after the permission check, for agents, at our own API and at gateways.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::forward::{asks, routes};
use crate::support::{As, MACHINE, OPERATOR, TestApp};

const RELOAD: &str = "/api/v1/policy/reload";
const AGENTS: &str = "/api/v1/agents";

const RULES: &str = r#"
package countersign.authz

default allow := false
allow if { input.method == "GET"; not startswith(input.path, "/secret/") }
allow if { input.path == "/npu/1"; "npu:write" in input.scopes; input.agentId != null; input.tenant == "default" }
reason := "reading_only" if input.method != "GET"
"#;

fn write(directory: &Path, name: &str, text: &str) {
    fs::create_dir_all(directory.join(name).parent().unwrap()).unwrap();
    fs::write(directory.join(name), text).unwrap();
}

async fn start(name: &str, text: &str) -> (TestApp, TempDir) {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), name, text);
    let app = TestApp::with(&[("POLICY_DIR", folder.path().to_str().unwrap())]).await;
    (app, folder)
}

async fn agent(app: &TestApp, scopes: &[&str]) -> String {
    let agent = app.agent("caller", scopes).await;
    app.token(&agent).await
}

#[tokio::test]
async fn rules_refuse_agents_what_their_scopes_allow_and_nobody_else() {
    let (app, _folder) = start("authz.rego", RULES).await;
    let token = agent(&app, &["agents:read", "agents:write"]).await;
    let client = app.client(As::Bearer(&token));
    for _ in 0..2 {
        client.get(AGENTS).await.expect(200);
    }
    let problem =
        client.post(AGENTS, crate::support::new_agent("other")).await.problem(403, "FORBIDDEN");
    assert_eq!(problem["reason"], "reading_only", "{problem}");
    app.operator().post(AGENTS, crate::support::new_agent("another")).await.expect(201);
    let events = app.events("decision.made").await;
    let told = &events[0]["metadata"];
    assert_eq!((&told["policyPackage"], &told["reason"]), (&json!("opa"), &json!("reading_only")));
    let shown = app.operator().get("/api/v1/policy/packages").await.expect(200);
    assert_eq!(
        (&shown["authz"]["form"], &shown["authz"]["digest"]),
        (&json!("rego"), &told["policyVersion"])
    );
    // What the permission refuses is not asked.
    let none = agent_of(&app, &["npu:read"]).await;
    let problem =
        app.client(As::Bearer(&none)).get(AGENTS).await.problem(403, "INSUFFICIENT_SCOPE");
    assert_eq!(problem["reason"], "insufficient-permissions");
}

async fn agent_of(app: &TestApp, scopes: &[&str]) -> String {
    let agent = app.agent("second", scopes).await;
    app.token(&agent).await
}

#[tokio::test]
async fn a_table_of_scopes_refuses_what_it_does_not_list() {
    let table = json!({"GET /api/v1/agents/:id": ["agents:read"], "POST /api/v1/agents": ["agents:write", "agents:read"]});
    let (app, _folder) = start("data/scopes.json", &table.to_string()).await;
    let known = app.agent("reader", &["agents:read"]).await;
    let token = app.token(&known).await;
    let client = app.client(As::Bearer(&token));
    let other = app.agent("other", &[]).await;
    client.get(&format!("{AGENTS}/{}", other.id)).await.expect(200);
    let problem = client.get(AGENTS).await.problem(403, "FORBIDDEN");
    assert_eq!(problem["reason"], "endpoint_not_listed");
    let writer = agent_of(&app, &["agents:write"]).await;
    let problem =
        app.client(As::Bearer(&writer)).post(AGENTS, json!({})).await.problem(403, "FORBIDDEN");
    assert_eq!(problem["reason"], "insufficient_scope");
    app.client(As::Machine(MACHINE)).get("/api/v1/rbac/info").await.expect(200);
}

#[tokio::test]
async fn rules_are_asked_at_gateways_too_behind_the_guard_of_the_route() {
    let (app, _folder) = start("authz.rego", RULES).await;
    app.operator().put("/api/v1/guards/npu", json!({"mode": "observe"})).await.expect(200);
    routes(
        &app,
        json!([
            {"path": "/npu/*", "permission": "npu:write"},
            {"path": "/secret/*", "callers": ["*"]},
            {"path": "/seen/*", "callers": ["*"], "guard": "npu"},
        ]),
    )
    .await;
    let token = agent(&app, &["npu:write"]).await;
    for (who, request, reason) in [
        (As::Bearer(&token), "GET /npu/2?x=/secret/", None),
        (As::Bearer(&token), "POST /npu/1", None),
        (As::Bearer(&token), "POST /npu/2", Some("reading_only")),
        (As::Bearer(&token), "GET /secret/1", Some("policy_denied")),
        (As::Bearer(OPERATOR), "GET /secret/1", None),
        (As::Machine(MACHINE), "POST /secret/1", None),
        (As::Bearer(&token), "POST /seen/1", None),
    ] {
        let answer = asks(&app, who, request).await;
        match reason {
            None => drop(answer.expect(200)),
            Some(reason) => {
                assert_eq!(answer.problem(403, "FORBIDDEN")["reason"], reason, "{request}")
            }
        }
    }
    let told = app.operator().get("/api/v1/guards/npu/report").await.expect(200);
    let group = &told["groups"][0];
    assert_eq!(group["suggestion"], "have the policy directory allow it: it says `reading_only`");
    assert_eq!(group["resolved"], false);
    let last = &app.events("decision.made").await[0];
    assert_eq!(
        (&last["outcome"], &last["metadata"]["policyPackage"]),
        (&json!("would_deny"), &json!("opa"))
    );
}

#[tokio::test]
async fn another_directory_counts_at_once_and_a_broken_one_never() {
    let (app, folder) = start("authz.rego", RULES).await;
    let token = agent(&app, &["agents:read"]).await;
    let client = app.client(As::Bearer(&token));
    client.get(AGENTS).await.expect(200);
    write(
        folder.path(),
        "authz.rego",
        "package countersign.authz\nallow := false if true\nreason := \"closed\"\n",
    );
    app.operator().post(RELOAD, json!({})).await.expect(200);
    assert_eq!(client.get(AGENTS).await.problem(403, "FORBIDDEN")["reason"], "closed");
    for broken in [
        "package countersign.authz\nallow if {",
        "package countersign.authz\nallow if http.send({}).ok",
    ] {
        write(folder.path(), "authz.rego", broken);
        app.operator().post(RELOAD, json!({})).await.problem(400, "VALIDATION_ERROR");
        assert_eq!(client.get(AGENTS).await.problem(403, "FORBIDDEN")["reason"], "closed");
    }
    fs::remove_file(folder.path().join("authz.rego")).unwrap();
    app.operator().post(RELOAD, json!({})).await.expect(200);
    client.get(AGENTS).await.expect(200);
}

#[tokio::test]
async fn a_module_that_can_not_be_run_leaves_the_rules_in_force() {
    let (app, folder) = start("authz.rego", RULES).await;
    let token = agent(&app, &["agents:read", "agents:write"]).await;
    let client = app.client(As::Bearer(&token));
    write(folder.path(), "authz.wasm", "");
    let problem = app.operator().post(RELOAD, json!({})).await.problem(400, "VALIDATION_ERROR");
    let wanted = match cfg!(feature = "wasm") {
        true => "authz.wasm: is no WebAssembly module",
        false => "authz.wasm: this program was built without the feature `wasm`",
    };
    assert!(problem["detail"].as_str().unwrap().contains(wanted), "{problem}");
    client.get(AGENTS).await.expect(200);
    let denied = client.post(AGENTS, crate::support::new_agent("other")).await;
    assert_eq!(denied.problem(403, "FORBIDDEN")["reason"], "reading_only");
}

#[cfg(feature = "wasm")]
#[tokio::test]
async fn a_module_answers_at_the_door_until_another_one_does() {
    let folder = tempfile::tempdir().unwrap();
    let put = |denied: &str| {
        let bytes = wat::parse_str(module(denied)).unwrap();
        fs::write(folder.path().join("authz.wasm"), bytes).unwrap();
    };
    put("reading_only");
    let app = TestApp::with(&[("POLICY_DIR", folder.path().to_str().unwrap())]).await;
    let token = agent(&app, &["agents:read", "agents:write"]).await;
    let client = app.client(As::Bearer(&token));
    let refused = async || {
        client.get(AGENTS).await.expect(200);
        let denied = client.post(AGENTS, crate::support::new_agent("other")).await;
        denied.problem(403, "FORBIDDEN")["reason"].clone()
    };
    assert_eq!(refused().await, "reading_only");
    let shown = app.operator().get("/api/v1/policy/packages").await.expect(200);
    assert_eq!(shown["authz"]["form"], "wasm");
    put("closed");
    app.operator().post(RELOAD, json!({})).await.expect(200);
    assert_eq!(refused().await, "closed");
    let again = app.operator().get("/api/v1/policy/packages").await.expect(200);
    assert_ne!(again["authz"]["digest"], shown["authz"]["digest"]);
    fs::write(folder.path().join("authz.wasm"), b"\0asm\x01\0\0\0 no more").unwrap();
    app.operator().post(RELOAD, json!({})).await.problem(400, "VALIDATION_ERROR");
    assert_eq!(refused().await, "closed");
}

/// A module by OPA's interface that allows what has `"GET"` as its method.
#[cfg(feature = "wasm")]
fn module(denied: &str) -> String {
    let text = |text: &str| text.bytes().map(|byte| format!("\\{byte:02x}")).collect::<String>();
    let (allow, entry) =
        (text(r#"[{"result":{"allow":true}}]"#), text(r#"{"countersign/authz":0}"#));
    let deny = text(&format!(r#"[{{"result":{{"allow":false,"reason":"{denied}"}}}}]"#));
    format!(
        r#"(module (import "env" "memory" (memory 2))
(global (export "opa_wasm_abi_version") i32 (i32.const 1))
(global (export "opa_wasm_abi_minor_version") i32 (i32.const 3))
(data (i32.const 16) "{{}}\00") (data (i32.const 32) "{entry}\00")
(data (i32.const 128) "{allow}\00") (data (i32.const 256) "{deny}\00")
(func (export "opa_malloc") (param i32) (result i32) (i32.const 4096))
(func (export "opa_free") (param i32))
(func (export "opa_json_parse") (param i32 i32) (result i32) (local.get 0))
(func (export "opa_json_dump") (param i32) (result i32) (local.get 0))
(func (export "opa_heap_ptr_get") (result i32) (i32.const 8192))
(func (export "builtins") (result i32) (i32.const 16))
(func (export "entrypoints") (result i32) (i32.const 32))
(func (export "opa_eval") (param i32 i32 i32 i32 i32 i32 i32) (result i32)
  (if (result i32) (i32.eq (i32.load8_u offset=11 (local.get 3)) (i32.const 71))
    (then (i32.const 128)) (else (i32.const 256)))))"#
    )
}

#[tokio::test]
async fn rules_that_fail_deny_and_the_record_says_where() {
    let rules = "package countersign.authz\nallow if {\n  count(input.path.x) > 0\n}\nallow if to_number(input.path) > 1\n";
    let (app, _folder) = start("authz.rego", rules).await;
    let token = agent(&app, &["agents:read"]).await;
    let problem = app.client(As::Bearer(&token)).get(AGENTS).await.problem(403, "FORBIDDEN");
    assert_eq!(problem["reason"], "error");
    assert!(
        !problem.to_string().contains("rego"),
        "whoever calls learns nothing of the rules: {problem}"
    );
    let told = app.events("decision.made").await[0]["metadata"]["diagnostics"].to_string();
    assert!(told.contains("authz.rego:5"), "{told}");
}

#[tokio::test]
async fn what_other_rules_would_change_behind_a_gateway_is_found() {
    let (app, _folder) = start("authz.rego", RULES).await;
    routes(&app, json!([{"path": "/npu/*", "permission": "npu:write"}, {"path": "/secret/*", "callers": ["*"]}])).await;
    let token = agent(&app, &["npu:write"]).await;
    let mut ids = Vec::new();
    for request in ["GET /npu/2", "POST /npu/1", "POST /npu/2", "GET /secret/1"] {
        ids.push(asks(&app, As::Bearer(&token), request).await.header("x-decision-id").to_owned());
    }
    asks(&app, As::Bearer(OPERATOR), "GET /secret/1").await.expect(200);
    let diff = async |rules: &str| {
        let body = json!({"files": {"authz.rego": rules}, "since": "1h"});
        let answer = app.operator().post("/api/v1/policy/diff", body).await.expect(200);
        let changed = answer["changed"].as_array().unwrap().iter();
        let mut changed: Vec<Value> =
            changed.map(|one| json!([one["id"], one["would"]["effect"]])).collect();
        changed.sort_by_key(Value::to_string);
        (answer["examined"].as_u64().unwrap(), changed)
    };
    assert_eq!(diff(RULES).await, (5, vec![]));
    let mut expected = vec![json!([ids[2], "allow"]), json!([ids[3], "allow"])];
    expected.sort_by_key(Value::to_string);
    assert_eq!(diff("package countersign.authz\nallow := true\n").await, (5, expected));
    let (_, closed) = diff("package countersign.authz\ndefault allow := false\nreason := \"reading_only\" if input.method != \"GET\"\n").await;
    // The first two would be denied; both are the same question, and so the same decision.
    assert_eq!(closed, [json!([ids[0], "deny"]), json!([ids[1], "deny"])]);
}
