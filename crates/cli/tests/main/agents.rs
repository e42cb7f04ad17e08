use insta::assert_snapshot;
use serde_json::{Value, json};

use crate::double::{Double, answer, text};
use crate::run;

const ID: &str = "01985b5e-3c1a-7000-8000-000000000001";

fn agent() -> Value {
    json!({
        "agentId": ID, "email": "cv@agents.example", "agentType": "screener", "version": "1.4.0",
        "capabilities": ["resumes:read"], "owner": "talent", "deploymentEnv": "production",
        "status": "active", "scopes": ["agents:read"], "allowedResources": [],
        "tenant": "default", "createdAt": "2026-01-31T12:00:00.000Z",
        "updatedAt": "2026-01-31T12:00:00.000Z", "lastSeenAt": null,
    })
}

#[test]
fn an_agent_is_created_from_what_was_typed() {
    let double = Double::answering([answer(201, agent())]);
    let ran = run(
        &double,
        &[
            "agents",
            "create",
            "--email",
            "cv@agents.example",
            "--type",
            "screener",
            "--version",
            "1.4.0",
            "--capability",
            "resumes:read",
            "--capability",
            "resumes:rank",
            "--owner",
            "talent",
            "--env",
            "production",
            "--scope",
            "resumes:read",
            "--resource",
            "https://api.example",
        ],
    );
    assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""));
    assert_snapshot!(double.lines(), @r#"POST /api/v1/agents {"email":"cv@agents.example","agentType":"screener","version":"1.4.0","capabilities":["resumes:read","resumes:rank"],"owner":"talent","deploymentEnv":"production","scopes":["resumes:read"],"allowedResources":["https://api.example"]}"#);
    assert_eq!(double.heard()[0].header("authorization"), Some("Bearer t0"));
    assert_snapshot!(ran.stdout, @r"
    agentId           01985b5e-3c1a-7000-8000-000000000001
    email             cv@agents.example
    status            active
    agentType         screener
    version           1.4.0
    owner             talent
    deploymentEnv     production
    capabilities      resumes:read
    scopes            agents:read
    allowedResources  []
    tenant            default
    createdAt         2026-01-31T12:00:00.000Z
    updatedAt         2026-01-31T12:00:00.000Z
    lastSeenAt        -
    ");
}

#[test]
fn what_was_not_typed_is_not_sent() {
    let double = Double::answering([answer(201, agent())]);
    run(
        &double,
        &[
            "agents",
            "create",
            "--email",
            "a@b.example",
            "--type",
            "custom",
            "--version",
            "1.0.0",
            "--capability",
            "a:b",
            "--owner",
            "me",
            "--env",
            "staging",
        ],
    );
    assert_snapshot!(double.lines(), @r#"POST /api/v1/agents {"email":"a@b.example","agentType":"custom","version":"1.0.0","capabilities":["a:b"],"owner":"me","deploymentEnv":"staging"}"#);
}

#[test]
fn a_listing_asks_for_what_was_filtered_and_tells_where_it_is() {
    let page = json!({"data": [agent()], "page": 1, "limit": 1, "total": 2});
    let double = Double::answering([answer(200, page)]);
    let ran = run(
        &double,
        &[
            "agents",
            "list",
            "--owner",
            "a & b",
            "--type",
            "screener",
            "--env",
            "production",
            "--status",
            "active",
            "--page",
            "1",
            "--limit",
            "1",
        ],
    );
    assert_eq!(ran.code, Some(0));
    assert_snapshot!(double.lines(), @"GET /api/v1/agents?owner=a+%26+b&agentType=screener&deploymentEnv=production&status=active&page=1&limit=1");
    assert_snapshot!(ran.stdout, @r"
    AGENT                                 EMAIL              TYPE      OWNER   ENV         STATUS
    01985b5e-3c1a-7000-8000-000000000001  cv@agents.example  screener  talent  production  active
    ");
    assert_snapshot!(ran.stderr, @"page 1 of 2, 2 agents; next: --page 2");
}

#[test]
fn json_is_the_answer_and_nothing_else() {
    let page = json!({"data": [agent()], "page": 1, "limit": 1, "total": 2});
    let double = Double::answering([answer(200, page.clone())]);
    let ran = run(&double, &["--output", "json", "agents", "list"]);
    assert_eq!(serde_json::from_str::<Value>(&ran.stdout).unwrap(), page);
    assert!(ran.stdout.starts_with("{\n  \""), "{}", ran.stdout);
    assert_eq!(ran.stderr, "");
    assert_snapshot!(double.lines(), @"GET /api/v1/agents");
}

#[test]
fn an_update_sends_only_what_changes() {
    let double = Double::answering([answer(200, agent())]);
    let ran = run(&double, &["agents", "update", ID, "--version", "1.5.0", "--scope", "a:b"]);
    assert_eq!(ran.code, Some(0));
    assert_snapshot!(double.lines(), @r#"PATCH /api/v1/agents/01985b5e-3c1a-7000-8000-000000000001 {"version":"1.5.0","scopes":["a:b"]}"#);
}

#[test]
fn an_agent_is_suspended_and_reactivated_by_its_status() {
    let double = Double::answering([answer(200, agent()), answer(200, agent())]);
    assert_eq!(run(&double, &["agents", "suspend", "a1"]).code, Some(0));
    assert_eq!(run(&double, &["agents", "reactivate", "a1"]).code, Some(0));
    assert_snapshot!(double.lines(), @r#"
    PATCH /api/v1/agents/a1 {"status":"suspended"}
    PATCH /api/v1/agents/a1 {"status":"active"}
    "#);
}

#[test]
fn a_decommissioned_agent_is_confirmed() {
    let double = Double::answering([text(204, ""), text(204, "")]);
    assert_eq!(
        run(&double, &["agents", "decommission", "a1"]).stdout,
        "agent a1 is decommissioned\n"
    );
    let ran = run(&double, &["agents", "decommission", "a1", "--output", "json"]);
    assert_eq!((ran.code, ran.stdout.as_str()), (Some(0), ""));
    assert_snapshot!(double.lines(), @r"
    DELETE /api/v1/agents/a1
    DELETE /api/v1/agents/a1
    ");
}

#[test]
fn an_id_cannot_change_the_path() {
    let double = Double::answering([answer(200, agent())]);
    assert_eq!(run(&double, &["agents", "show", "../keys?x=1"]).code, Some(0));
    assert_snapshot!(double.lines(), @"GET /api/v1/agents/..%2Fkeys%3Fx=1");
    assert_eq!(run(&double, &["agents", "decommission", ".."]).code, Some(2));
}

#[test]
fn a_quarantine_prints_the_receipt_of_all_that_was_stopped() {
    let receipt = json!({
        "receiptId": "r1", "eventId": "e1", "agentId": ID, "reason": "reads too much",
        "stoppedAt": "2026-01-31T12:00:00.000Z", "credentials": ["c1", "c2"],
        "tokens": {"notBefore": "2026-01-31T12:00:00.000Z", "live": 3},
        "services": [{"id": "billing", "versions": ["v1", "v2"]}, {"id": "odd"}],
        "sshCertificates": [17], "approvals": [], "webhooks": [],
        "selfContainedUntil": "2026-01-31T13:00:00.000Z",
    });
    let double = Double::answering([answer(200, receipt.clone()), answer(200, receipt.clone())]);
    let command = ["agents", "quarantine", ID, "--reason", "reads too much"];
    let ran = run(&double, &command);
    assert_eq!(ran.code, Some(0));
    assert_snapshot!(double.lines(), @r#"POST /api/v1/agents/01985b5e-3c1a-7000-8000-000000000001/quarantine {"reason":"reads too much"}"#);
    assert_snapshot!(ran.stdout, @r#"
    receiptId           r1
    eventId             e1
    agentId             01985b5e-3c1a-7000-8000-000000000001
    reason              reads too much
    stoppedAt           2026-01-31T12:00:00.000Z
    tokens.notBefore    2026-01-31T12:00:00.000Z
    tokens.live         3
    credentials         c1, c2
    services            billing (v1 v2), {"id":"odd"}
    sshCertificates     17
    approvals           []
    webhooks            []
    selfContainedUntil  2026-01-31T13:00:00.000Z
    "#);
    assert_snapshot!(ran.stderr, @"a verifier that works offline may take its tokens until 2026-01-31T13:00:00.000Z");

    let ran = run(&double, &[&command[..], &["--output", "json"]].concat());
    assert_eq!(serde_json::from_str::<Value>(&ran.stdout).unwrap(), receipt);
}

#[test]
fn a_receipt_of_another_shape_is_shown_as_it_is() {
    let double = Double::answering([answer(200, json!(["unheard of"])), answer(200, json!(null))]);
    let command = ["agents", "quarantine", "a1", "--reason", "r"];
    assert_snapshot!(run(&double, &command).stdout, @"  unheard of");
    assert_eq!(run(&double, &command).code, Some(0));
}

#[test]
fn a_quarantine_without_a_reason_is_wrong_usage() {
    let double = Double::answering([]);
    assert_eq!(run(&double, &["agents", "quarantine", "a1"]).code, Some(2));
}

#[test]
fn a_reinstated_agent_is_shown() {
    let double = Double::answering([answer(200, agent())]);
    let ran = run(&double, &["agents", "reinstate", "a1"]);
    assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""));
    assert!(ran.stdout.contains("status            active"), "{}", ran.stdout);
    assert_snapshot!(double.lines(), @"POST /api/v1/agents/a1/reinstate {}");
}
