//! A write that waits for the writer thread, and the ways it can end.

use std::any::Any;
use std::panic::{AssertUnwindSafe, RefUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::task::{Context, Poll, Waker};

use tokio::sync::oneshot;

use super::super::{Error, Result, Tx, Work};

/// A write as the writer thread sees it.
pub(super) trait Job: Send {
    /// Claims the job; false when its caller gave up before it began.
    fn begin(&mut self) -> bool;
    /// Runs it to its end; false when it must be rolled back.
    fn run(&mut self, tx: &mut Tx) -> bool;
    /// Answers the caller: with the job's own result when `commit` is `Ok`.
    fn answer(self: Box<Self>, commit: Result<()>);
}

/// Where a job stands, shared with its caller.
#[derive(Default)]
pub(super) struct Stage(AtomicU8);

const QUEUED: u8 = 0;
const BEGUN: u8 = 1;
const ABANDONED: u8 = 2;

impl Stage {
    /// Gives the job up; false when it has begun and its outcome is open.
    pub(super) fn abandon(&self) -> bool {
        self.move_to(ABANDONED)
    }

    fn begin(&self) -> bool {
        self.move_to(BEGUN)
    }

    fn move_to(&self, stage: u8) -> bool {
        self.0.compare_exchange(QUEUED, stage, Ordering::AcqRel, Ordering::Acquire).is_ok()
    }
}

pub(super) struct Pending<I, T, E, F> {
    input: I,
    work: F,
    result: Option<Result<T, E>>,
    answer: oneshot::Sender<Result<T, E>>,
    stage: Arc<Stage>,
}

impl<I, T, E, F> Pending<I, T, E, F> {
    pub(super) fn new(
        input: I,
        work: F,
        answer: oneshot::Sender<Result<T, E>>,
        stage: Arc<Stage>,
    ) -> Self {
        Self { input, work, result: None, answer, stage }
    }
}

impl<I, T, E, F> Job for Pending<I, T, E, F>
where
    I: Send + Sync + RefUnwindSafe,
    T: Send,
    E: From<Error> + Send,
    F: for<'t> Fn(&'t mut Tx, &'t I) -> Work<'t, T, E> + Send + RefUnwindSafe,
{
    fn begin(&mut self) -> bool {
        !self.answer.is_closed() && self.stage.begin()
    }

    fn run(&mut self, tx: &mut Tx) -> bool {
        let (input, work) = (&self.input, &self.work);
        // The transaction is rolled back to the job's savepoint, so nothing half-done is seen.
        let polled = catch_unwind(AssertUnwindSafe(|| {
            work(tx, input).as_mut().poll(&mut Context::from_waker(Waker::noop()))
        }));
        let result = match polled {
            Ok(Poll::Ready(result)) => result,
            Ok(Poll::Pending) => Err(Error::Waited.into()),
            Err(panic) => Err(Error::Panicked(panic_text(&*panic)).into()),
        };
        let result = match (result, tx.failed.take()) {
            (Ok(_), Some(lost)) => Err(lost.into()),
            (result, _) => result,
        };
        let keep = result.is_ok();
        self.result = Some(result);
        keep
    }

    fn answer(self: Box<Self>, commit: Result<()>) {
        let result = match (commit, self.result) {
            (_, Some(Err(own))) => Err(own),
            (Ok(()), Some(Ok(value))) => Ok(value),
            (Ok(()), None) => Err(Error::Busy.into()),
            (Err(failure), _) => Err(failure.into()),
        };
        // The caller may be gone; what was committed stays.
        let _ = self.answer.send(result);
    }
}

/// What a panic said.
pub(in super::super) fn panic_text(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_default()
}
