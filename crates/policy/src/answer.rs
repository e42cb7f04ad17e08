//! A decision as it is told: the same members in the same order wherever it was asked.

use crate::canonical::write_text;
use crate::decision::Decision;
use crate::question::{Question, Resource, Subject};

/// The body of `POST /v1/check`, and what `countersign check` prints.
#[derive(Debug, Clone, Copy)]
pub struct Answer<'a> {
    /// What was asked.
    pub question: &'a Question<'a>,
    /// What was decided.
    pub decision: &'a Decision,
    /// When: RFC 3339.
    pub at: &'a str,
    /// The request that asked, when the answer is all that it asked for.
    pub request_id: Option<&'a str>,
}

impl Answer<'_> {
    /// Adds it as a JSON object. Written by hand: a batch has a thousand of them.
    pub fn write(&self, out: &mut String) {
        let (decision, verdict) = (self.decision, &self.decision.verdict);
        let policy = &decision.policy;
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
        write_subject(out, &self.question.subject);
        write_resource(out, &self.question.resource);
        out.push_str(r#","matched_rule":"#);
        match &verdict.rule {
            Some(rule) => write_text(out, rule),
            None => out.push_str("null"),
        }
        text(out, r#","matched_policy_version":"#, &policy.version);
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
        out.push_str(r#","provenance":{"evaluator":"countersign","mode":"enforce""#);
        text(out, r#","policy_package":"#, &policy.package);
        text(out, r#","policy_version":"#, &policy.version);
        match &policy.registry {
            Some(digest) => text(out, r#","registry_digest":"#, digest),
            None => out.push_str(r#","registry_digest":null"#),
        }
        text(out, r#","decision_time":"#, self.at);
        out.push('}');
        if let Some(request) = self.request_id {
            text(out, r#","request_id":"#, request);
        }
        out.push('}');
    }
}

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
