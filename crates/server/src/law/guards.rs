//! Guards: whether an enforcement point enforces, and for whom. One that nobody knows enforces.

mod traffic;

use std::collections::{HashMap, HashSet};
use std::net::IpAddr;
use std::str::FromStr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock, PoisonError, RwLock};

use arc_swap::ArcSwap;
use aws_lc_rs::hmac;
use prometheus_client::metrics::counter::Counter;
use serde::Serialize;

pub use traffic::{Denied, Group, Noted, Tally, Traffic};

/// What an enforcement point does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// Nothing is decided.
    Off,
    /// It is decided and recorded, and everybody passes.
    Observe,
    /// Whoever is refused does not pass.
    Enforce,
}

impl Mode {
    /// The word.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::Observe => "observe",
            Self::Enforce => "enforce",
        }
    }
}

impl FromStr for Mode {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let known = [Self::Off, Self::Observe, Self::Enforce];
        let found = known.into_iter().find(|mode| mode.as_str() == text);
        found.ok_or_else(|| "must be `off`, `observe` or `enforce`".into())
    }
}

/// An enforcement point.
#[derive(Debug, Clone)]
pub struct Guard {
    /// Its name.
    pub name: Arc<str>,
    /// What it does.
    pub mode: Mode,
    /// For how many of a hundred callers it enforces, when it does.
    pub percent: u8,
    /// Says who is on which side.
    pub sides: Sides,
    /// Raised by every change: an older one never replaces a newer.
    pub revision: i64,
    /// What it has let through; lasts when the guard changes.
    passed: Arc<Passed>,
}

/// What a guard has let through.
#[derive(Debug, Default)]
struct Passed {
    /// Since that was last written down.
    count: AtomicU64,
    /// From where somebody came who proved who they are, not long ago.
    from: RwLock<HashSet<IpAddr>>,
    /// Where they are counted, by what the guard did.
    counters: [OnceLock<Counter>; 3],
}

/// The most addresses of a guard that are kept in mind.
const MOST_SOURCES: usize = 10_000;

/// The key by which callers are divided.
#[derive(Clone)]
pub struct Sides(Arc<hmac::Key>);

impl Sides {
    /// From 32 bytes.
    #[must_use]
    pub fn new(bytes: &[u8]) -> Self {
        Self(Arc::new(hmac::Key::new(hmac::HMAC_SHA256, bytes)))
    }

    /// Where somebody stands, 0 to 99: with a share of so many they are not yet among it.
    fn place(&self, who: &str) -> u8 {
        let tag = hmac::sign(&self.0, who.as_bytes());
        let first = tag.as_ref().first_chunk().copied().map_or(0, u64::from_be_bytes);
        u8::try_from(first % 100).unwrap_or(0)
    }
}

impl std::fmt::Debug for Sides {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Sides(***)")
    }
}

/// Whoever is divided: by who they are, if they proved it, else by the network that they come from.
#[derive(Debug, Clone, Copy)]
pub enum Side<'s> {
    /// Kind and id.
    Proven(&'s str, &'s str),
    /// An address; of it only what a stranger can't easily vary counts.
    From(Option<IpAddr>),
}

impl Side<'_> {
    fn text(self) -> String {
        match self {
            Self::Proven(kind, id) => format!("{kind}:{id}"),
            Self::From(ip) => match ip.map(|ip| ip.to_canonical()) {
                Some(IpAddr::V4(ip)) => format!("{}/24", ip.to_bits() >> 8),
                Some(IpAddr::V6(ip)) => format!("{}/64", ip.to_bits() >> 64),
                None => String::new(),
            },
        }
    }
}

impl Guard {
    /// One with nothing counted.
    #[must_use]
    pub fn new(name: Arc<str>, mode: Mode, percent: u8, sides: Sides, revision: i64) -> Self {
        Self { name, mode, percent, sides, revision, passed: Arc::default() }
    }

    /// What it does about somebody.
    #[must_use]
    pub fn holds(&self, side: Side<'_>) -> Mode {
        let spared = match (self.mode, self.percent) {
            (Mode::Off | Mode::Observe, _) | (_, 100..) => false,
            (Mode::Enforce, 0) => true,
            (Mode::Enforce, percent) => self.sides.place(&side.text()) >= percent,
        };
        if spared { Mode::Observe } else { self.mode }
    }

    /// Counts one that it had nothing against; gives the address back if it is news that somebody has proved there
    /// who they are.
    fn pass(
        &self,
        mode: Mode,
        from: Option<IpAddr>,
        counter: impl FnOnce() -> Counter,
    ) -> Option<IpAddr> {
        self.passed.count.fetch_add(1, Ordering::Relaxed);
        self.passed.counters[mode as usize].get_or_init(counter).inc();
        let from = from?.to_canonical();
        if self.passed.from.read().unwrap_or_else(PoisonError::into_inner).contains(&from) {
            return None;
        }
        let mut known = self.passed.from.write().unwrap_or_else(PoisonError::into_inner);
        (known.len() < MOST_SOURCES && known.insert(from)).then_some(from)
    }
}

/// All guards, and what passes them.
#[derive(Debug, Default)]
pub struct Guards {
    all: ArcSwap<HashMap<Arc<str>, Guard>>,
    /// What was or would have been denied.
    pub traffic: Traffic,
}

impl Guards {
    /// One of them.
    #[must_use]
    pub fn named(&self, name: &str) -> Option<Guard> {
        self.all.load().get(name).cloned()
    }

    /// What a guard does about somebody.
    #[must_use]
    pub fn holds(&self, name: &str, side: Side<'_>) -> Mode {
        self.all.load().get(name).map_or(Mode::Enforce, |guard| guard.holds(side))
    }

    /// Counts one that a guard had nothing against, and the address if they proved who they are.
    pub fn pass(
        &self,
        (name, mode): (&str, Mode),
        proven_from: Option<IpAddr>,
        counter: impl FnOnce() -> Counter,
    ) {
        if let Some(guard) = self.all.load().get(name)
            && let Some(from) = guard.pass(mode, proven_from, counter)
        {
            self.traffic.proven(Arc::clone(&guard.name), from);
        }
    }

    /// Forgets which addresses were noted: they are noted again when somebody comes.
    pub fn forget_sources(&self) {
        for guard in self.all.load().values() {
            guard.passed.from.write().unwrap_or_else(PoisonError::into_inner).clear();
        }
    }

    /// Takes over guards as the database has them; none is ever removed.
    pub fn put(&self, guards: Vec<Guard>) {
        self.all.rcu(|now| {
            let mut next = HashMap::clone(now);
            for guard in &guards {
                let known = next.get(&guard.name);
                if known.is_none_or(|known| known.revision < guard.revision) {
                    let passed = known.map(|known| Arc::clone(&known.passed)).unwrap_or_default();
                    next.insert(Arc::clone(&guard.name), Guard { passed, ..guard.clone() });
                }
            }
            next
        });
    }

    /// All of them, by name.
    #[must_use]
    pub fn all(&self) -> Vec<Guard> {
        let mut all: Vec<Guard> = self.all.load().values().cloned().collect();
        all.sort_by(|a, b| a.name.cmp(&b.name));
        all
    }

    /// What each has let through since it was last asked, where that is anything.
    #[must_use]
    pub fn take_passed(&self) -> Vec<(Arc<str>, u64)> {
        let all = self.all.load();
        let taken = all
            .values()
            .map(|guard| (Arc::clone(&guard.name), guard.passed.count.swap(0, Ordering::Relaxed)));
        taken.filter(|(_, passed)| *passed > 0).collect()
    }

    /// Takes back what could not be written down.
    pub fn put_back(&self, passed: Vec<(Arc<str>, u64)>, noted: Noted) {
        let all = self.all.load();
        for (guard, passed) in passed {
            if let Some(guard) = all.get(&guard) {
                guard.passed.count.fetch_add(passed, Ordering::Relaxed);
            }
        }
        self.traffic.put_back(noted);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn guard(percent: u8) -> Guard {
        Guard::new("one".into(), Mode::Enforce, percent, Sides::new(&[7; 32]), 1)
    }

    #[test]
    fn whoever_is_enforced_stays_so_when_the_share_grows() {
        let ids: Vec<String> = (0..2_000).map(|n| format!("agent-{n}")).collect();
        let mut before: Vec<&String> = Vec::new();
        for percent in [0, 1, 25, 50, 99, 100] {
            let guard = guard(percent);
            let enforced = |id: &&String| guard.holds(Side::Proven("agent", id)) == Mode::Enforce;
            let now: Vec<&String> = ids.iter().filter(enforced).collect();
            assert!(before.iter().all(|id| now.contains(id)), "{percent}");
            let share = now.len() * 100 / ids.len();
            assert!(share.abs_diff(usize::from(percent)) <= 4, "{share} of {percent}");
            before = now;
        }
    }

    #[test]
    fn a_stranger_can_not_look_for_the_other_side_within_a_network() {
        let guard = guard(50);
        for network in 0..50_u32 {
            let side = |host: u32| {
                let ip = IpAddr::from((0x0a00_0000 + (network << 8) + host).to_be_bytes());
                guard.holds(Side::From(Some(ip)))
            };
            assert!((0..256).all(|host| side(host) == side(0)));
            let six = |host: u128| IpAddr::from(((u128::from(network) << 64) + host).to_be_bytes());
            assert_eq!(
                guard.holds(Side::From(Some(six(1)))),
                guard.holds(Side::From(Some(six(1 << 63))))
            );
        }
    }

    #[test]
    fn an_older_guard_never_replaces_a_newer_and_counts_go_on() {
        let guards = Guards::default();
        let of =
            |mode, revision| Guard::new("one".into(), mode, 100, Sides::new(&[1; 32]), revision);
        assert_eq!(guards.holds("one", Side::From(None)), Mode::Enforce, "not known yet");
        guards.put(vec![of(Mode::Observe, 2)]);
        guards.pass(("one", Mode::Observe), None, Counter::default);
        guards.put(vec![of(Mode::Enforce, 1)]);
        assert_eq!(guards.holds("one", Side::From(None)), Mode::Observe);
        guards.put(vec![of(Mode::Off, 3)]);
        assert_eq!(guards.holds("one", Side::From(None)), Mode::Off);
        guards.pass(("one", Mode::Observe), None, Counter::default);
        assert_eq!(guards.take_passed(), [("one".into(), 2)]);
        assert_eq!(guards.take_passed(), []);
    }
}
