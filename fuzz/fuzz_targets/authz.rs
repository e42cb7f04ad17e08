//! Any text is a policy directory or says where it is none; one answers every request, within its bounds.
//! The first line is a method and a path; the rest is rules, or a table of scopes where it begins with `{`.
#![no_main]

use std::collections::BTreeMap;

use countersign_policy::authz::Asked;
use countersign_policy::{Authz, Permissions};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let (request, rules) = text.split_once('\n').unwrap_or((text, ""));
    let (method, path) = request.split_once(' ').unwrap_or((request, "/"));
    let (name, rules) = match rules.starts_with('{') {
        true => ("data/scopes.json", rules.to_owned()),
        false => ("authz.rego", format!("package countersign.authz\n{rules}")),
    };
    match Authz::read(&BTreeMap::from([(name.to_owned(), rules)])) {
        Ok(authz) => {
            let scopes = Permissions::from_scope("agents:read npu:write").expect("two scopes");
            let asked = Asked { method, path, scopes: &scopes, agent: Some("a"), roles: &[], tenant: "t" };
            let _ = authz.expect("a form that is there").ask(&asked, 1_700_000_000_000_000);
        }
        Err(error) => assert!(!error.0.is_empty()),
    }
});
