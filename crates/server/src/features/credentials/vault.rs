//! Vault or OpenBao (KV version 2) as the place of agents' secrets.
//!
//! What is done there can't commit together with what is done here. So an intent is committed first,
//! then Vault is called, then the outcome is committed (`creation`, `rotation`); whatever lies in
//! between when a process, a client or Vault goes away is undone after a minute (`settle`). The
//! database alone says which credential is live and which version of its secret is in force.

mod answer;
mod change;
mod client;
mod creation;
mod read;
mod rotation;
mod settle;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use countersign_ground::clock::{Clock, Time};
use countersign_ground::config::VaultSettings;
use countersign_ground::db::Db;
use countersign_ground::entropy::Entropy;
use countersign_ground::ids::{AgentId, CredentialId, EventId};
use countersign_ground::keyring::KeyRing;
use countersign_ground::record::Event;
use countersign_ground::uuid_id;

use tokio::sync::Semaphore;

use crate::law::directory::Directory;
use crate::metrics::Metrics;
use answer::Failure;
use client::Client;
use read::Reads;

pub use read::out_of_reach;

uuid_id!(
    /// Names one undertaking in Vault.
    IntentId
);

/// What is undertaken in Vault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// To write the first version of a secret.
    Create,
    /// To write another one.
    Rotate,
    /// To remove what was written and did not come into force.
    Undo,
    /// To remove all of it.
    Erase,
}

impl Kind {
    /// The word in its row.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Rotate => "rotate",
            Self::Undo => "undo",
            Self::Erase => "erase",
        }
    }

    /// From the word in its row.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        [Self::Create, Self::Rotate, Self::Undo, Self::Erase]
            .into_iter()
            .find(|kind| kind.as_str() == word)
    }

    /// What is left to do when it did not succeed.
    #[must_use]
    pub fn undone(self) -> Self {
        match self {
            Self::Create | Self::Erase => Self::Erase,
            Self::Rotate | Self::Undo => Self::Undo,
        }
    }
}

/// What was begun in Vault and has not come to its end.
#[derive(Debug, Clone)]
pub struct Intent {
    /// Which one: another one of the same credential has another id.
    pub id: IntentId,
    /// What it is.
    pub kind: Kind,
    /// Of which credential.
    pub credential: CredentialId,
    /// Whose.
    pub agent: AgentId,
    /// Where.
    pub tenant: String,
    /// When somebody last set about it.
    pub taken_at: Time,
}

/// An intent that nobody has brought to its end.
#[derive(Debug)]
pub struct Due {
    /// The intent.
    pub intent: Intent,
    /// The version of the secret that is in force, if it is in Vault.
    pub in_force: Option<i64>,
}

/// Why there can be no client by these settings, if so.
#[must_use]
pub fn fault(settings: &VaultSettings) -> Option<String> {
    Client::new(settings).err()
}

/// What it works with.
pub struct Parts {
    /// The database.
    pub db: Db,
    /// Who exists.
    pub directory: Arc<Directory>,
    /// The key that secrets are digested under.
    pub keys: Arc<KeyRing>,
    /// Where it is noted whether it answers.
    pub metrics: Arc<Metrics>,
    /// Time.
    pub clock: Clock,
    /// Randomness.
    pub entropy: Entropy,
}

/// So long after somebody set about something, nobody is at it any more: every call is bounded.
pub(super) const ABANDONED: Duration = Duration::from_secs(60);
const REMOVALS_AT_ONCE: usize = 16;

/// Vault, as the server uses it.
pub struct Vault {
    client: Client,
    reads: Reads,
    /// For removals that nobody waits for.
    removals: Arc<Semaphore>,
    up: AtomicBool,
    parts: Parts,
}

impl Vault {
    /// By these settings. Nothing is asked of it yet.
    ///
    /// # Errors
    /// When there can be no client: this machine trusts no authority, for example.
    pub fn new(settings: &VaultSettings, parts: Parts) -> Result<Arc<Self>, String> {
        let client = Client::new(settings)?;
        let (reads, removals) = (Reads::default(), Arc::new(Semaphore::new(REMOVALS_AT_ONCE)));
        let vault = Self { client, reads, removals, up: AtomicBool::new(true), parts };
        vault.measure(true);
        Ok(Arc::new(vault))
    }

    /// Asks it for a sign of life, and whether it still knows this server.
    pub async fn check(&self) {
        // How it went is noted.
        let _ = self.noted(self.client.look_up_self().await);
    }

    /// Has its token live on, when half of its life is over.
    pub async fn renew(&self) {
        let Ok(token) = self.noted(self.client.look_up_self().await) else { return };
        if !token.wants_renewal() {
            return;
        }
        match self.client.renew_self().await {
            Ok(()) => tracing::info!("the token for Vault lives on"),
            Err(error) => tracing::warn!(%error, ?token, "the token for Vault was not renewed"),
        }
    }

    /// Notes how a call went.
    fn noted<T>(&self, outcome: Result<T, Failure>) -> Result<T, Failure> {
        let up = outcome.as_ref().map_or_else(Failure::works, |_| true);
        self.measure(up);
        match (self.up.swap(up, Ordering::Relaxed), &outcome) {
            (true, Err(error)) if !up => tracing::error!(%error, "Vault can't be used"),
            (false, _) if up => tracing::info!("Vault can be used again"),
            _ => {}
        }
        outcome
    }

    fn measure(&self, up: bool) {
        self.parts.metrics.dependency("vault", up);
        self.parts.metrics.degraded("vault_unavailable", !up);
    }

    fn event(&self, action: &'static str, intent: &Intent) -> Event {
        let now = self.parts.clock.now();
        let event = Event::new(EventId::new(now, &self.parts.entropy), now, action);
        super::about(event, (intent.agent, intent.credential))
    }
}
