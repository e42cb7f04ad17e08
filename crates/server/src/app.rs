//! What doors and jobs may use.

use std::ops::Deref;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use countersign_ground::clock::{Clock, Time};
use countersign_ground::config::Config;
use countersign_ground::db::Db;
use countersign_ground::entropy::Entropy;
use countersign_ground::ids::EventId;
use countersign_ground::keyring::KeyRing;
use countersign_ground::record::{Event, Record};

use crate::features::activity::Activity;
use crate::law::Law;
use crate::metrics::Metrics;

/// A running server's parts; clones share them.
#[derive(Clone)]
pub struct App(Arc<Parts>);

/// The parts.
pub struct Parts {
    /// The database.
    pub db: Db,
    /// The record of events.
    pub record: Arc<Record>,
    /// Who may what.
    pub law: Law,
    /// The key ring.
    pub keys: Arc<KeyRing>,
    /// What is measured.
    pub metrics: Arc<Metrics>,
    /// When credentials and agents were last seen.
    pub activity: Activity,
    /// What it was configured with.
    pub config: Config,
    /// Time.
    pub clock: Clock,
    /// Randomness.
    pub entropy: Entropy,
    /// No new work is wanted.
    pub draining: AtomicBool,
}

impl App {
    pub(crate) fn new(parts: Parts) -> Self {
        Self(Arc::new(parts))
    }

    /// An event of now.
    #[must_use]
    pub fn event(&self, action: &'static str, now: Time) -> Event {
        Event::new(EventId::new(now, &self.entropy), now, action)
    }

    /// How long a token lives.
    #[must_use]
    pub fn token_ttl(&self) -> Duration {
        self.config.token_ttl
    }
}

impl Deref for App {
    type Target = Parts;
    fn deref(&self) -> &Parts {
        &self.0
    }
}
