//! The record: what is not in it did not happen.
//!
//! An event is stored once, as its RFC 8785 text. Changes put their event into their own
//! transaction ([`crate::db::Tx::record`]); events without a change go through a group commit
//! ([`Record::append`]) and are durable before their answer is sent.

mod appended;
mod event;
mod expire;
mod export;
mod lookup;
mod mark;
pub mod merkle;
mod object;
mod seal;
mod sealed;
mod sealer;
mod seals;
mod search;
mod sink;
mod strangers;
pub mod verify;

use std::any::Any;
use std::marker::PhantomData;
use std::time::Duration;

use crate::clock::{Clock, Time};
use crate::db::{self, Db};
use crate::entropy::Entropy;
use crate::ids::EventId;
use crate::keyring::{KeyRing, RingError};
pub(crate) use mark::Mark;
use sealer::Sealer;

pub use appended::Appended;
pub use event::{Actor, Event, Meta, Origin, Outcome, default_tenant};
pub use expire::Expiry;
pub use export::Format;
pub use merkle::Hash;
pub use seal::{Seal, SealJwk};
pub use sealed::{Batch, Place};
pub use seals::{Proof, Proven};
pub use search::{Cursor, Filter, Found};
pub use sink::SealFile;
use strangers::{Deed, Strangers, Verdict};

/// What tells that events of a tenant have expired, and which.
pub const EXPIRED: &str = "audit.expired";

/// Writes events that go with no change, and reads all of them.
///
/// It deliberately isn't `RefUnwindSafe`, so it can't be taken into [`Db::write`]: an append there
/// would wait for the very transaction that it holds up.
///
/// ```compile_fail
/// # use countersign_ground::{db::{self, Db}, record::{Event, Record}};
/// # async fn f(db: Db, record: std::sync::Arc<Record>, event: Event) {
/// db.write::<_, _, db::Error, _>((record, event), |_, (record, event)| {
///     Box::pin(async move { record.append(event.clone()).await })
/// })
/// .await;
/// # }
/// ```
pub struct Record {
    db: Db,
    clock: Clock,
    entropy: Entropy,
    strangers: Strangers,
    /// One seals at a time, so that whoever asks finds all that was there sealed afterwards.
    sealing: tokio::sync::Mutex<()>,
    outside_of_writes: PhantomData<Box<dyn Any + Send + Sync>>,
}

impl Record {
    /// The record in `db`.
    #[must_use]
    pub fn new(db: Db, clock: Clock, entropy: Entropy) -> Self {
        Self {
            db,
            clock,
            entropy,
            strangers: Strangers::default(),
            sealing: tokio::sync::Mutex::default(),
            outside_of_writes: PhantomData,
        }
    }

    /// Appends one event and waits until it is durable. It is written before this returns, so that
    /// whoever waits holds nothing of it.
    ///
    /// # Errors
    /// When it can't be recorded: what it is about must then be refused.
    pub fn append(&self, event: Event) -> Appended {
        match self.db.append(event.leaf()) {
            Ok(settled) => Appended::Written(settled),
            Err(error) => Appended::Known(Err(error)),
        }
    }

    /// Appends an event that anybody can cause without proving who they are: singly up to ten per
    /// action, outcome, reason, network and minute, then as a count.
    ///
    /// # Errors
    /// As [`Record::append`].
    pub fn append_stranger(&self, reason: &'static str, event: Event) -> Appended {
        let ip = event.origin.ip;
        let deed = Deed { action: event.action, outcome: event.outcome, reason };
        match self.strangers.meet(deed, ip, event.time) {
            Verdict::Single => self.append(event),
            Verdict::Counted => Appended::nothing(),
        }
    }

    /// Records the counts of the minutes that are over at `now`; all of them with [`Time::MAX`].
    ///
    /// # Errors
    /// As [`Record::append`]; the counts of the crowd that could not be recorded are lost, the
    /// refusals they count were given.
    pub async fn append_crowds(&self, now: Time) -> db::Result<()> {
        for crowd in self.strangers.over(now) {
            let at = self.clock.now();
            let mut event = Event::new(EventId::new(at, &self.entropy), at, crowd.deed.action);
            event.outcome = crowd.deed.outcome;
            event.actor = Actor::anonymous();
            event.meta("count", crowd.count);
            event.meta("minute", crowd.minute.to_string());
            event.meta("network", crowd.network);
            event.meta("reason", crowd.deed.reason);
            self.append(event).await?;
        }
        Ok(())
    }

    /// One page of events, newest first.
    ///
    /// # Errors
    /// When the database can't be read.
    pub async fn search(&self, filter: &Filter) -> db::Result<Found> {
        search::search(&self.db, filter).await
    }

    /// The RFC 8785 text of one event of `tenant`.
    ///
    /// # Errors
    /// When the database can't be read.
    pub async fn find(&self, tenant: &str, id: EventId) -> db::Result<Option<String>> {
        Ok(search::locate(&self.db, tenant, id).await?.map(|(_, body)| body))
    }

    /// Seals every event that waits for it, unless another node does; gives the new seals.
    ///
    /// # Errors
    /// When the database fails, or the key that seals can't be opened.
    pub async fn seal(&self, keys: &KeyRing) -> Result<Vec<Seal>, RingError> {
        let _turn = self.sealing.lock().await;
        let (db, clock, entropy) = (&self.db, &self.clock, &self.entropy);
        Sealer { db, keys, clock, entropy }.seal().await
    }

    /// For how long the oldest event has been waiting for its seal.
    ///
    /// # Errors
    /// When the database can't be read.
    pub async fn seal_lag(&self) -> db::Result<Duration> {
        let oldest = sealer::oldest_unsealed(&self.db).await?;
        Ok(oldest.map_or(Duration::ZERO, |oldest| self.clock.now().since(oldest)))
    }

    /// Seals after this number, oldest first.
    ///
    /// # Errors
    /// When the database can't be read.
    pub async fn seals_after(&self, seal: i64, limit: i64) -> db::Result<Vec<Seal>> {
        seals::after(&self.db, seal, limit).await
    }

    /// The next seal that the sink has not been told of, if it is this node's turn to tell it.
    ///
    /// # Errors
    /// When the database can't be read.
    pub async fn next_untold(&self) -> db::Result<Option<Seal>> {
        seals::next_untold(&self.db).await
    }

    /// Notes that the sink has taken this seal.
    ///
    /// # Errors
    /// When the database fails: then it is told once more.
    pub async fn note_told(&self, seal: i64) -> db::Result<()> {
        seals::note_told(&self.db, seal).await
    }

    /// The number of the newest seal; 0 when there is none.
    ///
    /// # Errors
    /// When the database can't be read.
    pub async fn newest_seal(&self) -> db::Result<i64> {
        seals::newest(&self.db).await
    }

    /// Seals after `after` up to `until`, about as many as have ten thousand events, with those of
    /// their events that match; no seals when none is left.
    ///
    /// # Errors
    /// When the database can't be read.
    pub async fn sealed(&self, filter: &Filter, after: i64, until: i64) -> db::Result<Batch> {
        sealed::batch(&self.db, filter, after, until).await
    }

    /// The proof that an event of `tenant` is in the record.
    ///
    /// # Errors
    /// When the database can't be read.
    pub async fn prove(&self, tenant: &str, id: EventId) -> db::Result<Proven> {
        seals::prove(&self.db, tenant, id).await
    }
}
