//! The database: SQLite or PostgreSQL behind one small facade.
//!
//! One SQL text serves both; what differs between the engines stays inside this folder.
//! - [`Db::query`] reads, without a transaction.
//! - [`Db::write`] runs a closure in a transaction. What the closure was lent survives a retry.
//! - [`crate::record::Record`] appends events by group commit; that can't be done inside a write.
//!
//! Portable SQL: parameters are `$1`, `$2`; columns are TEXT, BIGINT and bytes; times are
//! microseconds; a flag is a nullable time; ranges, not LIKE; `SUM` is cast to BIGINT.

mod batch;
mod changes;
mod error;
mod migrate;
mod postgres;
mod recent;
mod sqlite;
mod tls;
mod tx;
mod url;
mod value;

use std::f64::consts::SQRT_2;
use std::panic::RefUnwindSafe;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};

use crate::clock::{Stopwatch, Time};
use crate::ids::AgentId;
use crate::record::Mark;
use recent::Recent;

pub use batch::Settled;
pub use changes::{Announced, Change};
pub use error::Error;
pub use migrate::{Applied, Migration, migrate};
pub use tx::Tx;
pub use url::{DatabaseUrl, InvalidUrl};
pub use value::{FromValue, Row, Value};

/// What a call to the database gives.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// The future of a write's closure: it borrows the transaction and what the closure was lent.
pub type Work<'t, T, E = Error> = Pin<Box<dyn Future<Output = Result<T, E>> + Send + 't>>;

/// One event as its row is stored. `body` is the truth; the other columns are copies to search by.
#[derive(Debug, Clone)]
pub struct Leaf {
    /// When it happened.
    pub time: Time,
    /// Whose it is.
    pub tenant: Arc<str>,
    /// The agent it is about.
    pub agent: Option<AgentId>,
    /// What was done, such as `token.issued`.
    pub action: &'static str,
    /// How it ended.
    pub outcome: &'static str,
    /// RFC 8785 text of the event.
    pub body: String,
    /// What sealing needs of it, where this process seals and that was at hand.
    pub(crate) mark: Option<Mark>,
}

/// How many positions one stream has: a position is `stream * STREAM_LENGTH + n`.
pub const STREAM_LENGTH: i64 = 1 << 40;

/// How to open a database.
#[derive(Debug, Clone)]
pub struct Options {
    /// Where it is.
    pub url: DatabaseUrl,
    /// PostgreSQL connections, or SQLite readers.
    pub pool_size: usize,
    /// A request that waits longer fails.
    pub timeout: Duration,
}

/// What is measured of the database.
#[derive(Debug, Clone)]
pub struct Metrics {
    /// All of the following, for the registry.
    pub queries: Family<Operation, Histogram, fn() -> Histogram>,
    /// Seconds of a read, its wait for a connection included.
    pub read: Histogram,
    /// Seconds of a write, from being asked for to its answer.
    pub write: Histogram,
    /// Seconds of a transaction that holds changes: on SQLite with all that commits together, on
    /// PostgreSQL its events and its commit.
    pub commit: Histogram,
    /// Seconds of a transaction that holds events alone.
    pub append: Histogram,
    /// Connections in use.
    pub in_use: Gauge,
    /// Events committed to the record.
    pub events: Family<Action, Counter>,
}

/// Which kind of call to the database.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct Operation {
    /// `read`, `write` or `commit`.
    pub operation: &'static str,
}

/// Which action an event is of.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct Action {
    /// Such as `token.issued`.
    pub action: &'static str,
}

impl Metrics {
    fn count<'l>(&self, committed: impl IntoIterator<Item = &'l Leaf>) {
        let mut last: Option<(&'static str, Counter)> = None;
        for leaf in committed {
            let (_, counter) = match last.take() {
                Some(same) if same.0 == leaf.action => last.insert(same),
                _ => {
                    let label = Action { action: leaf.action };
                    last.insert((leaf.action, self.events.get_or_create_owned(&label)))
                }
            };
            counter.inc();
        }
    }
}

impl Default for Metrics {
    fn default() -> Self {
        let queries = Family::new_with_constructor(
            (|| Histogram::new(exponential_buckets(0.000_1, SQRT_2, 30))) as fn() -> Histogram,
        );
        let of = |operation| queries.get_or_create_owned(&Operation { operation });
        Self {
            read: of("read"),
            write: of("write"),
            commit: of("commit"),
            append: of("append"),
            queries,
            in_use: Gauge::default(),
            events: Family::default(),
        }
    }
}

/// A handle on the database; clones share it.
#[derive(Clone)]
pub struct Db {
    engine: Engine,
    timeout: Duration,
    metrics: Metrics,
    recent: Arc<Recent>,
}

#[derive(Clone)]
enum Engine {
    Sqlite(Arc<sqlite::Sqlite>),
    Postgres(Arc<postgres::Postgres>),
}

impl Db {
    /// Opens the database. It must have been migrated. Call within a runtime.
    ///
    /// # Errors
    /// When it can't be reached, or (SQLite) another process has it.
    pub async fn open(options: &Options, metrics: Metrics) -> Result<Self> {
        let recent = Arc::<Recent>::default();
        let engine = match &options.url {
            DatabaseUrl::Sqlite(path) => {
                Engine::Sqlite(Arc::new(sqlite::Sqlite::open(path, options, &metrics, &recent)?))
            }
            DatabaseUrl::Postgres(url) => Engine::Postgres(Arc::new(
                postgres::Postgres::open(url, options, &metrics, &recent).await?,
            )),
        };
        Ok(Self { engine, timeout: options.timeout, metrics, recent })
    }

    /// Opens the database for reading alone, beside whoever writes. A write or an append fails.
    ///
    /// # Errors
    /// When it can't be reached.
    pub async fn open_reader(options: &Options, metrics: Metrics) -> Result<Self> {
        let engine = match &options.url {
            DatabaseUrl::Sqlite(path) => {
                Engine::Sqlite(Arc::new(sqlite::Sqlite::reader(path, options, &metrics)?))
            }
            DatabaseUrl::Postgres(url) => Engine::Postgres(Arc::new(
                postgres::Postgres::reader(url, options, &metrics).await?,
            )),
        };
        Ok(Self { engine, timeout: options.timeout, metrics, recent: Arc::default() })
    }

    /// Rows of a read. Sees what is committed, within no transaction.
    ///
    /// # Errors
    /// As [`Error`] says; nothing is retried.
    pub async fn query(&self, sql: &'static str, params: &[Value]) -> Result<Vec<Row>> {
        let watch = Stopwatch::start();
        let read = async {
            match &self.engine {
                Engine::Sqlite(sqlite) => sqlite.query(sql, params.to_vec()).await,
                Engine::Postgres(postgres) => postgres.query(sql, params).await,
            }
        };
        let rows = tokio::time::timeout(self.timeout, read).await.unwrap_or(Err(Error::Busy));
        self.metrics.read.observe(watch.elapsed().as_secs_f64());
        rows
    }

    /// The one row of a read, if there is one.
    ///
    /// # Errors
    /// As [`Db::query`].
    pub async fn query_opt(&self, sql: &'static str, params: &[Value]) -> Result<Option<Row>> {
        Ok(self.query(sql, params).await?.into_iter().next())
    }

    /// Runs `work` in a transaction that commits when it is `Ok` and leaves nothing when it isn't.
    ///
    /// `input` is lent, so that a retry after a serialization conflict needs no clones. Once begun
    /// the write goes on to its end even when the caller goes away. The unwind bounds are there
    /// because a panicking write is caught and rolled back alone; they also keep
    /// [`crate::record::Record`], which would wait for this very transaction, outside.
    ///
    /// # Errors
    /// What `work` gave, or the database's own failure. [`Error::OutcomeUnknown`] when the answer
    /// to a commit did not come in time.
    pub async fn write<I, T, E, F>(&self, input: I, work: F) -> Result<T, E>
    where
        I: Send + Sync + RefUnwindSafe + 'static,
        T: Send + 'static,
        E: From<Error> + Send + 'static,
        F: for<'t> Fn(&'t mut Tx, &'t I) -> Work<'t, T, E> + Send + Sync + RefUnwindSafe + 'static,
    {
        let watch = Stopwatch::start();
        let outcome = match &self.engine {
            Engine::Sqlite(sqlite) => sqlite.write(input, work, self.timeout).await,
            Engine::Postgres(postgres) => postgres.write(input, work, self.timeout).await,
        };
        self.metrics.write.observe(watch.elapsed().as_secs_f64());
        outcome
    }

    /// Adds an event to the record; durable when what it gives resolves.
    pub(crate) fn append(&self, mut leaf: Leaf) -> Result<Settled> {
        leaf.mark = self.recent.is_wanted().then(|| Mark::on(&leaf));
        match &self.engine {
            Engine::Sqlite(sqlite) => sqlite.append(leaf),
            Engine::Postgres(postgres) => postgres.append(leaf),
        }
    }

    /// What this process has committed and may still wait for its seal.
    pub(crate) fn recent(&self) -> &Recent {
        &self.recent
    }

    /// How many commits there were whose answer did not come: what is remembered of the database
    /// may then be wrong, and must be read again.
    #[must_use]
    pub fn doubts(&self) -> u64 {
        match &self.engine {
            // The writer itself runs the hooks, whoever has left.
            Engine::Sqlite(_) => 0,
            Engine::Postgres(postgres) => postgres.doubts(),
        }
    }

    /// Waits until this process has announced a change to the others; there are none on SQLite.
    pub async fn announced(&self) {
        match &self.engine {
            Engine::Sqlite(_) => std::future::pending().await,
            Engine::Postgres(postgres) => postgres.announced().await,
        }
    }

    /// Asks the database for a sign of life.
    ///
    /// # Errors
    /// When there is none.
    pub async fn ping(&self) -> Result<()> {
        self.query("SELECT 1", &[]).await.map(drop)
    }

    /// What time it is by the database: nodes agree on it, however their own clocks go.
    ///
    /// # Errors
    /// As [`Db::query`].
    pub async fn now(&self) -> Result<Time> {
        let sql = match &self.engine {
            Engine::Sqlite(_) => {
                "SELECT CAST((julianday('now') - 2440587.5) * 86400000000 AS INTEGER)"
            }
            Engine::Postgres(_) => {
                "SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::BIGINT"
            }
        };
        let row = self.query_opt(sql, &[]).await?;
        row.ok_or_else(|| Error::Query("the database has no clock".into()))?.take()
    }

    /// Which stream of events this process appends to; no other living one has the same.
    #[must_use]
    pub fn stream(&self) -> i64 {
        match &self.engine {
            Engine::Sqlite(_) => sqlite::STREAM,
            Engine::Postgres(postgres) => postgres.stream(),
        }
    }

    /// `sqlite` or `postgres`.
    #[must_use]
    pub fn engine_name(&self) -> &'static str {
        match self.engine {
            Engine::Sqlite(_) => "sqlite",
            Engine::Postgres(_) => "postgres",
        }
    }

    /// Commits what waits and lets go of the database. Later calls fail.
    pub async fn close(&self) {
        match &self.engine {
            Engine::Sqlite(sqlite) => sqlite.close().await,
            Engine::Postgres(postgres) => postgres.close().await,
        }
    }
}
