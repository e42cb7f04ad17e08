//! What doors and jobs may use.

use std::net::IpAddr;
use std::ops::Deref;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::time::Duration;

use countersign_ground::clock::{Clock, Time};
use countersign_ground::config::Config;
use countersign_ground::db::{self, Db};
use countersign_ground::entropy::Entropy;
use countersign_ground::ids::{AgentId, EventId};
use countersign_ground::keyring::KeyRing;
use countersign_ground::record::{Event, Record};
use countersign_ground::shared::Shared;
use tokio::sync::{Semaphore, watch};

use crate::doors::tls::Tls;
use crate::features::activity::Activity;
use crate::features::agents;
use crate::features::audit::sink::Sink;
use crate::features::credentials::vault::Vault;
use crate::features::documents;
use crate::features::keys::RingChange;
use crate::features::quotas::Quotas;
use crate::law::Law;
use crate::law::directory::AgentFacts;
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
    /// Where new secrets of agents are kept, if not in the database.
    pub vault: Option<Arc<Vault>>,
    /// HTTPS, where it is served.
    pub tls: Option<Arc<Tls>>,
    /// How many tokens limited clients were issued this month.
    pub quotas: Quotas,
    /// Where the role matrix comes from.
    pub rbac: documents::Origin,
    /// Where the registry comes from.
    pub registry: documents::Origin,
    /// Where the route table comes from.
    pub routes: documents::Origin,
    /// Where the policy directory is.
    pub policy: documents::Origin,
    /// What it was configured with.
    pub config: Config,
    /// Time.
    pub clock: Clock,
    /// Randomness.
    pub entropy: Entropy,
    /// Since when the database has not answered.
    pub outage: Outage,
    /// Where seals are kept besides the database.
    pub sink: Option<Sink>,
    /// What nodes share, where there is a Redis.
    pub shared: Option<Arc<Shared>>,
    /// The number of the newest seal, for those who follow the record.
    pub newest_seal: watch::Sender<i64>,
    /// A place for each of them.
    pub followers: Arc<Semaphore>,
    /// No new work is wanted.
    pub draining: AtomicBool,
}

/// Since when the database has not answered: microseconds, or 0 while it does.
#[derive(Default)]
pub struct Outage(AtomicI64);

impl Outage {
    /// Notes how an attempt went; gives how long it has been going on.
    pub fn note(&self, up: bool, now: Time) -> Option<Duration> {
        if up {
            self.0.store(0, Ordering::Relaxed);
            return None;
        }
        let begun = self.0.compare_exchange(0, now.0, Ordering::Relaxed, Ordering::Relaxed);
        Some(now.since(Time(begun.err().unwrap_or(now.0))))
    }
}

impl App {
    pub(crate) fn new(parts: Parts) -> Self {
        Self(Arc::new(parts))
    }

    /// Whether somebody may say for whom a request is made.
    #[must_use]
    pub fn trusts(&self, ip: IpAddr) -> bool {
        let ip = ip.to_canonical();
        self.config.trusted_proxies.iter().any(|net| net.contains(&ip))
    }

    /// An event of now.
    #[must_use]
    pub fn event(&self, action: &'static str, now: Time) -> Event {
        Event::new(EventId::new(now, &self.entropy), now, action)
    }

    /// What is known of an agent; where memory does not know it, another node may have registered it.
    ///
    /// # Errors
    /// The database's failure.
    pub async fn agent(&self, id: AgentId) -> db::Result<Option<Arc<AgentFacts>>> {
        let known = self.law.directory.agent(id);
        if known.is_some() || !self.law.following.is_shared() {
            return Ok(known);
        }
        // Rare, and large: whoever asks is not made larger by it.
        Box::pin(agents::store::load_one(&self.db, &self.law.directory, id)).await?;
        Ok(self.law.directory.agent(id))
    }

    /// What a change of the key ring needs; the record calls it `action`.
    #[must_use]
    pub fn ring_change(&self, action: &'static str) -> RingChange {
        let at = self.clock.now();
        RingChange {
            ring: Arc::clone(&self.keys),
            db: self.db.clone(),
            event: self.event(action, at),
            ttl: self.config.token_ttl,
            at,
        }
    }

    /// Asks the database for a sign of life; gives how long there has been none.
    pub async fn database_outage(&self) -> Option<Duration> {
        let up = self.db.ping().await.is_ok();
        self.metrics.dependency("database", up);
        self.metrics.degraded("database_lost", !up);
        let following = &self.law.following;
        let fresh = following.is_fresh() || (up && following.catch_up().await);
        self.metrics.degraded("memory_stale", !fresh);
        self.outage.note(up, self.clock.now())
    }

    /// Asks Redis for a sign of life; `None` where there is none.
    pub async fn redis_is_up(&self) -> Option<bool> {
        let up = self.shared.as_ref()?.ping().await;
        self.metrics.dependency("redis", up);
        self.metrics.degraded("redis_fallback", !up);
        Some(up)
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
