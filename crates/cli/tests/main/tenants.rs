use insta::assert_snapshot;
use serde_json::{Value, json};

use crate::double::{Double, answer};
use crate::run;

fn tenant() -> Value {
    json!({
        "id": "acme", "displayName": "Acme Ltd", "plan": "free",
        "createdAt": "2026-01-31T12:00:00.000Z", "updatedAt": "2026-01-31T12:00:00.000Z",
    })
}

#[test]
fn a_tenant_is_created_shown_and_changed() {
    let double = Double::answering((0..4).map(|_| answer(200, tenant())));
    let create = ["tenants", "create", "acme", "--display-name", "Acme Ltd"];
    let ran = run(&double, &create);
    assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""));
    assert_snapshot!(ran.stdout, @r"
    id           acme
    displayName  Acme Ltd
    plan         free
    createdAt    2026-01-31T12:00:00.000Z
    updatedAt    2026-01-31T12:00:00.000Z
    ");
    for command in [
        &[&create[..], &["--plan", "free"]].concat()[..],
        &["tenants", "show", "acme"],
        &["tenants", "update", "acme", "--plan", "unlimited"],
    ] {
        assert_eq!(run(&double, command).code, Some(0));
    }
    assert_snapshot!(double.lines(), @r#"
    POST /api/v1/tenants {"id":"acme","displayName":"Acme Ltd"}
    POST /api/v1/tenants {"id":"acme","displayName":"Acme Ltd","plan":"free"}
    GET /api/v1/tenants/acme
    PATCH /api/v1/tenants/acme {"plan":"unlimited"}
    "#);
}

#[test]
fn tenants_are_listed() {
    let page = json!({"data": [tenant()], "page": 1, "limit": 20, "total": 1});
    let double = Double::answering([answer(200, page)]);
    assert_snapshot!(run(&double, &["tenants", "list"]).stdout, @r"
    TENANT  NAME      PLAN  CREATED                   UPDATED
    acme    Acme Ltd  free  2026-01-31T12:00:00.000Z  2026-01-31T12:00:00.000Z
    ");
    assert_snapshot!(double.lines(), @"GET /api/v1/tenants");
}

#[test]
fn a_plan_there_is_not_and_a_change_of_nothing_are_wrong_usage() {
    let double = Double::answering([]);
    for change in [&[][..], &["--plan", "gold"]] {
        assert_eq!(run(&double, &[&["tenants", "update", "acme"], change].concat()).code, Some(2));
    }
}

#[test]
fn a_tenant_that_is_not_there_can_be_listed() {
    let body = json!({"code": "TENANT_NOT_FOUND", "detail": "no tenant `x`"});
    let double = Double::answering([answer(404, body)]);
    let ran = run(&double, &["tenants", "show", "x"]);
    assert_eq!(ran.code, Some(1));
    assert_snapshot!(ran.stderr, @r"
    error: no tenant `x`
      code: TENANT_NOT_FOUND
    hint: `countersign tenants list` shows the tenants there are, to the role infra
    ");
}
