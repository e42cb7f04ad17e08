//! `countersign policy test`: the tests of a policy directory, and what they reach.

use std::path::PathBuf;

use anyhow::bail;
use clap::Args;
use countersign_ground::clock::Clock;
use countersign_policy::testing::{Coverage, Outcome, Report, Test, run};
use countersign_server::features::policy::files_and_tests;
use serde_json::{Value, json};

use crate::check;
use crate::output::{Output, cell, plain, table};

#[derive(Args)]
pub(crate) struct Tests {
    /// A policy directory: packages/*.rego, *.rego and data/*.json in it, with *_test.rego and *_test.json
    directory: PathBuf,

    /// Run those whose `FILE: NAME` holds this text
    #[arg(long, value_name = "TEXT")]
    run: Option<String>,

    /// Show those that passed, too
    #[arg(long)]
    verbose: bool,

    /// Fail when less than so much of the rules is reached, in percent
    #[arg(long, value_name = "PERCENT", value_parser = percent)]
    threshold: Option<f64>,
}

fn percent(text: &str) -> Result<f64, String> {
    let percent = text.parse().ok().filter(|percent| (0.0..=100.0).contains(percent));
    percent.ok_or_else(|| "expected a number from 0 to 100".to_owned())
}

/// A directory that can't be tested: wrong usage, and no test that failed.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Unusable(String);

pub(super) fn run_all(tests: &Tests, output: Output) -> anyhow::Result<()> {
    let shown = tests.directory.display();
    let files = files_and_tests(&tests.directory)
        .map_err(|error| Unusable(format!("cannot read `{shown}`: {error}")))?;
    let chosen = |test: &str| tests.run.as_ref().is_none_or(|text| test.contains(text));
    let report = run(&files, &chosen, Clock::System.now().0)
        .map_err(|faults| Unusable(check::unusable(&tests.directory, &faults).to_string()))?;
    if report.tests.is_empty() {
        match &tests.run {
            Some(text) => bail!("no test of `{shown}` has `{text}` in its file or name"),
            None => bail!(
                "`{shown}` has no tests: write rules named test_… into *_test.rego beside the rules, or questions and answers into *_test.json"
            ),
        }
    }
    let percent = report.percent();
    let answer = told(&report, tests);
    output.print(&answer, |answer| for_people(answer, tests.verbose))?;
    let failed = answer["failed"].as_u64().unwrap_or_default();
    if failed > 0 {
        bail!("{failed} of {} tests failed", report.tests.len());
    }
    match tests.threshold {
        Some(least) if percent < least => {
            bail!("tests reach {} % of the rules, less than {least} %", rounded(percent))
        }
        _ => Ok(()),
    }
}

fn told(report: &Report, tests: &Tests) -> Value {
    let count = |which: fn(&Outcome) -> bool| {
        report.tests.iter().filter(|test| which(&test.outcome)).count()
    };
    let shown = report.tests.iter().map(told_test);
    let mut answer = json!({
        "passed": count(|it| *it == Outcome::Passed),
        "failed": count(|it| matches!(it, Outcome::Failed { .. } | Outcome::Error(_))),
        "skipped": count(|it| *it == Outcome::Skipped),
        "tests": shown.collect::<Vec<_>>(),
        "coverage": {
            "percent": rounded(report.percent()),
            "files": report.coverage.iter().map(told_file).collect::<Vec<_>>(),
        },
    });
    if let Some(least) = tests.threshold {
        answer["coverage"]["threshold"] = json!(least);
    }
    answer
}

fn told_test(test: &Test) -> Value {
    let mut told = json!({"at": test.at, "name": test.name});
    told["outcome"] = match &test.outcome {
        Outcome::Passed => "passed",
        Outcome::Skipped => "skipped",
        Outcome::Failed { expected, found } => {
            told["expected"] = json!(expected);
            told["found"] = json!(found);
            "failed"
        }
        Outcome::Error(error) => {
            told["error"] = json!(error);
            "error"
        }
    }
    .into();
    told
}

fn told_file(file: &Coverage) -> Value {
    json!({
        "file": file.file, "of": file.of, "reached": file.reached, "total": file.total,
        "percent": rounded(file.percent()), "missed": file.missed,
    })
}

/// With one digit behind the point, and never up: 99.96 % is not all.
fn rounded(percent: f64) -> f64 {
    (percent * 10.0).floor() / 10.0
}

fn for_people(answer: &Value, verbose: bool) -> String {
    let tests = answer["tests"].as_array().map_or(&[][..], Vec::as_slice);
    let shown: Vec<String> = tests.iter().filter_map(|test| line(test, verbose)).collect();
    let files: Vec<Value> = answer["coverage"]["files"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|file| {
            let mut row = file.clone();
            row["percent"] = json!(format!("{} %", cell(&file["percent"])));
            row["reached"] =
                json!(format!("{} of {} {}", file["reached"], file["total"], cell(&file["of"])));
            if file["missed"].as_array().is_some_and(Vec::is_empty) {
                row["missed"] = Value::Null;
            }
            row
        })
        .collect();
    let sum = format!(
        "{} passed, {} failed, {} skipped; {} % of the rules reached",
        answer["passed"], answer["failed"], answer["skipped"], answer["coverage"]["percent"]
    );
    let blocks = [shown.join("\n"), table(COLUMNS, &files), sum];
    blocks.into_iter().filter(|block| !block.is_empty()).collect::<Vec<_>>().join("\n\n")
}

/// The line of a test: always of one that failed.
fn line(test: &Value, verbose: bool) -> Option<String> {
    let place = format!("{}  {}", cell(&test["at"]), cell(&test["name"]));
    let text = |name: &str| plain(test[name].as_str().unwrap_or_default());
    match test["outcome"].as_str()? {
        "failed" => Some(format!(
            "FAIL   {place}\n       expected  {}\n       found     {}",
            text("expected"),
            text("found")
        )),
        "error" => Some(format!("ERROR  {place}\n       {}", text("error"))),
        "skipped" if verbose => Some(format!("SKIP   {place}")),
        "passed" if verbose => Some(format!("PASS   {place}")),
        _ => None,
    }
}

const COLUMNS: &[(&str, &str)] =
    &[("FILE", "file"), ("REACHED", "reached"), ("PERCENT", "percent"), ("MISSED", "missed")];
