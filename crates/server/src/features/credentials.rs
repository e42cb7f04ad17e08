//! Credentials: how an agent proves to be itself. A secret is shown once and kept as a digest, or in
//! Vault.

pub mod http;
pub mod store;
pub mod vault;

use std::sync::Arc;

use countersign_ground::clock::Time;
use countersign_ground::db::{self, Tx};
use countersign_ground::entropy::Entropy;
use countersign_ground::ids::{AgentId, CredentialId};
use countersign_ground::problem::{Code, Problem};
use countersign_ground::record::Event;
use countersign_ground::secret::SecretDigest;
use serde::Serialize;
use utoipa::ToSchema;

use crate::law::action::QuarantineAgent;
use crate::law::change::Changed;
use crate::law::directory::{CredentialFacts, Directory, Proof, Thumbprint};
use crate::law::permit::Permit;
use vault::{Intent, IntentId};

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
    /// There may be something of it in Vault.
    vault_path: Option<String>,
    /// Which version of its secret is in force there.
    vault_version: Option<i64>,
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

    /// What the law needs to know; `None` while there is nothing that it could prove by.
    fn facts(&self) -> Option<CredentialFacts> {
        let previous = self.previous;
        let proof = match (self.certificate, self.digest, self.vault_version) {
            (Some(thumbprint), ..) => Proof::Certificate(thumbprint),
            (None, Some(digest), _) => Proof::Secret { digest, previous },
            (None, None, Some(version)) => Proof::Unread { version, previous },
            (None, None, None) => return None,
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

/// What was stopped of an agent.
#[derive(Debug)]
pub struct Stopped {
    /// Credentials that were live.
    pub ids: Vec<CredentialId>,
    /// What is to be removed from Vault now.
    pub erasures: Vec<Intent>,
}

/// Ends all live credentials of an agent that is being stopped.
///
/// # Errors
/// The database's failure.
pub async fn stop(
    tx: &mut Tx,
    permit: &Permit<QuarantineAgent>,
    agent: AgentId,
    (directory, entropy): (&Arc<Directory>, &Entropy),
    now: Time,
) -> db::Result<Stopped> {
    let mut stopped = Stopped { ids: Vec::new(), erasures: Vec::new() };
    for credential in store::revoke_all(tx, permit, agent, now).await? {
        remember_after(tx, &credential, directory);
        let id = IntentId::new(now, entropy);
        stopped.erasures.extend(store::intents::erase(tx, permit, &credential, id, now).await?);
        if credential.facts().is_some() {
            stopped.ids.push(credential.id);
        }
    }
    Ok(stopped)
}

/// What every change of a credential ends with: its event, and memory that follows the commit.
fn changed<A>(
    tx: &mut Tx,
    permit: &Permit<A>,
    event: Event,
    credential: &Credential,
    directory: &Arc<Directory>,
) {
    let event = about(event, (credential.agent, credential.id));
    tx.record(permit.sign(event).leaf());
    remember_after(tx, credential, directory);
}

/// An event of a credential.
fn about(mut event: Event, (agent, credential): (AgentId, CredentialId)) -> Event {
    event.agent = Some(agent);
    event.resource = Some(format!("credentials/{credential}"));
    event.meta("credentialId", credential.to_string());
    event
}

/// The digest of a credential's secret as memory has it, and of which revision of its row.
fn in_memory(
    directory: &Directory,
    (agent, id): (AgentId, CredentialId),
) -> Option<(SecretDigest, i64)> {
    let agent = directory.agent(agent)?;
    let credential = agent.credentials.iter().find(|credential| credential.id == id)?;
    match credential.proof {
        Proof::Secret { digest, .. } => Some((digest, credential.revision)),
        _ => None,
    }
}

/// Lets memory follow a change once it has committed.
fn remember_after(tx: &mut Tx, credential: &Credential, directory: &Arc<Directory>) {
    Changed::Agent(credential.agent).announce(tx);
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
    /// What was begun before has not ended, or is being undone.
    #[error("credential `{0}` is being changed; try again in a minute")]
    Changing(CredentialId),
    /// The old secret can't be read, so it can't be good any longer.
    #[error(
        "the secret of credential `{0}` is in Vault, which is not configured: set VAULT_ADDR and \
         VAULT_TOKEN, or rotate without `graceSeconds`"
    )]
    OutOfReach(CredentialId),
}

impl From<CredentialError> for Problem {
    fn from(error: CredentialError) -> Self {
        let code = match &error {
            CredentialError::NotFound(_) => Code::CredentialNotFound,
            CredentialError::Revoked(_) => Code::CredentialRevoked,
            CredentialError::Expired(_)
            | CredentialError::IsCertificate(_)
            | CredentialError::CertificateTaken
            | CredentialError::Changing(_) => Code::Conflict,
            CredentialError::OutOfReach(_) => Code::Unavailable,
        };
        let problem = Self::new(code, error.to_string());
        match error {
            CredentialError::Changing(_) => problem.retry_after(vault::ABANDONED),
            _ => problem,
        }
    }
}
