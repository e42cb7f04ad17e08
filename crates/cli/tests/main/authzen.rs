//! `examples/authzen`, started with the one command that its README gives, against the certification
//! scenario: Basic, Batch, Search, each with properties said and stored, and Discovery.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::database::Database;
use crate::http::{get, post};
use crate::server::{Server, serve};
use crate::{countersign, ran};

fn root(path: &str) -> String {
    format!("{}/../../{path}", env!("CARGO_MANIFEST_DIR"))
}

fn fixture() -> Value {
    let text = std::fs::read_to_string(root("tests/vectors/authzen-fixture.json")).unwrap();
    serde_json::from_str(&text).unwrap()
}

fn start(database: &Database) -> Server {
    let config = root("examples/authzen/countersign.toml");
    Server::spawn(serve(database, &[]).env_remove("ISSUER_URL").args(["--config", &config]))
}

impl Server {
    /// Asks as anybody may, as harnesses do.
    fn authzen(&self, path: &str, body: &Value) -> Value {
        self.ask(&post(&format!("/access/v1/{path}"), body)).expect(200)
    }
}

/// As it is said, and with what the registry knows left unsaid.
fn said_and_stored(request: &Value) -> [Value; 2] {
    let mut unsaid = request.clone();
    for part in ["subject", "resource"] {
        // A search is for anybody of a type: nothing is stored of that.
        if unsaid[part]["id"].is_string() {
            unsaid[part].as_object_mut().unwrap().remove("properties");
        }
    }
    [request.clone(), unsaid]
}

#[test]
fn basic() {
    let database = Database::create();
    let server = start(&database);
    for case in fixture()["decisions"].as_array().unwrap() {
        for request in said_and_stored(&case["request"]) {
            let answer = server.authzen("evaluation", &request);
            assert_eq!(answer["decision"], case["decision"], "{request}: {answer}");
        }
    }
    // What is said wins over what is stored.
    let reopened = json!({"subject": {"type": "user", "id": "alice"}, "action": {"name": "write"},
        "resource": {"type": "record", "id": "record-2", "properties": {"status": "active"}}});
    assert_eq!(server.authzen("evaluation", &reopened)["decision"], true);
    let nobody = json!({"subject": {"type": "user", "id": "mallory"}, "action": {"name": "read"},
        "resource": {"type": "record", "id": "record-1"}});
    let refused = server.authzen("evaluation", &nobody);
    assert_eq!(
        (&refused["decision"], &refused["context"]["reason"]),
        (&json!(false), &json!("no_rule"))
    );
    for broken in
        [json!({}), json!({"subject": {"type": "user"}, "action": {"name": "read"}}), json!([])]
    {
        assert_eq!(server.ask(&post("/access/v1/evaluation", &broken)).status, 400, "{broken}");
    }
}

#[test]
fn batch() {
    let database = Database::create();
    let server = start(&database);
    let fixture = fixture();
    let cases = fixture["decisions"].as_array().unwrap();
    let requests: Vec<&Value> = cases.iter().map(|case| &case["request"]).collect();
    let expected: Vec<&Value> = cases.iter().map(|case| &case["decision"]).collect();
    let answers = |body: Value| -> Vec<Value> {
        let answer = server.authzen("evaluations", &body);
        answer["evaluations"]
            .as_array()
            .unwrap()
            .iter()
            .map(|one| one["decision"].clone())
            .collect()
    };
    let whole = answers(json!({"evaluations": requests}));
    assert_eq!(whole.iter().collect::<Vec<_>>(), expected);
    let until = |semantic: &str, end: bool| {
        let found = answers(
            json!({"evaluations": requests, "options": {"evaluations_semantic": semantic}}),
        );
        let last = expected.iter().position(|one| **one == end).unwrap();
        assert_eq!(found.iter().collect::<Vec<_>>(), expected[..=last], "{semantic}");
    };
    until("deny_on_first_deny", false);
    until("permit_on_first_permit", true);
    // Defaults, and an item that says nothing of its own but what is broken.
    let resources =
        ["record-1", "record-2"].map(|id| json!({"resource": {"type": "record", "id": id}}));
    let merged = json!({"subject": {"type": "user", "id": "alice"}, "action": {"name": "write"},
        "evaluations": [resources[0], resources[1], {"resource": {"type": "record"}}]});
    assert_eq!(answers(merged), [true, false, false]);
}

#[test]
fn search() {
    let database = Database::create();
    let server = start(&database);
    for case in fixture()["searches"].as_array().unwrap() {
        let kind = case["kind"].as_str().unwrap();
        let name = if kind == "action" { "name" } else { "id" };
        let wanted: BTreeSet<&str> =
            case["includes"].as_array().unwrap().iter().map(|one| one.as_str().unwrap()).collect();
        for request in said_and_stored(&case["request"]) {
            let answer = server.authzen(&format!("search/{kind}"), &request);
            let found: BTreeSet<String> = names(&answer, name).collect();
            assert!(wanted.iter().all(|one| found.contains(*one)), "{request}: {answer}");
            // What is found is what an evaluation permits, and nothing else is.
            for (candidate, permitted) in evaluated(&server, kind, &request) {
                assert_eq!(found.contains(&candidate), permitted, "{candidate} {request}");
            }
            let mut paged = BTreeSet::new();
            let mut token = String::new();
            loop {
                let mut page = request.clone();
                page["page"] = json!({"limit": 1, "token": token});
                let answer = server.authzen(&format!("search/{kind}"), &page);
                paged.extend(names(&answer, name));
                answer["page"]["next_token"].as_str().unwrap().clone_into(&mut token);
                if token.is_empty() {
                    break;
                }
            }
            assert_eq!(paged, found);
        }
    }
}

fn names<'a>(answer: &'a Value, name: &'a str) -> impl Iterator<Item = String> + 'a {
    let results = answer["results"].as_array().unwrap();
    results.iter().map(move |one| one[name].as_str().unwrap().to_owned())
}

/// Every candidate that the fixture lists, and whether an evaluation permits it.
fn evaluated(server: &Server, kind: &str, request: &Value) -> Vec<(String, bool)> {
    let entities = fixture()["entities"][format!("{kind}s")].clone();
    let name = if kind == "action" { "name" } else { "id" };
    let listed = entities.as_array().unwrap().iter();
    let permitted = listed.map(|entity| {
        let mut question = request.clone();
        let candidate = entity[name].as_str().unwrap().to_owned();
        question[kind][name] = candidate.clone().into();
        (candidate, server.authzen("evaluation", &question)["decision"] == true)
    });
    permitted.collect()
}

#[test]
fn discovery() {
    let database = Database::create();
    let server = start(&database);
    let told = server.ask(&get("/.well-known/authzen-configuration")).expect(200);
    let issuer = format!("http://{}", server.address);
    assert_eq!(told["policy_decision_point"], issuer);
    for (name, path) in [
        ("access_evaluation_endpoint", "evaluation"),
        ("access_evaluations_endpoint", "evaluations"),
        ("search_subject_endpoint", "search/subject"),
        ("search_resource_endpoint", "search/resource"),
        ("search_action_endpoint", "search/action"),
    ] {
        assert_eq!(told[name], format!("{issuer}/access/v1/{path}"));
        assert_eq!(
            server.ask(&post(&format!("/access/v1/{path}"), &json!({}))).status,
            400,
            "{path}"
        );
    }
}

#[test]
fn offline_the_example_gives_the_same_id() {
    let database = Database::create();
    let server = start(&database);
    let file = database.folder.path().join("question.json");
    for case in fixture()["decisions"].as_array().unwrap() {
        let asked = server.authzen("evaluation", &case["request"]);
        std::fs::write(&file, case["request"].to_string()).unwrap();
        let (registry, policy) =
            (root("examples/authzen/registry.json"), root("examples/authzen/policies"));
        let found = ran(&mut countersign(&[
            "check",
            "--request",
            file.to_str().unwrap(),
            "--offline",
            "--output",
            "json",
            "--registry",
            &registry,
            "--policy",
            &policy,
        ]));
        assert_eq!(found.code, Some(0), "{}", found.stderr);
        let alone: Value = serde_json::from_str(&found.stdout).unwrap();
        assert_eq!(alone["id"], asked["context"]["id"], "{}", case["request"]);
    }
}
