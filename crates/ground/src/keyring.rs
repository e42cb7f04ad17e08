//! The key ring: every versioned secret, sealed with the master key.
//!
//! A key is next (published, not yet used), active, retiring (still verifies) or retired. What
//! seals a row names its purpose, tenant, owner and version, so rows can't be swapped unseen.

mod jws;
mod master;
mod rows;

use std::sync::Arc;

use arc_swap::ArcSwap;

use crate::clock::{Clock, Time};
use crate::db::{self, Db};
use crate::entropy::Entropy;
use crate::secret::DigestKey;

pub use jws::{Algorithm, Jwk, TokenKey, UnusableKey};
pub use master::{MasterKey, Unsealable};

/// Where a key stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
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
    fn as_str(self) -> &'static str {
        match self {
            Self::Next => "next",
            Self::Active => "active",
            Self::Retiring => "retiring",
            Self::Retired => "retired",
        }
    }

    fn parse(text: &str) -> Option<Self> {
        [Self::Next, Self::Active, Self::Retiring, Self::Retired]
            .into_iter()
            .find(|state| state.as_str() == text)
    }
}

/// A token key with what is known of it.
#[derive(Debug)]
pub struct RingKey {
    /// The key itself.
    pub key: TokenKey,
    /// Where it stands.
    pub state: State,
    /// When it was made.
    pub created_at: Time,
}

/// The keys in memory.
pub struct KeyRing {
    tokens: ArcSwap<Vec<Arc<RingKey>>>,
    digest: DigestKey,
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

impl KeyRing {
    /// Whether nothing was sealed in this database yet: a fresh master key would do.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn is_empty(db: &Db) -> Result<bool, RingError> {
        Ok(rows::is_empty(db).await?)
    }

    /// Opens the ring, making its first digest key and its first active token key of `algorithm`.
    ///
    /// # Errors
    /// When the database fails or the master key is another.
    pub async fn open(
        db: &Db,
        master: &MasterKey,
        algorithm: Algorithm,
        clock: &Clock,
        entropy: &Entropy,
    ) -> Result<Self, RingError> {
        let digest = rows::digest_key(db, master, clock, entropy).await?;
        rows::ensure_token_key(db, master, algorithm, State::Active, clock, entropy).await?;
        let tokens = rows::token_keys(db, master).await?;
        Ok(Self { tokens: ArcSwap::from_pointee(tokens), digest })
    }

    /// Makes the next token key if there is none; takes as long as making a key takes.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn ensure_next(
        &self,
        db: &Db,
        master: &MasterKey,
        algorithm: Algorithm,
        clock: &Clock,
        entropy: &Entropy,
    ) -> Result<(), RingError> {
        rows::ensure_token_key(db, master, algorithm, State::Next, clock, entropy).await?;
        self.tokens.store(Arc::new(rows::token_keys(db, master).await?));
        Ok(())
    }

    /// The key that signs tokens now.
    #[must_use]
    pub fn signing(&self) -> Option<Arc<RingKey>> {
        self.tokens.load().iter().find(|key| key.state == State::Active).cloned()
    }

    /// The key of this id, if tokens it signed may still be good.
    #[must_use]
    pub fn verifying(&self, kid: &str) -> Option<Arc<RingKey>> {
        let live = |key: &&Arc<RingKey>| key.key.kid() == kid && key.state != State::Retired;
        self.tokens.load().iter().find(live).cloned()
    }

    /// Every token key, newest first.
    #[must_use]
    pub fn token_keys(&self) -> Arc<Vec<Arc<RingKey>>> {
        self.tokens.load_full()
    }

    /// Under what secrets are digested.
    #[must_use]
    pub fn digest(&self) -> &DigestKey {
        &self.digest
    }
}
