//! Migrations: numbered, append-only, each in one transaction, held to their text by a checksum.

use aws_lc_rs::digest::{SHA256, digest};

use super::{DatabaseUrl, Error, Result};
use crate::clock::Time;

/// One step of the schema, in both dialects.
#[derive(Debug, Clone, Copy)]
pub struct Migration {
    /// File name without its ending: `0001_record`.
    pub name: &'static str,
    /// For SQLite.
    pub sqlite: &'static str,
    /// For PostgreSQL.
    pub postgres: &'static str,
}

/// What migrating did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Applied {
    /// Names of the steps taken now.
    pub applied: Vec<&'static str>,
    /// How many were there before.
    pub already: usize,
}

const TABLE: &str = "CREATE TABLE IF NOT EXISTS schema_migrations (
    name TEXT PRIMARY KEY, checksum TEXT NOT NULL, applied_at BIGINT NOT NULL)";

/// An arbitrary number that only this program's migrations lock.
const LOCK: i64 = 0x636f_756e_7465_7273;

/// Brings the database at `url` up to date.
///
/// # Errors
/// When the database can't be reached, when an applied step's text has changed, or when a step
/// fails: the schema is then as it was before that step.
pub async fn migrate(url: &DatabaseUrl, steps: &'static [Migration], now: Time) -> Result<Applied> {
    match url {
        DatabaseUrl::Sqlite(path) => {
            let path = path.clone();
            tokio::task::spawn_blocking(move || sqlite(&path, steps, now))
                .await
                .map_err(|error| Error::Query(error.to_string()))?
        }
        DatabaseUrl::Postgres(url) => postgres(url, steps, now).await,
    }
}

fn checksum(text: &str) -> String {
    hex::encode(digest(&SHA256, text.as_bytes()))
}

/// Whether `step` still has to be taken, given the checksum the database has for it.
fn pending(step: &Migration, text: &str, known: Option<&str>) -> Result<bool> {
    match known {
        None => Ok(true),
        Some(known) if known == checksum(text) => Ok(false),
        Some(_) => Err(Error::Query(format!(
            "migration `{}` was applied with another text; restore its file and add a new one",
            step.name
        ))),
    }
}

fn sqlite(path: &std::path::Path, steps: &[Migration], now: Time) -> Result<Applied> {
    if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        let mut builder = std::fs::DirBuilder::new();
        builder.recursive(true);
        // Emails and addresses are in there: not for every user of the machine.
        #[cfg(unix)]
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        builder
            .create(folder)
            .map_err(|error| Error::Unavailable(format!("{}: {error}", folder.display())))?;
    }
    let mut connection = super::sqlite::connect(path)?;
    let mut done = Applied { applied: Vec::new(), already: 0 };
    connection.execute_batch(TABLE)?;
    for step in steps {
        let tx = connection.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
        let known = {
            let mut statement =
                tx.prepare("SELECT checksum FROM schema_migrations WHERE name = ?1")?;
            let mut rows = statement.query([step.name])?;
            rows.next()?.map(|row| row.get::<_, String>(0)).transpose()?
        };
        if !pending(step, step.sqlite, known.as_deref())? {
            done.already += 1;
            continue;
        }
        tx.execute_batch(step.sqlite).map_err(|error| failed(step, &error.to_string()))?;
        let row = (step.name, checksum(step.sqlite), now.0);
        tx.execute("INSERT INTO schema_migrations VALUES (?1, ?2, ?3)", row)?;
        tx.commit()?;
        done.applied.push(step.name);
    }
    Ok(done)
}

async fn postgres(url: &str, steps: &[Migration], now: Time) -> Result<Applied> {
    let (config, tls) = super::tls::connector(url)?;
    let (client, connection) = config.connect(tls).await?;
    let driver = tokio::spawn(connection);
    let mut done = Applied { applied: Vec::new(), already: 0 };
    for step in steps {
        // One node at a time; the lock goes with the transaction, so a pooler may stand between.
        let begin = format!("BEGIN; SELECT pg_advisory_xact_lock({LOCK}); {TABLE}");
        client.batch_execute(&begin).await?;
        let known = format!("SELECT checksum FROM schema_migrations WHERE name = '{}'", step.name);
        let rows = client.query_typed(&known, &[]).await?;
        let known: Option<String> = rows.first().map(|row| row.try_get(0)).transpose()?;
        if !pending(step, step.postgres, known.as_deref())? {
            client.batch_execute("COMMIT").await?;
            done.already += 1;
            continue;
        }
        let row = format!(
            "{}; INSERT INTO schema_migrations VALUES ('{}', '{}', {}); COMMIT",
            step.postgres.trim_end().trim_end_matches(';'),
            step.name,
            checksum(step.postgres),
            now.0
        );
        let applied = client.batch_execute(&row).await;
        applied.map_err(|error| failed(step, &Error::from(error).to_string()))?;
        done.applied.push(step.name);
    }
    drop(client);
    driver.abort();
    Ok(done)
}

fn failed(step: &Migration, cause: &str) -> Error {
    Error::Query(format!("migration `{}` failed and left nothing behind: {cause}", step.name))
}
