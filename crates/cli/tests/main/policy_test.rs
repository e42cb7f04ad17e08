//! `countersign policy test`: what it prints, and how it exits.

use std::fs;
use std::path::Path;

use insta::assert_snapshot;
use serde_json::Value;
use tempfile::TempDir;

use crate::{Ran, countersign, ran};

const RULES: &str = "package countersign.authz

default allow := false

allow if {
	input.method == \"GET\"
	startswith(input.path, \"/open/\")
}

reason := \"closed\" if not allow
";
const TESTS: &str = "package countersign.authz_test

import data.countersign.authz

test_open if authz.allow with input as {\"method\": \"GET\", \"path\": \"/open/a\"}

test_closed if not authz.allow with input as {\"method\": \"GET\", \"path\": \"/\"}
";
const QUESTIONS: &str = r#"[{"name": "a stranger", "request": {"method": "POST", "path": "/open/a"}, "expect": {"allow": false, "reason": "closed"}}]"#;

fn directory(files: &[(&str, &str)]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (file, text) in files {
        let path = folder.path().join(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    folder
}

fn test(folder: &Path, more: &[&str]) -> Ran {
    let folder = folder.to_str().unwrap();
    let mut ran = ran(&mut countersign(&[&["policy", "test", folder], more].concat()));
    for text in [&mut ran.stdout, &mut ran.stderr] {
        *text = text.replace(folder, "DIR");
    }
    ran
}

#[test]
fn tests_that_pass_exit_with_0_and_tell_what_they_reach() {
    let files = [("authz.rego", RULES), ("authz_test.rego", TESTS), ("doors_test.json", QUESTIONS)];
    let folder = directory(&files);
    let all = test(folder.path(), &[]);
    assert_eq!((all.code, &*all.stderr), (Some(0), ""));
    assert_snapshot!(all.stdout, @r#"
    FILE        REACHED       PERCENT  MISSED
    authz.rego  4 of 4 lines  100.0 %  -

    3 passed, 0 failed, 0 skipped; 100.0 % of the rules reached
    "#);
    let one = test(folder.path(), &["--run", "doors_test.json: a str", "--verbose"]);
    assert_eq!((one.code, &*one.stderr), (Some(0), ""));
    assert_snapshot!(one.stdout, @r#"
    PASS   doors_test.json#/0  a stranger

    FILE        REACHED       PERCENT  MISSED
    authz.rego  2 of 4 lines  50.0 %   5, 7

    1 passed, 0 failed, 0 skipped; 50.0 % of the rules reached
    "#);
    let json = test(folder.path(), &["--run", "test_closed", "--output", "json"]);
    let json: Value = serde_json::from_str(&json.stdout).unwrap();
    assert_snapshot!(json, @r#"{"coverage":{"files":[{"file":"authz.rego","missed":["5","10"],"of":"lines","percent":50.0,"reached":2,"total":4}],"percent":50.0},"failed":0,"passed":1,"skipped":0,"tests":[{"at":"authz_test.rego:7","name":"test_closed","outcome":"passed"}]}"#);
}

#[test]
fn a_test_that_fails_and_rules_that_are_not_reached_exit_with_1() {
    let wrong = TESTS.replace("not authz.allow", "authz.allow");
    let folder = directory(&[("authz.rego", RULES), ("authz_test.rego", &wrong)]);
    let ran = test(folder.path(), &[]);
    assert_eq!(ran.code, Some(1));
    assert_snapshot!(ran.stdout + &ran.stderr, @r#"
    FAIL   authz_test.rego:7  test_closed
           expected  true
           found     false, or no value

    FILE        REACHED       PERCENT  MISSED
    authz.rego  3 of 4 lines  75.0 %   10

    1 passed, 1 failed, 0 skipped; 75.0 % of the rules reached
    error: 1 of 2 tests failed
    "#);
    let folder = directory(&[("authz.rego", RULES), ("authz_test.rego", TESTS)]);
    assert_eq!(test(folder.path(), &["--threshold", "75"]).code, Some(0));
    let ran = test(folder.path(), &["--threshold", "75.1"]);
    assert_eq!(ran.code, Some(1));
    assert_snapshot!(ran.stderr, @r#"error: tests reach 75 % of the rules, less than 75.1 %"#);
}

#[test]
fn nothing_to_run_exits_with_1_and_what_can_not_be_used_with_2() {
    let folder = directory(&[("authz.rego", RULES)]);
    let none = test(folder.path(), &[]);
    assert_eq!(none.code, Some(1));
    assert_snapshot!(none.stderr, @r#"error: `DIR` has no tests: write rules named test_… into *_test.rego beside the rules, or questions and answers into *_test.json"#);
    let tested = directory(&[("authz.rego", RULES), ("authz_test.rego", TESTS)]);
    let none = test(tested.path(), &["--run", "nothing like it"]);
    assert_eq!(none.code, Some(1));
    assert_snapshot!(none.stderr, @r#"error: no test of `DIR` has `nothing like it` in its file or name"#);

    let missing = test(&folder.path().join("missing"), &[]);
    assert_eq!(missing.code, Some(2));
    let broken = directory(&[("authz.rego", "package countersign.authz\nallow if {")]);
    let broken = test(broken.path(), &[]);
    assert_eq!(broken.code, Some(2));
    let untestable = directory(&[("authz.rego", RULES), ("authz_test.json", "[{}]")]);
    let untestable = test(untestable.path(), &[]);
    assert_eq!(untestable.code, Some(2));
    assert_snapshot!(missing.stderr + &broken.stderr + &untestable.stderr, @r#"
    error: cannot read `DIR`: No such file or directory (os error 2)
    error: `DIR` can't be used:
      authz.rego:2:11: expecting expression
    error: `DIR` can't be used:
      authz_test.json#/0/name: must be text of 1 to 200 bytes, without control characters
    "#);
    for threshold in ["101", "-1", "much"] {
        let option = format!("--threshold={threshold}");
        assert_eq!(test(tested.path(), &[&option]).code, Some(2));
    }
}

#[test]
fn tests_of_the_examples_pass() {
    let examples = format!("{}/../../examples/authzen/policies", env!("CARGO_MANIFEST_DIR"));
    let ran = test(Path::new(&examples), &["--threshold", "100"]);
    assert_eq!((ran.code, &*ran.stderr), (Some(0), ""), "{}", ran.stdout);
}

/// The documents show a file of each kind, and the rules that they are of.
#[test]
fn the_tests_in_the_documents_are_tests() {
    let document = format!("{}/../../docs/decisions.md", env!("CARGO_MANIFEST_DIR"));
    let document = fs::read_to_string(document).unwrap();
    let shown = document.split("## Testing rules").nth(1).unwrap();
    let block = |language: &str, at: usize| {
        let opened = shown.split(&format!("```{language}\n")).nth(at + 1).unwrap();
        opened.split("```").next().unwrap()
    };
    let folder = directory(&[
        ("authz.rego", block("rego", 0)),
        ("authz_test.rego", block("rego", 1)),
        ("doors_test.json", block("json", 0)),
    ]);
    let ran = test(folder.path(), &["--threshold", "100"]);
    assert_eq!((ran.code, &*ran.stderr), (Some(0), ""), "{}", ran.stdout);
    assert!(shown.contains(ran.stdout.trim()), "{}", ran.stdout);
}
