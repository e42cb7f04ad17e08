//! What fuzzing has kept (`fuzz/corpus`), replayed: nothing in it makes anything panic.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use countersign_policy::authz::Asked;
use countersign_policy::{
    Authz, Form, Holder, Json, Matrix, Packages, Permissions, Policies, Question, Registry, Routes,
    canonical, strict,
};

fn corpus(name: &str) -> Vec<String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus").join(name);
    let files = std::fs::read_dir(folder).unwrap().map(|file| file.unwrap().path());
    let texts: Vec<String> = files
        .map(|file| String::from_utf8_lossy(&std::fs::read(file).unwrap()).into_owned())
        .collect();
    assert!(!texts.is_empty());
    texts
}

#[test]
fn what_is_read_has_one_canonical_form() {
    for text in corpus("canonical").into_iter().chain(corpus("question")) {
        if let Ok(value) = strict(&text) {
            let once = canonical(&value);
            assert_eq!(canonical(&strict(&once).unwrap()), once);
        }
    }
}

#[test]
fn a_matrix_or_a_registry_is_read_or_says_where_it_is_none() {
    for text in corpus("matrix") {
        assert!(Matrix::parse(&text).map_err(|error| error.0.len()).err() != Some(0));
    }
    for text in corpus("registry") {
        match Registry::parse(&text) {
            Ok(registry) => {
                let again = Registry::parse(&canonical(&strict(&text).unwrap())).unwrap();
                assert_eq!(registry.digest(), again.digest());
            }
            Err(error) => assert!(!error.0.is_empty()),
        }
    }
}

#[test]
fn a_package_is_read_or_says_where_it_is_none_and_answers_within_its_bounds() {
    let asked = serde_json::json!({"subject": {"type": "user", "id": "ada"}, "action": "read",
        "resource": {"type": "document", "id": "doc-1", "system": "docs"}});
    let json = Json::from(&asked);
    let question = Question::read(&json, Form::Check).unwrap();
    let mut read = 0;
    for rules in corpus("packages") {
        let text = format!(
            "# METADATA\n# custom: {{id: fuzzed, version: v1, systems: [docs]}}\npackage fuzzed\n{rules}"
        );
        match Packages::read(&BTreeMap::from([("fuzzed.rego".to_owned(), text)])) {
            Ok(packages) => {
                let policies = Policies {
                    matrix: Arc::new(Matrix::built_in()),
                    registry: None,
                    packages: Some(Arc::new(packages)),
                    routes: None,
                    authz: None,
                };
                let decision = policies.decide(&question, Holder::Stranger, 0);
                assert_eq!(&*decision.policy.package, "fuzzed");
                read += 1;
            }
            Err(error) => assert!(!error.0.is_empty()),
        }
    }
    assert!(read >= 3, "{read}");
}

#[test]
fn a_route_table_is_read_or_says_where_it_is_none_and_answers() {
    for text in corpus("routes") {
        let mut parts = text.splitn(4, '\n');
        let mut next = || parts.next().unwrap_or_default();
        let (method, host, target, table) = (next(), next(), next(), next());
        match Routes::parse(table) {
            Ok(routes) => drop(routes.find(method, host, target)),
            Err(error) => assert!(!error.0.is_empty()),
        }
    }
}

#[test]
fn a_policy_directory_is_read_or_says_where_it_is_none_and_answers() {
    let scopes = Permissions::from_scope("agents:read npu:write").unwrap();
    let mut read = 0;
    for text in corpus("authz") {
        let (request, rules) = text.split_once('\n').unwrap_or((&text, ""));
        let (method, path) = request.split_once(' ').unwrap_or((request, "/"));
        let (name, rules) = match rules.starts_with('{') {
            true => ("data/scopes.json", rules.to_owned()),
            false => ("authz.rego", format!("package countersign.authz\n{rules}")),
        };
        match Authz::read(&BTreeMap::from([(name.to_owned(), rules)])) {
            Ok(authz) => {
                let (agent, roles, tenant) = (Some("a"), &[][..], "t");
                let asked = Asked { method, path, scopes: &scopes, agent, roles, tenant };
                let _ = authz.unwrap().ask(&asked, 0);
                read += 1;
            }
            Err(error) => assert!(!error.0.is_empty()),
        }
    }
    assert!(read >= 3, "{read}");
}

#[test]
fn a_question_is_the_same_when_it_is_read_back() {
    let registry = Registry::parse(&crate::vector("registry-snapshot.json")).unwrap();
    let policies = Policies {
        matrix: Arc::new(Matrix::built_in()),
        registry: Some(Arc::new(registry)),
        packages: None,
        routes: None,
        authz: None,
    };
    for text in corpus("question") {
        let Ok(value) = Json::read(&text) else { continue };
        for form in [Form::Check, Form::AuthZen, Form::Canonical] {
            let Ok(question) = Question::read(&value, form) else { continue };
            let canonical = question.canonical();
            let text = Json::read(&canonical).unwrap();
            let again = Question::read(&text, Form::Canonical).unwrap();
            let decide = |question| policies.decide(question, Holder::Stranger, 0);
            assert_eq!(decide(&again), decide(&question));
        }
    }
}
