//! The known answers: certificates, and the ids of their decisions.

use std::collections::BTreeMap;
use std::sync::Arc;

use countersign_policy::{
    Decision, Effect, Form, Holder, Json, Matrix, Packages, Policies, Question, Registry,
    canonical, strict,
};
use serde_json::{Value, json};

use crate::vector;

fn policies() -> Policies {
    let registry = Registry::parse(&vector("registry-snapshot.json")).unwrap();
    Policies {
        matrix: Arc::new(Matrix::built_in()),
        registry: Some(Arc::new(registry)),
        packages: None,
        routes: None,
        authz: None,
    }
}

fn decided(policies: &Policies, request: &Value) -> Decision {
    let json = Json::from(request);
    let question = Question::read(&json, Form::Check).unwrap();
    policies.decide(&question, Holder::Stranger, 0)
}

#[test]
fn every_certificate_that_was_asked_for_has_its_answer() {
    let policies = policies();
    let fixtures: Value = strict(&vector("ssh-sign-fixtures.json")).unwrap();
    let cases = fixtures["cases"].as_array().unwrap();
    assert!(cases.len() >= 20);
    for case in cases {
        let decision = decided(&policies, &case["request"]);
        let answer = (decision.effect().as_str(), decision.reason().to_string());
        let wanted = [&case["effect"], &case["reason"]].map(|text| text.as_str().unwrap());
        assert_eq!((answer.0, &*answer.1), (wanted[0], wanted[1]), "{}", case["name"]);
        assert_eq!(*decision.policy.package, *fixtures["package"].as_str().unwrap());
        assert_eq!(*decision.policy.version, *fixtures["version"].as_str().unwrap());
    }
}

#[test]
fn every_decision_has_its_id() {
    let policies = policies();
    let ids: Value = strict(&vector("decision-ids.json")).unwrap();
    let digest = policies.registry.as_ref().unwrap().digest();
    assert_eq!(**digest, *ids["registry_digest"].as_str().unwrap());
    let fixtures: Value = strict(&vector("ssh-sign-fixtures.json")).unwrap();
    let cases = fixtures["cases"].as_array().unwrap();
    for wanted in ids["cases"].as_array().unwrap() {
        let case = cases.iter().find(|case| case["name"] == wanted["name"]).unwrap();
        let decision = decided(&policies, &case["request"]);
        assert_eq!(decision.id.as_str(), wanted["id"], "{}", wanted["name"]);
        assert_eq!(decision.digest.to_string(), wanted["digest"].as_str().unwrap());
        let text = strict(wanted["canonical"].as_str().unwrap()).unwrap();
        let json = Json::from(&text["question"]);
        let question = Question::read(&json, Form::Canonical).unwrap();
        assert_eq!(question.canonical(), canonical(&text["question"]));
        assert_eq!(policies.decide(&question, Holder::Stranger, 0), decision);
    }
}

#[test]
fn the_built_in_matrix_is_the_known_one_and_answers_as_known() {
    let text = vector("rbac-policies.json");
    let answers: Value = strict(&vector("rbac-policies.answers.json")).unwrap();
    let hash = answers["hash"].as_str().unwrap();
    assert_eq!(Matrix::built_in().hash(), hash);
    let policies = Policies {
        matrix: Arc::new(Matrix::parse(&text).unwrap()),
        registry: None,
        packages: None,
        routes: None,
        authz: None,
    };
    assert_eq!(policies.matrix.hash(), hash);
    for case in answers["cases"].as_array().unwrap() {
        let request = json!({
            "subject": {"type": "operator", "id": "somebody"}, "action": case["action"],
            "resource": {"type": case["resource"], "id": "*"},
        });
        let roles: Vec<Arc<str>> = case["roles"]
            .as_array()
            .unwrap()
            .iter()
            .map(|role| role.as_str().unwrap().into())
            .collect();
        let json = Json::from(&request);
        let question = Question::read(&json, Form::Check).unwrap();
        let decision = policies.decide(&question, Holder::Roles(&roles), 0);
        assert_eq!(decision.effect() == Effect::Allow, case["allowed"], "{case}");
        assert_eq!(decision.reason().to_string(), case["reason"], "{case}");
    }
}

#[test]
fn what_approval_says_is_no_part_of_the_question() {
    let policies = policies();
    let fixtures: Value = strict(&vector("ssh-sign-fixtures.json")).unwrap();
    let mut request = fixtures["cases"][0]["request"].clone();
    let before = decided(&policies, &request);
    request["context"]["approval"] = "somebody's".into();
    assert_eq!(decided(&policies, &request).id, before.id);
    request["context"]["approvals"] = "somebody's".into();
    assert_ne!(decided(&policies, &request).id, before.id);
}

#[test]
fn the_certification_scenario_is_answered_by_the_examples_package() {
    let example = |path: &str| {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/authzen/");
        std::fs::read_to_string(format!("{folder}{path}")).unwrap()
    };
    let rules = example("policies/packages/records.rego");
    let packages = Packages::read(&BTreeMap::from([("records.rego".to_owned(), rules)])).unwrap();
    let policies = Policies {
        matrix: Arc::new(Matrix::built_in()),
        registry: Some(Arc::new(Registry::parse(&example("registry.json")).unwrap())),
        packages: Some(Arc::new(packages)),
        routes: None,
        authz: None,
    };
    let fixture: Value = serde_json::from_str(&crate::vector("authzen-fixture.json")).unwrap();
    for case in fixture["decisions"].as_array().unwrap() {
        let json = Json::from(&case["request"]);
        let question = Question::read(&json, Form::AuthZen).unwrap();
        let decision = policies.decide(&question, Holder::Stranger, 0);
        assert_eq!(decision.effect() == Effect::Allow, case["decision"], "{}", case["request"]);
    }
}
