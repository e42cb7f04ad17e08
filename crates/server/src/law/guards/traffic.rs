//! What guards have denied or would have, gathered until it is written down. Bounded: what strangers can make up
//! without end falls together.

use std::collections::hash_map::{Entry, RandomState};
use std::collections::{HashMap, HashSet};
use std::hash::BuildHasher;
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
    /// What denied it: a decision's policy package.
    pub package: String,
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
pub struct Traffic(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    noted: Noted,
    /// The groups of this minute, written or not, and how many of them are strangers'.
    minute: i64,
    known: HashSet<u64>,
    strangers: usize,
    hasher: RandomState,
}

/// The most groups a minute, and of them of callers who proved nothing.
const MOST: usize = 2_000;
const MOST_STRANGERS: usize = 200;

/// In place of what strangers can make up, and others, when there is too much of it.
const OTHERS: &str = "others";

impl State {
    /// The group itself, or one for all that are too many.
    fn bounded(&mut self, mut group: Group) -> Group {
        if self.minute != group.minute {
            (self.minute, self.strangers) = (group.minute, 0);
            self.known.clear();
        }
        let hash = self.hasher.hash_one(&group);
        if self.known.contains(&hash) {
            return group;
        }
        let stranger = group.caller.starts_with("anonymous@");
        let full = self.known.len() >= MOST || (stranger && self.strangers >= MOST_STRANGERS);
        if !full {
            self.known.insert(hash);
            self.strangers += usize::from(stranger);
            return group;
        }
        group.caller = if stranger { "anonymous@others" } else { OTHERS }.into();
        (group.route, group.reason) = (OTHERS.into(), OTHERS.into());
        group.package.clear();
        group
    }
}

impl Traffic {
    /// Notes a denial.
    pub fn deny(&self, group: Group, denied: &Denied<'_>, at: Time) {
        let mut state = self.state();
        let group = state.bounded(group);
        let tally = state.noted.groups.entry(group);
        let tally = tally.or_insert_with(|| Tally { first: at, ..Tally::default() });
        *(if denied.passed { &mut tally.would_deny } else { &mut tally.denied }) += 1;
        tally.permission = denied.permission.into();
        (tally.held, tally.last) = (denied.held, at);
    }

    /// Notes that somebody at this address has proved to a guard who they are.
    pub fn proven(&self, guard: Arc<str>, from: IpAddr) {
        self.state().noted.sources.insert((guard, from));
    }

    /// Takes what was noted.
    #[must_use]
    pub fn take(&self) -> Noted {
        std::mem::take(&mut self.state().noted)
    }

    /// Takes back what could not be written down.
    pub fn put_back(&self, before: Noted) {
        let mut state = self.state();
        state.noted.sources.extend(before.sources);
        for (mut group, tally) in before.groups {
            // While nothing can be written, all of an hour is one minute.
            if state.noted.groups.len() >= MOST {
                group.minute -= group.minute.rem_euclid(60);
            }
            match state.noted.groups.entry(group) {
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

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
