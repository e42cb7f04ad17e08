//! The rows of seals, whatever may be in them.

use std::collections::{BTreeMap, HashMap};

use super::super::merkle::Hash;
use super::super::seal::Seal;
use crate::db::{self, Db, Row};
use crate::params;

/// Seals that are read at a time; with their leaf hashes each has up to 320 kB.
const PAGE: i64 = 50;

/// A row of `seals`.
pub(super) struct Sealed {
    /// Its number.
    pub(super) number: i64,
    /// What it holds; `None` when that is no seal.
    pub(super) seal: Option<Seal>,
    /// Its leaf hashes.
    pub(super) leaves: Vec<Hash>,
    /// They end where a hash does.
    pub(super) whole: bool,
}

/// Where leaves of a seal come from.
pub(super) struct Span {
    pub(super) stream: i64,
    pub(super) first: i64,
    pub(super) last: i64,
    pub(super) at: i64,
}

impl Span {
    /// How many events; none where its bounds are none.
    pub(super) fn count(&self) -> i64 {
        let possible = 1 <= self.first && self.first <= self.last;
        if possible { (self.last - self.first).saturating_add(1) } else { 0 }
    }

    /// The index that the next one begins with.
    pub(super) fn end(&self) -> i64 {
        self.at.saturating_add(self.count())
    }
}

/// The next seals after this number.
pub(super) async fn after(db: &Db, seal: i64) -> db::Result<Vec<Sealed>> {
    let rows = db
        .query(
            "SELECT seal, count, root, previous, time, kid, signature, leaves
               FROM seals WHERE seal > $1 ORDER BY seal LIMIT $2",
            params![seal, PAGE],
        )
        .await?;
    Ok(rows.into_iter().map(read).collect())
}

fn read(mut row: Row) -> Sealed {
    let (number, seal) = match Seal::from_row(&mut row) {
        Ok(seal) => (seal.seal, Some(seal)),
        Err((number, _)) => (number, None),
    };
    // A column that could not be read has been taken all the same; what follows it has not.
    let leaves: Vec<u8> = row.last().unwrap_or_default();
    // What is signed has milliseconds.
    let exact = |seal: &Seal| seal.time.0.rem_euclid(1_000) == 0;
    let whole = leaves.len().is_multiple_of(32);
    Sealed { number, seal: seal.filter(exact), leaves: Hash::list(&leaves), whole }
}

/// Where the events of these seals are. A row that can't be read is none, and what it covered is missed.
pub(super) async fn spans(db: &Db, first: i64, last: i64) -> db::Result<HashMap<i64, Vec<Span>>> {
    let rows = db
        .query(
            "SELECT seal, stream, first, last, at FROM seal_spans
              WHERE seal >= $1 AND seal <= $2 ORDER BY seal, at",
            params![first, last],
        )
        .await?;
    let mut spans: HashMap<i64, Vec<Span>> = HashMap::new();
    for mut row in rows {
        let mut next = || row.take::<i64>().ok();
        if let (Some(seal), Some(stream), Some(first), Some(last), Some(at)) =
            (next(), next(), next(), next(), next())
        {
            spans.entry(seal).or_default().push(Span { stream, first, last, at });
        }
    }
    Ok(spans)
}

/// Every row of `seal_head`: number and digest.
pub(super) async fn heads(db: &Db) -> db::Result<Vec<(i64, String)>> {
    let rows = db.query("SELECT seal, digest FROM seal_head", &[]).await?;
    let head = |mut row: Row| {
        let (seal, digest) = (row.take(), row.take());
        (seal.unwrap_or(i64::MIN), digest.unwrap_or_default())
    };
    Ok(rows.into_iter().map(head).collect())
}

/// How far each stream has come.
pub(super) async fn counters(db: &Db) -> db::Result<BTreeMap<i64, i64>> {
    pairs(db, "SELECT stream, n FROM event_streams").await
}

/// Up to where each stream is sealed.
pub(super) async fn sealed_streams(db: &Db) -> db::Result<BTreeMap<i64, i64>> {
    pairs(db, "SELECT stream, n FROM sealed_streams").await
}

async fn pairs(db: &Db, sql: &'static str) -> db::Result<BTreeMap<i64, i64>> {
    let rows = db.query(sql, &[]).await?;
    let pair = |mut row: Row| Some((row.take().ok()?, row.take().ok()?));
    Ok(rows.into_iter().filter_map(pair).collect())
}
