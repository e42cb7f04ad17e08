//! What decisions need to know of agents, credentials, operators and tenants.

use std::sync::Arc;

use countersign_ground::clock::Time;
use countersign_ground::ids::{AgentId, CredentialId, OperatorId, OperatorTokenId};
use countersign_ground::record::Actor;
use countersign_ground::secret::SecretDigest;
use countersign_policy::Permissions;

/// Whether an agent may act.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// It may.
    Active,
    /// Not at the moment.
    Suspended,
    /// Never again.
    Decommissioned,
}

/// An agent.
#[derive(Debug, Clone)]
pub struct AgentFacts {
    /// Which agent.
    pub id: AgentId,
    /// The same as text, so that events can share it.
    pub name: Arc<str>,
    /// Whose.
    pub tenant: Arc<str>,
    /// Whether it may act.
    pub standing: Standing,
    /// Tokens of another generation are dead.
    pub generation: i64,
    /// What its tokens may hold.
    pub scopes: Arc<Permissions>,
    /// Audiences that its tokens may be for.
    pub allowed_resources: Arc<[String]>,
    /// Raised by every change.
    pub revision: i64,
    /// Its credentials, those that were revoked since this process started among them.
    pub credentials: Vec<CredentialFacts>,
}

impl AgentFacts {
    /// The agent as the record names it.
    #[must_use]
    pub fn actor(&self) -> Actor {
        Actor { kind: "agent", id: Arc::clone(&self.name) }
    }

    /// The live credential with this secret. Looks at all of them, whichever matches.
    #[must_use]
    pub fn credential_matching(&self, digest: &SecretDigest, now: Time) -> Option<CredentialId> {
        let mut found = None;
        for credential in &self.credentials {
            if credential.proof.is_secret(digest, now) && credential.live(now) {
                found = Some(credential.id);
            }
        }
        found
    }

    /// Live credentials whose secret was not read from where it is kept, and which version is in force.
    pub fn unread(&self, now: Time) -> impl Iterator<Item = (CredentialId, i64)> {
        let live = self.credentials.iter().filter(move |credential| credential.live(now));
        live.filter_map(|credential| match credential.proof {
            Proof::Unread { version, .. } => Some((credential.id, version)),
            _ => None,
        })
    }

    /// The credential, if it is live: a token by it may still be good.
    #[must_use]
    pub fn live_credential(&self, id: CredentialId, now: Time) -> Option<&CredentialFacts> {
        self.credentials.iter().find(|credential| credential.id == id && credential.live(now))
    }
}

/// How an agent proves to be itself.
#[derive(Debug, Clone)]
pub enum Proof {
    /// With a secret.
    Secret {
        /// Of the secret.
        digest: SecretDigest,
        /// Of the one before, and until when that is good, too.
        previous: Option<(SecretDigest, Time)>,
    },
    /// With a secret that is kept elsewhere and was not read since the process started.
    Unread {
        /// Which version of it is in force.
        version: i64,
        /// The digest of the one before, and until when that is good.
        previous: Option<(SecretDigest, Time)>,
    },
    /// With a client certificate, by its thumbprint (RFC 8705 section 3.1).
    Certificate(Thumbprint),
}

/// SHA-256 of a certificate's DER.
pub type Thumbprint = [u8; 32];

impl Proof {
    fn is_secret(&self, presented: &SecretDigest, now: Time) -> bool {
        let (digest, previous) = match self {
            Self::Secret { digest, previous } => (Some(digest), previous),
            Self::Unread { previous, .. } => (None, previous),
            Self::Certificate(_) => return false,
        };
        let current = digest.is_some_and(|digest| digest == presented);
        let previous =
            previous.as_ref().is_some_and(|(digest, until)| now < *until && digest == presented);
        current | previous
    }
}

/// A credential.
#[derive(Debug, Clone)]
pub struct CredentialFacts {
    /// Which one.
    pub id: CredentialId,
    /// How it proves.
    pub proof: Proof,
    /// Not from then on.
    pub expires_at: Option<Time>,
    /// It has ended.
    pub revoked: bool,
    /// Raised by every change.
    pub revision: i64,
}

impl CredentialFacts {
    fn live(&self, now: Time) -> bool {
        !self.revoked && self.expires_at.is_none_or(|end| now < end)
    }
}

/// An operator.
#[derive(Debug)]
pub struct OperatorFacts {
    /// Which one.
    pub id: OperatorId,
    /// Whose.
    pub tenant: Arc<str>,
    /// Roles of the matrix, or their aliases.
    pub roles: Vec<String>,
    /// Up to which level they may countersign, 1 to 5.
    pub level: u8,
    /// They are no operator any more.
    pub removed: bool,
    /// Raised by every change.
    pub revision: i64,
}

impl OperatorFacts {
    /// The first operator, who sets everything up, holds permissions that no role knows, too.
    #[must_use]
    pub fn holds_everything(&self) -> bool {
        self.id.is_bootstrap()
    }

    /// Their roles, as text.
    pub fn roles(&self) -> impl Iterator<Item = &str> {
        self.roles.iter().map(String::as_str)
    }
}

/// A token of an operator.
#[derive(Debug)]
pub struct OperatorToken {
    /// Which one.
    pub id: OperatorTokenId,
    /// Whose.
    pub operator: OperatorId,
    /// Not from then on.
    pub expires_at: Option<Time>,
    /// It has ended.
    pub revoked: bool,
}

/// How much a tenant may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Limits {
    /// Agents that are not decommissioned.
    pub agents: Option<i64>,
    /// Tokens a client and calendar month.
    pub tokens_a_month: Option<i64>,
    /// Requests a client and minute.
    pub requests_a_minute: Option<u32>,
    /// Days that the record keeps events.
    pub audit_days: Option<i64>,
}

/// A tenant.
#[derive(Debug)]
pub struct TenantFacts {
    /// Which one, shared by all that is its own.
    pub id: Arc<str>,
    /// What its plan allows.
    pub limits: Limits,
    /// Raised by every change.
    pub revision: i64,
}
