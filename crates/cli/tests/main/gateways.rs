//! Guards and routes on the command line, and policies compared with what was decided.

use std::fs;

use insta::assert_snapshot;
use serde_json::{Value, json};

use crate::database::Database;
use crate::double::{Double, answer};
use crate::server::{OPERATOR, Server};
use crate::{Ran, countersign, ran, run};

fn table() -> Value {
    json!({"default": "deny", "routes": [
        {"path": "/npu/*", "methods": ["POST"], "permission": "npu:write", "guard": "npu"},
        {"path": "/npu/{id}", "methods": ["GET"], "callers": ["agent"]},
        {"path": "/health", "public": true, "host": "npu.example"},
    ]})
}

fn file(text: &str) -> (tempfile::TempDir, String) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("routes.json");
    fs::write(&path, text).unwrap();
    let path = path.to_str().unwrap().to_owned();
    (folder, path)
}

fn local(args: &[&str], path: &str) -> Ran {
    let mut ran = ran(&mut countersign(args));
    ran.stderr = ran.stderr.replace(path, "FILE");
    ran
}

#[test]
fn a_table_tells_offline_which_route_answers_and_why() {
    let (_folder, path) = file(&table().to_string());
    let test = |args: &[&str]| {
        let args = [&["routes", "test"], args, &["--table", &path]].concat();
        local(&args, &path)
    };
    assert_snapshot!(test(&["GET", "https://other.example:8443/npu/1?x=/../health"]).stdout, @r#"
    outcome  route
    route    /routes/1

    ROUTE      PATH       WHY
    /routes/1  /npu/{id}  it answers
    /routes/0  /npu/*     its path is less specific
    "#);
    assert_snapshot!(test(&["POST", "/npu/1/2"]).stdout, @r#"
    outcome  route
    route    /routes/0

    ROUTE      PATH    WHY
    /routes/0  /npu/*  it answers
    "#);
    assert_snapshot!(test(&["GET", "/npu/%2e%2e/health"]).stdout, @r#"
    outcome  refused
    route    /routes/0
    reason   ambiguous_path

    ROUTE      PATH    WHY
    /routes/0  /npu/*  it does not list `GET`
    "#);
    let refused = test(&["GET", "http://npu.example/elsewhere", "--exit-code"]);
    assert_eq!(refused.code, Some(1));
    assert_snapshot!(refused.stdout + &refused.stderr, @r#"
    outcome  refused
    reason   no_matching_rule
    error: the table refuses this request, whoever asks
    "#);
    assert_eq!(test(&["GET", "http://npu.example/health", "--exit-code"]).code, Some(0));
}

#[test]
fn a_table_that_can_not_be_used_is_told_with_its_places_before_a_server_is_asked() {
    let (_folder, path) = file(r#"{"routes": [{"path": "npu"}, {"path": "/a", "public": 1}]}"#);
    let ran = local(&["routes", "validate", &path], &path);
    assert_eq!(ran.code, Some(1));
    assert_snapshot!(ran.stderr, @r#"
    error: `FILE` can't be used:
      /routes/0/path: must begin with `/`
      /routes/1/public: must be true or false
      /routes/1: says nothing of who may: give it `permission` or `callers`, or `"public": true`
    "#);
    let (_folder, path) = file(&table().to_string());
    assert_snapshot!(local(&["routes", "validate", &path], &path).stdout, @r#"
    hash   fe42ca3c35b655de
    count  3
    "#);
}

#[test]
fn a_report_is_read_by_people_and_its_verdict_by_scripts() {
    let report = json!({"guard": "npu", "mode": "observe", "percent": 100, "since": "2026-01-30T12:00:00.000Z",
        "total": 103, "allowed": 100, "would_deny": 3, "denied": 0, "unexplained": 1,
        "groups": [
            {"caller": "agent:a1", "route": "POST /npu/*", "reason": "insufficient-permissions", "count": 2,
             "first_seen": "2026-01-31T11:00:00.000Z", "last_seen": "2026-01-31T11:30:00.000Z",
             "suggestion": "give agent a1 the scope `npu:write`", "accepted": false, "resolved": true},
            {"caller": "anonymous@10.0.0.1", "route": "POST /npu/*", "reason": "no-credentials", "count": 1,
             "first_seen": "2026-01-31T11:00:00.000Z", "last_seen": "2026-01-31T11:00:00.000Z",
             "suggestion": "have the caller send its credential", "accepted": false, "resolved": false},
        ],
        "unauthenticated": [{"address": "10.0.0.1", "count": 1, "last_seen": "2026-01-31T11:00:00.000Z"}],
        "accepted": [], "verdict": "review", "next_step": "for each group make the change that it suggests, or accept it"});
    let double = Double::answering([answer(200, report.clone()), answer(200, report)]);
    let ran = run(&double, &["guards", "report", "npu", "--since", "2026-01-30T12:00:00Z"]);
    assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""));
    assert_snapshot!(ran.stdout, @r#"
    guard        npu
    mode         observe
    percent      100
    since        2026-01-30T12:00:00.000Z
    total        103
    allowed      100
    would_deny   3
    denied       0
    next_step    for each group make the change that it suggests, or accept it
    unexplained  1
    verdict      review

    Denials:
    COUNT  CALLER              ROUTE        REASON                    LAST SEEN                 EXPLAINED     WOULD BE ADMITTED IF YOU
    2      agent:a1            POST /npu/*  insufficient-permissions  2026-01-31T11:30:00.000Z  admitted now  give agent a1 the scope `npu:write`
    1      anonymous@10.0.0.1  POST /npu/*  no-credentials            2026-01-31T11:00:00.000Z  -             have the caller send its credential

    Addresses from which nobody has proved who they are:
    ADDRESS   COUNT  LAST SEEN
    10.0.0.1  1      2026-01-31T11:00:00.000Z
    "#);
    let ran = run(
        &double,
        &["guards", "report", "npu", "--since", "2026-01-30T12:00:00Z", "--exit-code"],
    );
    assert_eq!((ran.code, ran.stderr.as_str()), (Some(1), "error: the verdict is `review`\n"));
    assert_snapshot!(double.lines(), @r#"
    GET /api/v1/guards/npu/report?since=2026-01-30T12%3A00%3A00Z
    GET /api/v1/guards/npu/report?since=2026-01-30T12%3A00%3A00Z
    "#);
}

#[test]
fn what_would_change_is_gathered_from_all_pages_each_decision_once() {
    let change = |id: &str, would: &str| {
        let answered = |effect: &str| json!({"effect": effect, "reason": "r", "policy_package": "p", "policy_version": "v"});
        json!({"id": id, "decided_at": "2026-01-31T11:00:00.000Z", "subject": "user/ada", "action": "read",
            "resource": "document/1", "was": answered("allow"), "now": answered("allow"), "would": answered(would)})
    };
    let page = |changed: Vec<Value>, next: Value| {
        answer(200, json!({"examined": 500, "changed": changed, "next_cursor": next}))
    };
    let folder = tempfile::tempdir().unwrap();
    let policy = folder.path().to_str().unwrap();
    let args = ["policy", "diff", "--against", policy, "--since", "2026-01-30T12:00:00Z"];
    let double = Double::answering([
        page(
            vec![
                change("decision:1", "deny"),
                change("decision:2", "deny"),
                change("decision:1", "deny"),
            ],
            json!("n1"),
        ),
        page(vec![change("decision:1", "deny")], Value::Null),
        page(vec![], Value::Null),
    ]);
    let ran = run(&double, &args);
    assert_eq!((ran.code, ran.stderr.as_str()), (Some(1), "error: some decisions would change\n"));
    assert_snapshot!(ran.stdout, @r#"
    1000 decisions were asked again, 2 would change:

    DECISION    TIMES  SUBJECT   ACTION  RESOURCE    WAS        NOW        WOULD BE
    decision:1  3      user/ada  read    document/1  allow (r)  allow (r)  deny (r)
    decision:2  1      user/ada  read    document/1  allow (r)  allow (r)  deny (r)
    "#);
    let ran = run(&double, &args);
    assert_eq!(
        (ran.code, ran.stdout.as_str()),
        (Some(0), "500 decisions were asked again, and none would change.\n")
    );
    assert_snapshot!(double.lines(), @r#"
    POST /api/v1/policy/diff {"files":{},"since":"2026-01-30T12:00:00Z"}
    POST /api/v1/policy/diff {"cursor":"n1","files":{},"since":"2026-01-30T12:00:00Z"}
    POST /api/v1/policy/diff {"files":{},"since":"2026-01-30T12:00:00Z"}
    "#);
    fs::write(folder.path().join("authz.rego"), "package countersign.authz\nallow if {").unwrap();
    let ran = run(&double, &args);
    assert!(ran.code == Some(1) && ran.stderr.contains("authz.rego"), "{}", ran.stderr);
}

fn against(server: &Server, args: &[&str]) -> Ran {
    let url = format!("http://{}", server.address);
    let mut command = countersign(args);
    ran(command.env("COUNTERSIGN_URL", url).env("COUNTERSIGN_TOKEN", OPERATOR))
}

#[test]
fn a_guard_is_rolled_out_by_the_command_line() {
    let database = Database::create();
    let server = Server::start(&database, &[]);
    let done = |args: &[&str]| {
        let ran = against(&server, args);
        assert_eq!(ran.code, Some(0), "{args:?}: {}", ran.stderr);
        ran.stdout
    };
    let (_folder, path) = file(&table().to_string());
    let refused = against(&server, &["routes", "set", &path]);
    assert!(
        refused.code == Some(1) && refused.stderr.contains("there is no guard `npu`"),
        "{}",
        refused.stderr
    );
    assert!(
        done(&["guards", "set", "npu", "--mode", "observe", "--reason", "first look"])
            .contains("observe")
    );
    assert!(done(&["routes", "set", &path]).contains("uploaded"));
    assert!(done(&["routes", "show"]).contains("What none matches: deny."));
    assert!(done(&["routes", "test", "GET", "/npu/1"]).contains("/routes/1"));
    assert!(done(&["guards", "report", "npu"]).contains("no_traffic"));
    let group = [
        "guards",
        "accept",
        "npu",
        "--caller",
        "anonymous@*",
        "--route",
        "*",
        "--because",
        "no-credentials",
    ];
    assert!(done(&group).contains("anonymous@*"));
    assert_eq!(done(&[&group[..], &["--withdraw"]].concat()), "Nothing is accepted.\n");
    assert!(done(&["guards", "set", "npu", "--mode", "enforce", "--percent", "25"]).contains("25"));
    let list = done(&["guards", "list"]);
    assert!(
        ["npu", "rbac", "service-auth", "ssh-sign"].into_iter().all(|name| list.contains(name)),
        "{list}"
    );
    for wrong in [["--mode", "on"], ["--percent", "101"]] {
        assert_eq!(
            against(&server, &[&["guards", "set", "npu"], &wrong[..]].concat()).code,
            Some(2)
        );
    }
}
