use insta::assert_snapshot;
use serde_json::json;

use crate::double::{Double, answer};
use crate::{Ran, run};

#[test]
fn keys_are_listed_with_their_states() {
    let keys = json!({"data": [
        {"kid": "k3", "alg": "RS256", "state": "next", "origin": "generated",
         "createdAt": "2026-01-31T12:00:00.000Z"},
        {"kid": "k2", "alg": "RS256", "state": "active", "origin": "imported",
         "createdAt": "2026-01-30T12:00:00.000Z", "activatedAt": "2026-01-30T13:00:00.000Z",
         "lastUsedAt": "2026-01-31T12:00:00.000Z"},
        {"kid": "k1", "alg": "ES256", "state": "retired", "origin": "generated",
         "createdAt": "2026-01-29T12:00:00.000Z", "activatedAt": "2026-01-29T13:00:00.000Z",
         "retiresAt": "2026-01-30T14:00:00.000Z", "revokedAt": "2026-01-30T13:30:00.000Z"},
    ]});
    let double = Double::answering([answer(200, keys)]);
    assert_snapshot!(run(&double, &["keys", "list"]).stdout, @r"
    KEY  STATE    ALG    ORIGIN     CREATED                   ACTIVATED                 RETIRES                   REVOKED                   LAST USED
    k3   next     RS256  generated  2026-01-31T12:00:00.000Z  -                         -                         -                         -
    k2   active   RS256  imported   2026-01-30T12:00:00.000Z  2026-01-30T13:00:00.000Z  -                         -                         2026-01-31T12:00:00.000Z
    k1   retired  ES256  generated  2026-01-29T12:00:00.000Z  2026-01-29T13:00:00.000Z  2026-01-30T14:00:00.000Z  2026-01-30T13:30:00.000Z  -
    ");
    assert_snapshot!(double.lines(), @"GET /api/v1/keys");
}

#[test]
fn a_rotation_tells_which_key_signs_now() {
    let rotated = || {
        answer(
            200,
            json!({"activeKid": "k2", "retiringKid": "k1", "nextKid": "k3",
                "retiresAt": "2026-01-31T13:00:00.000Z"}),
        )
    };
    let double = Double::answering([rotated(), rotated()]);
    let ran = run(&double, &["keys", "rotate"]);
    assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""));
    assert_snapshot!(ran.stdout, @r"
    activeKid    k2
    retiringKid  k1
    retiresAt    2026-01-31T13:00:00.000Z
    nextKid      k3
    ");
    assert_eq!(run(&double, &["keys", "rotate", "--force"]).code, Some(0));
    assert_snapshot!(double.lines(), @r#"
    POST /api/v1/keys/rotate {}
    POST /api/v1/keys/rotate {"force":true}
    "#);
}

#[test]
fn a_rotation_too_early_says_when_and_what_force_would_do() {
    let double = Double::answering([
        answer(409, json!({"code": "CONFLICT", "detail": "the next key is too young"}))
            .with("Retry-After: 240"),
        answer(409, json!({"code": "CONFLICT", "detail": "there is no next key"})),
    ]);
    let ran = run(&double, &["keys", "rotate"]);
    assert_eq!((ran.code, ran.stdout.as_str()), (Some(1), ""));
    assert_snapshot!(ran.stderr, @r"
    error: the next key is too young
      code: CONFLICT
    hint: try again in 4 minutes; --force rotates now, and then verifiers with a cached key set refuse new tokens for a while
    ");
    assert!(!run(&double, &["keys", "rotate"]).stderr.contains("--force"));
}

fn revoke(more: &[&str]) -> (Double, Ran) {
    let revoked = json!({"kid": "k1", "revokedAt": "2026-01-31T12:00:00.000Z", "activeKid": "k2",
        "offlineUntil": "2026-01-31T12:05:00.000Z"});
    let double = Double::answering([answer(200, revoked)]);
    let command = ["keys", "revoke", "k1", "--reason", "a backup was stolen"];
    let ran = run(&double, &[&command[..], more].concat());
    (double, ran)
}

#[test]
fn a_revoked_key_leaves_a_timeline() {
    let (double, ran) = revoke(&["--yes"]);
    assert_eq!(ran.code, Some(0));
    assert_snapshot!(double.lines(), @r#"POST /api/v1/keys/k1/revoke {"reason":"a backup was stolen"}"#);
    assert_snapshot!(ran.stdout, @r"
    key                      k1
    revoked at               2026-01-31T12:00:00.000Z
    signs now                k2
    offline verifiers until  2026-01-31T12:05:00.000Z
    ");
    assert_snapshot!(ran.stderr, @"until then a verifier that works offline from a cached key set may take its tokens");
}

#[test]
fn a_key_whose_name_begins_with_a_hyphen_can_be_revoked() {
    for kid in ["-vxxdIPOn8s", "--xxdIPOn8s", "-y1"] {
        let double = Double::answering([answer(200, json!({ "kid": kid }))]);
        let ran = run(&double, &["keys", "revoke", kid, "--reason", "a drill", "-y"]);
        assert_eq!(ran.code, Some(0), "{}", ran.stderr);
        let wanted = format!(r#"POST /api/v1/keys/{kid}/revoke {{"reason":"a drill"}}"#);
        assert_eq!(double.lines(), wanted);
    }
}

#[test]
fn no_key_is_revoked_when_nobody_can_confirm_it() {
    let (double, ran) = revoke(&[]);
    assert_eq!((ran.code, ran.stdout.as_str()), (Some(1), ""));
    assert_snapshot!(ran.stderr, @"error: nobody is there to confirm this: pass --yes to go on without");
    assert!(double.heard().is_empty());
}

#[test]
fn resealing_counts_what_was_moved() {
    let double = Double::answering([answer(200, json!({"total": 5, "resealed": 3}))]);
    assert_snapshot!(run(&double, &["keys", "reseal"]).stdout, @r"
    resealed  3
    total     5
    ");
    assert_snapshot!(double.lines(), @"POST /api/v1/keys/reseal {}");
}

#[test]
fn a_key_that_is_not_there_can_be_listed() {
    let body = json!({"code": "KEY_NOT_FOUND", "detail": "no key `k9`"});
    let double = Double::answering([answer(404, body)]);
    let ran = run(&double, &["keys", "revoke", "k9", "--reason", "r", "--yes"]);
    assert_eq!(ran.code, Some(1));
    assert_snapshot!(ran.stderr, @r"
    error: no key `k9`
      code: KEY_NOT_FOUND
    hint: `countersign keys list` shows the keys there are
    ");
}
