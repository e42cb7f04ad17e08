//! Recorded questions asked again under other packages: exactly the decisions that a full re-evaluation says.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::sync::Arc;

use countersign_policy::{Form, Holder, Json, Matrix, Packages, Policies, Question};
use serde_json::{Value, json};

use crate::support::{As, TestApp};

const DIFF: &str = "/api/v1/policy/diff";

/// A package about documents: whoever has one of these ranks may do one of these things.
fn package(version: &str, allowed: &str, reason: &str) -> String {
    format!(
        "# METADATA\n# custom:\n#   id: example.documents\n#   version: {version}\n#   systems: [docs]\n\
         package example.documents\n\
         default decision := {{\"effect\": \"deny\", \"reason\": \"no_rule\"}}\n\
         decision := {{\"effect\": \"allow\", \"reason\": \"{reason}\"}} if {{ {allowed} }}\n"
    )
}

const BEFORE: &str = "input.context.rank > 2; input.action.name in {\"read\", \"write\"}";
const AFTER: &str = "input.context.rank > 3; input.action.name in {\"read\", \"list\"}; time.clock(time.now_ns())[0] < 2";

fn files(text: &str) -> BTreeMap<String, String> {
    BTreeMap::from([("packages/documents.rego".to_owned(), text.to_owned())])
}

async fn start() -> (TestApp, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("packages")).unwrap();
    fs::write(folder.path().join("packages/documents.rego"), package("v1", BEFORE, "may")).unwrap();
    let app = TestApp::with(&[("POLICY_DIR", folder.path().to_str().unwrap())]).await;
    (app, folder)
}

fn question(subject: &str, action: &str, rank: i64, system: &str) -> Value {
    json!({"subject": {"type": "user", "id": subject}, "action": action, "context": {"rank": rank},
        "resource": {"type": "document", "id": "doc-1", "system": system}})
}

/// All pages of a comparison: the ids that would change, with what they would be, and how many were asked again.
async fn compared(app: &TestApp, text: &str, since: &str) -> (BTreeSet<(String, String)>, u64) {
    let (mut changed, mut examined, mut cursor) = (BTreeSet::new(), 0, Value::Null);
    loop {
        let mut body = json!({"files": files(text), "since": since});
        if !cursor.is_null() {
            body["cursor"] = cursor;
        }
        let page = app.operator().post(DIFF, body).await.expect(200);
        examined += page["examined"].as_u64().unwrap();
        for one in page["changed"].as_array().unwrap() {
            let text = |pointer: &str| one.pointer(pointer).unwrap().as_str().unwrap();
            changed.insert((
                text("/id").to_owned(),
                format!("{} {}", text("/would/effect"), text("/would/reason")),
            ));
        }
        cursor = page["next_cursor"].clone();
        if cursor.is_null() {
            return (changed, examined);
        }
    }
}

#[tokio::test]
async fn what_would_change_is_exactly_what_a_full_evaluation_says() {
    let (app, _folder) = start().await;
    let mut asked = 0;
    for hour in 0..3 {
        for subject in ["ada", "bob"] {
            for action in ["read", "write", "list", "drop"] {
                for rank in 0..6 {
                    let system = if rank == 5 && subject == "bob" { "elsewhere" } else { "docs" };
                    app.operator()
                        .post("/v1/check", question(subject, action, rank, system))
                        .await
                        .expect(200);
                    asked += 1;
                }
            }
        }
        app.pass(std::time::Duration::from_secs(3_600 * (hour + 1) / (hour + 1)));
    }
    // About our own doors packages say nothing.
    app.nobody().get("/api/v1/agents").await.problem(401, "UNAUTHORIZED");

    let candidate = package("v2", AFTER, "may_still");
    let policies = Policies {
        matrix: Arc::new(Matrix::built_in()),
        registry: None,
        packages: Some(Arc::new(
            Packages::read(&BTreeMap::from([("documents.rego".to_owned(), candidate.clone())]))
                .unwrap(),
        )),
        routes: None,
        authz: None,
    };
    let mut expected = BTreeSet::new();
    let mut outcomes = BTreeSet::new();
    for event in app.events("decision.made").await {
        let told = &event["metadata"];
        if told["question"]["resource"]["system"] == "countersign" {
            continue;
        }
        let time: countersign_ground::clock::Time =
            event["timestamp"].as_str().unwrap().parse().unwrap();
        let asked = Json::from(&told["question"]);
        let question = Question::read(&asked, Form::Canonical).unwrap();
        let would = policies.decide(&question, Holder::Stranger, time.0);
        let would = (would.effect().as_str(), would.reason().to_string());
        outcomes.insert(would.1.clone());
        if (told["effect"].as_str().unwrap(), told["reason"].as_str().unwrap())
            != (would.0, &would.1)
        {
            expected.insert((
                event["decisionId"].as_str().unwrap().to_owned(),
                format!("{} {}", would.0, would.1),
            ));
        }
    }
    assert!(expected.len() > 5 && outcomes.len() == 3, "{expected:?} {outcomes:?}");
    let (changed, examined) = compared(&app, &candidate, "24h").await;
    assert_eq!((changed, examined), (expected, asked));

    let (changed, _) = compared(&app, &package("v9", BEFORE, "may"), "24h").await;
    assert!(changed.is_empty(), "only the version is another: {changed:?}");
    let (_, examined) = compared(&app, &candidate, "90m").await;
    assert_eq!(examined, asked / 3, "so far back and no further");
    assert_eq!(
        app.operator().get("/api/v1/policy/packages").await.expect(200)["packages"][0]["version"],
        "v1"
    );
}

#[tokio::test]
async fn a_candidate_that_can_not_be_used_is_refused_and_whoever_may_not_is_too() {
    let (app, _folder) = start().await;
    let body = |packages: Value| json!({"files": packages, "since": "1h"});
    let broken = json!({"packages/documents.rego": package("v1", "nothing.there(1)", "x")});
    let problem = app.operator().post(DIFF, body(broken)).await.problem(400, "VALIDATION_ERROR");
    assert!(problem["detail"].as_str().unwrap().contains("documents.rego"), "{problem}");
    for wrong in [json!([]), json!({"a": 1}), json!(null)] {
        app.operator().post(DIFF, body(wrong)).await.problem(400, "VALIDATION_ERROR");
    }
    app.operator().post(DIFF, json!({"files": {}})).await.problem(400, "VALIDATION_ERROR");
    let (_, dev) = app.operator_with("default", &["dev"]).await;
    let client = app.client(As::Bearer(&dev));
    client.post(DIFF, body(json!({}))).await.problem(403, "FORBIDDEN");
    app.nobody().post(DIFF, body(json!({}))).await.problem(401, "UNAUTHORIZED");
}
