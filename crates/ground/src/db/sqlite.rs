//! SQLite: one thread writes, a few connections read.

mod checkpoint;
mod job;
pub(super) use job::panic_text;
mod writer;
pub(super) use writer::STREAM;

use std::fs::{File, TryLockError};
use std::panic::RefUnwindSafe;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rusqlite::types::ValueRef;
use rusqlite::{Connection, OpenFlags};
use tokio::sync::{Semaphore, oneshot};

use super::batch::Settled;
use super::recent::Recent;
use super::{Error, Leaf, Metrics, Options, Result, Row, Tx, Value, Work};
use job::{Pending, Stage};
use writer::Writer;

pub(super) struct Sqlite {
    /// None when it is only read.
    writer: Option<Writer>,
    readers: Arc<Readers>,
    metrics: Metrics,
    // Held for as long as the database is open; the operating system lets go if the process dies.
    lock: Mutex<Option<File>>,
}

impl Sqlite {
    pub(super) fn open(
        path: &Path,
        options: &Options,
        metrics: &Metrics,
        recent: &Arc<Recent>,
    ) -> Result<Self> {
        let lock = Mutex::new(Some(lock(path)?));
        let recent = Arc::clone(recent);
        let writer = Some(Writer::start(path, options.timeout, metrics.clone(), recent)?);
        let readers = Readers::new(path, options);
        Ok(Self { writer, readers, metrics: metrics.clone(), lock })
    }

    /// Beside whoever writes.
    pub(super) fn reader(path: &Path, options: &Options, metrics: &Metrics) -> Result<Self> {
        let readers = Readers::new(path, options);
        // Now rather than at the first question.
        readers.idle.lock().unwrap_or_else(PoisonError::into_inner).push(readers.connect()?);
        Ok(Self { writer: None, readers, metrics: metrics.clone(), lock: Mutex::default() })
    }

    fn writer(&self) -> Result<&Writer> {
        self.writer.as_ref().ok_or(Error::Closed)
    }

    pub(super) async fn query(&self, sql: &'static str, params: Vec<Value>) -> Result<Vec<Row>> {
        let _permit = self.readers.permits.acquire().await.map_err(|_| Error::Closed)?;
        let _in_use = InUse::new(&self.metrics);
        let readers = Arc::clone(&self.readers);
        tokio::task::spawn_blocking(move || readers.query(sql, &params))
            .await
            .map_err(|error| Error::Query(error.to_string()))?
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
        let (answer, answered) = oneshot::channel();
        let stage = Arc::new(Stage::default());
        let job = Box::new(Pending::new(input, work, answer, Arc::clone(&stage)));
        self.writer()?.submit(job)?;
        match tokio::time::timeout(timeout, answered).await {
            Ok(Ok(outcome)) => outcome,
            Ok(Err(_)) => Err(Error::Closed.into()),
            Err(_) if stage.abandon() => Err(Error::Busy.into()),
            Err(_) => Err(Error::OutcomeUnknown("the commit took too long".into()).into()),
        }
    }

    pub(super) fn append(&self, leaf: Leaf) -> Result<Settled> {
        self.writer()?.append(leaf)
    }

    pub(super) async fn close(&self) {
        if let Some(writer) = &self.writer {
            writer.close().await;
        }
        // Whoever still holds a clone reads no more, and the file is free for the next who opens it.
        self.readers.permits.close();
        self.readers.idle.lock().unwrap_or_else(PoisonError::into_inner).clear();
        self.lock.lock().unwrap_or_else(PoisonError::into_inner).take();
    }
}

/// Two processes on one file would each remember what the other has changed.
fn lock(path: &Path) -> Result<File> {
    let mut name = path.as_os_str().to_owned();
    name.push(".lock");
    let unavailable =
        |error: std::io::Error| Error::Unavailable(format!("{}: {error}", path.display()));
    let file = File::options().create(true).append(true).open(&name).map_err(unavailable)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(Error::Unavailable(format!(
            "another process has `{}` open; stop it, or use PostgreSQL for several nodes",
            path.display()
        ))),
        Err(TryLockError::Error(error)) => Err(unavailable(error)),
    }
}

/// Connections that only read.
struct Readers {
    idle: Mutex<Vec<Connection>>,
    permits: Semaphore,
    path: std::path::PathBuf,
}

impl Readers {
    fn new(path: &Path, options: &Options) -> Arc<Self> {
        Arc::new(Self {
            idle: Mutex::new(Vec::new()),
            permits: Semaphore::new(options.pool_size.clamp(1, 8)),
            path: path.to_owned(),
        })
    }

    fn query(&self, sql: &'static str, params: &[Value]) -> Result<Vec<Row>> {
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let mut connection = match idle {
            Some(connection) => connection,
            None => self.connect()?,
        };
        let rows = query(&mut connection, sql, params);
        // After a failure a fresh connection is the surest way back.
        if rows.is_ok() {
            self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(connection);
        }
        rows
    }

    fn connect(&self) -> Result<Connection> {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(&self.path, flags)?;
        connection.busy_timeout(Duration::from_secs(1))?;
        Ok(connection)
    }
}

struct InUse<'m>(&'m Metrics);

impl<'m> InUse<'m> {
    fn new(metrics: &'m Metrics) -> Self {
        metrics.in_use.inc();
        Self(metrics)
    }
}

impl Drop for InUse<'_> {
    fn drop(&mut self) {
        self.0.in_use.dec();
    }
}

/// A connection that writes: every commit is on the disk before it is answered.
pub(super) fn connect(path: &Path) -> Result<Connection> {
    let connection = Connection::open(path)?;
    connection.busy_timeout(Duration::from_secs(5))?;
    // Counts for a new file alone. An event has a kilobyte or more: a few on a page of the usual size.
    connection.pragma_update(None, "page_size", 8_192)?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "foreign_keys", "ON")?;
    // Checkpoints are made beside the writer, see `checkpoint`.
    connection.pragma_update(None, "wal_autocheckpoint", 0)?;
    connection.set_prepared_statement_cache_capacity(128);
    Ok(connection)
}

pub(super) fn query(connection: &mut Connection, sql: &str, params: &[Value]) -> Result<Vec<Row>> {
    let mut statement = connection.prepare_cached(&numbered(sql))?;
    let columns = statement.column_count();
    let mut rows = statement.query(rusqlite::params_from_iter(params))?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        let values =
            (0..columns).map(|i| Ok(value(row.get_ref(i)?))).collect::<Result<Vec<_>>>()?;
        found.push(Row::new(values));
    }
    Ok(found)
}

pub(super) fn execute(connection: &mut Connection, sql: &str, params: &[Value]) -> Result<u64> {
    let mut statement = connection.prepare_cached(&numbered(sql))?;
    let changed = statement.execute(rusqlite::params_from_iter(params))?;
    Ok(changed as u64)
}

/// `$2` becomes `?2`, because SQLite numbers `$2` by first appearance, not by its number; the row
/// locks of PostgreSQL go, because the one writer needs none; `strpos` has another name.
fn numbered(sql: &str) -> String {
    let sql = sql.replace('$', "?").replace("strpos(", "instr(");
    sql.replace(" FOR SHARE", "").replace(" FOR UPDATE", "")
}

fn value(column: ValueRef<'_>) -> Value {
    match column {
        // The engine doesn't say of which type a null is; reading one as an Option asks for none.
        ValueRef::Null => Value::Int(None),
        ValueRef::Integer(int) => Value::Int(Some(int)),
        ValueRef::Real(real) => Value::Text(Some(real.to_string())),
        // What is no text must not be taken for one that looks like it.
        ValueRef::Text(text) => match str::from_utf8(text) {
            Ok(text) => Value::Text(Some(text.to_owned())),
            Err(_) => Value::Bytes(Some(text.to_vec())),
        },
        ValueRef::Blob(bytes) => Value::Bytes(Some(bytes.to_vec())),
    }
}

impl rusqlite::ToSql for Value {
    fn to_sql(&self) -> rusqlite::Result<rusqlite::types::ToSqlOutput<'_>> {
        match self {
            Self::Int(int) => int.to_sql(),
            Self::Text(text) => text.to_sql(),
            Self::Bytes(bytes) => bytes.to_sql(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_file_has_large_pages_and_an_older_one_keeps_its_own() {
        let directory = tempfile::tempdir().unwrap();
        let size = |name: &str| -> i64 {
            let connection = connect(&directory.path().join(name)).unwrap();
            connection.query_row("PRAGMA page_size", [], |row| row.get(0)).unwrap()
        };
        assert_eq!(size("new"), 8_192);
        let old = Connection::open(directory.path().join("old")).unwrap();
        old.execute_batch("PRAGMA page_size = 4096; CREATE TABLE t (n)").unwrap();
        drop(old);
        assert_eq!(size("old"), 4_096);
    }

    #[test]
    fn parameters_go_by_number_and_row_locks_are_dropped() {
        let mut connection = Connection::open_in_memory().unwrap();
        let params = [Value::from("first"), Value::from("second")];
        let mut rows = query(&mut connection, "SELECT $2, $1 FOR SHARE", &params).unwrap();
        assert_eq!(rows[0].take::<String>().unwrap(), "second");
        assert_eq!(rows[0].take::<String>().unwrap(), "first");
    }
}
