//! A decision as it is told: the same members in the same order wherever it was asked.

use std::ops::Range;

use crate::canonical::write_text;
use crate::decision::{Decision, Policy};
use crate::question::{Question, Resource, Subject, write_option};

/// Bodies of `POST /v1/check`, one behind another in one text.
#[derive(Debug)]
pub struct Answers<'a> {
    /// What has been written.
    pub text: String,
    at: &'a str,
    /// The last policy, and where in the text it is named.
    last: Option<(Policy, Range<usize>)>,
}

impl<'a> Answers<'a> {
    /// None yet; `at` says when they are given (RFC 3339), `count` how many there will be.
    #[must_use]
    pub fn new(at: &'a str, count: usize) -> Self {
        Self { text: String::with_capacity(64 + count * ABOUT), at, last: None }
    }

    /// Adds one as a JSON object; `request_id` names the request that asked for nothing else.
    pub fn add(&mut self, question: &Question<'_>, decision: &Decision, request_id: Option<&str>) {
        let (out, verdict) = (&mut self.text, &decision.verdict);
        out.push_str(r#"{"id":""#);
        out.push_str(decision.id.as_str());
        out.push_str(r#"","digest":""#);
        decision.digest.write(out);
        out.push_str(r#"","effect":""#);
        out.push_str(verdict.effect.as_str());
        out.push_str(r#"","reason":"#);
        verdict.reason.write(out);
        out.push_str(r#","reasons":["#);
        verdict.reason.write(out);
        out.push(']');
        write_subject(out, &question.subject);
        write_resource(out, &question.resource);
        write_option(out, r#","matched_rule":"#, verdict.rule.as_deref());
        text(out, r#","matched_policy_version":"#, &decision.policy.version);
        out.push_str(r#","obligations":"#);
        match verdict.obligations.as_slice() {
            [] => out.push_str("[]"),
            // Strings, numbers and lists always serialise.
            some => out.push_str(&serde_json::to_string(some).unwrap_or_default()),
        }
        if let Some(level) = verdict.approval_level {
            out.push_str(r#","approval_level":"#);
            out.push_str(&level.to_string());
        }
        if !verdict.diagnostics.is_empty() {
            out.push_str(r#","diagnostics":"#);
            decision.write_diagnostics(out);
        }
        self.add_provenance(&decision.policy);
        if let Some(request) = request_id {
            text(&mut self.text, r#","request_id":"#, request);
        }
        self.text.push('}');
    }

    fn add_provenance(&mut self, policy: &Policy) {
        let out = &mut self.text;
        if let Some((last, place)) = &self.last
            && last == policy
        {
            return out.extend_from_within(place.clone());
        }
        let start = out.len();
        out.push_str(r#","provenance":{"evaluator":"countersign","mode":"enforce""#);
        text(out, r#","policy_package":"#, &policy.package);
        text(out, r#","policy_version":"#, &policy.version);
        write_option(out, r#","registry_digest":"#, policy.registry.as_deref());
        text(out, r#","decision_time":"#, self.at);
        out.push('}');
        self.last = Some((policy.clone(), start..out.len()));
    }
}

/// Bytes of an answer.
const ABOUT: usize = 880;

fn write_subject(out: &mut String, subject: &Subject<'_>) {
    text(out, r#","subject":{"id":"#, subject.id);
    text(out, r#","type":"#, subject.kind);
    if let Some(tenant) = subject.tenant {
        text(out, r#","tenant":"#, tenant);
    }
    out.push('}');
}

fn write_resource(out: &mut String, resource: &Resource<'_>) {
    text(out, r#","resource":{"id":"#, resource.id);
    text(out, r#","type":"#, resource.kind);
    if let Some(system) = resource.system {
        text(out, r#","system":"#, system);
    }
    out.push('}');
}

fn text(out: &mut String, name: &str, value: &str) {
    out.push_str(name);
    write_text(out, value);
}
