//! What somebody with the database in their hands can do, and what verification says of it.

use countersign_ground::db::{STREAM_LENGTH, Value};
use countersign_ground::params;
use countersign_ground::record::verify::{self, Kind, Report, Trust};
use countersign_ground::record::{Hash, Seal};

use super::{keys, sealed, seals};
use crate::support::TestApp;

pub(super) async fn verified(app: &TestApp) -> Report {
    verified_with(app, &Trust::default()).await
}

async fn verified_with(app: &TestApp, trust: &Trust) -> Report {
    verify::database(&app.server.app.db, trust, |_, _| {}).await.unwrap()
}

pub(super) async fn change(app: &TestApp, sql: &'static str, params: &[Value]) {
    let changed = app.server.app.db.write(params.to_vec(), move |tx, params| {
        Box::pin(async move { tx.execute(sql, params).await })
    });
    let changed: Result<u64, countersign_ground::db::Error> = changed.await;
    assert!(changed.unwrap() > 0, "{sql}");
}

/// A record of nine events under two seals or more, and the positions of three.
async fn record() -> (TestApp, [i64; 3]) {
    let app = TestApp::start().await;
    sealed(&app, "a", 4).await;
    sealed(&app, "b", 5).await;
    assert!(verified(&app).await.is_good());
    let stream = app.server.app.db.stream() * STREAM_LENGTH;
    (app, [stream + 3, stream + 4, stream + 8])
}

async fn event_at(app: &TestApp, position: i64) -> String {
    let sql = "SELECT body FROM audit_events WHERE position = $1";
    let row = app.server.app.db.query_opt(sql, params![position]).await.unwrap();
    let body: String = row.unwrap().take().unwrap();
    let event: serde_json::Value = serde_json::from_str(&body).unwrap();
    event["eventId"].as_str().unwrap().to_owned()
}

pub(super) fn told(report: &Report) -> Vec<(Kind, Option<&str>)> {
    report.faults.iter().map(|fault| (fault.kind, fault.event.as_deref())).collect()
}

#[tokio::test]
async fn a_changed_event_is_named() {
    let (app, [position, ..]) = record().await;
    let sql = "UPDATE audit_events SET body = replace(body, 'agents.example', 'agents.invalid')
                WHERE position = $1";
    change(&app, sql, params![position]).await;
    let report = verified(&app).await;
    let event = event_at(&app, position).await;
    assert_eq!(told(&report), [(Kind::Changed, Some(&*event))]);
    assert_eq!(report.faults[0].index.map(|index| index >= 0), Some(true));
}

/// What a node committed it seals as it was, whatever the database says by then.
#[tokio::test]
async fn an_event_that_is_changed_before_its_seal_is_named() {
    let app = TestApp::start().await;
    app.server.seal().await.unwrap();
    let mut event = app.server.app.event("test.happened", app.clock.now());
    event.decision = Some("dec-1".into());
    let write = app.server.app.db.write(event.leaf(), |tx, leaf| {
        Box::pin(async move {
            (0..3).for_each(|_| tx.record(leaf.clone()));
            Ok::<_, countersign_ground::db::Error>(())
        })
    });
    write.await.unwrap();
    let sql = "UPDATE audit_events SET body = replace(body, 'dec-1', 'dec-2')
                WHERE position = (SELECT MAX(position) - 1 FROM audit_events)";
    change(&app, sql, &[]).await;
    app.server.seal().await.unwrap();
    let report = verified(&app).await;
    assert_eq!(told(&report), [(Kind::Changed, Some(&*event.id.to_string()))]);
}

#[tokio::test]
async fn a_removed_event_is_named_by_its_place() {
    let (app, [position, ..]) = record().await;
    change(&app, "DELETE FROM audit_events WHERE position = $1", params![position]).await;
    let report = verified(&app).await;
    assert_eq!(told(&report), [(Kind::Removed, None)]);
    assert!(report.faults[0].seal.is_some() && report.faults[0].index.is_some());
}

#[tokio::test]
async fn an_inserted_event_is_named_wherever_it_was_put() {
    let (app, [position, ..]) = record().await;
    let copy = "INSERT INTO audit_events (position, time, tenant, agent_id, action, outcome, body)
                SELECT $2, time, tenant, agent_id, action, outcome, replace(body, '01', '02')
                  FROM audit_events WHERE position = $1";
    let stream = app.server.app.db.stream();
    let places =
        [stream * STREAM_LENGTH, stream * STREAM_LENGTH + 9_000, (stream + 7) * STREAM_LENGTH + 1];
    for (count, place) in (1..).zip(places) {
        change(&app, copy, params![position, place]).await;
        let report = verified(&app).await;
        let event = event_at(&app, place).await;
        assert_eq!(report.faults.len(), count, "{:?}", report.faults);
        assert!(told(&report).contains(&(Kind::Inserted, Some(&event))), "{:?}", report.faults);
    }
}

#[tokio::test]
async fn two_events_that_changed_places_are_both_named() {
    let (app, [first, _, second]) = record().await;
    let (one, other) = (event_at(&app, first).await, event_at(&app, second).await);
    let sql = "UPDATE audit_events SET position = $2 WHERE position = $1";
    for (from, to) in [(first, -1), (second, first), (-1, second)] {
        change(&app, sql, params![from, to]).await;
    }
    let report = verified(&app).await;
    let wanted = [(Kind::Reordered, Some(&*other)), (Kind::Reordered, Some(&*one))];
    assert_eq!(told(&report), wanted);
    assert!(report.faults[0].detail.contains("it belongs under seal"), "{:?}", report.faults);
}

#[tokio::test]
async fn an_event_that_was_moved_away_is_named() {
    let (app, [first, ..]) = record().await;
    let away = app.server.app.db.stream() * STREAM_LENGTH + 500;
    let event = event_at(&app, first).await;
    let sql = "UPDATE audit_events SET position = $2 WHERE position = $1";
    change(&app, sql, params![first, away]).await;
    let report = verified(&app).await;
    let wanted = [(Kind::Removed, None), (Kind::Reordered, Some(&*event))];
    assert_eq!(told(&report), wanted);
}

#[tokio::test]
async fn a_column_that_says_something_else_is_named() {
    let (app, [position, ..]) = record().await;
    let event = event_at(&app, position).await;
    for (sql, column) in [
        ("UPDATE audit_events SET tenant = 'other' WHERE position = $1", "tenant"),
        ("UPDATE audit_events SET time = time + 1000 WHERE position = $1", "time"),
    ] {
        change(&app, sql, params![position]).await;
        let report = verified(&app).await;
        assert_eq!(told(&report), [(Kind::Copies, Some(&*event))]);
        assert!(report.faults[0].detail.contains(column), "{:?}", report.faults);
    }
}

#[tokio::test]
async fn events_cut_off_at_the_end_are_named() {
    let (app, _) = record().await;
    let last = app.server.app.db.stream() * STREAM_LENGTH + 9;
    change(&app, "DELETE FROM audit_events WHERE position >= $1", params![last]).await;
    let report = verified(&app).await;
    assert_eq!(told(&report), [(Kind::Removed, None), (Kind::Removed, None)]);
}

#[tokio::test]
async fn a_changed_seal_is_named() {
    for sql in [
        "UPDATE seals SET count = count + 1 WHERE seal = 1",
        "UPDATE seals SET time = time + 1000 WHERE seal = 1",
        "UPDATE seals SET root = previous WHERE seal = 1",
        "UPDATE seals SET kid = 'another' WHERE seal = 1",
        "UPDATE seals SET signature = 'AAAA' WHERE seal = 1",
        "UPDATE seal_spans SET at = at + 1 WHERE seal = 1",
        "UPDATE seal_spans SET last = last - 1 WHERE seal = 1",
    ] {
        let (app, _) = record().await;
        change(&app, sql, &[]).await;
        let report = verified(&app).await;
        let first = &report.faults.first().unwrap_or_else(|| panic!("{sql}"));
        assert_eq!((first.seal, first.kind), (Some(1), Kind::Seal), "{sql}: {:?}", report.faults);
    }
}

#[tokio::test]
async fn a_missing_seal_is_named() {
    let (app, _) = record().await;
    let newest = seals(&app).await.len();
    change(&app, "DELETE FROM seals WHERE seal = 1", &[]).await;
    let report = verified(&app).await;
    assert!(told(&report).contains(&(Kind::Seal, None)), "{:?}", report.faults);
    change(&app, "DELETE FROM seals WHERE seal = $1", params![i64::try_from(newest).unwrap()])
        .await;
    let report = verified(&app).await;
    assert!(told(&report).contains(&(Kind::Truncated, None)), "{:?}", report.faults);
}

#[tokio::test]
async fn an_event_that_went_before_it_was_sealed_is_noticed() {
    let (app, _) = record().await;
    let agent = crate::support::new_agent("late");
    app.operator().post("/api/v1/agents", agent).await.expect(201);
    let sql = "DELETE FROM audit_events WHERE position > $1";
    change(&app, sql, params![app.server.app.db.stream() * STREAM_LENGTH + 10]).await;
    for round in 0..2 {
        let report = verified(&app).await;
        assert_eq!(told(&report), [(Kind::Removed, None)]);
        // Those that follow are sealed all the same.
        sealed(&app, &format!("next{round}-"), 2).await;
    }
}

/// Whoever has the whole database can take it back to an earlier state. Only what was kept elsewhere
/// shows it.
#[tokio::test]
async fn a_record_that_was_taken_back_shows_against_seals_kept_elsewhere() {
    let (app, _) = record().await;
    let kept = seals(&app).await;
    let newest = kept.last().unwrap();
    let before: &Seal = &kept[kept.len() - 2];
    let spans = "SELECT MIN(first) FROM seal_spans WHERE seal = $1";
    let row = app.server.app.db.query_opt(spans, params![newest.seal]).await.unwrap();
    let first: i64 = row.unwrap().take().unwrap();
    let stream = app.server.app.db.stream() * STREAM_LENGTH;
    change(&app, "DELETE FROM audit_events WHERE position >= $1", params![stream + first]).await;
    change(&app, "DELETE FROM seal_spans WHERE seal = $1", params![newest.seal]).await;
    change(&app, "DELETE FROM seals WHERE seal = $1", params![newest.seal]).await;
    let digest = before.digest().to_string();
    change(&app, "UPDATE seal_head SET seal = $1, digest = $2", params![before.seal, digest]).await;
    change(&app, "UPDATE sealed_streams SET n = $1", params![first - 1]).await;
    change(&app, "UPDATE event_streams SET n = $1 WHERE n > $1", params![first - 1]).await;
    assert!(verified(&app).await.is_good(), "nothing in it says so");
    let elsewhere = kept.iter().map(|seal| (seal.seal, seal.clone())).collect();
    let report = verified_with(&app, &Trust { keys: None, seals: elsewhere }).await;
    assert_eq!(told(&report), [(Kind::Truncated, None)]);
}

/// Sealed anew with a key of one's own, keys and all.
#[tokio::test]
async fn another_key_shows_against_keys_and_seals_kept_elsewhere() {
    let (app, _) = record().await;
    let (kept, known) = (seals(&app).await, keys(&app).await);
    let other = TestApp::start().await;
    sealed(&other, "x", 1).await;
    let strange = Trust { keys: Some(keys(&other).await), ..Trust::default() };
    let report = verified_with(&app, &strange).await;
    assert_eq!(report.faults.len(), kept.len(), "{:?}", report.faults);
    assert!(verified_with(&app, &Trust { keys: Some(known), ..Trust::default() }).await.is_good());
    let mut changed = kept[0].clone();
    changed.root = Hash::of(b"another");
    let elsewhere = [(1, changed)].into();
    let report = verified_with(&app, &Trust { keys: None, seals: elsewhere }).await;
    assert_eq!(told(&report), [(Kind::Seal, None)]);
}
