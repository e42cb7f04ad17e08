//! How far this node's memory follows what other nodes change.
//!
//! Changes are asked for all the time. Memory is as good as the database's own answer for as long as the
//! last look at them began less than a second ago; later, whoever would decide from it waits for a look
//! that begins now. While the database does not answer, memory serves for a bounded time.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use countersign_ground::clock::Stopwatch;
use countersign_ground::db;
use countersign_ground::problem::Problem;
use tokio::sync::{Notify, watch};

/// How long memory is good after a look at what has changed.
const FRESH: Duration = Duration::from_millis(1_000);
/// How long whoever decides waits for a look.
const PATIENCE: Duration = Duration::from_millis(1_000);

/// How long while the last look has failed.
const IMPATIENCE: Duration = Duration::from_millis(100);

fn lost() -> Problem {
    db::Error::Unavailable("what is remembered may be out of date".into()).into()
}

/// Where the looks at what has changed stand.
pub struct Following {
    /// No other node changes anything.
    alone: bool,
    /// How long memory serves while the database does not answer.
    grace: Duration,
    watch: Stopwatch,
    /// When the newest look that came to its end began, in microseconds by `watch`.
    seen: AtomicU64,
    /// The last look failed.
    lost: AtomicBool,
    /// How many looks were begun, and how many have ended.
    begun: AtomicU64,
    ended: watch::Sender<u64>,
    wanted: Notify,
}

/// A look that was begun.
#[derive(Debug)]
pub struct Look {
    number: u64,
    at: u64,
}

impl Following {
    /// Memory that is good now. `alone` says that nobody else changes the database.
    #[must_use]
    pub fn new(alone: bool, grace: Duration) -> Self {
        Self {
            alone,
            grace,
            watch: Stopwatch::start(),
            seen: AtomicU64::new(0),
            lost: AtomicBool::new(false),
            begun: AtomicU64::new(0),
            ended: watch::Sender::new(0),
            wanted: Notify::new(),
        }
    }

    /// Whether somebody else may change the database.
    #[must_use]
    pub fn is_shared(&self) -> bool {
        !self.alone
    }

    /// How old memory may be: the time since the newest look began.
    #[must_use]
    pub fn age(&self) -> Duration {
        let seen = Duration::from_micros(self.seen.load(Ordering::Acquire));
        self.watch.elapsed().saturating_sub(seen)
    }

    /// Whether memory is as good as the database's own answer.
    #[must_use]
    pub fn is_fresh(&self) -> bool {
        self.alone || self.age() < FRESH
    }

    /// Returns once memory may be decided from: as it is now, or, while the database does not answer, as
    /// it was not too long ago.
    ///
    /// # Errors
    /// When the database has not answered for longer than memory may serve.
    pub async fn current(&self) -> Result<(), Problem> {
        if self.is_fresh() || self.catch_up().await || self.age() <= self.grace {
            return Ok(());
        }
        Err(lost())
    }

    /// Returns once memory is as good as the database's own answer: for what is granted, and what is
    /// said of a grant.
    ///
    /// # Errors
    /// While the database does not answer.
    pub async fn fresh(&self) -> Result<(), Problem> {
        if self.is_fresh() || self.catch_up().await { Ok(()) } else { Err(lost()) }
    }

    /// As [`Following::fresh`], for what has been recorded already: a process that stood still in between
    /// must not answer from what it knew before.
    ///
    /// # Errors
    /// While the database does not answer.
    pub async fn still_fresh(&self) -> Result<(), Problem> {
        let unknown = || db::Error::OutcomeUnknown("memory went out of date meanwhile".into());
        self.fresh().await.map_err(|_| unknown().into())
    }

    /// Whether what memory does not know is known nowhere: asks what other nodes have changed. True when
    /// something may have come to it, and it is worth to look again.
    ///
    /// # Errors
    /// When nobody can say: then it must not be called wrong.
    pub async fn may_know_more(&self) -> Result<bool, Problem> {
        match self.alone {
            true => Ok(false),
            false if self.catch_up().await => Ok(true),
            false => Err(lost()),
        }
    }

    /// Looks again, and waits for it: true once memory holds all that was committed before the call. One
    /// look serves all who wait.
    pub async fn catch_up(&self) -> bool {
        if self.alone {
            return false;
        }
        // A look that was begun before may have missed it.
        let wanted = self.begun.load(Ordering::Acquire) + 1;
        let mut ended = self.ended.subscribe();
        self.wanted.notify_one();
        // Where it is known to be lost, nobody need wait for long to learn it again.
        let patience = if self.lost.load(Ordering::Acquire) { IMPATIENCE } else { PATIENCE };
        // Rare, and large: whoever asks is not made larger by it.
        let look = ended.wait_for(|ended| *ended >= wanted);
        let waited = Box::pin(tokio::time::timeout(patience, look)).await;
        matches!(waited, Ok(Ok(_))) && !self.lost.load(Ordering::Acquire)
    }

    /// Waits until it is time for the next look: after `pause`, or when somebody wants one.
    pub async fn due(&self, pause: Duration) {
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = self.wanted.notified() => {}
        }
    }

    /// Wants a look soon, without waiting for it.
    pub fn nudge(&self) {
        self.wanted.notify_one();
    }

    /// Begins a look.
    #[must_use]
    pub fn begin(&self) -> Look {
        let number = self.begun.fetch_add(1, Ordering::AcqRel) + 1;
        let at = u64::try_from(self.watch.elapsed().as_micros()).unwrap_or(u64::MAX);
        Look { number, at }
    }

    /// Ends a look: memory holds all that was committed before it began, unless it failed.
    pub fn end(&self, look: &Look, succeeded: bool) {
        if succeeded {
            self.seen.fetch_max(look.at, Ordering::AcqRel);
        }
        self.lost.store(!succeeded, Ordering::Release);
        self.ended.send_replace(look.number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn who_catches_up_waits_for_a_look_that_begins_afterwards() {
        let following = std::sync::Arc::new(Following::new(false, Duration::ZERO));
        let early = following.begin();
        let asked = tokio::spawn({
            let following = std::sync::Arc::clone(&following);
            async move { following.catch_up().await }
        });
        following.due(Duration::from_secs(60)).await;
        following.end(&early, true);
        tokio::task::yield_now().await;
        assert!(!asked.is_finished());
        let late = following.begin();
        following.end(&late, true);
        assert!(asked.await.unwrap());
    }

    #[tokio::test]
    async fn memory_that_is_alone_is_always_current() {
        let following = Following::new(true, Duration::ZERO);
        assert!(following.current().await.is_ok() && !following.catch_up().await);
    }
}
