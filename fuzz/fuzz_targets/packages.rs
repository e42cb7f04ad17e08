//! Any text is a package or says where it is none; one that is answers any question within its bounds.
#![no_main]

use std::collections::BTreeMap;
use std::sync::LazyLock;

use countersign_policy::{Form, Json, Holder, Matrix, Packages, Policies, Question};
use libfuzzer_sys::fuzz_target;
use serde_json::{Value, json};

static QUESTION: LazyLock<Value> = LazyLock::new(|| {
    json!({"subject": {"type": "user", "id": "ada", "properties": {"roles": ["a", "b"], "level": 3}},
        "action": "read", "context": {"at": "10.0.0.1", "list": [1, 2.5, "x", null]},
        "resource": {"type": "document", "id": "doc-1", "system": "docs", "properties": {"owner": "ada"}}})
});

fuzz_target!(|rules: &str| {
    let text = format!(
        "# METADATA\n# custom: {{id: fuzzed, version: v1, systems: [docs]}}\npackage fuzzed\n{rules}"
    );
    let packages = match Packages::read(&BTreeMap::from([("fuzzed.rego".to_owned(), text)])) {
        Ok(packages) => packages,
        Err(error) => return assert!(!error.0.is_empty()),
    };
    let policies =
        Policies { matrix: Matrix::built_in().into(), registry: None, packages: Some(packages.into()), routes: None, authz: None };
    let json = Json::from(&*QUESTION);
    let question = Question::read(&json, Form::Check).expect("a question");
    let decision = policies.decide(&question, Holder::Stranger, 1_700_000_000_000_000);
    assert_eq!(&*decision.policy.package, "fuzzed");
});
