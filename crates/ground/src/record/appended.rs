//! The fate of what was appended.

use std::pin::Pin;
use std::task::{Context, Poll};

use crate::db::{Result, Settled};

/// Resolves when what was appended is durable, or is known to have failed.
#[must_use = "what it is about may only be told once it is durable"]
pub enum Appended {
    /// It waits for its commit.
    Written(Settled),
    /// Nothing has to be waited for.
    Known(Result<()>),
}

impl Appended {
    /// Of what needs no event of its own.
    pub fn nothing() -> Self {
        Self::Known(Ok(()))
    }
}

impl Future for Appended {
    type Output = Result<()>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match &mut *self {
            Self::Written(settled) => Pin::new(settled).poll(cx),
            Self::Known(outcome) => Poll::Ready(outcome.clone()),
        }
    }
}
