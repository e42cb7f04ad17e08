//! Indexes as a few ranges: `0-4`, `7`.

use std::collections::BTreeMap;

/// Indexes under seals.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Ranges(BTreeMap<i64, Vec<(i64, i64)>>);

impl Ranges {
    /// Adds one; cheap when they come in order.
    pub fn add(&mut self, seal: i64, index: i64) {
        self.add_range(seal, index, index);
    }

    fn add_range(&mut self, seal: i64, first: i64, last: i64) {
        let ranges = self.0.entry(seal).or_default();
        match ranges.last_mut() {
            Some(range) if range.1 + 1 == first => range.1 = last,
            _ => ranges.push((first, last)),
        }
    }

    /// Adds what [`Ranges::texts`] wrote; false when it is nothing of the kind.
    #[must_use]
    pub fn add_text(&mut self, text: &str) -> bool {
        let parse = || {
            let (seal, range) = text.split_once(':')?;
            let (first, last) = range.split_once('-').unwrap_or((range, range));
            Some((seal.parse().ok()?, first.parse().ok()?, last.parse().ok()?))
        };
        match parse() {
            Some((seal, first, last)) if first <= last => {
                self.add_range(seal, first, last);
                true
            }
            _ => false,
        }
    }

    /// `SEAL:FIRST-LAST`, or `SEAL:INDEX`.
    #[must_use]
    pub fn texts(&self) -> Vec<String> {
        let text = |seal: &i64, (first, last): &(i64, i64)| match first == last {
            true => format!("{seal}:{first}"),
            false => format!("{seal}:{first}-{last}"),
        };
        self.0.iter().flat_map(|(seal, all)| all.iter().map(move |one| text(seal, one))).collect()
    }

    /// Those that `others` doesn't have, in order.
    pub fn without(&self, others: &Self) -> impl Iterator<Item = (i64, i64)> {
        self.0.iter().flat_map(move |(seal, ranges)| {
            let covered = others.0.get(seal).map_or(&[][..], Vec::as_slice);
            let all = ranges.iter().flat_map(|&(first, last)| first..=last);
            let is_covered = move |index: &i64| {
                covered.iter().any(|(first, last)| first <= index && index <= last)
            };
            all.filter(move |index| !is_covered(index)).map(move |index| (*seal, index))
        })
    }

    /// How many there are.
    #[must_use]
    pub fn count(&self) -> i64 {
        self.0.values().flatten().map(|(first, last)| last - first + 1).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_written_read_and_taken_from_one_another() {
        let mut all = Ranges::default();
        for (seal, index) in [(1, 0), (1, 1), (1, 2), (1, 5), (2, 0)] {
            all.add(seal, index);
        }
        assert_eq!(all.texts(), ["1:0-2", "1:5", "2:0"]);
        assert_eq!(all.count(), 5);
        let mut read = Ranges::default();
        assert!(all.texts().iter().all(|text| read.add_text(text)));
        assert_eq!(read, all);
        let mut some = Ranges::default();
        assert!(some.add_text("1:1-5"));
        assert_eq!(all.without(&some).collect::<Vec<_>>(), [(1, 0), (2, 0)]);
        for wrong in ["", "1", "1:", "1:2-1", "a:1", "1:1-"] {
            assert!(!some.add_text(wrong), "{wrong}");
        }
    }
}
