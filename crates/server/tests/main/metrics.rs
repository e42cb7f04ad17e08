//! Metrics: their names, their labels, their two texts, and where they are served.

use reqwest::Method;

use crate::support::{Answer, As, TestApp, new_agent};

/// The metrics in Prometheus's text.
async fn metrics(app: &TestApp) -> String {
    let answer = app.nobody().get("/metrics").await;
    assert_eq!(answer.status, 200);
    answer.text
}

/// The value of the one sample of this name that has these labels, whatever their order.
fn sample(text: &str, name: &str, labels: &[(&str, &str)]) -> Option<f64> {
    let labels: Vec<_> = labels.iter().map(|(name, value)| format!("{name}=\"{value}\"")).collect();
    let mut found = text.lines().filter_map(|line| {
        let rest = line.strip_prefix(name)?;
        let (given, value) = rest.rsplit_once(' ')?;
        let named = given.is_empty() || given.starts_with('{');
        (named && labels.iter().all(|label| given.contains(label))).then(|| value.parse().unwrap())
    });
    let value = found.next();
    assert_eq!(found.next(), None, "{name} {labels:?} is more than one sample");
    value
}

#[tokio::test]
async fn requests_are_counted_by_the_templates_of_their_routes() {
    let app = TestApp::start().await;
    let agent = app.agent("screener", &[]).await;
    let path = format!("/api/v1/agents/{}", agent.id);
    app.operator().get(&path).await.expect(200);
    app.operator().get(&format!("{path}/credentials")).await.expect(200);
    app.operator().get("/api/v1/agents/not-an-id").await.expect(400);
    app.operator().delete(&format!("{path}/credentials/{}", agent.credential)).await.expect(204);
    app.nobody().get("/made-up").await.expect(404);
    Answer::to(app.nobody().request(Method::from_bytes(b"BREW").unwrap(), &path)).await.expect(405);
    let text = metrics(&app).await;
    for (method, route, status_code) in [
        ("POST", "/api/v1/agents", "201"),
        ("GET", "/api/v1/agents/:id", "200"),
        ("GET", "/api/v1/agents/:id", "400"),
        ("GET", "/api/v1/agents/:id/credentials", "200"),
        ("DELETE", "/api/v1/agents/:id/credentials/:credentialId", "204"),
        ("GET", "none", "404"),
        ("other", "/api/v1/agents/:id", "405"),
    ] {
        let labels = [("method", method), ("route", route), ("status_code", status_code)];
        assert_eq!(sample(&text, "agentidp_http_requests_total", &labels), Some(1.0), "{labels:?}");
        let count = sample(&text, "agentidp_http_request_duration_seconds_count", &labels);
        assert_eq!(count, Some(1.0), "{labels:?}");
    }
    for made_up in [agent.id.as_str(), &agent.credential, "not-an-id", "made-up", "BREW"] {
        assert!(!text.contains(made_up), "{made_up}");
    }
}

#[tokio::test]
async fn durations_have_buckets_from_less_than_5_milliseconds_to_2_5_seconds() {
    let app = TestApp::start().await;
    app.nobody().get("/health").await.expect(200);
    let text = metrics(&app).await;
    for bound in ["0.001", "0.005", "0.01", "0.025", "0.05", "0.1", "0.25", "0.5", "1.0", "2.5"] {
        let labels = [("route", "/health"), ("le", bound)];
        let bucket = sample(&text, "agentidp_http_request_duration_seconds_bucket", &labels);
        assert!(bucket.is_some(), "{bound}");
    }
}

#[tokio::test]
async fn agents_and_tokens_are_counted_and_unknown_scopes_fold_into_other() {
    let app = TestApp::start().await;
    let agent = app.agent("screener", &["agents:read", "made:up", "made:too"]).await;
    app.token(&agent).await;
    app.token_answer(&agent, &[("scope", "made:up")]).await.expect(200);
    let text = metrics(&app).await;
    let issued = |scope| sample(&text, "agentidp_tokens_issued_total", &[("scope", scope)]);
    assert_eq!((issued("agents:read"), issued("other")), (Some(1.0), Some(3.0)));
    assert!(!text.contains("made:"), "{text}");
    let labels = [("deployment_env", "development")];
    assert_eq!(sample(&text, "agentidp_agents_registered_total", &labels), Some(1.0));
}

#[tokio::test]
async fn what_was_refused_is_counted_as_no_registration() {
    let app = TestApp::start().await;
    app.agent("screener", &[]).await;
    app.operator().post("/api/v1/agents", new_agent("screener")).await.expect(409);
    let text = metrics(&app).await;
    let labels = [("deployment_env", "development")];
    assert_eq!(sample(&text, "agentidp_agents_registered_total", &labels), Some(1.0));
}

#[tokio::test]
async fn decisions_are_counted_with_their_reasons_and_timed() {
    let app = TestApp::start().await;
    let agent = app.agent("screener", &["audit:read"]).await;
    let token = app.token(&agent).await;
    app.client(As::Bearer(&token)).get("/api/v1/audit").await.expect(200);
    app.client(As::Bearer(&token)).get("/api/v1/agents").await.expect(403);
    app.nobody().get("/api/v1/agents").await.expect(401);
    let text = metrics(&app).await;
    let decided = |resource, decision| {
        let labels = [("resource", resource), ("action", "read"), ("decision", decision)];
        sample(&text, "rbac_decisions_total", &labels)
    };
    assert_eq!(decided("audit", "allowed"), Some(1.0));
    for reason in ["no-credentials", "insufficient-permissions"] {
        let labels = [("resource", "agents"), ("decision", "denied"), ("reason", reason)];
        assert_eq!(sample(&text, "rbac_decisions_total", &labels), Some(1.0), "{reason}");
    }
    // Two decisions made the agent and its credential, three are those above.
    assert_eq!(sample(&text, "rbac_latency_seconds_count", &[]), Some(5.0));
}

#[tokio::test]
async fn events_and_the_database_are_measured() {
    let app = TestApp::start().await;
    let agent = app.agent("screener", &["agents:read"]).await;
    app.token(&agent).await;
    app.nobody().get("/health").await.expect(200);
    let text = metrics(&app).await;
    let events = sample(&text, "audit_events_total", &[("action", "agent.created")]);
    assert_eq!(events, Some(1.0));
    for operation in ["read", "write", "commit", "append"] {
        let labels = [("operation", operation)];
        let count = sample(&text, "agentidp_db_query_duration_seconds_count", &labels);
        assert!(count.is_some_and(|count| count > 0.0), "{operation}");
    }
    assert_eq!(sample(&text, "dependency_up", &[("dependency", "database")]), Some(1.0));
    assert_eq!(sample(&text, "http_requests_in_flight", &[]), Some(1.0), "this very request");
    assert!(sample(&text, "db_pool_in_use", &[]).is_some());
    assert_eq!(sample(&text, "build_info", &[("version", env!("CARGO_PKG_VERSION"))]), Some(1.0));
    assert!(text.contains("revision=\""));
}

#[tokio::test]
async fn a_lost_database_shows_in_the_metrics() {
    let app = TestApp::start().await;
    app.server.app.db.close().await;
    app.nobody().get("/health").await.expect(503);
    let text = metrics(&app).await;
    assert_eq!(sample(&text, "dependency_up", &[("dependency", "database")]), Some(0.0));
}

/// Each name that a `# TYPE` line declares, with its type.
fn types(text: &str) -> Vec<(&str, &str)> {
    let declared = text.lines().filter_map(|line| line.strip_prefix("# TYPE "));
    declared.map(|line| line.split_once(' ').unwrap()).collect()
}

#[tokio::test]
async fn prometheus_text_is_what_a_scraper_gets_unless_it_asks_for_another() {
    let app = TestApp::start().await;
    app.agent("screener", &[]).await;
    let answer = app.nobody().get("/metrics").await;
    assert_eq!(answer.header("content-type"), "text/plain; version=0.0.4; charset=utf-8");
    let types = types(&answer.text);
    assert!(types.contains(&("agentidp_http_requests_total", "counter")), "{types:?}");
    assert!(types.contains(&("build_info", "gauge")), "{types:?}");
    assert!(!answer.text.contains("# EOF") && !answer.text.contains("# UNIT"));
    for line in answer.text.lines().filter(|line| !line.starts_with('#')) {
        let name = line.split(['{', ' ']).next().unwrap();
        let of = |suffix| name.strip_suffix(suffix).unwrap_or(name);
        let histogram = ["_bucket", "_count", "_sum"].map(of);
        let declared = types.iter().any(|(declared, kind)| match *kind {
            "histogram" => histogram.contains(declared),
            _ => *declared == name,
        });
        assert!(declared, "{line}");
    }
}

#[tokio::test]
async fn openmetrics_text_is_what_a_scraper_gets_that_asks_for_it() {
    let app = TestApp::start().await;
    app.agent("screener", &[]).await;
    let accept = "application/openmetrics-text;version=1.0.0;q=0.5,text/plain;version=0.0.4;q=0.2";
    let request = app.nobody().request(Method::GET, "/metrics").header("accept", accept);
    let answer = Answer::to(request).await;
    let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    assert_eq!(answer.header("content-type"), kind);
    assert!(answer.text.ends_with("# EOF\n"));
    let types = types(&answer.text);
    assert!(types.contains(&("agentidp_http_requests", "counter")), "{types:?}");
    assert!(types.contains(&("build", "info")), "{types:?}");
    assert!(sample(&answer.text, "audit_events_total", &[("action", "agent.created")]).is_some());
}

#[tokio::test]
async fn a_port_of_their_own_takes_the_metrics_away_from_the_api() {
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let app = TestApp::with(&[("METRICS_PORT", &free.to_string())]).await;
    app.nobody().get("/metrics").await.problem(404, "NOT_FOUND");
    let address = app.server.metrics_address.expect("a listener of their own");
    assert_eq!(address.port(), free);
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let there = |path| client.get(format!("http://{address}{path}"));
    let answer = Answer::to(there("/metrics")).await;
    assert_eq!(answer.status, 200);
    assert!(answer.text.contains("build_info"));
    Answer::to(there("/api/v1/agents")).await.problem(404, "NOT_FOUND");
    Answer::to(there("/health")).await.problem(404, "NOT_FOUND");
}
