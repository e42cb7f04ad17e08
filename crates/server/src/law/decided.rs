//! What was decided for one token about all of a resource: the same question under the same policy has the same
//! answer, so it is asked once.

use std::sync::{Arc, PoisonError, RwLock};

use countersign_policy::Digest;
use prometheus_client::metrics::counter::Counter;

/// What a token was allowed, under the policy of this number.
#[derive(Debug, Default)]
pub(super) struct Decided(RwLock<(u64, Vec<Allowed>)>);

#[derive(Debug)]
struct Allowed {
    resource: Box<str>,
    action: Box<str>,
    before: Before,
}

/// A decision that was made before.
#[derive(Debug, Clone)]
pub(super) struct Before {
    /// Its id.
    pub(super) id: Arc<str>,
    /// Its digest.
    pub(super) digest: Digest,
    /// Where those like it are counted.
    pub(super) count: Counter,
}

/// The most that is remembered of one token.
const MOST: usize = 64;

impl Decided {
    /// The decision that allowed it.
    pub(super) fn allowed(&self, policy: u64, resource: &str, action: &str) -> Option<Before> {
        let known = self.0.read().unwrap_or_else(PoisonError::into_inner);
        if known.0 != policy {
            return None;
        }
        let mut all = known.1.iter();
        let found = all.find(|one| *one.resource == *resource && *one.action == *action)?;
        Some(found.before.clone())
    }

    /// Remembers what was allowed, and by which decision.
    pub(super) fn remember(&self, policy: u64, (resource, action): (&str, &str), before: Before) {
        let mut known = self.0.write().unwrap_or_else(PoisonError::into_inner);
        if known.0 != policy {
            *known = (policy, Vec::new());
        }
        let same = |one: &Allowed| *one.resource == *resource && *one.action == *action;
        if known.1.len() < MOST && !known.1.iter().any(same) {
            let (resource, action) = (resource.into(), action.into());
            known.1.push(Allowed { resource, action, before });
        }
    }
}
