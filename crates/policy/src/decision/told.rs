//! What the record says of a decision: enough for anyone to recompute its id. All of it is RFC 8785 text,
//! written in order.

use super::Decision;
use crate::canonical::write_text;
use crate::question::{Resource, write_option};

impl Decision {
    /// The canonical question.
    #[must_use]
    pub fn question(&self) -> &str {
        self.text.get(self.question.clone()).unwrap_or_default()
    }

    /// About how long [`Decision::metadata`] is, in bytes.
    #[must_use]
    pub fn size(&self) -> usize {
        self.text.len() + 256
    }

    /// The metadata of an event that tells of this decision alone; the event has its id.
    #[must_use]
    pub fn metadata(&self) -> String {
        let mut out = String::with_capacity(self.size());
        out.push('{');
        self.write_digest(&mut out);
        self.write_rest(&mut out, false);
        out
    }

    /// The same with what the request was that is decided about: `request`, an object in its RFC 8785 form.
    #[must_use]
    pub fn metadata_with(&self, request: &str) -> String {
        let mut out = String::with_capacity(self.size() + request.len());
        out.push('{');
        self.write_digest(&mut out);
        self.write_most(&mut out);
        write_present(&mut out, r#","registryDigest":"#, self.policy.registry.as_deref());
        out.push_str(r#","request":"#);
        out.push_str(request);
        write_present(&mut out, r#","rule":"#, self.verdict.rule.as_deref());
        out.push('}');
        out
    }

    /// The metadata of an event that tells of several, the first of which this is; `decisions` is a list of what
    /// each says else than this one.
    #[must_use]
    pub fn metadata_of(&self, decisions: &str) -> String {
        let mut out = String::with_capacity(decisions.len() + self.size());
        out.push_str(r#"{"decisions":"#);
        out.push_str(decisions);
        self.write_rest(&mut out, false);
        out
    }

    /// Adds as one object what this decision, about `asked`, says else than `first`, which is about `other`.
    pub fn tell_beside(
        &self,
        asked: &Resource<'_>,
        first: &Self,
        other: &Resource<'_>,
        out: &mut String,
    ) {
        out.push_str(r#"{"decisionId":""#);
        out.push_str(self.id.as_str());
        out.push_str(r#"","#);
        self.write_digest(out);
        let (verdict, others) = (&self.verdict, &first.verdict);
        if self.policy != first.policy || self.around() != first.around() {
            return self.write_rest(out, true);
        }
        if verdict.effect != others.effect {
            out.push_str(r#","effect":""#);
            out.push_str(verdict.effect.as_str());
            out.push('"');
        }
        if verdict.reason != others.reason {
            out.push_str(r#","reason":"#);
            verdict.reason.write(out);
        }
        out.push_str(r#","resource":"#);
        asked.write_beside(other, out);
        if verdict.rule != others.rule {
            write_option(out, r#","rule":"#, verdict.rule.as_deref());
        }
        out.push('}');
    }

    /// What stands in the question before and after the resource.
    fn around(&self) -> [&str; 2] {
        let parts =
            [self.question.start..self.resource.start, self.resource.end..self.question.end];
        parts.map(|part| self.text.get(part).unwrap_or_default())
    }

    fn write_digest(&self, out: &mut String) {
        if !self.verdict.diagnostics.is_empty() {
            out.push_str(r#""diagnostics":"#);
            self.write_diagnostics(out);
            out.push(',');
        }
        out.push_str(r#""digest":""#);
        self.digest.write(out);
        out.push('"');
    }

    /// All but the digest, and the end of the object; with null for what is absent, or without a word.
    fn write_rest(&self, out: &mut String, with_null: bool) {
        self.write_most(out);
        let write = if with_null { write_option } else { write_present };
        write(out, r#","registryDigest":"#, self.policy.registry.as_deref());
        write(out, r#","rule":"#, self.verdict.rule.as_deref());
        out.push('}');
    }

    /// Effect, policy, question and reason.
    fn write_most(&self, out: &mut String) {
        let (verdict, policy) = (&self.verdict, &self.policy);
        out.push_str(r#","effect":""#);
        out.push_str(verdict.effect.as_str());
        out.push_str(r#"","policyPackage":"#);
        write_text(out, &policy.package);
        out.push_str(r#","policyVersion":"#);
        write_text(out, &policy.version);
        out.push_str(r#","question":"#);
        out.push_str(self.question());
        out.push_str(r#","reason":"#);
        verdict.reason.write(out);
    }

    /// What failed, as a list.
    pub(crate) fn write_diagnostics(&self, out: &mut String) {
        out.push('[');
        for (at, diagnostic) in self.verdict.diagnostics.iter().enumerate() {
            out.push_str(if at == 0 { "" } else { "," });
            write_text(out, diagnostic);
        }
        out.push(']');
    }
}

/// A member that is there only where it says something.
fn write_present(out: &mut String, name: &str, value: Option<&str>) {
    if value.is_some() {
        write_option(out, name, value);
    }
}
