//! Tests that take too much, and texts that are no tests: each is refused with its place, none is run for ever.

use std::fmt::Write;

use insta::assert_snapshot;
use proptest::prelude::*;

use super::{told, tried};

const RULES: &str = "package countersign.authz\n\nallow if input.n == 1\n\nhelper(x) if x == input.n\n\nslow if {\n\tsome a in numbers.range(1, 5000)\n\tsome b in numbers.range(1, 5000)\n\ta + b == 0\n}\n";

fn tests(text: &str) -> String {
    let text =
        format!("package countersign.authz_test\n\nimport data.countersign.authz\n\n{text}\n");
    told(&[("authz.rego", RULES), ("authz_test.rego", &text)])
}

#[test]
fn what_with_can_not_mean_is_refused_with_its_line() {
    let refused = [
        "test_a if authz.allow with authz.allow as true",
        "test_a if authz.allow with data.countersign as {}",
        "test_a if authz.allow with data as {}",
        "test_a if authz.allow with count as 7",
        "test_a if authz.helper(1) with input as {\"n\": 1}",
        "test_a if data.countersign.authz with input as {}",
        "test_a if data.countersign.authz[name] with input as {}",
        "test_a if [1 | authz.allow with input as {}] with input as {}",
        "test_a if { allow := 1; authz.allow with input as {}; allow with input as {} }\nallow := 2",
        "test_a if __builtin_host_await([0], \"with\")",
        "test_a(x) if x",
        "test_a if authz.allow with input as",
        "test_a if authz.allow with input as with__0",
    ];
    let told: String = refused.iter().map(|text| format!("{text}\n    {}", tests(text))).collect();
    assert_snapshot!(told, @r#"
    test_a if authz.allow with authz.allow as true
        authz_test.rego:5: `with authz.allow` would replace rules: give them the `input` or the `data` with which they answer so
    test_a if authz.allow with data.countersign as {}
        authz_test.rego:5: `with data.countersign` would replace rules: give them the `input` or the `data` with which they answer so
    test_a if authz.allow with data as {}
        authz_test.rego:5: `with data` would replace rules: give them the `input` or the `data` with which they answer so
    test_a if authz.allow with count as 7
        authz_test.rego:5: `with count`: only `input`, `data` that is no rule, and `time.now_ns` can be replaced
    test_a if authz.helper(1) with input as {"n": 1}
        authz_test.rego:5: calls a function that is no built-in one: give the call a rule of its own in the tests, and ask for that rule `with`
    test_a if data.countersign.authz with input as {}
        authz_test.rego:5: names more than one rule, or one that is computed: under `with` name each rule
    test_a if data.countersign.authz[name] with input as {}
        authz_test.rego:5: names more than one rule, or one that is computed: under `with` name each rule
    test_a if [1 | authz.allow with input as {}] with input as {}
        authz_test.rego:5: a `with` stands within what another `with` is for: give what it stands in a rule of its own
    test_a if { allow := 1; authz.allow with input as {}; allow with input as {} }
    allow := 2
        authz_test.rego:5: `allow` is a variable here, and a rule or an import as well: give the variable another name
    test_a if __builtin_host_await([0], "with")
        authz_test.rego:5: `__builtin_host_await` is not known here
    test_a(x) if x
        authz_test.rego:5: `test_a` must be a rule, not a function
    test_a if authz.allow with input as
        authz_test.rego:6:1: expecting expression
    test_a if authz.allow with input as with__0
        authz_test.rego:5:27: incompatible destructuring patterns: both sides must be arrays or objects with matching structure
    "#);
}

#[test]
fn tests_leave_rules_as_they_are_and_are_not_seen_by_them() {
    let own =
        "package countersign.authz\n\ntest_a if allow with input as {\"n\": 1}\nallow if true\n";
    assert_snapshot!(told(&[("authz.rego", RULES), ("authz_test.rego", own)]), @r#"authz_test.rego:4: adds to `data.countersign.authz.allow` of authz.rego: tests leave rules as they are enforced"#);
    let seeing = "package countersign.authz\n\nallow if data.seen.yes\n";
    let seen = "package seen\n\nimport data.countersign.authz\n\nyes := true\ntest_a if authz.allow with input as {}\n";
    assert_snapshot!(told(&[("authz.rego", seeing), ("seen_test.rego", seen)]), @r#"
    seen_test.rego:6 test_a: expected true; found false, or no value
    authz.rego 1/1 lines []
    "#);
}

#[test]
fn what_is_enforced_can_not_stop() {
    for rule in [
        "allow if __builtin_host_await([0], \"with\")",
        "allow if { x := __builtin_host_await(1, 2); x }",
    ] {
        let text = format!("package countersign.authz\n\n{rule}\n");
        let files = [("authz.rego".to_owned(), text)].into();
        let refused = countersign_policy::Authz::read(&files).unwrap_err().to_string();
        assert_eq!(
            refused,
            "not a usable policy directory; authz.rego:3: `__builtin_host_await` is not known here"
        );
    }
}

#[test]
fn what_takes_too_much_is_stopped() {
    assert_snapshot!(tests(
        "test_slow if authz.slow with input as {}
test_own if { some a in numbers.range(1, 5000); some b in numbers.range(1, 5000); a + b == 0 }
test_large if count(concat(\"\", [text | some i in numbers.range(1, 80000); text := \"0123456789012345678901234567890123456789012345678901234567890123456789\"])) > 0
test_many if { every i in numbers.range(1, 2000) { authz.allow with input as {\"n\": 1} } }
test_circle if first with input as {}
first if second with input as {}
second if first with input as {}"
    ), @r#"
    authz_test.rego:5 test_slow: error: authz.rego:9: stopped: it may take 1000000 instructions, 500 ms and 16 MiB
    authz_test.rego:6 test_own: error: authz_test.rego:6: stopped: it may take 1000000 instructions, 500 ms and 16 MiB
    authz_test.rego:7 test_large: error: authz_test.rego:7: stopped: it may take 1000000 instructions, 500 ms and 16 MiB
    authz_test.rego:8 test_many: error: asks more than 1000 times `with` something: make tests of it
    authz_test.rego:9 test_circle: error: `with` stands more than 8 deep: rules of tests ask each other in a circle
    authz.rego 1/1 lines []
    "#);
}

#[test]
fn a_test_that_asks_for_much_again_and_again_is_stopped() {
    let rules = "package countersign.authz\n\nallow := false\n\nlong if {\n\tsome a in numbers.range(1, 300)\n\tsome b in numbers.range(1, 100)\n\ta + b + input.n == 0\n}\n";
    let asked = "package t\n\nimport data.countersign.authz\n\ntest_long if { every n in numbers.range(1, 900) { not authz.long with input as {\"n\": n} } }\n";
    let told = told(&[("authz.rego", rules), ("authz_test.rego", asked)]);
    assert_snapshot!(told.lines().next().unwrap(), @"authz_test.rego:5 test_long: error: takes more than 5 s in all: make tests of it");
}

#[test]
fn no_test_hides_another_one_of_its_name() {
    let twice = "test_a if authz.allow with input as {\"n\": 1}\ntest_a if authz.allow with input as {\"n\": 2}";
    assert_snapshot!(tests(twice), @"authz_test.rego:6: another test is called `test_a`, too");
    assert_snapshot!(tests("default test_a := true\ntest_a if false"), @"authz_test.rego:6: another test is called `test_a`, too");
    assert_snapshot!(tests("test_a if {\n\tfalse\n} {\n\ttrue\n}"), @"authz_test.rego:7: `test_a` has another body, which is another test: give it a name");
    assert_snapshot!(tests("todo_test_a if false\ntodo_test_a if true"), @"authz_test.rego:6: another test is called `todo_test_a`, too");
    assert_snapshot!(tests("test_a if { false } else := true"), @r#"
    authz_test.rego:5 test_a: passed
    authz.rego 0/1 lines [3]
    "#);
    let (one, other) = ("package t\n\ntest_a if true\n", "package t\n\n\ntest_a if false\n");
    assert_snapshot!(told(&[("a.rego", RULES), ("a_test.rego", one), ("b_test.rego", other)]), @"b_test.rego:4: another test is called `test_a`, too");
    let other = "package u\n\ntest_a if false\n";
    assert_snapshot!(told(&[("a.rego", RULES), ("a_test.rego", one), ("b_test.rego", other)]), @r#"
    a_test.rego:3 test_a: passed
    b_test.rego:3 test_a: expected true; found false, or no value
    a.rego 0/1 lines [3]
    "#);
}

#[test]
fn ten_thousand_tests_are_run() {
    let mut text = String::from("package t\nimport data.countersign.authz as z\n");
    for at in 0..5_000 {
        writeln!(text, "test_{at} if z.allow with input.n as 1").unwrap();
    }
    let other = text.replace("package t", "package u");
    let report =
        tried(&[("authz.rego", RULES), ("a_test.rego", &text), ("b_test.rego", &other)]).unwrap();
    assert_eq!(report.tests.len(), 10_000);
    assert!(report.tests.iter().all(|test| test.outcome == super::Outcome::Passed));
}

#[test]
fn what_is_malformed_is_told() {
    let files = [
        ("package countersign.authz_test\n\ntest_a if {", "no end"),
        ("", "empty"),
        ("package countersign.authz_test\n\ntest_a if [[[[[[[[[[[1]]]]]]]]]]] == 1", "deep"),
        ("package countersign.authz_test\n\ntest_a if unknown_thing", "unknown"),
    ];
    let told: String = files
        .iter()
        .map(|(text, what)| {
            format!("{what}: {}", told(&[("a.rego", RULES), ("a_test.rego", text)]))
        })
        .collect();
    assert_snapshot!(told, @r#"
    no end: a_test.rego:3:12: expecting expression
    empty: a_test.rego:1:1: expecting `package` Missing package declaration.
    deep: a_test.rego:3: brackets stand more than 10 deep within each other
    unknown: a_test.rego:3:11: use of undefined variable `unknown_thing` is unsafe
    "#);
    assert_snapshot!(super::told(&[("a_test.rego", "package a")]), @r#"a_test.rego: there is nothing to test: no authz.wasm, no *.rego and no data/scopes.json is there"#);
    assert_snapshot!(super::told(&[("packages/b_test.rego", "package a"), ("packages/b_test.json", "[]")]), @r#"
    packages/b_test.json: there is no packages/b.rego that it could test
    packages/b_test.rego: there is no packages/b.rego that it could test
    "#);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    /// Where a test fails is told by its line, so no line may move: the last test fails in the line that it stands in.
    #[test]
    fn lines_stay_where_they_are(parts in proptest::collection::vec((0_usize..PARTS.len(), "[ \n]{0,3}"), 0..12)) {
        let mut text = String::from("package countersign.authz_test\nimport data.countersign.authz\n");
        for (at, (part, space)) in parts.iter().enumerate() {
            text.push_str(&PARTS[*part].replace("NAME", &at.to_string()));
            text.push_str(space);
            text.push('\n');
        }
        text.push_str("test_last if startswith(input, 1) with input as 7\n");
        let line = text.lines().count();
        let report = tried(&[("authz.rego", RULES), ("authz_test.rego", &text)]).unwrap();
        let last = report.tests.iter().find(|test| test.name == "test_last").unwrap();
        prop_assert_eq!(&last.at, &format!("authz_test.rego:{line}"));
        let said = format!("{:?}", last.outcome);
        prop_assert!(said.contains(&format!("authz_test.rego:{line}: `startswith`")), "{}\n{}", said, text);
        for test in &report.tests {
            if test.name.starts_with("test_holds") {
                prop_assert_eq!(&test.outcome, &super::Outcome::Passed, "{}\n{}", test.name, text);
            }
        }
    }
}

/// Tests that hold, or are what they are.
const PARTS: [&str; 8] = [
    "test_holds_NAME if authz.allow with input as {\"n\": 1}",
    "test_holds_NAME if {\n\tnot authz.allow with input as {\n\t\t\"n\": 2, # two\n\t}\n}",
    "test_holds_NAME if \"a\" == \"a\" with input as `a\nb`",
    "test_holds_NAME if every n in [1] { authz.allow with input.n\n as n }",
    "test_holds_NAME := [n | some n in [1, 2]; authz.allow with input as {\"n\": n}] == [1]",
    "test_holds_NAME if { authz.allow with input as {\"n\": 1} with time.now_ns as 1000; not authz.allow with input as {} }",
    "helper_NAME contains n if { some n in [1]; authz.allow with input as {\"n\": n} }",
    "# a comment with input as\nother_NAME := \"text with input as\"",
];
