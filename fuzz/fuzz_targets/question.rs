//! Any text is a question or says where it is none; a question has an answer, an id that can be recomputed, and is
//! the same question when it is read back from its canonical form.
#![no_main]

use std::sync::{Arc, LazyLock};

use countersign_policy::{Form, Holder, Json, Matrix, Policies, Question, Registry};
use libfuzzer_sys::fuzz_target;

static POLICIES: LazyLock<Policies> = LazyLock::new(|| {
    let registry = include_str!("../../tests/vectors/registry-snapshot.json");
    let registry = Registry::parse(registry).expect("the known registry is one");
    Policies { matrix: Arc::new(Matrix::built_in()), registry: Some(Arc::new(registry)), packages: None, routes: None, authz: None }
});

fuzz_target!(|text: &str| {
    let Ok(value) = Json::read(text) else { return };
    for form in [Form::Check, Form::AuthZen, Form::Canonical] {
        let Ok(question) = Question::read(&value, form) else { continue };
        let decision = POLICIES.decide(&question, Holder::Stranger, 0);
        let canonical = question.canonical();
        let text = Json::read(&canonical).expect("a canonical question is JSON");
        let again = Question::read(&text, Form::Canonical).expect("it is read back");
        assert_eq!(POLICIES.decide(&again, Holder::Stranger, 0), decision);
    }
});
