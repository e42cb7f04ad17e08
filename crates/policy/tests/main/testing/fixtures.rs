//! Questions with the answers that are expected, and what is counted as reached.

use insta::assert_snapshot;

use super::told;

const TABLE: &str = r#"{"GET /a/:id": ["a:read"], "POST /a": ["a:read", "a:write"], "GET /b": []}"#;
const RULES: &str = r#"package countersign.authz

default allow := false

allow if {
	input.agentId == "agent-1"
	input.roles == ["worker"]
	input.tenant == "acme"
}

allow if { "a:read" in input.scopes }

reason := "short" if {
	input.tenant == "default"
} else := "long" if {
	count(input.path) > 3
}

unasked := 1
"#;
const PACKAGE: &str = r#"# METADATA
# custom:
#   id: example.pages
#   version: v1
#   systems: [wiki]
package example.pages

decision := {"effect": "allow", "reason": "reader"} if {
	input.action.name == "read"
} else := {"effect": "requires_approval", "reason": "writer", "approval_level": level, "obligations": [{"type": "log", "parameters": {}}]} if {
	input.action.name == "write"
	level := 1 + 1
} else := {"effect": "deny", "reason": "broken"} if {
	to_number(input.context.n) == 1
}
"#;

#[test]
fn a_table_of_scopes_is_asked_and_its_endpoints_are_counted() {
    let questions = r#"[
        {"name": "reads", "request": {"method": "GET", "path": "/a/1", "scopes": ["a:read"]}, "expect": {"allow": true}},
        {"name": "lacks", "request": {"method": "POST", "path": "/a", "scopes": ["a:read"]}, "expect": {"allow": false, "reason": "insufficient_scope"}},
        {"name": "any denial", "request": {"method": "POST", "path": "/a"}, "expect": {"allow": false}},
        {"name": "wrong", "request": {"method": "PUT", "path": "/a"}, "expect": {"allow": false, "reason": "insufficient_scope"}},
        {"name": "wrong, too", "request": {"method": "POST", "path": "/a", "scopes": []}, "expect": {"allow": true}}
    ]"#;
    assert_snapshot!(told(&[("data/scopes.json", TABLE), ("doors_test.json", questions)]), @r#"
    doors_test.json#/0 reads: passed
    doors_test.json#/1 lacks: passed
    doors_test.json#/2 any denial: passed
    doors_test.json#/3 wrong: expected deny insufficient_scope; found deny endpoint_not_listed
    doors_test.json#/4 wrong, too: expected allow; found deny insufficient_scope (lacks a:read a:write)
    data/scopes.json 2/3 endpoints [GET /b]
    "#);
    assert_snapshot!(told(&[("data/scopes.json", TABLE), ("doors_test.rego", "package a")]), @r#"doors_test.rego: no rules in Rego are enforced here: put questions and answers into a file *_test.json"#);
}

#[test]
fn rules_are_asked_and_their_lines_are_counted() {
    let questions = r#"[
        {"name": "worker", "request": {"method": "GET", "path": "/", "agentId": "agent-1", "roles": ["worker"], "tenant": "acme"}, "expect": {"allow": true}},
        {"name": "stranger", "request": {"method": "GET", "path": "/"}, "expect": {"allow": false, "reason": "short"}}
    ]"#;
    assert_snapshot!(told(&[("authz.rego", RULES), ("doors_test.json", questions)]), @r#"
    doors_test.json#/0 worker: passed
    doors_test.json#/1 stranger: passed
    authz.rego 7/9 lines [15-16]
    "#);
}

#[test]
fn a_package_is_asked_as_a_question_reaches_it() {
    let question = |action: &str, system: &str| {
        format!(
            r#""question": {{"subject": {{"type": "user", "id": "u"}}, "action": "{action}", "resource": {{"type": "page", "id": "1", "system": "{system}"}}, "context": {{"n": "x"}}}}"#
        )
    };
    let (read, write, other) =
        (question("read", "wiki"), question("write", "wiki"), question("move", "wiki"));
    let elsewhere = question("read", "docs");
    let questions = format!(
        r#"[
        {{"name": "reads", {read}, "expect": {{"effect": "allow", "reason": "reader"}}}},
        {{"name": "writes", {write}, "expect": {{"effect": "requires_approval", "approval_level": 2, "obligations": [{{"type": "log", "parameters": {{}}}}]}}}},
        {{"name": "wrong level", {write}, "expect": {{"approval_level": 3, "reason": "writer"}}}},
        {{"name": "fails", {other}, "expect": {{"effect": "allow"}}}},
        {{"name": "denied on doubt", {other}, "expect": {{"effect": "deny", "reason": "error"}}}},
        {{"name": "elsewhere", {elsewhere}, "expect": {{"effect": "deny"}}}}
    ]"#
    );
    let rules = "package example.pages_test\n\nimport data.example.pages\n\ntest_registry if pages.decision.reason == \"reader\" with input as {\"action\": {\"name\": \"read\"}} with data.registry.subject as {}\n";
    assert_snapshot!(told(&[
        ("packages/pages.rego", PACKAGE),
        ("packages/pages_test.json", &questions),
        ("packages/pages_test.rego", rules),
    ]), @r#"
    packages/pages_test.rego:5 test_registry: passed
    packages/pages_test.json#/0 reads: passed
    packages/pages_test.json#/1 writes: passed
    packages/pages_test.json#/2 wrong level: expected approval_level 3, reason writer; found approval_level 2, reason writer
    packages/pages_test.json#/3 fails: expected effect allow; found effect deny (pages.rego:14: `to_number`: could not parse string as number)
    packages/pages_test.json#/4 denied on doubt: passed
    packages/pages_test.json#/5 elsewhere: expected effect deny; found `rbac` answered, not the package that is tested: which system and type has the resource?
    packages/pages.rego 6/7 lines [13]
    "#);
}

#[test]
fn what_is_not_understood_is_told_with_its_place() {
    let fixtures = [
        "",
        "{}",
        "[]",
        "[7]",
        r#"[{"name": "a"}]"#,
        r#"[{"name": "", "request": {}, "expect": {"allow": true}}]"#,
        r#"[{"name": "a", "request": {"method": "GET", "path": "/"}, "expect": {}}]"#,
        r#"[{"name": "a", "request": {"method": 7, "scopes": "a", "other": 1}, "expect": {"allow": "yes", "why": 1}}]"#,
        r#"[{"name": "a", "request": {"method": "GET", "path": "/", "scopes": ["a"]}, "expect": {"allow": true, "reason": "r"}, "more": 1}]"#,
        r#"[{"name": "a", "request": {"method": "GET", "path": "/", "scopes": ["a"]}, "expect": {"allow": true, "reason": "r"}}]"#,
        r#"[{"name": "a", "request": {"method": "GET", "path": "/"}, "expect": {"allow": true}}, {"name": "a", "request": {"method": "GET", "path": "/"}, "expect": {"allow": true}}]"#,
        r#"[{"name": "a", "name": "b", "request": {"method": "GET", "path": "/"}, "expect": {"allow": true}}]"#,
    ];
    let said: String = fixtures
        .iter()
        .map(|text| {
            format!("{text}\n{}", told(&[("data/scopes.json", TABLE), ("d_test.json", text)]))
        })
        .collect();
    assert_snapshot!(said, @r#"

    d_test.json: EOF while parsing a value at line 1 column 0
    {}
    d_test.json: must be a list of {"name", "request", "expect"}
    []
    d_test.json: must be a list of {"name", "request", "expect"}
    [7]
    d_test.json#/0: must be {"name", "request", "expect"}
    [{"name": "a"}]
    d_test.json#/0/request: is missing
    [{"name": "", "request": {}, "expect": {"allow": true}}]
    d_test.json#/0/name: must be text of 1 to 200 bytes, without control characters
    [{"name": "a", "request": {"method": "GET", "path": "/"}, "expect": {}}]
    d_test.json#/0/expect: must be an object of what is expected
    [{"name": "a", "request": {"method": 7, "scopes": "a", "other": 1}, "expect": {"allow": "yes", "why": 1}}]
    d_test.json#/0/request/other: is not known: there are method, path, scopes, agentId, roles, tenant
    d_test.json#/0/request/scopes: must be a list of texts
    d_test.json#/0/request/method: must be text
    d_test.json#/0/request/path: is missing
    d_test.json#/0/expect/why: is not known: there are allow, reason
    d_test.json#/0/expect/allow: must be true or false
    [{"name": "a", "request": {"method": "GET", "path": "/", "scopes": ["a"]}, "expect": {"allow": true, "reason": "r"}, "more": 1}]
    d_test.json#/0/more: is not known
    [{"name": "a", "request": {"method": "GET", "path": "/", "scopes": ["a"]}, "expect": {"allow": true, "reason": "r"}}]
    d_test.json#/0/request/scopes: expected `resource:action` of letters, digits, `_`, `-` and `.`, at most 128 characters
    d_test.json#/0/expect/reason: only a denial has a reason
    [{"name": "a", "request": {"method": "GET", "path": "/"}, "expect": {"allow": true}}, {"name": "a", "request": {"method": "GET", "path": "/"}, "expect": {"allow": true}}]
    d_test.json#/1: another one is called `a`, too
    [{"name": "a", "name": "b", "request": {"method": "GET", "path": "/"}, "expect": {"allow": true}}]
    d_test.json: `name` is given more than once at line 1 column 97
    "#);
    let package = r#"[{"name": "a", "question": {"subject": 1}, "expect": {"effect": "maybe", "reason": 1, "other": 1}}]"#;
    assert_snapshot!(told(&[("packages/pages.rego", PACKAGE), ("packages/pages_test.json", package)]), @r#"
    packages/pages_test.json#/0/expect/other: is not known: there are effect, reason, obligations, approval_level
    packages/pages_test.json#/0/expect/effect: must be allow, deny or requires_approval
    packages/pages_test.json#/0/expect/reason: must be text
    packages/pages_test.json#/0/question: /subject: must be an object
    "#);
    let level = |level: &str| {
        let question = r#"{"subject": {"type": "user", "id": "u"}, "action": "read", "resource": {"type": "page", "id": "1", "system": "wiki"}}"#;
        let text = format!(
            r#"[{{"name": "a", "question": {question}, "expect": {{"approval_level": {level}}}}}]"#
        );
        let told = told(&[("packages/pages.rego", PACKAGE), ("packages/pages_test.json", &text)]);
        format!("{level}: {}\n", told.lines().next().unwrap_or_default())
    };
    let levels: String = ["\"x\"", "0", "6", "2.5", "-1", "2", "null"].map(level).concat();
    assert_snapshot!(levels, @r#"
    "x": packages/pages_test.json#/0/expect/approval_level: must be 1 to 5, or null
    0: packages/pages_test.json#/0/expect/approval_level: must be 1 to 5, or null
    6: packages/pages_test.json#/0/expect/approval_level: must be 1 to 5, or null
    2.5: packages/pages_test.json#/0/expect/approval_level: must be 1 to 5, or null
    -1: packages/pages_test.json#/0/expect/approval_level: must be 1 to 5, or null
    2: packages/pages_test.json#/0 a: expected approval_level 2; found approval_level null
    null: packages/pages_test.json#/0 a: passed
    "#);
    assert_snapshot!(told(&[("packages/pages.rego", PACKAGE), ("packages/pages_test.json", "")]), @"packages/pages_test.json: EOF while parsing a value at line 1 column 0");
}
