//! The record: what is not in it did not happen.
//!
//! An event is stored once, as its RFC 8785 text. Changes put their event into their own
//! transaction ([`crate::db::Tx::record`]); events without a change go through a group commit
//! ([`Record::append`]) and are durable before their answer is sent.

mod event;
mod object;
mod search;
mod strangers;

use std::any::Any;
use std::marker::PhantomData;

use crate::clock::{Clock, Time};
use crate::db::{self, Db};
use crate::entropy::Entropy;
use crate::ids::EventId;

pub use event::{Actor, Event, Meta, Origin, Outcome, default_tenant};
pub use search::{Cursor, Filter, Found};
use strangers::{Strangers, Verdict};

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
    outside_of_writes: PhantomData<Box<dyn Any + Send + Sync>>,
}

impl Record {
    /// The record in `db`.
    #[must_use]
    pub fn new(db: Db, clock: Clock, entropy: Entropy) -> Self {
        Self { db, clock, entropy, strangers: Strangers::default(), outside_of_writes: PhantomData }
    }

    /// Appends one event and waits until it is durable. It is written before this returns, so that
    /// whoever waits holds nothing of it.
    ///
    /// # Errors
    /// When it can't be recorded: what it is about must then be refused.
    pub fn append(&self, event: Event) -> impl Future<Output = db::Result<()>> + Send + use<> {
        let settled = self.db.append(event.leaf());
        async move { settled?.await }
    }

    /// Appends an event that anybody can cause without proving who they are: singly up to ten per
    /// reason, network and minute, then as a count.
    ///
    /// # Errors
    /// As [`Record::append`].
    pub async fn append_stranger(&self, reason: &'static str, event: Event) -> db::Result<()> {
        let ip = event.origin.ip;
        match self.strangers.meet(reason, ip, event.time) {
            Verdict::Single => self.append(event).await,
            Verdict::Counted => Ok(()),
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
            let mut event = Event::new(EventId::new(at, &self.entropy), at, "auth.failed");
            event.outcome = Outcome::Denied;
            event.actor = Actor::anonymous();
            event.meta("count", crowd.count);
            event.meta("minute", crowd.minute.to_string());
            event.meta("network", crowd.network);
            event.meta("reason", crowd.reason);
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

    /// Forgets role decisions from before `before`, of the tenant of `tell`, in pieces, so that nothing
    /// else waits long behind them; gives how many. `tell` makes an event for each piece, which commits
    /// with it.
    ///
    /// # Errors
    /// When the database fails; those of the pieces before are gone, as the record says.
    pub async fn forget_decisions(
        &self,
        tell: impl Fn() -> Event,
        before: Time,
    ) -> db::Result<i64> {
        let (mut forgotten, mut from) = (0, Some(Cursor::OLDEST));
        while let Some(cursor) = from {
            let span = (cursor, before);
            let (count, next) = search::forget(&self.db, tell(), "decision.made", span).await?;
            forgotten += count;
            from = next;
        }
        Ok(forgotten)
    }

    /// The RFC 8785 text of one event of `tenant`.
    ///
    /// # Errors
    /// When the database can't be read.
    pub async fn find(&self, tenant: &str, id: EventId) -> db::Result<Option<String>> {
        search::find(&self.db, tenant, id).await
    }
}
