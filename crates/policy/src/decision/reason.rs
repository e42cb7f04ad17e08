//! Why, as a stable word.

use std::fmt;
use std::sync::Arc;

use crate::canonical::write_text;

/// Why a decision is what it is. Written as one word, which never changes its meaning.
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
    /// This relationship of the registry grants it.
    Relationship(Arc<str>),
    /// The subject proved nothing.
    NoCredentials,
    /// The subject holds nothing that grants it.
    InsufficientPermissions,
    /// The subject is one of ours and has been stopped.
    SubjectNotActive,
    /// What is asked about is allowed only with somebody's approval.
    ApprovalRequired,
    /// No policy says anything about it.
    NoMatchingRule,
    /// It needs the registry, and there is none that can be used.
    RegistryUnavailable,
    /// It needs a policy that can't be used.
    PolicyUnavailable,
    /// Evaluating failed.
    Error,
    /// A word of a package that is built in.
    Word(&'static str),
    /// A word of a package's own.
    Stated(Box<str>),
}

impl Reason {
    /// The word, or what stands before and after its colon.
    fn parts(&self) -> (&str, Option<&str>) {
        match self {
            Self::Role(role) => ("role", Some(role)),
            Self::Scope(scope) => ("scope", Some(scope)),
            Self::Relationship(relation) => ("relationship", Some(relation)),
            Self::Stated(word) => (word, None),
            fixed => (fixed.fixed().unwrap_or_default(), None),
        }
    }

    /// The word, when it is one that is not made up by a policy or a matrix.
    #[must_use]
    pub fn fixed(&self) -> Option<&'static str> {
        Some(match self {
            Self::Role(_) | Self::Scope(_) | Self::Relationship(_) | Self::Stated(_) => {
                return None;
            }
            Self::Bootstrap => "bootstrap",
            Self::Own => "own",
            Self::NoCredentials => "no-credentials",
            Self::InsufficientPermissions => "insufficient-permissions",
            Self::SubjectNotActive => "subject-not-active",
            Self::ApprovalRequired => "approval_required",
            Self::NoMatchingRule => "no_matching_rule",
            Self::RegistryUnavailable => "registry_unavailable",
            Self::PolicyUnavailable => "policy_unavailable",
            Self::Error => "error",
            Self::Word(word) => word,
        })
    }

    /// As a JSON string.
    pub(crate) fn write(&self, out: &mut String) {
        match self.parts() {
            (word, None) => write_text(out, word),
            (word, Some(rest)) => {
                let start = out.len();
                write_text(out, rest);
                out.insert(start + 1, ':');
                out.insert_str(start + 1, word);
            }
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.parts() {
            (word, None) => f.write_str(word),
            (word, Some(rest)) => write!(f, "{word}:{rest}"),
        }
    }
}
