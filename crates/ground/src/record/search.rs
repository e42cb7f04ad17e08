//! Reading the record: newest first, a bounded number of rows a page. A page may be shorter than asked,
//! even empty, while a cursor says that there is more: what takes long takes several short calls.

mod by_key;
mod by_time;

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::Deserialize;

use super::lookup;
use crate::clock::Time;
use crate::db::{self, Db, Value};
use crate::ids::{AgentId, EventId};
use crate::params;

/// Rows looked at for one page.
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

    /// What [`matching`] takes, and what more the statement takes.
    pub(super) fn params(&self, more: &[Value]) -> Vec<Value> {
        let mut params = params![
            &self.tenant,
            self.agent.map(|agent| agent.to_string()),
            self.action.clone(),
            self.outcome.clone(),
            self.decision_member(),
            self.request_member(),
        ]
        .to_vec();
        params.extend_from_slice(more);
        params
    }

    /// The lookup key that leads to the fewest events.
    fn key(&self) -> Option<i64> {
        let agent = || self.agent.map(|agent| member("agentId", &agent.to_string()));
        let member = self.request_member().or_else(|| self.decision_member()).or_else(agent)?;
        Some(lookup::key(&self.tenant, member.as_bytes()))
    }

    fn decision_member(&self) -> Option<String> {
        self.decision.as_ref().map(|id| member("decisionId", id))
    }

    fn request_member(&self) -> Option<String> {
        self.request.as_ref().map(|id| member("requestId", id))
    }

    /// The newest place, before which a page begins, and the oldest time.
    fn window(&self) -> (Cursor, i64) {
        let newest = Cursor { time: self.until.unwrap_or(Time::MAX).0, position: i64::MAX };
        let from = self.cursor.filter(|cursor| cursor.time <= newest.time).unwrap_or(newest);
        (from, self.since.unwrap_or(Time(0)).0)
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

/// What a row of a filter's must be; its parameters ([`Filter::params`]) are a statement's first.
macro_rules! matching {
    () => {
        "tenant = $1
                AND ($2 IS NULL OR agent_id = $2)
                AND ($3 IS NULL OR action = $3)
                AND ($4 IS NULL OR outcome = $4)
                AND ($5 IS NULL OR strpos(body, $5) > 0)
                AND ($6 IS NULL OR strpos(body, $6) > 0)"
    };
}
pub(super) use matching;

pub(super) async fn search(db: &Db, filter: &Filter) -> db::Result<Found> {
    if let Some(key) = filter.key()
        && let Some(found) = by_key::search(db, filter, key).await?
    {
        return Ok(found);
    }
    by_time::search(db, filter).await
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
