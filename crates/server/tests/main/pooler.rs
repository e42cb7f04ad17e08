//! Very many statements of all kinds from many clients through the facade, each answer checked
//! against what was asked: behind PgBouncer in transaction mode, a statement that met somebody
//! else's parameters or rows would show.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use countersign_ground::clock::Stopwatch;
use countersign_ground::db::{Db, Error, Row, Tx, Work};
use countersign_ground::params;
use countersign_ground::record::Event;
use futures_util::future::join_all;

use crate::record::streams_are_gapless;
use crate::support::{Engine, TestApp};

const CLIENTS: i64 = 32;
const NUMBERS: i64 = 1_000;
/// Statements of one write, its BEGIN and COMMIT among them.
const OF_A_WRITE: u64 = 2 + WRITTEN as u64 + 3;
const WRITTEN: i64 = 4;
/// Rounds between two writes of a client.
const WRITES_EVERY: i64 = 8;

fn wanted() -> u64 {
    if Engine::current() == Engine::PgBouncer { 1_000_000 } else { 20_000 }
}

/// One of those who ask. `n` is different in every round, so no two questions are alike.
struct Client {
    app: Arc<TestApp>,
    number: i64,
    answered: Arc<AtomicU64>,
}

struct Change {
    client: i64,
    round: i64,
    fails: bool,
    event: Event,
}

fn number(row: &mut Row) -> i64 {
    row.take().unwrap()
}

fn text(row: &mut Row) -> String {
    row.take().unwrap()
}

impl Client {
    fn count(&self, statements: u64) {
        let before = self.answered.fetch_add(statements, Ordering::Relaxed);
        let after = before + statements;
        if before / 100_000 != after / 100_000 {
            println!("{after} statements answered");
        }
    }

    async fn run(self) -> (i64, i64) {
        let (mut round, mut changes, mut events) = (0, 0, 0);
        while self.answered.load(Ordering::Relaxed) < wanted() {
            let n = (self.number << 32) + round;
            self.read(n).await;
            if round % WRITES_EVERY == 0 {
                changes += i64::from(self.write(round).await);
                self.read_back(round).await;
            }
            if round % 16 == self.number % 16 {
                self.append().await;
                events += 1;
            }
            round += 1;
        }
        (changes, events)
    }

    async fn read(&self, n: i64) {
        let db = &self.app.server.app.db;
        let one = async |sql, params: &[_]| db.query(sql, params).await.unwrap().remove(0);

        let mut row = one("SELECT $1 + $2", params![n, 7]).await;
        assert_eq!(number(&mut row), n + 7);

        let words = format!("{n} ß\u{1F600}");
        let mut row = one("SELECT $2 || '/' || $1", params![&words, "left"]).await;
        assert_eq!(text(&mut row), format!("left/{words}"));

        let mut row =
            one("SELECT $3, $1, $2", params![n, &words, n.to_be_bytes().as_slice()]).await;
        assert_eq!(row.take::<Vec<u8>>().unwrap(), n.to_be_bytes());
        assert_eq!((number(&mut row), text(&mut row)), (n, words));

        let mut row = one("SELECT $1, $2", params![None::<i64>, n]).await;
        assert_eq!((row.take::<Option<i64>>().unwrap(), number(&mut row)), (None, n));

        let sql = "SELECT $1 * 3 - $2, $3 || $4, $5 + $6, $7";
        let given = params![n % 1000, n, "a", n.to_string(), n, -n, "end"];
        let mut row = one(sql, given).await;
        assert_eq!((number(&mut row), text(&mut row)), (n % 1000 * 3 - n, format!("a{n}")));
        assert_eq!((number(&mut row), &*text(&mut row)), (0, "end"));

        let first = n % (NUMBERS - 5);
        let sql = "SELECT n, $3 + n FROM numbers WHERE n > $1 AND n <= $2 ORDER BY n";
        let rows = db.query(sql, params![first, first + 5, n]).await.unwrap();
        let pairs = rows.into_iter().map(|mut row| (number(&mut row), number(&mut row)));
        let expected = (first + 1..=first + 5).map(|m| (m, n + m));
        assert!(pairs.eq(expected), "{n}");

        let mut row = one("SELECT MAX(n) FROM numbers", &[]).await;
        assert_eq!(number(&mut row), NUMBERS);
        self.count(7);

        if n % 64 == 0 {
            let wrong = db.query("SELECT missing, $1 FROM numbers", params![n]).await;
            assert!(matches!(wrong, Err(Error::Query(_))), "{wrong:?}");
            self.count(1);
        }
    }

    /// Every fourth fails; gives whether it was done.
    async fn write(&self, round: i64) -> bool {
        let app = &self.app.server.app;
        let mut event = app.event("test.changed", self.app.clock.now());
        event.resource = Some(format!("{}/{round}", self.number));
        let fails = round / WRITES_EVERY % 4 == 3;
        let done = app.db.write(Change { client: self.number, round, fails, event }, change).await;
        match done {
            Ok(sum) => assert_eq!(sum, self.number * 100 + WRITTEN * (WRITTEN - 1) / 2),
            Err(Error::Query(cause)) if fails => assert_eq!(cause, "as it should"),
            Err(other) => panic!("{other:?}"),
        }
        self.count(OF_A_WRITE);
        !fails
    }

    async fn read_back(&self, round: i64) {
        let sql = "SELECT part, value FROM parts WHERE client = $1 AND round = $2 ORDER BY part";
        let rows = self.app.server.app.db.query(sql, params![self.number, round]).await.unwrap();
        let found = rows.into_iter().map(|mut row| (number(&mut row), text(&mut row)));
        let done = round / WRITES_EVERY % 4 != 3;
        let written = if done { WRITTEN } else { 0 };
        let expected = (0..written).map(|part| (part, format!("{}-{part}!", self.number)));
        assert!(found.eq(expected), "{} {round}", self.number);
        self.count(1);
    }

    async fn append(&self) {
        let mut event = self.app.server.app.event("test.happened", self.app.clock.now());
        event.resource = Some(self.number.to_string());
        self.app.server.app.record.append(event).await.unwrap();
        self.count(1);
    }
}

fn change<'t>(tx: &'t mut Tx, change: &'t Change) -> Work<'t, i64> {
    Box::pin(async move {
        let Change { client, round, fails, event } = change;
        let insert = "INSERT INTO parts (client, round, part, value) VALUES ($2, $1, $4, $3)";
        for part in 0..WRITTEN {
            let value = format!("{client}-{part}");
            let inserted = tx.execute(insert, params![*round, *client, value, part]).await?;
            assert_eq!(inserted, 1);
        }
        let update = "UPDATE parts SET value = value || '!' WHERE client = $1 AND round = $2";
        let updated = tx.execute(update, params![*client, *round]).await?;
        assert_eq!(updated, WRITTEN as u64);
        tx.record(event.leaf());
        let sum =
            "SELECT CAST(SUM(part) AS BIGINT) + $3 FROM parts WHERE client = $1 AND round = $2";
        let mut row = tx.query(sum, params![*client, *round, client * 100]).await?.remove(0);
        if *fails { Err(Error::Query("as it should".into())) } else { row.take() }
    })
}

async fn execute(db: &Db, sql: &'static str) {
    db.write((), move |tx, ()| Box::pin(async move { tx.execute(sql, params![]).await }))
        .await
        .map_err(|error: Error| error)
        .unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_statement_gets_its_own_answer() {
    let settings = [("DATABASE_POOL_SIZE", "20"), ("DATABASE_TIMEOUT_MS", "60000")];
    let app = Arc::new(TestApp::with(&settings).await);
    let db = &app.server.app.db;
    execute(
        db,
        "CREATE TABLE parts (client BIGINT, round BIGINT, part BIGINT, value TEXT,
                             PRIMARY KEY (client, round, part))",
    )
    .await;
    execute(db, "CREATE TABLE numbers (n BIGINT PRIMARY KEY)").await;
    let numbers = "WITH RECURSIVE all_numbers (n) AS (
                       SELECT CAST(1 AS BIGINT)
                        UNION ALL SELECT n + 1 FROM all_numbers WHERE n < 1000)
                   INSERT INTO numbers (n) SELECT n FROM all_numbers";
    execute(db, numbers).await;

    let (watch, answered) = (Stopwatch::start(), Arc::new(AtomicU64::new(0)));
    let client = |number| {
        let (app, answered) = (Arc::clone(&app), Arc::clone(&answered));
        tokio::spawn(Client { app, number, answered }.run())
    };
    let done = join_all((1..=CLIENTS).map(client)).await;
    let seconds = watch.elapsed().as_secs_f64();
    println!("{} statements in {seconds:.1} s", answered.load(Ordering::Relaxed));

    let (mut changes, mut events) = (0, 0);
    for done in done {
        let (changed, appended) = done.unwrap();
        (changes, events) = (changes + changed, events + appended);
    }
    let counts = "SELECT (SELECT CAST(COUNT(*) AS BIGINT) FROM parts),
                         (SELECT CAST(COUNT(*) AS BIGINT) FROM audit_events WHERE action = $1),
                         (SELECT CAST(COUNT(*) AS BIGINT) FROM audit_events WHERE action = $2)";
    let mut row =
        db.query(counts, params!["test.changed", "test.happened"]).await.unwrap().remove(0);
    let found = [number(&mut row), number(&mut row), number(&mut row)];
    assert_eq!(found, [changes * WRITTEN, changes, events], "rows, their events, other events");
    streams_are_gapless(&app).await;
}
