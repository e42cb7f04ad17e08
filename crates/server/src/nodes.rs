//! Other nodes on the same database: what they change is asked for all the time, and read into memory.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use countersign_ground::db;
use countersign_policy::{Matrix, Registry, Routes};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::app::App;
use crate::features::documents::http as documents;
use crate::features::{agents, credentials, guards, oauth, operators, tenants};
use crate::law::change::Changed;
use crate::start;

/// How often it is asked what has changed.
const PAUSE: Duration = Duration::from_millis(250);

/// Follows the changes after number `seen`, until `stop`.
pub(crate) fn follow(app: &App, seen: i64, stop: &CancellationToken) {
    if !app.law.following.is_shared() {
        return;
    }
    nudge(app, stop);
    let registry = follow_registry(app, stop);
    let (app, stop) = (app.clone(), stop.clone());
    tokio::spawn(async move {
        let (mut seen, mut doubts) = (seen, app.db.doubts());
        loop {
            tokio::select! {
                () = app.law.following.due(PAUSE) => {}
                () = stop.cancelled() => return,
            }
            let look = app.law.following.begin();
            let outcome = catch_up(&app, seen, &registry).await;
            app.law.following.end(&look, outcome.is_ok());
            match outcome {
                Ok(now) => seen = now,
                Err(error) => tracing::warn!(%error, "could not learn what other nodes changed"),
            }
            app.metrics.degraded("memory_stale", !app.law.following.is_fresh());
            doubts = notice_doubts(&app, doubts);
        }
    });
}

/// Tells the others at once what this node has changed, and hears it from them: where there is a Redis,
/// and while it answers.
fn nudge(app: &App, stop: &CancellationToken) {
    let Some(shared) = &app.shared else { return };
    let (telling, told) = (Arc::clone(shared), app.clone());
    tokio::spawn(stop.clone().run_until_cancelled_owned(async move {
        loop {
            told.db.announced().await;
            telling.nudge().await;
        }
    }));
    let (listening, app) = (Arc::clone(shared), app.clone());
    tokio::spawn(stop.clone().run_until_cancelled_owned(async move {
        loop {
            if let Err(error) = listening.listen(|| app.law.following.nudge()).await {
                tracing::debug!(%error, "Redis can't be listened to");
            }
            tokio::time::sleep(AGAIN).await;
        }
    }));
}

/// Between attempts to listen to Redis, or to read a registry.
const AGAIN: Duration = Duration::from_secs(1);

/// Reads another registry whenever it is told that there is one: a large one takes a second or two, for which nobody
/// should wait who only wants to know whether an agent was stopped.
fn follow_registry(app: &App, stop: &CancellationToken) -> Arc<Notify> {
    let changed = Arc::new(Notify::new());
    let (told, app) = (Arc::clone(&changed), app.clone());
    tokio::spawn(stop.clone().run_until_cancelled_owned(async move {
        loop {
            told.notified().await;
            while let Err(error) = documents::remember::<Registry>(&app).await {
                tracing::warn!(%error, "could not read another registry");
                tokio::time::sleep(AGAIN).await;
            }
        }
    }));
    changed
}

/// A commit whose answer did not come has told nobody, but its change is among those that are read.
fn notice_doubts(app: &App, known: u64) -> u64 {
    let doubts = app.db.doubts();
    if doubts != known {
        app.law.following.nudge();
    }
    doubts
}

/// Reads what has changed after number `seen`; gives the number of the newest change.
///
/// # Errors
/// When the database fails; what was read is kept, and read again the next time.
async fn catch_up(app: &App, mut seen: i64, registry: &Notify) -> db::Result<i64> {
    loop {
        let now = app.db.change_clock().await?;
        if now == seen {
            return Ok(seen);
        }
        let changes = if now > seen { app.db.changes_after(seen).await? } else { Vec::new() };
        let (Some(first), Some(last)) = (changes.first(), changes.last()) else {
            // A copy of the database has taken its place, and not all had reached it.
            tracing::warn!(seen, now, "changes are gone: reading everything again");
            remember_all(app, registry).await?;
            return Ok(now);
        };
        if first.n != seen + 1 {
            tracing::warn!(seen, now, "changes were missed: reading everything again");
            remember_all(app, registry).await?;
            return Ok(now);
        }
        let changed: HashSet<Changed> = changes.iter().filter_map(Changed::read).collect();
        for one in &changed {
            remember(app, one, registry).await?;
        }
        seen = last.n;
    }
}

/// Reads one thing that has changed.
async fn remember(app: &App, changed: &Changed, registry: &Notify) -> db::Result<()> {
    let (db, directory) = (&app.db, &app.law.directory);
    match changed {
        Changed::Agent(id) => {
            agents::store::load_one(db, directory, *id).await?;
            credentials::store::load_of(db, directory, *id).await
        }
        Changed::Operator(id) => operators::store::load_one(db, directory, id).await,
        Changed::Tenant(id) => {
            tenants::store::load_one(db, directory, id).await?;
            app.quotas.clear();
            Ok(())
        }
        Changed::Revocation(id) => oauth::store::load_one(db, directory, *id).await,
        Changed::Keys => app.keys.reload(db).await.map_err(db::Error::from),
        Changed::Matrix => documents::remember::<Matrix>(app).await,
        Changed::Routes => documents::remember::<Routes>(app).await,
        Changed::Guards => guards::remember(db, &app.law.guards, &app.metrics).await,
        Changed::Registry => {
            registry.notify_one();
            Ok(())
        }
    }
}

/// Reads everything again, in the place of what was known: that may be newer than the database is now.
async fn remember_all(app: &App, registry: &Notify) -> db::Result<()> {
    let fresh = Arc::new(app.law.directory.successor());
    start::remember(&app.db, &fresh, app.clock.now()).await?;
    app.law.directory.replace(&fresh);
    app.quotas.clear();
    app.keys.reload(&app.db).await.map_err(db::Error::from)?;
    registry.notify_one();
    guards::remember(&app.db, &app.law.guards, &app.metrics).await?;
    documents::remember::<Routes>(app).await?;
    documents::remember::<Matrix>(app).await
}
