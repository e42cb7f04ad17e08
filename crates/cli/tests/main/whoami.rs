use insta::assert_snapshot;
use serde_json::json;

use crate::double::{Double, answer};
use crate::run;

#[test]
fn one_learns_who_one_is() {
    let operator = json!({"type": "operator", "id": "o1", "tenant": "default", "roles": ["infra"],
        "scopes": [], "displayName": "Ada\u{202e}", "approvalLevel": 5});
    let double = Double::answering([answer(200, operator)]);
    let ran = run(&double, &["whoami"]);
    assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""));
    assert_snapshot!(ran.stdout, @r"
    type           operator
    id             o1
    displayName    Ada\u{202e}
    tenant         default
    roles          infra
    scopes         []
    approvalLevel  5
    ");
    assert_snapshot!(double.lines(), @"GET /api/v1/whoami");
}
