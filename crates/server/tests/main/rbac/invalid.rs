//! Matrices that are none: refused with where they are wrong, and the old one stays in force.

use insta::assert_json_snapshot;
use reqwest::Method;
use serde_json::{Map, Value, json};

use super::{BUILT_IN, MATRIX, built_in, hash, send, with_role};
use crate::support::{Answer, As, TestApp};

/// Refused, with nothing changed; gives the details.
async fn refused(app: &TestApp, body: impl Into<reqwest::Body>) -> Value {
    let before = hash(app).await;
    let problem = send(app, body).await.problem(400, "VALIDATION_ERROR");
    assert_eq!(hash(app).await, before);
    assert_eq!(app.events("rbac.reloaded").await.len(), 0);
    problem["details"].clone()
}

#[tokio::test]
async fn every_fault_is_named_by_its_json_pointer() {
    let app = TestApp::start().await;
    let mut matrix = built_in();
    matrix["version"] = json!(1);
    matrix["colour"] = json!("red");
    matrix["a/b~c"] = json!(1);
    matrix["roles"].as_array_mut().unwrap().extend([json!("infra"), json!("a b"), json!(7)]);
    matrix["aliases"] = json!({
        "owner": "king", "boss": "owner", "admin": "infra", "x y": "infra", "self": "self",
    });
    matrix["matrix"]["king"] = json!({});
    matrix["matrix"]["dev"] =
        json!({"agents": "read", "tokens": ["read", "read"], "k:v": ["x"], "keys": ["a:b", 1]});
    matrix["path_mappings"] = json!([{"pattern": "x"}, 7]);
    matrix["audit"] = json!({"enabled": 1, "retention_days": 0, "colour": 1});
    assert_json_snapshot!(refused(&app, matrix.to_string()).await, @r#"
    {
      "/aliases/admin": "is the name of a role",
      "/aliases/boss": "must name one of `roles`",
      "/aliases/owner": "must name one of `roles`",
      "/aliases/self": "must name one of `roles`",
      "/aliases/x y": "must be a word of letters, digits, `_`, `-` and `.`, at most 127 characters",
      "/a~1b~0c": "is not a known member",
      "/colour": "is not a known member",
      "/matrix/dev/agents": "must be a list of actions",
      "/matrix/dev/k:v": "must be a word of letters, digits, `_`, `-` and `.`, at most 127 characters",
      "/matrix/dev/keys/0": "must be a word of letters, digits, `_`, `-` and `.`, at most 127 characters",
      "/matrix/dev/keys/1": "must be a word of letters, digits, `_`, `-` and `.`, at most 127 characters",
      "/matrix/dev/tokens": "`read` is given more than once",
      "/matrix/king": "is not one of `roles`",
      "/path_mappings/0/methods": "must be a list of methods, or `[\"*\"]`",
      "/path_mappings/0/pattern": "must be a path such as `/api/v1/things/*`",
      "/path_mappings/0/resource": "must be a word of letters, digits, `_`, `-` and `.`, at most 127 characters",
      "/roles/6": "`infra` is given more than once",
      "/roles/7": "must be a word of letters, digits, `_`, `-` and `.`, at most 127 characters",
      "/roles/8": "must be a word of letters, digits, `_`, `-` and `.`, at most 127 characters",
      "/version": "must be a string of at most 64 characters"
    }
    "#);
}

#[tokio::test]
async fn what_is_no_json_document_is_refused_with_the_place() {
    let app = TestApp::start().await;
    let deep = "[".repeat(1_000_000);
    let twice = BUILT_IN.replacen("\"roles\"", "\"roles\": [], \"roles\"", 1);
    let inner = BUILT_IN.replacen("\"infra\": {", "\"infra\": {}, \"infra\": {", 1);
    let escaped = BUILT_IN.replacen("\"roles\"", "\"r\\u006fles\": [], \"roles\"", 1);
    for (body, told) in [
        (BUILT_IN[..BUILT_IN.len() / 2].to_owned(), "EOF"),
        (BUILT_IN.trim_end()[..BUILT_IN.trim_end().len() - 1].to_owned(), "EOF"),
        (String::new(), "EOF"),
        (deep, "recursion limit"),
        (twice, "`roles` is given more than once"),
        (inner, "`infra` is given more than once"),
        (escaped, "`roles` is given more than once"),
        (format!("{BUILT_IN}{{}}"), "trailing characters"),
        (format!("\u{feff}{BUILT_IN}"), "expected value"),
        (BUILT_IN.replacen("1.0.0", "1.0.0\0", 1), "control character"),
        ("null".into(), "must be an object"),
        ("[]".into(), "must be an object"),
        ("7".into(), "must be an object"),
    ] {
        let details = refused(&app, body).await;
        let what = details[""].as_str().unwrap();
        assert!(what.contains(told), "{told}: {what}");
        assert!(told.starts_with("must") || what.contains("line "), "{what}");
    }
}

#[tokio::test]
async fn what_is_not_utf_8_is_refused() {
    let app = TestApp::start().await;
    let mut bytes = BUILT_IN.as_bytes().to_vec();
    let at = BUILT_IN.find("1.0.0").unwrap();
    bytes[at] = 0xff;
    let problem = send(&app, bytes).await.problem(400, "VALIDATION_ERROR");
    let detail = problem["detail"].as_str().unwrap();
    assert!(detail.contains("the text: is not UTF-8"), "{detail}");
    let wide: Vec<u8> = BUILT_IN.encode_utf16().flat_map(u16::to_le_bytes).collect();
    send(&app, wide).await.problem(400, "VALIDATION_ERROR");
}

#[tokio::test]
async fn an_alias_names_a_role_so_that_none_goes_in_a_circle() {
    let app = TestApp::start().await;
    for aliases in [
        json!({"a": "b", "b": "a"}),
        json!({"a": "a"}),
        json!({"a": "b", "b": "admin"}),
        json!({"a": null}),
        json!({"a": ["admin"]}),
        json!({"": "admin"}),
        json!(["admin"]),
        json!("admin"),
    ] {
        let mut matrix = built_in();
        matrix["aliases"] = aliases;
        let details = refused(&app, matrix.to_string()).await;
        let named: Vec<_> = details.as_object().unwrap().keys().collect();
        assert!(named.iter().all(|at| at.starts_with("/aliases")), "{named:?}");
        assert!(!named.is_empty());
    }
}

#[tokio::test]
async fn thousands_of_faults_make_no_large_answer() {
    let app = TestApp::start().await;
    let long = "x y".repeat(10_000);
    let many: Map<String, Value> =
        (0..10_000).map(|n| (format!("{long}{n}"), json!(1))).take(20).collect();
    let mut matrix = built_in();
    matrix["aliases"] =
        json!((0..20_000).map(|n| (format!("a{n}"), json!("king"))).collect::<Map<_, _>>());
    matrix["matrix"]["dev"] = Value::Object(many);
    let answer = send(&app, matrix.to_string()).await;
    let problem = answer.problem(400, "VALIDATION_ERROR");
    assert!(problem["details"].as_object().unwrap().len() <= 20);
    assert!(answer.text.len() < 20_000, "{}", answer.text.len());
}

#[tokio::test]
async fn roles_are_at_most_10_000() {
    let app = TestApp::start().await;
    app.operator_with("default", &["admin"]).await;
    let names = |count: usize, width: usize| -> Vec<Value> {
        let built_in = built_in()["roles"].as_array().unwrap().clone();
        let more = (built_in.len()..count).map(|n| json!(format!("r{n:0width$}")));
        built_in.iter().cloned().chain(more).collect()
    };
    let mut matrix = built_in();
    matrix["roles"] = json!(names(50_000, 100));
    let text = matrix.to_string();
    assert!(text.len() > 5_000_000);
    let details = refused(&app, text).await;
    assert_eq!(details["/roles"], "must have 1 to 10000 names");
    matrix["roles"] = json!(names(10_000, 5));
    send(&app, matrix.to_string()).await.expect(200);
}

#[tokio::test]
async fn a_matrix_under_which_nobody_could_mend_it_is_refused() {
    let app = TestApp::start().await;
    app.operator_with("default", &["admin"]).await;
    for (resource, permission) in [("operators", "operators:write"), ("rbac", "rbac:reload")] {
        let mut matrix = built_in();
        for role in ["infra", "admin"] {
            matrix["matrix"][role][resource] = json!(["read"]);
        }
        let problem = send(&app, matrix.to_string()).await.problem(400, "VALIDATION_ERROR");
        assert!(problem.to_string().contains(permission), "{problem}");
    }
}

#[tokio::test]
async fn a_matrix_under_which_nobody_who_is_there_could_mend_it_is_refused() {
    let app = TestApp::start().await;
    let (_, token) = app.operator_with("default", &["admin"]).await;
    app.operator()
        .post(
            "/api/v1/operators",
            json!({
                "email": "nobody@people.example", "displayName": "No token", "roles": ["dev"],
            }),
        )
        .await
        .expect(201);
    let reload = json!({"operators": ["write"], "rbac": ["reload"]});
    let mut matrix = with_role("dev", reload);
    for role in ["infra", "admin"] {
        matrix["matrix"][role].as_object_mut().unwrap().remove("rbac");
    }
    let problem = send(&app, matrix.to_string()).await.problem(400, "VALIDATION_ERROR");
    assert!(
        problem["detail"].as_str().unwrap().contains("nobody could use `rbac:reload`"),
        "{problem}"
    );
    assert_eq!(app.events("rbac.reloaded").await.len(), 0);
    app.operator_with("default", &["dev"]).await;
    send(&app, matrix.to_string()).await.expect(200);
    let refused = app.client(As::Bearer(&token)).put(MATRIX, built_in()).await;
    refused.problem(403, "FORBIDDEN");
}

#[tokio::test]
async fn a_body_of_another_type_is_refused() {
    let app = TestApp::start().await;
    for kind in ["text/plain", "application/yaml", "application/json5", ""] {
        let request = app.operator().request(Method::PUT, MATRIX).header("content-type", kind);
        Answer::to(request.body(BUILT_IN)).await.problem(415, "UNSUPPORTED_MEDIA_TYPE");
    }
    let request = app.operator().request(Method::PUT, MATRIX).body(BUILT_IN);
    Answer::to(request).await.problem(415, "UNSUPPORTED_MEDIA_TYPE");
}

#[tokio::test]
async fn one_who_could_mend_it_in_another_tenant_only_does_not_count() {
    let app = TestApp::start().await;
    app.operator_with("default", &["admin"]).await;
    app.tenant("acme", "free").await;
    app.operator_with("acme", &["dev"]).await;
    let mut matrix = with_role("dev", json!({"operators": ["write"], "rbac": ["reload"]}));
    for role in ["infra", "admin"] {
        matrix["matrix"][role].as_object_mut().unwrap().remove("rbac");
    }
    // `rbac:reload` counts in the tenant `default` alone.
    send(&app, matrix.to_string()).await.problem(400, "VALIDATION_ERROR");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_a_matrix_and_the_removal_of_the_one_who_could_mend_it_one_is_refused() {
    for round in 0..12 {
        let app = TestApp::start().await;
        let (_, infra) = app.operator_with("default", &["infra"]).await;
        let mut matrix = with_role("clerk", json!({"agents": ["read"]}));
        let infras = app.client(As::Bearer(&infra));
        infras.put(MATRIX, matrix.clone()).await.expect(200);
        let (id, _) = app.operator_with("default", &["clerk"]).await;
        infras.delete("/api/v1/operators/bootstrap").await.expect(204);
        matrix["matrix"]["clerk"] = json!({"operators": ["write"], "rbac": ["reload"]});
        for role in ["infra", "admin"] {
            let held = matrix["matrix"][role].as_object_mut().unwrap();
            held.remove("operators");
            held.remove("rbac");
        }
        let path = format!("/api/v1/operators/{id}");
        let (put, removed) = tokio::join!(infras.put(MATRIX, matrix), infras.delete(&path));
        assert!(!(put.status == 200 && removed.status == 204), "round {round}");
    }
}
