//! Answers that are known beforehand.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod matrix;

use countersign_policy::{Decision, DecisionId, Effect, Matrix, Question, canonical};
use serde_json::Value;

fn vectors(name: &str) -> Value {
    let path = format!("{}/../../tests/vectors/{name}", env!("CARGO_MANIFEST_DIR"));
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

#[test]
fn every_known_decision_has_its_canonical_text_and_id() {
    let vectors = vectors("decision-ids.json");
    let cases = vectors["cases"].as_array().unwrap();
    assert!(cases.len() >= 8);
    for case in cases {
        let text = case["canonical"].as_str().unwrap();
        let value: Value = serde_json::from_str(text).unwrap();
        assert_eq!(canonical(&value), text, "{}", case["name"]);
        assert_eq!(DecisionId::of(text).as_str(), case["id"], "{}", case["name"]);
    }
}

#[test]
fn the_built_in_matrix_is_the_known_one_and_answers_as_known() {
    let text = serde_json::to_string(&vectors("rbac-policies.json")).unwrap();
    let matrix = Matrix::parse(&text).unwrap();
    let answers = vectors("rbac-policies.answers.json");
    assert_eq!(matrix.hash(), answers["hash"]);
    assert_eq!(Matrix::built_in().hash(), answers["hash"]);
    for case in answers["cases"].as_array().unwrap() {
        let question = Question {
            subject_type: "operator",
            subject_id: "somebody",
            subject_tenant: "default",
            tenant: "default",
            resource: case["resource"].as_str().unwrap(),
            resource_id: "*",
            action: case["action"].as_str().unwrap(),
        };
        let roles = case["roles"].as_array().unwrap().iter().map(|role| role.as_str().unwrap());
        let decision = Decision::by_roles(&question, roles, &matrix);
        assert_eq!(decision.effect == Effect::Allow, case["allowed"], "{case}");
        assert_eq!(decision.reason.to_string(), case["reason"], "{case}");
    }
}
