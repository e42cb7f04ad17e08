//! Every background job: what it does, and how often.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use countersign_ground::db;
use countersign_ground::keyring::{self, RingError, State};
use countersign_ground::problem::Problem;
use tokio_util::sync::CancellationToken;

use crate::app::App;
use crate::features::{agents, credentials, keys, oauth, operators, quotas, rbac, tenants};
use crate::law::permit::{Job, Permit};

/// Starts all of them; they end with `stop`.
pub fn start(app: &App, stop: &CancellationToken) {
    every(app, stop, Duration::from_secs(1), "activity", |app| async move {
        app.activity.flush(&app.db, app.keys.take_uses()).await
    });
    every(app, stop, Duration::from_secs(1), "matrix-file", |app| async move {
        if app.rbac.file_changed() {
            read_matrix_again(&app).await;
        }
        Ok(())
    });
    every(app, stop, Duration::from_secs(1), "certificates", |app| async move {
        refresh_certificates(&app);
        Ok(())
    });
    every(app, stop, Duration::from_secs(10), "crowds", |app| async move {
        app.record.append_crowds(app.clock.now()).await
    });
    every(app, stop, Duration::from_secs(60), "forgetting", |app| async move {
        let now = app.clock.now();
        app.law.directory.forget_expired(now - oauth::store::REMEMBERED);
        app.law.forget(now);
        app.quotas.forget(now);
        quotas::store::forget(&app.db, now).await?;
        oauth::store::forget_expired(&app.db, now).await
    });
    every(app, stop, Duration::from_secs(60), "keys", |app| async move {
        rotate_when_due(&app).await;
        make_next_key(&app);
        keys::retire(&app.ring_change("key.retired"), Permit::system(Job::KeyRotation)).await
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
    tenants::store::load(&app.db, &app.law.directory).await?;
    operators::store::load(&app.db, &app.law.directory).await?;
    agents::store::load(&app.db, &app.law.directory).await?;
    credentials::store::load(&app.db, &app.law.directory, now - DOUBTFUL).await?;
    oauth::store::load(&app.db, &app.law.directory, now).await?;
    app.keys.reload(&app.db).await.map_err(failure)?;
    rbac::http::remember(app).await?;
    known.store(doubts, Ordering::Relaxed);
    Ok(())
}

/// How far back a revocation may have gone unnoticed.
const DOUBTFUL: Duration = Duration::from_secs(3600);

/// Reads the matrix again, as its file is now; one that can't be used leaves the old one in force.
pub async fn read_matrix_again(app: &App) {
    match rbac::http::again(app, Permit::system(Job::MatrixFile)).await {
        Ok(reloaded) => tracing::info!(hash = reloaded.new_hash, "{}", reloaded.message),
        Err(problem) => {
            tracing::error!(?problem, "the role matrix stays as it was");
        }
    }
}

/// Serves with the certificates as their files are now; unusable ones leave the old ones in force.
pub fn refresh_certificates(app: &App) {
    match app.tls.as_ref().map(|tls| tls.refresh()) {
        Some(Ok(true)) => tracing::info!("other certificates are served from now on"),
        Some(Err(error)) => tracing::error!(%error, "the certificates stay as they were"),
        Some(Ok(false)) | None => {}
    }
}

/// The next token key follows when the active one has signed for long enough.
pub async fn rotate_when_due(app: &App) {
    let Some(period) = app.config.rotate_every else { return };
    let since = keyring::active_since(&app.db).await;
    if !since.is_ok_and(|since| since.is_some_and(|since| since + period <= app.clock.now())) {
        return;
    }
    let change = app.ring_change("key.rotated");
    match keys::rotate(&change, Permit::system(Job::KeyRotation), false).await {
        Ok(rotated) => {
            tracing::info!(kid = rotated.active, "the next token key signs from now on");
            make_next_key(app);
        }
        Err(problem) => tracing::warn!(?problem, "token keys were not rotated"),
    }
}

/// Makes the next token key if there is none, and waits for it.
///
/// # Errors
/// When the database fails.
pub async fn ensure_next_key(app: &App) -> Result<(), Problem> {
    if app.keys.token_keys().iter().any(|one| one.state() == State::Next) {
        return Ok(());
    }
    let made =
        app.keys.ensure(&app.db, app.config.algorithm, State::Next, &app.clock, &app.entropy);
    made.await.map_err(|error| failure(error).into())
}

/// The next token key is made beside the work: an RSA key takes a while.
pub fn make_next_key(app: &App) {
    let app = app.clone();
    tokio::spawn(async move {
        if let Err(problem) = ensure_next_key(&app).await {
            tracing::warn!(?problem, "the next token key was not made");
        }
    });
}

fn failure(error: RingError) -> db::Error {
    match error {
        RingError::Database(error) => error,
        other => db::Error::Query(other.to_string()),
    }
}

/// What must be on the disk before the process ends.
pub async fn finish(app: &App) {
    let flushed = app.activity.flush_all(&app.db, app.keys.take_uses()).await;
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
