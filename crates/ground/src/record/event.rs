//! One event, and its one canonical text.

use std::borrow::Cow;
use std::net::IpAddr;
use std::sync::{Arc, LazyLock};

use super::object::Object;
use crate::clock::Time;
use crate::db::Leaf;
use crate::ids::{AgentId, EventId};

static DEFAULT: LazyLock<Arc<str>> = LazyLock::new(|| "default".into());
static SYSTEM: LazyLock<Arc<str>> = LazyLock::new(|| "countersign".into());
static ANONYMOUS: LazyLock<Arc<str>> = LazyLock::new(|| "anonymous".into());

/// The tenant of whatever belongs to nobody else, `default`.
#[must_use]
pub fn default_tenant() -> Arc<str> {
    Arc::clone(&DEFAULT)
}

/// How what an event tells of ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// It was done.
    Success,
    /// It was tried and did not work.
    Failure,
    /// It was refused.
    Denied,
    /// It would be refused if its guard enforced.
    WouldDeny,
}

impl Outcome {
    /// The word in the record.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::Failure => "failure",
            Self::Denied => "denied",
            Self::WouldDeny => "would_deny",
        }
    }
}

/// Who did it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Actor {
    /// `agent`, `operator`, `machine`, `service`, `system` or `anonymous`.
    pub kind: &'static str,
    /// Which one.
    pub id: Arc<str>,
}

impl Actor {
    /// Somebody who proved nothing.
    #[must_use]
    pub fn anonymous() -> Self {
        Self { kind: "anonymous", id: Arc::clone(&ANONYMOUS) }
    }
}

/// Where a request came from.
#[derive(Debug, Clone, Default)]
pub struct Origin {
    /// `X-Request-ID`.
    pub request_id: Option<Arc<str>>,
    /// The client's address, as far as proxies can be trusted.
    pub ip: Option<IpAddr>,
    /// `User-Agent`, shortened.
    pub user_agent: Option<Arc<str>>,
    /// Method and path, where somebody wants to know; no part of an event.
    pub asked: Option<Arc<(String, String)>>,
}

/// A value of an event's metadata.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Meta {
    /// A string.
    Text(Cow<'static, str>),
    /// An integer within ±2^53, as RFC 8785 wants.
    Int(i64),
    /// Strings, in their order.
    List(Vec<String>),
    /// A JSON value, in its RFC 8785 form.
    Json(String),
}

impl From<String> for Meta {
    fn from(text: String) -> Self {
        Self::Text(text.into())
    }
}
impl From<&'static str> for Meta {
    fn from(text: &'static str) -> Self {
        Self::Text(text.into())
    }
}
impl From<i64> for Meta {
    fn from(int: i64) -> Self {
        Self::Int(int)
    }
}
impl From<Vec<String>> for Meta {
    fn from(list: Vec<String>) -> Self {
        Self::List(list)
    }
}

/// One line of the record.
#[derive(Debug, Clone)]
pub struct Event {
    /// Its id.
    pub id: EventId,
    /// When it happened.
    pub time: Time,
    /// What was done, such as `agent.created`.
    pub action: &'static str,
    /// How it ended.
    pub outcome: Outcome,
    /// Whose it is.
    pub tenant: Arc<str>,
    /// Who did it.
    pub actor: Actor,
    /// The agent it is about.
    pub agent: Option<AgentId>,
    /// The decision that allowed or refused it.
    pub decision: Option<Arc<str>>,
    /// Where the request came from.
    pub origin: Origin,
    /// What it was done to, such as `credentials/0198…`.
    pub resource: Option<String>,
    metadata: Vec<(&'static str, Meta)>,
    whole_metadata: Option<String>,
}

impl Event {
    /// An event of the system itself; its members say otherwise where they are set.
    #[must_use]
    pub fn new(id: EventId, time: Time, action: &'static str) -> Self {
        Self {
            id,
            // As exact as it is written, so that the row and its body say the same.
            time: Time(time.0 - time.0.rem_euclid(1000)),
            action,
            outcome: Outcome::Success,
            tenant: default_tenant(),
            actor: Actor { kind: "system", id: Arc::clone(&SYSTEM) },
            agent: None,
            decision: None,
            origin: Origin::default(),
            resource: None,
            metadata: Vec::new(),
            whole_metadata: None,
        }
    }

    /// Adds to the metadata; a name given again replaces its value.
    pub fn meta(&mut self, name: &'static str, value: impl Into<Meta>) {
        debug_assert!(self.whole_metadata.is_none(), "`{name}` would be lost");
        let value = value.into();
        match self.metadata.binary_search_by(|(known, _)| known.cmp(&name)) {
            Ok(at) => self.metadata[at].1 = value,
            Err(at) => self.metadata.insert(at, (name, value)),
        }
    }

    /// Gives the whole metadata as one object in its RFC 8785 form, in place of single members.
    pub fn metadata(&mut self, whole: String) {
        self.whole_metadata = Some(whole);
    }

    /// The row: the canonical text, and copies of what is searched by.
    #[must_use]
    pub fn leaf(&self) -> Leaf {
        Leaf {
            time: self.time,
            tenant: Arc::clone(&self.tenant),
            agent: self.agent,
            action: self.action,
            outcome: self.outcome.as_str(),
            body: self.body(),
            mark: None,
        }
    }

    /// RFC 8785 text: members sorted, absent ones omitted, no white space.
    #[must_use]
    pub fn body(&self) -> String {
        // INVARIANT: in the order of RFC 8785 section 3.2.3.
        let more = self.whole_metadata.as_ref().map_or(0, String::len);
        let (mut body, mut buffer) = (Object::with_capacity(768 + more), [0; 36]);
        body.text("action", self.action);
        body.text("actorId", &self.actor.id);
        body.text("actorType", self.actor.kind);
        body.text_if("agentId", self.agent.as_ref().map(|id| id.write(&mut buffer)));
        body.text_if("decisionId", self.decision.as_deref());
        body.text("eventId", self.id.write(&mut buffer));
        body.plain_if("ipAddress", self.origin.ip.map(|ip| ip.to_canonical()).as_ref());
        match &self.whole_metadata {
            Some(whole) => body.json("metadata", whole),
            None => body.members("metadata", &self.metadata),
        }
        body.text("outcome", self.outcome.as_str());
        body.text_if("requestId", self.origin.request_id.as_deref());
        body.text_if("resource", self.resource.as_deref());
        body.text("tenant", &self.tenant);
        body.plain("timestamp", &self.time);
        body.text_if("userAgent", self.origin.user_agent.as_deref());
        body.finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entropy::Entropy;

    #[test]
    fn a_body_is_its_own_canonical_form() {
        let now = Time(1_700_000_000_123_456);
        let entropy = Entropy::seeded(1);
        let mut event = Event::new(EventId::new(now, &entropy), now, "agent.created");
        event.agent = Some(AgentId::new(now, &entropy));
        event.origin.ip = Some([127, 0, 0, 1].into());
        event.origin.user_agent = Some("quoted \" and \u{1} and ü and \u{2028}".into());
        event.meta("version", "1.0.0");
        event.meta("scopes", vec!["b:read".to_owned(), "a:read".to_owned()]);
        event.meta("count", 3);
        let body = event.body();
        let value: serde_json::Value = serde_json::from_str(&body).unwrap();
        // serde_json's map is sorted by bytes, which for these names is RFC 8785's order.
        assert_eq!(serde_json::to_string(&value).unwrap(), body);
        assert_eq!(value["metadata"]["count"], 3);
        assert!(value.get("decisionId").is_none() && value.get("resource").is_none());
    }
}
