use insta::assert_snapshot;
use serde_json::{Value, json};

use crate::double::{Double, answer, text};
use crate::run;

fn operator() -> Value {
    json!({
        "operatorId": "o1", "tenant": "default", "email": "ada@example.com", "displayName": "Ada",
        "roles": ["admin", "approver"], "approvalLevel": 5,
        "createdAt": "2026-01-31T12:00:00.000Z", "updatedAt": "2026-01-31T12:00:00.000Z",
    })
}

#[test]
fn an_operator_is_created_from_what_was_typed() {
    let double = Double::answering([answer(201, operator())]);
    let command = ["operators", "create", "--email", "ada@example.com", "--display-name", "Ada"];
    let more = ["--role", "admin", "--role", "approver", "--max-approval-level", "3"];
    let ran = run(&double, &[&command[..], &more].concat());
    assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""));
    assert_snapshot!(double.lines(), @r#"POST /api/v1/operators {"email":"ada@example.com","displayName":"Ada","roles":["admin","approver"],"maxApprovalLevel":3}"#);
    assert_snapshot!(ran.stdout, @r"
    operatorId     o1
    email          ada@example.com
    displayName    Ada
    roles          admin, approver
    approvalLevel  5
    tenant         default
    createdAt      2026-01-31T12:00:00.000Z
    updatedAt      2026-01-31T12:00:00.000Z
    ");
}

#[test]
fn operators_are_listed_with_their_level() {
    let page = json!({"data": [operator()], "page": 1, "limit": 20, "total": 1});
    let double = Double::answering([answer(200, page)]);
    let ran = run(&double, &["operators", "list"]);
    assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""));
    assert_snapshot!(ran.stdout, @r"
    OPERATOR  EMAIL            NAME  ROLES            LEVEL
    o1        ada@example.com  Ada   admin, approver  5
    ");
    assert_snapshot!(double.lines(), @"GET /api/v1/operators");
}

#[test]
fn an_update_sends_only_what_changes_and_null_gives_the_level_back_to_the_roles() {
    let double = Double::answering((0..3).map(|_| answer(200, operator())));
    for change in [
        &["--display-name", "Ada L."][..],
        &["--role", "approver", "--max-approval-level", "2"],
        &["--clear-max-approval-level", "--email", "a@b.example"],
    ] {
        let ran = run(&double, &[&["operators", "update", "o1"], change].concat());
        assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    }
    assert_snapshot!(double.lines(), @r#"
    PATCH /api/v1/operators/o1 {"displayName":"Ada L."}
    PATCH /api/v1/operators/o1 {"maxApprovalLevel":2,"roles":["approver"]}
    PATCH /api/v1/operators/o1 {"email":"a@b.example","maxApprovalLevel":null}
    "#);
}

#[test]
fn a_level_is_one_to_five_and_not_both_given_and_cleared() {
    let double = Double::answering([]);
    for change in [
        &[][..],
        &["--max-approval-level", "0"],
        &["--max-approval-level", "6"],
        &["--max-approval-level", "2", "--clear-max-approval-level"],
    ] {
        let ran = run(&double, &[&["operators", "update", "o1"], change].concat());
        assert_eq!(ran.code, Some(2), "{change:?}");
    }
}

#[test]
fn the_last_administrator_stays() {
    let body =
        json!({"code": "CONFLICT", "detail": "nobody else can administer", "request_id": "r1"});
    let double = Double::answering([text(204, ""), answer(409, body)]);
    assert_snapshot!(run(&double, &["operators", "delete", "o2"]).stdout, @"operator o2 is removed, with every token");
    let ran = run(&double, &["operators", "delete", "o1"]);
    assert_eq!((ran.code, ran.stdout.as_str()), (Some(1), ""));
    assert_snapshot!(ran.stderr, @r"
    error: nobody else can administer
      code: CONFLICT
      request id: r1
    hint: look at its present state, then decide whether to try again
    ");
    assert_snapshot!(double.lines(), @r"
    DELETE /api/v1/operators/o2
    DELETE /api/v1/operators/o1
    ");
}

#[test]
fn a_token_is_shown_with_a_warning() {
    let made = json!({
        "tokenId": "t1", "operatorId": "o1", "name": "laptop", "status": "active",
        "createdAt": "2026-01-31T12:00:00.000Z", "token": "op_live_00",
    });
    let double = Double::answering([answer(201, made.clone()), answer(201, made)]);
    let ran = run(&double, &["operators", "tokens", "create", "o1"]);
    assert_snapshot!(ran.stdout, @r"
    tokenId     t1
    operatorId  o1
    token       op_live_00
    name        laptop
    status      active
    createdAt   2026-01-31T12:00:00.000Z
    ");
    assert_snapshot!(ran.stderr, @"the token is shown only this once: store it now");
    let when = "2027-01-01T00:00:00Z";
    run(&double, &["operators", "tokens", "create", "o1", "--name", "x", "--expires-at", when]);
    assert_snapshot!(double.lines(), @r#"
    POST /api/v1/operators/o1/tokens {}
    POST /api/v1/operators/o1/tokens {"name":"x","expiresAt":"2027-01-01T00:00:00Z"}
    "#);
}

#[test]
fn tokens_are_listed_and_revoked() {
    let listed = json!({"data": [{
        "tokenId": "t1", "operatorId": "o1", "name": "\u{1b}[31mlaptop", "status": "active",
        "createdAt": "2026-01-31T12:00:00.000Z", "lastUsedAt": null,
    }], "page": 1, "limit": 20, "total": 1});
    let double = Double::answering([answer(200, listed), text(204, "")]);
    assert_snapshot!(run(&double, &["operators", "tokens", "list", "o1"]).stdout, @r"
    TOKEN  NAME              STATUS  CREATED                   EXPIRES  REVOKED  LAST USED
    t1     \u{1b}[31mlaptop  active  2026-01-31T12:00:00.000Z  -        -        -
    ");
    let ran = run(&double, &["operators", "tokens", "revoke", "o1", "t1"]);
    assert_snapshot!(ran.stdout, @"token t1 is revoked");
    assert_snapshot!(double.lines(), @r"
    GET /api/v1/operators/o1/tokens
    DELETE /api/v1/operators/o1/tokens/t1
    ");
}

#[test]
fn what_is_not_there_can_be_listed() {
    let double = Double::answering([
        answer(404, json!({"code": "OPERATOR_NOT_FOUND", "detail": "no operator `o9`"})),
        answer(404, json!({"code": "TOKEN_NOT_FOUND", "detail": "no token `t9`"})),
    ]);
    let operator = run(&double, &["operators", "show", "o9"]);
    let token = run(&double, &["operators", "tokens", "revoke", "o1", "t9"]);
    assert_eq!((operator.code, token.code), (Some(1), Some(1)));
    assert_snapshot!(operator.stderr + &token.stderr, @r"
    error: no operator `o9`
      code: OPERATOR_NOT_FOUND
    hint: `countersign operators list` shows the operators there are
    error: no token `t9`
      code: TOKEN_NOT_FOUND
    hint: `countersign operators tokens list OPERATOR` shows the tokens there are
    ");
}
