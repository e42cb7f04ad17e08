//! Measures how often a policy directory answers in a second, on one thread: rules of a middling size, a table, and a
//! module by hand that looks for a word in the question.
//!
//!   cargo run --release -p countersign-policy --features wasm --example authz_speed

#![expect(clippy::print_stdout, clippy::disallowed_methods, reason = "what it is for")]

use std::collections::BTreeMap;
use std::error::Error;
use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

use countersign_policy::authz::Asked;
use countersign_policy::{Authz, Permissions};
use serde_json::json;

const RULES: &str = r#"package countersign.authz

import data.paths

default allow := false

allow if {
	paths.under("/api/v1/agents")
	required := {"GET": "agents:read", "POST": "agents:write", "PATCH": "agents:write", "DELETE": "agents:delete"}[input.method]
	required in input.scopes
	own_tenant
}

allow if {
	paths.under("/api/v1/decisions")
	input.method in {"GET", "POST"}
	some scope in input.scopes
	startswith(scope, "decisions:")
}

allow if {
	some route in data.routes
	route.method == input.method
	paths.under(route.prefix)
	every scope in route.scopes { scope in input.scopes }
	not "suspended" in input.roles
}

own_tenant if input.tenant in {"acme", "default"}

reason := "no_agent" if input.agentId == null
else := "lacks_scope" if not allow
"#;

const PATHS: &str = r#"package paths

segments := split(trim_prefix(input.path, "/"), "/")

under(prefix) if input.path == prefix
under(prefix) if startswith(input.path, concat("", [prefix, "/"]))
"#;

fn main() -> Result<(), Box<dyn Error>> {
    let routes = json!([
        {"method": "GET", "prefix": "/api/v1/tokens", "scopes": ["tokens:read"]},
        {"method": "POST", "prefix": "/api/v1/approvals", "scopes": ["approvals:write", "agents:read"]},
        {"method": "GET", "prefix": "/api/v1/audit", "scopes": ["audit:read"]},
    ]);
    let rules = [
        ("authz.rego", RULES.to_owned()),
        ("paths.rego", PATHS.to_owned()),
        ("data/routes.json", routes.to_string()),
    ];
    let table: BTreeMap<String, [&str; 1]> = (0..500)
        .map(|i| (format!("GET /api/v1/things{i}/:id/parts"), ["things:read"]))
        .chain([("GET /api/v1/agents/:id".to_owned(), ["agents:read"])])
        .collect();
    let table = [("data/scopes.json", serde_json::to_string(&table)?)];
    let id = "/api/v1/agents/0190a6a4-7d1c-7b3e-9f00-0123456789ab";
    let own = |files: &[(&str, String)]| {
        files.iter().map(|(file, text)| ((*file).to_owned(), text.clone())).collect()
    };
    let all = [
        ("rules", own(&rules)),
        ("table", own(&table)),
        #[cfg(feature = "wasm")]
        ("module", own(&[("authz.wasm", module()?)])),
    ];
    for (what, files) in all {
        let authz = Authz::read(&files)?.ok_or("nothing to read")?;
        for (case, path, scopes) in [
            ("allow, first rule", id, "agents:read tokens:read"),
            ("allow, last rule", "/api/v1/audit/events", "audit:read"),
            ("deny", "/api/v1/operators", "agents:read tokens:read"),
        ] {
            let scopes = Permissions::from_scope(scopes)?;
            let roles = [Arc::from("worker")];
            let asked = Asked {
                method: "GET",
                path,
                scopes: &scopes,
                agent: Some("agent-1"),
                roles: &roles,
                tenant: "acme",
            };
            println!(
                "{what:6} {case:18} {:>9.0} a second  {:?}",
                rate(&authz, &asked),
                authz.ask(&asked, 0)
            );
        }
    }
    Ok(())
}

/// Allows what holds the word `agents:read`, by OPA's interface; in Base64.
#[cfg(feature = "wasm")]
fn module() -> Result<String, Box<dyn Error>> {
    use base64::Engine;
    let text = r#"(module (import "env" "memory" (memory 2))
(global (export "opa_wasm_abi_version") i32 (i32.const 1))
(global (export "opa_wasm_abi_minor_version") i32 (i32.const 3))
(global $begun (mut i32) (i32.const 0))
(data (i32.const 16) "{}\00") (data (i32.const 32) "{\22countersign/authz\22:0}\00")
(data (i32.const 128) "[{\22result\22:{\22allow\22:true}}]\00")
(data (i32.const 256) "[{\22result\22:{\22allow\22:false}}]\00")
(data (i32.const 512) "agents:r")
(func (export "opa_malloc") (param i32) (result i32) (i32.const 4096))
(func (export "opa_free") (param i32))
(func (export "opa_json_parse") (param i32 i32) (result i32) (local.get 0))
(func (export "opa_json_dump") (param i32) (result i32) (local.get 0))
(func (export "opa_heap_ptr_get") (result i32) (i32.const 8192))
(func (export "builtins") (result i32) (i32.const 16))
(func (export "entrypoints") (result i32) (i32.const 32))
(func (export "opa_eval") (param i32 i32 i32 i32 i32 i32 i32) (result i32) (local $at i32)
  (global.set $begun (i32.const 1))
  (local.set $at (local.get 3))
  (loop $next
    (if (i64.eq (i64.load (local.get $at)) (i64.load (i32.const 512))) (then (return (i32.const 128))))
    (local.set $at (i32.add (local.get $at) (i32.const 1)))
    (br_if $next (i32.lt_u (local.get $at) (i32.add (local.get 3) (local.get 4)))))
  (i32.const 256)))"#;
    Ok(base64::engine::general_purpose::STANDARD.encode(wat::parse_str(text)?))
}

/// The best of five measurements of half a second.
fn rate(authz: &Authz, asked: &Asked<'_>) -> f64 {
    let measured = (0..5).map(|_| {
        let (begun, mut asks) = (Instant::now(), 0_u32);
        while begun.elapsed() < Duration::from_millis(500) {
            for _ in 0..100 {
                black_box(authz.ask(black_box(asked), 0));
            }
            asks += 100;
        }
        f64::from(asks) / begun.elapsed().as_secs_f64()
    });
    measured.fold(0.0, f64::max)
}
