//! All SQL of `documents`, `document_parts` and `document_heads`.
//!
//! A text is written before the document that it is of: in pieces, each in a transaction of its own, under a number
//! that nobody else has. Whatever comes in between, a document is whole or not there.

use countersign_ground::clock::Time;
use countersign_ground::db::{self, Db, Row, Tx};
use countersign_ground::params;
use countersign_ground::record::Actor;
use countersign_ground::text::Text;

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
pub async fn newest(db: &Db, kind: &'static str) -> db::Result<Option<(i64, Text)>> {
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

/// The number of what was uploaded last; 0 when nothing was.
///
/// # Errors
/// The database's failure.
pub async fn newest_version(db: &Db, kind: &'static str) -> db::Result<i64> {
    let sql = "SELECT version FROM documents WHERE kind = $1 ORDER BY version DESC LIMIT 1";
    db.query_opt(sql, params![kind]).await?.map_or(Ok(0), |mut row| row.take())
}

async fn read(db: &Db, kind: &'static str, stored: Stored) -> db::Result<Option<Text>> {
    let most = usize::try_from(stored.parts).unwrap_or_default().saturating_mul(PIECE);
    let no_room = |error| db::Error::Query(format!("no room for the {kind}: {error}"));
    let mut text = Text::with_capacity(most).map_err(no_room)?;
    for part in 0..stored.parts {
        let sql = "SELECT body FROM document_parts WHERE kind = $1 AND text = $2 AND part = $3";
        let Some(mut row) = db.query_opt(sql, params![kind, stored.text, part]).await? else {
            return Ok(None);
        };
        text.push(row.take::<String>()?.as_bytes()).map_err(no_room)?;
    }
    Ok(Some(text))
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
pub async fn store(db: &Db, kind: &'static str, text: &[u8]) -> db::Result<Stored> {
    let number = db.write(kind, |tx, kind| Box::pin(next(tx, kind))).await?;
    let mut rest = text;
    let mut parts = 0;
    while !rest.is_empty() {
        let piece = first_piece(rest).to_owned();
        if piece.is_empty() {
            return Err(db::Error::Query(format!("the {kind} is not UTF-8")));
        }
        rest = rest.get(piece.len()..).unwrap_or_default();
        let input = (kind, piece);
        db.write(input, move |tx, (kind, piece)| {
            Box::pin(async move {
                let sql =
                    "INSERT INTO document_parts (kind, text, part, body) VALUES ($1, $2, $3, $4)";
                tx.execute(sql, params![*kind, number, parts, piece]).await.map(drop)
            })
        })
        .await?;
        parts += 1;
    }
    Ok(Stored { text: number, parts })
}

/// The beginning of a text, up to the end of a character; nothing where it is not UTF-8.
fn first_piece(rest: &[u8]) -> &str {
    let piece = rest.get(..PIECE).unwrap_or(rest);
    match str::from_utf8(piece) {
        Ok(text) => text,
        Err(error) => str::from_utf8(&piece[..error.valid_up_to()]).unwrap_or_default(),
    }
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
