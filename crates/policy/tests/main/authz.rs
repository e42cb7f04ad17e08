//! The policy directory at the doors: which form counts, what is read, and what becomes of what is not usable.

mod meaning;
mod rules;
mod scopes;
#[cfg(feature = "wasm")]
mod wasm;

use std::collections::BTreeMap;
use std::sync::Arc;

use countersign_policy::authz::{Answer, Asked};
use countersign_policy::{Authz, InvalidAuthz, Permissions};
use insta::assert_snapshot;

/// When everything here is asked.
const NOW: i64 = 1_700_000_000_000_000;

fn read(files: &[(&str, &str)]) -> Result<Option<Authz>, InvalidAuthz> {
    let files: BTreeMap<String, String> =
        files.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect();
    Authz::read(&files)
}

fn faults(files: &[(&str, &str)]) -> String {
    read(files).unwrap_err().to_string()
}

/// An agent with a role of its tenant `acme` asks.
fn ask(authz: &Authz, method: &str, path: &str, scopes: &str) -> String {
    let scopes = if scopes.is_empty() {
        Permissions::default()
    } else {
        Permissions::from_scope(scopes).unwrap()
    };
    let roles = [Arc::from("worker")];
    let asked = Asked {
        method,
        path,
        scopes: &scopes,
        agent: Some("agent-1"),
        roles: &roles,
        tenant: "acme",
    };
    told(&authz.ask(&asked, NOW))
}

fn told(answer: &Answer) -> String {
    match answer {
        Answer::Allow => "allow".to_owned(),
        Answer::Deny { reason, diagnostic: None } => format!("deny {reason}"),
        Answer::Deny { reason, diagnostic: Some(said) } => format!("deny {reason} [{said}]"),
    }
}

const RULES: &str = "package countersign.authz\nallow if input.method == \"GET\"";
const TABLE: &str = r#"{"POST /": []}"#;

#[test]
fn rules_come_before_a_table_and_what_is_neither_is_not_looked_at() {
    let form = |files: &[(&str, &str)]| read(files).unwrap().map(|authz| authz.form());
    assert_eq!(form(&[]), None);
    let others = [
        ("packages/a.rego", "no rules"),
        ("allow_test.rego", "no rules"),
        ("data/other.json", "{"),
        ("data/deeper/scopes.json", "{"),
        ("README.md", "words"),
    ];
    assert_eq!(form(&others), None);
    let table = [&others[..], &[("data/scopes.json", TABLE)]].concat();
    assert_eq!(form(&table), Some("scopes"));
    let both = [&table[..], &[("authz.rego", RULES)]].concat();
    assert_snapshot!(faults(&both), @"not a usable policy directory; data/other.json: EOF while parsing an object at line 1 column 1");
    let both: Vec<_> = both.into_iter().filter(|(file, _)| *file != "data/other.json").collect();
    assert_eq!(form(&both), Some("rego"));
    let authz = read(&both).unwrap().unwrap();
    assert_eq!(ask(&authz, "GET", "/", ""), "allow");
    assert_eq!(ask(&authz, "POST", "/", ""), "deny policy_denied");
}

#[test]
fn the_digest_is_of_every_text_that_counts_and_of_its_name() {
    let digest = |files: &[(&str, &str)]| read(files).unwrap().unwrap().digest().to_owned();
    let one = digest(&[("a.rego", RULES)]);
    assert_snapshot!(one, @"sha256:4bb89f88440f3e0c9d3f195947d003ecc738bbde4c2a0a4c5879ffd057c0cc55");
    assert_eq!(one, digest(&[("a.rego", RULES), ("a_test.rego", "x"), ("packages/b.rego", "x")]));
    let all = [
        one,
        digest(&[("b.rego", RULES)]),
        digest(&[("a.rego", &format!("{RULES}\n"))]),
        digest(&[("a.rego", RULES), ("data/scopes.json", TABLE)]),
        digest(&[("a.rego", RULES), ("b.rego", "package b")]),
        digest(&[("data/scopes.json", TABLE)]),
    ];
    for (at, digest) in all.iter().enumerate() {
        assert!(!all[..at].contains(digest), "{at}");
    }
}

#[test]
fn many_threads_share_one() {
    let table = r#"{"GET /a/:id": ["a:read"], "POST /a": []}"#;
    let rules = "package countersign.authz\nallow if \"a:read\" in input.scopes\nallow if input.method == \"POST\"";
    for files in [[("data/scopes.json", table)], [("a.rego", rules)]] {
        let authz = read(&files).unwrap().unwrap();
        std::thread::scope(|threads| {
            for thread in 0..4 {
                let authz = &authz;
                threads.spawn(move || {
                    for round in 0..2_000 {
                        let held = (thread + round) % 2 == 0;
                        let answer =
                            ask(authz, "GET", "/a/1", if held { "a:read" } else { "b:read" });
                        assert_eq!(answer == "allow", held, "{answer}");
                        assert_eq!(ask(authz, "POST", "/a", ""), "allow");
                    }
                });
            }
        });
    }
}
