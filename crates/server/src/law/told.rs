//! What the record says of decisions, and how it is read again.

use countersign_ground::clock::Time;
use countersign_ground::record::{Event, Outcome};
use countersign_policy::{Decision, Effect, Question};
use serde_json::Value;

use super::Law;
use super::caller::Caller;

impl Law {
    /// Whether a decision stands in the record: all that is not allowed does, and as many of the others as was
    /// configured.
    pub(super) fn is_told(&self, decision: &Decision) -> bool {
        decision.effect() != Effect::Allow || self.tells_of_allowed()
    }

    /// Whether the next allowed one stands in the record.
    pub(super) fn tells_of_allowed(&self) -> bool {
        let percent = u16::from(self.log_allow);
        percent == 100 || (percent > 0 && u16::from_be_bytes(self.entropy.bytes()) % 100 < percent)
    }

    /// Begins to tell of a request's decisions.
    #[must_use]
    pub fn telling<'q>(&'q self, caller: &'q Caller, at: Time) -> Telling<'q> {
        Telling {
            law: self,
            caller,
            at,
            events: Vec::new(),
            first: None,
            list: String::new(),
            denied: false,
        }
    }
}

/// The events of a request's decisions; the answers may be given once these are in the record. Several decisions
/// are one event, as long as it does not get too large: to make one durable costs as much as a hundred. What all of
/// them share stands there once.
pub struct Telling<'q> {
    law: &'q Law,
    caller: &'q Caller,
    at: Time,
    events: Vec<Event>,
    /// The first decision of the event that is being written.
    first: Option<(Question<'q>, Decision)>,
    /// What it and the others say, when there are others.
    list: String,
    denied: bool,
}

/// Bytes of an event that tells of several.
const LARGEST: usize = 32 << 10;

impl<'q> Telling<'q> {
    /// Tells of one more.
    pub fn add(&mut self, question: Question<'q>, decision: Decision) {
        if !self.law.is_told(&decision) {
            return;
        }
        if self.list.len() + decision.size() > LARGEST {
            self.end_event();
        }
        self.denied |= decision.effect() != Effect::Allow;
        let Some((asked, first)) = &self.first else {
            self.first = Some((question, decision));
            return;
        };
        if self.list.is_empty() {
            self.list.reserve(LARGEST);
            self.list.push('[');
            first.tell_beside(&asked.resource, first, &asked.resource, &mut self.list);
        }
        self.list.push(',');
        decision.tell_beside(&question.resource, first, &asked.resource, &mut self.list);
    }

    /// All events.
    #[must_use]
    pub fn end(mut self) -> Vec<Event> {
        self.end_event();
        self.events
    }

    fn end_event(&mut self) {
        let Some((question, first)) = self.first.take() else { return };
        let mut event = self.law.asked(self.caller, self.at);
        event.outcome =
            if std::mem::take(&mut self.denied) { Outcome::Denied } else { Outcome::Success };
        if self.list.is_empty() {
            event.decision = Some(first.id.as_str().into());
            event.resource = Some(acted_on(&question));
            event.metadata(first.metadata());
        } else {
            self.list.push(']');
            event.metadata(first.metadata_of(&self.list));
            self.list.clear();
        }
        self.events.push(event);
    }
}

/// What a question is about, as an event names it.
pub(super) fn acted_on(question: &Question<'_>) -> String {
    let (kind, id) = (question.resource.kind, question.resource.id);
    let mut text = String::with_capacity(kind.len() + id.len() + 1);
    text.push_str(kind);
    text.push('/');
    text.push_str(id);
    text
}

/// The decisions of an event: an object each, with its id and its whole question in it.
#[must_use]
pub fn decisions(event: &Value) -> Vec<Value> {
    let metadata = &event["metadata"];
    let mut shared = metadata.clone();
    let Value::Array(several) = shared["decisions"].take() else {
        shared["decisionId"] = event["decisionId"].clone();
        return if shared["question"].is_object() { vec![shared] } else { Vec::new() };
    };
    // What one does not say itself is as it stands beside them.
    let whole = |told: Value| {
        let mut whole = shared.clone();
        for (name, value) in told.as_object().into_iter().flatten() {
            match (name.as_str(), value.as_object()) {
                ("resource", Some(members)) => {
                    for (name, value) in members {
                        whole["question"]["resource"][name] = value.clone();
                    }
                }
                _ => whole[name] = value.clone(),
            }
        }
        whole
    };
    several.into_iter().map(whole).collect()
}
