//! Question, decision, and the id that names both.

use std::fmt;
use std::sync::Arc;

use aws_lc_rs::digest::{SHA256, digest};
use serde::Serialize;

use crate::{Matrix, Permissions};

/// What is asked: may this subject do this to that.
#[derive(Debug, Clone, Serialize)]
pub struct Question<'q> {
    /// `agent`, `operator`, `machine`, `service` or `anonymous`.
    pub subject_type: &'q str,
    /// Which one.
    pub subject_id: &'q str,
    /// Whose it is.
    pub subject_tenant: &'q str,
    /// The tenant it is asked in.
    pub tenant: &'q str,
    /// A permission's resource.
    pub resource: &'q str,
    /// Which one, or `*`.
    pub resource_id: &'q str,
    /// A permission's action.
    pub action: &'q str,
}

/// The answer's direction.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Effect {
    /// It may.
    Allow,
    /// It may not.
    Deny,
}

impl Effect {
    /// The word in a canonical decision.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Allow => "allow",
            Self::Deny => "deny",
        }
    }
}

/// Why, as a stable word.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reason {
    /// This role grants it.
    Role(Arc<str>),
    /// This OAuth scope grants it.
    Scope(String),
    /// The subject is the first operator, who holds everything.
    Bootstrap,
    /// What is acted on is the subject's own.
    Own,
    /// The subject proved nothing.
    NoCredentials,
    /// The subject holds nothing that grants it.
    InsufficientPermissions,
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Role(role) => write!(f, "role:{role}"),
            Self::Scope(scope) => write!(f, "scope:{scope}"),
            Self::Bootstrap => f.write_str("bootstrap"),
            Self::Own => f.write_str("own"),
            Self::NoCredentials => f.write_str("no-credentials"),
            Self::InsufficientPermissions => f.write_str("insufficient-permissions"),
        }
    }
}

/// `decision:` and 16 hex digits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DecisionId(String);

impl DecisionId {
    /// The id of a canonical decision: SHA-256 over its RFC 8785 text.
    #[must_use]
    pub fn of(canonical: &str) -> Self {
        let digest = digest(&SHA256, canonical.as_bytes());
        Self(format!("decision:{}", hex::encode(&digest.as_ref()[..8])))
    }

    /// As it is written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for DecisionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The answer, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    /// Names question and answer.
    pub id: DecisionId,
    /// Which way.
    pub effect: Effect,
    /// Why.
    pub reason: Reason,
}

impl Decision {
    /// Decides for somebody who holds roles of the matrix.
    #[must_use]
    pub fn by_roles<'r>(
        question: &Question<'_>,
        roles: impl IntoIterator<Item = &'r str>,
        matrix: &Matrix,
    ) -> Self {
        let reason = matrix.decide(roles, question.resource, question.action);
        Self::because(question, reason, matrix)
    }

    /// Decides for somebody who holds scopes.
    #[must_use]
    pub fn by_scopes(question: &Question<'_>, scopes: &Permissions, matrix: &Matrix) -> Self {
        let wanted = format!("{}:{}", question.resource, question.action);
        let reason = if scopes.holds(&wanted) {
            Ok(Reason::Scope(wanted))
        } else {
            Err(Reason::InsufficientPermissions)
        };
        Self::because(question, reason, matrix)
    }

    /// The decision that follows from a reason: `Ok` allows, `Err` denies.
    #[must_use]
    pub fn because(
        question: &Question<'_>,
        reason: Result<Reason, Reason>,
        matrix: &Matrix,
    ) -> Self {
        let (effect, reason) = match reason {
            Ok(reason) => (Effect::Allow, reason),
            Err(reason) => (Effect::Deny, reason),
        };
        let text = canonical_text(question, effect, &reason, matrix.hash());
        Self { id: DecisionId::of(&text), effect, reason }
    }
}

/// The canonical form by construction: every struct's members stand sorted, and there is nothing
/// in it but strings, empty objects and nulls. Ten times cheaper than sorting a JSON value.
fn canonical_text(
    question: &Question<'_>,
    effect: Effect,
    reason: &Reason,
    version: &str,
) -> String {
    #[derive(Serialize)]
    struct Empty {}
    #[derive(Serialize)]
    struct Action<'q> {
        name: &'q str,
        properties: Empty,
    }
    #[derive(Serialize)]
    struct Resource<'q> {
        id: &'q str,
        properties: Empty,
        system: &'q str,
        r#type: &'q str,
    }
    #[derive(Serialize)]
    struct Subject<'q> {
        id: &'q str,
        properties: Empty,
        tenant: &'q str,
        r#type: &'q str,
    }
    #[derive(Serialize)]
    struct Asked<'q> {
        action: Action<'q>,
        context: Empty,
        resource: Resource<'q>,
        subject: Subject<'q>,
        tenant: &'q str,
    }
    #[derive(Serialize)]
    struct Decided<'q> {
        effect: &'q str,
        policy_package: &'q str,
        policy_version: &'q str,
        question: Asked<'q>,
        reason: String,
        registry_digest: Option<&'q str>,
    }
    let decided = Decided {
        effect: effect.as_str(),
        policy_package: "rbac",
        policy_version: version,
        question: Asked {
            action: Action { name: question.action, properties: Empty {} },
            context: Empty {},
            resource: Resource {
                id: question.resource_id,
                properties: Empty {},
                system: "countersign",
                r#type: question.resource,
            },
            subject: Subject {
                id: question.subject_id,
                properties: Empty {},
                tenant: question.subject_tenant,
                r#type: question.subject_type,
            },
            tenant: question.tenant,
        },
        reason: reason.to_string(),
        registry_digest: None,
    };
    // Strings and structs always serialise.
    serde_json::to_string(&decided).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::canonical;

    #[test]
    fn the_text_that_is_hashed_is_canonical() {
        let question = Question {
            subject_type: "agent",
            subject_id: "quoted \" and ü",
            subject_tenant: "default",
            tenant: "default",
            resource: "agents",
            resource_id: "*",
            action: "read",
        };
        let text = canonical_text(&question, Effect::Deny, &Reason::NoCredentials, "v");
        let value: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(canonical(&value), text);
    }
}
