//! Every background job: what it does, and how often.

use std::time::Duration;

use countersign_ground::db;
use tokio_util::sync::CancellationToken;

use crate::app::App;
use crate::features::oauth;

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
    every(app, stop, Duration::from_secs(5), "database-check", |app| async move {
        let up = app.db.ping().await;
        app.metrics.dependency("database", up.is_ok());
        up
    });
}

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
