//! A database of its own for every test, on the engine that `TEST_DATABASE` names, and a look into
//! it past the server.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};

use rusqlite::types::ValueRef;
use rusqlite::{Connection, OpenFlags};
use tempfile::TempDir;
use tokio_postgres::{NoTls, SimpleQueryMessage};

/// Which database a test runs on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Engine {
    Sqlite,
    Postgres,
    /// PostgreSQL behind PgBouncer in transaction mode.
    PgBouncer,
}

pub(crate) struct Database {
    pub(crate) engine: Engine,
    /// Of the test's own: an embedded database is in `data` below it.
    pub(crate) folder: TempDir,
    /// What the server is told.
    pub(crate) url: String,
    /// Leads past PgBouncer.
    pub(crate) direct_url: String,
}

/// What one statement gave; NULL is an empty text.
pub(crate) type Rows = Vec<Vec<String>>;

/// The key of the tests' databases on PostgreSQL.
pub(crate) const MASTER_KEY: &str =
    "0707070707070707070707070707070707070707070707070707070707070707";

#[expect(clippy::disallowed_methods, reason = "the tests' own environment, not the product's")]
pub(crate) fn environment(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

impl Engine {
    pub(crate) fn current() -> Self {
        match environment("TEST_DATABASE").as_deref() {
            None | Some("sqlite") => Self::Sqlite,
            Some("postgres") => Self::Postgres,
            Some("pgbouncer") => Self::PgBouncer,
            Some(other) => panic!("TEST_DATABASE={other}: sqlite, postgres or pgbouncer"),
        }
    }
}

impl Database {
    pub(crate) fn create() -> Self {
        let engine = Engine::current();
        if engine == Engine::Sqlite {
            return Self::sqlite();
        }
        let server = service("TEST_POSTGRES_URL");
        let name = create(&server);
        let direct_url = named(&server, &name);
        let url = match engine {
            Engine::PgBouncer => named(&service("TEST_PGBOUNCER_URL"), &name),
            _ => direct_url.clone(),
        };
        Self { engine, folder: tempfile::tempdir().unwrap(), url, direct_url }
    }

    /// For what an embedded database alone can meet.
    pub(crate) fn sqlite() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite://{}", folder.path().join("data/countersign.db").display());
        Self { engine: Engine::Sqlite, folder, direct_url: url.clone(), url }
    }

    /// The file of an embedded database.
    pub(crate) fn file(&self) -> PathBuf {
        self.data().join("countersign.db")
    }

    /// Where the server keeps its files.
    pub(crate) fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// What the server must be told to find it.
    pub(crate) fn settings(&self) -> Vec<(&'static str, &str)> {
        let mut settings =
            vec![("DATABASE_URL", &*self.url), ("DATABASE_MIGRATE_URL", &self.direct_url)];
        if self.engine != Engine::Sqlite {
            settings.push(("MASTER_KEY", MASTER_KEY));
        }
        settings
    }

    /// The password in its address.
    pub(crate) fn password(&self) -> Option<String> {
        let url = url::Url::parse(&self.url).unwrap();
        url.password().map(str::to_owned)
    }

    /// What each statement gives, all of one moment.
    pub(crate) fn read(&self, statements: &[&str]) -> Vec<Rows> {
        match self.engine {
            Engine::Sqlite => read_sqlite(&self.file(), statements),
            _ => read_postgres(&self.direct_url, statements),
        }
    }

    /// Does something while nobody else can write.
    pub(crate) fn while_locked(&self, work: impl FnOnce()) {
        if self.engine == Engine::Sqlite {
            let connection = Connection::open(self.file()).unwrap();
            connection.execute_batch("BEGIN IMMEDIATE").unwrap();
            return work();
        }
        on_postgres(&self.direct_url, async |client| {
            let lock = "BEGIN; LOCK TABLE event_streams IN ACCESS EXCLUSIVE MODE";
            client.batch_execute(lock).await.unwrap();
            work();
        });
    }

    /// The number that one statement gives.
    pub(crate) fn count(&self, statement: &str) -> i64 {
        self.read(&[statement])[0][0][0].parse().unwrap()
    }
}

fn service(name: &str) -> String {
    environment(name).unwrap_or_else(|| {
        panic!("{name} is not set: run through `scripts/test`, or `scripts/services COMMAND`")
    })
}

fn read_sqlite(file: &std::path::Path, statements: &[&str]) -> Vec<Rows> {
    let connection = Connection::open_with_flags(file, OpenFlags::SQLITE_OPEN_READ_ONLY).unwrap();
    connection.execute_batch("BEGIN").unwrap();
    let read = |sql: &&str| {
        let mut statement = connection.prepare(sql).unwrap();
        let columns = statement.column_count();
        let mut rows = statement.query([]).unwrap();
        let mut found = Rows::new();
        while let Some(row) = rows.next().unwrap() {
            found.push((0..columns).map(|i| text(row.get_ref(i).unwrap())).collect());
        }
        found
    };
    statements.iter().map(read).collect()
}

fn text(value: ValueRef<'_>) -> String {
    match value {
        ValueRef::Null => String::new(),
        ValueRef::Integer(int) => int.to_string(),
        ValueRef::Real(real) => real.to_string(),
        ValueRef::Text(bytes) | ValueRef::Blob(bytes) => String::from_utf8_lossy(bytes).into(),
    }
}

fn read_postgres(url: &str, statements: &[&str]) -> Vec<Rows> {
    on_postgres(url, async |client| {
        client.batch_execute("BEGIN ISOLATION LEVEL REPEATABLE READ").await.unwrap();
        let mut read = Vec::new();
        for sql in statements {
            let messages = client.simple_query(sql).await.unwrap();
            let rows = messages.iter().filter_map(|message| match message {
                SimpleQueryMessage::Row(row) => Some(row),
                _ => None,
            });
            let cells = |row: &tokio_postgres::SimpleQueryRow| {
                (0..row.len()).map(|i| row.get(i).unwrap_or_default().to_owned()).collect()
            };
            read.push(rows.map(cells).collect());
        }
        read
    })
}

fn on_postgres<T>(url: &str, work: impl AsyncFnOnce(&tokio_postgres::Client) -> T) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let (client, connection) = tokio_postgres::connect(url, NoTls).await.unwrap();
        tokio::spawn(connection);
        work(&client).await
    })
}

fn create(server: &str) -> String {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    let name = format!("c_{}_{number}", std::process::id());
    on_postgres(server, async |client| {
        client.batch_execute(&format!("CREATE DATABASE {name}")).await.unwrap();
    });
    name
}

/// The same server's address, with another database.
fn named(server: &str, database: &str) -> String {
    let (address, _) = server.rsplit_once('/').unwrap();
    format!("{address}/{database}")
}
