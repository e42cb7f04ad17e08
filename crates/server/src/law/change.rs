//! What other nodes must notice: each change of what decisions are made from.

use countersign_ground::db::{Announced, Change, Tx};
use countersign_ground::ids::{AgentId, OperatorId};

use super::token::TokenId;

/// Something that memory holds has changed.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Changed {
    /// An agent, or one of its credentials.
    Agent(AgentId),
    /// An operator, or one of their tokens.
    Operator(OperatorId),
    /// A tenant.
    Tenant(String),
    /// A token was revoked by itself.
    Revocation(TokenId),
    /// The key ring.
    Keys,
    /// The role matrix.
    Matrix,
    /// The registry.
    Registry,
    /// The route table.
    Routes,
    /// A guard.
    Guards,
}

impl Changed {
    /// Tells every node, once the transaction has committed.
    pub fn announce(&self, tx: &mut Tx) {
        let (kind, subject) = match self {
            Self::Agent(id) => ("agent", id.to_string()),
            Self::Operator(id) => ("operator", id.to_string()),
            Self::Tenant(id) => ("tenant", id.clone()),
            Self::Revocation(id) => ("revocation", id.to_string()),
            Self::Keys => ("keys", String::new()),
            Self::Matrix => ("matrix", String::new()),
            Self::Registry => ("registry", String::new()),
            Self::Routes => ("routes", String::new()),
            Self::Guards => ("guards", String::new()),
        };
        tx.announce(Change { kind, subject });
    }

    /// What was announced; `None` for what this version does not know: a newer one announced it, of
    /// something that only newer ones have.
    #[must_use]
    pub fn read(announced: &Announced) -> Option<Self> {
        let subject = &announced.subject;
        Some(match announced.kind.as_str() {
            "agent" => Self::Agent(subject.parse().ok()?),
            "operator" => Self::Operator(subject.parse().ok()?),
            "tenant" => Self::Tenant(subject.clone()),
            "revocation" => Self::Revocation(subject.parse().ok()?),
            "keys" => Self::Keys,
            "matrix" => Self::Matrix,
            "registry" => Self::Registry,
            "routes" => Self::Routes,
            "guards" => Self::Guards,
            _ => return None,
        })
    }
}
