//! What guards have denied or would have, gathered until it is written down. Bounded: what strangers can make up
//! without end falls together.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet};
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

use countersign_ground::clock::Time;

/// Denials that are the same to whoever must explain them.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Group {
    /// The guard.
    pub guard: Arc<str>,
    /// Since the epoch.
    pub minute: i64,
    /// `kind:id`, or `anonymous@address`.
    pub caller: String,
    /// What was asked for: a method and a route's path, or a permission of our own.
    pub route: String,
    /// Why it was denied.
    pub reason: String,
}

/// What is known of a group.
#[derive(Debug, Clone, Default)]
pub struct Tally {
    /// How many passed all the same.
    pub would_deny: i64,
    /// How many did not.
    pub denied: i64,
    /// What was needed, if that is a permission.
    pub permission: String,
    /// Whether the caller held that, and its token did not.
    pub held: bool,
    /// When the first came.
    pub first: Time,
    /// When the last came.
    pub last: Time,
}

/// One denial.
pub struct Denied<'d> {
    /// Whether it passed all the same.
    pub passed: bool,
    /// What was needed, if that is a permission.
    pub permission: &'d str,
    /// Whether the caller held that, and its token did not.
    pub held: bool,
}

/// What was noted since it was last taken.
#[derive(Debug, Default)]
pub struct Noted {
    /// Denials.
    pub groups: HashMap<Group, Tally>,
    /// Guards, and the addresses from which somebody proved to them who they are.
    pub sources: HashSet<(Arc<str>, IpAddr)>,
}

/// What has not been written yet.
#[derive(Debug, Default)]
pub struct Traffic(Mutex<Noted>);

/// The most groups between two writes, and of them of callers who proved nothing.
const MOST: usize = 2_000;
const MOST_STRANGERS: usize = 200;

/// In place of a caller, when there are too many.
const OTHERS: &str = "others";

impl Traffic {
    /// Notes a denial.
    pub fn deny(&self, mut group: Group, denied: &Denied<'_>, at: Time) {
        let mut noted = self.noted();
        let stranger = group.caller.starts_with("anonymous@");
        let most = if stranger { MOST_STRANGERS } else { MOST };
        if noted.groups.len() >= most && !noted.groups.contains_key(&group) {
            group.caller = if stranger { "anonymous@others" } else { OTHERS }.into();
        }
        let tally =
            noted.groups.entry(group).or_insert_with(|| Tally { first: at, ..Tally::default() });
        *(if denied.passed { &mut tally.would_deny } else { &mut tally.denied }) += 1;
        tally.permission = denied.permission.into();
        (tally.held, tally.last) = (denied.held, at);
    }

    /// Notes that somebody at this address has proved to a guard who they are.
    pub fn proven(&self, guard: Arc<str>, from: IpAddr) {
        self.noted().sources.insert((guard, from));
    }

    /// Takes what was noted.
    #[must_use]
    pub fn take(&self) -> Noted {
        std::mem::take(&mut *self.noted())
    }

    /// Takes back what could not be written down.
    pub fn put_back(&self, before: Noted) {
        let mut noted = self.noted();
        noted.sources.extend(before.sources);
        for (group, tally) in before.groups {
            match noted.groups.entry(group) {
                Entry::Vacant(free) => drop(free.insert(tally)),
                Entry::Occupied(mut known) => {
                    let known = known.get_mut();
                    known.would_deny += tally.would_deny;
                    known.denied += tally.denied;
                    known.first = tally.first;
                }
            }
        }
    }

    fn noted(&self) -> std::sync::MutexGuard<'_, Noted> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
