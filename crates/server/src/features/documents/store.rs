//! All SQL of `documents`, `document_parts` and `document_heads`.
//!
//! A text is written before the document that it is of: in pieces, each in a transaction of its own, under a number
//! that nobody else has. Whatever comes in between, a document is whole or not there.

use countersign_ground::clock::Time;
use countersign_ground::db::{self, Db, Row, Tx};
use countersign_ground::params;
use countersign_ground::record::Actor;

/// How many uploads of a kind are kept.
const KEPT: i64 = 10;
/// How often a document is looked for that goes while it is read.
const ATTEMPTS: usize = 5;
/// A text that belongs to no document after so many later numbers will never belong to one.
const PENDING: i64 = 1_000;
/// Bytes of a piece, at most.
pub const PIECE: usize = 1 << 18;

/// A text that is stored, and of no document yet.
#[derive(Debug, Clone, Copy)]
pub struct Stored {
    text: i64,
    parts: i64,
}

/// What was uploaded last, with its number.
///
/// # Errors
/// The database's failure.
pub async fn newest(db: &Db, kind: &'static str) -> db::Result<Option<(i64, Vec<String>)>> {
    for _ in 0..ATTEMPTS {
        let sql = "SELECT version, text, parts FROM documents
                    WHERE kind = $1 ORDER BY version DESC LIMIT 1";
        let Some(mut row) = db.query_opt(sql, params![kind]).await? else { return Ok(None) };
        let version = row.take()?;
        let stored = Stored { text: row.take()?, parts: row.take()? };
        // It may have gone meanwhile: there are newer ones then.
        if let Some(text) = read(db, kind, stored).await? {
            return Ok(Some((version, text)));
        }
    }
    Err(db::Error::Query(format!("the newest {kind} in `documents` lacks parts of its text")))
}

async fn read(db: &Db, kind: &'static str, stored: Stored) -> db::Result<Option<Vec<String>>> {
    let mut pieces = Vec::new();
    for part in 0..stored.parts {
        let sql = "SELECT body FROM document_parts WHERE kind = $1 AND text = $2 AND part = $3";
        match db.query_opt(sql, params![kind, stored.text, part]).await? {
            Some(mut row) => pieces.push(row.take()?),
            None => return Ok(None),
        }
    }
    Ok(Some(pieces))
}

/// What was uploaded last, if that was after `version`.
///
/// # Errors
/// The database's failure.
pub async fn newer(tx: &mut Tx, kind: &'static str, version: i64) -> db::Result<Option<String>> {
    let rows = tx
        .query(
            "SELECT body FROM document_parts
              WHERE kind = $1 AND text = (SELECT text FROM documents
                                           WHERE kind = $1 AND version > $2
                                           ORDER BY version DESC LIMIT 1)
              ORDER BY part",
            params![kind, version],
        )
        .await?;
    let parts: Vec<String> =
        rows.into_iter().map(|mut row: Row| row.take()).collect::<db::Result<_>>()?;
    Ok((!parts.is_empty()).then(|| parts.concat()))
}

/// Stores a text.
///
/// # Errors
/// The database's failure: what was stored until then is no document.
pub async fn store(db: &Db, kind: &'static str, text: &str) -> db::Result<Stored> {
    let number = db.write(kind, |tx, kind| Box::pin(next(tx, kind))).await?;
    let mut rest = text;
    let mut parts = 0;
    while !rest.is_empty() {
        let (piece, left) = rest.split_at(rest.floor_char_boundary(PIECE));
        let input = (kind, piece.to_owned());
        db.write(input, move |tx, (kind, piece)| {
            Box::pin(async move {
                let sql =
                    "INSERT INTO document_parts (kind, text, part, body) VALUES ($1, $2, $3, $4)";
                tx.execute(sql, params![*kind, number, parts, piece]).await.map(drop)
            })
        })
        .await?;
        rest = left;
        parts += 1;
    }
    Ok(Stored { text: number, parts })
}

/// The next number of a kind. Whoever takes one stands in line with all others who do.
async fn next(tx: &mut Tx, kind: &str) -> db::Result<i64> {
    let sql = "UPDATE document_heads SET n = n + 1 WHERE kind = $1 RETURNING n";
    let mut rows = tx.query(sql, params![kind]).await?;
    rows.first_mut().map_or(Ok(0), Row::take)
}

/// Makes the newest document of what was stored; gives its number. Only the last few are kept.
///
/// # Errors
/// The database's failure.
pub async fn publish(
    tx: &mut Tx,
    kind: &'static str,
    stored: Stored,
    actor: &Actor,
    hash: &str,
    now: Time,
) -> db::Result<i64> {
    let version = next(tx, kind).await?;
    tx.execute(
        "INSERT INTO documents (kind, version, text, parts, hash, created_at, created_by)
         VALUES ($1, $2, $3, $4, $5, $6, $7)",
        params![kind, version, stored.text, stored.parts, hash, now, &*actor.id],
    )
    .await?;
    tx.execute(
        "DELETE FROM documents WHERE kind = $1 AND version NOT IN
            (SELECT version FROM documents WHERE kind = $1 ORDER BY version DESC LIMIT $2)",
        params![kind, KEPT],
    )
    .await?;
    tx.execute(
        "DELETE FROM document_parts WHERE kind = $1 AND text < $2 AND text NOT IN
            (SELECT text FROM documents WHERE kind = $1)",
        params![kind, stored.text - PENDING],
    )
    .await?;
    Ok(version)
}
