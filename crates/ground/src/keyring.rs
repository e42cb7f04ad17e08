//! The key ring: every versioned secret, sealed with the master key.
//!
//! ```text
//! next (published, not yet used) → active → retiring (still verifies) → retired
//!   └──────────────────────────────┴───────────┴── revoked, for a leak ──↗
//! ```
//! What seals a row names its purpose, tenant, owner and version, so rows can't be swapped unseen.
//! A state only ever moves forward, in memory, too: whichever of two changes gets there first.

mod import;
mod jws;
mod master;
mod rotation;
mod rows;
mod seal_keys;

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU8, Ordering};
use std::time::Duration;

use arc_swap::ArcSwap;

use crate::clock::{Clock, Time};
use crate::db::{self, Db};
use crate::entropy::Entropy;
use crate::secret::DigestKey;

pub use import::{GivenKey, InvalidKey, PublicHalf};
pub use jws::{Algorithm, Jwk, TokenKey, UnusableKey};
pub use master::{MasterKey, Masters, Unsealable};
pub use rotation::{RotateError, Rotated, import, reseal, retire, revoke, rotate};
pub use rows::{KeyRow, active_since, last_used, rows};
pub use seal_keys::seal_jwks;

/// How long others may keep the published keys: so old a next key must be before it signs, and so
/// long a revoked one may be taken for good by who verifies on their own.
pub const PUBLISHED_FOR: Duration = Duration::from_secs(300);
/// What a retiring key is kept beyond the last token it is known to have signed: for a node that has
/// not heard of the rotation yet, and for a crash.
const MARGIN: Duration = Duration::from_secs(60);

/// Where a key stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "lowercase")]
#[repr(u8)]
pub enum State {
    /// Published, not yet used.
    Next,
    /// Signs.
    Active,
    /// Verifies what it signed, signs no more.
    Retiring,
    /// Gone.
    Retired,
}

impl State {
    const ALL: [Self; 4] = [Self::Next, Self::Active, Self::Retiring, Self::Retired];

    fn as_str(self) -> &'static str {
        match self {
            Self::Next => "next",
            Self::Active => "active",
            Self::Retiring => "retiring",
            Self::Retired => "retired",
        }
    }

    fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == text)
    }
}

/// A token key with what is known of it.
#[derive(Debug)]
pub struct RingKey {
    /// The key itself.
    pub key: TokenKey,
    state: AtomicU8,
    last_used: AtomicI64,
    signed_until: AtomicI64,
}

impl RingKey {
    fn new(key: TokenKey, state: State) -> Self {
        let state = AtomicU8::new(state as u8);
        Self { key, state, last_used: AtomicI64::new(0), signed_until: AtomicI64::new(0) }
    }

    /// Where it stands.
    #[must_use]
    pub fn state(&self) -> State {
        State::ALL[usize::from(self.state.load(Ordering::Acquire)).min(3)]
    }

    fn is(&self, other: &Self) -> bool {
        self.key.kid() == other.key.kid()
    }

    /// Notes that it has signed a token that expires then.
    pub fn note_signed(&self, at: Time, until: Time) {
        self.last_used.fetch_max(at.0, Ordering::Relaxed);
        self.signed_until.fetch_max(until.0, Ordering::Relaxed);
    }
}

/// The keys in memory.
pub struct KeyRing {
    tokens: ArcSwap<Vec<Arc<RingKey>>>,
    digest: DigestKey,
    masters: Masters,
    /// One reads the rows at a time: what an older look did not see yet is not gone.
    reading: tokio::sync::Mutex<()>,
}

/// The ring can't be opened.
#[derive(Debug, thiserror::Error)]
pub enum RingError {
    /// The database failed.
    #[error(transparent)]
    Database(#[from] db::Error),
    /// The master key is not the one that sealed the rows.
    #[error("MASTER_KEY does not open the key ring in this database: {0}")]
    Sealed(#[from] Unsealable),
    /// What was sealed is not a key.
    #[error("a key in the ring is not usable: {0}")]
    Unusable(#[from] UnusableKey),
}

impl From<RingError> for db::Error {
    fn from(error: RingError) -> Self {
        match error {
            RingError::Database(error) => error,
            other => Self::Query(other.to_string()),
        }
    }
}

impl KeyRing {
    /// Whether nothing was sealed in this database yet: a fresh master key would do.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn is_empty(db: &Db) -> Result<bool, RingError> {
        Ok(rows::is_empty(db).await?)
    }

    /// Opens the ring, making its first digest key. It may have no token key yet.
    ///
    /// # Errors
    /// When the database fails or the master key is another.
    pub async fn open(
        db: &Db,
        masters: Masters,
        clock: &Clock,
        entropy: &Entropy,
    ) -> Result<Self, RingError> {
        let digest = rows::digest_key(db, &masters, clock, entropy).await?;
        let reading = tokio::sync::Mutex::default();
        let ring = Self { tokens: ArcSwap::default(), digest, masters, reading };
        ring.reload(db).await?;
        Ok(ring)
    }

    /// Reads the token keys again: keys that are not known yet are added, states move forward.
    ///
    /// # Errors
    /// When the database fails or the master key is another.
    pub async fn reload(&self, db: &Db) -> Result<(), RingError> {
        let _turn = self.reading.lock().await;
        let stored = rows::token_keys(db, &self.masters).await?;
        self.tokens.rcu(|known| {
            let known_one = |kid: &str| known.iter().find(|one| one.key.kid() == kid);
            // What is remembered of a key looks at its state alone.
            for gone in known.iter().filter(|one| !stored.iter().any(|key| key.is(one))) {
                gone.state.fetch_max(State::Retired as u8, Ordering::AcqRel);
            }
            let mut keys: Vec<Arc<RingKey>> = Vec::with_capacity(stored.len());
            for one in &stored {
                let known = known_one(one.key.kid());
                if let Some(known) = known {
                    known.state.fetch_max(one.state() as u8, Ordering::AcqRel);
                }
                keys.push(Arc::clone(known.unwrap_or(one)));
            }
            keys
        });
        Ok(())
    }

    /// Makes a token key in `state` (next or active) if there is none; takes as long as making one
    /// takes.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn ensure(
        &self,
        db: &Db,
        algorithm: Algorithm,
        state: State,
        clock: &Clock,
        entropy: &Entropy,
    ) -> Result<(), RingError> {
        rows::ensure_token_key(db, &self.masters, algorithm, state, clock, entropy).await?;
        self.reload(db).await
    }

    /// Moves keys forward in memory, after the database has.
    pub fn advance(&self, moves: &[(String, State)]) {
        for ring in self.tokens.load().iter() {
            for (_, state) in moves.iter().filter(|(kid, _)| kid == ring.key.kid()) {
                ring.state.fetch_max(*state as u8, Ordering::AcqRel);
            }
        }
    }

    /// The key that signs tokens now.
    #[must_use]
    pub fn signing(&self) -> Option<Arc<RingKey>> {
        // Newest first: while one follows another, the later one counts.
        self.tokens.load().iter().find(|ring| ring.state() == State::Active).cloned()
    }

    /// The key of this id, if tokens it signed may still be good.
    #[must_use]
    pub fn verifying(&self, kid: &str) -> Option<Arc<RingKey>> {
        let live = |ring: &&Arc<RingKey>| ring.key.kid() == kid && ring.state() != State::Retired;
        self.tokens.load().iter().find(live).cloned()
    }

    /// Every token key that is not retired, newest first.
    #[must_use]
    pub fn token_keys(&self) -> Vec<Arc<RingKey>> {
        let live = |ring: &&Arc<RingKey>| ring.state() != State::Retired;
        self.tokens.load().iter().filter(live).cloned().collect()
    }

    /// Under what secrets are digested.
    #[must_use]
    pub fn digest(&self) -> &DigestKey {
        &self.digest
    }

    /// What seals and opens the ring.
    #[must_use]
    pub fn masters(&self) -> &Masters {
        &self.masters
    }

    /// What has been signed since this was last asked: key, when, and until when a token lives.
    pub fn take_uses(&self) -> Vec<(String, Time, Time)> {
        let uses = self.tokens.load();
        let uses = uses.iter().filter_map(|ring| {
            let at = ring.last_used.swap(0, Ordering::Relaxed);
            let until = ring.signed_until.load(Ordering::Relaxed);
            (at > 0).then(|| (ring.key.kid().to_owned(), Time(at), Time(until)))
        });
        uses.collect()
    }
}
