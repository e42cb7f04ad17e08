//! The one thread that writes. It drains its queue into one transaction: each job in a savepoint
//! of its own, then the waiting events, one commit, and one wake for everybody.

use std::path::Path;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rusqlite::Connection;
use tokio::sync::{mpsc, oneshot};

use super::super::batch::{Batch, Gathering, Settled, answer_late};
use super::super::recent::Recent;
use super::super::tx::{self, Engine, Hook};
use super::super::{Change, Error, Leaf, Metrics, Result, STREAM_LENGTH, Tx};
use super::checkpoint::Checkpoints;
use super::job::Job;
use crate::clock::Stopwatch;

/// How many writes may wait before more are refused.
const MAX_JOBS: usize = 4_096;
/// Events gathered before the writer stops looking for more.
const FULL_BATCH: usize = 4_096;
/// The longest that the writer looks for more events before it commits.
const LINGER: Duration = Duration::from_millis(2);
/// SQLite has one process, so one stream.
pub(in super::super) const STREAM: i64 = 1;

pub(super) struct Writer {
    shared: Arc<Shared>,
    stopped: Mutex<Option<oneshot::Receiver<()>>>,
}

struct Shared {
    queue: Mutex<Queue>,
    arrived: Condvar,
}

#[derive(Default)]
struct Queue {
    jobs: Vec<Box<dyn Job>>,
    gathering: Gathering,
    idle: bool,
    closed: bool,
}

impl Writer {
    pub(super) fn start(
        path: &Path,
        timeout: Duration,
        metrics: Metrics,
        recent: Arc<Recent>,
    ) -> Result<Self> {
        let connection = super::connect(path)?;
        let checkpoints = Checkpoints::start(path)?;
        let shared = Arc::new(Shared { queue: Mutex::default(), arrived: Condvar::new() });
        let (settled, mut batches) = mpsc::unbounded_channel::<Arc<Batch>>();
        // One wake across threads a batch; the rest are made by this task on the runtime itself.
        tokio::spawn(async move {
            while let Some(batch) = batches.recv().await {
                batch.wake();
            }
        });
        let watched = Arc::downgrade(&shared);
        tokio::spawn(answer_late(timeout, move |look| {
            watched.upgrade().map(|shared| look(&mut shared.lock().gathering)).is_some()
        }));
        let (stop, stopped) = oneshot::channel();
        let thread = Thread {
            connection: Some(connection),
            shared: Arc::clone(&shared),
            settled,
            checkpoints,
            metrics,
            recent,
        };
        std::thread::Builder::new()
            .name("sqlite-writer".into())
            .spawn(move || {
                thread.run();
                let _ = stop.send(());
            })
            .map_err(|error| Error::Unavailable(error.to_string()))?;
        Ok(Self { shared, stopped: Mutex::new(Some(stopped)) })
    }

    pub(super) fn submit(&self, job: Box<dyn Job>) -> Result<()> {
        let mut queue = self.shared.lock();
        if queue.closed {
            return Err(Error::Closed);
        }
        if queue.jobs.len() >= MAX_JOBS {
            return Err(Error::Busy);
        }
        queue.jobs.push(job);
        self.shared.notify(queue);
        // Where there is one core for both, the disk should not wait for the next request.
        std::thread::yield_now();
        Ok(())
    }

    pub(super) fn append(&self, leaf: Leaf) -> Result<Settled> {
        let mut queue = self.shared.lock();
        if queue.closed {
            return Err(Error::Closed);
        }
        let batch = queue.gathering.add(leaf)?;
        self.shared.notify(queue);
        Ok(batch.settled())
    }

    pub(super) async fn close(&self) {
        self.shared.close();
        let stopped = self.stopped.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(stopped) = stopped {
            let _ = stopped.await;
        }
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.shared.close();
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn close(&self) {
        self.lock().closed = true;
        self.arrived.notify_one();
    }

    /// A writer at work looks at the queue by itself; only an idle one needs the system call.
    fn notify(&self, mut queue: MutexGuard<'_, Queue>) {
        if std::mem::take(&mut queue.idle) {
            drop(queue);
            self.arrived.notify_one();
        }
    }

    /// Waits for work, then gives way until two turns brought nothing new, a job waits, or
    /// [`LINGER`] has passed: a fuller batch costs less than the turns. `None` when closed.
    fn next(&self) -> Option<Work> {
        let mut queue = self.lock();
        while queue.jobs.is_empty() && queue.gathering.len() == 0 {
            if queue.closed {
                return None;
            }
            queue.idle = true;
            queue = self.arrived.wait(queue).unwrap_or_else(PoisonError::into_inner);
        }
        queue.idle = false;
        let watch = Stopwatch::start();
        let (mut seen, mut quiet) = (queue.gathering.len(), 0);
        while queue.jobs.is_empty() && seen < FULL_BATCH && quiet < 2 && watch.elapsed() < LINGER {
            drop(queue);
            std::thread::yield_now();
            queue = self.lock();
            quiet = if queue.gathering.len() == seen { quiet + 1 } else { 0 };
            seen = queue.gathering.len();
        }
        let (leaves, batch) = queue.gathering.take();
        Some(Work { jobs: std::mem::take(&mut queue.jobs), leaves, batch })
    }
}

/// What one transaction will hold.
struct Work {
    jobs: Vec<Box<dyn Job>>,
    leaves: Vec<Leaf>,
    batch: Arc<Batch>,
}

/// What the jobs of a transaction leave behind once it has committed.
#[derive(Default)]
struct Changes {
    leaves: Vec<Leaf>,
    announced: Vec<Change>,
    hooks: Vec<Hook>,
}

struct Thread {
    connection: Option<Connection>,
    shared: Arc<Shared>,
    settled: mpsc::UnboundedSender<Arc<Batch>>,
    checkpoints: Checkpoints,
    metrics: Metrics,
    recent: Arc<Recent>,
}

impl Thread {
    fn run(mut self) {
        while let Some(Work { jobs, leaves, batch }) = self.shared.next() {
            let mut jobs: Vec<_> = jobs
                .into_iter()
                .filter_map(|mut job| if job.begin() { Some(job) } else { None })
                .collect();
            let watch = Stopwatch::start();
            let mut changes = Changes::default();
            let outcome = self.commit(&mut jobs, &leaves, &mut changes);
            let seconds = if jobs.is_empty() { &self.metrics.append } else { &self.metrics.commit };
            seconds.observe(watch.elapsed().as_secs_f64());
            let outcome = outcome.map(|first| {
                self.metrics.count(changes.leaves.iter().chain(&leaves));
                changes.leaves.extend(leaves);
                self.recent.keep(first, std::mem::take(&mut changes.leaves));
                tx::run(changes.hooks);
            });
            // Before the events: whom they wake would take this thread's core.
            for job in jobs {
                job.answer(outcome.clone());
            }
            batch.settle(outcome);
            // Fails only when the runtime is gone, and then nobody waits.
            let _ = self.settled.send(batch);
            if let Some(connection) = &self.connection {
                self.checkpoints.after_commit(connection);
            }
        }
        if let Some(connection) = &self.connection {
            // A log that is left behind is read at the next start; this only makes that quicker.
            let _ = connection.execute_batch("PRAGMA wal_checkpoint(TRUNCATE)");
        }
    }

    fn commit(
        &mut self,
        jobs: &mut [Box<dyn Job>],
        leaves: &[Leaf],
        changes: &mut Changes,
    ) -> Result<i64> {
        let Some(connection) = self.connection.take() else { return Err(Error::Closed) };
        let mut tx = Tx::new(Engine::Sqlite(connection));
        let outcome = fill(&mut tx, jobs, leaves, changes);
        let Engine::Sqlite(connection) = tx.engine else { return Err(Error::Closed) };
        let outcome = outcome.and_then(|first| {
            connection.prepare_cached("COMMIT")?.execute([])?;
            Ok(first)
        });
        if outcome.is_err() && !connection.is_autocommit() {
            // A rollback can only fail when there is nothing to roll back.
            let _ = connection.execute_batch("ROLLBACK");
        }
        self.connection = Some(connection);
        outcome
    }
}

/// One transaction up to its commit.
fn fill(
    tx: &mut Tx,
    jobs: &mut [Box<dyn Job>],
    leaves: &[Leaf],
    changes: &mut Changes,
) -> Result<i64> {
    begin(sqlite(tx)?)?;
    for job in jobs {
        sqlite(tx)?.prepare_cached("SAVEPOINT job")?.execute([])?;
        let keep = job.run(tx);
        // A full disk makes SQLite roll back everything, the other jobs with it.
        if sqlite(tx)?.is_autocommit() {
            return Err(Error::Unavailable("the disk may be full".into()));
        }
        if keep {
            changes.leaves.append(&mut tx.leaves);
            changes.announced.append(&mut tx.changes);
            changes.hooks.append(&mut tx.after_commit);
        } else {
            sqlite(tx)?.prepare_cached("ROLLBACK TO job")?.execute([])?;
        }
        sqlite(tx)?.prepare_cached("RELEASE job")?.execute([])?;
        tx.reset();
    }
    announce(sqlite(tx)?, &changes.announced)?;
    record(sqlite(tx)?, &changes.leaves, leaves)
}

fn sqlite(tx: &mut Tx) -> Result<&mut Connection> {
    match &mut tx.engine {
        Engine::Sqlite(connection) => Ok(connection),
        Engine::Postgres(_) => Err(Error::Closed),
    }
}

fn begin(connection: &Connection) -> Result<()> {
    connection.prepare_cached("BEGIN IMMEDIATE")?.execute([])?;
    Ok(())
}

/// Numbers the changes that every node must notice.
fn announce(connection: &Connection, changes: &[Change]) -> Result<()> {
    for Change { kind, subject } in changes {
        connection.prepare_cached("UPDATE change_clock SET n = n + 1")?.execute([])?;
        connection
            .prepare_cached("INSERT INTO changes SELECT n, ?1, ?2 FROM change_clock")?
            .execute((kind, subject))?;
    }
    Ok(())
}

/// Appends events to the stream: the counter first, so that numbers follow without a gap. Gives the first
/// one's.
fn record(connection: &Connection, changes: &[Leaf], leaves: &[Leaf]) -> Result<i64> {
    let count = i64::try_from(changes.len() + leaves.len()).unwrap_or(i64::MAX);
    if count == 0 {
        return Ok(0);
    }
    // Not RETURNING, for which SQLite makes a table of its own each time.
    connection
        .prepare_cached("UPDATE event_streams SET n = n + ?1 WHERE stream = ?2")?
        .execute((count, STREAM))?;
    let last: i64 = connection
        .prepare_cached("SELECT n FROM event_streams WHERE stream = ?1")?
        .query_row([STREAM], |row| row.get(0))?;
    let mut position = STREAM * STREAM_LENGTH + last - count;
    let mut insert = connection.prepare_cached(
        "INSERT INTO audit_events (position, time, tenant, agent_id, action, outcome, body)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
    )?;
    for leaf in changes.iter().chain(leaves) {
        position += 1;
        let agent = leaf.agent.map(|agent| agent.to_string());
        insert.execute((
            position,
            leaf.time.0,
            &*leaf.tenant,
            agent,
            leaf.action,
            leaf.outcome,
            &leaf.body,
        ))?;
    }
    Ok(last - count + 1)
}
