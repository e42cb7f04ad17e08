//! All SQL of `rbac_matrices`.

use countersign_ground::clock::Time;
use countersign_ground::db::{self, Db, Row, Tx};
use countersign_ground::params;
use countersign_ground::record::Actor;
use countersign_policy::Matrix;

/// What was uploaded last, with its version.
///
/// # Errors
/// The database's failure.
pub async fn newest(db: &Db) -> db::Result<Option<(i64, String)>> {
    let row = db
        .query_opt("SELECT version, body FROM rbac_matrices ORDER BY version DESC LIMIT 1", &[])
        .await?;
    row.map(|mut row| Ok((row.take()?, row.take()?))).transpose()
}

/// What was uploaded last, if that was after `version`.
///
/// # Errors
/// The database's failure.
pub async fn newer(tx: &mut Tx, version: i64) -> db::Result<Option<String>> {
    let row = tx
        .query_opt(
            "SELECT body FROM rbac_matrices WHERE version > $1 ORDER BY version DESC LIMIT 1",
            params![version],
        )
        .await?;
    row.map(|mut row| row.take()).transpose()
}

/// Stores an uploaded matrix; gives its version. Only the last few are kept. Whoever uploads stands
/// in line with all that changes who may administer, so the later one has the higher version.
///
/// # Errors
/// The database's failure.
pub async fn upload(tx: &mut Tx, actor: &Actor, matrix: &Matrix, now: Time) -> db::Result<i64> {
    const KEPT: i64 = 10;
    let mut last = tx.query("SELECT COALESCE(MAX(version), 0) FROM rbac_matrices", &[]).await?;
    let version = last.first_mut().map_or(Ok(0), Row::take::<i64>)? + 1;
    tx.execute(
        "INSERT INTO rbac_matrices (version, body, hash, created_at, created_by)
         VALUES ($1, $2, $3, $4, $5)",
        params![version, matrix.text(), matrix.hash(), now, &*actor.id],
    )
    .await?;
    tx.execute("DELETE FROM rbac_matrices WHERE version <= $1", params![version - KEPT]).await?;
    Ok(version)
}
