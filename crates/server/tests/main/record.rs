//! The record (contract chapter 8): what is found in it, by what, and that it is what was stored.

mod lookup;
mod pages;
mod stored;

use std::sync::Arc;
use std::time::Duration;

use countersign_ground::ids::EventId;
use countersign_ground::record::{Event, Origin, Outcome};
use serde_json::{Value, json};

use crate::support::{Answer, As, TestAgent, TestApp};

pub use stored::streams_are_gapless;

/// What a search must find, newest first: the `eventId`s.
async fn found(app: &TestApp, query: &str) -> Vec<String> {
    let page = app.operator().get(&format!("/api/v1/audit?{query}")).await.expect(200);
    assert_eq!(page["nextCursor"], Value::Null);
    ids(&page)
}

fn ids(page: &Value) -> Vec<String> {
    let events = page["data"].as_array().unwrap();
    events.iter().map(|event| event["eventId"].as_str().unwrap().to_owned()).collect()
}

/// Puts an event into the record; `tell` says what it is about. A millisecond passes.
async fn recorded(app: &TestApp, tell: impl FnOnce(&mut Event)) -> String {
    app.pass(Duration::from_millis(1));
    let mut event = app.server.app.event("test.happened", app.clock.now());
    tell(&mut event);
    let id = event.id.to_string();
    app.server.app.record.append(event).await.unwrap();
    id
}

#[tokio::test]
async fn each_filter_finds_what_it_names_and_nothing_else() {
    let app = TestApp::start().await;
    let agent = app.agent("screener", &["agents:read"]).await;
    let [by_agent, by_outcome, by_decision, by_request] = [
        recorded(&app, |event| event.agent = Some(agent.id.parse().unwrap())).await,
        recorded(&app, |event| event.outcome = Outcome::WouldDeny).await,
        recorded(&app, |event| event.decision = Some("dec-1".into())).await,
        recorded(&app, |event| event.origin.request_id = Some("req-1".into())).await,
    ];
    let all = [&by_request, &by_decision, &by_outcome, &by_agent].map(Clone::clone);
    assert_eq!(found(&app, "action=test.happened").await, all);
    assert_eq!(found(&app, "outcome=would_deny").await, [by_outcome]);
    assert_eq!(found(&app, "decisionId=dec-1").await, [by_decision]);
    assert_eq!(found(&app, "requestId=req-1").await, [by_request]);
    let of_agent = found(&app, &format!("agentId={}", agent.id)).await;
    assert_eq!((of_agent.len(), &of_agent[0]), (3, &by_agent), "with its making");
    for nothing in ["action=test", "outcome=failure", "decisionId=dec-", "requestId=eq-1"] {
        assert_eq!(found(&app, nothing).await, [""; 0], "{nothing}");
    }
}

#[tokio::test]
async fn filters_together_find_what_all_of_them_name() {
    let app = TestApp::start().await;
    let agent = app.agent("screener", &["agents:read"]).await;
    let id = agent.id.parse().unwrap();
    let mut both = Vec::new();
    for outcome in [Outcome::Success, Outcome::Denied] {
        for decision in [None, Some("dec-1".into())] {
            both.push(
                recorded(&app, |event: &mut Event| {
                    (event.agent, event.outcome, event.decision) = (Some(id), outcome, decision);
                })
                .await,
            );
        }
    }
    let query = "action=test.happened&outcome=denied&decisionId=dec-1";
    assert_eq!(found(&app, &format!("{query}&agentId={}", agent.id)).await, [both[3].clone()]);
    let other = "01890a5d-ac96-774b-bcce-b302099a8057";
    assert_eq!(found(&app, &format!("{query}&agentId={other}")).await, [""; 0]);
    let by_time = "action=test.happened&startDate=2026-01-01T00:00:00.002Z\
                   &endDate=2026-01-01T00:00:00.003Z";
    assert_eq!(found(&app, by_time).await, [both[2].clone(), both[1].clone()]);
}

/// A caller may name its request as it likes; the search looks for all of the name.
#[tokio::test]
async fn a_request_is_found_by_its_id_whatever_is_in_it() {
    let app = TestApp::start().await;
    let mut events = Vec::new();
    for id in [r#"a"b\c"#, r#"x","requestId":"y"#, "%_*?"] {
        let request = app.nobody().request(reqwest::Method::GET, "/api/v1/agents");
        Answer::to(request.header("x-request-id", id)).await.problem(401, "UNAUTHORIZED");
        let query: String = form_urlencoded::byte_serialize(id.as_bytes()).collect();
        let event = found(&app, &format!("requestId={query}")).await;
        assert_eq!(event.len(), 1, "{id}");
        events.extend(event);
    }
    let spoofed = recorded(&app, |event| {
        let text = r#"","requestId":"y","#;
        event.origin = Origin { user_agent: Some(text.into()), ..Origin::default() };
        event.meta("note", text);
    });
    spoofed.await;
    assert_eq!(found(&app, "requestId=y").await, [""; 0], "inside other members");
}

#[tokio::test]
async fn both_ends_of_a_time_belong_to_it() {
    let app = TestApp::start().await;
    let event = recorded(&app, |_| ()).await;
    for (query, is_in) in [
        ("startDate=2026-01-01T00:00:00.001Z", true),
        ("startDate=2026-01-01T00:00:00.002Z", false),
        ("endDate=2026-01-01T00:00:00.001Z", true),
        ("endDate=2026-01-01T00:00:00.000999Z", false),
        ("startDate=2026-01-01T01:00:00.001%2B01:00&endDate=2026-01-01T00:00:00.001Z", true),
        ("startDate=2026-01-01&endDate=2026-01-01", true),
        ("startDate=2026-01-02", false),
        ("endDate=2025-12-31", false),
        ("startDate=2026-01-02&endDate=2025-12-31", false),
    ] {
        let expected = if is_in { vec![event.clone()] } else { Vec::new() };
        assert_eq!(
            found(&app, &format!("action=test.happened&{query}")).await,
            expected,
            "{query}"
        );
    }
}

/// An event shows milliseconds; what it shows must find it.
#[tokio::test]
async fn an_event_is_found_by_the_timestamp_that_it_shows() {
    let app = TestApp::start().await;
    app.pass(Duration::from_micros(1_234_567));
    let id = recorded(&app, |_| ()).await;
    let event = app.operator().get(&format!("/api/v1/audit/{id}")).await.expect(200);
    let shown = event["timestamp"].as_str().unwrap();
    let query = format!("action=test.happened&startDate={shown}&endDate={shown}");
    assert_eq!(found(&app, &query).await, [id]);
}

#[tokio::test]
async fn an_event_is_found_by_its_id_among_those_of_the_same_moment() {
    let app = TestApp::start().await;
    let now = app.clock.now();
    let events: Vec<_> = (0..20).map(|_| app.server.app.event("test.happened", now)).collect();
    for event in &events {
        app.server.app.record.append(event.clone()).await.unwrap();
    }
    for event in &events {
        let answer = app.operator().get(&format!("/api/v1/audit/{}", event.id)).await;
        assert_eq!(answer.expect(200)["eventId"], event.id.to_string());
        assert_eq!(answer.text, event.body(), "as it was recorded");
    }
    let unknown = EventId::new(now, &app.server.app.entropy);
    let missing = app.operator().get(&format!("/api/v1/audit/{unknown}")).await;
    missing.problem(404, "AUDIT_EVENT_NOT_FOUND");
    app.operator().get("/api/v1/audit/nonsense").await.problem(400, "VALIDATION_ERROR");
}

#[tokio::test]
async fn another_tenants_events_are_not_there() {
    let app = TestApp::start().await;
    let reader = app.agent("reader", &["audit:read"]).await;
    let token = app.token(&reader).await;
    let theirs = recorded(&app, |event| {
        event.tenant = Arc::from("elsewhere");
        event.decision = Some("dec-1".into());
        event.origin.request_id = Some("req-1".into());
    })
    .await;
    let client = app.client(As::Bearer(&token));
    client.get(&format!("/api/v1/audit/{theirs}")).await.problem(404, "AUDIT_EVENT_NOT_FOUND");
    for query in ["", "action=test.happened", "decisionId=dec-1", "requestId=req-1", "limit=500"] {
        let page = client.get(&format!("/api/v1/audit?{query}")).await.expect(200);
        assert!(!ids(&page).contains(&theirs), "{query}");
    }
}

#[tokio::test]
async fn only_who_may_read_the_record_reads_it() {
    let app = TestApp::start().await;
    let TestAgent { id, .. } = app.agent("other", &["agents:read"]).await;
    let agent = app.agent("screener", &["agents:read"]).await;
    let token = app.token(&agent).await;
    for path in ["/api/v1/audit".to_owned(), format!("/api/v1/audit?agentId={id}")] {
        app.nobody().get(&path).await.problem(401, "UNAUTHORIZED");
        app.client(As::Bearer(&token)).get(&path).await.problem(403, "INSUFFICIENT_SCOPE");
    }
}

#[tokio::test]
async fn a_search_that_can_not_be_read_is_refused_with_the_names_of_its_faults() {
    let app = TestApp::start().await;
    for (query, name) in [
        ("agentId=x", "agentId"),
        ("startDate=yesterday", "startDate"),
        ("endDate=2026-13-01", "endDate"),
        ("limit=0", "limit"),
        ("limit=501", "limit"),
        ("limit=x", "limit"),
        ("cursor=x", "cursor"),
        ("action=", "action"),
        ("action=a&action=b", "action"),
        ("action=%00", "action"),
        ("unknown=1", "unknown"),
    ] {
        let refused = app.operator().get(&format!("/api/v1/audit?{query}")).await;
        let details = &refused.problem(400, "VALIDATION_ERROR")["details"];
        assert_eq!(details.as_object().unwrap().keys().collect::<Vec<_>>(), [name], "{query}");
    }
    let nothing = "/api/v1/audit?limit=1&action=agent.created";
    assert_eq!(app.operator().get(nothing).await.expect(200)["data"], json!([]));
}
