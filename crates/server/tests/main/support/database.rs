//! A database of its own for every test, on the engine that `TEST_DATABASE` names.

use std::sync::atomic::{AtomicU32, Ordering};

use tempfile::TempDir;
use tokio_postgres::NoTls;

/// Which database the tests run on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Engine {
    Sqlite,
    Postgres,
    /// PostgreSQL behind PgBouncer in transaction mode.
    PgBouncer,
}

#[expect(clippy::disallowed_methods, reason = "the tests' own environment, not the product's")]
fn environment(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

impl Engine {
    pub fn current() -> Self {
        match environment("TEST_DATABASE").as_deref() {
            None | Some("sqlite") => Self::Sqlite,
            Some("postgres") => Self::Postgres,
            Some("pgbouncer") => Self::PgBouncer,
            Some(other) => panic!("TEST_DATABASE={other}: sqlite, postgres or pgbouncer"),
        }
    }
}

/// The Redis of this run, which tests share.
pub fn redis_url() -> Option<String> {
    let url = environment("TEST_REDIS_URL");
    if url.is_none() {
        println!(
            "skipped: no TEST_REDIS_URL; run through `scripts/test`, or `scripts/services COMMAND`"
        );
    }
    url
}

pub struct Database {
    pub folder: TempDir,
    /// What the server is told.
    pub url: String,
    /// Leads past PgBouncer.
    pub direct_url: String,
}

impl Database {
    pub async fn create() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let engine = Engine::current();
        if engine == Engine::Sqlite {
            let url = format!("sqlite://{}", folder.path().join("test.db").display());
            return Self { folder, direct_url: url.clone(), url };
        }
        let wanted = "run through `scripts/test`, or `scripts/services COMMAND`";
        let server = environment("TEST_POSTGRES_URL").expect(wanted);
        let name = create(&server).await;
        let direct_url = named(&server, &name);
        let url = match engine {
            Engine::PgBouncer => named(&environment("TEST_PGBOUNCER_URL").expect(wanted), &name),
            _ => direct_url.clone(),
        };
        Self { folder, url, direct_url }
    }

    /// The same database for another server.
    pub fn again(&self) -> Self {
        let folder = tempfile::tempdir().unwrap();
        Self { folder, url: self.url.clone(), direct_url: self.direct_url.clone() }
    }

    pub fn settings(&self) -> Vec<(String, String)> {
        let mut settings = vec![
            ("DATABASE_URL".into(), self.url.clone()),
            ("DATABASE_MIGRATE_URL".into(), self.direct_url.clone()),
        ];
        if self.url.starts_with("postgres") {
            settings.push(("MASTER_KEY".into(), "07".repeat(32)));
        }
        settings
    }
}

async fn create(server: &str) -> String {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    let name = format!("t_{}_{number}", std::process::id());
    let (client, connection) = tokio_postgres::connect(server, NoTls).await.unwrap();
    tokio::spawn(connection);
    client.batch_execute(&format!("CREATE DATABASE {name}")).await.unwrap();
    name
}

/// The same server's address, with another database.
fn named(server: &str, database: &str) -> String {
    let (address, _) = server.rsplit_once('/').expect("an address with a database");
    format!("{address}/{database}")
}
