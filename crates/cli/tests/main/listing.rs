//! Listings that come in pages.

use insta::assert_snapshot;
use serde_json::{Value, json};

use crate::double::{Answer, Double, answer};
use crate::run;

fn page(number: u32, limit: u32, total: u32, ids: &[&str]) -> Answer {
    let data: Vec<Value> = ids.iter().map(|id| json!({"id": id})).collect();
    answer(200, json!({"data": data, "page": number, "limit": limit, "total": total}))
}

fn listed(stdout: &str) -> Vec<&str> {
    stdout.lines().skip(1).filter_map(|line| line.split_whitespace().next()).collect()
}

#[test]
fn every_page_is_read_and_nothing_else_is_said() {
    let double = Double::answering([
        page(1, 100, 201, &["t1", "t2"]),
        page(2, 100, 201, &["t3"]),
        page(3, 100, 201, &["t4"]),
    ]);
    let ran = run(&double, &["tenants", "list", "--all"]);
    assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""));
    assert_eq!(listed(&ran.stdout), ["t1", "t2", "t3", "t4"]);
    assert_snapshot!(double.lines(), @r"
    GET /api/v1/tenants?page=1&limit=100
    GET /api/v1/tenants?page=2&limit=100
    GET /api/v1/tenants?page=3&limit=100
    ");
}

#[test]
fn every_page_keeps_the_filter_and_goes_by_the_limit_the_server_kept_to() {
    let double = Double::answering([page(1, 2, 3, &["a", "b"]), page(2, 2, 3, &["c"])]);
    let ran = run(&double, &["agents", "list", "--all", "--limit", "50", "--owner", "me"]);
    assert_eq!(ran.code, Some(0));
    assert_snapshot!(double.lines(), @r"
    GET /api/v1/agents?owner=me&page=1&limit=50
    GET /api/v1/agents?owner=me&page=2&limit=50
    ");
}

#[test]
fn what_moved_over_the_edge_of_a_page_counts_once() {
    let double = Double::answering([page(1, 2, 3, &["t1", "t2"]), page(2, 2, 4, &["t2", "t3"])]);
    let ran = run(&double, &["tenants", "list", "--all", "--output", "json"]);
    let all: Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!(all, json!({"data": [{"id": "t1"}, {"id": "t2"}, {"id": "t3"}], "total": 3}));
}

#[test]
fn an_empty_page_ends_it_whatever_the_total_says() {
    let double = Double::answering([page(1, 1, 9, &["t1"]), page(2, 1, 9, &[])]);
    let ran = run(&double, &["tenants", "list", "--all"]);
    assert_eq!((ran.code, listed(&ran.stdout)), (Some(0), vec!["t1"]));
}

#[test]
fn a_page_that_fails_leaves_no_half_of_a_listing() {
    let body = json!({"code": "RATE_LIMIT_EXCEEDED", "detail": "too many requests"});
    let double =
        Double::answering([page(1, 1, 2, &["t1"]), answer(429, body).with("Retry-After: 1209600")]);
    let ran = run(&double, &["tenants", "list", "--all"]);
    assert_eq!((ran.code, ran.stdout.as_str()), (Some(1), ""));
    assert_snapshot!(ran.stderr, @r"
    error: too many requests
      code: RATE_LIMIT_EXCEEDED
    hint: try again in 14 days, or have an operator with the role infra change the plan: `countersign tenants update TENANT --plan unlimited`
    ");
}

#[test]
fn nothing_to_list_is_said() {
    let double = Double::answering([page(1, 100, 0, &[])]);
    let ran = run(&double, &["tenants", "list", "--all"]);
    assert_snapshot!(ran.stderr, @"no tenants");
}

#[test]
fn one_page_and_every_page_exclude_each_other() {
    let double = Double::answering([]);
    assert_eq!(run(&double, &["agents", "list", "--all", "--page", "2"]).code, Some(2));
}
