//! Every background job: what it does, and how often.

use std::time::Duration;

use countersign_ground::db;
use countersign_ground::keyring::{self, State};
use countersign_ground::problem::Problem;
use countersign_policy::{Registry, Routes};
use tokio_util::sync::CancellationToken;

use crate::app::App;
use crate::features::audit::retention;
use crate::features::documents::http as documents;
use crate::features::policy::PolicyDirectory;
use crate::features::{guards, keys, oauth, quotas, rbac};
use crate::law::action::{LoadRegistry, ReloadPackages, WriteRoutes};
use crate::law::permit::{Job, Permit};

/// Starts all of them; they end with `stop`.
pub fn start(app: &App, stop: &CancellationToken) {
    every(app, stop, Duration::from_secs(1), "activity", |app| async move {
        if app.law.following.is_shared() {
            // Other nodes issue tokens, too: how many there are is asked anew.
            app.quotas.clear();
        }
        app.activity.flush(&app.db, app.keys.take_uses()).await
    });
    every(app, stop, Duration::from_secs(1), "guards", |app| async move {
        write_guard_traffic(&app).await
    });
    every(app, stop, Duration::from_secs(1), "files", |app| async move {
        if app.rbac.file_changed() {
            read_matrix_again(&app).await;
        }
        if app.registry.file_changed() {
            read_registry_again(&app).await;
        }
        if app.routes.file_changed() {
            read_routes_again(&app).await;
        }
        if app.policy.file_changed() {
            read_policy_again(&app).await;
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
    every(app, stop, Duration::from_secs(1), "seals", |app| async move {
        seal(&app).await?;
        tell_sink(&app).await;
        Ok(())
    });
    every(app, stop, Duration::from_secs(3600), "guard-traffic", |app| async move {
        forget_guard_traffic(&app).await
    });
    every(app, stop, Duration::from_secs(3600), "retention", |app| async move {
        expire(&app).await.map(drop)
    });
    every(app, stop, Duration::from_secs(60), "forgetting", |app| async move {
        let now = app.clock.now();
        app.law.directory.forget_expired(now - oauth::store::REMEMBERED);
        app.law.forget(now);
        app.quotas.forget(now);
        quotas::store::forget(&app.db, now).await?;
        app.db.forget_changes().await?;
        oauth::store::forget_expired(&app.db, now).await
    });
    every(app, stop, Duration::from_secs(60), "keys", |app| async move {
        rotate_when_due(&app).await;
        make_next_key(&app);
        keys::retire(&app.ring_change("key.retired"), Permit::system(Job::KeyRotation)).await
    });
    every(
        app,
        stop,
        Duration::from_secs(10),
        "vault",
        |app| async move { settle_vault(&app).await },
    );
    every(app, stop, Duration::from_secs(60), "vault-token", |app| async move {
        if let Some(vault) = &app.vault {
            vault.renew().await;
        }
        Ok(())
    });
    every(app, stop, Duration::from_secs(5), "vault-check", |app| async move {
        if let Some(vault) = &app.vault {
            vault.check().await;
        }
        Ok(())
    });
    every(app, stop, Duration::from_secs(5), "database-check", |app| async move {
        if let Some(lost) = app.database_outage().await {
            tracing::warn!(seconds = lost.as_secs(), "the database does not answer");
        }
        app.redis_is_up().await;
        Ok(())
    });
}

/// Seals what waits for it, and tells those who follow the record.
///
/// # Errors
/// When the database fails, or the key of seals can't be opened.
pub async fn seal(app: &App) -> db::Result<()> {
    let sealed = app.record.seal(&app.keys).await.map_err(db::Error::from);
    let lag = app.record.seal_lag().await?;
    app.metrics.seal_lag(lag);
    app.metrics.degraded("seals_late", lag > LATE);
    let newest = app.record.newest_seal().await?;
    app.newest_seal.send_if_modified(|known| std::mem::replace(known, newest) != newest);
    sealed.map(drop)
}

/// Hands new seals to where they are kept besides the database.
pub async fn tell_sink(app: &App) {
    let Some(sink) = &app.sink else { return };
    let told = sink.tell(&app.record).await;
    if let Err(error) = &told {
        tracing::error!(%error, "seals are not kept elsewhere");
    }
    app.metrics.degraded("seal_sink", told.is_err());
}

/// Lets events go that are older than the record keeps them; gives how many.
///
/// # Errors
/// The database's failure.
pub async fn expire(app: &App) -> db::Result<i64> {
    let (now, days) = (app.clock.now(), app.config.retention_days);
    let tell = |action| app.event(action, now);
    let parts = (&*app.record, &*app.keys);
    retention::expire(parts, &app.law.directory, days, now, tell).await.map_err(db::Error::from)
}

/// How far back a guard's report can look.
const GUARD_TRAFFIC: Duration = Duration::from_secs(7 * 24 * 3600);
/// A record that waits longer for its seal is told of.
const LATE: Duration = Duration::from_secs(30);

/// Brings to its end what was begun in Vault and not ended; forgets what need not be known any more.
///
/// # Errors
/// When the database fails.
pub async fn settle_vault(app: &App) -> db::Result<()> {
    let Some(vault) = &app.vault else { return Ok(()) };
    vault.forget(app.clock.now());
    vault.settle().await
}

/// Writes down what guards have let through and denied.
///
/// # Errors
/// When the database fails.
pub async fn write_guard_traffic(app: &App) -> db::Result<()> {
    guards::write_traffic(&app.db, &app.law.guards, app.clock.now()).await
}

/// Forgets what no report looks back to.
///
/// # Errors
/// When the database fails.
pub async fn forget_guard_traffic(app: &App) -> db::Result<()> {
    app.law.guards.forget_sources();
    guards::store::forget(&app.db, app.clock.now() - GUARD_TRAFFIC).await
}

/// Reads the matrix again, as its file is now; one that can't be used leaves the old one in force.
pub async fn read_matrix_again(app: &App) {
    match rbac::http::again(app, Permit::system(Job::MatrixFile)).await {
        Ok(reloaded) => tracing::info!(hash = reloaded.new_hash, "{}", reloaded.message),
        Err(problem) => {
            tracing::error!(?problem, "the role matrix stays as it was");
        }
    }
}

/// Reads the registry again, as its file is now; one that can't be used leaves the old one in force.
pub async fn read_registry_again(app: &App) {
    let permit: Permit<LoadRegistry> = Permit::system(Job::RegistryFile);
    match documents::again::<Registry, _>(app, permit).await {
        Ok(Some(loaded)) => {
            tracing::info!(digest = &**loaded.digest(), "another registry is in force");
        }
        Ok(None) => {}
        Err(problem) => tracing::error!(?problem, "the registry stays as it was"),
    }
}

/// Reads the route table again, as its file is now; one that can't be used leaves the old one in force.
pub async fn read_routes_again(app: &App) {
    let permit: Permit<WriteRoutes> = Permit::system(Job::RoutesFile);
    match documents::again::<Routes, _>(app, permit).await {
        Ok(Some(loaded)) => tracing::info!(hash = loaded.hash(), "another route table is in force"),
        Ok(None) => {}
        Err(problem) => tracing::error!(?problem, "the route table stays as it was"),
    }
}

/// Reads the policy directory again, as it is now; one that can't be used leaves the old one in force.
pub async fn read_policy_again(app: &App) {
    let permit: Permit<ReloadPackages> = Permit::system(Job::PolicyDirectory);
    match documents::again::<PolicyDirectory, _>(app, permit).await {
        Ok(Some(_)) => tracing::info!("the policy directory was read again and is in force"),
        Ok(None) => {}
        Err(problem) => tracing::error!(?problem, "the policy directory in force stays"),
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
    made.await.map_err(|error| db::Error::from(error).into())
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

/// What must be on the disk before the process ends.
pub async fn finish(app: &App) {
    let flushed = app.activity.flush_all(&app.db, app.keys.take_uses()).await;
    let counted = app.record.append_crowds(countersign_ground::clock::Time::MAX).await;
    let guarded = write_guard_traffic(app).await;
    let sealed = app.record.seal(&app.keys).await.map_err(db::Error::from);
    for error in [flushed.err(), counted.err(), guarded.err(), sealed.err()].into_iter().flatten() {
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
