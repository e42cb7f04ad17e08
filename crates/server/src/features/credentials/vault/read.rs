//! Reading a secret once, when it is first used after a start.
//!
//! Who asks need not be its agent, so what this costs Vault is bounded: one read at a time and at most
//! one a second for each credential, a few at once for all of them, and no lock is held meanwhile.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use countersign_ground::clock::Time;
use countersign_ground::ids::{AgentId, CredentialId};
use countersign_ground::problem::{Code, Problem};
use futures_util::future::join_all;
use tokio::sync::{Semaphore, watch};

use super::Vault;
use super::answer::Failure;
use crate::law::directory::AgentFacts;

const AT_ONCE: usize = 16;
/// For one read, its wait for the others included.
const PATIENCE: Duration = Duration::from_millis(2_500);
/// Between two reads of the same.
const PAUSE: Duration = Duration::from_secs(1);

/// A version of a credential's secret.
type Wanted = (CredentialId, i64);

/// Reads under way, and those that failed a moment ago.
pub(super) struct Reads {
    flights: Mutex<HashMap<Wanted, Flight>>,
    places: Semaphore,
}

impl Default for Reads {
    fn default() -> Self {
        Self { flights: Mutex::default(), places: Semaphore::new(AT_ONCE) }
    }
}

struct Flight {
    begun: Time,
    landed: watch::Receiver<Option<Seen>>,
}

impl Flight {
    fn counts(&self, now: Time) -> bool {
        // A clock that steps back must not hold a failure up.
        let young = self.begun <= now && now < self.begun + PAUSE;
        match *self.landed.borrow() {
            // Memory has it; where it has not any more, that is to be asked anew.
            Some(Ok(true)) => false,
            Some(_) => young,
            None => self.landed.has_changed().is_ok(),
        }
    }
}

/// Whether memory has it now.
type Seen = Result<bool, Failure>;

impl Reads {
    fn lock(&self) -> MutexGuard<'_, HashMap<Wanted, Flight>> {
        self.flights.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Vault {
    /// Reads those live secrets of an agent that are not in memory yet, so that the law knows them.
    ///
    /// # Errors
    /// When one of them could not be read. One that is gone is none.
    pub async fn learn(self: &Arc<Self>, agent: &AgentFacts, now: Time) -> Result<(), Problem> {
        let landings = agent.unread(now).map(|wanted| self.landing(agent.id, wanted, now));
        let seen = join_all(landings.collect::<Vec<_>>()).await;
        match seen.into_iter().find_map(Result::err) {
            Some(failure) => Err(Problem::from(failure).retold(NOT_NOW)),
            None => Ok(()),
        }
    }

    /// Forgets reads that are over.
    pub fn forget(&self, now: Time) {
        let mut flights = self.reads.lock();
        flights.retain(|_, flight| flight.counts(now));
        flights.shrink_to_fit();
    }

    fn landing(
        self: &Arc<Self>,
        agent: AgentId,
        wanted: Wanted,
        now: Time,
    ) -> impl Future<Output = Seen> + Send + use<> {
        let mut flights = self.reads.lock();
        let known = flights.get(&wanted).filter(|flight| flight.counts(now));
        let mut landed = match known {
            Some(flight) => flight.landed.clone(),
            None => {
                let landed = self.take_off(agent, wanted);
                flights.insert(wanted, Flight { begun: now, landed: landed.clone() });
                landed
            }
        };
        drop(flights);
        async move {
            let ended = landed.wait_for(Option::is_some).await;
            let seen = ended.ok().and_then(|seen| seen.clone());
            seen.unwrap_or_else(|| Err(Failure::silent("the read was given up")))
        }
    }

    /// In a task of its own: who asked first may go away.
    fn take_off(self: &Arc<Self>, agent: AgentId, wanted: Wanted) -> watch::Receiver<Option<Seen>> {
        let (land, landed) = watch::channel(None);
        let vault = Arc::clone(self);
        tokio::spawn(async move {
            let read = tokio::time::timeout(PATIENCE, vault.read(agent, wanted)).await;
            let seen = read.unwrap_or_else(|_| Err(Failure::silent("no answer in time")));
            let seen = vault.noted(seen);
            if let Err(error) = &seen {
                tracing::warn!(credential = %wanted.0, %error, "its secret was not read");
            }
            land.send_replace(Some(seen));
        });
        landed
    }

    async fn read(&self, agent: AgentId, (id, version): Wanted) -> Seen {
        let closed = |_| Failure::silent("no more reads");
        let _place = self.reads.places.acquire().await.map_err(closed)?;
        match self.client.read((agent, id), version).await? {
            Some(secret) => {
                let digest = self.parts.keys.digest().digest(secret.reveal());
                self.parts.directory.learn(agent, id, version, digest);
            }
            None => {
                tracing::warn!(credential = %id, version, "its secret is gone from Vault");
                return Ok(false);
            }
        }
        Ok(true)
    }
}

/// Anybody may be told this.
const NOT_NOW: &str = "the secret can't be checked at the moment; try again";

/// Secrets are in Vault, and there is none.
#[must_use]
pub fn out_of_reach() -> Problem {
    Problem::new(Code::Unavailable, NOT_NOW)
        .retry_after(Duration::from_secs(60))
        .because("vault: the secret is kept there; set VAULT_ADDR and VAULT_TOKEN")
}
