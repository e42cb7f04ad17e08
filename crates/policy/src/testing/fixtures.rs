//! Files of questions, each with the answer that is expected: a list of `{"name", …, "expect"}`.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use crate::fault::Faults;
use crate::strict;

/// One question.
pub(super) struct Fixture {
    /// Where it stands.
    pub(super) at: String,
    pub(super) name: String,
    pub(super) asked: Value,
    pub(super) expect: Map<String, Value>,
}

/// The longest text, in bytes.
const LONGEST: usize = 4 << 20;
/// The longest name, in bytes.
const NAME: usize = 200;

/// Reads a file whose questions are called `question`.
pub(super) fn read(file: &str, text: &str, question: &str, faults: &mut Faults) -> Vec<Fixture> {
    if text.len() > LONGEST {
        faults.add(file, format!("may be {LONGEST} bytes long; this is {}", text.len()));
        return Vec::new();
    }
    let listed = match strict(text) {
        Ok(Value::Array(listed)) if !listed.is_empty() => listed,
        Ok(_) => {
            faults.add(file, format!("must be a list of {{\"name\", \"{question}\", \"expect\"}}"));
            return Vec::new();
        }
        Err(error) => {
            faults.add(file, error.to_string());
            return Vec::new();
        }
    };
    let mut names = BTreeSet::new();
    let mut fixtures = Vec::new();
    for (place, one) in listed.into_iter().enumerate() {
        let at = format!("{file}#/{place}");
        match fixture(at.clone(), one, question) {
            Ok(one) if !names.insert(one.name.clone()) => {
                faults.add(at, format!("another one is called `{}`, too", one.name));
            }
            Ok(one) => fixtures.push(one),
            Err((place, what)) => faults.add(place, what),
        }
    }
    fixtures
}

fn fixture(at: String, one: Value, question: &str) -> Result<Fixture, (String, String)> {
    let Value::Object(mut members) = one else {
        return Err((at, format!("must be {{\"name\", \"{question}\", \"expect\"}}")));
    };
    let fault = |member: &str, what: &str| Err((format!("{at}/{member}"), what.to_owned()));
    let name = match members.remove("name") {
        Some(Value::String(name)) if is_name(&name) => name,
        _ => return fault("name", "must be text of 1 to 200 bytes, without control characters"),
    };
    let Some(asked) = members.remove(question) else { return fault(question, "is missing") };
    let expect = match members.remove("expect") {
        Some(Value::Object(expect)) if !expect.is_empty() => expect,
        _ => return fault("expect", "must be an object of what is expected"),
    };
    if let Some(unknown) = members.keys().next() {
        return fault(&crate::fault::escaped(unknown), "is not known");
    }
    Ok(Fixture { at, name, asked, expect })
}

fn is_name(name: &str) -> bool {
    (1..=NAME).contains(&name.len()) && !name.chars().any(char::is_control)
}

/// The members of an object, each of which must be asked for.
pub(super) struct Taken<'m> {
    pub(super) at: String,
    members: &'m Map<String, Value>,
}

impl<'m> Taken<'m> {
    /// Faults what is not among those that are known.
    pub(super) fn of(
        at: String,
        members: &'m Map<String, Value>,
        known: &[&str],
        faults: &mut Faults,
    ) -> Self {
        for unknown in members.keys().filter(|name| !known.contains(&&***name)) {
            let place = format!("{at}/{}", crate::fault::escaped(unknown));
            faults.add(place, format!("is not known: there are {}", known.join(", ")));
        }
        Self { at, members }
    }

    /// A member that must be text; None and a fault, unless it may be absent.
    pub(super) fn text(&self, name: &str, faults: &mut Faults) -> Option<&'m str> {
        let text = self.members.get(name).filter(|it| !it.is_null())?;
        if !text.is_string() {
            faults.add(format!("{}/{name}", self.at), "must be text");
        }
        text.as_str()
    }

    /// The same that must be there.
    pub(super) fn needed(&self, name: &str, faults: &mut Faults) -> &'m str {
        if self.members.get(name).is_none_or(Value::is_null) {
            faults.add(format!("{}/{name}", self.at), "is missing");
        }
        self.text(name, faults).unwrap_or_default()
    }

    /// A member that is a list of texts, or absent.
    pub(super) fn texts(&self, name: &str, faults: &mut Faults) -> Vec<&'m str> {
        let Some(listed) = self.members.get(name).filter(|it| !it.is_null()) else {
            return Vec::new();
        };
        let texts = listed.as_array().map(|listed| listed.iter().map(Value::as_str).collect());
        texts.flatten().unwrap_or_else(|| {
            faults.add(format!("{}/{name}", self.at), "must be a list of texts");
            Vec::new()
        })
    }

    pub(super) fn get(&self, name: &str) -> Option<&'m Value> {
        self.members.get(name)
    }
}
