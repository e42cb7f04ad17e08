//! Measures how often a policy directory answers in a second, on one thread: rules of a middling size, and a table.
//!
//!   cargo run --release -p countersign-policy --example authz_speed

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
    for (what, files) in [("rules", own(&rules)), ("table", own(&table))] {
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
