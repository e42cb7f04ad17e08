//! What a row says beside its event's text.

use std::borrow::Cow;

use serde::Deserialize;

use super::super::EXPIRED;
use super::super::merkle::{self, Hash};
use crate::clock::Time;
use crate::db::{self, Row, Value};

/// A row of the record.
pub(super) struct Stored {
    pub(super) position: i64,
    pub(super) hash: Hash,
    pub(super) event: Option<String>,
    /// The first column that says something else than the text.
    pub(super) differs: Option<&'static str>,
    /// Leaves that have expired, when that is what the event says.
    pub(super) expired: Option<Expired>,
}

/// What the text says of what the columns hold.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Told<'b> {
    #[serde(borrow)]
    action: Cow<'b, str>,
    #[serde(borrow)]
    agent_id: Option<Cow<'b, str>>,
    #[serde(borrow)]
    event_id: Cow<'b, str>,
    #[serde(borrow)]
    outcome: Cow<'b, str>,
    #[serde(borrow)]
    tenant: Cow<'b, str>,
    timestamp: Time,
}

/// What an event says of events that have expired, and who vouches for it.
#[derive(Deserialize)]
pub(super) struct Expired {
    before: String,
    count: i64,
    pub(super) kid: String,
    pub(super) leaves: Vec<String>,
    pub(super) signature: String,
    #[serde(skip)]
    tenant: String,
}

impl Expired {
    /// What is signed.
    pub(super) fn signed_text(&self) -> String {
        expiry_text(&self.before, self.count, &self.kid, &self.leaves, &self.tenant)
    }

    fn read(body: &[u8], tenant: &str) -> Option<Self> {
        #[derive(Deserialize)]
        struct Event {
            metadata: Expired,
        }
        let event: Event = serde_json::from_slice(body).ok()?;
        Some(Self { tenant: tenant.to_owned(), ..event.metadata })
    }
}

/// What the signature in an event `audit.expired` is over, in the form of RFC 8785: whoever can write an
/// event into the database could otherwise excuse whatever is missing.
pub(in crate::record) fn expiry_text(
    before: &str,
    count: i64,
    kid: &str,
    leaves: &[String],
    tenant: &str,
) -> String {
    let text = |text: &str| serde_json::Value::from(text).to_string();
    let (before, kid, tenant) = (text(before), text(kid), text(tenant));
    let leaves = serde_json::Value::from(leaves);
    format!(
        r#"{{"before":{before},"count":{count},"kid":{kid},"leaves":{leaves},"tenant":{tenant}}}"#
    )
}

impl Stored {
    /// Of `position, time, tenant, agent_id, action, outcome, body`, whatever may be in them.
    pub(super) fn read(mut row: Row) -> db::Result<Self> {
        let position = row.take()?;
        let (time, tenant, agent): (Value, Value, Value) = (row.take()?, row.take()?, row.take()?);
        let (action, outcome): (Value, Value) = (row.take()?, row.take()?);
        let body = match row.take()? {
            Value::Text(text) => text.unwrap_or_default().into_bytes(),
            Value::Bytes(bytes) => bytes.unwrap_or_default(),
            Value::Int(int) => int.map(|int| int.to_string().into_bytes()).unwrap_or_default(),
        };
        let hash = merkle::leaf(&body);
        let mut stored = Self { position, hash, event: None, differs: Some("body"), expired: None };
        let Ok(told) = serde_json::from_slice::<Told<'_>>(&body) else { return Ok(stored) };
        let is = |column: &Value, told: &str| matches!(column, Value::Text(Some(column)) if column == told);
        let is_agent = match told.agent_id.as_deref() {
            Some(told) => is(&agent, told),
            None => matches!(agent, Value::Int(None) | Value::Text(None) | Value::Bytes(None)),
        };
        stored.differs = [
            ("time", time == Value::Int(Some(told.timestamp.0))),
            ("tenant", is(&tenant, &told.tenant)),
            ("agent_id", is_agent),
            ("action", is(&action, &told.action)),
            ("outcome", is(&outcome, &told.outcome)),
        ]
        .into_iter()
        .find_map(|(column, is_same)| (!is_same).then_some(column));
        if told.action == EXPIRED {
            stored.expired = Expired::read(&body, &told.tenant);
        }
        stored.event = Some(told.event_id.into_owned());
        Ok(stored)
    }
}
