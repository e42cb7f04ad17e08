//! What the record says of a decision: enough for anyone to recompute its id. All of it is RFC 8785 text,
//! written in order.

use super::Decision;
use crate::canonical::write_text;

/// How much is said.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Told {
    /// All but the id, which the event has.
    Alone,
    /// All.
    Whole,
    /// What it does not share with others.
    WithinFrame,
}

impl Decision {
    /// The canonical question.
    #[must_use]
    pub fn question(&self) -> &str {
        self.text.get(self.question.clone()).unwrap_or_default()
    }

    /// About how long [`Decision::tell`] is, in bytes.
    #[must_use]
    pub fn size(&self) -> usize {
        self.text.len() + 256
    }

    /// The question without its resource: what many questions share.
    #[must_use]
    pub fn frame(&self) -> String {
        let [before, after] = self.around();
        format!("{before}{after}")
    }

    /// Whether another decision answers the same question of another resource, by the same policy.
    #[must_use]
    pub fn shares_frame(&self, other: &Self) -> bool {
        self.policy == other.policy && self.around() == other.around()
    }

    /// What stands before and after the resource, without its name.
    fn around(&self) -> [&str; 2] {
        let before = self.question.start..self.resource.start - r#""resource":"#.len();
        let after = self.resource.end + ",".len()..self.question.end;
        [before, after].map(|part| self.text.get(part).unwrap_or_default())
    }

    /// The metadata of an event that tells of this decision alone; the event has its id.
    #[must_use]
    pub fn metadata(&self) -> String {
        let mut out = String::with_capacity(self.size());
        self.tell_as(&mut out, Told::Alone);
        out
    }

    /// The metadata of an event that tells of several, the first of which this is: `decisions`, a list of what
    /// each was told as, and once what they share.
    #[must_use]
    pub fn metadata_of(&self, decisions: &str) -> String {
        let mut out = String::with_capacity(decisions.len() + self.size());
        out.push_str(r#"{"decisions":"#);
        out.push_str(decisions);
        self.write_policy(&mut out);
        out.push_str(r#","question":"#);
        out.push_str(&self.frame());
        self.write_registry(&mut out);
        out.push('}');
        out
    }

    /// Adds all that the record says of it, as one object.
    pub fn tell(&self, out: &mut String) {
        self.tell_as(out, Told::Whole);
    }

    /// The same, without what it shares with others: the question's frame and the policy.
    pub fn tell_within_frame(&self, out: &mut String) {
        self.tell_as(out, Told::WithinFrame);
    }

    fn tell_as(&self, out: &mut String, told: Told) {
        let verdict = &self.verdict;
        out.push('{');
        if told != Told::Alone {
            out.push_str(r#""decisionId":""#);
            out.push_str(self.id.as_str());
            out.push_str(r#"","#);
        }
        if !verdict.diagnostics.is_empty() {
            out.push_str(r#""diagnostics":"#);
            self.write_diagnostics(out);
            out.push(',');
        }
        out.push_str(r#""digest":""#);
        self.digest.write(out);
        out.push_str(r#"","effect":""#);
        out.push_str(verdict.effect.as_str());
        out.push('"');
        if told != Told::WithinFrame {
            self.write_policy(out);
            out.push_str(r#","question":"#);
            out.push_str(self.question());
        }
        out.push_str(r#","reason":"#);
        verdict.reason.write(out);
        if told == Told::WithinFrame {
            out.push_str(r#","resource":"#);
            out.push_str(self.text.get(self.resource.clone()).unwrap_or_default());
        } else {
            self.write_registry(out);
        }
        if let Some(rule) = &verdict.rule {
            out.push_str(r#","rule":"#);
            write_text(out, rule);
        }
        out.push('}');
    }

    fn write_policy(&self, out: &mut String) {
        out.push_str(r#","policyPackage":"#);
        write_text(out, &self.policy.package);
        out.push_str(r#","policyVersion":"#);
        write_text(out, &self.policy.version);
    }

    fn write_registry(&self, out: &mut String) {
        if let Some(digest) = &self.policy.registry {
            out.push_str(r#","registryDigest":"#);
            write_text(out, digest);
        }
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
