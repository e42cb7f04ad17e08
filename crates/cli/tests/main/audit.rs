use insta::assert_snapshot;
use serde_json::{Value, json};

use crate::double::{Answer, Double, answer};
use crate::run;

fn event(id: &str) -> Value {
    json!({
        "eventId": id, "timestamp": "2026-01-31T12:00:00.000Z", "action": "agent.created",
        "outcome": "success", "actorType": "operator", "actorId": "bootstrap",
    })
}

fn page(ids: &[&str], next: Option<&str>) -> Answer {
    let data: Vec<Value> = ids.iter().map(|id| event(id)).collect();
    answer(200, json!({"data": data, "nextCursor": next}))
}

/// The event ids of a tail, in the order they were printed.
fn shown(stdout: &str) -> Vec<&str> {
    stdout.lines().filter_map(|line| line.split_whitespace().nth(3)).collect()
}

#[test]
fn a_search_sends_its_filters() {
    let double = Double::answering([page(&["e1"], None)]);
    let ran = run(
        &double,
        &[
            "audit",
            "search",
            "--agent",
            "a1",
            "--action",
            "agent.created",
            "--outcome",
            "success",
            "--since",
            "2026-01-31T00:00:00+01:00",
            "--until",
            "2026-02-01T00:00:00Z",
            "--request-id",
            "r1",
            "--decision-id",
            "d1",
            "--limit",
            "7",
        ],
    );
    assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""));
    assert_snapshot!(double.lines(), @"GET /api/v1/audit?agentId=a1&action=agent.created&outcome=success&startDate=2026-01-31T00%3A00%3A00%2B01%3A00&endDate=2026-02-01T00%3A00%3A00Z&requestId=r1&decisionId=d1&limit=7");
    assert_snapshot!(ran.stdout, @r"
    TIME                      ACTION         OUTCOME  EVENT  ACTOR
    2026-01-31T12:00:00.000Z  agent.created  success  e1     bootstrap
    ");
}

#[test]
fn a_search_goes_on_behind_a_short_or_empty_page() {
    let double = Double::answering([
        page(&["e4"], Some("c1")),
        page(&[], Some("c2")),
        page(&["e3", "e2"], Some("c3")),
    ]);
    let ran = run(&double, &["audit", "search", "--limit", "3", "--output", "json"]);
    let answer: Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!(
        answer,
        json!({"data": [event("e4"), event("e3"), event("e2")], "nextCursor": "c3"})
    );
    assert_snapshot!(double.lines(), @r"
    GET /api/v1/audit?limit=3
    GET /api/v1/audit?limit=2&cursor=c1
    GET /api/v1/audit?limit=2&cursor=c2
    ");
}

#[test]
fn a_search_ends_where_the_record_ends() {
    let double = Double::answering([page(&["e1"], Some("c1")), page(&[], None)]);
    let ran = run(&double, &["audit", "search", "--limit", "500"]);
    assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""));
    assert_snapshot!(double.lines(), @r"
    GET /api/v1/audit?limit=100
    GET /api/v1/audit?limit=100&cursor=c1
    ");
}

#[test]
fn a_cursor_that_repeats_is_no_endless_loop() {
    let double = Double::answering([page(&[], Some("c1")), page(&[], Some("c1"))]);
    let ran = run(&double, &["audit", "search"]);
    assert_eq!(ran.code, Some(1));
    assert_snapshot!(ran.stderr, @"error: the server gave the same cursor twice");
}

#[test]
fn one_event_is_shown_whole() {
    let double = Double::answering([answer(200, event("e1"))]);
    assert_snapshot!(run(&double, &["audit", "show", "e1"]).stdout, @r"
    eventId    e1
    timestamp  2026-01-31T12:00:00.000Z
    action     agent.created
    outcome    success
    actorType  operator
    actorId    bootstrap
    ");
    assert_snapshot!(double.lines(), @"GET /api/v1/audit/e1");
}

#[test]
fn a_tail_is_the_newest_twenty_oldest_first() {
    let double = Double::answering([page(&["e3", "e2"], Some("c1")), page(&["e1"], None)]);
    let ran = run(&double, &["audit", "tail"]);
    assert_eq!(ran.code, Some(0));
    assert_snapshot!(ran.stdout, @r"
    2026-01-31T12:00:00.000Z  agent.created             success     e1  bootstrap
    2026-01-31T12:00:00.000Z  agent.created             success     e2  bootstrap
    2026-01-31T12:00:00.000Z  agent.created             success     e3  bootstrap
    ");
    assert_snapshot!(double.lines(), @r"
    GET /api/v1/audit?limit=20
    GET /api/v1/audit?limit=18&cursor=c1
    ");
}

#[test]
fn a_followed_tail_shows_each_event_once() {
    let double = Double::answering([
        page(&["e2", "e1"], None),
        page(&["e3", "e2", "e1"], None),
        page(&["e7", "e6"], Some("c1")),
        page(&["e5", "e3", "e2"], Some("c2")),
    ]);
    let ran = run(&double, &["audit", "tail", "--follow"]);
    assert_eq!(shown(&ran.stdout), ["e1", "e2", "e3", "e5", "e6", "e7"]);
    // The double has gone after its last answer.
    assert_eq!(ran.code, Some(1));
    assert!(ran.stderr.contains("is the server running?"), "{}", ran.stderr);
}

#[test]
fn a_tail_in_json_is_a_line_an_event() {
    let double = Double::answering([page(&["e2", "e1"], None)]);
    let ran = run(&double, &["audit", "tail", "--output", "json"]);
    let events: Vec<Value> =
        ran.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(events, [event("e1"), event("e2")]);
}
