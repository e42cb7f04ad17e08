//! `with`, in tests. The compiler knows none, so a test is rewritten before it is compiled: of
//! `not authz.allow with input as {"method": "GET"}` becomes
//! `not with__1[0]; with__0 := {"method": "GET"}; with__1 := __builtin_host_await([0, with__0], "with")`.
//! There the evaluator stops, and goes on with what a second evaluation of that rule gave under that input: a list of
//! one, or of none where it has no value. Every line stays where it is.

mod names;
mod walk;

use std::collections::HashMap;
use std::ops::Range;

use regorus::Source;
use regorus::unstable::{Module, Parser, Span};

pub(super) use self::names::{Known, of_rule, package};
use self::walk::Walk;
pub(super) use self::walk::is_name;
use super::parse::guarded;
use super::text;
use super::words::words;
use crate::fault::Fault;

/// What the compiler takes for a stop.
pub(super) const STOP: &str = "__builtin_host_await";

/// What a value is asked for.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Target {
    Input,
    /// What lies in `data` below these names.
    Data(Vec<String>),
    /// A rule, by its whole path.
    Rule(String),
}

/// What a `with` replaces.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Place {
    Input(Vec<String>),
    Data(Vec<String>),
    /// `time.now_ns`
    Now,
}

/// One question that a stop asks.
#[derive(Debug, Clone)]
pub(super) struct Ask {
    pub(super) target: Target,
    pub(super) places: Vec<Place>,
}

/// A text that has been parsed by itself.
pub(super) struct Text<'t> {
    file: &'t str,
    text: &'t str,
    pub(super) module: Module,
}

impl<'t> Text<'t> {
    pub(super) fn read(file: &'t str, text: &'t str) -> Result<Self, Fault> {
        text::check(file, text)?;
        let parsed = guarded(file, || {
            let source = Source::from_contents(file.to_owned(), text.to_owned())?;
            let mut parser = Parser::new(&source)?;
            parser.enable_rego_v1()?;
            parser.parse()
        })?;
        let module = parsed.map_err(|error| placed(file, text, &error.to_string()))?;
        let text = Self { file, text, module };
        let words = words(text.text).unwrap_or_default();
        if let Some(word) = words.iter().find(|word| word.is_ident(STOP)) {
            let line = text.text[..word.at.start].matches('\n').count() + 1;
            return Err(text.fault(line, format!("`{STOP}` is not known here")));
        }
        Ok(text)
    }

    pub(super) fn file(&self) -> &'t str {
        self.file
    }

    pub(super) fn fault(&self, line: usize, what: String) -> Fault {
        Fault { at: format!("{}:{line}", self.file), what }
    }
}

fn placed(file: &str, text: &str, error: &str) -> Fault {
    match super::lines::Lines::behind_each_other(&[(file, text)]) {
        Some((lines, _)) => lines.placed(file, error),
        None => Fault { at: file.to_owned(), what: "has too many lines".to_owned() },
    }
}

/// A text without `with`, and the questions of its stops behind those that `asks` holds.
pub(super) fn rewritten(
    text: &Text<'_>,
    known: &Known,
    fresh: &Fresh,
    asks: &mut Vec<Ask>,
) -> Result<String, Fault> {
    let words = words(text.text).ok_or_else(|| text.fault(1, "is not understood".to_owned()))?;
    let mut walk = Walk::new(text, known, &words, fresh, asks);
    walk.module()?;
    Ok(put(text.text, walk.edits))
}

/// What stands in a text in the place of a range.
type Edit = (Range<usize>, String);

fn put(text: &str, mut edits: Vec<Edit>) -> String {
    // Those at one place stay in the order in which they were made.
    edits.sort_by_key(|(range, _)| range.start);
    let (mut out, mut end) = (String::with_capacity(text.len() * 2), 0);
    for (range, new) in edits {
        out.push_str(text.get(end..range.start).unwrap_or_default());
        out.push_str(&new);
        end = range.end.max(end);
    }
    out.push_str(&text[end..]);
    out
}

/// Names that stand in none of the texts.
pub(super) struct Fresh(String);

impl Fresh {
    pub(super) fn of<'t>(texts: impl Iterator<Item = &'t str> + Clone) -> Self {
        let mut prefix = "with__".to_owned();
        while texts.clone().any(|text| text.contains(&prefix)) {
            prefix.push('_');
        }
        Self(prefix)
    }
}

/// Questions by what they ask, within one statement.
type Asked = HashMap<Target, String>;

fn range(span: &Span) -> Range<usize> {
    let at = |at: u32| usize::try_from(at).unwrap_or(usize::MAX);
    at(span.start)..at(span.end)
}

fn line(span: &Span) -> usize {
    usize::try_from(span.line).unwrap_or(0)
}
