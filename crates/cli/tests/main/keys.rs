use insta::assert_snapshot;
use serde_json::json;

use crate::double::{Double, answer};
use crate::run;

#[test]
fn keys_are_listed_with_their_states() {
    let keys = json!({"data": [
        {"kid": "k2", "alg": "RS256", "state": "next", "createdAt": "2026-01-31T12:00:00.000Z"},
        {"kid": "k1", "alg": "RS256", "state": "active", "createdAt": "2026-01-30T12:00:00.000Z",
         "lastUsedAt": "2026-01-31T12:00:00.000Z"},
    ]});
    let double = Double::answering([answer(200, keys)]);
    assert_snapshot!(run(&double, &["keys", "list"]).stdout, @r"
    KEY  ALG    STATE   CREATED                   LAST USED
    k2   RS256  next    2026-01-31T12:00:00.000Z  -
    k1   RS256  active  2026-01-30T12:00:00.000Z  2026-01-31T12:00:00.000Z
    ");
    assert_snapshot!(double.lines(), @"GET /api/v1/keys");
}
