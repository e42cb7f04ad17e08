use std::fs;

use insta::assert_snapshot;
use serde_json::{Value, json};

use crate::Ran;
use crate::double::{Double, answer};
use crate::run;

/// The matrix that ships with the product.
const MATRIX: &str =
    include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/vectors/rbac-policies.json"));

fn loaded(success: bool, message: &str) -> Value {
    json!({"success": success, "message": message, "previous_hash": "aa", "new_hash": "bb",
        "timestamp": "2026-01-31T12:00:00.000Z"})
}

#[test]
fn one_learns_which_matrix_is_in_force() {
    let info = json!({"version": "1.0.0", "hash": "1f7b", "loaded_at": "2026-01-31T12:00:00.000Z",
        "source": "built-in", "roles": ["infra", "admin"], "resources": ["agents"],
        "enforce_mode": true, "fail_open": false});
    let double = Double::answering([answer(200, info)]);
    assert_snapshot!(run(&double, &["rbac", "info"]).stdout, @r"
    version       1.0.0
    hash          1f7b
    source        built-in
    loaded_at     2026-01-31T12:00:00.000Z
    enforce_mode  true
    fail_open     false
    roles         infra, admin
    resources     agents
    ");
    assert_snapshot!(double.lines(), @"GET /api/v1/rbac/info");
}

#[test]
fn the_matrix_is_read_by_row_and_column_and_its_json_is_the_document() {
    let document: Value = serde_json::from_str(MATRIX).unwrap();
    let double = Double::answering([answer(200, document.clone()), answer(200, document.clone())]);
    let ran = run(&double, &["rbac", "matrix"]);
    assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""));
    assert_snapshot!(ran.stdout, @r"
    RESOURCE    infra                       admin                       machine      dev        approver       readonly
    agents      read, write                 read, write                 -            read       read           read
    audit       read                        read                        -            read       read           read
    chaos       execute, read               execute, read               read         read       -              -
    costsim     read, write, admin          read, write, admin          read         read       read           read
    decisions   ask, read                   ask, read                   ask          ask, read  ask, read      read
    guards      read, write                 read, write                 -            read       read           read
    keys        read, write                 read, write                 -            read       read           read
    memory      read, write, admin          read, write, admin          read, write  read       read           read
    memory_pin  read, write, delete, admin  read, write, delete, admin  read, write  read       read           read
    operators   read, write                 read, write                 -            read       read           read
    policy      read, write, approve        read, write, approve        read         read       read, approve  read
    prometheus  reload, query               reload, query               reload       query      query          query
    rbac        reload, read                reload, read                read         read       read           read
    registry    read, write                 read, write                 -            read       read           read
    routes      read, write                 read, write                 -            read       read           read
    services    read, write                 read, write                 -            read       read           read
    ssh         read, sign, revoke          read, sign, revoke          -            read       read           read
    tokens      read, write                 read, write                 -            read       read           read
    webhooks    read, write                 read, write                 -            read       read           read
    ");
    let ran = run(&double, &["rbac", "matrix", "--output", "json"]);
    assert_eq!(serde_json::from_str::<Value>(&ran.stdout).unwrap(), document);
    assert_snapshot!(double.lines(), @r"
    GET /api/v1/rbac/matrix
    GET /api/v1/rbac/matrix
    ");
}

fn upload(text: &[u8], double: &Double) -> Ran {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("matrix.json");
    fs::write(&file, text).unwrap();
    let mut ran = run(double, &["rbac", "upload", file.to_str().unwrap()]);
    ran.stderr = ran.stderr.replace(file.to_str().unwrap(), "FILE");
    ran
}

#[test]
fn a_matrix_is_uploaded_as_it_stands() {
    let double = Double::answering([answer(200, loaded(true, "loaded"))]);
    let text = r#"{ "roles": ["infra"],  "number": 1.10 }"#;
    let ran = upload(text.as_bytes(), &double);
    assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""));
    assert_snapshot!(ran.stdout, @r"
    success        true
    message        loaded
    previous_hash  aa
    new_hash       bb
    timestamp      2026-01-31T12:00:00.000Z
    ");
    assert_snapshot!(double.lines(), @r#"PUT /api/v1/rbac/matrix { "roles": ["infra"],  "number": 1.10 }"#);
    assert_eq!(double.heard()[0].header("content-type"), Some("application/json"));
}

#[test]
fn what_is_no_json_is_not_uploaded() {
    let double = Double::answering([]);
    for text in [&b""[..], b"roles: [infra]", b"{\"roles\":", b"\xff\xfe"] {
        let ran = upload(text, &double);
        assert_eq!(ran.code, Some(1));
        assert!(ran.stderr.starts_with("error: `FILE` is no JSON: "), "{}", ran.stderr);
    }
    let ran = run(&double, &["rbac", "upload", "no-such-file"]);
    assert!(ran.stderr.starts_with("error: cannot read `no-such-file`: "), "{}", ran.stderr);
}

#[test]
fn a_matrix_that_is_refused_names_each_place() {
    let invalid = json!({"code": "VALIDATION_ERROR", "detail": "the matrix is not valid",
        "details": {"/matrix/admin/agents/0": "expected a string", "/roles": "expected a list"}});
    let governed = json!({"code": "CONFLICT", "detail": "the file `/etc/matrix.json` governs"});
    let double = Double::answering([answer(400, invalid), answer(409, governed)]);
    let (invalid, governed) = (upload(b"{}", &double), upload(b"{}", &double));
    assert_eq!((invalid.code, governed.code), (Some(1), Some(1)));
    assert_snapshot!(invalid.stderr + &governed.stderr, @r"
    error: the matrix is not valid
      /matrix/admin/agents/0: expected a string
      /roles: expected a list
      code: VALIDATION_ERROR
    error: the file `/etc/matrix.json` governs
      code: CONFLICT
    hint: look at its present state, then decide whether to try again
    ");
}

#[test]
fn a_reload_that_keeps_the_old_matrix_is_a_failure() {
    let double = Double::answering([
        answer(200, loaded(true, "loaded")),
        answer(200, loaded(false, "line 3: expected `,`")),
    ]);
    assert_eq!(run(&double, &["rbac", "reload"]).code, Some(0));
    let ran = run(&double, &["rbac", "reload"]);
    assert_eq!(ran.code, Some(1));
    assert_snapshot!(ran.stdout, @r"
    success        false
    message        line 3: expected `,`
    previous_hash  aa
    new_hash       bb
    timestamp      2026-01-31T12:00:00.000Z
    ");
    assert_snapshot!(ran.stderr, @"error: the matrix was not changed: line 3: expected `,`");
    assert_snapshot!(double.lines(), @r"
    POST /api/v1/rbac/reload {}
    POST /api/v1/rbac/reload {}
    ");
}

fn entries(offset: u32, total: u32) -> Value {
    json!({"entries": [{
        "id": "d1", "timestamp": "2026-01-31T12:00:00.000Z", "subject": "o1",
        "subject_type": "operator", "tenant": "default", "resource": "agents", "resource_id": "*",
        "action": "write", "allowed": false, "reason": "insufficient-permissions",
        "decision_id": "decision:0123456789abcdef", "request_id": "r1",
    }], "total": total, "limit": 1, "offset": offset})
}

#[test]
fn decisions_are_found_and_it_is_said_where_they_go_on() {
    let double = Double::answering([answer(200, entries(0, 2)), answer(200, entries(1, 2))]);
    let filter = ["--resource", "agents", "--action", "write", "--allowed", "false"];
    let more = ["--subject", "o1", "--of-tenant", "acme", "--since", "2026-01-31T00:00:00Z"];
    let page = ["--limit", "1", "--offset", "0"];
    let ran = run(&double, &[&["rbac", "audit"], &filter[..], &more, &page].concat());
    assert_eq!(ran.code, Some(0));
    assert_snapshot!(ran.stdout, @r"
    TIME                      ALLOWED  SUBJECT  RESOURCE  ID  ACTION  REASON                    DECISION
    2026-01-31T12:00:00.000Z  false    o1       agents    *   write   insufficient-permissions  decision:0123456789abcdef
    ");
    assert_snapshot!(ran.stderr, @"1 of 2 decisions; next: --offset 1");
    assert_eq!(run(&double, &["rbac", "audit", "--offset", "1"]).stderr, "");
    assert_snapshot!(double.lines(), @r"
    GET /api/v1/rbac/audit?resource=agents&action=write&allowed=false&subject=o1&tenant_id=acme&since=2026-01-31T00%3A00%3A00Z&limit=1&offset=0
    GET /api/v1/rbac/audit?limit=100&offset=1
    ");
}

#[test]
fn looking_back_so_long_asks_from_a_time() {
    let double = Double::answering([answer(200, entries(0, 1))]);
    assert_eq!(run(&double, &["rbac", "audit", "--since", "7d"]).code, Some(0));
    let asked = double.lines().replace("%3A", ":");
    let since = asked.split("since=").nth(1).unwrap().split('&').next().unwrap();
    let shape: String = since.chars().map(|c| if c.is_ascii_digit() { '0' } else { c }).collect();
    assert_eq!(shape, "0000-00-00T00:00:00.000Z");
}

#[test]
fn a_filter_that_can_not_be_meant_is_wrong_usage() {
    let double = Double::answering([]);
    for filter in [["--since", "yesterday"], ["--allowed", "maybe"], ["--limit", "0"]] {
        assert_eq!(run(&double, &[&["rbac", "audit"], &filter[..]].concat()).code, Some(2));
    }
    assert_eq!(run(&double, &["rbac", "cleanup"]).code, Some(2));
}

#[test]
fn decisions_are_forgotten_early() {
    let done = json!({"deleted_count": 7, "retention_days": 90,
        "timestamp": "2026-01-31T12:00:00.000Z"});
    let double = Double::answering([answer(200, done)]);
    assert_snapshot!(run(&double, &["rbac", "cleanup", "--retention-days", "90"]).stdout, @r"
    deleted_count   7
    retention_days  90
    timestamp       2026-01-31T12:00:00.000Z
    ");
    assert_snapshot!(double.lines(), @"POST /api/v1/rbac/audit/cleanup?retention_days=90 {}");
}
