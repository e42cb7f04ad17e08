//! Tests of packages: `packages/NAME_test.rego` and `packages/NAME_test.json` are of `packages/NAME.rego`.

use std::sync::Arc;

use serde_json::{Map, Value};

use super::coverage::of_lines;
use super::fixtures::{Fixture, Taken, read};
use super::{Bench, FIXTURES, Files, Outcome, PACKAGES, RULES};
use crate::decision::Decision;
use crate::fault::{Fault, Faults};
use crate::packages::{InvalidPackages, Package, Packages};
use crate::policies::{Holder, Policies};
use crate::question::{Form, Question};
use crate::rego::Reached;
use crate::{Json, Matrix};

const KNOWN: [&str; 4] = ["effect", "reason", "obligations", "approval_level"];

pub(super) fn run(
    enforced: &Files,
    tests: &Files,
    bench: &mut Bench<'_>,
) -> Result<(), Vec<Fault>> {
    let texts = enforced
        .iter()
        .filter_map(|(file, text)| Some((file.strip_prefix(PACKAGES)?.to_owned(), text.clone())));
    let packages = Packages::read(&texts.collect()).map_err(|InvalidPackages(faults)| faults)?;
    for file in tests.keys() {
        let name = file.strip_prefix(PACKAGES);
        let of = name.and_then(|name| name.strip_suffix(RULES).or(name.strip_suffix(FIXTURES)));
        let of = of.map(|name| format!("{PACKAGES}{name}.rego"));
        if let Some(of) = of.filter(|of| !enforced.contains_key(of)) {
            bench.faults.add(file, format!("there is no {of} that it could test"));
        }
    }
    let policies = Policies {
        matrix: Arc::new(Matrix::built_in()),
        registry: None,
        packages: Some(Arc::new(packages)),
        authz: None,
        routes: None,
    };
    for package in policies.packages.iter().flat_map(|packages| packages.iter()) {
        each(package, &policies, enforced, tests, bench);
    }
    Ok(())
}

fn each(
    package: &Package,
    policies: &Policies,
    enforced: &Files,
    tests: &Files,
    bench: &mut Bench<'_>,
) {
    let file = format!("{PACKAGES}{}", package.file);
    let name = file.strip_suffix(".rego").unwrap_or(&file);
    let mut reached = Reached::default();
    let (rules, fixtures) = (format!("{name}{RULES}"), format!("{name}{FIXTURES}"));
    if let (Some(text), Some(rule)) = (tests.get(&rules), enforced.get(&file)) {
        let data = Package::no_data();
        bench.trial(&[(&file, rule)], &[(&rules, text)], &data, &mut reached);
    }
    let marked = package.marked();
    let text = tests.get(&fixtures);
    let read = text.map(|text| read(&fixtures, text, "question", &mut bench.faults));
    for fixture in read.unwrap_or_default() {
        expect(&fixture, &mut bench.faults);
        let asked = fixture.asked.to_string();
        let asked = Json::read(&asked).map_err(|error| error.to_string());
        let question = match &asked {
            Ok(asked) => Question::read(asked, Form::Check).map_err(|fault| fault.to_string()),
            Err(error) => Err(error.clone()),
        };
        let question = match question {
            Ok(question) => question,
            Err(error) => {
                bench.faults.add(format!("{}/question", fixture.at), error);
                continue;
            }
        };
        bench.test(&fixtures, &fixture.at, &fixture.name, |bench| {
            package.reach(&marked, &question, bench.at, &mut reached);
            let decision = policies.decide(&question, Holder::Stranger, bench.at);
            told(package, &fixture, &decision)
        });
    }
    let inner = |mut lines: Reached| {
        if let Some(found) = lines.0.remove(&*package.file) {
            lines.0.entry(file.clone()).or_default().extend(found);
        }
        lines
    };
    bench.report.coverage.extend(of_lines(&inner(marked.lines()), &inner(reached)));
}

fn expect(fixture: &Fixture, faults: &mut Faults) {
    let at = format!("{}/expect", fixture.at);
    let taken = Taken::of(at, &fixture.expect, &KNOWN, faults);
    let effect = taken.text("effect", faults);
    if effect.is_some_and(|effect| !["allow", "deny", "requires_approval"].contains(&effect)) {
        faults.add(format!("{}/effect", taken.at), "must be allow, deny or requires_approval");
    }
    taken.text("reason", faults);
    let level = taken.get("approval_level").filter(|level| !level.is_null());
    if level.is_some_and(|level| !level.as_u64().is_some_and(|level| (1..=5).contains(&level))) {
        faults.add(format!("{}/approval_level", taken.at), "must be 1 to 5, or null");
    }
}

/// What became of a question: only what is expected is compared.
fn told(package: &Package, fixture: &Fixture, decision: &Decision) -> Outcome {
    let verdict = &decision.verdict;
    let expected = |found: String| Outcome::Failed { expected: written(&fixture.expect), found };
    if decision.policy.package != package.id {
        let what =
            "answered, not the package that is tested: which system and type has the resource?";
        return expected(format!("`{}` {what}", decision.policy.package));
    }
    let found: Map<String, Value> = fixture
        .expect
        .keys()
        .map(|name| {
            let value = match &**name {
                "effect" => verdict.effect.as_str().into(),
                "reason" => verdict.reason.to_string().into(),
                "obligations" => serde_json::to_value(&verdict.obligations).unwrap_or_default(),
                _ => verdict.approval_level.into(),
            };
            (name.clone(), value)
        })
        .collect();
    if found == fixture.expect {
        return Outcome::Passed;
    }
    let said: String = verdict.diagnostics.iter().map(|said| format!(" ({said})")).collect();
    expected(written(&found) + &said)
}

fn written(members: &Map<String, Value>) -> String {
    let each = members.iter().map(|(name, value)| match value {
        Value::String(text) => format!("{name} {text}"),
        other => format!("{name} {other}"),
    });
    each.collect::<Vec<_>>().join(", ")
}
