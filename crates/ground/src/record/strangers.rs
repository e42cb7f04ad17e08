//! Keeps those who prove nothing from filling the disk: beyond a few, they are counted.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};

use super::Outcome;
use crate::clock::Time;

/// Events recorded singly per reason, network and minute.
const SINGLE: i64 = 10;
/// Groups remembered at once; those beyond share one, whatever their network.
const MAX_GROUPS: usize = 4_096;
const MINUTE: i64 = 60_000_000;

pub(super) enum Verdict {
    Single,
    Counted,
}

/// What strangers do, as the record calls it, how it ended, and why.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Deed {
    pub(super) action: &'static str,
    pub(super) outcome: Outcome,
    pub(super) reason: &'static str,
}

/// Those who came after the first ten.
pub(super) struct Crowd {
    pub(super) deed: Deed,
    pub(super) network: String,
    pub(super) minute: Time,
    pub(super) count: i64,
}

#[derive(PartialEq, Eq, Hash)]
struct Group {
    deed: Deed,
    network: Network,
    minute: i64,
}

/// A /24 or /64: what one stranger can easily vary within.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Network {
    V4([u8; 3]),
    V6([u16; 4]),
    Other,
}

impl Network {
    fn of(ip: Option<IpAddr>) -> Self {
        match ip.map(|ip| ip.to_canonical()) {
            Some(IpAddr::V4(ip)) => {
                let [a, b, c, _] = ip.octets();
                Self::V4([a, b, c])
            }
            Some(IpAddr::V6(ip)) => {
                let [a, b, c, d, ..] = ip.segments();
                Self::V6([a, b, c, d])
            }
            None => Self::Other,
        }
    }
}

impl std::fmt::Display for Network {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::V4([a, b, c]) => write!(f, "{a}.{b}.{c}.0/24"),
            Self::V6([a, b, c, d]) => write!(f, "{a:x}:{b:x}:{c:x}:{d:x}::/64"),
            Self::Other => f.write_str("other"),
        }
    }
}

#[derive(Default)]
pub(super) struct Strangers(Mutex<HashMap<Group, i64>>);

impl Strangers {
    pub(super) fn meet(&self, deed: Deed, ip: Option<IpAddr>, now: Time) -> Verdict {
        let minute = now.0.div_euclid(MINUTE);
        let mut groups = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut group = Group { deed, network: Network::of(ip), minute };
        if groups.len() >= MAX_GROUPS && !groups.contains_key(&group) {
            group.network = Network::Other;
        }
        let count = groups.entry(group).or_insert(0);
        *count += 1;
        if *count <= SINGLE { Verdict::Single } else { Verdict::Counted }
    }

    /// Takes the groups whose minute is over.
    pub(super) fn over(&self, now: Time) -> Vec<Crowd> {
        let current = now.0.div_euclid(MINUTE);
        let mut groups = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // A clock that was set back must not keep groups for ever.
        let over =
            groups.extract_if(|group, _| group.minute < current || group.minute > current + 1);
        over.filter(|(_, count)| *count > SINGLE)
            .map(|(group, count)| Crowd {
                deed: group.deed,
                network: group.network.to_string(),
                minute: Time(group.minute.saturating_mul(MINUTE)),
                count: count - SINGLE,
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BAD: Deed = Deed { action: "auth.failed", outcome: Outcome::Denied, reason: "bad" };

    fn singles(strangers: &Strangers, ip: &str, times: usize) -> usize {
        let ip = Some(ip.parse().unwrap());
        let met = (0..times).map(|_| strangers.meet(BAD, ip, Time(5 * MINUTE)));
        met.filter(|verdict| matches!(verdict, Verdict::Single)).count()
    }

    #[test]
    fn ten_of_a_network_are_single_and_the_rest_a_count() {
        let strangers = Strangers::default();
        assert_eq!(singles(&strangers, "192.0.2.1", 8), 8);
        assert_eq!(singles(&strangers, "192.0.2.200", 8), 2);
        assert_eq!(singles(&strangers, "::ffff:192.0.2.9", 1), 0, "the same network, mapped");
        assert_eq!(singles(&strangers, "198.51.100.1", 1), 1);
        assert!(strangers.over(Time(5 * MINUTE)).is_empty(), "its minute is not over");
        let crowds = strangers.over(Time(6 * MINUTE));
        assert_eq!(crowds.len(), 1);
        assert_eq!((crowds[0].network.as_str(), crowds[0].count), ("192.0.2.0/24", 7));
        assert!(strangers.over(Time(9 * MINUTE)).is_empty());
    }

    #[test]
    fn many_networks_do_not_grow_the_memory() {
        let strangers = Strangers::default();
        for n in 0..100_000_u32 {
            strangers.meet(BAD, Some(std::net::Ipv4Addr::from(n << 8).into()), Time(0));
        }
        assert!(strangers.0.lock().unwrap().len() <= MAX_GROUPS + 1);
    }
}
