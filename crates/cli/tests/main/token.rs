use std::fs;

use insta::assert_snapshot;
use serde_json::{Value, json};

use crate::double::{Answer, Double, answer, text};
use crate::{against, countersign, ran, ran_with_stdin, run};

fn issued() -> Answer {
    answer(
        200,
        json!({"access_token": "e30.e30.c2ln", "token_type": "Bearer", "expires_in": 3600,
            "scope": "agents:read"}),
    )
}

#[test]
fn a_token_is_issued_to_a_client_and_no_bearer_is_sent() {
    let double = Double::answering([issued()]);
    let ran = run(
        &double,
        &[
            "token",
            "issue",
            "--client-id",
            "a1",
            "--client-secret",
            "s&1",
            "--scope",
            "agents:read",
            "--scope",
            "audit:read",
            "--resource",
            "https://api.example/x",
            "--resource",
            "https://b.example",
        ],
    );
    assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""));
    assert_snapshot!(double.lines(), @"POST /api/v1/token grant_type=client_credentials&client_id=a1&client_secret=s%261&scope=agents%3Aread+audit%3Aread&resource=https%3A%2F%2Fapi.example%2Fx&resource=https%3A%2F%2Fb.example");
    assert_eq!(double.heard()[0].header("authorization"), None);
    let form = Some("application/x-www-form-urlencoded");
    assert_eq!(double.heard()[0].header("content-type"), form);
    assert_snapshot!(ran.stdout, @r"
    access_token  e30.e30.c2ln
    token_type    Bearer
    expires_in    3600
    scope         agents:read
    ");
}

#[test]
fn the_client_secret_comes_from_wherever_it_is_kept() {
    let double = Double::answering([issued(), issued(), issued(), issued(), issued()]);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("secret");
    fs::write(&file, "from-file\n").unwrap();
    let issue = ["token", "issue", "--client-id", "a1", "--raw"];
    let with = |more: &[&str]| against(&double, &[&issue, more].concat());
    let file = file.to_str().unwrap();

    assert_eq!(
        ran(with(&[]).env("COUNTERSIGN_CLIENT_SECRET", "from-env")).stdout,
        "e30.e30.c2ln\n"
    );
    ran(&mut with(&["--client-secret-file", file]));
    ran(with(&["--client-secret-file", file]).env("COUNTERSIGN_CLIENT_SECRET", "from-env"));
    ran_with_stdin(&mut with(&["--client-secret", "-"]), "from-stdin\n");
    ran_with_stdin(&mut with(&["--client-secret-file", "-"]), "from-stdin\n");
    assert_snapshot!(double.lines(), @r"
    POST /api/v1/token grant_type=client_credentials&client_id=a1&client_secret=from-env
    POST /api/v1/token grant_type=client_credentials&client_id=a1&client_secret=from-file
    POST /api/v1/token grant_type=client_credentials&client_id=a1&client_secret=from-file
    POST /api/v1/token grant_type=client_credentials&client_id=a1&client_secret=from-stdin
    POST /api/v1/token grant_type=client_credentials&client_id=a1&client_secret=from-stdin
    ");
}

#[test]
fn a_client_without_a_secret_is_wrong_usage() {
    let ran = ran(&mut countersign(&["token", "issue", "--client-id", "a1"]));
    assert_eq!(ran.code, Some(2));
    assert!(ran.stderr.contains("--client-secret"), "{}", ran.stderr);
}

#[test]
fn a_refused_client_is_told_what_to_check() {
    let refusal =
        json!({"error": "invalid_client", "error_description": "client authentication failed"});
    let double = Double::answering([answer(401, refusal)]);
    let ran = run(&double, &["token", "issue", "--client-id", "a1", "--client-secret", "s"]);
    assert_eq!((ran.code, ran.stdout.as_str()), (Some(1), ""));
    assert_snapshot!(ran.stderr, @r"
    error: client authentication failed
      code: invalid_client
    hint: check --client-id and the client secret; `introspect` and `revoke` take a token instead: set COUNTERSIGN_TOKEN or pass --token-file FILE
    ");
}

#[test]
fn a_token_is_introspected_and_revoked() {
    let double = Double::answering([answer(200, json!({"active": false})), text(200, "")]);
    assert_snapshot!(run(&double, &["token", "introspect", "t1"]).stdout, @"active  false");

    let mut revoke = against(&double, &["token", "revoke", "-", "--token", "t0"]);
    let revoked = ran_with_stdin(&mut revoke, "t2\n");
    assert_eq!(revoked.code, Some(0));
    assert_snapshot!(revoked.stdout, @"the token is revoked, if it was one");
    assert_snapshot!(double.lines(), @r"
    POST /api/v1/token/introspect token=t1
    POST /api/v1/token/revoke token=t2
    ");
    assert_eq!(double.heard()[1].header("authorization"), Some("Bearer t0"));
}

#[test]
fn a_token_is_decoded_without_a_server() {
    // {"alg":"RS256"} and {"exp":0}
    let token = "eyJhbGciOiJSUzI1NiJ9.eyJleHAiOjB9.c2ln";
    let decoded = ran(&mut countersign(&["token", "decode", token]));
    assert_eq!(decoded.code, Some(0));
    assert_snapshot!(decoded.stdout, @r"
    header
      alg  RS256

    claims
      exp  0 (1970-01-01T00:00:00Z)
    ");
    assert_snapshot!(decoded.stderr, @"the signature was NOT checked: anyone could have written this");

    let decoded = ran(&mut countersign(&["token", "decode", token, "--output", "json"]));
    let json: Value = serde_json::from_str(&decoded.stdout).unwrap();
    assert_eq!(json, json!({"header": {"alg": "RS256"}, "claims": {"exp": 0}}));
    assert!(decoded.stderr.contains("NOT checked"), "{}", decoded.stderr);

    assert_eq!(ran(&mut countersign(&["token", "decode", "op_live_00"])).code, Some(1));
}
