//! Which profile a command uses, and which token goes to which server.

use insta::assert_snapshot;
use serde_json::{Value, json};

use super::{Home, callers, no_keys, operator};
use crate::double::{Double, answer};
use crate::ran;

#[test]
fn profiles_are_listed_without_tokens_and_one_is_chosen() {
    let home = Home::new();
    let double = Double::answering([operator(), operator(), no_keys(), no_keys()]);
    assert_snapshot!(home.run(&["profiles", "list"]).stderr, @"no profiles: `countersign login` makes one");
    home.login(&double, "t1", &["--profile", "a"]);
    let second = home.login(&double, "t2", &["--profile", "b", "--tenant", "acme"]);
    assert_snapshot!(second.stderr, @"the profile b is saved; `countersign profiles use b` makes it the default");

    let ran = home.run(&["profiles", "list"]);
    assert_snapshot!(home.shown(&ran.stdout), @r"
    PROFILE  URL                     TENANT   DEFAULT
    a        http://server  default  true
    b        http://server  acme     false
    ");
    let ran = home.run(&["profiles", "list", "--output", "json"]);
    let listed: Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!(listed["data"][1]["default"], false);
    assert!(listed["data"][0].get("token").is_none(), "{listed}");

    assert_snapshot!(home.run(&["profiles", "use", "b"]).stdout, @"the profile b is used when none is named");
    home.run(&["keys", "list"]);
    home.run(&["keys", "list", "--profile", "a"]);
    assert_eq!(callers(&double)[2..], ["Bearer t2 in acme", "Bearer t1 in default"]);
}

#[test]
fn what_was_typed_wins_over_the_environment_over_a_profile_that_was_named() {
    let home = Home::new();
    let double =
        Double::answering([operator(), operator(), no_keys(), no_keys(), no_keys(), no_keys()]);
    home.login(&double, "of-default", &[]);
    home.login(&double, "of-named", &["--profile", "named"]);
    let list = |more: &[&str]| home.command(&[&["keys", "list"], more].concat());

    ran(list(&[]).env("COUNTERSIGN_PROFILE", "named"));
    ran(list(&["--profile", "default"]).env("COUNTERSIGN_PROFILE", "named"));
    ran(list(&["--profile", "named"]).env("COUNTERSIGN_TOKEN", "from-env"));
    ran(list(&["--profile", "named", "--token", "typed"]).env("COUNTERSIGN_TOKEN", "from-env"));
    assert_eq!(
        callers(&double)[2..],
        [
            "Bearer of-named in default",
            "Bearer of-default in default",
            "Bearer from-env in nothing",
            "Bearer typed in nothing",
        ]
    );
}

#[test]
fn a_profiles_token_goes_to_no_other_server() {
    let home = Home::new();
    let double = Double::answering([operator()]);
    let other = Double::answering([no_keys(), no_keys()]);
    home.login(&double, "t1", &["--profile", "p"]);

    let refused = home.run(&["keys", "list", "--url", &other.url()]);
    assert_eq!((refused.code, refused.stdout.as_str()), (Some(1), ""));
    assert_snapshot!(home.shown(&refused.stderr), @r"
    error: the profile `p` is for http://server: its token is not sent to http://server
    hint: give a token for that server: set COUNTERSIGN_TOKEN, pass --token-file FILE, or run `countersign login --profile ANOTHER --url http://server`
    ");
    let by_environment = ran(home.command(&["keys", "list"]).env("COUNTERSIGN_URL", other.url()));
    assert_eq!(by_environment.stderr, refused.stderr);
    let by_name = double.url().replace("127.0.0.1", "localhost");
    assert_eq!(home.run(&["keys", "list", "--url", &by_name]).code, Some(1));
    assert!(other.heard().is_empty());

    home.run(&["keys", "list", "--url", &other.url(), "--token", "its-own"]);
    home.run(&["health", "--url", &other.url()]);
    assert_eq!(callers(&other), ["Bearer its-own in nothing", "nothing in nothing"]);
}

#[test]
fn an_address_written_otherwise_is_the_same_server() {
    let home = Home::new();
    let double = Double::answering([operator(), no_keys()]);
    home.login(&double, "t1", &[]);
    let url = double.url().replace("http:", "HTTP:") + "/";
    assert_eq!(home.run(&["keys", "list", "--url", &url]).code, Some(0));
}

#[test]
fn what_needs_no_token_still_goes_to_the_profiles_server() {
    let home = Home::new();
    let double = Double::answering([operator(), answer(200, json!({"status": "ok"}))]);
    home.login(&double, "t1", &[]);
    assert_eq!(home.run(&["health"]).code, Some(0));
    assert_eq!(callers(&double)[1], "nothing in nothing");
}

#[test]
fn a_profile_there_is_not_is_named() {
    let home = Home::new();
    for command in [
        &["keys", "list", "--profile", "x"][..],
        &["profiles", "use", "x"],
        &["logout", "--profile", "x"],
    ] {
        let ran = home.run(command);
        assert_eq!(ran.code, Some(1));
        insta::allow_duplicates! { assert_snapshot!(ran.stderr, @r"
        error: there is no profile `x`
        hint: `countersign profiles list` shows the profiles there are; `countersign login --profile x` makes this one
        "); }
    }
}

#[test]
fn a_default_that_is_gone_is_named() {
    let home = Home::new();
    home.write("default = 'gone'\n");
    let ran = home.run(&["keys", "list"]);
    assert!(ran.stderr.starts_with("error: there is no profile `gone`\n"), "{}", ran.stderr);
}
