//! `login` and `logout`: who one is, and what is kept of it.

use std::fs;

use insta::assert_snapshot;
use serde_json::json;

use super::{Home, callers, no_keys, operator};
use crate::double::{Double, answer};
use crate::{against, countersign, ran, ran_with_stdin};

#[test]
fn a_login_says_who_one_is_and_is_used_from_then_on() {
    let home = Home::new();
    let double = Double::answering([operator(), no_keys()]);
    let ran = home.login(&double, "t1\n", &[]);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    assert_snapshot!(ran.stdout, @r"
    type           operator
    id             o1
    displayName    Ada
    tenant         default
    roles          infra
    scopes         []
    approvalLevel  5
    ");
    assert_snapshot!(ran.stderr, @"the profile default is saved, and used when none is named");
    assert_snapshot!(home.shown(&fs::read_to_string(home.file()).unwrap()), @r#"
    # Written by `countersign login`. It holds tokens: keep it to yourself.
    default = "default"

    [profiles.default]
    url = "http://server"
    token = "t1"
    tenant = "default"
    "#);

    assert_eq!(home.run(&["keys", "list"]).code, Some(0));
    assert_eq!(callers(&double), ["Bearer t1 in nothing", "Bearer t1 in default"]);
}

#[test]
fn a_token_that_is_not_taken_is_not_saved() {
    let home = Home::new();
    let refused = json!({"code": "UNAUTHORIZED", "detail": "the token has expired"});
    let nobody = json!({"type": "anonymous", "id": "anonymous", "tenant": "default"});
    let double =
        Double::answering([answer(401, refused), answer(200, nobody), answer(200, json!([]))]);
    let said: String = (0..3)
        .map(|_| {
            let ran = home.login(&double, "t1", &[]);
            assert_eq!((ran.code, ran.stdout.as_str()), (Some(1), ""));
            ran.stderr
        })
        .collect();
    assert_snapshot!(home.shown(&said), @r"
    error: the token has expired
      code: UNAUTHORIZED
    hint: the token may have expired or been revoked: get another, for example with `countersign token issue`, and run `countersign login`, set COUNTERSIGN_TOKEN or pass --token-file FILE
    error: http://server does not say whose token this is
    error: http://server does not say whose token this is
    ");
    assert!(!home.file().exists());
}

#[test]
fn a_token_that_can_be_none_is_not_sent() {
    let home = Home::new();
    let double = Double::answering([]);
    let said: String = ["", " \n", "two\nlines", "t\u{1}1", "tökén"]
        .map(|token| {
            let ran = home.login(&double, token, &[]);
            assert_eq!((ran.code, ran.stdout.as_str()), (Some(1), ""));
            ran.stderr
        })
        .concat();
    assert_snapshot!(said, @r"
    error: no token was given: standard input is empty
    error: no token was given: standard input is empty
    error: the token holds a character that no token has
    error: the token holds a character that no token has
    error: the token holds a character that no token has
    ");
    assert!(!home.file().exists());
}

#[test]
fn a_token_may_come_from_a_file() {
    let home = Home::new();
    let double = Double::answering([operator()]);
    let file = home.0.path().join("token");
    fs::write(&file, "from-file\n").unwrap();
    let ran = home.login(&double, "from-stdin", &["--token-file", file.to_str().unwrap()]);
    assert_eq!(ran.code, Some(0));
    assert_eq!(callers(&double), ["Bearer from-file in nothing"]);
}

#[test]
fn logging_in_again_keeps_the_address_and_takes_the_new_token() {
    let home = Home::new();
    let double = Double::answering([operator(), operator(), no_keys()]);
    home.login(&double, "t1", &["--tenant", "acme"]);
    let mut again = home.command(&["login", "--tenant", "umbrella"]);
    assert_eq!(ran_with_stdin(&mut again, "t2").code, Some(0));
    home.run(&["keys", "list"]);
    assert_eq!(
        callers(&double),
        ["Bearer t1 in acme", "Bearer t2 in umbrella", "Bearer t2 in umbrella"]
    );
}

#[test]
fn a_token_of_its_own_beside_a_login_is_told() {
    let home = Home::new();
    let double = Double::answering([operator()]);
    let mut command = home.command(&["login", "--url", &double.url()]);
    let ran = ran_with_stdin(command.env("COUNTERSIGN_TOKEN", "from-env"), "piped");
    assert!(ran.stderr.ends_with("wins over any profile's\n"), "{}", ran.stderr);
    assert_eq!(callers(&double), ["Bearer piped in nothing"]);
}

#[test]
fn logging_out_forgets_the_token() {
    let home = Home::new();
    let double = Double::answering([operator(), operator()]);
    home.login(&double, "token-one", &[]);
    home.login(&double, "token-two", &["--profile", "other"]);
    let ran = home.run(&["logout"]);
    assert_snapshot!(ran.stdout, @"the profile default is removed");
    assert_snapshot!(ran.stderr, @"its token works until it expires or is revoked");
    let left = fs::read_to_string(home.file()).unwrap();
    assert!(!left.contains("token-one") && left.contains("token-two"), "{left}");

    let again = home.run(&["logout"]);
    assert_eq!(again.code, Some(1));
    assert_snapshot!(again.stderr, @r"
    error: no profile is named, and none is the default
    hint: pass --profile NAME; `countersign profiles list` shows them
    ");
    assert_eq!(home.run(&["logout", "--profile", "other"]).code, Some(0));
    assert!(!fs::read_to_string(home.file()).unwrap().contains("token-"));
}

#[test]
fn without_a_home_there_are_no_profiles() {
    let double = Double::answering([no_keys()]);
    let without = ran(&mut against(&double, &["keys", "list"]));
    assert_eq!((without.code, without.stderr.as_str()), (Some(0), ""));
    let named = ran(&mut countersign(&["keys", "list", "--profile", "x"]));
    assert_eq!(named.code, Some(1));
    assert_snapshot!(named.stderr, @r"
    error: there is no place for profiles
    hint: set HOME or XDG_CONFIG_HOME
    ");
    assert_eq!(ran_with_stdin(&mut countersign(&["login"]), "t").code, Some(1));
}
