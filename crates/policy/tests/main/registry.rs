//! Snapshots that are none, and what relationships allow.

use std::sync::Arc;

use aws_lc_rs::digest::{SHA256, digest};
use countersign_policy::{
    Effect, Form, Holder, Json, Matrix, Policies, Question, Registry, canonical,
};
use serde_json::{Value, json};

use crate::vector;

fn small() -> Value {
    json!({
        "version": "1", "tenant": "acme",
        "systems": [{"id": "wiki"}, {"id": "vault", "policy_package": "no.such.package"}],
        "resource_manifests": [{
            "id": "pages", "system": "wiki", "actions": ["read", "write", "drop"],
            "relations": {"editor": ["read", "write"]},
            "resources": [
                {"id": "page:1", "type": "page"},
                {"id": "page:2", "type": "page", "attributes": {"approval_level": 3}},
                {"id": "pin:1", "type": "memory_pin"},
            ],
        }],
        "subjects": [
            {"id": "ann", "type": "user", "groups": ["staff"], "roles": ["dev"]},
            {"id": "bob", "type": "user"}, {"id": "cy", "type": "user"},
        ],
        "groups": [{"id": "staff", "members": ["bob"]}],
        "teams": [{"id": "red", "members": ["cy"]}],
        "tenants": [{"id": "acme"}],
        "relationships": [
            {"subject": "staff", "relation": "editor", "object": "pages"},
            {"subject": "red", "relation": "read", "object": "system:wiki"},
            {"subject": "cy", "relation": "drop", "object": "page:2"},
        ],
    })
}

fn policies(snapshot: &Value) -> Policies {
    let registry = Registry::parse(&snapshot.to_string()).unwrap();
    Policies {
        matrix: Arc::new(Matrix::built_in()),
        registry: Some(Arc::new(registry)),
        packages: None,
        routes: None,
        authz: None,
    }
}

fn answer(
    policies: &Policies,
    who: &str,
    action: &str,
    kind: &str,
    id: &str,
    system: Option<&str>,
) -> String {
    let request = json!({
        "subject": {"type": "user", "id": who}, "action": action,
        "resource": {"type": kind, "id": id, "system": system},
    });
    let json = Json::from(&request);
    let question = Question::read(&json, Form::Check).unwrap();
    let decision = policies.decide(&question, Holder::Stranger, 0);
    format!("{} {}", decision.effect().as_str(), decision.reason())
}

#[test]
fn a_relationship_allows_by_group_team_manifest_and_system() {
    let policies = policies(&small());
    let ask = |who, action, id| answer(&policies, who, action, "page", id, Some("wiki"));
    assert_eq!(ask("ann", "write", "page:1"), "allow relationship:editor");
    assert_eq!(ask("bob", "write", "page:1"), "allow relationship:editor");
    assert_eq!(ask("cy", "read", "page:1"), "allow relationship:read");
    assert_eq!(ask("cy", "read", "page:not-registered"), "allow relationship:read");
    assert_eq!(ask("cy", "write", "page:1"), "deny no_matching_rule");
    assert_eq!(ask("ann", "drop", "page:1"), "deny no_matching_rule");
    assert_eq!(ask("nobody", "read", "page:1"), "deny no_matching_rule");
}

#[test]
fn what_needs_approval_says_so_when_all_else_allows() {
    let policies = policies(&small());
    let ask = |who, action| answer(&policies, who, action, "page", "page:2", None);
    assert_eq!(ask("cy", "drop"), "requires_approval approval_required");
    assert_eq!(ask("ann", "drop"), "deny no_matching_rule");
}

#[test]
fn a_registered_resource_is_not_asked_about_as_something_else() {
    let policies = policies(&small());
    assert_eq!(answer(&policies, "ann", "write", "pages", "page:1", None), "deny no_matching_rule");
    let elsewhere = answer(&policies, "cy", "read", "page", "page:1", Some("other"));
    assert_eq!(elsewhere, "deny no_matching_rule");
}

#[test]
fn roles_come_from_the_registry_alone() {
    let policies = policies(&small());
    assert_eq!(answer(&policies, "ann", "read", "memory_pin", "pin:9", None), "allow role:dev");
    assert_eq!(
        answer(&policies, "bob", "admin", "memory_pin", "pin:1", None),
        "deny no-credentials"
    );
    let mut request = json!({
        "subject": {"type": "user", "id": "bob", "properties": {"roles": ["infra"], "role": "infra"}},
        "action": "admin", "resource": {"type": "memory_pin", "id": "pin:1"},
        "context": {"roles": ["infra"]},
    });
    let decide = |request: &Value| {
        let json = Json::from(request);
        let question = Question::read(&json, Form::Check).unwrap();
        policies.decide(&question, Holder::Stranger, 0).effect()
    };
    assert_eq!(decide(&request), Effect::Deny);
    request["subject"]["id"] = "ann".into();
    request["action"] = "read".into();
    request["resource"]["id"] = "pin:9".into();
    assert_eq!(decide(&request), Effect::Allow);
}

#[test]
fn a_package_that_is_not_there_denies() {
    let policies = policies(&small());
    let answer = answer(&policies, "ann", "read", "page", "page:9", Some("vault"));
    assert_eq!(answer, "deny policy_unavailable");
}

#[test]
fn whom_we_stopped_may_do_nothing_whatever_the_registry_says() {
    let policies = policies(&small());
    let request = json!({
        "subject": {"type": "user", "id": "ann"}, "action": "write",
        "resource": {"type": "page", "id": "page:1"},
    });
    let json = Json::from(&request);
    let question = Question::read(&json, Form::Check).unwrap();
    let decision = policies.decide(&question, Holder::Stopped, 0);
    assert_eq!(decision.reason().to_string(), "subject-not-active");
}

#[test]
fn the_digest_is_that_of_the_canonical_form() {
    for snapshot in [small(), serde_json::from_str(&vector("registry-snapshot.json")).unwrap()] {
        let sum = digest(&SHA256, canonical(&snapshot).as_bytes());
        let wanted = format!("sha256:{}", hex::encode(sum));
        let pretty = serde_json::to_string_pretty(&snapshot).unwrap();
        for text in [snapshot.to_string(), pretty] {
            assert_eq!(**Registry::parse(&text).unwrap().digest(), *wanted);
        }
    }
}

#[test]
fn each_fault_is_told_with_its_place() {
    let mut cases: Vec<(&str, Value, &str)> = vec![
        ("/tenant", json!(1), "/tenant: must be text"),
        ("/more", json!(1), "/more: is not known"),
        ("/systems", json!({}), "/systems: must be a list"),
        ("/systems/0/id", json!(7), "/systems/0/id: must be a name of at most 1024 bytes"),
        ("/systems/0/id", json!("pages"), "/systems/0/id: is the name of something else, too"),
        ("/subjects/1", json!("bob"), "/subjects/1: must be an object"),
        ("/subjects/1/id", json!("ann"), "/subjects/1/id: is the name of somebody else, too"),
        (
            "/subjects/1/groups",
            json!(["x"]),
            "/subjects/1/groups/0: is not one of `groups` or `teams`",
        ),
        ("/groups/0/members/0", json!("x"), "/groups/0/members/0: is not one of `subjects`"),
        ("/groups/0/id", json!("ann"), "/groups/0/id: is the name of somebody else, too"),
        (
            "/relationships/1/object",
            json!("x"),
            "/relationships/1/object: is no resource, manifest or system",
        ),
        (
            "/relationships/1/subject",
            json!("x"),
            "/relationships/1/subject: is not one of `subjects`, `groups` or `teams`",
        ),
        (
            "/resource_manifests/0/system",
            json!("x"),
            "/resource_manifests/0/system: is not one of `systems`",
        ),
        (
            "/resource_manifests/0/relations/editor/0",
            json!("fly"),
            "/resource_manifests/0/relations/editor/0: is not one of the manifest's `actions`",
        ),
    ];
    let level = "/resource_manifests/0/resources/1/attributes/approval_level";
    cases.push((
        level,
        json!(6),
        "/resource_manifests/0/resources/1/attributes/approval_level: must be 1 to 5",
    ));
    for (pointer, value, told) in cases {
        let mut snapshot = small();
        let (parent, name) = pointer.rsplit_once('/').unwrap();
        match snapshot.pointer_mut(parent).unwrap() {
            Value::Array(items) => items[name.parse::<usize>().unwrap()] = value,
            object => object[name] = value,
        }
        let faults = Registry::parse(&snapshot.to_string()).unwrap_err().0;
        assert!(faults.iter().any(|fault| fault.to_string() == told), "{told}: {faults:?}");
    }
    for (text, told) in [
        ("", "EOF while parsing"),
        ("[]", "invalid type: sequence, expected an object"),
        (r#"{"tenant":"a","tenant":"b"}"#, "`tenant` is given more than once"),
        (r#"{"subjects":[{"id":"a","id":"b"}]}"#, "`id` is given more than once"),
    ] {
        let error = Registry::parse(text).unwrap_err().to_string();
        assert!(error.contains(told), "{error}");
    }
}
