//! Joining runs: sixteen of a level become one of the next, until they are large enough.

use super::{Entry, Run, decode};
use crate::clock::Time;
use crate::db::{self, Db, Row};
use crate::params;

/// So many runs of a level are joined at once.
const TOGETHER: i64 = 16;
/// Entries of the largest run: joining takes one transaction, and nobody should wait long for that.
const LARGEST: i64 = 1 << 16;
/// The level of a run that is large enough.
const WHOLE: i64 = 9;
/// One that is made so large stays as it is: joining three would cost as much as making them.
const LARGE: usize = 1 << 14;

/// The level of a new run.
pub(in crate::record) fn level(entries: &[Entry]) -> i64 {
    if entries.len() < LARGE { 0 } else { WHOLE }
}

struct Small {
    run: i64,
    begins: Time,
    ends: Time,
    entries: i64,
}

/// Joins what there is to join.
pub(in crate::record) async fn merge(db: &Db) -> db::Result<()> {
    while let Some(level) = crowded(db).await? {
        let small = oldest(db, level).await?;
        let mut sum = 0;
        let fitting = small.iter().take_while(|run| {
            sum += run.entries;
            sum <= LARGEST
        });
        // At least one, which is large enough alone.
        let fitting = fitting.count().max(1);
        let next = if fitting == small.len() { level + 1 } else { WHOLE };
        if !join(db, &small[..fitting], next).await? {
            // Another node was here.
            return Ok(());
        }
    }
    Ok(())
}

/// The lowest level that has enough runs.
async fn crowded(db: &Db) -> db::Result<Option<i64>> {
    let row = db
        .query_opt(
            "SELECT level FROM event_runs WHERE level < $1
              GROUP BY level HAVING COUNT(*) >= $2 ORDER BY level LIMIT 1",
            params![WHOLE, TOGETHER],
        )
        .await?;
    row.map(|mut row| row.take()).transpose()
}

async fn oldest(db: &Db, level: i64) -> db::Result<Vec<Small>> {
    let rows = db
        .query(
            "SELECT run, begins, ends, entries FROM event_runs
              WHERE level = $1 ORDER BY run LIMIT $2",
            params![level, TOGETHER],
        )
        .await?;
    let small = |mut row: Row| {
        Ok(Small { run: row.take()?, begins: row.take()?, ends: row.take()?, entries: row.take()? })
    };
    rows.into_iter().map(small).collect()
}

/// Writes one run in place of these; false when one of them has gone meanwhile.
async fn join(db: &Db, small: &[Small], level: i64) -> db::Result<bool> {
    let runs: Vec<i64> = small.iter().map(|run| run.run).collect();
    let (Some(seal), Some(begins), Some(ends)) = (
        runs.last().copied(),
        small.iter().map(|run| run.begins).min(),
        small.iter().map(|run| run.ends).max(),
    ) else {
        return Ok(false);
    };
    let mut entries: Vec<Entry> = Vec::new();
    for run in &runs {
        let sql = "SELECT entries FROM event_keys WHERE run = $1 ORDER BY first, page";
        for mut page in db.query(sql, params![*run]).await? {
            entries.extend(decode(&page.take::<Vec<u8>>()?));
        }
    }
    entries.sort();
    db.write((runs, Run { seal, level, begins, ends, entries }), |tx, (runs, joined)| {
        Box::pin(async move {
            for (n, run) in runs.iter().enumerate() {
                let sql = "DELETE FROM event_runs WHERE run = $1";
                match tx.execute(sql, params![*run]).await? {
                    0 if n == 0 => return Ok(false),
                    0 => return Err(db::Error::Query("runs were joined meanwhile".into())),
                    _ => {}
                }
                tx.execute("DELETE FROM event_keys WHERE run = $1", params![*run]).await?;
            }
            joined.write(tx).await.map(|()| true)
        })
    })
    .await
}

/// Drops the runs of events that have all expired.
pub(in crate::record) async fn forget(db: &Db) -> db::Result<()> {
    db.write((), |tx, ()| {
        Box::pin(async move {
            tx.execute(
                "DELETE FROM event_keys WHERE run IN (SELECT run FROM event_runs
                  WHERE ends < (SELECT MIN(time) FROM audit_events))",
                &[],
            )
            .await?;
            tx.execute(
                "DELETE FROM event_runs WHERE ends < (SELECT MIN(time) FROM audit_events)",
                &[],
            )
            .await
            .map(drop)
        })
    })
    .await
}
