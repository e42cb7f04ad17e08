//! PostgreSQL, directly or through PgBouncer in transaction mode.
//!
//! Statements go out by `query_typed` and `execute_typed` only: unnamed, in one round trip, so
//! that a pooler can't separate a statement from its parameters. No session state.

mod appender;
mod session;

use std::panic::RefUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use deadpool_postgres::{Manager, ManagerConfig, Pool, RecyclingMethod, Runtime};
use futures_util::FutureExt;
use tokio::sync::{Notify, oneshot};
use tokio_util::task::TaskTracker;

use super::batch::Settled;
use super::recent::Recent;
use super::sqlite::panic_text;
use super::tx::{self, Engine};
use super::{Error, Leaf, Metrics, Options, Result, Row, Tx, Value, Work};
use appender::Appender;
pub(super) use session::Session;

/// How often a write is begun again after it lost against another one.
const ATTEMPTS: u32 = 8;

pub(super) struct Postgres {
    pool: Pool,
    /// None when it is only read.
    appender: Option<Appender>,
    recording: Option<Recording>,
    metrics: Metrics,
    stream: i64,
    timeout: Duration,
    doubts: Arc<AtomicU64>,
    announced: Arc<Notify>,
    writes: TaskTracker,
}

/// Where events go: a stream, and the memory of what was committed to it.
#[derive(Clone)]
struct Recording {
    stream: i64,
    recent: Arc<Recent>,
}

impl Postgres {
    pub(super) async fn open(
        url: &str,
        options: &Options,
        metrics: &Metrics,
        recent: &Arc<Recent>,
    ) -> Result<Self> {
        let mut opened = Self::reader(url, options, metrics).await?;
        let (pool, timeout) = (opened.pool.clone(), opened.timeout);
        let mut session = Session::get(&pool, options.timeout, metrics).await?;
        let stream = session::claim_stream(&mut session).await?;
        drop(session);
        let recording = Recording { stream, recent: Arc::clone(recent) };
        let appender = Appender::start(pool.clone(), timeout, metrics.clone(), recording.clone());
        opened.appender = Some(appender);
        opened.recording = Some(recording);
        opened.stream = stream;
        tokio::spawn(session::keep_stream(pool, timeout, metrics.clone(), stream));
        Ok(opened)
    }

    /// Without a stream of its own, and so without the means to write.
    pub(super) async fn reader(url: &str, options: &Options, metrics: &Metrics) -> Result<Self> {
        let (config, tls) = super::tls::connector(url)?;
        let recycling = ManagerConfig { recycling_method: RecyclingMethod::Fast };
        let manager = Manager::from_config(config, tls, recycling);
        let timeout = options.timeout;
        let pool = Pool::builder(manager)
            .max_size(options.pool_size.max(2))
            .runtime(Runtime::Tokio1)
            .timeouts(deadpool_postgres::Timeouts {
                wait: Some(timeout),
                create: Some(timeout),
                recycle: Some(timeout),
            })
            .build()
            .map_err(|error| Error::Unavailable(error.to_string()))?;
        drop(Session::get(&pool, timeout, metrics).await?);
        Ok(Self {
            pool,
            appender: None,
            recording: None,
            metrics: metrics.clone(),
            stream: 0,
            timeout,
            doubts: Arc::default(),
            announced: Arc::default(),
            writes: TaskTracker::new(),
        })
    }

    pub(super) async fn query(&self, sql: &'static str, params: &[Value]) -> Result<Vec<Row>> {
        Session::get(&self.pool, self.timeout, &self.metrics).await?.query(sql, params).await
    }

    pub(super) async fn write<I, T, E, F>(
        &self,
        input: I,
        work: F,
        timeout: Duration,
    ) -> Result<T, E>
    where
        I: Send + Sync + RefUnwindSafe + 'static,
        T: Send + 'static,
        E: From<Error> + Send + 'static,
        F: for<'t> Fn(&'t mut Tx, &'t I) -> Work<'t, T, E> + Send + Sync + RefUnwindSafe + 'static,
    {
        let Some(recording) = self.recording.clone().filter(|_| !self.writes.is_closed()) else {
            return Err(Error::Closed.into());
        };
        let place = Place {
            pool: self.pool.clone(),
            timeout,
            metrics: self.metrics.clone(),
            recording,
            doubts: Arc::clone(&self.doubts),
            announced: Arc::clone(&self.announced),
        };
        let (answer, answered) = oneshot::channel();
        // A task of its own: a client that goes away cancels nothing.
        self.writes.spawn(async move {
            let written = write(&place, input, work);
            let outcome = std::panic::AssertUnwindSafe(written).catch_unwind().await;
            let outcome =
                outcome.unwrap_or_else(|panic| Err(Error::Panicked(panic_text(&*panic)).into()));
            // Nobody may be waiting any more; what was committed stays.
            let _ = answer.send(outcome);
        });
        match tokio::time::timeout(timeout, answered).await {
            Ok(Ok(outcome)) => outcome,
            Ok(Err(_)) => Err(Error::Closed.into()),
            Err(_) => Err(Error::OutcomeUnknown("the commit took too long".into()).into()),
        }
    }

    pub(super) fn append(&self, leaf: Leaf) -> Result<Settled> {
        self.appender.as_ref().ok_or(Error::Closed)?.append(leaf)
    }

    pub(super) fn stream(&self) -> i64 {
        self.stream
    }

    pub(super) async fn announced(&self) {
        self.announced.notified().await;
    }

    pub(super) fn doubts(&self) -> u64 {
        self.doubts.load(Ordering::Relaxed)
    }

    pub(super) async fn close(&self) {
        self.writes.close();
        self.writes.wait().await;
        if let Some(appender) = &self.appender {
            appender.close().await;
        }
        self.pool.close();
    }
}

/// Where a write goes, and who hears of it.
struct Place {
    pool: Pool,
    timeout: Duration,
    metrics: Metrics,
    recording: Recording,
    doubts: Arc<AtomicU64>,
    announced: Arc<Notify>,
}

async fn write<I, T, E, F>(place: &Place, input: I, work: F) -> Result<T, E>
where
    I: Send + Sync,
    E: From<Error>,
    F: for<'t> Fn(&'t mut Tx, &'t I) -> Work<'t, T, E>,
{
    let session = Session::get(&place.pool, place.timeout, &place.metrics).await?;
    let mut tx = Tx::new(Engine::Postgres(session));
    for attempt in 1.. {
        tx.reset();
        session_of(&mut tx)?.begin();
        let outcome = work(&mut tx, &input).await;
        let (leaves, changes) = (std::mem::take(&mut tx.leaves), std::mem::take(&mut tx.changes));
        let failed = tx.failed.take();
        let conflict = matches!(failed, Some(Error::Conflict(_)));
        let outcome = match (outcome, failed) {
            (Ok(_), Some(lost)) => Err(lost.into()),
            (outcome, _) => outcome,
        };
        let session = session_of(&mut tx)?;
        let value = match outcome {
            Ok(value) => value,
            Err(own) => {
                session.rollback().await?;
                if conflict && attempt < ATTEMPTS {
                    continue;
                }
                return Err(own);
            }
        };
        let first = match session.commit(&changes, &leaves, place.recording.stream).await {
            Ok(first) => first,
            Err(Error::Conflict(_)) if attempt < ATTEMPTS => continue,
            Err(error) => {
                if matches!(error, Error::OutcomeUnknown(_)) {
                    place.doubts.fetch_add(1, Ordering::Relaxed);
                }
                return Err(error.into());
            }
        };
        place.metrics.count(&leaves);
        place.recording.recent.keep(first, leaves);
        if !changes.is_empty() {
            place.announced.notify_one();
        }
        tx::run(std::mem::take(&mut tx.after_commit));
        return Ok(value);
    }
    Err(Error::Busy.into())
}

fn session_of(tx: &mut Tx) -> Result<&mut Session> {
    match &mut tx.engine {
        Engine::Postgres(session) => Ok(session),
        Engine::Sqlite(_) => Err(Error::Closed),
    }
}
