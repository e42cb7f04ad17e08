//! A guard from observing to enforcing and back, on two nodes where there can be two.

use serde_json::{Value, json};

use super::{report, set};
use crate::forward::{asks, routes};
use crate::nodes::{two, until};
use crate::support::{As, TestApp};

/// Whether a node lets a request pass.
async fn passes(app: &TestApp, token: &str, request: &str) -> bool {
    asks(app, As::Bearer(token), request).await.status == 200
}

#[tokio::test]
async fn a_guard_is_rolled_out_and_back() {
    match two(&[]).await {
        Some((one, other)) => story(&one, &other).await,
        None => {
            let app = TestApp::start().await;
            story(&app, &app).await;
        }
    }
}

async fn story(one: &TestApp, other: &TestApp) {
    // Observe.
    set(one, "npu", json!({"mode": "observe", "reason": "first look"})).await;
    routes(one, json!([{"path": "/npu/*", "methods": ["POST"], "permission": "memory:write", "guard": "npu"}])).await;
    let writer = one.agent("writer", &["memory:write"]).await;
    let reader = one.agent("reader", &["memory:read"]).await;
    let (_, dev) = one.operator_with("default", &["dev"]).await;
    let (writer_token, reader_token) = (one.token(&writer).await, one.token(&reader).await);
    until("the other node has the table", || async {
        passes(other, &reader_token, "POST /npu/1").await
    })
    .await;

    // Traffic, on both nodes.
    for n in 0..65 {
        assert!(passes([one, other][n % 2], &writer_token, "POST /npu/1").await);
    }
    assert!(passes(one, &dev, "POST /npu/1").await);
    assert_eq!(asks(other, As::Nobody, "POST /npu/1").await.status, 200);
    jobs(other).await;

    // The report wants a review, and says what would admit each.
    let told = report(one, "npu").await;
    assert_eq!(told["verdict"], "review", "{told}");
    assert_eq!(
        (&told["allowed"], &told["would_deny"], &told["denied"]),
        (&json!(65), &json!(3), &json!(0))
    );
    let groups = told["groups"].as_array().unwrap();
    let suggested = |start: &str| {
        let group = groups.iter().find(|one| one["caller"].as_str().unwrap().starts_with(start));
        group.unwrap()["suggestion"].as_str().unwrap().to_owned()
    };
    assert_eq!(suggested("agent:"), format!("give agent {} the scope `memory:write`", reader.id));
    assert!(suggested("operator:").ends_with("the role `machine`"));
    assert!(suggested("anonymous@").starts_with("have the caller send its credential"));

    // Fix one, accept the others.
    let path = format!("/api/v1/agents/{}", reader.id);
    one.operator()
        .patch(&path, json!({"scopes": ["memory:read", "memory:write"]}))
        .await
        .expect(200);
    for caller in ["operator:*", "anonymous@127.0.0.1"] {
        let group = json!({"caller": caller, "route": "POST /npu/*", "reason": "*", "note": "meant to be refused"});
        other.operator().post("/api/v1/guards/npu/accept", group).await.expect(200);
    }
    let told = report(one, "npu").await;
    assert_eq!((&told["verdict"], &told["unexplained"]), (&json!("ready"), &json!(0)), "{told}");
    assert!(told["next_step"].as_str().unwrap().contains("--mode enforce --percent 10"), "{told}");

    // Enforce for a few, then for all, each on the other node within a second.
    set(one, "npu", json!({"mode": "enforce", "percent": 25, "reason": "a few"})).await;
    for app in [one, other] {
        assert!(
            passes(app, &writer_token, "POST /npu/1").await,
            "whoever may passes on either side"
        );
    }
    set(one, "npu", json!({"mode": "enforce", "percent": 100, "reason": "all"})).await;
    assert!(!passes(one, &dev, "POST /npu/1").await);
    until("the other node enforces", || async { !passes(other, &dev, "POST /npu/1").await }).await;
    let fresh = other.token(&reader).await;
    for app in [one, other] {
        assert!(
            passes(app, &writer_token, "POST /npu/1").await
                && passes(app, &fresh, "POST /npu/1").await
        );
        assert_eq!(asks(app, As::Nobody, "POST /npu/1").await.status, 401);
    }
    jobs(other).await;
    let told = report(one, "npu").await;
    assert!(told["verdict"] == "ready" && told["denied"].as_i64().unwrap() >= 4, "{told}");
    assert_eq!(told["next_step"], "nothing: it enforces for everybody");

    // And back.
    set(other, "npu", json!({"mode": "observe", "reason": "back"})).await;
    until("the first node observes again", || async { passes(one, &dev, "POST /npu/1").await })
        .await;
    recorded(one).await;
}

/// Every step stands in the record.
async fn recorded(app: &TestApp) {
    let changed: Vec<Value> = app.events("guard.changed").await;
    let of_npu = changed.iter().filter(|one| one["resource"] == "guards/npu");
    let steps: Vec<_> = of_npu
        .map(|one| {
            let told = &one["metadata"];
            assert!(one["decisionId"].is_string() && one["actorId"] == "bootstrap");
            (
                told["mode"].as_str().unwrap(),
                told["percent"].as_i64().unwrap(),
                told["reason"].as_str().unwrap(),
            )
        })
        .collect();
    assert_eq!(
        steps,
        [
            ("observe", 100, "back"),
            ("enforce", 100, "all"),
            ("enforce", 25, "a few"),
            ("observe", 100, "first look")
        ]
    );
    assert_eq!(app.events("guard.accepted").await.len(), 2);
    assert_eq!(app.events("routes.loaded").await.len(), 1);
    let decided = app.events("decision.made").await;
    for outcome in ["success", "would_deny", "denied"] {
        assert!(decided.iter().any(|one| one["outcome"] == outcome), "{outcome}");
    }
}

/// What a node has counted is written down.
async fn jobs(app: &TestApp) {
    countersign_server::jobs::write_guard_traffic(&app.server.app).await.unwrap();
}
