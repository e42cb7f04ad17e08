//! A transaction, as the closure of a write sees it.

use std::panic::{AssertUnwindSafe, catch_unwind};

use super::{Change, Error, Leaf, Result, Row, Value, postgres, sqlite};

/// An open transaction.
pub struct Tx {
    pub(super) engine: Engine,
    pub(super) leaves: Vec<Leaf>,
    pub(super) changes: Vec<Change>,
    pub(super) after_commit: Vec<Hook>,
    /// A statement that failed ends the write, even where its error is lost: PostgreSQL would answer
    /// such a commit with a rollback, SQLite would keep the rest.
    pub(super) failed: Option<Error>,
}

pub(super) type Hook = Box<dyn FnOnce() + Send>;

pub(super) enum Engine {
    Sqlite(rusqlite::Connection),
    Postgres(postgres::Session),
}

impl Tx {
    pub(super) fn new(engine: Engine) -> Self {
        Self {
            engine,
            leaves: Vec::new(),
            changes: Vec::new(),
            after_commit: Vec::new(),
            failed: None,
        }
    }

    /// Rows of a query, or of a change with RETURNING.
    ///
    /// # Errors
    /// As the database says; the write must then end with an error, too.
    pub async fn query(&mut self, sql: &'static str, params: &[Value]) -> Result<Vec<Row>> {
        let rows = match &mut self.engine {
            Engine::Sqlite(connection) => sqlite::query(connection, sql, params),
            Engine::Postgres(session) => session.query(sql, params).await,
        };
        self.note(&rows);
        rows
    }

    /// The one row, if there is one.
    ///
    /// # Errors
    /// As [`Tx::query`].
    pub async fn query_opt(&mut self, sql: &'static str, params: &[Value]) -> Result<Option<Row>> {
        Ok(self.query(sql, params).await?.into_iter().next())
    }

    /// Changes rows; gives how many.
    ///
    /// # Errors
    /// As [`Tx::query`].
    pub async fn execute(&mut self, sql: &'static str, params: &[Value]) -> Result<u64> {
        let changed = match &mut self.engine {
            Engine::Sqlite(connection) => sqlite::execute(connection, sql, params),
            Engine::Postgres(session) => session.execute(sql, params).await,
        };
        self.note(&changed);
        changed
    }

    /// Runs a change once for each set of parameters, without waiting in between.
    ///
    /// # Errors
    /// As [`Tx::query`].
    pub async fn execute_each(&mut self, sql: &'static str, each: &[Vec<Value>]) -> Result<()> {
        let changed = match &mut self.engine {
            Engine::Sqlite(connection) => each
                .iter()
                .try_for_each(|params| sqlite::execute(connection, sql, params).map(drop)),
            Engine::Postgres(session) => session.execute_each(sql, each).await,
        };
        self.note(&changed);
        changed
    }

    /// Puts an event into the record together with the change.
    pub fn record(&mut self, leaf: Leaf) {
        self.leaves.push(leaf);
    }

    /// Tells every node of the change, this one among them, once it has committed.
    pub fn announce(&mut self, change: Change) {
        self.changes.push(change);
    }

    /// Runs `hook` right after the commit, whether or not anybody still waits for the answer:
    /// this is how memory follows the database.
    pub fn after_commit(&mut self, hook: impl FnOnce() + Send + 'static) {
        self.after_commit.push(Box::new(hook));
    }

    fn note<T>(&mut self, outcome: &Result<T>) {
        if let Err(error) = outcome {
            self.failed.get_or_insert_with(|| error.clone());
        }
    }

    /// Forgets what the closure asked for, before it runs again or after it failed.
    pub(super) fn reset(&mut self) {
        self.leaves.clear();
        self.changes.clear();
        self.after_commit.clear();
        self.failed = None;
    }
}

/// Runs what was to happen after a commit. A hook that panics takes nobody along.
pub(super) fn run(hooks: Vec<Hook>) {
    for hook in hooks {
        if catch_unwind(AssertUnwindSafe(hook)).is_err() {
            tracing::error!("what should follow a commit panicked");
        }
    }
}
