use std::io;
use std::process::Stdio;

use serde_json::json;

use crate::double::{Double, answer};
use crate::{against, countersign, ran, run};

#[test]
fn a_reader_that_left_is_no_failure() {
    let agents = json!({"data": [{"agentId": "a1"}], "page": 1, "limit": 20, "total": 1});
    let double = Double::answering([answer(200, agents)]);
    for mut command in [
        against(&double, &["agents", "list"]),
        countersign(&["completions", "bash"]),
        countersign(&["--help"]),
    ] {
        let (reader, writer) = io::pipe().unwrap();
        drop(reader);
        let child = command.stdout(writer).stderr(Stdio::piped()).spawn().unwrap();
        let output = child.wait_with_output().unwrap();
        assert_eq!(String::from_utf8_lossy(&output.stderr), "");
        assert_eq!(output.status.code(), Some(0));
    }
}

#[test]
fn what_others_wrote_does_not_steer_the_terminal() {
    let agent = json!({"agentId": "a1", "owner": "\u{1b}[2Jme\nyou"});
    let double = Double::answering([answer(200, agent.clone()), answer(200, agent)]);
    let table = run(&double, &["agents", "show", "a1"]).stdout;
    assert!(table.contains(r"\u{1b}[2Jme\nyou"), "{table}");
    let json = run(&double, &["agents", "show", "a1", "--output", "json"]).stdout;
    assert!(json.contains(r"\u001b[2Jme\nyou"), "{json}");
}

#[test]
fn wrong_usage_exits_with_two() {
    for args in [
        &[][..],
        &["agents"],
        &["agents", "list", "--no-such-option"],
        &["agents", "list", "--status", "asleep"],
        &["agents", "list", "--limit", "101"],
        &["agents", "update", "a1"],
        &["completions", "no-such-shell"],
        &["keys", "list", "--url", "not an address"],
        &["keys", "list", "--tenant", ""],
        &["keys", "list", "--tenant", "two words"],
        &["keys", "list", "--profile", "../etc"],
        &["profiles", "use", ""],
    ] {
        assert_eq!(ran(&mut countersign(args)).code, Some(2), "{args:?}");
    }
}

#[test]
fn completions_name_the_commands() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let ran = ran(&mut countersign(&["completions", shell]));
        assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""));
        assert!(ran.stdout.contains("decommission"), "{shell}");
    }
}
