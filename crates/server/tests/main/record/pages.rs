//! Pages: every event once, newest first, whatever happens meanwhile.

use std::time::Duration;

use serde_json::Value;

use super::{ids, recorded};
use crate::support::TestApp;

/// All pages of a search, each of at most `limit`.
async fn pages(app: &TestApp, query: &str, limit: usize) -> Vec<String> {
    let (mut all, mut cursor) = (Vec::new(), String::new());
    loop {
        let path = format!("/api/v1/audit?{query}&limit={limit}{cursor}");
        let page = app.operator().get(&path).await.expect(200);
        assert!(ids(&page).len() <= limit);
        all.extend(ids(&page));
        match &page["nextCursor"] {
            Value::Null => return all,
            next => cursor = format!("&cursor={}", next.as_str().unwrap()),
        }
    }
}

#[tokio::test]
async fn all_pages_together_are_every_event_once_and_newest_first() {
    let app = TestApp::start().await;
    let mut events = Vec::new();
    for n in 0..25 {
        // Several of one moment, and a clock that is stepped back once.
        let step = if n == 12 { -5_000 } else { i64::from(n % 3 == 0) * 1_000 };
        app.clock.step(step);
        let event = app.server.app.event("test.happened", app.clock.now());
        events.push((event.time, events.len(), event.id.to_string()));
        app.server.app.record.append(event).await.unwrap();
    }
    events.sort();
    let expected: Vec<_> = events.into_iter().rev().map(|(_, _, id)| id).collect();
    for limit in [1, 2, 7, 24, 25, 26, 500] {
        assert_eq!(pages(&app, "action=test.happened", limit).await, expected, "{limit} a page");
    }
}

#[tokio::test]
async fn pages_of_a_search_hold_only_what_it_names() {
    let app = TestApp::start().await;
    let mut expected = Vec::new();
    for n in 0..20 {
        let id = recorded(&app, |event| {
            event.decision = (n % 4 == 0).then(|| "dec-1".into());
        });
        let id = id.await;
        if n % 4 == 0 {
            expected.insert(0, id);
        }
    }
    assert_eq!(pages(&app, "decisionId=dec-1", 2).await, expected);
    let within =
        "decisionId=dec-1&startDate=2026-01-01T00:00:00.005Z&endDate=2026-01-01T00:00:00.013Z";
    assert_eq!(pages(&app, within, 1).await, expected[1..4]);
}

#[tokio::test]
async fn what_happens_meanwhile_moves_no_page() {
    let app = TestApp::start().await;
    for _ in 0..4 {
        recorded(&app, |_| ()).await;
    }
    let all = pages(&app, "action=test.happened", 500).await;
    let path = "/api/v1/audit?action=test.happened&limit=2";
    let first = app.operator().get(path).await.expect(200);
    recorded(&app, |_| ()).await;
    let cursor = first["nextCursor"].as_str().unwrap();
    let second = app.operator().get(&format!("{path}&cursor={cursor}")).await.expect(200);
    assert_eq!([ids(&first), ids(&second)].concat(), all);
    assert_eq!(second["nextCursor"], Value::Null);
}

/// A page costs a bounded look at the record: a rare event is found over several pages.
#[tokio::test]
async fn a_rare_event_deep_in_the_record_is_found_by_following_the_cursor() {
    let app = TestApp::start().await;
    let rare = recorded(&app, |event| event.decision = Some("rare".into())).await;
    app.pass(Duration::from_millis(1));
    let leaf = app.server.app.event("test.happened", app.clock.now()).leaf();
    for _ in 0..3 {
        let write = app.server.app.db.write(leaf.clone(), |tx, leaf| {
            Box::pin(async move {
                for _ in 0..10_000 {
                    tx.record(leaf.clone());
                }
                Ok::<_, countersign_ground::db::Error>(())
            })
        });
        write.await.unwrap();
    }
    let path = "/api/v1/audit?decisionId=rare";
    let first = app.operator().get(path).await.expect(200);
    assert_eq!(ids(&first), [""; 0], "not within the first look");
    assert_eq!(pages(&app, "decisionId=rare", 50).await, [rare]);
}
