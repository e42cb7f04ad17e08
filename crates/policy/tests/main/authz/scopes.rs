//! The table of endpoints, also against one that is searched line by line.

use countersign_policy::authz::{Answer, Asked};
use countersign_policy::{Authz, Permissions};
use insta::assert_snapshot;
use proptest::prelude::*;
use serde_json::{Map, Value, json};

use super::{NOW, ask, faults, read, told};

const TABLE: &str = r#"{
    "GET /": [],
    "GET /api/v1/agents": ["agents:read"],
    "GET /api/v1/agents/:id": ["agents:read"],
    "PATCH /api/v1/agents/:agentId": ["agents:write", "agents:read"],
    "POST /api/v1/agents/search": ["agents:read"],
    "GET /api/v1/agents/:id/credentials/:credential": ["credentials:read"],
    "GET /api/v1/:kind/first/last": []
}"#;

fn table(text: &str) -> Authz {
    read(&[("data/scopes.json", text)]).unwrap().unwrap()
}

#[test]
fn all_scopes_of_an_endpoint_are_needed() {
    let authz = table(TABLE);
    let told = |method, path, scopes| ask(&authz, method, path, scopes);
    assert_eq!(told("GET", "/", ""), "allow");
    assert_eq!(told("GET", "/api/v1/agents", "agents:read"), "allow");
    assert_eq!(told("PATCH", "/api/v1/agents/a-1", "agents:read agents:write"), "allow");
    assert_snapshot!(told("PATCH", "/api/v1/agents/a-1", "agents:read"), @"deny insufficient_scope [lacks agents:write]");
    assert_snapshot!(told("PATCH", "/api/v1/agents/a-1", ""), @"deny insufficient_scope [lacks agents:write agents:read]");
    assert_snapshot!(told("GET", "/api/v1/agents", "agents:write agents:reader"), @"deny insufficient_scope [lacks agents:read]");
    assert_eq!(told("DELETE", "/api/v1/agents/a-1", "agents:write"), "deny endpoint_not_listed");
    assert_eq!(told("get", "/api/v1/agents", "agents:read"), "deny endpoint_not_listed");
    assert_eq!(told("HEAD", "/api/v1/agents", "agents:read"), "deny endpoint_not_listed");
}

#[test]
fn a_uuid_and_any_other_one_segment_stands_for_an_id() {
    let authz = table(TABLE);
    for id in [
        "0190a6a4-7d1c-7b3e-9f00-0123456789ab",
        "0190A6A4-7D1C-7B3E-9F00-0123456789AB",
        ":id",
        "a",
        "a%20b",
        "a@b:c",
    ] {
        assert_eq!(
            ask(&authz, "GET", &format!("/api/v1/agents/{id}"), "agents:read"),
            "allow",
            "{id}"
        );
        let deeper = format!("/api/v1/agents/{id}/credentials/{id}");
        assert_eq!(ask(&authz, "GET", &deeper, "credentials:read"), "allow", "{id}");
    }
    let said =
        faults(&[("data/scopes.json", r#"{"GET /a/0190a6a4-7d1c-7b3e-9f00-0123456789ab": []}"#)]);
    assert_snapshot!(said, @"not a usable policy directory; data/scopes.json#/GET ~1a~10190a6a4-7d1c-7b3e-9f00-0123456789ab: write `:id` for `0190a6a4-7d1c-7b3e-9f00-0123456789ab`: any UUID is read so");
}

#[test]
fn a_name_comes_before_an_id_and_then_answers_alone() {
    let authz = table(TABLE);
    assert_eq!(ask(&authz, "POST", "/api/v1/agents/search", "agents:read"), "allow");
    assert_eq!(
        ask(&authz, "GET", "/api/v1/agents/search", "agents:read"),
        "deny endpoint_not_listed"
    );
    // `agents` is a name, but leads to no such path.
    assert_eq!(ask(&authz, "GET", "/api/v1/agents/first/last", ""), "allow");
}

#[test]
fn a_path_that_looks_like_another_one_is_not_listed() {
    let authz = table(TABLE);
    for path in [
        "",
        "api/v1/agents",
        "//",
        "/api/v1/agents/",
        "/api/v1//agents",
        "//api/v1/agents",
        "/API/v1/agents",
        "/api/v1/Agents",
        "/api/v1/%61gents",
        "/api/v1%2fagents",
        "/api/v1/agents%2f",
        "/api/v1/agents/%2F",
        "/api/v1/agents/..",
        "/api/v1/agents/.",
        "/api/v1/agents/%2e%2e",
        "/api/v1/agents/a%5cb",
        "/api/v1/agents/a\\b",
        "/api/v1/agents/a;b",
        "/api/v1/agents/a%3bb",
        "/api/v1/agents/a%00",
        "/api/v1/agents/a%",
        "/api/v1/agents/a%2",
        "/api/v1/agents/a%zz",
        "/api/v1/agents/a%252f",
        "/api/v1/agents/é",
        "/api/v1/agents/a b",
        "/api/v1/agents/a?b",
        "/api/v1/agents/a#b",
        "/api/v1/agents/a\n",
        "/api/v1/agents ",
        "/api/v1/agents?x=1",
        "/api/v1/agents/a/credentials",
        "/api/v1/x/../agents",
    ] {
        let answer = ask(&authz, "GET", path, "agents:read agents:write credentials:read");
        assert_eq!(answer, "deny endpoint_not_listed", "{path:?}");
    }
    let long = format!("/api/v1/agents{}", "/a".repeat(100_000));
    assert_eq!(ask(&authz, "GET", &long, "agents:read"), "deny endpoint_not_listed");
}

#[test]
fn each_fault_is_told_with_its_place() {
    let said = |text: &str| faults(&[("data/scopes.json", text)]);
    let wrong = json!({
        "/api": [], "get /api": [], "GET  /api": [], " /api": [], "GET api": [], "GET": [], "GE T /api": [],
        "GET /api/": [], "GET //api": [], "GET /a/:": [], "GET /a/*": [], "GET /a/{id}": [], "GET /a/..": [],
        "GET /a?b": [], "GET /b": "a:b", "GET /c": ["a", "a:b", 1, "a:b", "a:*"], "GET /é": [],
    });
    assert_snapshot!(said(&wrong.to_string()).replace("; ", "\n"), @r#"
not a usable policy directory
data/scopes.json#/ ~1api: must begin with a method in upper-case letters
data/scopes.json#/~1api: must be a method and a path, such as `GET /api/v1/agents/:id`
data/scopes.json#/GE T ~1api: must be a method and a path, such as `GET /api/v1/agents/:id`
data/scopes.json#/GET: must be a method and a path, such as `GET /api/v1/agents/:id`
data/scopes.json#/GET  ~1api: must be a method and a path, such as `GET /api/v1/agents/:id`
data/scopes.json#/GET ~1~1api: has a segment `` that no path is matched by: write names, and `:id` for what may be anything
data/scopes.json#/GET ~1a~1*: has a segment `*` that no path is matched by: write names, and `:id` for what may be anything
data/scopes.json#/GET ~1a~1..: has a segment `..` that no path is matched by: write names, and `:id` for what may be anything
data/scopes.json#/GET ~1a~1:: must have a name behind each `:`
data/scopes.json#/GET ~1a~1{id}: has a segment `{id}` that no path is matched by: write names, and `:id` for what may be anything
data/scopes.json#/GET ~1a?b: has a segment `a?b` that no path is matched by: write names, and `:id` for what may be anything
data/scopes.json#/GET ~1api~1: has a segment `` that no path is matched by: write names, and `:id` for what may be anything
data/scopes.json#/GET ~1b: must be a list of scopes
data/scopes.json#/GET ~1c/0: expected `resource:action` of letters, digits, `_`, `-` and `.`, at most 128 characters
data/scopes.json#/GET ~1c/2: must be a string such as `agents:read`
data/scopes.json#/GET ~1c/3: `a:b` is given more than once
data/scopes.json#/GET ~1c/4: expected `resource:action` of letters, digits, `_`, `-` and `.`, at most 128 characters
data/scopes.json#/GET ~1é: has a segment `é` that no path is matched by: write names, and `:id` for what may be anything
data/scopes.json#/GET api: must be a method and a path, such as `GET /api/v1/agents/:id`
data/scopes.json#/get ~1api: must begin with a method in upper-case letters
"#);
    assert_snapshot!(said(r#"{"GET /a/:id/b": [], "GET /a/:other/b": ["a:b"]}"#), @"not a usable policy directory; data/scopes.json#/GET ~1a~1:other~1b: is the same endpoint as another one");
    assert_snapshot!(said("{\"GET /a\": [],\n \"GET /a\": []}"), @"not a usable policy directory; data/scopes.json: `GET /a` is given more than once at line 2 column 14");
    assert_snapshot!(said("{\"GET /a\": [],\n"), @"not a usable policy directory; data/scopes.json: EOF while parsing a value at line 2 column 0");
    assert_snapshot!(said("[]"), @"not a usable policy directory; data/scopes.json: must be an object of endpoints");
    assert_snapshot!(said(&format!(r#"{{"GET {}": []}}"#, "/a".repeat(33))), @"not a usable policy directory; data/scopes.json#/GET ~1a~1a~1a~1a~1a~1a~1a~1a~1a~1a~1a~1a~1a~1a~1a~1a~1a~1a~1a~1a~1a~1a~1a~1a~1a~1a~1a~1a~1a~1a: may have 32 segments");
    assert_snapshot!(said(&json!({"GET /a": vec!["a:b"; 65]}).to_string()), @"not a usable policy directory; data/scopes.json#/GET ~1a: may list 64 scopes");
    assert_snapshot!(said(&" ".repeat(5 << 20)), @"not a usable policy directory; data/scopes.json: may be 4194304 bytes long; this is 5242880");
    let many: Map<String, Value> = (0..1_000).map(|i| (i.to_string(), json!([]))).collect();
    assert_eq!(said(&Value::Object(many).to_string()).matches("; ").count(), 20);
}

#[test]
fn ten_thousand_endpoints_are_answered_as_fast_as_ten() {
    let entries: Map<String, Value> = (0..10_000)
        .map(|i| (format!("GET /a{i}/:id/b{i}"), json!([format!("a{i}:read")])))
        .collect();
    let authz = table(&Value::Object(entries).to_string());
    for i in [0, 4_711, 9_999] {
        let scope = format!("a{i}:read");
        assert_eq!(ask(&authz, "GET", &format!("/a{i}/x/b{i}"), &scope), "allow");
        assert_eq!(ask(&authz, "GET", &format!("/a{i}/x/b1"), &scope), "deny endpoint_not_listed");
    }
}

/// The obvious reading: every entry whose path fits, the one with the earliest name first.
fn naive(
    entries: &[(String, Vec<&str>, Vec<String>)],
    method: &str,
    path: &[&str],
    held: &[String],
) -> String {
    let is_any = |segment: &str| segment.starts_with(':');
    let fits = |of: &[&str]| {
        of.len() == path.len() && of.iter().zip(path).all(|(a, b)| is_any(a) || a == b)
    };
    let names = |of: &[&str]| of.iter().map(|segment| !is_any(segment)).collect::<Vec<_>>();
    let best = entries.iter().filter(|entry| fits(&entry.1)).map(|entry| names(&entry.1)).max();
    let entry = entries
        .iter()
        .find(|entry| entry.0 == method && fits(&entry.1) && Some(names(&entry.1)) == best);
    let Some((_, _, needed)) = entry else { return "deny endpoint_not_listed".to_owned() };
    let missing: Vec<_> = needed.iter().filter(|scope| !held.contains(scope)).cloned().collect();
    if missing.is_empty() {
        "allow".to_owned()
    } else {
        format!("deny insufficient_scope [lacks {}]", missing.join(" "))
    }
}

fn path(any: &'static str) -> impl Strategy<Value = Vec<&'static str>> {
    prop::collection::vec(prop::sample::select(vec!["a", "b", "c", any]), 1..5)
}

fn scopes() -> impl Strategy<Value = Vec<String>> {
    let all: Vec<String> = ["a:read", "a:write", "b:read"].map(str::to_owned).to_vec();
    prop::sample::subsequence(all, 0..=3)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn any_table_is_answered_as_the_obvious_reading_answers_it(
        entries in prop::collection::vec((prop::sample::select(vec!["GET", "POST"]), path(":id"), scopes()), 0..12),
        asked in prop::collection::vec((prop::sample::select(vec!["GET", "POST", "PUT"]), path("d"), scopes()), 1..20),
    ) {
        let mut known: Vec<(String, Vec<&str>, Vec<String>)> = Vec::new();
        let mut text = Map::new();
        for (method, path, scopes) in entries {
            if text.insert(format!("{method} /{}", path.join("/")), json!(scopes)).is_none() {
                known.push((method.to_owned(), path, scopes));
            } else {
                known.iter_mut().find(|it| it.0 == method && it.1 == path).unwrap().2 = scopes;
            }
        }
        let authz = table(&Value::Object(text).to_string());
        for (method, path, held) in asked {
            let scopes: Permissions = held.iter().map(|scope| scope.parse().unwrap()).collect();
            let target = format!("/{}", path.join("/"));
            let question = Asked { method, path: &target, scopes: &scopes, agent: None, roles: &[], tenant: "t" };
            let answer = authz.ask(&question, NOW);
            prop_assert_eq!(told(&answer), naive(&known, method, &path, &held));
            prop_assert_eq!(answer.allows(), answer == Answer::Allow);
        }
    }

    #[test]
    fn any_path_has_an_answer(path in "\\PC*", method in "[A-Z]{0,5}") {
        let authz = table(TABLE);
        let answer = ask(&authz, &method, &path, "");
        prop_assert!(answer == "deny endpoint_not_listed" || path.starts_with('/'), "{}", answer);
    }
}
