//! The file of profiles: whose it is, and what it may hold.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use insta::assert_snapshot;
use tempfile::TempDir;

use super::{Home, no_keys, operator};
use crate::double::Double;
use crate::{countersign, ran, ran_with_stdin};

#[test]
fn the_file_is_for_its_owner_alone_and_no_other_is_left_beside_it() {
    let home = Home::new();
    let double = Double::answering([operator(), operator()]);
    home.login(&double, "t1", &[]);
    home.login(&double, "t2", &["--profile", "other"]);
    let folder = home.file().parent().unwrap().to_owned();
    let mode = |path: &PathBuf| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&home.file()), mode(&folder)), (0o600, 0o700));
    assert_eq!(fs::read_dir(folder).unwrap().count(), 1);
}

#[test]
fn without_xdg_config_home_the_file_is_below_home() {
    let home = TempDir::new().unwrap();
    for (xdg, double) in
        [("", Double::answering([operator()])), ("not/absolute", Double::answering([operator()]))]
    {
        let mut command = countersign(&["login", "--url", &double.url()]);
        command.env("HOME", home.path()).env("XDG_CONFIG_HOME", xdg);
        assert_eq!(ran_with_stdin(&mut command, "t1").code, Some(0));
        let file = home.path().join(".config/countersign/profiles.toml");
        fs::remove_file(file).unwrap();
    }
}

#[test]
fn profiles_that_others_can_read_are_refused() {
    let home = Home::new();
    let double = Double::answering([operator(), no_keys()]);
    home.login(&double, "t1", &[]);
    for mode in [0o640, 0o604, 0o620] {
        home.allow(mode);
        let ran = home.run(&["keys", "list"]);
        assert_eq!((ran.code, ran.stdout.as_str()), (Some(1), ""));
        insta::allow_duplicates! { assert_snapshot!(home.shown(&ran.stderr), @r"
        error: `HOME/countersign/profiles.toml` is open to others, and it holds tokens
        hint: chmod 600 'HOME/countersign/profiles.toml'; the tokens in it may be known by now
        "); }
    }
    assert_eq!(home.login(&double, "t2", &[]).code, Some(1));
    let mut command = home.command(&["keys", "list", "--token", "typed", "--url", &double.url()]);
    assert_eq!(ran(&mut command).code, Some(0), "no profile is needed");
}

#[test]
fn a_file_that_is_no_file_of_profiles_is_told_by_its_line_and_never_quoted() {
    let home = Home::new();
    let profile = "[profiles.a]\nurl = 'http://127.0.0.1:1'\n";
    let mut lines = Vec::new();
    for text in [
        "default = \"a\n".to_owned(),
        "profiles = 'op_live_secret'".to_owned(),
        "[profiles]\na = 'op_live_secret'\n".to_owned(),
        format!("{profile}token = op_live_secret\n"),
        format!("{profile}token = ['op_live_secret']\n"),
        format!("{profile}token2 = 'op_live_secret'\n"),
        format!("{profile}token = 'op_live_secret'\ntenant = 'two words'\n"),
        "[profiles.a]\nurl = 'ftp://op_live_secret'\ntoken = 't'\n".to_owned(),
        "[profiles.'a b']\nurl = 'http://127.0.0.1:1'\ntoken = 'op_live_secret'\n".to_owned(),
    ] {
        home.write(&text);
        let ran = home.run(&["keys", "list"]);
        assert_eq!((ran.code, ran.stdout.as_str()), (Some(1), ""), "{text}");
        assert!(!ran.stderr.contains("op_live"), "{}", ran.stderr);
        let line = ran.stderr.split("line ").nth(1).unwrap().chars().next().unwrap();
        lines.push(line);
        if lines.len() == 1 {
            assert_snapshot!(home.shown(&ran.stderr), @r"
            error: `HOME/countersign/profiles.toml`, line 1: this is nothing that `countersign login` writes
            hint: mend it, or remove the file and log in again
            ");
        }
    }
    assert_eq!(lines, ['1', '1', '2', '3', '3', '3', '4', '2', '1']);
}

#[test]
fn a_file_that_is_no_text_or_no_file_can_not_be_read() {
    let home = Home::new();
    home.write("");
    fs::write(home.file(), b"\xff\xfe").unwrap();
    let ran = home.run(&["keys", "list"]);
    assert_eq!(ran.code, Some(1));
    assert_snapshot!(home.shown(&ran.stderr), @"error: cannot read `HOME/countersign/profiles.toml`: stream did not contain valid UTF-8");
    fs::remove_file(home.file()).unwrap();
    fs::create_dir(home.file()).unwrap();
    fs::set_permissions(home.file(), fs::Permissions::from_mode(0o700)).unwrap();
    assert_eq!(home.run(&["profiles", "list"]).code, Some(1));
}
