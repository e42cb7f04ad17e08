//! Every background job: what it does, and how often.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use countersign_ground::db;
use tokio_util::sync::CancellationToken;

use crate::app::App;
use crate::features::{agents, credentials, oauth};

/// Starts all of them; they end with `stop`.
pub fn start(app: &App, stop: &CancellationToken) {
    every(app, stop, Duration::from_secs(1), "activity", |app| async move {
        app.activity.flush(&app.db).await
    });
    every(app, stop, Duration::from_secs(10), "crowds", |app| async move {
        app.record.append_crowds(app.clock.now()).await
    });
    every(app, stop, Duration::from_secs(60), "revocations", |app| async move {
        let now = app.clock.now();
        app.law.directory.forget_expired(now);
        oauth::store::forget_expired(&app.db, now).await
    });
    let known = Arc::new(AtomicU64::new(0));
    every(app, stop, Duration::from_millis(250), "doubts", move |app| {
        let known = Arc::clone(&known);
        async move { remember_again(&app, &known).await }
    });
    every(app, stop, Duration::from_secs(5), "database-check", |app| async move {
        if let Some(lost) = app.database_outage().await {
            tracing::warn!(seconds = lost.as_secs(), "the database does not answer");
        }
        Ok(())
    });
}

/// After a commit whose answer did not come, memory may be behind the database: reads it again.
async fn remember_again(app: &App, known: &AtomicU64) -> db::Result<()> {
    let doubts = app.db.doubts();
    if doubts == known.load(Ordering::Relaxed) {
        return Ok(());
    }
    let now = app.clock.now();
    agents::store::load(&app.db, &app.law.directory).await?;
    credentials::store::load(&app.db, &app.law.directory, now - DOUBTFUL).await?;
    oauth::store::load(&app.db, &app.law.directory, now).await?;
    known.store(doubts, Ordering::Relaxed);
    Ok(())
}

/// How far back a revocation may have gone unnoticed.
const DOUBTFUL: Duration = Duration::from_secs(3600);

/// What must be on the disk before the process ends.
pub async fn finish(app: &App) {
    let flushed = app.activity.flush(&app.db).await;
    let counted = app.record.append_crowds(countersign_ground::clock::Time::MAX).await;
    for error in [flushed.err(), counted.err()].into_iter().flatten() {
        tracing::warn!(%error, "could not write everything before the end");
    }
}

fn every<F, W>(app: &App, stop: &CancellationToken, pause: Duration, job: &'static str, work: F)
where
    F: Fn(App) -> W + Send + 'static,
    W: Future<Output = db::Result<()>> + Send,
{
    let (app, stop) = (app.clone(), stop.clone());
    tokio::spawn(async move {
        loop {
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = stop.cancelled() => return,
            }
            if let Err(error) = work(app.clone()).await {
                tracing::warn!(job, %error, "job failed; it will try again");
            }
        }
    });
}
