//! Tests of rules. They are compiled with the rules that they test in a program of their own; what they ask `with`
//! another input is asked of the rules as they are enforced, compiled without the tests, each time as a whole
//! evaluation.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use regorus::Value;
use regorus::unstable::{Rule, RuleHead};
use regorus::value::Object as RegoObject;

use super::marks::{Marked, Reached};
use super::run::{INSTRUCTIONS, Seen, Timer};
use super::with::{Ask, Fresh, Known, Place, Target, Text, is_name, of_rule, package, rewritten};
use super::{Parsed, Rules};
use crate::fault::Fault;

/// Tests that can be run.
pub(crate) struct Trial {
    cases: Vec<Case>,
    /// The tests, and the rules beside them that they ask for `with` something.
    tests: Programs,
    /// The rules that are enforced and asked for `with` something.
    enforced: Programs,
    asks: Vec<Ask>,
}

/// One test.
#[derive(Debug, Clone)]
pub(crate) struct Case {
    pub(crate) file: String,
    pub(crate) line: usize,
    pub(crate) name: String,
    pub(crate) skipped: bool,
    path: String,
}

/// Rules that are asked for by their paths, in programs of a few each.
struct Programs {
    places: BTreeMap<String, (usize, usize)>,
    programs: Vec<(Rules, Marked)>,
}

/// The most evaluations within one test, and how deep they may stand within each other.
const MOST: usize = 1_000;
const DEEPEST: usize = 8;
/// The longest that one test may take in all, both of its runs together.
const TIME: Duration = Duration::from_secs(5);
const TEST: &str = "test_";
const SKIPPED: &str = "todo_test_";

impl Trial {
    /// Reads tests of rules that can be used.
    pub(crate) fn read(enforced: &[(&str, &str)], tests: &[(&str, &str)]) -> Result<Self, Fault> {
        let mut known = Known::default();
        let mut own = BTreeMap::new();
        for (file, text) in enforced {
            let text = Text::read(file, text)?;
            known.add(&text.module);
            own.extend(paths(&text).map(|(path, _)| (path, text.file())));
        }
        let texts = tests.iter().map(|(file, text)| Text::read(file, text));
        let texts = texts.collect::<Result<Vec<_>, _>>()?;
        let (mut cases, mut seen) = (Vec::new(), BTreeSet::new());
        for text in &texts {
            known.add(&text.module);
            for (path, rule) in paths(text) {
                if let Some(file) = own.get(&path) {
                    let what = format!(
                        "adds to `{}` of {file}: tests leave rules as they are enforced",
                        path.join(".")
                    );
                    return Err(text.fault(line(rule), what));
                }
                let Some(case) = case(text, &path, rule)? else { continue };
                // Rules of one path are one "or": one that holds would hide another that fails.
                if !seen.insert(path) {
                    let what = format!("another test is called `{}`, too", case.name);
                    return Err(text.fault(case.line, what));
                }
                cases.push(case);
            }
        }
        let fresh = Fresh::of(tests.iter().map(|(_, text)| *text));
        let mut asks = Vec::new();
        let rewritten = texts.iter().map(|text| rewritten(text, &known, &fresh, &mut asks));
        let rewritten = rewritten.collect::<Result<Vec<_>, _>>()?;
        let rewritten = tests.iter().zip(&rewritten).map(|((file, _), text)| (*file, &**text));
        let all: Vec<_> = enforced.iter().copied().chain(rewritten).collect();
        let asked = asks.iter().filter_map(|ask| match &ask.target {
            Target::Rule(path) => Some(path.as_str()),
            _ => None,
        });
        let own: BTreeSet<String> = own.keys().map(|path| path.join(".")).collect();
        let (asked, beside): (BTreeSet<&str>, BTreeSet<&str>) =
            asked.partition(|path| own.contains(*path));
        let tests = cases.iter().map(|case| &*case.path).chain(beside).collect();
        let tests = Programs::compile(&all, &tests, true)?;
        let enforced = Programs::compile(enforced, &asked, false)?;
        Ok(Self { cases, tests, enforced, asks })
    }

    /// The tests, file by file.
    pub(crate) fn cases(&self) -> &[Case] {
        &self.cases
    }

    /// Runs a test, and again for the lines that it reaches: whether it holds, or where it failed.
    pub(crate) fn run(
        &self,
        case: &Case,
        data: &Value,
        at: i64,
        reached: &mut Reached,
    ) -> Result<bool, String> {
        let seen = Seen { input: Value::Undefined, data: data.clone(), at };
        let timer = Timer::start(TIME);
        let run = |reached| {
            let mut run = Run { trial: self, left: MOST, timer: &timer, reached };
            let value = run.rule(&self.tests, &case.path, &seen, 0);
            (value, run.reached)
        };
        let (value, _) = run(None);
        let (_, lines) = run(Some(Reached::default()));
        reached.add_all(lines.unwrap_or_default());
        value.map(|value| !matches!(value, Value::Undefined | Value::Bool(false)))
    }
}

/// The rules of a text, by their paths.
fn paths<'t>(text: &'t Text<'_>) -> impl Iterator<Item = (Vec<String>, &'t Rule)> {
    let package = package(&text.module);
    text.module.policy.iter().map(move |rule| ([&package[..], &of_rule(rule)].concat(), &**rule))
}

fn line(rule: &Rule) -> usize {
    usize::try_from(rule.span().line).unwrap_or(0)
}

fn case(text: &Text<'_>, path: &[String], rule: &Rule) -> Result<Option<Case>, Fault> {
    let Some(name) = path.last().filter(|name| name.starts_with(TEST) || name.starts_with(SKIPPED))
    else {
        return Ok(None);
    };
    if matches!(rule, Rule::Spec { head: RuleHead::Func { .. }, .. }) {
        return Err(text.fault(line(rule), format!("`{name}` must be a rule, not a function")));
    }
    if !path.iter().all(|name| is_name(name)) {
        let what = "the names of a test and of its package hold letters, digits and `_`".to_owned();
        return Err(text.fault(line(rule), what));
    }
    if let Some(body) = other_body(rule) {
        let what = format!("`{name}` has another body, which is another test: give it a name");
        return Err(text.fault(body, what));
    }
    Ok(Some(Case {
        file: text.file().to_owned(),
        line: line(rule),
        name: name.clone(),
        skipped: name.starts_with(SKIPPED),
        path: path.join("."),
    }))
}

/// The line of a body that is an alternative of the first one, and none of its `else`.
fn other_body(rule: &Rule) -> Option<usize> {
    let Rule::Spec { bodies, .. } = rule else { return None };
    let other = bodies.iter().skip(1).find(|body| !body.is_else)?;
    usize::try_from(other.span.line).ok()
}

impl Programs {
    fn compile(
        files: &[(&str, &str)],
        asked: &BTreeSet<&str>,
        may_stop: bool,
    ) -> Result<Self, Fault> {
        let asked: Vec<&str> = asked.iter().copied().collect();
        let (mut places, mut programs) = (BTreeMap::new(), Vec::new());
        for rules in Parsed::of(files)?.compile_each(&asked, may_stop)? {
            for (at, name) in rules.program.entry_points.keys().enumerate() {
                places.insert(name.clone(), (programs.len(), at));
            }
            let marked = rules.marked();
            programs.push((rules, marked));
        }
        Ok(Self { places, programs })
    }
}

/// One run of a test.
struct Run<'t> {
    trial: &'t Trial,
    /// How many evaluations it may still take.
    left: usize,
    timer: &'t Timer,
    /// The lines that it reaches, when it runs for these.
    reached: Option<Reached>,
}

impl Run<'_> {
    fn rule(
        &mut self,
        of: &Programs,
        path: &str,
        seen: &Seen,
        deep: usize,
    ) -> Result<Value, String> {
        let place = of.places.get(path);
        let Some((at, (rules, marked))) =
            place.and_then(|(program, at)| Some((*at, of.programs.get(*program)?)))
        else {
            return Err(format!("`{path}` is not there"));
        };
        if self.reached.is_none() {
            let stop = |_: usize, argument: &Value| self.answer(argument, seen, deep);
            return rules
                .run_with_stops(at, seen.clone(), INSTRUCTIONS, stop, |value| Ok(value.clone()));
        }
        let mut lines = Reached::default();
        let stop = |argument: &Value| self.answer(argument, seen, deep);
        let value = marked.run_with_stops(at, seen.clone(), &mut lines, stop);
        if let Some(reached) = &mut self.reached {
            reached.add_all(lines);
        }
        value
    }

    /// What a stop goes on with: a list of the value that was asked for, or an empty one.
    fn answer(&mut self, argument: &Value, seen: &Seen, deep: usize) -> Result<Value, String> {
        let (ask, given) = self.asked(argument).ok_or("a question that is not understood")?;
        if deep >= DEEPEST {
            return Err(format!(
                "`with` stands more than {DEEPEST} deep: rules of tests ask each other in a circle"
            ));
        }
        let Some(left) = self.left.checked_sub(1) else {
            return Err(format!("asks more than {MOST} times `with` something: make tests of it"));
        };
        self.left = left;
        if self.timer.is_over() {
            return Err(format!("takes more than {} s in all: make tests of it", TIME.as_secs()));
        }
        let mut seen = seen.clone();
        for (place, value) in ask.places.iter().zip(given) {
            replace(&mut seen, place, value)?;
        }
        let value = match &ask.target {
            Target::Input => seen.input,
            Target::Data(path) => path.iter().fold(seen.data, |value, name| value[&**name].clone()),
            Target::Rule(path) if self.trial.enforced.places.contains_key(path) => {
                self.rule(&self.trial.enforced, path, &seen, deep + 1)?
            }
            Target::Rule(path) => self.rule(&self.trial.tests, path, &seen, deep + 1)?,
        };
        Ok(if value == Value::Undefined { Vec::new() } else { vec![value] }.into())
    }

    fn asked(&self, argument: &Value) -> Option<(Ask, Vec<Value>)> {
        let Value::Array(list) = argument else { return None };
        let mut list = list.iter().cloned();
        let number = list.next()?.as_u64().ok()?;
        let ask = self.trial.asks.get(usize::try_from(number).ok()?)?;
        Some((ask.clone(), list.collect()))
    }
}

fn replace(seen: &mut Seen, place: &Place, value: Value) -> Result<(), String> {
    match place {
        Place::Input(path) => seen.input = put(&seen.input, path, value),
        Place::Data(path) => seen.data = put(&seen.data, path, value),
        Place::Now => {
            let now = value
                .as_i64()
                .map_err(|_| "`with time.now_ns as` takes nanoseconds, a whole number")?;
            if now % 1_000 != 0 {
                return Err(format!(
                    "`with time.now_ns as {now}`: must be whole microseconds, a multiple of 1000"
                ));
            }
            seen.at = now / 1_000;
        }
    }
    Ok(())
}

/// A value with another one in it.
fn put(value: &Value, path: &[String], new: Value) -> Value {
    let Some((name, rest)) = path.split_first() else { return new };
    let inner = put(&value[&**name], rest, new);
    let members = match value {
        Value::Object(members) => {
            members.iter().map(|(name, value)| (name.clone(), value.clone())).collect()
        }
        _ => Vec::new(),
    };
    let members = members.into_iter().chain([(Value::from(&**name), inner)]);
    members.collect::<RegoObject>().into()
}
