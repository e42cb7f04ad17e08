use std::fs;
use std::net::TcpListener;

use insta::assert_snapshot;
use serde_json::json;

use crate::double::{Double, answer, text};
use crate::{against, countersign, ran, ran_with_stdin, run};

fn no_keys() -> crate::double::Answer {
    answer(200, json!({"data": []}))
}

#[test]
fn the_token_comes_from_wherever_it_is_kept() {
    let double = Double::answering([no_keys(), no_keys(), no_keys(), no_keys(), no_keys()]);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("token");
    fs::write(&file, "from-file\n").unwrap();
    let file = file.to_str().unwrap();
    let list = |more: &[&str]| {
        let mut command = against(&double, &[&["keys", "list"], more].concat());
        command.env("COUNTERSIGN_TOKEN", "from-env");
        command
    };

    ran(&mut list(&[]));
    ran(&mut list(&["--token", "typed"]));
    ran(&mut list(&["--token-file", file]));
    ran_with_stdin(&mut list(&["--token-file", "-"]), "from-stdin\n");
    ran(list(&[]).env("COUNTERSIGN_TOKEN", ""));
    let sent: Vec<_> = double
        .heard()
        .iter()
        .map(|heard| heard.header("authorization").unwrap_or("nothing").to_owned())
        .collect();
    assert_snapshot!(sent.join("\n"), @r"
    Bearer from-env
    Bearer typed
    Bearer from-file
    Bearer from-stdin
    nothing
    ");
}

#[test]
fn a_token_is_in_no_help_text() {
    let ran = ran(countersign(&["agents", "list", "--help"]).env("COUNTERSIGN_TOKEN", "hidden"));
    assert_eq!(ran.code, Some(0));
    assert!(!ran.stdout.contains("hidden"), "{}", ran.stdout);
}

#[test]
fn a_token_file_that_is_not_there_is_named() {
    let ran = ran(&mut countersign(&["keys", "list", "--token-file", "no-such-file"]));
    assert_eq!(ran.code, Some(1));
    assert!(
        ran.stderr.starts_with("error: cannot read the secret in `no-such-file`:"),
        "{}",
        ran.stderr
    );
}

#[test]
fn a_server_that_is_not_running_is_pointed_out() {
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let url = format!("http://{free}");
    let ran = ran(&mut countersign(&["keys", "list", "--url", &url]));
    assert_eq!((ran.code, ran.stdout.as_str()), (Some(1), ""));
    let stderr = ran.stderr.replace(&url, "http://server");
    assert!(stderr.starts_with("error: cannot reach http://server: "), "{stderr}");
    assert!(stderr.ends_with("\nhint: is the server running? `countersign serve` starts it\n"));
}

#[test]
fn a_proxy_is_not_asked_for_this_machine() {
    let double = Double::answering([no_keys()]);
    let ran = ran(against(&double, &["keys", "list"]).env("http_proxy", "http://127.0.0.1:1"));
    assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""));
}

#[test]
fn a_server_without_tls_is_no_panic() {
    let double = Double::answering([text(400, "")]);
    let url = double.url().replace("http:", "https:");
    let ran = ran(&mut countersign(&["keys", "list", "--url", &url]));
    assert_eq!(ran.code, Some(1));
    assert!(ran.stderr.starts_with("error: cannot "), "{}", ran.stderr);
}

#[test]
fn a_redirect_is_not_followed() {
    let elsewhere = Double::answering([no_keys()]);
    let double =
        Double::answering([text(307, "").with(&format!("Location: {}/", elsewhere.url()))]);
    let ran = run(&double, &["keys", "list"]);
    assert_eq!(ran.code, Some(1));
    assert!(ran.stderr.contains("307"), "{}", ran.stderr);
    assert!(elsewhere.heard().is_empty());
}

#[test]
fn a_limit_is_told_with_its_wait() {
    let body = json!({"code": "RATE_LIMIT_EXCEEDED", "detail": "too many requests",
        "request_id": "r1"});
    let double = Double::answering([answer(429, body).with("Retry-After: 12")]);
    let ran = run(&double, &["keys", "list"]);
    assert_eq!((ran.code, ran.stdout.as_str()), (Some(1), ""));
    assert_snapshot!(ran.stderr, @r"
    error: too many requests
      code: RATE_LIMIT_EXCEEDED
      request id: r1
    hint: try again in 12 seconds
    ");
}

#[test]
fn a_success_that_is_not_json_is_a_failure() {
    let double = Double::answering([text(200, "<html>hello</html>")]);
    let ran = run(&double, &["keys", "list"]);
    assert_eq!((ran.code, ran.stdout.as_str()), (Some(1), ""));
    assert!(ran.stderr.contains("a body that is not JSON"), "{}", ran.stderr);
}

#[test]
fn health_is_the_exit_code() {
    let double = Double::answering([
        answer(200, json!({"status": "ok", "degraded": []})),
        answer(503, json!({"status": "error", "degraded": ["database"]})),
    ]);
    let ready = run(&double, &["health"]);
    assert_eq!((ready.code, ready.stderr.as_str()), (Some(0), ""));
    let down = run(&double, &["health"]);
    assert_eq!(down.code, Some(1));
    assert_snapshot!(down.stdout, @r"
    status    error
    degraded  database
    ");
    assert_snapshot!(down.stderr, @"error: the server is not ready: it answered 503 Service Unavailable");
    assert_snapshot!(double.lines(), @r"
    GET /readyz
    GET /readyz
    ");
    assert_eq!(double.heard()[0].header("authorization"), None);
}

#[test]
fn the_tenant_to_act_in_is_named_in_a_header() {
    let double = Double::answering([no_keys(), no_keys(), no_keys(), text(200, "{}")]);
    run(&double, &["keys", "list"]);
    run(&double, &["keys", "list", "--tenant", "acme"]);
    ran(against(&double, &["keys", "list"]).env("COUNTERSIGN_TENANT", "from-env"));
    run(&double, &["health", "--tenant", "acme"]);
    let sent: Vec<_> = double
        .heard()
        .iter()
        .map(|heard| heard.header("x-tenant").unwrap_or("nothing").to_owned())
        .collect();
    assert_eq!(sent, ["nothing", "acme", "from-env", "nothing"]);
}
