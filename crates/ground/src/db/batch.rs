//! Group commit: events that wait together, and the one answer that they share.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use super::{Error, Leaf, Result};
use crate::clock::Stopwatch;

/// How many events may wait for the disk before more are refused.
const MAX_WAITING: usize = 32_768;

/// How often is looked for batches that are late.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// The events gathered for the next commit.
#[derive(Default)]
pub(super) struct Gathering {
    leaves: Vec<Leaf>,
    batch: Arc<Batch>,
    // Begun and not known to be settled, oldest first.
    open: VecDeque<(Stopwatch, Arc<Batch>)>,
}

impl Gathering {
    /// Adds an event; its fate is the returned batch's.
    pub(super) fn add(&mut self, leaf: Leaf) -> Result<Arc<Batch>> {
        if self.leaves.len() >= MAX_WAITING {
            return Err(Error::Busy);
        }
        let given_up = self.batch.outcome.get().is_some();
        if given_up {
            // Those who waited too long have left; what they brought will be recorded all the same.
            self.batch = Arc::default();
        }
        if given_up || self.leaves.is_empty() {
            self.open.push_back((Stopwatch::start(), Arc::clone(&self.batch)));
        }
        self.leaves.push(leaf);
        Ok(Arc::clone(&self.batch))
    }

    /// Batches that were begun longer than `timeout` ago and are not settled.
    fn late(&mut self, timeout: Duration) -> Vec<Arc<Batch>> {
        let mut late = Vec::new();
        while let Some((begun, batch)) = self.open.front() {
            let settled = batch.outcome.get().is_some();
            if !settled && begun.elapsed() < timeout {
                break;
            }
            if let Some((_, batch)) = self.open.pop_front()
                && !settled
            {
                late.push(batch);
            }
        }
        late
    }

    pub(super) fn len(&self) -> usize {
        self.leaves.len()
    }

    /// Takes what has gathered; what comes later belongs to the next batch.
    pub(super) fn take(&mut self) -> (Vec<Leaf>, Arc<Batch>) {
        let room = Vec::with_capacity(self.leaves.len());
        (std::mem::replace(&mut self.leaves, room), std::mem::take(&mut self.batch))
    }
}

/// Answers those who wait longer than `timeout`, for as long as `gathering` gives a queue to look
/// at. One timer for all: a timer for each waiting request costs as much as its event.
pub(super) async fn answer_late(
    timeout: Duration,
    gathering: impl Fn(&mut dyn FnMut(&mut Gathering)) -> bool,
) {
    loop {
        tokio::time::sleep(LOOK_EVERY).await;
        let mut late = Vec::new();
        if !gathering(&mut |gathering| late = gathering.late(timeout)) {
            return;
        }
        for batch in late {
            batch.settle(Err(Error::OutcomeUnknown("the record did not answer in time".into())));
            batch.wake();
        }
    }
}

/// Events that commit together.
#[derive(Default)]
pub(super) struct Batch {
    outcome: OnceLock<Result<()>>,
    waiting: Mutex<Vec<Waker>>,
}

impl Batch {
    /// Says what became of it; [`Batch::wake`] must follow.
    pub(super) fn settle(&self, outcome: Result<()>) {
        // The first answer stands: whoever was told that it took too long has left.
        let _ = self.outcome.set(outcome);
    }

    /// Wakes everybody who waits. On the runtime this is cheap; from another thread each wake
    /// costs a system call, so threads hand the batch to a task instead.
    pub(super) fn wake(&self) {
        for waker in std::mem::take(&mut *self.waiting()) {
            waker.wake();
        }
    }

    pub(super) fn settled(self: Arc<Self>) -> Settled {
        Settled { batch: self, slot: None }
    }

    fn waiting(&self) -> MutexGuard<'_, Vec<Waker>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Resolves when the batch has committed or failed.
pub struct Settled {
    batch: Arc<Batch>,
    slot: Option<usize>,
}

impl Future for Settled {
    type Output = Result<()>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        if let Some(outcome) = self.batch.outcome.get() {
            return Poll::Ready(outcome.clone());
        }
        let batch = Arc::clone(&self.batch);
        let mut waiting = batch.waiting();
        // Settled between the look above and the lock: the wakers may be gone already.
        if let Some(outcome) = batch.outcome.get() {
            return Poll::Ready(outcome.clone());
        }
        match self.slot.and_then(|slot| waiting.get_mut(slot)) {
            Some(waker) => waker.clone_from(cx.waker()),
            None => {
                self.slot = Some(waiting.len());
                waiting.push(cx.waker().clone());
            }
        }
        Poll::Pending
    }
}
