//! What is stored: one text per event, its columns copies of it, its position without a gap.

use countersign_ground::params;
use countersign_policy::canonical;
use serde_json::{Value, json};

use crate::support::{As, TestApp, new_agent};

/// Does a bit of everything that is recorded.
async fn do_much(app: &TestApp) {
    let agent = app.agent("screener", &["agents:read"]).await;
    let token = app.token(&agent).await;
    let path = format!("/api/v1/agents/{}", agent.id);
    app.operator().patch(&path, json!({"owner": "ü \u{1F600} \u{2028} \"quoted\" \\"})).await;
    app.client(As::Bearer(&token)).post("/api/v1/agents", new_agent("x")).await;
    app.nobody().get("/api/v1/agents").await;
    assert!(app.is_live(&token).await);
    app.operator().form("/api/v1/token/revoke", &[("token", &token)]).await;
    let rotate = format!("{path}/credentials/{}/rotate", agent.credential);
    app.operator().post(&rotate, json!({"graceSeconds": 60})).await.expect(200);
    app.operator().delete(&format!("{path}/credentials/{}", agent.credential)).await;
    let strange = app.nobody().request(reqwest::Method::GET, "/api/v1/keys");
    let strange = strange.header("user-agent", "\t\"strange\" \\ </script> {}");
    strange.header("x-request-id", "\"\\/'<>&").send().await.unwrap();
    app.operator().delete(&path).await.expect(204);
}

struct Stored {
    position: i64,
    time: i64,
    tenant: String,
    agent: Option<String>,
    action: String,
    outcome: String,
    body: String,
}

async fn stored(app: &TestApp) -> Vec<Stored> {
    let rows = app.server.app.db.query(
        "SELECT position, time, tenant, agent_id, action, outcome, body
           FROM audit_events ORDER BY position",
        params![],
    );
    let read = |mut row: countersign_ground::db::Row| Stored {
        position: row.take().unwrap(),
        time: row.take().unwrap(),
        tenant: row.take().unwrap(),
        agent: row.take().unwrap(),
        action: row.take().unwrap(),
        outcome: row.take().unwrap(),
        body: row.take().unwrap(),
    };
    rows.await.unwrap().into_iter().map(read).collect()
}

#[tokio::test]
async fn the_answer_is_byte_for_byte_what_is_stored() {
    let app = TestApp::start().await;
    do_much(&app).await;
    let mut stored = stored(&app).await;
    for event in &stored {
        let value: Value = serde_json::from_str(&event.body).unwrap();
        let path = format!("/api/v1/audit/{}", value["eventId"].as_str().unwrap());
        assert_eq!(app.operator().get(&path).await.text, event.body);
    }
    let page = app.operator().get("/api/v1/audit?limit=500").await;
    stored.reverse();
    let bodies: Vec<_> = stored.iter().map(|event| event.body.as_str()).collect();
    assert_eq!(page.text, format!(r#"{{"data":[{}],"nextCursor":null}}"#, bodies.join(",")));
}

#[tokio::test]
async fn every_event_is_its_own_canonical_form_with_the_members_of_the_contract() {
    let known = [
        "action",
        "actorId",
        "actorType",
        "agentId",
        "decisionId",
        "eventId",
        "ipAddress",
        "metadata",
        "outcome",
        "requestId",
        "resource",
        "tenant",
        "timestamp",
        "userAgent",
    ];
    let always = ["action", "actorId", "actorType", "eventId", "outcome", "tenant", "timestamp"];
    let app = TestApp::start().await;
    do_much(&app).await;
    for Stored { body, .. } in stored(&app).await {
        let value: Value = serde_json::from_str(&body).unwrap();
        assert_eq!(canonical(&value), body);
        let members = value.as_object().unwrap();
        assert!(members.keys().all(|name| known.contains(&name.as_str())), "{body}");
        assert!(always.iter().all(|name| members.contains_key(*name)), "{body}");
        assert!(members.values().all(|member| !member.is_null()), "{body}");
    }
}

#[tokio::test]
async fn every_column_is_a_copy_of_the_bodys_member() {
    let app = TestApp::start().await;
    do_much(&app).await;
    let stored = stored(&app).await;
    for event in &stored {
        let body: Value = serde_json::from_str(&event.body).unwrap();
        assert_eq!(body["tenant"], event.tenant);
        assert_eq!(body["action"], event.action);
        assert_eq!(body["outcome"], event.outcome);
        assert_eq!(body["agentId"].as_str(), event.agent.as_deref());
        let time: countersign_ground::clock::Time =
            body["timestamp"].as_str().unwrap().parse().unwrap();
        assert_eq!(time.millis(), event.time.div_euclid(1000));
    }
    let mut actions: Vec<_> = stored.iter().map(|event| event.action.as_str()).collect();
    actions.sort_unstable();
    actions.dedup();
    assert_eq!(
        actions,
        [
            "agent.created",
            "agent.decommissioned",
            "agent.updated",
            "credential.generated",
            "credential.revoked",
            "credential.rotated",
            "decision.made",
            "operator.bootstrapped",
            "token.introspected",
            "token.issued",
            "token.revoked",
        ]
    );
}

/// A position is stream · 2^40 + n, and n counts from 1. Asked in one statement: an event whose
/// answer nobody has waited for may still come.
pub async fn streams_are_gapless(app: &TestApp) -> usize {
    let ask = "SELECT stream, n,
                      (SELECT COUNT(*) FROM audit_events
                        WHERE position > stream * 1099511627776
                          AND position <= stream * 1099511627776 + n),
                      (SELECT COUNT(*) FROM audit_events)
                 FROM event_streams";
    let (mut counted, mut there) = (0, 0);
    for mut row in app.server.app.db.query(ask, params![]).await.unwrap() {
        let (stream, n): (i64, i64) = (row.take().unwrap(), row.take().unwrap());
        assert_eq!(row.take::<i64>().unwrap(), n, "stream {stream} has gaps");
        counted += n;
        there = row.take::<i64>().unwrap();
    }
    assert_eq!(there, counted, "more events than the streams have counted");
    usize::try_from(counted).unwrap()
}

#[tokio::test]
async fn positions_follow_without_a_gap_and_across_a_restart() {
    let app = TestApp::start().await;
    do_much(&app).await;
    let before = streams_are_gapless(&app).await;
    assert!(before >= 10);
    let app = app.restart().await;
    app.agent("another", &["agents:read"]).await;
    assert_eq!(streams_are_gapless(&app).await, before + 2);
    let positions: Vec<_> = stored(&app).await.iter().map(|event| event.position).collect();
    assert_eq!(positions.len(), before + 2);
}
