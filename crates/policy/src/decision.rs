//! The decision, and the id that anyone can recompute.

mod reason;
mod told;

use std::borrow::Cow;
use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use aws_lc_rs::digest::{SHA256, digest};
use serde::Serialize;
use serde_json::Value;

use crate::canonical::write_text;
use crate::question::write_option;
use crate::{Matrix, Question};

pub use reason::Reason;

/// The answer's direction.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Effect {
    /// It may.
    Allow,
    /// It may not.
    Deny,
    /// It may once it has been countersigned.
    RequiresApproval,
}

impl Effect {
    /// The word in a canonical decision.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Allow => "allow",
            Self::Deny => "deny",
            Self::RequiresApproval => "requires_approval",
        }
    }
}

/// `decision:` and the first 16 hex digits of the digest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DecisionId([u8; 25]);

impl DecisionId {
    /// As it is written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        str::from_utf8(&self.0).unwrap_or_default()
    }
}

impl fmt::Display for DecisionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// SHA-256 over the canonical decision, written `sha256:` and 64 hex digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Digest([u8; 32]);

impl Digest {
    pub(crate) fn of(text: &str) -> Self {
        let sum = digest(&SHA256, text.as_bytes());
        Self(sum.as_ref().first_chunk().copied().unwrap_or_default())
    }

    fn id(self) -> DecisionId {
        let mut id = *b"decision:0123456789abcdef";
        // Twice as many digits as bytes.
        let _ = hex::encode_to_slice(&self.0[..8], &mut id[9..]);
        DecisionId(id)
    }

    pub(crate) fn write(self, out: &mut String) {
        let mut digits = [0; 64];
        // Twice as many digits as bytes.
        let _ = hex::encode_to_slice(self.0, &mut digits);
        out.push_str("sha256:");
        out.push_str(std::str::from_utf8(&digits).unwrap_or_default());
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = String::with_capacity(71);
        self.write(&mut text);
        f.write_str(&text)
    }
}

/// What an allowed action comes with, for whoever enforces it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Obligation {
    /// Such as `ssh.force_command`.
    pub r#type: Box<str>,
    /// What it takes.
    pub parameters: Value,
}

/// The policy that answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    /// `rbac`, `registry`, `opa`, or a package's id.
    pub package: Arc<str>,
    /// Its version or hash.
    pub version: Arc<str>,
    /// The registry's digest, if there is a registry.
    pub registry: Option<Arc<str>>,
}

/// What follows from a policy, before it has a name.
#[derive(Debug, Clone, PartialEq)]
pub struct Verdict {
    /// Which way.
    pub effect: Effect,
    /// Why.
    pub reason: Reason,
    /// The rule that decided: its place in the policy. None when no rule did.
    pub rule: Option<Cow<'static, str>>,
    /// What it comes with.
    pub obligations: Vec<Obligation>,
    /// The level that whoever countersigns it needs.
    pub approval_level: Option<u8>,
    /// Which rule failed, and how.
    pub diagnostics: Vec<Box<str>>,
}

impl Verdict {
    /// One that says no more than which way and why: `Ok` allows, `Err` denies.
    #[must_use]
    pub fn new(reason: Result<Reason, Reason>) -> Self {
        let (effect, reason) = match reason {
            Ok(reason) => (Effect::Allow, reason),
            Err(reason) => (Effect::Deny, reason),
        };
        Self {
            effect,
            reason,
            rule: None,
            obligations: Vec::new(),
            approval_level: None,
            diagnostics: Vec::new(),
        }
    }

    /// Names the rule that decided.
    #[must_use]
    pub fn by(self, rule: impl Into<Cow<'static, str>>) -> Self {
        Self { rule: Some(rule.into()), ..self }
    }

    /// Denies because evaluating failed: deny on doubt.
    #[must_use]
    pub fn error(diagnostic: impl Into<Box<str>>) -> Self {
        let diagnostics = vec![diagnostic.into()];
        Self { diagnostics, ..Self::new(Err(Reason::Error)) }
    }
}

/// The answer, and why.
#[derive(Debug, Clone, PartialEq)]
pub struct Decision {
    /// Names question and answer.
    pub id: DecisionId,
    /// The whole of what the id is the beginning of.
    pub digest: Digest,
    /// The answer.
    pub verdict: Verdict,
    /// What answered.
    pub policy: Policy,
    /// The canonical text, and where in it the question and its resource stand.
    text: String,
    question: Range<usize>,
    resource: Range<usize>,
}

impl Decision {
    /// Names a verdict on a question.
    #[must_use]
    pub fn new(question: &Question<'_>, verdict: Verdict, policy: Policy) -> Self {
        let (text, question, resource) = canonical(question, &verdict, &policy);
        let digest = Digest::of(&text);
        Self { id: digest.id(), digest, verdict, policy, text, question, resource }
    }

    /// The same as [`Decision::new`] where it was made before, and its digest is known.
    #[must_use]
    pub fn again(
        question: &Question<'_>,
        verdict: Verdict,
        policy: Policy,
        digest: Digest,
    ) -> Self {
        let (text, question, resource) = canonical(question, &verdict, &policy);
        debug_assert_eq!(digest, Digest::of(&text), "another decision was made before");
        Self { id: digest.id(), digest, verdict, policy, text, question, resource }
    }

    /// The decision of the matrix that follows from a reason: `Ok` allows, `Err` denies.
    #[must_use]
    pub fn because(
        question: &Question<'_>,
        reason: Result<Reason, Reason>,
        matrix: &Matrix,
    ) -> Self {
        Self::new(question, Verdict::new(reason), matrix.policy())
    }

    /// The id and the digest of a canonical decision, as anyone can recompute them: an object of `effect`,
    /// `policy_package`, `policy_version`, `question`, `reason` and `registry_digest`.
    #[must_use]
    pub fn id_of(canonical: &Value) -> (DecisionId, Digest) {
        let digest = Digest::of(&crate::canonical(canonical));
        (digest.id(), digest)
    }

    /// Which way.
    #[must_use]
    pub fn effect(&self) -> Effect {
        self.verdict.effect
    }

    /// Why.
    #[must_use]
    pub fn reason(&self) -> &Reason {
        &self.verdict.reason
    }
}

/// What the id is made of (RFC 8785), written in order, and where in it the question stands.
fn canonical(
    question: &Question<'_>,
    verdict: &Verdict,
    policy: &Policy,
) -> (String, Range<usize>, Range<usize>) {
    let mut out = String::with_capacity(1_024);
    out.push_str(r#"{"effect":""#);
    out.push_str(verdict.effect.as_str());
    out.push_str(r#"","policy_package":"#);
    write_text(&mut out, &policy.package);
    out.push_str(r#","policy_version":"#);
    write_text(&mut out, &policy.version);
    out.push_str(r#","question":"#);
    let start = out.len();
    let resource = question.write(&mut out);
    let asked = start..out.len();
    out.push_str(r#","reason":"#);
    verdict.reason.write(&mut out);
    write_option(&mut out, r#","registry_digest":"#, policy.registry.as_deref());
    out.push('}');
    (out, asked, resource)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::json::{Members, nothing};
    use crate::question::{Action, Resource, Subject};

    #[test]
    fn the_text_that_is_hashed_is_canonical() {
        let properties =
            json!({"b": [1, {"z": 0.5, "a": null}], "a\u{1}": "\u{10000}", "\u{fb33}": true});
        let properties = &Members::from(properties.as_object().unwrap());
        let question = Question {
            subject: Subject { kind: "agent", id: "quoted \" and ü", tenant: None, properties },
            action: Action { name: "read", properties: nothing() },
            resource: Resource { kind: "agents", id: "*", system: Some("s"), properties },
            context: properties,
            tenant: Some("default"),
            frame: None,
        };
        let policy = Matrix::built_in().policy();
        for reason in [Reason::NoCredentials, Reason::Stated("a \"word\"".into())] {
            let decision = Decision::new(
                &question,
                Verdict {
                    diagnostics: vec!["line 1".into()],
                    ..Verdict::new(Err(reason)).by("a \"rule\"")
                },
                policy.clone(),
            );
            let plain =
                Question { resource: Resource { id: "1", ..question.resource }, ..question };
            let others = [
                Decision::new(&plain, Verdict::new(Ok(Reason::Own)), policy.clone()),
                decision.clone(),
            ];
            let mut told = others.map(|other| {
                let mut told = String::new();
                decision.tell_beside(&question.resource, &other, &plain.resource, &mut told);
                told
            });
            told[0] = decision.metadata_of(&format!("[{}]", told[0]));
            for text in
                [&decision.text, decision.question(), &decision.metadata(), &told[0], &told[1]]
            {
                let value: serde_json::Value = serde_json::from_str(text).unwrap();
                assert_eq!(crate::canonical(&value), *text);
            }
            assert_eq!(decision.question(), question.canonical());
        }
    }
}
