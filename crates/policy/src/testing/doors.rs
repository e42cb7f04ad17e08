//! Tests of what is asked at every door.

use std::sync::Arc;

use serde_json::Value;

use super::coverage::of_lines;
use super::fixtures::{Fixture, Taken, read};
use super::{Bench, Coverage, FIXTURES, Files, Outcome, PACKAGES, RULES, texts};
use crate::authz::{Answer, Asked, Authz, InvalidAuthz, Place};
use crate::fault::{Fault, Faults};
use crate::rego::{Marked, Reached};
use crate::{InvalidPermission, Permissions};

/// One question, held.
struct Door<'f> {
    method: &'f str,
    path: &'f str,
    scopes: Permissions,
    agent: Option<&'f str>,
    roles: Vec<Arc<str>>,
    tenant: &'f str,
}

/// What is expected of it.
struct Expected<'f> {
    allow: bool,
    reason: Option<&'f str>,
}

/// What tests reached.
#[derive(Default)]
struct Seen {
    lines: Reached,
    endpoints: Vec<Place>,
}

pub(super) fn run(
    enforced: &Files,
    tests: &Files,
    bench: &mut Bench<'_>,
) -> Result<(), Vec<Fault>> {
    let authz = Authz::read(enforced).map_err(|InvalidAuthz(faults)| faults)?;
    let rules = texts(tests, |file| !file.starts_with(PACKAGES) && file.ends_with(RULES));
    let fixtures = texts(tests, |file| !file.starts_with(PACKAGES) && file.ends_with(FIXTURES));
    let Some(authz) = authz else {
        if let Some((file, _)) = rules.iter().chain(&fixtures).next() {
            let what = "there is nothing to test: no authz.wasm, no *.rego and no data/scopes.json is there";
            bench.faults.add(*file, what);
        }
        return Ok(());
    };
    let mut seen = Seen::default();
    match authz.data() {
        Some(data) => {
            let enforced = texts(enforced, crate::authz::is_rules);
            bench.trial(&enforced, &rules, data, &mut seen.lines);
        }
        None => {
            if let Some((file, _)) = rules.first() {
                let what = "no rules in Rego are enforced here: put questions and answers into a file *_test.json";
                bench.faults.add(*file, what);
            }
        }
    }
    let marked = authz.marked();
    for (file, text) in fixtures {
        ask_all(file, text, (&authz, marked.as_ref()), &mut seen, bench);
    }
    if let Some(marked) = marked {
        bench.report.coverage.extend(of_lines(&marked.lines(), &seen.lines));
    }
    let all = authz.endpoints(enforced);
    bench.report.coverage.extend(all.map(|all| of_endpoints(&all, &seen.endpoints)));
    Ok(())
}

/// Asks the questions of a file.
fn ask_all(
    file: &str,
    text: &str,
    (authz, marked): (&Authz, Option<&Marked>),
    seen: &mut Seen,
    bench: &mut Bench<'_>,
) {
    for fixture in read(file, text, "request", &mut bench.faults) {
        let (Some(door), Some(expected)) =
            (door(&fixture, &mut bench.faults), expected(&fixture, &mut bench.faults))
        else {
            continue;
        };
        bench.test(file, &fixture.at, &fixture.name, |bench| {
            let asked = door.asked();
            if let Some(marked) = marked {
                authz.reach(marked, &asked, bench.at, &mut seen.lines);
            }
            seen.endpoints.extend(authz.endpoint(&asked));
            told(&expected, &authz.ask(&asked, bench.at))
        });
    }
}

fn of_endpoints(all: &[(Place, String)], reached: &[Place]) -> Coverage {
    let missed = all.iter().filter(|(at, _)| !reached.contains(at));
    let missed: Vec<String> = missed.map(|(_, name)| name.clone()).collect();
    Coverage {
        file: crate::authz::SCOPES.to_owned(),
        of: "endpoints",
        total: all.len(),
        reached: all.len() - missed.len(),
        missed,
    }
}

impl Door<'_> {
    fn asked(&self) -> Asked<'_> {
        Asked {
            method: self.method,
            path: self.path,
            scopes: &self.scopes,
            agent: self.agent,
            roles: &self.roles,
            tenant: self.tenant,
        }
    }
}

fn door<'f>(fixture: &'f Fixture, faults: &mut Faults) -> Option<Door<'f>> {
    let at = format!("{}/request", fixture.at);
    let Value::Object(members) = &fixture.asked else {
        faults.add(at, "must be an object");
        return None;
    };
    let known = ["method", "path", "scopes", "agentId", "roles", "tenant"];
    let taken = Taken::of(at, members, &known, faults);
    let scopes: Result<Permissions, InvalidPermission> =
        taken.texts("scopes", faults).into_iter().map(str::parse).collect();
    let scopes = scopes.unwrap_or_else(|error| {
        faults.add(format!("{}/scopes", taken.at), error.to_string());
        Permissions::default()
    });
    Some(Door {
        method: taken.needed("method", faults),
        path: taken.needed("path", faults),
        scopes,
        agent: taken.text("agentId", faults),
        roles: taken.texts("roles", faults).into_iter().map(Arc::from).collect(),
        tenant: taken.text("tenant", faults).unwrap_or("default"),
    })
}

fn expected<'f>(fixture: &'f Fixture, faults: &mut Faults) -> Option<Expected<'f>> {
    let at = format!("{}/expect", fixture.at);
    let taken = Taken::of(at, &fixture.expect, &["allow", "reason"], faults);
    let Some(Value::Bool(allow)) = taken.get("allow") else {
        faults.add(format!("{}/allow", taken.at), "must be true or false");
        return None;
    };
    let reason = taken.text("reason", faults);
    if *allow && reason.is_some() {
        faults.add(format!("{}/reason", taken.at), "only a denial has a reason");
    }
    Some(Expected { allow: *allow, reason })
}

/// What became of a question.
fn told(expected: &Expected<'_>, answer: &Answer) -> Outcome {
    let (found, said) = match answer {
        Answer::Allow => ("allow".to_owned(), None),
        Answer::Deny { reason, diagnostic } => (format!("deny {reason}"), diagnostic.as_deref()),
    };
    let reason = found.strip_prefix("deny ");
    let wanted = expected.reason.is_none() || expected.reason == reason;
    if expected.allow == answer.allows() && wanted {
        return Outcome::Passed;
    }
    let expected = match (expected.allow, expected.reason) {
        (true, _) => "allow".to_owned(),
        (false, None) => "deny".to_owned(),
        (false, Some(reason)) => format!("deny {reason}"),
    };
    let found = said.map_or_else(|| found.clone(), |said| format!("{found} ({said})"));
    Outcome::Failed { expected, found }
}
