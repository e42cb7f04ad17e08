//! Reading the record: newest first, a bounded number of rows a page.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::Deserialize;

use crate::clock::Time;
use crate::db::{self, Db};
use crate::ids::{AgentId, EventId};
use crate::params;

/// Rows looked at for one page. A page may be shorter than asked, even empty, while a cursor says
/// that there is more: a rare event in a long record costs several short calls, not one long one.
const SCAN: i64 = 20_000;

/// Which events are wanted.
#[derive(Debug, Clone)]
pub struct Filter {
    /// Whose record.
    pub tenant: String,
    /// About this agent.
    pub agent: Option<AgentId>,
    /// Of this action.
    pub action: Option<String>,
    /// That ended so.
    pub outcome: Option<String>,
    /// That carry this decision.
    pub decision: Option<String>,
    /// Of this request.
    pub request: Option<String>,
    /// Not earlier.
    pub since: Option<Time>,
    /// Not later.
    pub until: Option<Time>,
    /// At most so many.
    pub limit: usize,
    /// Older than what came before.
    pub cursor: Option<Cursor>,
}

impl Filter {
    /// All of a tenant's events.
    #[must_use]
    pub fn all(tenant: &str) -> Self {
        Self {
            tenant: tenant.to_owned(),
            agent: None,
            action: None,
            outcome: None,
            decision: None,
            request: None,
            since: None,
            until: None,
            limit: 0,
            cursor: None,
        }
    }

    pub(super) fn decision_member(&self) -> Option<String> {
        self.decision.as_ref().map(|id| member("decisionId", id))
    }

    pub(super) fn request_member(&self) -> Option<String> {
        self.request.as_ref().map(|id| member("requestId", id))
    }

    /// What is asked for, as an export says it.
    pub(super) fn told(&self) -> serde_json::Value {
        let mut told = serde_json::Map::new();
        let agent = self.agent.map(|agent| agent.to_string());
        for (name, value) in [
            ("action", self.action.clone()),
            ("agentId", agent),
            ("decisionId", self.decision.clone()),
            ("endDate", self.until.map(|time| time.to_string())),
            ("outcome", self.outcome.clone()),
            ("requestId", self.request.clone()),
            ("startDate", self.since.map(|time| time.to_string())),
        ] {
            if let Some(value) = value {
                told.insert(name.to_owned(), value.into());
            }
        }
        told.into()
    }
}

/// A page of events.
#[derive(Debug)]
pub struct Found {
    /// RFC 8785 texts, newest first.
    pub bodies: Vec<String>,
    /// Where to go on; `None` when nothing older is left.
    pub next: Option<Cursor>,
}

/// A place in the record: everything after it is older.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cursor {
    time: i64,
    position: i64,
}

impl Cursor {
    /// Before everything.
    pub(super) const OLDEST: Self = Self { time: i64::MIN, position: i64::MIN };

    /// Before all that happened then.
    pub(super) fn at(time: Time) -> Self {
        Self { time: time.0, position: i64::MIN }
    }

    pub(super) fn new(time: i64, position: i64) -> Self {
        Self { time, position }
    }

    pub(super) fn parts(self) -> (i64, i64) {
        (self.time, self.position)
    }
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:x}-{:x}", self.time, self.position)
    }
}

impl FromStr for Cursor {
    type Err = crate::ids::ParseIdError;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let parse = || {
            let (time, position) = text.split_once('-')?;
            let time = i64::from_str_radix(time, 16).ok()?;
            Some(Self { time, position: i64::from_str_radix(position, 16).ok()? })
        };
        parse().ok_or(crate::ids::ParseIdError { wanted: "a `nextCursor` of an earlier page" })
    }
}

pub(super) async fn search(db: &Db, filter: &Filter) -> db::Result<Found> {
    let newest = Cursor { time: filter.until.unwrap_or(Time::MAX).0, position: i64::MAX };
    let from = filter.cursor.filter(|cursor| cursor.time <= newest.time).unwrap_or(newest);
    let since = filter.since.unwrap_or(Time(0)).0;
    let limit = i64::try_from(filter.limit).unwrap_or(i64::MAX);
    let rows = db
        .query(
            "SELECT time, position, body FROM (
                 SELECT time, position, tenant, agent_id, action, outcome, body
                   FROM audit_events
                  WHERE (time, position) < ($1, $2) AND time >= $3
                  ORDER BY time DESC, position DESC LIMIT $4) AS recent
              WHERE tenant = $5
                AND ($6 IS NULL OR agent_id = $6)
                AND ($7 IS NULL OR action = $7)
                AND ($8 IS NULL OR outcome = $8)
                AND ($9 IS NULL OR strpos(body, $9) > 0)
                AND ($10 IS NULL OR strpos(body, $10) > 0)
              ORDER BY time DESC, position DESC LIMIT $11",
            params![
                from.time,
                from.position,
                since,
                SCAN,
                &filter.tenant,
                filter.agent.map(|agent| agent.to_string()),
                filter.action.clone(),
                filter.outcome.clone(),
                filter.decision_member(),
                filter.request_member(),
                limit + 1,
            ],
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

/// A member as it stands in a body. Inside a string its quotes would be escaped, so this finds
/// members only; metadata has none of these names.
fn member(name: &str, value: &str) -> String {
    format!("\"{name}\":{}", serde_json::Value::from(value))
}

/// The position and the text of an event. Its id holds its time, so its neighbours of the same
/// millisecond are all there is to look at.
pub(super) async fn locate(
    db: &Db,
    tenant: &str,
    id: EventId,
) -> db::Result<Option<(i64, String)>> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Named {
        event_id: EventId,
    }
    let from = id.time();
    let rows = db
        .query(
            "SELECT position, body FROM audit_events WHERE time >= $1 AND time < $2 AND tenant = $3",
            params![from, from + Duration::from_millis(1), tenant],
        )
        .await?;
    for mut row in rows {
        let (position, body): (i64, String) = (row.take()?, row.take()?);
        if serde_json::from_str::<Named>(&body).is_ok_and(|named| named.event_id == id) {
            return Ok(Some((position, body)));
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_is_read_back_and_nonsense_is_not() {
        let cursor = Cursor { time: 1_700_000_000_123_456, position: (1 << 40) + 7 };
        assert_eq!(cursor.to_string().parse(), Ok(cursor));
        for wrong in ["", "-", "12", "g-1", "1-1-1"] {
            assert!(wrong.parse::<Cursor>().is_err(), "{wrong}");
        }
    }
}
