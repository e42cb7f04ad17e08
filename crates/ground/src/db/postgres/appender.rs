//! Events that need no transaction of their own: gathered while one flush is under way, then sent
//! as one statement.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use deadpool_postgres::Pool;
use tokio::sync::Notify;
use tokio::task::JoinHandle;

use super::super::batch::{Gathering, Settled, answer_late};
use super::super::{Error, Leaf, Metrics, Result};
use super::{Recording, Session};
use crate::clock::Stopwatch;

pub(super) struct Appender {
    shared: Arc<Shared>,
    task: Mutex<Option<JoinHandle<()>>>,
}

struct Shared {
    queue: Mutex<Queue>,
    arrived: Notify,
}

#[derive(Default)]
struct Queue {
    gathering: Gathering,
    closed: bool,
}

impl Appender {
    pub(super) fn start(
        pool: Pool,
        timeout: Duration,
        metrics: Metrics,
        recording: Recording,
    ) -> Self {
        let shared = Arc::new(Shared { queue: Mutex::default(), arrived: Notify::new() });
        let watched = Arc::downgrade(&shared);
        tokio::spawn(answer_late(timeout, move |look| {
            watched.upgrade().map(|shared| look(&mut shared.lock().gathering)).is_some()
        }));
        let task = tokio::spawn(flush(Arc::clone(&shared), pool, timeout, metrics, recording));
        Self { shared, task: Mutex::new(Some(task)) }
    }

    pub(super) fn append(&self, leaf: Leaf) -> Result<Settled> {
        let batch = {
            let mut queue = self.shared.lock();
            if queue.closed {
                return Err(Error::Closed);
            }
            queue.gathering.add(leaf)?
        };
        self.shared.arrived.notify_one();
        Ok(batch.settled())
    }

    pub(super) async fn close(&self) {
        self.shared.lock().closed = true;
        self.shared.arrived.notify_one();
        let task = self.task.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(task) = task {
            let _ = task.await;
        }
    }
}

impl Drop for Appender {
    fn drop(&mut self) {
        self.shared.lock().closed = true;
        self.shared.arrived.notify_one();
    }
}

impl Shared {
    fn lock(&self) -> std::sync::MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn flush(
    shared: Arc<Shared>,
    pool: Pool,
    timeout: Duration,
    metrics: Metrics,
    recording: Recording,
) {
    loop {
        // Those that are ready to run may have events, too.
        tokio::task::yield_now().await;
        let (leaves, batch, closed) = {
            let mut queue = shared.lock();
            let (leaves, batch) = queue.gathering.take();
            (leaves, batch, queue.closed)
        };
        if leaves.is_empty() {
            if closed {
                return;
            }
            shared.arrived.notified().await;
            continue;
        }
        let watch = Stopwatch::start();
        let outcome = send(&pool, timeout, &metrics, recording.stream, &leaves).await;
        metrics.append.observe(watch.elapsed().as_secs_f64());
        let outcome = outcome.map(|first| {
            metrics.count(&leaves);
            recording.recent.keep(first, leaves);
        });
        batch.settle(outcome);
        batch.wake();
    }
}

async fn send(
    pool: &Pool,
    timeout: Duration,
    metrics: &Metrics,
    stream: i64,
    leaves: &[Leaf],
) -> Result<i64> {
    let mut session = Session::get(pool, timeout, metrics).await?;
    match session.record(leaves, stream).await {
        // The statement may have committed before the connection went.
        Err(Error::Unavailable(cause)) => Err(Error::OutcomeUnknown(cause)),
        outcome => outcome,
    }
}
