//! Reading seals: their list, and the proof that an event is under one.

use serde::Serialize;

use super::merkle::{self, Hash};
use super::seal::Seal;
use super::search;
use crate::db::{self, Db, STREAM_LENGTH};
use crate::ids::EventId;
use crate::params;

macro_rules! columns {
    ($before:literal, $after:literal) => {
        concat!($before, " seal, count, root, previous, time, kid, signature ", $after)
    };
}

/// Seals after this number, oldest first.
pub(super) async fn after(db: &Db, seal: i64, limit: i64) -> db::Result<Vec<Seal>> {
    let rows = db
        .query(
            columns!("SELECT", "FROM seals WHERE seal > $1 ORDER BY seal LIMIT $2"),
            params![seal, limit],
        )
        .await?;
    rows.into_iter().map(|mut row| Seal::from_row(&mut row).map_err(|(_, error)| error)).collect()
}

/// The number of the newest seal; 0 when there is none.
pub(super) async fn newest(db: &Db) -> db::Result<i64> {
    let row = db.query_opt("SELECT seal FROM seal_head", &[]).await?;
    row.map_or(Ok(0), |mut row| row.take())
}

/// The next seal that the sink has not been told of; none for a node that does not seal.
pub(super) async fn next_untold(db: &Db) -> db::Result<Option<Seal>> {
    let row = db.query_opt("SELECT holder, told, seal FROM seal_head", &[]).await?;
    let Some(mut row) = row else { return Ok(None) };
    let (holder, told, newest): (Option<i64>, i64, i64) = (row.take()?, row.take()?, row.take()?);
    if holder != Some(db.stream()) || told >= newest {
        return Ok(None);
    }
    Ok(after(db, told, 1).await?.pop())
}

/// Notes that the sink has taken this seal.
pub(super) async fn note_told(db: &Db, seal: i64) -> db::Result<()> {
    db.write((), move |tx, ()| {
        Box::pin(async move {
            let sql = "UPDATE seal_head SET told = $1 WHERE told < $1";
            tx.execute(sql, params![seal]).await.map(drop)
        })
    })
    .await
}

/// That an event is in the record, for whoever trusts the key of the seal.
#[derive(Debug, Serialize)]
pub struct Proof {
    /// The event's text: what was hashed.
    pub leaf: String,
    /// Its RFC 6962 leaf hash, hex.
    pub leaf_hash: String,
    /// Where it stands under the seal, from 0.
    pub index: usize,
    /// How many events are under the seal.
    pub tree_size: usize,
    /// What the leaf hash is joined with to reach the root, from the bottom up, hex.
    pub path: Vec<String>,
    /// The seal.
    pub seal: Seal,
}

/// What is known of an event's seal.
#[derive(Debug)]
pub enum Proven {
    /// There is no such event.
    Unknown,
    /// The next seal will hold it.
    NotYet,
    /// It is under a seal.
    Sealed(Box<Proof>),
}

pub(super) async fn prove(db: &Db, tenant: &str, id: EventId) -> db::Result<Proven> {
    let Some((position, leaf)) = search::locate(db, tenant, id).await? else {
        return Ok(Proven::Unknown);
    };
    let Some((seal, index)) = place(db, position).await? else { return Ok(Proven::NotYet) };
    let leaves = leaves(db, seal).await?;
    let seal = after(db, seal - 1, 1).await?.pop().ok_or_else(|| missing(seal))?;
    let path = merkle::path(&leaves, index).iter().map(Hash::to_string).collect();
    let leaf_hash = merkle::leaf(leaf.as_bytes()).to_string();
    let tree_size = leaves.len();
    Ok(Proven::Sealed(Box::new(Proof { leaf, leaf_hash, index, tree_size, path, seal })))
}

/// The seal that an event is under, and its index there.
pub(super) async fn place(db: &Db, position: i64) -> db::Result<Option<(i64, usize)>> {
    let (stream, n) = (position / STREAM_LENGTH, position % STREAM_LENGTH);
    let row = db
        .query_opt(
            "SELECT first, last, seal, at FROM seal_spans
              WHERE stream = $1 AND first <= $2 ORDER BY first DESC LIMIT 1",
            params![stream, n],
        )
        .await?;
    let Some(mut row) = row else { return Ok(None) };
    let (first, last, seal, at): (i64, i64, i64, i64) =
        (row.take()?, row.take()?, row.take()?, row.take()?);
    Ok((n <= last).then(|| (seal, usize::try_from(at + n - first).unwrap_or(usize::MAX))))
}

/// The leaf hashes of a seal.
pub(super) async fn leaves(db: &Db, seal: i64) -> db::Result<Vec<Hash>> {
    let row = db.query_opt("SELECT leaves FROM seals WHERE seal = $1", params![seal]).await?;
    let mut row = row.ok_or_else(|| missing(seal))?;
    let leaves: Vec<u8> = row.take()?;
    Ok(Hash::list(&leaves))
}

fn missing(seal: i64) -> db::Error {
    db::Error::Query(format!("seal {seal} is missing"))
}
