//! Going back in time, row by row.

use super::{Cursor, Filter, Found, SCAN, matching};
use crate::db::{self, Db};
use crate::params;

pub(super) async fn search(db: &Db, filter: &Filter) -> db::Result<Found> {
    let (from, since) = filter.window();
    let limit = i64::try_from(filter.limit).unwrap_or(i64::MAX);
    let rows = db
        .query(
            concat!(
                "SELECT time, position, body FROM (
                     SELECT time, position, tenant, agent_id, action, outcome, body
                       FROM audit_events
                      WHERE (time, position) < ($7, $8) AND time >= $9
                      ORDER BY time DESC, position DESC LIMIT $10) AS recent
                  WHERE ",
                matching!(),
                " ORDER BY time DESC, position DESC LIMIT $11"
            ),
            &filter.params(params![from.time, from.position, since, SCAN, limit.saturating_add(1)]),
        )
        .await?;
    let mut bodies = Vec::with_capacity(rows.len());
    let mut last = None;
    for mut row in rows {
        if bodies.len() == filter.limit {
            return Ok(Found { bodies, next: last });
        }
        last = Some(Cursor { time: row.take()?, position: row.take()? });
        bodies.push(row.take()?);
    }
    Ok(Found { bodies, next: end_of_scan(db, from, since).await? })
}

/// The last row looked at, when there may be more behind it.
async fn end_of_scan(db: &Db, from: Cursor, since: i64) -> db::Result<Option<Cursor>> {
    let row = db
        .query_opt(
            "SELECT time, position FROM audit_events
              WHERE (time, position) < ($1, $2) AND time >= $3
              ORDER BY time DESC, position DESC LIMIT 1 OFFSET $4",
            params![from.time, from.position, since, SCAN - 1],
        )
        .await?;
    row.map(|mut row| Ok(Cursor { time: row.take()?, position: row.take()? })).transpose()
}
