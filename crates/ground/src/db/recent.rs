//! Events that this process has committed and that may still wait for their seal: who seals need not read
//! them again. What is not here is read from the database; nothing depends on it being here.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::Leaf;

/// Bytes of texts that are kept: more than come in a second.
const MOST: usize = 48 << 20;

/// Events of one commit, by the number of the first.
#[derive(Default)]
pub(crate) struct Recent(Mutex<Kept>);

#[derive(Default)]
struct Kept {
    commits: BTreeMap<i64, Vec<Leaf>>,
    bytes: usize,
}

/// Events of one stream that follow one another, and those of them that end a commit.
pub(crate) struct Taken {
    /// All of them.
    pub(crate) leaves: Vec<Leaf>,
    /// Numbers, one of each commit: when the database holds the same there, it holds the same in all of it.
    pub(crate) ends: Vec<i64>,
}

impl Recent {
    /// Keeps the events of a commit, the first of which has the number `first`.
    pub(super) fn keep(&self, first: i64, leaves: Vec<Leaf>) {
        if leaves.is_empty() {
            return;
        }
        let mut kept = self.kept();
        // Where the database has gone back, numbers are given a second time.
        let end = first + count(&leaves);
        let before = kept.commits.range(..first).next_back();
        let overlapping =
            before.filter(|(at, leaves)| *at + count(leaves) > first).map(|(at, _)| *at);
        let again: Vec<i64> = kept.commits.range(first..end).map(|(at, _)| *at).collect();
        for at in overlapping.into_iter().chain(again) {
            kept.remove(at);
        }
        kept.bytes += size(&leaves);
        kept.commits.insert(first, leaves);
        while kept.bytes > MOST
            && let Some((&oldest, _)) = kept.commits.first_key_value()
        {
            kept.remove(oldest);
        }
    }

    /// Takes the events after number `after` up to `until`; `None` unless all are here. Those before are
    /// forgotten.
    pub(crate) fn take(&self, after: i64, until: i64) -> Option<Taken> {
        let mut kept = self.kept();
        while let Some((&at, leaves)) = kept.commits.first_key_value() {
            if at + count(leaves) > after + 1 {
                break;
            }
            kept.remove(at);
        }
        let mut taken = Taken { leaves: Vec::new(), ends: Vec::new() };
        let mut next = after + 1;
        while next <= until {
            let (&at, _) = kept.commits.first_key_value()?;
            if at > next {
                return None;
            }
            let mut leaves = kept.remove(at)?;
            // A part of a commit was sealed before, or will be later.
            leaves.drain(..usize::try_from(next - at).ok()?);
            let fitting = usize::try_from(until - next + 1).ok()?;
            if fitting < leaves.len() {
                let rest = leaves.split_off(fitting);
                kept.bytes += size(&rest);
                kept.commits.insert(until + 1, rest);
            }
            next += count(&leaves);
            taken.ends.push(next - 1);
            taken.leaves.append(&mut leaves);
        }
        Some(taken)
    }

    /// Forgets all of them: somebody else seals.
    pub(crate) fn forget(&self) {
        *self.kept() = Kept::default();
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Kept {
    fn remove(&mut self, at: i64) -> Option<Vec<Leaf>> {
        let leaves = self.commits.remove(&at)?;
        self.bytes -= size(&leaves);
        Some(leaves)
    }
}

fn count(leaves: &[Leaf]) -> i64 {
    i64::try_from(leaves.len()).unwrap_or(i64::MAX)
}

fn size(leaves: &[Leaf]) -> usize {
    leaves.iter().map(|leaf| leaf.body.len()).sum()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::clock::Time;

    fn leaf(text: &str) -> Leaf {
        Leaf {
            time: Time(0),
            tenant: "default".into(),
            agent: None,
            action: "test",
            outcome: "success",
            body: text.to_owned(),
        }
    }

    fn commit(first: i64, length: i64) -> Vec<Leaf> {
        (first..first + length).map(|n| leaf(&n.to_string())).collect()
    }

    fn texts(taken: &Taken) -> Vec<String> {
        taken.leaves.iter().map(|leaf| leaf.body.clone()).collect()
    }

    proptest! {
        #[test]
        fn what_is_taken_is_all_that_was_committed_in_its_order(
            lengths in prop::collection::vec(1_i64..9, 1..20),
            order in any::<u64>(),
            cuts in prop::collection::vec(1_i64..20, 1..30),
            lost in prop::option::of(0_usize..20),
        ) {
            let recent = Recent::default();
            let mut commits = Vec::new();
            let mut first = 1;
            for length in lengths {
                commits.push((first, length));
                first += length;
            }
            let last = first - 1;
            if let Some(lost) = lost.filter(|lost| *lost < commits.len()) {
                commits.remove(lost);
            }
            let there: Vec<i64> = commits.iter().flat_map(|(at, n)| *at..*at + *n).collect();
            let mut rest = order;
            while !commits.is_empty() {
                let (at, length) = commits.remove(usize::try_from(rest).unwrap() % commits.len());
                rest /= 7;
                recent.keep(at, commit(at, length));
            }
            let mut after = 0;
            for cut in cuts {
                let until = (after + cut).min(last);
                let taken = recent.take(after, until);
                let whole = (after + 1..=until).all(|n| there.contains(&n));
                if let Some(taken) = &taken {
                    let wanted: Vec<String> = (after + 1..=until).map(|n| n.to_string()).collect();
                    prop_assert_eq!(texts(taken), wanted);
                    prop_assert!(taken.ends.is_sorted() && taken.ends.iter().all(|n| (after + 1..=until).contains(n)));
                }
                prop_assert!(taken.is_none() || whole);
                after = until;
            }
        }
    }

    #[test]
    fn what_is_committed_again_under_a_number_takes_its_place() {
        let recent = Recent::default();
        for (first, length) in [(1, 5), (6, 5), (11, 5)] {
            recent.keep(first, commit(first, length));
        }
        recent.keep(8, vec![leaf("new")]);
        assert!(recent.take(5, 10).is_none(), "6 to 10 went with what was there before");
        recent.forget();
        assert!(recent.take(10, 15).is_none());
    }

    #[test]
    fn memory_is_bounded() {
        let recent = Recent::default();
        let large = "x".repeat(MOST / 4);
        for n in 1..=8 {
            recent.keep(n, vec![leaf(&large)]);
        }
        assert!(recent.kept().bytes <= MOST);
        assert!(recent.take(0, 8).is_none());
        assert!(recent.take(6, 8).is_some());
        assert_eq!(recent.kept().bytes, 0);
    }
}
