//! How much of what is enforced was reached.

use std::collections::BTreeSet;

use crate::rego::Reached;

/// How much of a file was reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Coverage {
    /// The file.
    pub file: String,
    /// `lines` or `endpoints`
    pub of: &'static str,
    /// How many there are.
    pub total: usize,
    /// How many were reached.
    pub reached: usize,
    /// Those that were not: lines and ranges of lines, such as `3` and `5-7`, or endpoints.
    pub missed: Vec<String>,
}

impl Coverage {
    /// In percent. Of nothing, all was reached.
    #[must_use]
    pub fn percent(&self) -> f64 {
        percent(self.reached, self.total)
    }
}

/// How much of several was reached, in percent.
pub(super) fn percent(reached: usize, total: usize) -> f64 {
    let exact = |number: usize| f64::from(u32::try_from(number).unwrap_or(u32::MAX));
    if total == 0 { 100.0 } else { 100.0 * exact(reached) / exact(total) }
}

impl super::Report {
    /// How much of all files was reached, in percent.
    #[must_use]
    pub fn percent(&self) -> f64 {
        let sum = |each: fn(&Coverage) -> usize| self.coverage.iter().map(each).sum();
        percent(sum(|file| file.reached), sum(|file| file.total))
    }
}

/// The lines of files: all, and those that were reached.
pub(super) fn of_lines(all: &Reached, reached: &Reached) -> Vec<Coverage> {
    let each = all.0.iter().map(|(file, lines)| {
        let reached = reached.0.get(file);
        let missed = lines.iter().filter(|line| !reached.is_some_and(|it| it.contains(line)));
        let missed: Vec<usize> = missed.copied().collect();
        Coverage {
            file: file.clone(),
            of: "lines",
            total: lines.len(),
            reached: lines.len() - missed.len(),
            missed: ranges(&missed, lines),
        }
    });
    each.collect()
}

/// Lines in ranges, in which stands no other line that counts.
fn ranges(missed: &[usize], all: &BTreeSet<usize>) -> Vec<String> {
    let follows = |one: &usize, next: &usize| all.range(one + 1..).next() == Some(next);
    let ranges = missed.chunk_by(follows).filter_map(|range| Some((range.first()?, range.last()?)));
    let told = ranges.map(|(first, last)| match first == last {
        true => first.to_string(),
        false => format!("{first}-{last}"),
    });
    told.collect()
}
