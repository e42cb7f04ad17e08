//! All SQL of `documents` and `document_heads`.

use countersign_ground::clock::Time;
use countersign_ground::db::{self, Db, Row, Tx};
use countersign_ground::params;
use countersign_ground::record::Actor;

/// How many uploads of a kind are kept.
const KEPT: i64 = 10;

/// What was uploaded last, with its number.
///
/// # Errors
/// The database's failure.
pub async fn newest(db: &Db, kind: &'static str) -> db::Result<Option<(i64, String)>> {
    let sql = "SELECT version, body FROM documents
                WHERE kind = $1 ORDER BY version DESC LIMIT 1";
    let row = db.query_opt(sql, params![kind]).await?;
    row.map(|mut row| Ok((row.take()?, row.take()?))).transpose()
}

/// What was uploaded last, if that was after `version`.
///
/// # Errors
/// The database's failure.
pub async fn newer(tx: &mut Tx, kind: &'static str, version: i64) -> db::Result<Option<String>> {
    let sql = "SELECT body FROM documents
                WHERE kind = $1 AND version > $2 ORDER BY version DESC LIMIT 1";
    let row = tx.query_opt(sql, params![kind, version]).await?;
    row.map(|mut row| row.take()).transpose()
}

/// Stores an upload; gives its number. Only the last few are kept. Two at once stand in line, so the
/// later one has the higher number.
///
/// # Errors
/// The database's failure.
pub async fn upload(
    tx: &mut Tx,
    kind: &'static str,
    actor: &Actor,
    body: &str,
    hash: &str,
    now: Time,
) -> db::Result<i64> {
    let next = "UPDATE document_heads SET version = version + 1 WHERE kind = $1 RETURNING version";
    let mut rows = tx.query(next, params![kind]).await?;
    let version = rows.first_mut().map_or(Ok(0), Row::take::<i64>)?;
    tx.execute(
        "INSERT INTO documents (kind, version, body, hash, created_at, created_by)
         VALUES ($1, $2, $3, $4, $5, $6)",
        params![kind, version, body, hash, now, &*actor.id],
    )
    .await?;
    let forget = "DELETE FROM documents WHERE kind = $1 AND version <= $2";
    tx.execute(forget, params![kind, version - KEPT]).await?;
    Ok(version)
}
