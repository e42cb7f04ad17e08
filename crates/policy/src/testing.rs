//! Tests of a policy directory: rules named `test_…` in `*_test.rego`, and questions with the answers that are
//! expected in `*_test.json`. Both are answered by what answers when it is enforced; what they reach is told
//! line by line, or endpoint by endpoint.

mod coverage;
mod doors;
mod fixtures;
mod packages;

use std::collections::BTreeMap;

use crate::fault::{Fault, Faults};
use crate::rego::{Reached, Trial};

pub use coverage::Coverage;

/// The results of tests.
#[derive(Debug, Default)]
pub struct Report {
    /// Each test that was chosen.
    pub tests: Vec<Test>,
    /// Each file that is enforced.
    pub coverage: Vec<Coverage>,
}

/// A test, and what became of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Test {
    /// The file that it stands in, and its line, or its place in the list.
    pub at: String,
    /// What it is called.
    pub name: String,
    /// What became of it.
    pub outcome: Outcome,
}

/// What became of a test.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// What was expected.
    Passed,
    /// Something else.
    Failed {
        /// What was expected.
        expected: String,
        /// What there is instead.
        found: String,
    },
    /// It could not be answered: where, and why.
    Error(String),
    /// It is one to be written: `todo_test_…`.
    Skipped,
}

/// Whether this is a file of tests: beside the rules, or beside packages.
#[must_use]
pub fn is_test(file: &str) -> bool {
    let name = file.strip_prefix(PACKAGES).unwrap_or(file);
    !name.contains('/') && (name.ends_with(RULES) || name.ends_with(FIXTURES))
}

const PACKAGES: &str = "packages/";
const RULES: &str = "_test.rego";
const FIXTURES: &str = "_test.json";
/// The most tests of a directory.
const MOST: usize = 20_000;

/// Files by their paths within a directory.
type Files = BTreeMap<String, String>;

/// Runs the tests of a directory that `chosen` takes by their file and name; `at` is what rules take for now, in
/// microseconds since the epoch.
///
/// # Errors
/// The first faults of its rules, else of its tests: then none was run.
pub fn run(files: &Files, chosen: &dyn Fn(&str) -> bool, at: i64) -> Result<Report, Vec<Fault>> {
    let (tests, enforced): (Files, Files) =
        files.iter().map(own).partition(|(file, _)| is_test(file));
    let mut bench =
        Bench { at, chosen, report: Report::default(), faults: Faults::default(), many: 0 };
    doors::run(&enforced, &tests, &mut bench)?;
    packages::run(&enforced, &tests, &mut bench)?;
    if !bench.faults.is_empty() {
        return Err(bench.faults.into_vec());
    }
    Ok(bench.report)
}

fn own((file, text): (&String, &String)) -> (String, String) {
    (file.clone(), text.clone())
}

/// Where tests are run.
struct Bench<'b> {
    at: i64,
    chosen: &'b dyn Fn(&str) -> bool,
    report: Report,
    faults: Faults,
    many: usize,
}

impl Bench<'_> {
    /// Runs tests that are written as rules.
    fn trial(
        &mut self,
        enforced: &[(&str, &str)],
        tests: &[(&str, &str)],
        data: &regorus::Value,
        reached: &mut Reached,
    ) {
        if tests.is_empty() {
            return;
        }
        let trial = match Trial::read(enforced, tests) {
            Ok(trial) => trial,
            Err(fault) => return self.faults.add(fault.at, fault.what),
        };
        for case in trial.cases() {
            let outcome = |bench: &Self| {
                if case.skipped {
                    return Outcome::Skipped;
                }
                match trial.run(case, data, bench.at, reached) {
                    Ok(true) => Outcome::Passed,
                    Ok(false) => Outcome::Failed {
                        expected: "true".to_owned(),
                        found: "false, or no value".to_owned(),
                    },
                    Err(error) => Outcome::Error(error),
                }
            };
            self.test(&case.file, &format!("{}:{}", case.file, case.line), &case.name, outcome);
        }
    }

    /// Runs a test, if it is chosen.
    fn test(&mut self, file: &str, at: &str, name: &str, run: impl FnOnce(&Self) -> Outcome) {
        self.many += 1;
        if self.many > MOST {
            if self.many == MOST + 1 {
                self.faults.add(file, format!("all files together may hold {MOST} tests"));
            }
            return;
        }
        if !(self.chosen)(&format!("{file}: {name}")) {
            return;
        }
        let outcome = run(self);
        self.report.tests.push(Test { at: at.to_owned(), name: name.to_owned(), outcome });
    }
}

fn texts(files: &Files, which: impl Fn(&str) -> bool) -> Vec<(&str, &str)> {
    let chosen = files.iter().filter(|(file, _)| which(file));
    chosen.map(|(file, text)| (&**file, &**text)).collect()
}
