//! Closing the database: what was accepted is done, what comes later is refused.

use std::pin::pin;

use countersign_ground::db::{Db, Error};
use futures_util::future::{join_all, maybe_done};

use super::{Gate, app_with_table, execute, first_step, held, ids};
use crate::record::streams_are_gapless;
use crate::support::TestApp;

#[tokio::test]
async fn what_comes_after_the_end_is_refused_as_closed() {
    let app = app_with_table(&[]).await;
    let db = &app.server.app.db;
    db.close().await;
    let event = app.server.app.event("test.happened", app.clock.now());
    let answers = [
        ("write", execute(db, "DELETE FROM jobs", Vec::new()).await.err()),
        ("append", app.server.app.record.append(event).await.err()),
        ("query", db.query("SELECT id FROM jobs", &[]).await.err()),
        ("ping", db.ping().await.err()),
    ];
    let closed = answers.iter().all(|(_, error)| matches!(error, Some(Error::Closed)));
    assert!(closed, "{answers:?}");
    db.close().await;
}

async fn insert(db: &Db, n: usize) -> Result<u64, Error> {
    let id = format!("{n:03}").as_str().into();
    execute(db, "INSERT INTO jobs (id) VALUES ($1)", vec![id]).await
}

async fn append(app: &TestApp) -> Result<(), Error> {
    let event = app.server.app.event("test.happened", app.clock.now());
    app.server.app.record.append(event).await
}

/// Begins all of these, then closes the database; gives their answers.
async fn closed_under<F, T>(app: &TestApp, calls: impl Iterator<Item = F>) -> Vec<Result<T, Error>>
where
    F: Future<Output = Result<T, Error>>,
{
    // One that is answered at its first step was accepted, too.
    let mut calls: Vec<_> = calls.map(|call| Box::pin(maybe_done(call))).collect();
    for call in &mut calls {
        let _ = first_step(call.as_mut()).await;
    }
    tokio::join!(join_all(calls.iter_mut()), app.server.app.db.close());
    calls.iter_mut().map(|call| call.as_mut().take_output().unwrap()).collect()
}

fn refused<T>(answers: &[Result<T, Error>]) -> Vec<&Error> {
    answers.iter().filter_map(|answer| answer.as_ref().err()).collect()
}

#[tokio::test]
async fn writes_that_were_accepted_before_the_end_are_done_and_answered() {
    let app = app_with_table(&[("DATABASE_POOL_SIZE", "2")]).await;
    let answers = closed_under(&app, (0..100).map(|n| insert(&app.server.app.db, n))).await;
    let refused = refused(&answers);
    assert!(refused.is_empty(), "{} of 100, such as {:?}", refused.len(), refused[0]);
    let app = app.restart().await;
    assert_eq!(ids(&app.server.app.db).await.len(), 100);
}

#[tokio::test]
async fn events_that_were_accepted_before_the_end_are_in_the_record() {
    let app = app_with_table(&[("DATABASE_POOL_SIZE", "2")]).await;
    let answers = closed_under(&app, (0..100).map(|_| append(&app))).await;
    assert_eq!(refused(&answers).len(), 0, "{answers:?}");
    let app = app.restart().await;
    assert_eq!(app.events("test.happened").await.len(), 100);
    streams_are_gapless(&app).await;
}

/// The process ends when this returns: what has begun must be over by then.
#[tokio::test]
async fn the_end_waits_for_a_write_that_has_begun() {
    static GATE: Gate = Gate::new();
    let app = app_with_table(&[]).await;
    let db = &app.server.app.db;
    {
        let mut write = pin!(db.write(&GATE, held));
        assert!(first_step(write.as_mut()).await.is_pending());
        GATE.begun().await;
    }
    let waits = {
        let mut closing = pin!(db.close());
        let mut waits = true;
        // Many turns, so that whoever does not wait has returned.
        for _ in 0..1_000 {
            waits = waits && first_step(closing.as_mut()).await.is_pending();
            tokio::task::yield_now().await;
        }
        GATE.open();
        if waits {
            closing.await;
        }
        waits
    };
    assert!(waits, "it returned while the write was held");
    let app = app.restart().await;
    assert_eq!(ids(&app.server.app.db).await, ["after", "before"]);
}
