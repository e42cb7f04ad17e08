//! Decisions on the command line: asked of a server, made offline, explained; and the registry.

use std::fs;

use insta::assert_snapshot;
use serde_json::{Value, json};

use crate::database::Database;
use crate::double::{Double, answer};
use crate::http::post;
use crate::server::{OPERATOR, Server};
use crate::{Ran, against, countersign, ran, ran_with_stdin, run};

fn path(name: &str) -> String {
    format!("{}/../../tests/vectors/{name}", env!("CARGO_MANIFEST_DIR"))
}

fn vector(name: &str) -> Value {
    serde_json::from_str(&fs::read_to_string(path(name)).unwrap()).unwrap()
}

/// Decides without a server, over the known registry.
fn offline(question: &Value, more: &[&str]) -> Ran {
    let registry = path("registry-snapshot.json");
    let args =
        ["check", "--request", "-", "--offline", "--registry", &registry, "--output", "json"];
    ran_with_stdin(&mut countersign(&[&args[..], more].concat()), &question.to_string())
}

fn answered(ran: &Ran) -> Value {
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    serde_json::from_str(&ran.stdout).unwrap()
}

/// Without what differs from one asking to the next.
fn lasting(mut answer: Value) -> Value {
    answer["provenance"]["decision_time"].take();
    answer.as_object_mut().unwrap().remove("request_id");
    answer
}

#[test]
fn one_question_has_one_answer_and_id_offline_over_http_and_by_authzen() {
    let database = Database::create();
    let server = Server::start(&database, &[]);
    let as_operator = |args: &[&str], stdin: &Value| {
        let url = format!("http://{}", server.address);
        let mut command = countersign(args);
        command.env("COUNTERSIGN_URL", url).env("COUNTERSIGN_TOKEN", OPERATOR);
        ran_with_stdin(&mut command, &stdin.to_string())
    };
    let loaded = as_operator(
        &["registry", "load", "-", "--output", "json"],
        &vector("registry-snapshot.json"),
    );
    let digest = vector("decision-ids.json")["registry_digest"].clone();
    assert_eq!(answered(&loaded)["digest"], digest);

    let fixtures = vector("ssh-sign-fixtures.json");
    for case in fixtures["cases"].as_array().unwrap() {
        let alone = answered(&offline(&case["request"], &[]));
        assert_eq!(
            (&alone["effect"], &alone["reason"]),
            (&case["effect"], &case["reason"]),
            "{}",
            case["name"]
        );
        let asked = as_operator(&["check", "--request", "-", "--output", "json"], &case["request"]);
        assert_eq!(lasting(answered(&asked)), lasting(alone.clone()), "{}", case["name"]);
        let mut authzen = case["request"].clone();
        authzen["action"] = json!({"name": case["request"]["action"]});
        let evaluated =
            server.ask(&post("/access/v1/evaluation", &authzen).bearer(OPERATOR)).expect(200);
        assert_eq!(evaluated["context"]["id"], alone["id"]);
        assert_eq!(evaluated["decision"], alone["effect"] == "allow");
    }
}

#[test]
fn a_decision_is_read_by_people_and_its_effect_is_an_exit_code() {
    let cases = vector("ssh-sign-fixtures.json");
    let (allowed, denied) = (&cases["cases"][0]["request"], &cases["cases"][7]["request"]);
    let registry = path("registry-snapshot.json");
    let args = ["check", "--request", "-", "--offline", "--registry", &registry, "--exit-code"];
    let ran = ran_with_stdin(&mut countersign(&args), &allowed.to_string());
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    let shown: String = ran
        .stdout
        .lines()
        .filter(|line| !line.contains("decision_time"))
        .fold(String::new(), |all, line| all + line + "\n");
    assert_snapshot!(shown, @r"
    effect                      allow
    reason                      signing_policy_matched
    id                          decision:3623accd9000de00
    subject.type                agt
    subject.id                  agt-state-hub-bridge
    resource.type               ssh-certificate
    resource.id                 ssh-cert:actor/agt-state-hub-bridge
    digest                      sha256:3623accd9000de00d33979aa4cf0c2f33165daee8691af3c6bee420bb5d6a355
    matched_policy_version      v1
    matched_rule                ops-warden.ssh-certificate.sign/signing_policy_matched
    obligations                 []
    provenance.evaluator        countersign
    provenance.mode             enforce
    provenance.policy_package   ops-warden.ssh-certificate.sign
    provenance.policy_version   v1
    provenance.registry_digest  sha256:41a35027802fa5e7f44cb576a54ca354c19d471c127b19c67c0aaa741864b379
    reasons                     signing_policy_matched
    resource.system             ops-warden
    subject.tenant              tenant:platform
    ");
    let ran = ran_with_stdin(&mut countersign(&args), &denied.to_string());
    assert_eq!(ran.code, Some(1));
    assert_snapshot!(ran.stderr, @"error: the answer is `deny`");
    assert!(ran.stdout.contains("wrong_action"), "{}", ran.stdout);
    assert_eq!(offline(denied, &[]).code, Some(0), "without --exit-code");
}

#[test]
fn what_is_no_question_or_can_not_be_read_is_told() {
    for (text, told) in [
        ("", "`-` is no JSON"),
        ("{}", "/subject: is missing"),
        (r#"{"subject":{"id":"a","id":"b"}}"#, "`id` is given more than once"),
        ("[]", "the text: must be an object"),
    ] {
        let ran = ran_with_stdin(&mut countersign(&["check", "--request", "-", "--offline"]), text);
        assert_eq!((ran.code, ran.stdout.as_str()), (Some(1), ""));
        assert!(ran.stderr.contains(told), "{text}: {}", ran.stderr);
    }
    let ran = ran(&mut countersign(&["check", "--request", "no/such/file", "--offline"]));
    assert!(ran.stderr.contains("cannot read `no/such/file`"), "{}", ran.stderr);
    let ran = crate::ran(&mut countersign(&["check", "--request", "-", "--registry", "r.json"]));
    assert_eq!(ran.code, Some(2), "a registry of its own is for --offline");
}

#[test]
fn a_question_is_sent_as_it_stands() {
    let double = Double::answering([answer(200, json!({"effect": "deny", "id": "decision:1"}))]);
    let question = r#"{"subject": {"id": "a"}, "context": {"n": 1.50}}"#;
    let mut command = against(&double, &["check", "--request", "-"]);
    let ran = ran_with_stdin(command.env("COUNTERSIGN_TOKEN", "t0"), question);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    assert_snapshot!(double.lines(), @r#"POST /v1/check {"subject": {"id": "a"}, "context": {"n": 1.50}}"#);
}

#[test]
fn a_snapshot_is_validated_without_a_server_and_every_fault_is_told() {
    let ran = ran(&mut countersign(&["registry", "validate", &path("registry-snapshot.json")]));
    assert_snapshot!(ran.stdout, @r"
    digest                     sha256:41a35027802fa5e7f44cb576a54ca354c19d471c127b19c67c0aaa741864b379
    tenant                     tenant:platform
    counts.groups              3
    counts.relationships       3
    counts.resource_manifests  1
    counts.resources           4
    counts.subjects            4
    counts.systems             1
    counts.teams               0
    ");
    let mut wrong = vector("registry-snapshot.json");
    wrong["relationships"][0]["object"] = "nothing".into();
    wrong["subjects"][1]["id"] = "adm-example".into();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("wrong.json");
    fs::write(&file, wrong.to_string()).unwrap();
    let ran = crate::ran(&mut countersign(&["registry", "validate", file.to_str().unwrap()]));
    assert_eq!((ran.code, ran.stdout.as_str()), (Some(1), ""));
    for told in
        ["/relationships/0/object: is no resource", "/subjects/2/id: is the name of somebody else"]
    {
        assert!(ran.stderr.contains(told), "{}", ran.stderr);
    }
}

#[test]
fn a_decision_is_explained_by_its_rules_and_events() {
    let explained = json!({
        "id": "decision:3623accd9000de00", "digest": "sha256:36", "effect": "deny", "reason": "ttl_out_of_bounds",
        "matched_rule": "p/ttl_out_of_bounds", "policy_package": "p", "policy_version": "v1",
        "registry_digest": "sha256:41", "decided_at": "2026-01-31T12:00:00.000Z",
        "question": {"action": {"name": "sign", "properties": {}}, "context": {"ttl_hours": 999},
            "resource": {"id": "ssh-cert:actor/a", "properties": {}, "system": "s", "type": "ssh-certificate"},
            "subject": {"id": "a", "properties": {}, "tenant": null, "type": "agt"}, "tenant": null},
        "now": {"id": "decision:00", "effect": "allow", "reason": "signing_policy_matched", "policy_package": "p",
            "policy_version": "v1", "same": false,
            "tried": [{"rule": "p/wrong_action", "held": true}, {"rule": "p/wrong_system", "held": true}]},
        "events": [{"timestamp": "2026-01-31T12:00:00.000Z", "action": "decision.made", "outcome": "denied",
            "actorId": "bootstrap", "eventId": "e1"}],
        "more_events": false,
    });
    let double = Double::answering([answer(200, explained)]);
    let ran = run(&double, &["explain", "decision:3623accd9000de00"]);
    assert_snapshot!(ran.stdout, @r#"
    decision  decision:3623accd9000de00
    effect    deny
    reason    ttl_out_of_bounds
    subject   agt/a
    action    sign
    resource  ssh-certificate/ssh-cert:actor/a
    context   {"ttl_hours":999}
    tenant    -
    rule      p/ttl_out_of_bounds
    policy    p v1
    registry  sha256:41

    RULE            HELD
    p/wrong_action  true
    p/wrong_system  true

    The policies are others by now. Under them it would be: allow (signing_policy_matched), decision:00

    TIME                      ACTION         OUTCOME  ACTOR      EVENT
    2026-01-31T12:00:00.000Z  decision.made  denied   bootstrap  e1
    "#);
    assert_snapshot!(double.lines(), @"GET /api/v1/decisions/decision:3623accd9000de00");
}

#[test]
fn an_inventory_becomes_a_snapshot_and_snapshots_are_compared() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| {
        let path = folder.path().join(name);
        fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let actor = |hours: u8| {
        format!(
            "actors: {{agt-a-b: {{type: agt, principals: [p], ttl_hours: {hours}, description: d}}}}"
        )
    };
    let build = |hours: u8| {
        let inventory = file("inventory.yaml", &actor(hours));
        ran(&mut countersign(&["registry", "build", "--inventory", &inventory, "--tenant", "acme"]))
    };
    let (one, other) = (build(8), build(4));
    assert_eq!((one.code, other.code), (Some(0), Some(0)), "{}", one.stderr);
    let (one, other) = (file("one.json", &one.stdout), file("other.json", &other.stdout));
    let valid = ran(&mut countersign(&["registry", "validate", &one, "--output", "json"]));
    assert_eq!(answered(&valid)["tenant"], "acme");
    let same = ran(&mut countersign(&["registry", "diff", &one, &one, "--exit-code"]));
    assert_eq!((same.code, &*same.stdout), (Some(0), "They are the same.\n"));
    let differ = ran(&mut countersign(&["registry", "diff", &one, &other, "--exit-code"]));
    assert_eq!(differ.code, Some(1));
    assert_snapshot!(differ.stdout, @r#"
CHANGE   KIND      ID                      MEMBERS
changed  resource  ssh-cert:actor/agt-a-b  attributes.max_ttl_hours
"#);
    let wrong = build(25);
    assert_eq!(wrong.code, Some(1));
    assert!(
        wrong.stderr.contains("/actors/agt-a-b/max_ttl_hours: must be 1 to 24 for `agt`"),
        "{}",
        wrong.stderr
    );
}
