//! Any text is a registry or says where it is none; the digest is that of its canonical form.
#![no_main]

use countersign_policy::{Form, Holder, Json, Matrix, Policies, Question, Registry, canonical, strict};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let registry = match Registry::parse(text) {
        Ok(registry) => registry,
        Err(error) => return assert!(!error.0.is_empty()),
    };
    let value = strict(text).expect("a registry is JSON");
    let again = Registry::parse(&canonical(&value)).expect("so is its canonical form");
    assert_eq!(registry.digest(), again.digest());
    let first = registry.resources().next().map(|one| (one.kind().to_owned(), one.id().to_string()));
    let who = registry.subjects().next().map(|one| (one.kind().to_owned(), one.id().to_string()));
    let policies = Policies { matrix: Matrix::built_in().into(), registry: Some(registry.into()), packages: None, routes: None, authz: None };
    if let (Some((kind, id)), Some((subject, name))) = (first, who) {
        let asked = serde_json::json!({
            "subject": {"type": subject, "id": name}, "action": "read",
            "resource": {"type": kind, "id": id},
        });
        if let Ok(question) = Question::read(&Json::from(&asked), Form::Check) {
            let _ = policies.decide(&question, Holder::Stranger, 0);
        }
    }
});
