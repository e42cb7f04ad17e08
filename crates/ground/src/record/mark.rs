//! What sealing needs of an event. It is made when the event is written, while its text is at hand, and is a tenth of
//! that text.

use super::lookup;
use super::merkle::{self, Hash};
use crate::clock::Time;
use crate::db::Leaf;

/// An event as its seal will hold it.
#[derive(Debug, Clone)]
pub(crate) struct Mark {
    /// When it happened.
    pub(crate) time: Time,
    /// The hash of its text.
    pub(crate) hash: Hash,
    /// What it is looked up by.
    pub(crate) keys: Vec<i64>,
}

impl Mark {
    /// Of an event of `tenant`.
    pub(crate) fn of(time: Time, tenant: &str, body: &str) -> Self {
        Self { time, hash: merkle::leaf(body.as_bytes()), keys: lookup::keys(tenant, body) }
    }

    /// Of an event that is about to be written.
    pub(crate) fn on(leaf: &Leaf) -> Self {
        Self::of(leaf.time, &leaf.tenant, &leaf.body)
    }

    /// Bytes that it takes.
    pub(crate) fn size(&self) -> usize {
        size_of::<Self>() + size_of_val(&*self.keys)
    }
}
