//! Matrices that are none, and matrices that answer.

use countersign_policy::{Matrix, Reason};
use proptest::prelude::*;
use serde_json::{Value, json};

/// The smallest matrix that somebody could mend.
fn least() -> Value {
    json!({
        "roles": ["infra", "dev"], "aliases": {"owner": "infra"},
        "matrix": {"infra": {"operators": ["write"], "rbac": ["reload"]}, "dev": {"agents": ["read"]}},
    })
}

fn with(member: &str, value: Value) -> String {
    let mut matrix = least();
    matrix[member] = value;
    matrix.to_string()
}

/// The first place at fault.
#[track_caller]
fn refused_at(text: &str) -> String {
    Matrix::parse(text).unwrap_err().0.remove(0).at
}

#[test]
fn what_is_not_of_the_shape_is_refused_with_its_place() {
    Matrix::parse(&least().to_string()).unwrap();
    for (member, value, at) in [
        ("roles", json!([]), "/roles"),
        ("roles", json!(["infra", "dev", "infra"]), "/roles/2"),
        ("roles", json!(["infra", "dev", "two words"]), "/roles/2"),
        ("roles", json!({}), "/roles"),
        ("aliases", json!({"boss": "king"}), "/aliases/boss"),
        ("aliases", json!({"dev": "infra"}), "/aliases/dev"),
        ("aliases", json!({"a": "b", "b": "a"}), "/aliases/a"),
        ("aliases", json!({"a": "owner", "owner": "infra"}), "/aliases/a"),
        ("aliases", json!({"a/b~": "infra"}), "/aliases/a~1b~0"),
        ("matrix", json!({"king": {}}), "/matrix/king"),
        ("matrix", json!({"owner": {}}), "/matrix/owner"),
        ("matrix", json!({"dev": []}), "/matrix/dev"),
        ("matrix", json!({"dev": {"agents": "read"}}), "/matrix/dev/agents"),
        ("matrix", json!({"dev": {"agents": ["read", "read"]}}), "/matrix/dev/agents"),
        ("matrix", json!({"dev": {"agents": ["*"]}}), "/matrix/dev/agents/0"),
        ("matrix", json!({"dev": {"a:b": ["c"]}}), "/matrix/dev/a:b"),
        ("matrix", json!({"dev": {"agents": ["read"]}}), "/matrix"),
        ("path_mappings", json!([{"pattern": "x"}]), "/path_mappings/0/pattern"),
        ("audit", json!({"retention_days": 0}), "/audit/retention_days"),
        ("audit", json!({"retention": 1}), "/audit/retention"),
        ("version", json!(1), "/version"),
        ("matrix2", json!({}), "/matrix2"),
    ] {
        assert_eq!(refused_at(&with(member, value.clone())), at, "{member} {value}");
    }
}

#[test]
fn a_text_that_is_cut_short_at_any_place_is_refused() {
    let text = least().to_string();
    for end in 0..text.len() {
        assert!(Matrix::parse(&text[..end]).is_err(), "{}", &text[..end]);
    }
}

#[test]
fn a_name_given_twice_is_refused() {
    let text = least().to_string();
    assert_eq!(refused_at(&text.replacen('{', r#"{"roles":["infra"],"#, 1)), "");
    assert_eq!(refused_at(&text.replacen("\"dev\":", r#""dev":{},"dev":"#, 1)), "");
}

#[test]
fn nobody_is_locked_out_of_mending_it() {
    for (resource, action) in [("operators", "write"), ("rbac", "reload")] {
        let mut matrix = least();
        matrix["matrix"]["infra"].as_object_mut().unwrap().remove(resource);
        let refused = Matrix::parse(&matrix.to_string()).unwrap_err().to_string();
        assert!(refused.contains(&format!("`{resource}:{action}`")), "{refused}");
    }
}

#[test]
fn a_flood_of_faults_is_told_of_in_part() {
    let many: serde_json::Map<String, Value> =
        (0..10_000).map(|i| (format!("x{i}"), Value::Null)).collect();
    let refused = Matrix::parse(&with("matrix", many.into())).unwrap_err();
    assert_eq!(refused.0.len(), 20);
    let long = with(&"x".repeat(100_000), Value::Null);
    assert!(Matrix::parse(&long).unwrap_err().to_string().len() < 1000);
}

#[test]
fn ten_thousand_roles_are_a_matrix_and_one_more_are_not() {
    let roles = |n: usize| {
        let names: Vec<String> = (0..n).map(|i| format!("r{i}")).collect();
        json!({"roles": names, "matrix": {"r0": {"operators": ["write"], "rbac": ["reload"]}}})
    };
    let matrix = Matrix::parse(&roles(10_000).to_string()).unwrap();
    assert_eq!(matrix.role("r9999"), Some("r9999"));
    assert_eq!(refused_at(&roles(10_001).to_string()), "/roles");
}

#[test]
fn what_roles_hold_together_is_said_in_order() {
    let matrix = Matrix::parse(&least().to_string()).unwrap();
    assert_eq!(
        matrix.permissions(["dev", "owner"]).to_scope(),
        "agents:read operators:write rbac:reload"
    );
    assert!(matrix.permissions(["nobody"]).is_empty());
    assert!(
        matrix.knows("agents:read") && !matrix.knows("agents:write") && !matrix.knows("agents")
    );
    assert_eq!(matrix.resources(), ["agents", "operators", "rbac"]);
}

/// Some roles, aliases and grants, by small numbers.
fn files() -> impl Strategy<Value = Vec<(u8, u8, u8)>> {
    proptest::collection::vec((0u8..5, 0u8..4, 0u8..4), 0..40)
}

proptest! {
    /// Against the plainest evaluator there is: look through the list.
    #[test]
    fn a_role_may_what_the_file_says_and_nothing_else(
        grants in files(), asked in proptest::collection::vec(0u8..8, 0..4), what in (0u8..4, 0u8..4),
    ) {
        let mut matrix = json!({
            "roles": ["r0", "r1", "r2", "r3", "r4", "mender"], "aliases": {"r5": "r1", "r6": "r4"},
            "matrix": {"mender": {"operators": ["write"], "rbac": ["reload"]}},
        });
        let mut unique = grants.clone();
        unique.sort_unstable();
        unique.dedup();
        for (role, resource, action) in &unique {
            let held = &mut matrix["matrix"][format!("r{role}")][format!("res{resource}")];
            if held.is_null() { *held = json!([]); }
            held.as_array_mut().unwrap().push(json!(format!("act{action}")));
        }
        let parsed = Matrix::parse(&matrix.to_string()).unwrap();
        let roles: Vec<String> = asked.iter().map(|role| format!("r{role}")).collect();
        let meant = |role: &u8| match role { 5 => Some(1), 6 => Some(4), 7 => None, role => Some(*role) };
        let first = asked.iter().filter_map(meant)
            .filter(|role| unique.contains(&(*role, what.0, what.1))).min();
        let expected = match (asked.is_empty(), first) {
            (true, _) => Err(Reason::NoCredentials),
            (_, Some(role)) => Ok(Reason::Role(format!("r{role}").into())),
            (_, None) => Err(Reason::InsufficientPermissions),
        };
        let (resource, action) = (format!("res{}", what.0), format!("act{}", what.1));
        let answer = parsed.decide(roles.iter().map(String::as_str), &resource, &action);
        prop_assert_eq!(answer, expected);
    }

    /// Whatever the text: an answer, never a panic.
    #[test]
    fn any_text_is_refused_or_read(text in "\\PC*") {
        let _ = Matrix::parse(&text);
    }
}
