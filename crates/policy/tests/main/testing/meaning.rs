//! What tests mean: as in other evaluators, but answered by this one.

use insta::assert_snapshot;

use super::told;

const RULES: &str = r#"package countersign.authz

default allow := false

allow if {
	input.method == "GET"
	startswith(input.path, "/open/")
}

allow if {
	some scope in input.scopes
	scope in data.writers[input.method]
}

reason := "read_only" if not allow

listed contains path if {
	some path in data.paths
	path != "/hidden"
}

closed if input.path in listed

late if time.now_ns() > 1800000000000000000

member := {"of": {"path": input.path}}

twice(path) := concat("", [path, input.path])
"#;
const DATA: &str = r#"{"POST": ["pages:write"]}"#;
const PATHS: &str = r#"["/a", "/b", "/hidden"]"#;

fn tests(text: &str) -> String {
    let text = format!("package countersign.authz_test\n\nimport data.countersign.authz\n\n{text}");
    told(&[
        ("authz.rego", RULES),
        ("authz_test.rego", &text),
        ("data/paths.json", PATHS),
        ("data/writers.json", DATA),
    ])
}

/// That each of these bodies holds.
#[track_caller]
fn all_hold(bodies: &[&str]) {
    let named = bodies.iter().enumerate();
    let text: String = named.map(|(at, body)| format!("test_{at} if {{\n\t{body}\n}}\n")).collect();
    let told = tests(&text);
    for (at, body) in bodies.iter().enumerate() {
        assert!(told.contains(&format!(" test_{at}: passed\n")), "{body}\n{told}");
    }
}

#[test]
fn a_test_holds_fails_or_can_not_be_answered() {
    assert_snapshot!(tests(r#"
test_open if authz.allow with input as {"method": "GET", "path": "/open/a", "scopes": []}

test_closed if {
	not authz.allow with input as {"method": "GET", "path": "/", "scopes": []}
	authz.reason == "read_only" with input as {
		"method": "POST",
		"path": "/",
		"scopes": ["pages:read"],
	}
}

test_fails if authz.allow with input as {"method": "PUT", "path": "/", "scopes": ["pages:write"]}

test_errs if authz.allow with input as {"method": "GET", "path": 7, "scopes": []}

todo_test_later if authz.allow

test_without_input if not authz.allow
test_false := authz.allow
"#), @r#"
    authz_test.rego:6 test_open: passed
    authz_test.rego:8 test_closed: passed
    authz_test.rego:17 test_fails: expected true; found false, or no value
    authz_test.rego:19 test_errs: error: authz.rego:7: `startswith`: expects string argument. Got `7` instead
    authz_test.rego:21 todo_test_later: skipped
    authz_test.rego:23 test_without_input: passed
    authz_test.rego:24 test_false: expected true; found false, or no value
    authz.rego 6/7 lines [10]
    "#);
}

#[test]
fn with_replaces_input_and_data_for_its_statement_alone() {
    all_hold(&[
        r#"authz.closed with input as {"path": "/a"}"#,
        r#"authz.closed with input as {"path": "/a"}; not authz.closed with input as {"path": "/c"}"#,
        r#"authz.closed with input as {"path": "/c"} with data.paths as ["/c"]"#,
        r#"not authz.closed with data.paths as ["/c"] with input as {"path": "/a"}"#,
        r#"authz.listed == {"/x"} with data.paths as ["/x", "/hidden"]"#,
        r#"authz.listed == {"/a", "/b"}"#,
        r#"count(authz.listed) == 1 with data.paths as ["/x", "/hidden"]"#,
        r#""/x" in authz.listed with data.paths as ["/x"]"#,
        r#"some path in authz.listed with data.paths as ["/x"]
           path == "/x""#,
        r#"authz.listed["/x"] with data.paths as ["/x"]"#,
        r#"authz.listed[name] with data.paths as ["/x"]
           name == "/x""#,
        r#"x := authz.listed with data.paths as ["/x"]
           y = authz.listed with data.paths as ["/y"]
           x | y == {"/x", "/y"}"#,
        r#"authz.member.of.path == "/m" with input as {"path": "/m"}"#,
        r#"authz.member["of"].path == "/m" with input.path as "/m""#,
        r#"not authz.member.of.other with input as {"path": "/m"}"#,
        r#"not authz.member with input as {}"#,
        r#"data.countersign.authz.closed with input as {"path": "/a"}"#,
        r#"authz.allow with input as {"method": "PUT", "scopes": ["s"]} with data.writers.PUT as ["s"]"#,
        r#"authz.allow with input as {"method": "POST", "scopes": ["pages:write"]} with data.writers.PUT as ["s"]"#,
        r#"authz.allow with input as {"method": "PUT", "scopes": ["s"], "path": "/"} with data.writers as {"PUT": ["s"]}"#,
        r#"data.writers.PUT == 1 with data.writers.PUT as 1"#,
        r#"data.new.below == 1 with data.new.below as 1; not data.new.below"#,
        r#"input.a == 1 with input as {"a": 1}; not input.a"#,
        r#"input == 7 with input as 7"#,
        r#"authz.late with time.now_ns as 1900000000000000000; not authz.late"#,
        r#"authz.closed with input as (({"path": "/a"}))"#,
        "as_path := {\"path\": \"/a\"}\nauthz.closed with input\n as # one\n as_path",
        "authz.closed with # path as\n input as {\n\"path\": # comment\n\"/a\"\n}",
    ]);
}

#[test]
fn with_stands_wherever_statements_do() {
    all_hold(&[
        r#"every path in ["/a", "/b"] { authz.closed with input as {"path": path} }"#,
        r#"every key, path in {"x": "/a"} { key == "x"; x := authz.member with input.path as path; x.of.path == path }"#,
        r#"some path in ["/c", "/a"]; authz.closed with input as {"path": path}"#,
        r#"[path | some path in ["/a", "/c", "/b"]; authz.closed with input as {"path": path}] == ["/a", "/b"]"#,
        r#"answers := {path: true | some path in ["/a", "/c"]; authz.closed with input as {"path": path}}
           answers == {"/a": true}"#,
        r#"count({1 | authz.closed with input as {"path": "/a"}}) == 1"#,
        r#"helped == "/q"
}
helped := name if { name := authz.member.of.path with input as {"path": "/q"}"#,
        r#"otherwise == 2
}
otherwise := 1 if authz.closed with input as {"path": "/c"}
else := 2 if authz.closed with input as {"path": "/a"}
again if {
true"#,
        r#"called == "ab" with input as {"path": "b"}
}
called := authz.twice("a")
once if {
true"#,
        r#"answers("/a")
not answers("/c")
}
answers(path) if { authz.closed with input as {"path": path}"#,
    ]);
}

#[test]
fn what_has_no_value_has_none() {
    all_hold(&[
        "not authz.closed with input as {}",
        "not authz.member with input as 7",
        "count([1 | authz.member with input as {}]) == 0",
        r#"not no_value
}
no_value if { not authz.closed with input as {"path": authz.member.of}"#,
    ]);
}

#[test]
fn now_is_replaced_for_all_that_the_statement_asks_or_not_at_all() {
    all_hold(&[
        "authz.late with time.now_ns as 1900000000000000000 with input as time.now_ns()",
        "now == 7000 with time.now_ns as 7000\n}\nnow := time.now_ns()\nonce if {\ntrue",
        "time.now_ns() > 7000 with input as {}",
    ]);
    let beside = [
        "test_a if time.now_ns() == 7000 with time.now_ns as 7000",
        "test_a if authz.late == (time.now_ns() > 1) with time.now_ns as 7000",
        "test_a if count([1 | time.now_ns() > 1]) == 1 with input as {} with time.now_ns as 7000",
        "test_a if time.clock(time.now_ns())[0] == 1 with time.now_ns as 7000",
    ];
    let told: String = beside.iter().map(|text| tests(text)).collect();
    assert_snapshot!(told, @r#"
    authz_test.rego:5: `with time.now_ns` replaces it in the rules that are asked, not in a call that stands beside it: give the call a rule of its own
    authz_test.rego:5: `with time.now_ns` replaces it in the rules that are asked, not in a call that stands beside it: give the call a rule of its own
    authz_test.rego:5: `with time.now_ns` replaces it in the rules that are asked, not in a call that stands beside it: give the call a rule of its own
    authz_test.rego:5: `with time.now_ns` replaces it in the rules that are asked, not in a call that stands beside it: give the call a rule of its own
    "#);
    let finer = "test_a if authz.late with time.now_ns as 1900000000000000001\ntest_b if not authz.late with time.now_ns as -1";
    assert_snapshot!(tests(finer), @r#"
    authz_test.rego:5 test_a: error: `with time.now_ns as 1900000000000000001`: must be whole microseconds, a multiple of 1000
    authz_test.rego:6 test_b: error: `with time.now_ns as -1`: must be whole microseconds, a multiple of 1000
    authz.rego 0/7 lines [5-15]
    "#);
}

#[test]
fn what_is_still_to_be_written_is_not_run() {
    assert_snapshot!(tests("todo_test_later if authz.allow with input as {\"method\": \"GET\", \"path\": \"/open/\"}"), @r#"
    authz_test.rego:5 todo_test_later: skipped
    authz.rego 0/7 lines [5-15]
    "#);
}
