//! The database facade under attack, on whichever engine the tests run: what goes in comes out,
//! and failures are told as what they are. Writes and their ends are in the modules below.

mod closing;
mod ends;
mod job;
mod storm;

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::{Condvar, Mutex};
use std::task::Poll;
use std::time::Duration;

use countersign_ground::db::{Db, Error, Tx, Value, Work};
use countersign_ground::params;
use tokio::sync::Semaphore;
use tokio::time::timeout;

use crate::support::{Engine, TestApp};

/// A server with a table of the test's own.
async fn app_with_table(settings: &[(&str, &str)]) -> TestApp {
    let app = TestApp::with(settings).await;
    let create = "CREATE TABLE jobs (id TEXT PRIMARY KEY, n BIGINT, t TEXT, b BYTEA)";
    execute(&app.server.app.db, create, Vec::new()).await.unwrap();
    app
}

/// One statement as a write of its own.
async fn execute(db: &Db, sql: &'static str, params: Vec<Value>) -> Result<u64, Error> {
    db.write(params, move |tx, params| Box::pin(async move { tx.execute(sql, params).await })).await
}

/// Runs a future's first step only.
async fn first_step<F: Future + ?Sized>(mut future: Pin<&mut F>) -> Poll<F::Output> {
    poll_fn(|cx| Poll::Ready(future.as_mut().poll(cx))).await
}

fn on_sqlite() -> bool {
    Engine::current() == Engine::Sqlite
}

/// Holds a write where it is, until the test lets it go on, though not for ever: a test that fails
/// meanwhile must end. SQLite's writer is held as a slow disk would hold it, with its thread.
struct Gate {
    begun: Semaphore,
    go: Semaphore,
    open: (Mutex<bool>, Condvar),
}

const LIMIT: Duration = Duration::from_secs(20);

impl Gate {
    const fn new() -> Self {
        let (begun, go) = (Semaphore::const_new(0), Semaphore::const_new(0));
        Self { begun, go, open: (Mutex::new(false), Condvar::new()) }
    }

    /// From within the write.
    async fn pass(&self) {
        self.begun.add_permits(1);
        if on_sqlite() {
            let (open, changed) = &self.open;
            drop(changed.wait_timeout_while(open.lock().unwrap(), LIMIT, |open| !*open).unwrap());
        } else {
            _ = timeout(LIMIT, self.go.acquire()).await;
        }
    }

    /// When the write has come to the gate.
    async fn begun(&self) {
        _ = timeout(LIMIT, self.begun.acquire()).await.expect("the write begins");
    }

    fn open(&self) {
        self.go.add_permits(1);
        *self.open.0.lock().unwrap() = true;
        self.open.1.notify_all();
    }
}

/// What a held write does: a row, the gate, another row. Whoever records must wait for it, too.
fn held<'t>(tx: &'t mut Tx, gate: &'t &'static Gate) -> Work<'t, ()> {
    Box::pin(async move {
        tx.execute("UPDATE event_streams SET n = n", params![]).await?;
        tx.execute("INSERT INTO jobs (id) VALUES ('before')", params![]).await?;
        gate.pass().await;
        tx.execute("INSERT INTO jobs (id) VALUES ('after')", params![]).await?;
        Ok(())
    })
}

async fn ids(db: &Db) -> Vec<String> {
    let rows = db.query("SELECT id FROM jobs ORDER BY id", params![]).await.unwrap();
    rows.into_iter().map(|mut row| row.take().unwrap()).collect()
}

#[tokio::test]
async fn parameters_go_by_their_number() {
    let app = TestApp::start().await;
    let db = &app.server.app.db;
    let mut rows = db.query("SELECT $2, $1, $2", params!["one", 2]).await.unwrap();
    assert_eq!(rows[0].take::<i64>().unwrap(), 2);
    assert_eq!(rows[0].take::<String>().unwrap(), "one");
    assert_eq!(rows[0].take::<i64>().unwrap(), 2);
    let many: Vec<Value> = (1..=12).map(Value::from).collect();
    let sql = "SELECT $12, $11, $10, $9, $8, $7, $6, $5, $4, $3, $2, $1";
    let mut rows = db.query(sql, &many).await.unwrap();
    for expected in (1..=12).rev() {
        assert_eq!(rows[0].take::<i64>().unwrap(), expected);
    }
}

#[tokio::test]
async fn what_goes_in_comes_out() {
    let app = app_with_table(&[]).await;
    let db = &app.server.app.db;
    let long = "ß€\u{1F600}'\"\\$1?%".repeat(70_000);
    assert!(long.len() > 1 << 20);
    let texts = ["", " ", "007", "1e3", "null", "\u{feff}\r\n\t", &long];
    let numbers = [0, -1, i64::MIN, i64::MAX, 1 << 53, (1 << 53) + 1, 42];
    for (text, number) in texts.into_iter().zip(numbers) {
        for bytes in [&b""[..], b"\0\xff\0", long.as_bytes()] {
            execute(db, "DELETE FROM jobs", Vec::new()).await.unwrap();
            let row = vec![text.into(), number.into(), Value::from(bytes)];
            let sql = "INSERT INTO jobs (id, t, n, b) VALUES ('row', $1, $2, $3)";
            execute(db, sql, row).await.unwrap();
            let find = "SELECT t, n, b, $1, $2, $3 FROM jobs WHERE t = $1 AND n = $2 AND b = $3";
            let mut rows = db.query(find, params![text, number, bytes]).await.unwrap();
            for _ in ["stored", "echoed"] {
                assert!(rows[0].take::<String>().unwrap() == text, "{} bytes", text.len());
                assert_eq!(rows[0].take::<i64>().unwrap(), number);
                assert!(rows[0].take::<Vec<u8>>().unwrap() == bytes, "{} bytes", bytes.len());
            }
        }
    }
}

#[tokio::test]
async fn a_null_of_each_type_goes_in_and_comes_out() {
    let app = app_with_table(&[]).await;
    let db = &app.server.app.db;
    let nulls = [Value::Int(None), Value::Bytes(None), Value::Text(None)];
    let row = vec!["nulls".into(), nulls[0].clone(), nulls[1].clone()];
    execute(db, "INSERT INTO jobs (id, n, b) VALUES ($1, $2, $3)", row).await.unwrap();
    let sql = "SELECT n, b, $1, $2, $3 FROM jobs
                WHERE n IS NULL AND b IS NULL AND $1 IS NULL AND $2 IS NULL AND $3 IS NULL";
    let mut row = db.query_opt(sql, &nulls).await.unwrap().expect("all of them are null");
    assert_eq!(row.take::<Option<i64>>().unwrap(), None);
    assert_eq!(row.take::<Option<Vec<u8>>>().unwrap(), None);
    assert_eq!(row.take::<Option<i64>>().unwrap(), None);
    assert_eq!(row.take::<Option<Vec<u8>>>().unwrap(), None);
    assert_eq!(row.take::<Option<String>>().unwrap(), None);
    let error = row.take::<Option<String>>().unwrap_err();
    assert!(matches!(error, Error::Query(_)), "there is no sixth column: {error:?}");
}

#[tokio::test]
async fn a_result_of_many_rows_arrives_whole_and_in_order() {
    let app = TestApp::start().await;
    let sql = "WITH RECURSIVE numbers (n) AS (
                   SELECT CAST(1 AS BIGINT) UNION ALL SELECT n + 1 FROM numbers WHERE n < $1)
               SELECT n, $2 FROM numbers ORDER BY n";
    let rows = app.server.app.db.query(sql, params![200_000, "text"]).await.unwrap();
    assert_eq!(rows.len(), 200_000);
    for (mut row, expected) in rows.into_iter().zip(1..) {
        assert_eq!(row.take::<i64>().unwrap(), expected);
        assert_eq!(row.take::<String>().unwrap(), "text");
    }
}

/// Such a statement will not be better a second later: a 500, not a 503.
#[tokio::test]
async fn a_statement_that_is_wrong_is_no_outage() {
    let app = app_with_table(&[]).await;
    let db = &app.server.app.db;
    execute(db, "INSERT INTO jobs (id) VALUES ('taken')", Vec::new()).await.unwrap();
    for sql in [
        "SELECT missing FROM jobs",
        "SELECT id FROM missing",
        "SELECT id FROM jobs WHERE",
        "INSERT INTO jobs (id) VALUES ('taken')",
        "INSERT INTO audit_events (position) VALUES (1)",
    ] {
        let error = execute(db, sql, Vec::new()).await.unwrap_err();
        assert!(!error.is_outage(), "{sql}: {error:?}");
        if sql.starts_with("SEL") {
            let error = db.query(sql, params![]).await.unwrap_err();
            assert!(!error.is_outage(), "{sql}: {error:?}");
        }
    }
    let mut row = db.query_opt("SELECT id FROM jobs", params![]).await.unwrap().unwrap();
    let error = row.take::<i64>().unwrap_err();
    assert!(!error.is_outage(), "a column of another type: {error:?}");
    assert_eq!(ids(db).await, ["taken"], "and the next statement is none the worse");
}
