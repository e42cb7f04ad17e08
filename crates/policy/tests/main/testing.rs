//! Tests of a policy directory: what `with` means, what becomes of a test, and what is refused.

mod bounds;
mod fixtures;
mod meaning;

use std::collections::BTreeMap;

use countersign_policy::Fault;
use countersign_policy::testing::{Outcome, Report, run};

const NOW: i64 = 1_700_000_000_000_000;

fn tried(files: &[(&str, &str)]) -> Result<Report, Vec<Fault>> {
    let files: BTreeMap<String, String> =
        files.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect();
    run(&files, &|_| true, NOW)
}

/// A line a test, then a line a file.
fn told(files: &[(&str, &str)]) -> String {
    let report = match tried(files) {
        Ok(report) => report,
        Err(faults) => return faults.iter().map(|fault| format!("{fault}\n")).collect(),
    };
    let tests = report.tests.iter().map(|test| {
        let outcome = match &test.outcome {
            Outcome::Passed => "passed".to_owned(),
            Outcome::Skipped => "skipped".to_owned(),
            Outcome::Failed { expected, found } => format!("expected {expected}; found {found}"),
            Outcome::Error(error) => format!("error: {error}"),
        };
        format!("{} {}: {outcome}\n", test.at, test.name)
    });
    let coverage = report.coverage.iter().map(|file| {
        let missed = file.missed.join(" ");
        format!("{} {}/{} {} [{missed}]\n", file.file, file.reached, file.total, file.of)
    });
    tests.chain(coverage).collect()
}
