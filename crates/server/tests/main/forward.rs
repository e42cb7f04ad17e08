//! `/v1/forward-auth`: who passes a gateway, by the route table.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use countersign_policy::{Decision, Matrix};
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{Answer, As, MACHINE, TestAgent, TestApp};

/// Asks as a gateway would, about a request with this caller's credentials.
pub async fn asks(app: &TestApp, who: As<'_>, request: &str) -> Answer {
    let (method, target) = request.split_once(' ').unwrap();
    let request = app
        .client(who)
        .request(Method::GET, "/v1/forward-auth")
        .header("x-forwarded-method", method)
        .header("x-forwarded-uri", target)
        .header("x-forwarded-host", "npu.example");
    Answer::to(request).await
}

/// Puts a route table in force.
pub async fn routes(app: &TestApp, routes: Value) -> Value {
    let table = json!({"default": "deny", "routes": routes});
    app.operator().put("/api/v1/routes", table).await.expect(200)
}

/// The headers that tell the service who asks.
fn told(answer: &Answer) -> [String; 3] {
    ["x-caller-type", "x-caller-id", "x-caller-roles"].map(|name| answer.header(name).to_owned())
}

#[tokio::test]
async fn whoever_may_passes_and_the_service_is_told_who_it_is() {
    let app = TestApp::start().await;
    routes(
        &app,
        json!([
            {"path": "/npu/*", "methods": ["POST"], "permission": "npu:write"},
            {"path": "/npu/*", "methods": ["GET"], "callers": ["*"]},
            {"path": "/memory/{id}", "permission": "memory:read"},
            {"path": "/open/*", "public": true},
        ]),
    )
    .await;
    let agent = app.agent("writer", &["npu:write"]).await;
    let token = app.token(&agent).await;
    let asked = asks(&app, As::Bearer(&token), "POST /npu/1?x=%2f").await;
    asked.expect(200);
    assert_eq!(told(&asked), ["agent".to_owned(), agent.id.clone(), String::new()]);
    let id = asked.header("x-decision-id").to_owned();

    let question = json!({"subject": {"type": "agent", "id": agent.id, "tenant": "default"}, "tenant": "default",
        "action": "write", "resource": {"type": "npu", "id": "*", "system": "countersign"}});
    let same = app.operator().post("/v1/check", question).await.expect(200);
    assert_eq!(
        (&same["id"], &same["effect"]),
        (&json!(id), &json!("allow")),
        "one question, one id"
    );
    let events = app.events("decision.made").await;
    let event = events.iter().find(|one| one["actorType"] == "agent").unwrap();
    assert_eq!(
        event["metadata"]["request"],
        json!({"host": "npu.example", "method": "POST", "path": "/npu/1",
        "route": "POST /npu/*"})
    );
    assert_eq!(
        (&event["decisionId"], &event["metadata"]["rule"]),
        (&json!(id), &json!("/routes/0"))
    );

    let asked = asks(&app, As::Bearer(&token), "GET /npu/7").await;
    let question = json!({"subject": {"type": "agent", "id": agent.id, "tenant": "default"}, "tenant": "default",
        "action": "GET", "resource": {"type": "route", "id": "/npu/7", "system": "countersign"},
        "context": {"host": "npu.example"}});
    let same = app.operator().post("/v1/check", question).await.expect(200);
    assert_eq!(
        (&same["id"], &same["reason"]),
        (&json!(asked.header("x-decision-id")), &json!("caller_listed"))
    );

    let (operator, secret) = app.operator_with("default", &["dev", "approver"]).await;
    let asked = asks(&app, As::Bearer(&secret), "GET /memory/42").await;
    asked.expect(200);
    assert_eq!(told(&asked), ["operator".to_owned(), operator, "dev,approver".to_owned()]);
    let asked = asks(&app, As::Machine(MACHINE), "GET /npu").await;
    assert_eq!(told(&asked), ["machine", "machine", "machine"].map(str::to_owned));
    for who in [As::Nobody, As::Bearer("nonsense"), As::Bearer(&token)] {
        let open = asks(&app, who, "DELETE /open/a/b").await;
        open.expect(200);
        assert_eq!(open.header("x-decision-id"), "", "nothing was to be decided");
    }
    assert_eq!(told(&asks(&app, As::Nobody, "GET /open/").await), ["", "", ""].map(str::to_owned));
}

#[tokio::test]
async fn whoever_may_not_is_refused_with_the_reason_and_it_is_recorded() {
    let app = TestApp::start().await;
    routes(
        &app,
        json!([
            {"path": "/npu/*", "methods": ["POST"], "permission": "npu:write"},
            {"path": "/npu/*", "methods": ["GET"], "callers": ["operator"]},
            {"path": "/both", "callers": ["agent"], "permission": "npu:read"},
        ]),
    )
    .await;
    let agent = app.agent("reader", &["npu:read"]).await;
    let token = app.token(&agent).await;
    let (_, operator) = app.operator_with("default", &["dev"]).await;
    let (agent, operator) = (As::Bearer(&token), As::Bearer(&operator));
    for (who, request, status, reason) in [
        (As::Nobody, "POST /npu/1", 401, "no-credentials"),
        (As::Bearer("nonsense"), "POST /npu/1", 401, "invalid-token"),
        (As::Machine("nonsense-nonsense-nonsense-nonsense"), "POST /npu/1", 401, "invalid-token"),
        (agent, "POST /npu/1", 403, "insufficient-permissions"),
        (operator, "POST /npu/1", 403, "insufficient-permissions"),
        (agent, "GET /npu/1", 403, "caller_not_listed"),
        (operator, "GET /npu/1", 200, "caller_listed"),
        (agent, "GET /both", 200, "scope:npu:read"),
        (operator, "GET /both", 403, "caller_not_listed"),
        (agent, "DELETE /npu/1", 403, "method_not_listed"),
        (agent, "GET /elsewhere", 403, "no_matching_rule"),
        (As::Nobody, "GET /elsewhere", 403, "no_matching_rule"),
        (agent, "GET /npu/%2e%2e/both", 403, "ambiguous_path"),
        (operator, "get /npu/1", 403, "ambiguous_method"),
        (operator, "OPTIONS *", 403, "ambiguous_path"),
        (operator, "GET http://npu.example/npu/1", 403, "ambiguous_path"),
    ] {
        let answer = asks(&app, who, request).await;
        let of = |event: &&Value| event["decisionId"] == answer.header("x-decision-id");
        let events = app.events("decision.made").await;
        let event = events.iter().find(of).unwrap_or_else(|| panic!("{request}"));
        let credential = event["metadata"]["request"]["credential"].as_str();
        assert_eq!(credential.or(event["metadata"]["reason"].as_str()), Some(reason), "{request}");
        if status == 200 {
            answer.expect(200);
            continue;
        }
        let code = match (status, reason, who) {
            (401, ..) => "UNAUTHORIZED",
            (_, "insufficient-permissions", As::Bearer(it)) if it == token => "INSUFFICIENT_SCOPE",
            _ => "FORBIDDEN",
        };
        let problem = answer.problem(status, code);
        assert_eq!(problem["reason"], reason, "{request}");
        assert_eq!(event["outcome"], "denied");
        let challenged = !answer.header("www-authenticate").is_empty();
        assert_eq!(challenged, status == 401 || code == "INSUFFICIENT_SCOPE", "{request}");
    }
}

#[tokio::test]
async fn a_header_that_names_another_method_is_refused() {
    let app = TestApp::start().await;
    routes(&app, json!([{"path": "/a", "public": true}, {"path": "/b", "callers": ["*"]}])).await;
    let send = async |target: &str, name: &str, value: &str| {
        let request = app.client(As::Machine(MACHINE)).request(Method::GET, "/v1/forward-auth");
        let request =
            request.header("x-forwarded-method", "POST").header("x-forwarded-uri", target);
        Answer::to(request.header("x-forwarded-host", "h").header(name, value)).await
    };
    for name in
        ["X-HTTP-Method-Override", "X-Method-Override", "X-HTTP-Method", "X_HTTP_Method_Override"]
    {
        for target in ["/a", "/b"] {
            assert_eq!(
                send(target, name, "DELETE").await.problem(403, "FORBIDDEN")["reason"],
                "method_override"
            );
            send(target, name, "").await.problem(403, "FORBIDDEN");
            send(target, name, "post").await.expect(200);
        }
    }
}

#[tokio::test]
async fn a_new_installation_lets_nothing_pass() {
    let app = TestApp::start().await;
    let operator = As::Bearer(crate::support::OPERATOR);
    for request in ["GET /", "POST /api/v1/agents"] {
        asks(&app, operator, request).await.problem(403, "FORBIDDEN");
    }
    let shown = app.operator().get("/api/v1/routes").await.expect(200);
    assert_eq!((&shown["source"], &shown["count"]), (&json!("built-in"), &json!(0)));
}

#[tokio::test]
async fn only_a_trusted_gateway_may_ask_and_says_each_thing_once() {
    let app = TestApp::with(&[("TRUSTED_PROXIES", "10.0.0.0/8")]).await;
    let problem = asks(&app, As::Nobody, "GET /").await.problem(403, "FORBIDDEN");
    assert_eq!(problem["reason"], "untrusted-gateway");
    let app = TestApp::start().await;
    routes(&app, json!([{"path": "/*", "public": true}])).await;
    let names = ["x-forwarded-method", "x-forwarded-uri", "x-forwarded-host"];
    let values = ["GET", "/", "npu.example"];
    for (i, name) in names.into_iter().enumerate() {
        for again in [0, 2] {
            let mut request = app.nobody().request(Method::GET, "/v1/forward-auth");
            for (j, (name, value)) in names.into_iter().zip(values).enumerate() {
                for _ in 0..if i == j { again } else { 1 } {
                    request = request.header(name, value);
                }
            }
            let problem = Answer::to(request).await.problem(403, "FORBIDDEN");
            assert!(problem["detail"].as_str().unwrap().contains(name), "{problem}");
        }
    }
    let request = app.nobody().request(Method::GET, "/v1/forward-auth");
    let request =
        request.header(names[0], "GET").header(names[1], &b"/\xff"[..]).header(names[2], "h");
    Answer::to(request).await.problem(403, "FORBIDDEN");
}

#[tokio::test]
async fn a_stopped_agent_passes_no_more() {
    let app = TestApp::start().await;
    routes(&app, json!([{"path": "/*", "callers": ["agent"]}])).await;
    let agent = app.agent("short", &["npu:write"]).await;
    let token = app.token(&agent).await;
    asks(&app, As::Bearer(&token), "GET /").await.expect(200);
    let path = format!("/api/v1/agents/{}", agent.id);
    app.operator().patch(&path, json!({"status": "suspended"})).await.expect(200);
    let problem = asks(&app, As::Bearer(&token), "GET /").await.problem(401, "UNAUTHORIZED");
    assert_eq!(problem["reason"], "invalid-token");
}

#[tokio::test]
async fn without_events_of_what_is_allowed_the_answers_are_the_same() {
    let (all, none) =
        (TestApp::start().await, TestApp::with(&[("DECISION_LOG_ALLOW_PERCENT", "0")]).await);
    for app in [&all, &none] {
        routes(
            app,
            json!([{"path": "/a/*", "permission": "npu:read"}, {"path": "/b", "callers": ["agent"]},
            {"path": "/c/{id}", "permission": "npu:read"}]),
        )
        .await;
        let agent = app.agent("reader", &["npu:read"]).await;
        let token = app.token(&agent).await;
        let mut ids = Vec::new();
        for request in
            ["GET /a/1", "GET /a/2", "POST /b", "POST /b", "GET /b", "GET /c/1", "GET /c/2"]
        {
            let answer = asks(app, As::Bearer(&token), request).await;
            answer.expect(200);
            ids.push(answer.header("x-decision-id").to_owned());
        }
        assert!(ids.iter().all(|id| id.starts_with("decision:")));
        assert!(ids[0] == ids[1] && ids[2] == ids[3], "{ids:?}");
        assert!(ids[2] != ids[4] && ids[5] != ids[6] && ids[0] != ids[2], "{ids:?}");
        // What was remembered under another table counts no more.
        routes(app, json!([{"path": "/a/*", "permission": "npu:read", "callers": ["operator"]}]))
            .await;
        asks(app, As::Bearer(&token), "GET /a/1").await.problem(403, "FORBIDDEN");
        asks(app, As::Bearer(&token), "POST /b").await.problem(403, "FORBIDDEN");
    }
    assert_eq!(all.events("decision.made").await.len(), 9);
    assert_eq!(none.events("decision.made").await.len(), 2);
}

#[tokio::test]
async fn strangers_who_are_let_through_are_counted_as_what_they_are() {
    let app = TestApp::start().await;
    app.operator().put("/api/v1/guards/npu", json!({"mode": "observe"})).await.expect(200);
    routes(&app, json!([{"path": "/*", "callers": ["*"], "guard": "npu"}])).await;
    for _ in 0..25 {
        asks(&app, As::Nobody, "GET /").await.expect(200);
    }
    let end = countersign_ground::clock::Time::MAX;
    app.server.app.record.append_crowds(end).await.unwrap();
    let events = app.events("decision.made").await;
    assert_eq!(events.len(), 11);
    assert!(events.iter().all(|event| event["outcome"] == "would_deny"));
    assert_eq!(events[0]["metadata"]["count"], 15);
    assert!(app.events("auth.failed").await.is_empty());
}

#[tokio::test]
async fn what_a_route_allows_opens_none_of_our_own_doors() {
    let app = TestApp::with(&[("DECISION_LOG_ALLOW_PERCENT", "0")]).await;
    routes(&app, json!([{"path": "/r/*", "permission": "routes:write"}])).await;
    app.tenant("acme", "unlimited").await;
    let mut body = crate::support::new_agent("foreign");
    body["scopes"] = json!(["routes:write"]);
    let client = app.operator().within("acme");
    let agent = client.post("/api/v1/agents", body).await.expect(201);
    let id = agent["agentId"].as_str().unwrap().to_owned();
    let made = client.post(&format!("/api/v1/agents/{id}/credentials"), json!({})).await;
    let secret = made.expect(201)["clientSecret"].as_str().unwrap().to_owned();
    let token = app.token(&TestAgent { id, credential: String::new(), secret }).await;
    let open = json!({"default": "allow", "routes": []});
    for _ in 0..2 {
        let client = app.client(As::Bearer(&token));
        let refused = client.put("/api/v1/routes", open.clone()).await;
        assert_eq!(refused.status, 403, "{}", refused.text);
        asks(&app, As::Bearer(&token), "GET /r/1").await.expect(200);
    }
}

#[tokio::test]
async fn a_permission_of_two_actions_is_remembered_for_neither_where_one_reaches_further() {
    let app = TestApp::start().await;
    let agent = app.agent("loader", &["rbac:reload"]).await;
    let token = app.token(&agent).await;
    let client = app.client(As::Bearer(&token));
    client.post("/api/v1/policy/reload", json!({})).await.problem(404, "NOT_FOUND");
    assert_eq!(client.put("/api/v1/rbac/matrix", json!({})).await.status, 403);
}

/// Asks about `GET /r` with these headers.
async fn asks_with(app: &TestApp, headers: &[(&str, &str)]) -> Answer {
    let request = app.nobody().request(Method::GET, "/v1/forward-auth");
    let gateways = [("method", "GET"), ("uri", "/r"), ("host", "r.example")];
    let request = gateways.iter().fold(request, |request, (name, value)| {
        request.header(format!("x-forwarded-{name}"), *value)
    });
    let request =
        headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
    Answer::to(request).await
}

#[tokio::test]
async fn a_certificate_that_the_gateway_hands_on_proves_its_agent() {
    let app = TestApp::with(&[("CLIENT_CERT_HEADER", "X-Client-Cert")]).await;
    routes(&app, json!([{"path": "/r", "permission": "npu:read"}])).await;
    let agent = app.agent("reader", &["npu:read"]).await;
    let der = b"as if it were a certificate";
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, der);
    let thumbprint = URL_SAFE_NO_PAD.encode(digest.as_ref());
    let path = format!("/api/v1/agents/{}/credentials", agent.id);
    let bound = json!({"certificateThumbprint": thumbprint});
    app.operator().post(&path, bound).await.expect(201);
    let base64 = STANDARD.encode(der);
    let pem = format!("-----BEGIN CERTIFICATE-----\n{base64}\n-----END CERTIFICATE-----\n");
    let escaped: String = form_urlencoded::byte_serialize(pem.as_bytes()).collect();
    let escaped = escaped.replace('+', "%20");
    let several = format!("{base64},{}", STANDARD.encode(b"its issuer"));
    for text in
        [&*base64, &format!(":{base64}:"), &escaped, &several, &escaped[..escaped.len() - 3]]
    {
        let answer = asks_with(&app, &[("x-client-cert", text)]).await;
        answer.expect(200);
        assert_eq!(told(&answer), ["agent".to_owned(), agent.id.clone(), String::new()], "{text}");
    }
    let unknown = STANDARD.encode(b"another one");
    for text in ["", "::", &unknown] {
        asks_with(&app, &[("x-client-cert", text)]).await.problem(401, "UNAUTHORIZED");
    }
    for text in ["no certificate", "%", "-----BEGIN CERTIFICATE-----", ":", "é"] {
        let answer = asks_with(&app, &[("x-client-cert", text)]).await;
        assert_eq!(answer.problem(403, "FORBIDDEN")["reason"], "untrusted-gateway", "{text}");
    }
    let twice = [("x-client-cert", &*base64), ("x-client-cert", &base64)];
    asks_with(&app, &twice).await.problem(403, "FORBIDDEN");
    let other = app.agent("other", &["npu:read"]).await;
    let bearer = format!("Bearer {}", app.token(&other).await);
    let both = [("x-client-cert", &*base64), ("authorization", &bearer)];
    asks_with(&app, &both).await.problem(401, "UNAUTHORIZED");
    let elsewhere = app.nobody().request(Method::GET, "/api/v1/whoami");
    let answer = Answer::to(elsewhere.header("x-client-cert", &base64)).await;
    assert_eq!(answer.status, 401, "it counts for gateways alone: {}", answer.text);
}

#[tokio::test]
async fn a_certificate_in_a_header_proves_nothing_where_no_gateway_is_said_to_hand_one_on() {
    let app = TestApp::start().await;
    routes(&app, json!([{"path": "/r", "callers": ["*"]}])).await;
    for name in ["x-client-cert", "client-cert", "ssl-client-cert"] {
        asks_with(&app, &[(name, "nonsense")]).await.problem(401, "UNAUTHORIZED");
    }
}

#[tokio::test]
async fn a_decision_is_that_of_one_policy_however_often_they_change() {
    let app = TestApp::start().await;
    routes(&app, json!([{"path": "/a", "permission": "npu:read"}])).await;
    let agent = app.agent("reader", &["npu:read"]).await;
    let token = app.token(&agent).await;
    let law = app.server.app.clone();
    let one = law.law.matrix();
    let mut changed: Value = serde_json::from_str(one.text()).unwrap();
    changed["version"] = json!("another");
    let other = Arc::new(Matrix::parse(&changed.to_string()).unwrap());
    assert_ne!(one.hash(), other.hash());
    let done = Arc::new(AtomicBool::new(false));
    let asked = Arc::clone(&done);
    let changing = std::thread::spawn(move || {
        while !asked.load(Ordering::Relaxed) {
            law.law.set_matrix(Arc::clone(&other));
            law.law.set_matrix(Arc::clone(&one));
        }
    });
    for _ in 0..500 {
        asks(&app, As::Bearer(&token), "GET /a").await.expect(200);
    }
    done.store(true, Ordering::Relaxed);
    changing.join().unwrap();
    for event in app.events("decision.made").await {
        let told = &event["metadata"];
        let canonical = json!({"effect": told["effect"], "policy_package": told["policyPackage"],
            "policy_version": told["policyVersion"], "question": told["question"], "reason": told["reason"],
            "registry_digest": null});
        assert_eq!(Decision::id_of(&canonical).0.as_str(), event["decisionId"], "{event}");
    }
}

#[tokio::test]
async fn half_of_what_is_allowed_is_half() {
    let app = TestApp::with(&[("DECISION_LOG_ALLOW_PERCENT", "50")]).await;
    routes(&app, json!([{"path": "/a", "permission": "npu:read"}])).await;
    let agent = app.agent("reader", &["npu:read"]).await;
    let token = app.token(&agent).await;
    for _ in 0..400 {
        asks(&app, As::Bearer(&token), "GET /a").await.expect(200);
    }
    let told = app.events("decision.made").await.len();
    assert!((140..=260).contains(&told), "{told}");
}

#[tokio::test]
async fn a_guess_at_a_credential_is_recorded_wherever_it_is_made() {
    let app = TestApp::start().await;
    let table = json!([{"path": "/open", "public": true}, {"path": "/shut", "callers": ["*"]}]);
    routes(&app, table).await;
    asks(&app, As::Bearer("op_live_guess"), "GET /open").await.expect(200);
    asks(&app, As::Bearer("op_live_guess"), "GET /shut").await.problem(401, "UNAUTHORIZED");
    asks(&app, As::Bearer("op_live_guess"), "GET /none").await.problem(403, "FORBIDDEN");
    let failed = app.events("auth.failed").await;
    assert_eq!(failed.len(), 3);
    assert!(failed.iter().all(|one| one["metadata"]["reason"] == "invalid-token"));
}

#[tokio::test]
async fn what_is_long_is_refused_and_does_not_fill_the_record() {
    let app = TestApp::start().await;
    routes(&app, json!([{"path": "/x/{id}", "callers": ["*"]}])).await;
    let long = "A".repeat(14_000);
    for (method, target, host) in [
        (&*long, "/x/1", "h"),
        ("GET", &*format!("/x/{long}"), "h"),
        ("GET", "/x/1", &*long),
        ("GET", "/x/%2f?session=secret", "h"),
    ] {
        let request = app.client(As::Machine(MACHINE)).request(Method::GET, "/v1/forward-auth");
        let request = request.header("x-forwarded-method", method);
        let request = request.header("x-forwarded-uri", target).header("x-forwarded-host", host);
        Answer::to(request).await.problem(403, "FORBIDDEN");
    }
    let events = app.events("decision.made").await;
    assert_eq!(events.len(), 4);
    for event in events {
        let text = event.to_string();
        assert!(text.len() < 8_192 && !text.contains("secret"), "{}", text.len());
    }
}
