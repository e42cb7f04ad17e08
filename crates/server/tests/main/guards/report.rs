//! The report: groups, suggestions, what is accepted, the verdict.

use serde_json::{Value, json};

use super::{report, set};
use crate::forward::{asks, routes};
use crate::support::{As, MACHINE, TestApp};

/// What is suggested for each caller, and whether that has been done.
fn suggestions(report: &Value) -> Vec<(String, String, bool)> {
    let text = |group: &Value, name: &str| group[name].as_str().unwrap().to_owned();
    let groups = report["groups"].as_array().unwrap().iter();
    let told =
        groups.map(|one| (text(one, "reason"), text(one, "suggestion"), one["resolved"] == true));
    told.collect()
}

async fn started() -> TestApp {
    let app = TestApp::start().await;
    set(&app, "npu", json!({"mode": "observe"})).await;
    routes(&app, json!([
        {"path": "/memory/*", "methods": ["POST"], "permission": "memory:write", "guard": "npu"},
        {"path": "/only/*", "callers": ["operator"], "guard": "npu"},
        {"path": "/none", "permission": "nothing:known", "guard": "npu"},
    ]))
    .await;
    app
}

#[tokio::test]
async fn each_group_is_told_the_smallest_change_and_leaves_when_it_is_made() {
    let app = started().await;
    let agent = app.agent("reader", &["memory:read"]).await;
    let token = app.token(&agent).await;
    let (operator, secret) = app.operator_with("default", &["dev"]).await;
    for (who, request) in [
        (As::Bearer(&token), "POST /memory/1"),
        (As::Bearer(&secret), "POST /memory/1"),
        (As::Bearer(&token), "GET /only/1"),
        (As::Machine(MACHINE), "GET /none"),
        (As::Bearer(&secret), "GET /none"),
    ] {
        asks(&app, who, request).await.expect(200);
    }
    let of = |told: &Value, caller: &str, route: &str| {
        let mut groups = told["groups"].as_array().unwrap().iter();
        let found = groups.find(|one| one["caller"] == caller && one["route"] == route).unwrap();
        (found["suggestion"].as_str().unwrap().to_owned(), found["resolved"].as_bool().unwrap())
    };
    let told = report(&app, "npu").await;
    assert_eq!((&told["verdict"], &told["unexplained"]), (&json!("not_ready"), &json!(5)));
    let (by_agent, by_operator) = (format!("agent:{}", agent.id), format!("operator:{operator}"));
    assert_eq!(
        of(&told, &by_agent, "POST /memory/*"),
        (format!("give agent {} the scope `memory:write`", agent.id), false)
    );
    assert_eq!(
        of(&told, &by_operator, "POST /memory/*"),
        (format!("give operator {operator} the role `machine`"), false)
    );
    assert_eq!(
        of(&told, &by_agent, "* /only/*"),
        (format!("add `{by_agent}` to the `callers` of /routes/1"), false)
    );
    assert_eq!(
        of(&told, &by_operator, "* /none").0,
        "no role holds `nothing:known`: add it to one in the role matrix"
    );
    assert!(of(&told, "machine:machine", "* /none").0.contains("`machine`"));

    let path = format!("/api/v1/agents/{}", agent.id);
    app.operator()
        .patch(&path, json!({"scopes": ["memory:read", "memory:write"]}))
        .await
        .expect(200);
    let told = report(&app, "npu").await;
    assert!(of(&told, &by_agent, "POST /memory/*").1 && told["unexplained"] == 4);
    // Its old token does not say so yet.
    asks(&app, As::Bearer(&token), "POST /memory/1").await.expect(200);
    let told = report(&app, "npu").await;
    let (suggestion, resolved) = of(&told, &by_agent, "POST /memory/*");
    assert!(suggestion.contains("fetch a new token") && !resolved, "{suggestion}");
    routes(&app, json!([{"path": "/only/*", "callers": ["operator", "agent"], "guard": "npu"}]))
        .await;
    let told = report(&app, "npu").await;
    assert!(of(&told, &by_agent, "* /only/*").1);
}

#[tokio::test]
async fn what_is_accepted_leaves_the_verdict_until_it_is_withdrawn() {
    let app = started().await;
    asks(&app, As::Nobody, "POST /memory/1").await.expect(200);
    asks(&app, As::Bearer("nonsense"), "POST /memory/1").await.expect(200);
    let told = report(&app, "npu").await;
    assert_eq!(told["unauthenticated"][0]["address"], "127.0.0.1");
    assert_eq!(suggestions(&told), [
        ("invalid-token".into(), "have the caller send a credential that is good (`invalid-token`), or make /routes/0 public".into(), false),
        ("no-credentials".into(), "have the caller send its credential, or make /routes/0 public".into(), false),
    ]);
    let accept = "/api/v1/guards/npu/accept";
    let group = |reason: &str| json!({"caller": "anonymous@*", "route": "POST /memory/*", "reason": reason});
    for wrong in [
        json!({}),
        json!({"caller": "a", "route": "b"}),
        json!({"caller": "", "route": "b", "reason": "c"}),
    ] {
        app.operator().post(accept, wrong).await.problem(400, "VALIDATION_ERROR");
    }
    let mut noted = group("no-credentials");
    noted["note"] = json!("browsers");
    let made = app.operator().post(accept, noted).await.expect(200);
    assert_eq!(
        (&made["data"][0]["note"], &made["data"][0]["accepted_by"]),
        (&json!("browsers"), &json!("bootstrap"))
    );
    assert_eq!(report(&app, "npu").await["unexplained"], 1);
    app.operator().post(accept, group("*")).await.expect(200);
    let told = report(&app, "npu").await;
    assert_eq!((&told["verdict"], &told["unexplained"]), (&json!("ready"), &json!(0)));
    assert!(told["groups"].as_array().unwrap().iter().all(|one| one["accepted"] == true));
    for reason in ["*", "no-credentials"] {
        let mut withdrawn = group(reason);
        withdrawn["accepted"] = json!(false);
        app.operator().post(accept, withdrawn).await.expect(200);
    }
    assert_eq!(report(&app, "npu").await["verdict"], "not_ready");
    let mut never = group("never");
    never["accepted"] = json!(false);
    app.operator().post(accept, never).await.problem(404, "NOT_FOUND");
    let events = (app.events("guard.accepted").await, app.events("guard.withdrawn").await);
    assert_eq!((events.0.len(), events.1.len()), (2, 2));
    // Somebody behind the same address proves who they are.
    asks(&app, As::Machine(MACHINE), "POST /memory/1").await.expect(200);
    assert_eq!(report(&app, "npu").await["unauthenticated"], json!([]));
}

#[tokio::test]
async fn a_route_of_another_host_or_guard_explains_nothing() {
    let app = TestApp::start().await;
    set(&app, "npu", json!({"mode": "observe"})).await;
    routes(
        &app,
        json!([
            {"path": "/api/*", "callers": ["*"]},
            {"path": "/api/*", "host": "npu.example", "callers": ["agent"], "guard": "npu"},
        ]),
    )
    .await;
    asks(&app, As::Machine(MACHINE), "GET /api/1").await.expect(200);
    let told = report(&app, "npu").await;
    let group = &told["groups"][0];
    assert_eq!(
        (&group["route"], &group["resolved"]),
        (&json!("* npu.example/api/*"), &json!(false))
    );
    assert_eq!(group["suggestion"], "add `machine:machine` to the `callers` of /routes/1");
    assert_eq!(told["verdict"], "not_ready");
    routes(&app, json!([{"path": "/api/*", "callers": ["*"]}])).await;
    assert_eq!(report(&app, "npu").await["groups"][0]["resolved"], false);
}

#[tokio::test]
async fn methods_that_somebody_makes_up_are_one_group() {
    let app = TestApp::start().await;
    set(&app, "npu", json!({"mode": "observe"})).await;
    routes(&app, json!([{"path": "/*", "callers": ["agent"], "guard": "npu"}])).await;
    for n in 0..30_u8 {
        let method = format!("M{}", char::from(b'A' + n % 26));
        asks(&app, As::Machine(MACHINE), &format!("{method} /")).await.expect(200);
    }
    let told = report(&app, "npu").await;
    assert_eq!(
        (&told["groups"][0]["route"], &told["groups"][0]["count"]),
        (&json!("* /*"), &json!(30))
    );
}

#[tokio::test]
async fn a_report_looks_back_as_far_as_it_is_asked_to() {
    let app = started().await;
    let get =
        async |since: &str| app.operator().get(&format!("/api/v1/guards/npu/report{since}")).await;
    assert_eq!(get("").await.expect(200)["verdict"], "no_traffic");
    asks(&app, As::Nobody, "POST /memory/1").await.expect(200);
    app.pass(std::time::Duration::from_secs(3 * 3600));
    asks(&app, As::Machine(MACHINE), "POST /memory/1").await.expect(200);
    for (since, verdict) in [
        ("", "not_ready"),
        ("?since=1h", "ready"),
        ("?since=2026-01-01T02:00:00Z", "ready"),
        ("?since=7d", "not_ready"),
        ("?since=0s", "ready"),
    ] {
        assert_eq!(get(since).await.expect(200)["verdict"], verdict, "{since}");
    }
    for since in ["?since=", "?since=yesterday", "?since=1x", "?since=1h&since=2h", "?from=1h"] {
        get(since).await.problem(400, "VALIDATION_ERROR");
    }
}

#[tokio::test]
async fn strangers_without_number_fall_together() {
    let app = started().await;
    for n in 0..300 {
        let request = app.nobody().request(reqwest::Method::GET, "/v1/forward-auth");
        let from = format!("10.{}.{}.1", n / 200, n % 200);
        let request = request
            .header("x-forwarded-method", "POST")
            .header("x-forwarded-uri", "/memory/1")
            .header("x-forwarded-host", "h")
            .header("x-forwarded-for", from);
        assert_eq!(crate::support::Answer::to(request).await.status, 200);
    }
    let told = report(&app, "npu").await;
    assert_eq!(told["would_deny"], 300);
    let groups = told["groups"].as_array().unwrap();
    assert!((200..=300).contains(&groups.len()), "{}", groups.len());
}
