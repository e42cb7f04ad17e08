//! Decisions (contract 3.1 and 3.4): what is asked, what is answered, and what stands in the record.

mod asking;
mod authzen;
mod explained;
mod packages;
mod registry;
mod replay;

use countersign_policy::{Decision, Form, Json, Question};
use insta::assert_json_snapshot;
use serde_json::{Value, json};

use crate::support::{As, TestApp};

const CHECK: &str = "/v1/check";
const REGISTRY: &str = "/api/v1/registry";

/// The text of a file of known answers.
fn vector(name: &str) -> Value {
    let path = format!("{}/../../tests/vectors/{name}", env!("CARGO_MANIFEST_DIR"));
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

/// A server with the known registry.
async fn start() -> TestApp {
    let app = TestApp::start().await;
    app.operator().post(REGISTRY, vector("registry-snapshot.json")).await.expect(200);
    app
}

async fn asked(app: &TestApp, question: &Value) -> Value {
    app.operator().post(CHECK, question.clone()).await.expect(200)
}

#[tokio::test]
async fn every_known_question_has_its_known_answer() {
    let app = start().await;
    let (fixtures, ids) = (vector("ssh-sign-fixtures.json"), vector("decision-ids.json"));
    for case in fixtures["cases"].as_array().unwrap() {
        let answer = asked(&app, &case["request"]).await;
        assert_eq!(answer["effect"], case["effect"], "{}", case["name"]);
        assert_eq!(answer["reason"], case["reason"], "{}", case["name"]);
        assert_eq!(answer["provenance"]["policy_package"], fixtures["package"]);
        assert_eq!(answer["matched_policy_version"], fixtures["version"]);
        let known = ids["cases"].as_array().unwrap().iter().find(|one| one["name"] == case["name"]);
        if let Some(known) = known {
            assert_eq!((&answer["id"], &answer["digest"]), (&known["id"], &known["digest"]));
        }
    }
}

#[tokio::test]
async fn an_answer_says_why_and_by_what() {
    let app = start().await;
    let request = &vector("ssh-sign-fixtures.json")["cases"][0]["request"];
    let answer = app.operator().post(CHECK, request.clone()).await;
    assert_json_snapshot!(answer.expect(200), {".request_id" => "[request]"}, @r#"
    {
      "digest": "sha256:3623accd9000de00d33979aa4cf0c2f33165daee8691af3c6bee420bb5d6a355",
      "effect": "allow",
      "id": "decision:3623accd9000de00",
      "matched_policy_version": "v1",
      "matched_rule": "ops-warden.ssh-certificate.sign/signing_policy_matched",
      "obligations": [],
      "provenance": {
        "decision_time": "2026-01-01T00:00:00.000Z",
        "evaluator": "countersign",
        "mode": "enforce",
        "policy_package": "ops-warden.ssh-certificate.sign",
        "policy_version": "v1",
        "registry_digest": "sha256:41a35027802fa5e7f44cb576a54ca354c19d471c127b19c67c0aaa741864b379"
      },
      "reason": "signing_policy_matched",
      "reasons": [
        "signing_policy_matched"
      ],
      "request_id": "[request]",
      "resource": {
        "id": "ssh-cert:actor/agt-state-hub-bridge",
        "system": "ops-warden",
        "type": "ssh-certificate"
      },
      "subject": {
        "id": "agt-state-hub-bridge",
        "tenant": "tenant:platform",
        "type": "agt"
      }
    }
    "#);
    assert_eq!(answer.json()["request_id"], answer.header("x-request-id"));
}

#[tokio::test]
async fn the_event_holds_the_question_and_anyone_can_recompute_the_id_from_it() {
    let app = start().await;
    let reader = app.agent("asker", &["decisions:ask", "decisions:ask_any"]).await;
    let token = app.token(&reader).await;
    let request = &vector("ssh-sign-fixtures.json")["cases"][7]["request"];
    let answer = app.client(As::Bearer(&token)).post(CHECK, request.clone()).await.expect(200);
    let event = app.events("decision.made").await.remove(0);
    assert_eq!(event["decisionId"], answer["id"]);
    assert_eq!((&event["outcome"], &event["actorId"]), (&json!("denied"), &json!(reader.id)));
    assert_eq!(event["agentId"], reader.id, "the asker, not the subject");
    let meta = &event["metadata"];
    let json = Json::from(&meta["question"]);
    let question = Question::read(&json, Form::Canonical).unwrap();
    let canonical = json!({
        "effect": meta["effect"], "policy_package": meta["policyPackage"],
        "policy_version": meta["policyVersion"], "question": meta["question"],
        "reason": meta["reason"], "registry_digest": meta["registryDigest"],
    });
    assert_eq!(question.canonical(), countersign_policy::canonical(&meta["question"]));
    let id = Decision::id_of(&canonical);
    assert_eq!(
        (id.0.as_str(), id.1.to_string()),
        (answer["id"].as_str().unwrap(), meta["digest"].as_str().unwrap().to_owned())
    );
    let found = app
        .operator()
        .get(&format!("/api/v1/audit?decisionId={}", answer["id"].as_str().unwrap()))
        .await;
    assert_eq!(found.expect(200)["data"][0], event);
}

#[tokio::test]
async fn many_resources_are_answered_in_their_order_each_as_if_alone() {
    let app = start().await;
    let request = vector("ssh-sign-fixtures.json")["cases"][0]["request"].clone();
    let resources: Vec<Value> = (0..40)
        .map(|n| match n % 3 {
            0 => request["resource"].clone(),
            1 => json!({"id": format!("r{n}"), "type": "agents"}),
            _ => json!({"id": format!("r{n}"), "type": "ssh-certificate", "system": "ops-warden"}),
        })
        .collect();
    let mut batch = request.clone();
    batch.as_object_mut().unwrap().remove("resource");
    batch["resources"] = json!(resources);
    let answer = app.operator().post("/v1/batch-check", batch.clone()).await.expect(200);
    let decisions = answer["decisions"].as_array().unwrap();
    assert_eq!(decisions.len(), resources.len());
    for (resource, decision) in resources.iter().zip(decisions) {
        let mut alone = request.clone();
        alone["resource"] = resource.clone();
        assert_eq!(asked(&app, &alone).await["id"], decision["id"]);
    }
    let events = app.events("decision.made").await;
    let few = events.len() - 40;
    assert!((1..=3).contains(&few), "what was asked together is a few events: {few}");
    let together: Vec<&Value> =
        events.iter().filter(|event| event["metadata"]["decisions"].is_array()).collect();
    let told = together.iter().flat_map(|event| event["metadata"]["decisions"].as_array().unwrap());
    let mut told: Vec<&str> = told.map(|one| one["decisionId"].as_str().unwrap()).collect();
    let mut given: Vec<&str> = decisions.iter().map(|one| one["id"].as_str().unwrap()).collect();
    told.sort_unstable();
    given.sort_unstable();
    assert_eq!(told, given);
    // From what an event says, anyone can recompute each id.
    for event in &together {
        for one in countersign_server::law::told::decisions(event) {
            let canonical = json!({"effect": one["effect"], "policy_package": one["policyPackage"],
                "policy_version": one["policyVersion"], "question": one["question"],
                "reason": one["reason"], "registry_digest": one["registryDigest"]});
            let (id, digest) = Decision::id_of(&canonical);
            assert_eq!(
                (id.as_str(), digest.to_string()),
                (one["decisionId"].as_str().unwrap(), one["digest"].as_str().unwrap().to_owned())
            );
        }
    }
    // Each is found by its id, and explained.
    let id = decisions[4]["id"].as_str().unwrap();
    let explained = app.operator().get(&format!("/api/v1/decisions/{id}")).await.expect(200);
    assert_eq!(explained["question"]["resource"]["id"], resources[4]["id"]);
    let found = explained["events"].as_array().unwrap();
    assert!(together.iter().any(|event| found.contains(event)));
    let page = app.operator().get("/api/v1/decisions?limit=500").await.expect(200);
    assert_eq!(page["decisions"].as_array().unwrap().len(), 80);

    for (wrong, at) in [
        (json!([]), "/resources"),
        (json!({}), "/resources"),
        (json!(vec![json!({"id": "a", "type": "b"}); 1_001]), "/resources"),
        (json!([{"id": "a", "type": "b"}, {"id": "a"}]), "/resources/1/type"),
        (json!([{"id": "a", "type": "b", "more": 1}]), "/resources/0/more"),
        (json!(["a"]), "/resources/0"),
    ] {
        let mut batch = batch.clone();
        batch["resources"] = wrong;
        let problem = app.operator().post("/v1/batch-check", batch).await;
        assert!(
            problem.problem(400, "VALIDATION_ERROR")["details"][at].is_string(),
            "{}",
            problem.text
        );
    }
}

#[tokio::test]
async fn what_is_too_long_for_the_record_is_refused() {
    let app = start().await;
    let mut request = vector("ssh-sign-fixtures.json")["cases"][0]["request"].clone();
    request["context"]["note"] = "x".repeat(32_000).into();
    asked(&app, &request).await;
    let mut batch = request.clone();
    batch.as_object_mut().unwrap().remove("resource");
    batch["resources"] = json!(vec![request["resource"].clone(); 200]);
    let many = app.operator().post("/v1/batch-check", batch).await;
    many.problem(413, "PAYLOAD_TOO_LARGE");
    request["context"]["note"] = "x".repeat(33_000).into();
    app.operator().post(CHECK, request).await.problem(413, "PAYLOAD_TOO_LARGE");
    assert_eq!(app.events("decision.made").await.len(), 1);
}

#[tokio::test]
async fn a_body_that_is_no_question_is_refused_with_the_place() {
    let app = start().await;
    let send = |kind: &'static str, body: Vec<u8>| {
        let request = app.operator().request(reqwest::Method::POST, CHECK);
        crate::support::Answer::to(request.header("content-type", kind).body(body))
    };
    let good = vector("ssh-sign-fixtures.json")["cases"][0]["request"].to_string();
    let deep = format!("{}{}", "[".repeat(200_000), "]".repeat(200_000));
    let twice = good.replacen("{\"", "{\"action\":\"read\",\"", 1);
    let large = good.replace("\"ttl_hours\":24", "\"ttl_hours\":9007199254740993");
    assert_ne!(large, good);
    for body in
        ["", "null", "[]", "{", "\"x\"", "{}", &deep, &twice, &large, &good[..good.len() - 1]]
    {
        let answer = send("application/json", body.as_bytes().to_vec()).await;
        answer.problem(400, "VALIDATION_ERROR");
    }
    let problem = send("application/json", b"null".to_vec()).await;
    assert_eq!(problem.problem(400, "VALIDATION_ERROR")["detail"], "the body must be an object");
    send("application/json", b"{\"subject\":\"\xff\"}".to_vec())
        .await
        .problem(400, "VALIDATION_ERROR");
    send("text/plain", good.clone().into()).await.problem(415, "UNSUPPORTED_MEDIA_TYPE");
    let nul = good.replace("adm-full", "adm\\u0000");
    send("application/json", nul.into()).await.expect(200);
    assert_eq!(app.operator().get(CHECK).await.status, 405);
    let many = format!(
        "{{\"context\":{{{}}}}}",
        (0..60_000).map(|n| format!("\"k{n}\":1")).collect::<Vec<_>>().join(",")
    );
    send("application/json", many.into()).await.problem(400, "VALIDATION_ERROR");
}

#[tokio::test]
async fn without_a_registry_the_matrix_answers_and_certificates_are_denied() {
    let app = TestApp::start().await;
    let ask = json!({"subject": {"type": "operator", "id": "bootstrap"}, "action": "read",
        "resource": {"type": "agents", "id": "*"}});
    let answer = asked(&app, &ask).await;
    assert_eq!((&answer["effect"], &answer["reason"]), (&json!("allow"), &json!("role:infra")));
    assert_eq!(answer["provenance"]["registry_digest"], Value::Null);
    let certificate = &vector("ssh-sign-fixtures.json")["cases"][0]["request"];
    assert_eq!(asked(&app, certificate).await["reason"], "registry_unavailable");
}
