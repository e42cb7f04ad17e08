//! Looking up by a key: what waits for its seal is gone through, the rest is found in the sorted runs.

use std::collections::BTreeMap;

use super::super::lookup;
use super::super::sealer::tails;
use super::{Cursor, Filter, Found, SCAN, matching};
use crate::db::{self, Db, Row, STREAM_LENGTH, Value};
use crate::params;

/// Runs that one statement looks into.
const RUNS: usize = 256;
/// Such statements for a page.
const ROUNDS: usize = 8;
/// Events that are read at once.
const TOGETHER: usize = 32;
/// What has more pages to itself in one run is found as fast by going back in time.
const FREQUENT_PAGES: i64 = 8;

/// What a run says of the key.
struct Hits {
    run: i64,
    ends: i64,
    positions: Vec<i64>,
    /// Pages that begin with the key.
    pages: i64,
}

/// What has been found, by time and position.
struct Search<'s> {
    db: &'s Db,
    filter: &'s Filter,
    found: BTreeMap<(i64, i64), String>,
    /// Places that were looked at.
    looked: usize,
}

/// `None` when going back in time is the better way.
pub(super) async fn search(db: &Db, filter: &Filter, key: i64) -> db::Result<Option<Found>> {
    let (mut from, since) = filter.window();
    let mut search = Search { db, filter, found: BTreeMap::new(), looked: 0 };
    if !search.unsealed().await? {
        return Ok(None);
    }
    for _ in 0..ROUNDS {
        let mut runs = probe(db, key, from.time, since).await?;
        let is_cut = runs.len() == RUNS;
        let mut waiting = Vec::new();
        for n in 0..runs.len() {
            let run = &mut runs[n];
            if run.pages > FREQUENT_PAGES || !run.complete(db, key).await? {
                return Ok(None);
            }
            waiting.append(&mut run.positions);
            let (run, next) = (&runs[n], runs.get(n + 1));
            if waiting.len() < TOGETHER && next.is_some() {
                continue;
            }
            search.read(std::mem::take(&mut waiting)).await?;
            // All that is newer than this has been looked at.
            let horizon = next.or(Some(run).filter(|_| is_cut)).map_or(i64::MIN, |run| run.ends);
            if let Some(found) = search.page(horizon) {
                return Ok(Some(found));
            }
        }
        let oldest = runs.last().filter(|_| is_cut);
        let Some(oldest) = oldest else { return Ok(Some(search.all())) };
        if oldest.ends >= from.time {
            return Ok(None);
        }
        from = Cursor { time: oldest.ends, position: i64::MAX };
    }
    Ok(Some(search.until(from)))
}

impl Search<'_> {
    /// Adds what waits for its seal; false when that is too much.
    async fn unsealed(&mut self) -> db::Result<bool> {
        let tails = tails(self.db).await?;
        let waiting =
            tails.iter().fold(0_i64, |sum, tail| sum.saturating_add(tail.last - tail.sealed));
        if waiting > SCAN {
            return Ok(false);
        }
        let (from, since) = self.filter.window();
        for tail in tails {
            let first = tail.stream * STREAM_LENGTH;
            let rows = self
                .db
                .query(
                    concat!(
                        "SELECT time, position, body FROM audit_events WHERE ",
                        matching!(),
                        " AND (time, position) < ($7, $8) AND time >= $9
                          AND position > $10 AND position <= $11"
                    ),
                    &self.filter.params(params![
                        from.time,
                        from.position,
                        since,
                        first + tail.sealed,
                        first + tail.last,
                    ]),
                )
                .await?;
            self.add(rows)?;
        }
        Ok(true)
    }

    /// Adds those of these places that match.
    async fn read(&mut self, positions: Vec<i64>) -> db::Result<()> {
        let (from, since) = self.filter.window();
        self.looked += positions.len();
        for some in positions.chunks(TOGETHER) {
            let mut places = [-1; TOGETHER];
            places[..some.len()].copy_from_slice(some);
            let mut more = params![from.time, from.position, since].to_vec();
            more.extend(places.map(Value::from));
            let rows = self
                .db
                .query(
                    concat!(
                        "SELECT time, position, body FROM audit_events WHERE ",
                        matching!(),
                        " AND (time, position) < ($7, $8) AND time >= $9 AND position IN
                         ($10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22, $23, $24, $25,
                          $26, $27, $28, $29, $30, $31, $32, $33, $34, $35, $36, $37, $38, $39, $40, $41)"
                    ),
                    &self.filter.params(&more),
                )
                .await?;
            self.add(rows)?;
        }
        Ok(())
    }

    fn add(&mut self, rows: Vec<Row>) -> db::Result<()> {
        for mut row in rows {
            self.found.insert((row.take()?, row.take()?), row.take()?);
        }
        Ok(())
    }

    /// The page, if it is full, or enough has been looked at for one.
    fn page(&mut self, horizon: i64) -> Option<Found> {
        let newer = || self.found.range((horizon.saturating_add(1), i64::MIN)..);
        let is_full = newer().take(self.filter.limit + 1).count() > self.filter.limit;
        let is_enough = i64::try_from(self.looked).unwrap_or(i64::MAX) >= SCAN;
        let rest = Cursor { time: horizon, position: i64::MAX };
        let goes_on = i64::MIN < horizon && horizon < self.filter.window().0.time;
        (is_full || is_enough && goes_on).then(|| self.until(rest))
    }

    fn all(&mut self) -> Found {
        self.until(Cursor::OLDEST)
    }

    /// What is newer than `rest`, as much of it as a page holds.
    fn until(&mut self, rest: Cursor) -> Found {
        let newer = self.found.range((rest.time.saturating_add(1), i64::MIN)..);
        let mut newest = newer.rev();
        let mut bodies = Vec::new();
        let mut last = None;
        for (&(time, position), body) in newest.by_ref().take(self.filter.limit) {
            last = Some(Cursor { time, position });
            bodies.push(body.clone());
        }
        let next = match newest.next() {
            Some(_) => last,
            None => Some(rest).filter(|rest| *rest != Cursor::OLDEST),
        };
        Found { bodies, next }
    }
}

/// What the newest runs from before `from` say of a key.
async fn probe(db: &Db, key: i64, from: i64, since: i64) -> db::Result<Vec<Hits>> {
    let rows = db
        .query(
            // Only the page before those that begin with the key can hold its first entries. Questions of
            // their own for each run: without statistics PostgreSQL would read all pages to join them.
            "SELECT run, ends,
                    (SELECT entries FROM event_keys k WHERE k.run = r.run AND k.first < $1
                      ORDER BY k.first DESC, k.page DESC LIMIT 1),
                    (SELECT COUNT(*) FROM event_keys k WHERE k.run = r.run AND k.first = $1)
               FROM (SELECT run, ends FROM event_runs WHERE begins <= $2 AND ends >= $3
                      ORDER BY ends DESC, run DESC LIMIT $4) AS r
              ORDER BY ends DESC, run DESC",
            params![key, from, since, i64::try_from(RUNS).unwrap_or(i64::MAX)],
        )
        .await?;
    let hits = |mut row: Row| {
        let (run, ends) = (row.take()?, row.take()?);
        let page: Option<Vec<u8>> = row.take()?;
        let positions = lookup::positions(&page.unwrap_or_default(), key).collect();
        Ok(Hits { run, ends, positions, pages: row.take()? })
    };
    rows.into_iter().map(hits).collect()
}

impl Hits {
    /// Adds what stands in the pages that begin with the key; false when they have been joined with others
    /// meanwhile.
    async fn complete(&mut self, db: &Db, key: i64) -> db::Result<bool> {
        if self.pages == 0 {
            return Ok(true);
        }
        let sql = "SELECT entries FROM event_keys WHERE run = $1 AND first = $2 ORDER BY page";
        let pages = db.query(sql, params![self.run, key]).await?;
        let is_whole = i64::try_from(pages.len()) == Ok(self.pages);
        for mut page in pages {
            self.positions.extend(lookup::positions(&page.take::<Vec<u8>>()?, key));
        }
        Ok(is_whole)
    }
}
