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
    fn is_told(&self, decision: &Decision) -> bool {
        let percent = u16::from(self.log_allow);
        decision.effect() != Effect::Allow
            || percent == 100
            || (percent > 0 && u16::from_be_bytes(self.entropy.bytes()) % 100 < percent)
    }

    /// The events of a request's decisions; their answers may be given once these are in the record. Several
    /// decisions are one event, as long as it is not larger than `most` bytes: to make one durable costs as much as a
    /// hundred. What all of them share, the question but for its resource and the policy, stands there once.
    #[must_use]
    pub fn telling(
        &self,
        caller: &Caller,
        asked: &[(Question<'_>, Decision)],
        most: usize,
        at: Time,
    ) -> Vec<Event> {
        if let [(question, decision)] = asked {
            if !self.is_told(decision) {
                return Vec::new();
            }
            let mut event = self.asked(caller, at);
            event.outcome = outcome(decision);
            event.decision = Some(decision.id.as_str().into());
            event.resource = Some(acted_on(question));
            event.metadata(decision.metadata());
            return vec![event];
        }
        let mut events = Vec::new();
        let mut asked = asked.iter().filter(|(_, decision)| self.is_told(decision)).peekable();
        while let Some((_, first)) = asked.peek().copied() {
            let mut event = self.asked(caller, at);
            let mut told =
                String::with_capacity(most.min(asked.size_hint().1.unwrap_or(1) * SHORT));
            told.push('[');
            while let Some((_, decision)) =
                asked.next_if(|(_, next)| told.len() == 1 || told.len() + next.size() < most)
            {
                told.push_str(if told.len() == 1 { "" } else { "," });
                if decision.shares_frame(first) {
                    decision.tell_within_frame(&mut told);
                } else {
                    decision.tell(&mut told);
                }
                if outcome(decision) == Outcome::Denied {
                    event.outcome = Outcome::Denied;
                }
            }
            told.push(']');
            event.metadata(first.metadata_of(&told));
            events.push(event);
        }
        events
    }
}

/// About as long as a decision is that shares what it can.
const SHORT: usize = 384;

fn outcome(decision: &Decision) -> Outcome {
    match decision.effect() {
        Effect::Allow => Outcome::Success,
        Effect::Deny | Effect::RequiresApproval => Outcome::Denied,
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
    let whole = |mut told: Value| {
        if told["question"].is_null() {
            for name in ["policyPackage", "policyVersion", "question", "registryDigest"] {
                if !shared[name].is_null() {
                    told[name] = shared[name].clone();
                }
            }
            told["question"]["resource"] = told["resource"].take();
        }
        told
    };
    several.into_iter().map(whole).collect()
}
