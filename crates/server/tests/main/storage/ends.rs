//! How a write can end, and what is left then.

use std::panic::{AssertUnwindSafe, resume_unwind};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use countersign_ground::db::{Db, Error, Tx, Work};
use countersign_ground::params;
use tokio::time::timeout;

use super::job::{Fate, Jobs, run};
use super::{Gate, app_with_table, execute, first_step, held, ids, on_sqlite};
use crate::support::TestApp;

/// Waits for what a write leaves, when nobody is there to be told of its end.
async fn until_there(db: &Db, id: &str) {
    let find = async || db.query_opt("SELECT id FROM jobs WHERE id = $1", params![id]).await;
    let there = async { while !matches!(find().await, Ok(Some(_))) {} };
    timeout(Duration::from_secs(30), there).await.expect("it gets there");
}

#[tokio::test]
async fn a_write_that_has_begun_is_completed_though_its_caller_goes_away() {
    static GATE: Gate = Gate::new();
    let app = app_with_table(&[]).await;
    let db = &app.server.app.db;
    {
        let mut write = pin!(db.write(&GATE, held));
        assert!(first_step(write.as_mut()).await.is_pending());
        GATE.begun().await;
    }
    GATE.open();
    until_there(db, "after").await;
    assert_eq!(ids(db).await, ["after", "before"]);
}

#[tokio::test]
async fn nobody_sees_a_write_before_it_has_committed() {
    static GATE: Gate = Gate::new();
    let app = app_with_table(&[]).await;
    let db = &app.server.app.db;
    let mut write = pin!(db.write(&GATE, held));
    assert!(first_step(write.as_mut()).await.is_pending());
    GATE.begun().await;
    assert_eq!(ids(db).await, [""; 0]);
    GATE.open();
    write.await.unwrap();
    assert_eq!(ids(db).await, ["after", "before"]);
}

#[tokio::test]
async fn a_write_that_takes_too_long_is_answered_as_unknown_and_goes_on() {
    static GATE: Gate = Gate::new();
    let app = app_with_table(&[("DATABASE_TIMEOUT_MS", "400")]).await;
    let db = &app.server.app.db;
    let mut late = pin!(db.write(&GATE, held));
    assert!(first_step(late.as_mut()).await.is_pending());
    GATE.begun().await;
    if on_sqlite() {
        // It has not begun by then, so it never will: what is answered is certain.
        let waits = execute(db, "INSERT INTO jobs (id) VALUES ('late')", Vec::new()).await;
        assert!(matches!(waits, Err(Error::Busy)), "{waits:?}");
    }
    let answer = late.await;
    assert!(matches!(answer, Err(Error::OutcomeUnknown(_))), "{answer:?}");
    GATE.open();
    until_there(db, "after").await;
    execute(db, "INSERT INTO jobs (id) VALUES ('next')", Vec::new()).await.unwrap();
    assert_eq!(ids(db).await, ["after", "before", "next"]);
}

fn append(app: &TestApp) -> impl Future<Output = Result<(), Error>> {
    let event = app.server.app.event("test.happened", app.clock.now());
    app.server.app.record.append(event)
}

#[tokio::test]
async fn an_event_that_takes_too_long_is_answered_as_unknown() {
    static GATE: Gate = Gate::new();
    let app = app_with_table(&[("DATABASE_TIMEOUT_MS", "400")]).await;
    let mut late = pin!(app.server.app.db.write(&GATE, held));
    assert!(first_step(late.as_mut()).await.is_pending());
    GATE.begun().await;
    let answer = append(&app).await;
    assert!(matches!(answer, Err(Error::OutcomeUnknown(_))), "{answer:?}");
    GATE.open();
    until_there(&app.server.app.db, "after").await;
    assert!(app.events("test.happened").await.len() <= 1);
    crate::record::streams_are_gapless(&app).await;
}

#[tokio::test]
async fn an_event_has_a_time_of_its_own_whoever_is_late_before_it() {
    static GATE: Gate = Gate::new();
    let app = app_with_table(&[("DATABASE_TIMEOUT_MS", "400")]).await;
    let mut late = pin!(app.server.app.db.write(&GATE, held));
    assert!(first_step(late.as_mut()).await.is_pending());
    GATE.begun().await;
    append(&app).await.unwrap_err();
    let mut next = pin!(append(&app));
    let first = first_step(next.as_mut()).await;
    GATE.open();
    assert!(first.is_pending(), "{first:?} before it has waited");
    next.await.unwrap();
    assert!(!app.events("test.happened").await.is_empty());
    crate::record::streams_are_gapless(&app).await;
}

/// What SQLite would keep and PostgreSQL would not must not depend on the engine, and above all
/// must not be answered as done.
#[tokio::test]
async fn a_write_that_swallows_a_failed_statement_is_not_answered_as_done() {
    let app = app_with_table(&[]).await;
    let db = &app.server.app.db;
    let hooks = Arc::new(AtomicU32::new(0));
    let swallowing = db.write(Arc::clone(&hooks), |tx, hooks| {
        let hooks = Arc::clone(hooks);
        Box::pin(async move {
            tx.execute("INSERT INTO jobs (id) VALUES ('row')", params![]).await?;
            tx.after_commit(move || _ = hooks.fetch_add(1, Ordering::Relaxed));
            // The error is lost here.
            let _ = tx.execute("INSERT INTO jobs (id) VALUES ('row')", params![]).await;
            Ok::<_, Error>(())
        })
    });
    let answer = swallowing.await;
    let there = ids(db).await;
    assert_eq!(there, [""; 0], "answered {answer:?}");
    assert!(answer.is_err(), "{answer:?}, but nothing is there");
    assert_eq!(hooks.load(Ordering::Relaxed), 0);
}

#[tokio::test]
async fn a_hook_that_panics_takes_nobody_along() {
    let app = app_with_table(&[("DATABASE_TIMEOUT_MS", "5000")]).await;
    let db = &app.server.app.db;
    let panicking = db.write((), |tx, ()| {
        Box::pin(async move {
            tx.execute("INSERT INTO jobs (id) VALUES ('row')", params![]).await?;
            tx.after_commit(|| resume_unwind(Box::new("as it should")));
            Ok::<_, Error>(())
        })
    });
    let answer = panicking.await;
    assert!(answer.is_ok(), "it has committed: {answer:?}");
    let next = execute(db, "INSERT INTO jobs (id) VALUES ('next')", Vec::new()).await;
    assert!(next.is_ok(), "{next:?}");
    append(&app).await.unwrap();
    assert_eq!(ids(db).await, ["next", "row"]);
}

struct Crossing {
    /// The rows to take, in this order.
    rows: [&'static str; 2],
    attempts: AtomicU32,
    /// Both have taken their first.
    met: AssertUnwindSafe<Arc<tokio::sync::Barrier>>,
    event: countersign_ground::record::Event,
    hooks: Arc<AtomicU32>,
}

fn cross<'t>(tx: &'t mut Tx, crossing: &'t Crossing) -> Work<'t, ()> {
    Box::pin(async move {
        tx.record(crossing.event.leaf());
        let hooks = Arc::clone(&crossing.hooks);
        tx.after_commit(move || _ = hooks.fetch_add(1, Ordering::Relaxed));
        let attempt = crossing.attempts.fetch_add(1, Ordering::Relaxed);
        for row in crossing.rows {
            tx.execute("UPDATE jobs SET n = n + 1 WHERE id = $1", params![row]).await?;
            if attempt == 0 && row == crossing.rows[0] && !on_sqlite() {
                crossing.met.wait().await;
            }
        }
        Ok(())
    })
}

/// PostgreSQL ends one of them; the facade begins it again with what it was lent.
#[tokio::test]
async fn two_writes_in_each_others_way_are_both_done_once() {
    let app = app_with_table(&[]).await;
    let db = &app.server.app.db;
    execute(db, "INSERT INTO jobs (id, n) VALUES ('a', 0), ('b', 0)", Vec::new()).await.unwrap();
    let (met, hooks) = (Arc::new(tokio::sync::Barrier::new(2)), Arc::new(AtomicU32::new(0)));
    let crossing = |rows| {
        let event = app.server.app.event("test.happened", app.clock.now());
        let (met, hooks) = (AssertUnwindSafe(Arc::clone(&met)), Arc::clone(&hooks));
        db.write(Crossing { rows, attempts: AtomicU32::new(0), met, event, hooks }, cross)
    };
    let (one, two) = tokio::join!(crossing(["a", "b"]), crossing(["b", "a"]));
    one.unwrap();
    two.unwrap();
    let rows = db.query("SELECT n FROM jobs", params![]).await.unwrap();
    let counts: Vec<i64> = rows.into_iter().map(|mut row| row.take().unwrap()).collect();
    assert_eq!(counts, [2, 2]);
    assert_eq!(hooks.load(Ordering::Relaxed), 2);
    assert_eq!(app.events("test.happened").await.len(), 2);
    crate::record::streams_are_gapless(&app).await;
}

/// On PostgreSQL the commit is on its way when the event is refused.
#[tokio::test]
async fn a_change_whose_event_cannot_be_recorded_is_not_made() {
    let (jobs, _) = Jobs::new(app_with_table(&[]).await);
    let db = &jobs.app.server.app.db;
    execute(db, "UPDATE event_streams SET stream = stream + 1000", Vec::new()).await.unwrap();
    for id in ["one", "two"] {
        assert!(db.write(jobs.job(id, Fate::Commits), run).await.is_err(), "{id}");
    }
    assert_eq!(ids(db).await, [""; 0]);
    assert_eq!(jobs.hooks()(), [""; 0], "what follows a commit does not follow a refusal");

    execute(db, "UPDATE event_streams SET stream = stream - 1000", Vec::new()).await.unwrap();
    db.write(jobs.job("three", Fate::Commits), run).await.unwrap();
    assert_eq!(ids(db).await, ["three"]);
    crate::record::streams_are_gapless(&jobs.app).await;
}
