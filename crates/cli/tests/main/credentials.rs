use insta::assert_snapshot;
use serde_json::json;

use crate::double::{Double, answer, text};
use crate::run;

fn made() -> serde_json::Value {
    json!({
        "credentialId": "c1", "clientId": "a1", "clientSecret": "sk_live_00", "status": "active",
        "createdAt": "2026-01-31T12:00:00.000Z", "expiresAt": null,
    })
}

#[test]
fn a_secret_is_shown_with_a_warning() {
    let double = Double::answering([answer(201, made()), answer(201, made())]);
    let ran = run(&double, &["credentials", "create", "a1"]);
    assert_eq!(ran.code, Some(0));
    assert_snapshot!(ran.stdout, @r"
    credentialId  c1
    clientId      a1
    clientSecret  sk_live_00
    status        active
    createdAt     2026-01-31T12:00:00.000Z
    expiresAt     -
    ");
    assert_snapshot!(ran.stderr, @"the client secret is shown only this once: store it now");

    let when = "2027-01-01T00:00:00Z";
    run(&double, &["credentials", "create", "a1", "--expires-at", when]);
    assert_snapshot!(double.lines(), @r#"
    POST /api/v1/agents/a1/credentials {}
    POST /api/v1/agents/a1/credentials {"expiresAt":"2027-01-01T00:00:00Z"}
    "#);
}

#[test]
fn a_rotation_may_leave_the_old_secret_some_time() {
    let double = Double::answering([answer(200, made()), answer(200, made())]);
    let ran = run(&double, &["credentials", "rotate", "a1", "c1", "--output", "json"]);
    assert!(ran.stdout.contains(r#""clientSecret": "sk_live_00""#), "{}", ran.stdout);
    assert!(ran.stderr.contains("only this once"), "{}", ran.stderr);
    run(&double, &["credentials", "rotate", "a1", "c1", "--grace-seconds", "60"]);
    assert_snapshot!(double.lines(), @r#"
    POST /api/v1/agents/a1/credentials/c1/rotate {}
    POST /api/v1/agents/a1/credentials/c1/rotate {"graceSeconds":60}
    "#);
}

#[test]
fn credentials_are_listed_and_revoked() {
    let listed = json!({"data": [{
        "credentialId": "c1", "clientId": "a1", "status": "active",
        "createdAt": "2026-01-31T12:00:00.000Z", "lastUsedAt": null, "lastUsedFrom": null,
    }], "page": 1, "limit": 20, "total": 1});
    let double = Double::answering([answer(200, listed), text(204, "")]);
    assert_snapshot!(run(&double, &["credentials", "list", "a1"]).stdout, @r"
    CREDENTIAL  STATUS  CREATED                   EXPIRES  LAST USED  FROM
    c1          active  2026-01-31T12:00:00.000Z  -        -          -
    ");
    assert_snapshot!(run(&double, &["credentials", "revoke", "a1", "c1"]).stdout, @"credential c1 is revoked");
    assert_snapshot!(double.lines(), @r"
    GET /api/v1/agents/a1/credentials
    DELETE /api/v1/agents/a1/credentials/c1
    ");
}
