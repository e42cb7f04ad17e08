//! Group commit: events that wait together, and the one answer that they share.

use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::task::{Context, Poll, Waker};

use super::{Error, Leaf, Result};

/// How many events may wait for the disk before more are refused.
const MAX_WAITING: usize = 32_768;

/// The events gathered for the next commit.
#[derive(Default)]
pub(super) struct Gathering {
    leaves: Vec<Leaf>,
    batch: Arc<Batch>,
}

impl Gathering {
    /// Adds an event; its fate is the returned batch's.
    pub(super) fn add(&mut self, leaf: Leaf) -> Result<Arc<Batch>> {
        if self.leaves.len() >= MAX_WAITING {
            return Err(Error::Busy);
        }
        self.leaves.push(leaf);
        Ok(Arc::clone(&self.batch))
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

/// Events that commit together.
#[derive(Default)]
pub(super) struct Batch {
    outcome: OnceLock<Result<()>>,
    waiting: Mutex<Vec<Waker>>,
}

impl Batch {
    /// Says what became of it; [`Batch::wake`] must follow.
    pub(super) fn settle(&self, outcome: Result<()>) {
        // A second settling would be a bug of the writer; the first answer stands.
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
pub(super) struct Settled {
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
