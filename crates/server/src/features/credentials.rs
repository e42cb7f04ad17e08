//! Credentials: how an agent proves to be itself. A secret is shown once and kept as a digest.

pub mod http;
pub mod store;

use std::sync::Arc;

use countersign_ground::clock::Time;
use countersign_ground::db::{self, Tx};
use countersign_ground::ids::{AgentId, CredentialId};
use countersign_ground::problem::{Code, Problem};
use countersign_ground::secret::SecretDigest;
use serde::Serialize;
use utoipa::ToSchema;

use crate::law::action::QuarantineAgent;
use crate::law::directory::{CredentialFacts, Directory, Proof, Thumbprint};
use crate::law::permit::Permit;

/// Whether a credential is good.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// It is.
    Active,
    /// It was, until `expiresAt`.
    Expired,
    /// It was ended.
    Revoked,
}

/// One credential, as its row has it.
#[derive(Debug, Clone)]
pub struct Credential {
    id: CredentialId,
    agent: AgentId,
    digest: Option<SecretDigest>,
    certificate: Option<Thumbprint>,
    previous: Option<(SecretDigest, Time)>,
    revision: i64,
    created_at: Time,
    expires_at: Option<Time>,
    revoked_at: Option<Time>,
    last_used_at: Option<Time>,
    last_used_from: Option<String>,
}

impl Credential {
    fn status(&self, now: Time) -> Status {
        match (self.revoked_at, self.expires_at) {
            (Some(_), _) => Status::Revoked,
            (None, Some(end)) if end <= now => Status::Expired,
            _ => Status::Active,
        }
    }

    /// What the law needs to know; `None` once there is no secret to know.
    fn facts(&self) -> Option<CredentialFacts> {
        let proof = match (self.certificate, self.digest) {
            (Some(thumbprint), _) => Proof::Certificate(thumbprint),
            (None, Some(digest)) => Proof::Secret { digest, previous: self.previous },
            (None, None) => return None,
        };
        Some(CredentialFacts {
            id: self.id,
            proof,
            expires_at: self.expires_at,
            revoked: self.revoked_at.is_some(),
            revision: self.revision,
        })
    }
}

/// Ends all live credentials of an agent that is being stopped; gives their ids.
///
/// # Errors
/// The database's failure.
pub async fn stop(
    tx: &mut Tx,
    permit: &Permit<QuarantineAgent>,
    agent: AgentId,
    directory: &Arc<Directory>,
    now: Time,
) -> db::Result<Vec<CredentialId>> {
    let revoked = store::revoke_all(tx, permit, agent, now).await?;
    for credential in &revoked {
        remember_after(tx, credential, directory);
    }
    Ok(revoked.into_iter().map(|credential| credential.id).collect())
}

/// Lets memory follow a change once it has committed.
fn remember_after(tx: &mut Tx, credential: &Credential, directory: &Arc<Directory>) {
    if let Some(facts) = credential.facts() {
        let (directory, agent) = (Arc::clone(directory), credential.agent);
        tx.after_commit(move || directory.put_credential(agent, facts));
    }
}

/// Why a request about a credential was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CredentialError {
    /// Of this agent, by this id.
    #[error("no credential `{0}`")]
    NotFound(CredentialId),
    /// It can only be looked at.
    #[error("credential `{0}` is revoked; create a new one")]
    Revoked(CredentialId),
    /// A new secret would be good for nothing.
    #[error("credential `{0}` has expired; create a new one")]
    Expired(CredentialId),
    /// There is no secret to give it another of.
    #[error("credential `{0}` is a client certificate: create one for the new certificate")]
    IsCertificate(CredentialId),
    /// A certificate proves one agent.
    #[error("a live credential is bound to this certificate already")]
    CertificateTaken,
}

impl From<CredentialError> for Problem {
    fn from(error: CredentialError) -> Self {
        let code = match &error {
            CredentialError::NotFound(_) => Code::CredentialNotFound,
            CredentialError::Revoked(_) => Code::CredentialRevoked,
            CredentialError::Expired(_)
            | CredentialError::IsCertificate(_)
            | CredentialError::CertificateTaken => Code::Conflict,
        };
        Self::new(code, error.to_string())
    }
}
