//! All SQL of `guards`, `guard_traffic`, `guard_sources` and `guard_accepted`.

use std::sync::Arc;

use countersign_ground::clock::Time;
use countersign_ground::db::{self, Db, Row, Tx, Value};
use countersign_ground::params;

use super::report::{Accepted, Seen, Source, Totals};
use super::{Change, Stored, variable};
use crate::law::action::WriteGuards;
use crate::law::guards::{Guard, Mode, Noted, Sides};
use crate::law::permit::Permit;

macro_rules! columns {
    ($before:literal, $after:literal) => {
        concat!($before, " name, mode, percent, reason, changed_at, changed_by, boot ", $after)
    };
}

fn mode(text: &str) -> db::Result<Mode> {
    text.parse().map_err(|_| db::Error::Query("guards.mode is not readable".into()))
}

fn percent(row: &mut Row) -> db::Result<u8> {
    Ok(u8::try_from(row.take::<i64>()?).unwrap_or(100))
}

fn stored(row: &mut Row) -> db::Result<Stored> {
    let (name, text): (String, String) = (row.take()?, row.take()?);
    let (mode, percent) = (mode(&text)?, percent(row)?);
    let (reason, changed_at, changed_by) = (row.take()?, row.take()?, row.take()?);
    let boot: Option<String> = row.take()?;
    let said = format!("{}:{percent}", mode.as_str());
    let overrides_variable = boot.is_some_and(|boot| boot != said);
    let variable = variable(&name);
    Ok(Stored { name, mode, percent, reason, changed_at, changed_by, variable, overrides_variable })
}

/// All of them, for memory.
///
/// # Errors
/// The database's failure.
pub async fn all(db: &Db) -> db::Result<Vec<Guard>> {
    let sql = "SELECT name, mode, percent, side_key, revision FROM guards";
    let rows = db.query(sql, &[]).await?;
    let guard = |mut row: Row| {
        let (name, text): (String, String) = (row.take()?, row.take()?);
        let percent = percent(&mut row)?;
        let sides = Sides::new(&row.take::<Vec<u8>>()?);
        Ok(Guard::new(name.into(), mode(&text)?, percent, sides, row.take()?))
    };
    rows.into_iter().map(guard).collect()
}

/// All of them, by name.
///
/// # Errors
/// The database's failure.
pub async fn list(db: &Db) -> db::Result<Vec<Stored>> {
    let rows = db.query(columns!("SELECT", "FROM guards ORDER BY name"), &[]).await?;
    rows.into_iter().map(|mut row| stored(&mut row)).collect()
}

/// One of them.
///
/// # Errors
/// The database's failure.
pub async fn find(tx: &mut Tx, name: &str) -> db::Result<Option<Stored>> {
    let sql = columns!("SELECT", "FROM guards WHERE name = $1");
    tx.query_opt(sql, params![name]).await?.map(|mut row| stored(&mut row)).transpose()
}

/// How many there are.
///
/// # Errors
/// The database's failure.
pub async fn count(tx: &mut Tx) -> db::Result<i64> {
    let mut rows = tx.query("SELECT COUNT(*) FROM guards", &[]).await?;
    rows.first_mut().map_or(Ok(0), Row::take)
}

/// What its variable said at the last start.
///
/// # Errors
/// The database's failure.
pub async fn boot(tx: &mut Tx, name: &str) -> db::Result<Option<String>> {
    let row = tx.query_opt("SELECT boot FROM guards WHERE name = $1", params![name]).await?;
    row.map_or(Ok(None), |mut row| row.take())
}

/// Notes what its variable says now.
///
/// # Errors
/// The database's failure.
pub async fn set_boot(tx: &mut Tx, name: &str, boot: &str) -> db::Result<()> {
    let sql = "UPDATE guards SET boot = $2 WHERE name = $1";
    tx.execute(sql, params![name, boot]).await.map(drop)
}

/// Changes a guard, or makes it; only then `key` is used.
///
/// # Errors
/// The database's failure.
pub async fn set(
    tx: &mut Tx,
    permit: &Permit<WriteGuards>,
    change: &Change,
    key: &[u8],
    now: Time,
) -> db::Result<Stored> {
    let percent = change.percent.map(i64::from);
    let set = params![
        &*change.name,
        change.mode.as_str(),
        percent,
        change.reason.as_str(),
        key,
        now,
        &*permit.actor().id
    ];
    let row = tx
        .query_opt(
            columns!(
                "INSERT INTO guards
                    (name, mode, percent, reason, side_key, revision, changed_at, changed_by)
                 VALUES ($1, $2, COALESCE($3, 100), $4, $5, 1, $6, $7)
                 ON CONFLICT (name) DO UPDATE
                    SET mode = EXCLUDED.mode, percent = COALESCE($3, guards.percent),
                        reason = EXCLUDED.reason, revision = guards.revision + 1,
                        changed_at = EXCLUDED.changed_at, changed_by = EXCLUDED.changed_by
                 RETURNING",
                ""
            ),
            set,
        )
        .await?;
    let unwritten = || db::Error::Query("`guards` gave nothing back".into());
    stored(&mut row.ok_or_else(unwritten)?)
}

/// What is added to what was counted.
pub struct Rows {
    traffic: Vec<Vec<Value>>,
    sources: Vec<Vec<Value>>,
}

/// What was let through until `now`, and what was denied.
#[must_use]
pub fn rows(passed: &[(Arc<str>, u64)], noted: &Noted, now: Time) -> Rows {
    let minute = now.0.div_euclid(60_000_000);
    let count = |passed: u64| i64::try_from(passed).unwrap_or(i64::MAX);
    let allowed = passed.iter().map(|(guard, passed)| {
        params![&**guard, minute, "", "", "", "", "", count(*passed), 0_i64, 0_i64, 0_i64, now, now]
            .to_vec()
    });
    let denied = noted.groups.iter().map(|(group, tally)| {
        params![
            &*group.guard,
            group.minute,
            group.caller.as_str(),
            group.route.as_str(),
            group.reason.as_str(),
            tally.permission.as_str(),
            group.package.as_str(),
            0_i64,
            tally.would_deny,
            tally.denied,
            i64::from(tally.held),
            tally.first,
            tally.last
        ]
        .to_vec()
    });
    let mut traffic: Vec<Vec<Value>> = allowed.chain(denied).collect();
    // In key order, so that two nodes never wait for each other.
    traffic.sort_by_cached_key(|row| format!("{:?}", &row[..5]));
    let source = |(guard, address): &(Arc<str>, std::net::IpAddr)| {
        params![&**guard, address.to_string(), now].to_vec()
    };
    let mut sources: Vec<Vec<Value>> = noted.sources.iter().map(source).collect();
    sources.sort_by_cached_key(|row| format!("{:?}", &row[..2]));
    Rows { traffic, sources }
}

/// Adds to what was counted.
///
/// # Errors
/// The database's failure.
pub async fn add(tx: &mut Tx, rows: &Rows) -> db::Result<()> {
    tx.execute_each(
        "INSERT INTO guard_traffic (guard, minute, caller, route, reason, permission, package,
                                    allowed, would_deny, denied, held, first_seen, last_seen)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)
         ON CONFLICT (guard, minute, caller, route, reason) DO UPDATE
            SET allowed = guard_traffic.allowed + EXCLUDED.allowed,
                would_deny = guard_traffic.would_deny + EXCLUDED.would_deny,
                denied = guard_traffic.denied + EXCLUDED.denied,
                permission = EXCLUDED.permission, package = EXCLUDED.package,
                held = EXCLUDED.held,
                last_seen = EXCLUDED.last_seen",
        &rows.traffic,
    )
    .await?;
    tx.execute_each(
        "INSERT INTO guard_sources (guard, address, last_seen) VALUES ($1, $2, $3)
         ON CONFLICT (guard, address) DO UPDATE SET last_seen = EXCLUDED.last_seen",
        &rows.sources,
    )
    .await
}

/// All that has passed a guard since a time, in whole minutes.
///
/// # Errors
/// The database's failure.
pub async fn totals(db: &Db, guard: &str, since: Time) -> db::Result<Totals> {
    let row = db
        .query_opt(
            "SELECT CAST(COALESCE(SUM(allowed), 0) AS BIGINT),
                    CAST(COALESCE(SUM(would_deny), 0) AS BIGINT),
                    CAST(COALESCE(SUM(denied), 0) AS BIGINT)
               FROM guard_traffic WHERE guard = $1 AND minute >= $2",
            params![guard, since.0.div_euclid(60_000_000)],
        )
        .await?;
    let Some(mut row) = row else { return Ok(Totals::default()) };
    Ok(Totals { allowed: row.take()?, would_deny: row.take()?, denied: row.take()? })
}

/// What a guard has denied since a time, or would have, the most frequent first.
///
/// # Errors
/// The database's failure.
pub async fn groups(db: &Db, guard: &str, since: Time, most: i64) -> db::Result<Vec<Seen>> {
    let rows = db
        .query(
            "SELECT caller, route, reason, MAX(permission), MAX(package), MAX(held),
                    CAST(SUM(would_deny + denied) AS BIGINT), MIN(first_seen), MAX(last_seen)
               FROM guard_traffic WHERE guard = $1 AND minute >= $2 AND caller <> ''
              GROUP BY caller, route, reason
              ORDER BY SUM(would_deny + denied) DESC, caller, route, reason LIMIT $3",
            params![guard, since.0.div_euclid(60_000_000), most],
        )
        .await?;
    let seen = |mut row: Row| {
        Ok(Seen {
            caller: row.take()?,
            route: row.take()?,
            reason: row.take()?,
            permission: row.take()?,
            package: row.take()?,
            held: row.take::<i64>()? > 0,
            count: row.take()?,
            first_seen: row.take()?,
            last_seen: row.take()?,
        })
    };
    rows.into_iter().map(seen).collect()
}

/// An address is noted again so long after it was.
const NOTED_ANEW: std::time::Duration = std::time::Duration::from_secs(3_600);

/// Strangers' addresses since a time from which nobody has proved who they are, the most frequent first.
///
/// # Errors
/// The database's failure.
pub async fn strangers(db: &Db, guard: &str, since: Time, most: i64) -> db::Result<Vec<Source>> {
    let rows = db
        .query(
            "SELECT t.caller, CAST(SUM(t.would_deny + t.denied) AS BIGINT), MAX(t.last_seen)
               FROM guard_traffic t
              WHERE t.guard = $1 AND t.minute >= $2 AND t.caller >= 'anonymous@' AND t.caller < 'anonymousA'
                AND NOT EXISTS (SELECT 1 FROM guard_sources s WHERE s.guard = $1
                                 AND 'anonymous@' || s.address = t.caller AND s.last_seen >= $4)
              GROUP BY t.caller ORDER BY SUM(t.would_deny + t.denied) DESC, t.caller LIMIT $3",
            params![guard, since.0.div_euclid(60_000_000), most, since - NOTED_ANEW],
        )
        .await?;
    let source = |mut row: Row| {
        let caller: String = row.take()?;
        let address = caller.trim_start_matches("anonymous@").to_owned();
        Ok(Source { address, count: row.take()?, last_seen: row.take()? })
    };
    rows.into_iter().map(source).collect()
}

/// Denials that somebody expects.
///
/// # Errors
/// The database's failure.
pub async fn accepted(db: &Db, guard: &str) -> db::Result<Vec<Accepted>> {
    let rows = db
        .query(
            "SELECT caller, route, reason, note, accepted_at, accepted_by FROM guard_accepted
              WHERE guard = $1 ORDER BY caller, route, reason",
            params![guard],
        )
        .await?;
    let accepted = |mut row: Row| {
        Ok(Accepted {
            caller: row.take()?,
            route: row.take()?,
            reason: row.take()?,
            note: row.take()?,
            accepted_at: row.take()?,
            accepted_by: row.take()?,
        })
    };
    rows.into_iter().map(accepted).collect()
}

/// Notes that somebody expects a group of denials.
///
/// # Errors
/// The database's failure.
pub async fn accept(
    tx: &mut Tx,
    permit: &Permit<WriteGuards>,
    guard: &str,
    group: &[String; 3],
    note: &str,
    now: Time,
) -> db::Result<()> {
    let [caller, route, reason] = group.each_ref().map(String::as_str);
    let by = &*permit.actor().id;
    tx.execute(
        "INSERT INTO guard_accepted (guard, caller, route, reason, note, accepted_at, accepted_by)
         VALUES ($1, $2, $3, $4, $5, $6, $7)
         ON CONFLICT (guard, caller, route, reason) DO UPDATE
            SET note = EXCLUDED.note, accepted_at = EXCLUDED.accepted_at,
                accepted_by = EXCLUDED.accepted_by",
        params![guard, caller, route, reason, note, now, by],
    )
    .await
    .map(drop)
}

/// Withdraws that; `false` when nobody had said it.
///
/// # Errors
/// The database's failure.
pub async fn withdraw(
    tx: &mut Tx,
    _: &Permit<WriteGuards>,
    guard: &str,
    group: &[String; 3],
) -> db::Result<bool> {
    let [caller, route, reason] = group.each_ref().map(String::as_str);
    let sql = "DELETE FROM guard_accepted
                WHERE guard = $1 AND caller = $2 AND route = $3 AND reason = $4";
    Ok(tx.execute(sql, params![guard, caller, route, reason]).await? == 1)
}

/// Forgets what was counted before a time.
///
/// # Errors
/// The database's failure.
pub async fn forget(db: &Db, before: Time) -> db::Result<()> {
    db.write((), move |tx, ()| {
        Box::pin(async move {
            let minute = before.0.div_euclid(60_000_000);
            tx.execute("DELETE FROM guard_traffic WHERE minute < $1", params![minute]).await?;
            let old = "DELETE FROM guard_sources WHERE last_seen < $1";
            tx.execute(old, params![before]).await.map(drop)
        })
    })
    .await
}
