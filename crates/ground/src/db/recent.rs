//! What sealing needs of the events that this process has committed: who seals need not read them again. What is not
//! here is read from the database; nothing depends on it being here.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::Leaf;
use crate::record::Mark;

/// Bytes that are kept: more than come in a second.
const MOST: usize = 16 << 20;

/// The events of each commit, by the number of the first.
#[derive(Default)]
pub(crate) struct Recent {
    kept: Mutex<Kept>,
    /// Another node seals.
    unwanted: AtomicBool,
}

#[derive(Default)]
struct Kept {
    commits: BTreeMap<i64, Vec<Mark>>,
    bytes: usize,
}

/// Events of one stream that follow one another, and those of them that end a commit.
pub(crate) struct Taken {
    /// All of them.
    pub(crate) marks: Vec<Mark>,
    /// Numbers, one of each commit: when the database holds the same there, it holds the same in all of it.
    pub(crate) ends: Vec<i64>,
}

impl Recent {
    /// Keeps the events of a commit, the first of which has the number `first`.
    pub(super) fn keep(&self, first: i64, leaves: Vec<Leaf>) {
        if leaves.is_empty() || !self.is_wanted() {
            return;
        }
        let mark = |mut leaf: Leaf| leaf.mark.take().unwrap_or_else(|| Mark::on(&leaf));
        self.keep_marks(first, leaves.into_iter().map(mark).collect());
    }

    fn keep_marks(&self, first: i64, marks: Vec<Mark>) {
        let mut kept = self.kept();
        // Where the database has gone back, numbers are given a second time.
        let end = first + count(&marks);
        let before = kept.commits.range(..first).next_back();
        let overlapping =
            before.filter(|(at, marks)| *at + count(marks) > first).map(|(at, _)| *at);
        let again: Vec<i64> = kept.commits.range(first..end).map(|(at, _)| *at).collect();
        for at in overlapping.into_iter().chain(again) {
            kept.remove(at);
        }
        kept.bytes += size(&marks);
        kept.commits.insert(first, marks);
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
        while let Some((&at, marks)) = kept.commits.first_key_value() {
            if at + count(marks) > after + 1 {
                break;
            }
            kept.remove(at);
        }
        let mut taken = Taken { marks: Vec::new(), ends: Vec::new() };
        let mut next = after + 1;
        while next <= until {
            let (&at, _) = kept.commits.first_key_value()?;
            if at > next {
                return None;
            }
            let mut marks = kept.remove(at)?;
            // A part of a commit was sealed before, or will be later.
            marks.drain(..usize::try_from(next - at).ok()?);
            let fitting = usize::try_from(until - next + 1).ok()?;
            if fitting < marks.len() {
                let rest = marks.split_off(fitting);
                kept.bytes += size(&rest);
                kept.commits.insert(until + 1, rest);
            }
            next += count(&marks);
            taken.ends.push(next - 1);
            taken.marks.append(&mut marks);
        }
        Some(taken)
    }

    /// Whether sealing asks for them.
    pub(super) fn is_wanted(&self) -> bool {
        !self.unwanted.load(Ordering::Relaxed)
    }

    /// Keeps them from now on: this process seals.
    pub(crate) fn want(&self) {
        self.unwanted.store(false, Ordering::Relaxed);
    }

    /// Forgets all of them: somebody else seals.
    pub(crate) fn forget(&self) {
        self.unwanted.store(true, Ordering::Relaxed);
        *self.kept() = Kept::default();
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Kept {
    fn remove(&mut self, at: i64) -> Option<Vec<Mark>> {
        let marks = self.commits.remove(&at)?;
        self.bytes -= size(&marks);
        Some(marks)
    }
}

fn count(marks: &[Mark]) -> i64 {
    i64::try_from(marks.len()).unwrap_or(i64::MAX)
}

fn size(marks: &[Mark]) -> usize {
    marks.iter().map(Mark::size).sum()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::clock::Time;
    use crate::record::{Hash, merkle};

    fn leaf(text: &str) -> Leaf {
        Leaf {
            time: Time(0),
            tenant: "default".into(),
            agent: None,
            action: "test",
            outcome: "success",
            body: text.to_owned(),
            mark: None,
        }
    }

    fn commit(first: i64, length: i64) -> Vec<Leaf> {
        (first..first + length).map(|n| leaf(&n.to_string())).collect()
    }

    fn hashes(taken: &Taken) -> Vec<Hash> {
        taken.marks.iter().map(|mark| mark.hash).collect()
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
                    let hash = |n: i64| merkle::leaf(n.to_string().as_bytes());
                    let wanted: Vec<Hash> = (after + 1..=until).map(hash).collect();
                    prop_assert_eq!(hashes(taken), wanted);
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
        recent.keep(16, commit(16, 5));
        assert!(recent.take(15, 20).is_none(), "nothing is kept while another node seals");
        recent.want();
        recent.keep(21, commit(21, 5));
        assert!(recent.take(20, 25).is_some());
    }

    #[test]
    fn memory_is_bounded() {
        let recent = Recent::default();
        let large = vec![0; MOST / 32];
        for n in 1..=8 {
            let mark = Mark { keys: large.clone(), ..Mark::on(&leaf("")) };
            recent.keep_marks(n, vec![mark]);
        }
        assert!(recent.kept().bytes <= MOST);
        assert!(recent.take(0, 8).is_none());
        assert!(recent.take(6, 8).is_some());
        assert_eq!(recent.kept().bytes, 0);
    }
}
