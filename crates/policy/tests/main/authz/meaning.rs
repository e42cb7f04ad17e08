//! Rules mean what they say: what has no value ends what it stands in, `every` knows its variables, and what
//! comes to nothing is skipped, however deep it stands. Each of these was read otherwise by the engine alone.

use super::{ask, faults, read};

/// With these rules before them, `GET /` by somebody who holds `a:b`.
const BEFORE: &str =
    "package countersign.authz\nrules := {\"agents\": 2, \"tokens\": 1}\nany_value(_) := true\n";

fn allows(rules: &str) -> bool {
    let text = format!("{BEFORE}{rules}\n");
    let authz = read(&[("a.rego", &text)]).unwrap().unwrap();
    let answer = ask(&authz, "GET", "/", "a:b");
    assert!(!answer.contains('['), "{rules}: {answer}");
    answer == "allow"
}

#[test]
fn what_is_not_so_is_denied() {
    for rules in [
        // What has no value.
        r#"allow if { z := rules.q; input.method == "GET" }"#,
        r#"allow if { _ := rules.q; input.method == "GET" }"#,
        r#"allow if { _ = rules.q; input.method == "GET" }"#,
        r#"allow if { z = rules.q; input.method == "GET" }"#,
        r#"allow if { [y, z] := [1, rules.q]; input.method == "GET" }"#,
        r#"allow if { {"a": z} := {"a": rules.q}; input.method == "GET" }"#,
        "allow if { x := [1, rules.q]; true }",
        "allow if { x := {\"a\": rules.q}; true }",
        "allow if { x := count(rules.q); true }",
        "allow if { x := 1 + rules.q; true }",
        "allow if { x := rules.q == 1; not x }",
        "allow if { x := object.get({}, \"a\", rules.q); true }",
        "allow if any_value(rules.q)",
        "allow if { x := any_value(rules.q); x }",
        // Lists, sets and objects of it.
        "allow if count([z | z := rules.q]) > 0",
        "allow if count([z | some s in input.scopes; z := rules[s]]) > 0",
        "allow if count([rules[s] | some s in input.scopes]) > 0",
        "allow if count({s: rules[s] | some s in input.scopes}) > 0",
        "allow if count({s | some s in input.scopes; z := rules[s]}) > 0",
        "o[k] := v if { some k in [\"q\"]; v := rules[k] }\nallow if count(o) > 0",
        "o[k] := rules.q if some k in [\"q\"]\nallow if count(o) > 0",
        "s contains x if { some x in [1, 2]; y := rules[x] }\nallow if count(s) > 0",
        "s contains [x, rules.q] if some x in [1, 2]\nallow if count(s) > 0",
        // `every`.
        "allow if { every x in [1, 2] { x = 1 } }",
        "allow if { every x in [\"a\"] { [x, \"r\"] = [\"b\", \"r\"] } }",
        "allow if { every name in [\"tokens\"] { 2 <= rules[name] } }",
        "allow if { every name, n in {\"tokens\": 2} { n <= rules[name] } }",
        "allow if { every name, n in {\"tokens\": 2} { not n > rules[name] } }",
        "allow if { every a, n in {\"tokens\": 2} { every b, m in {\"tokens\": 2} { m <= rules[b]; a == b } } }",
        "allow if { every s in [\"q\", \"agents\"] { rules[s] } }",
        "allow if { every s in [\"q\", \"agents\"] { x := rules[s] } }",
        "allow if { every s in [\"q\"] { count([1 | s == \"z\"]) == 1 } }",
        "allow if { every x in [false] { x } }",
        "allow if { every x in rules.q { false } }",
        "allow if { every x in [] { x == input.method }; not input.method == \"GET\" }",
        "allow if { every x in [] { x == data.rules }; not input.method }",
        // Kinds have an order.
        "blocked if input.method > 1\nallow if not blocked",
        "blocked if [1] < rules\nallow if not blocked",
        "allow if 1 > \"a\"",
        // What comes to nothing.
        "allow if count([1 | input.method == \"PUT\"]) > 0",
        "allow if { y := [1 | input.method == \"PUT\"]; y != [] }",
        "f(x) if count([1 | rules[x]]) > 0\nallow if f(\"q\")",
    ] {
        assert!(!allows(rules), "{rules}");
    }
}

#[test]
fn what_is_so_is_allowed() {
    for rules in [
        "allow if { y := [z | z := rules.q]; y == [] }",
        "allow if { y := [z | some k in [\"q\", \"agents\"]; z := rules[k]]; y == [2] }",
        "allow if { y := [rules[k] | some k in [\"q\", \"agents\"]]; y == [2] }",
        "allow if { y := {k: z | some k in [\"q\", \"agents\"]; z := rules[k]}; y == {\"agents\": 2} }",
        "allow if { some s in [\"q\"]; y := [1 | s == \"z\"]; count(y) == 0 }",
        "allow if { some s in [\"q\"]; y := {1 | s == \"z\"}; count(y) == 0 }",
        "allow if { x := [y | y := [1 | input.method == \"PUT\"]]; x == [[]] }",
        "allow if { every name in [\"agents\"] { 2 <= rules[name] } }",
        "allow if { every name, n in {\"agents\": 2} { every k in [name] { rules[k] == n } } }",
        "allow if { every n, n__0 in {\"agents\": 2} { rules[n] == n__0 } }",
        "allow if { every x in {y | some y in [1, 2]} { x in {1, 2, 3} } }",
        "allow if { every s in [\"q\"] { y := [1 | s == \"z\"]; count(y) == 0 } }",
        "allow if { every x in [1, 2] { some y in [2, 1]; x == y } }",
        "allow if { every x in [] { x == input.path }; input.method == \"GET\" }",
        "allow if { count([x | some x in []; x == input.path]) == 0; input.method == \"GET\" }",
        "bad if { z := [1 | input.method == \"PUT\"]; other }\nother if input.method == \"PUT\"\nallow if not bad",
        "bad if { every x in [1, 2] { rules[x] } }\nallow if not bad",
        "g := x if { some x in [1]; x == 2 } else := 5\nallow if g == 5",
        "g := rules.q if { true } else := 5\nallow if g == 5",
        "default g := 5\ng := rules.q\nallow if g == 5",
        "f(x) := y if { some y in [x]; y > 5 } else := 0\nallow if f(1) == 0",
        "allow if 1 < \"a\"",
        "allow if [1] > {\"a\": 1}.a",
        "allow if {1, 2} - {2} == {1}",
        "allow if ({1, 2} & {2}) | {3} == {2, 3}",
        "allow if 7 % 4 * 2 - 1 + 10 / 4 == 7.5",
        "allow if not any_value(rules.q)",
        "allow if any_value(false)",
        "a := 1 if input.path == \"/x\"\na := 2 if input.path == \"/y\"\nallow if not a",
        "a := 1 if input.path == \"/\"\na := 2 if input.path == \"/y\"\nallow if a == 1",
        "a := x if { x := input.method }\na := x if { x := \"GET\" }\nallow if a == \"GET\"",
        "default a := 3\na := 1 if input.path == \"/x\"\na := 2 if input.path == \"/y\"\nallow if a == 3",
        "f(x) := 1 if x == \"/x\"\nf(x) := 2 if x == \"/y\"\nallow if not f(input.path)",
        "f(x) := 1 if x == \"/\"\nf(x) := 2 if x == \"/y\"\nallow if f(input.path) == 1",
        "f(k) := [v | v := rules[k]]\nallow if f(\"agents\") == [2]",
        "allow if { {k | rules[k]} == {\"agents\", \"tokens\"} }",
    ] {
        assert!(allows(rules), "{rules}");
    }
}

#[test]
fn an_operator_that_fails_is_no_rule_that_does_not_apply() {
    let said = |rules: &str| {
        let authz = read(&[("a.rego", &format!("{BEFORE}{rules}"))]).unwrap().unwrap();
        ask(&authz, "GET", "/", "a:b")
    };
    let all = [
        "blocked if input.method + 1 > 1\nallow if not blocked",
        "blocked if 1 / 0 > 1\nallow if not blocked",
        "blocked if 1 % 0 > 1\nallow if not blocked",
        "blocked if 1.5 % 1 > 1\nallow if not blocked",
        "blocked if input.scopes - {1} == set()\nallow if not blocked",
        "blocked if input.scopes | {1} == set()\nallow if not blocked",
        "blocked if count({1} & 1) == 0\nallow if not blocked",
        "blocked := true if input.path == \"/\"\nblocked := 1 if input.method == \"GET\"\nallow if not blocked",
        "f(x) := true if x == \"/\"\nf(_) := 1 if input.method == \"GET\"\nallow if not f(input.path)",
        "allow := true\nallow := false if input.method == \"GET\"",
    ];
    insta::assert_snapshot!(all.map(said).join("\n"), @r#"
deny error [a.rego:4: `+`: `add` expects numeric argument. Got `"GET"` instead]
deny error [a.rego:4: `/`: divide by zero]
deny error [a.rego:4: `%`: modulo by zero]
deny error [a.rego:4: `%`: modulo on floating-point number]
deny error [a.rego:4: `-`: `sub` expects numeric argument. Got `["a:b"]` instead]
deny error [a.rego:4: `__builtin_sets.union`: expects set argument. Got `["a:b"]` instead]
deny error [a.rego:4: `__builtin_sets.intersection`: expects set argument. Got `1` instead]
deny error [a.rego:6: `a rule`: has two values, or null, which looks the same]
deny error [a.rego:6: `a rule`: has two values, or null, which looks the same]
deny error [a.rego: `a rule`: has two values, or null, which looks the same]
"#);
}

#[test]
fn what_would_be_misread_is_refused() {
    let said = |rules: &str| faults(&[("a.rego", &format!("{BEFORE}{rules}"))]);
    let all = [
        "default f(_) := true\nf(x) := false if x == 1\nallow if f(2)",
        "allow if { some path in walk(input) }",
        "allow if { walk(input, [path, value]); value == 1 }",
        "allow if { other with input.method as \"PUT\" }\nother if input.method == \"PUT\"",
        "allow if { y := x; x := 1 }",
    ];
    insta::assert_snapshot!(all.map(said).join("\n"), @r#"
not a usable policy directory; a.rego: a `default` of a function is not known here: let it end with `else`
not a usable policy directory; a.rego: Compilation error: walk loops are not yet supported in the RVM compiler
not a usable policy directory; a.rego: Compilation error: walk loops are not yet supported in the RVM compiler
not a usable policy directory; a.rego:4:12: the `with` keyword is not supported by the compiler yet
not a usable policy directory; a.rego:4:17: var `x` used before definition below.
"#);
}
