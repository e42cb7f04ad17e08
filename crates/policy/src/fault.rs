//! What is wrong with a document, and where.

use std::fmt;

/// The most faults that are told of one document.
const MOST: usize = 20;

/// A place in the text, and what is wrong there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// JSON pointer (RFC 6901); empty for the whole text.
    pub at: String,
    /// What is wrong, and what would be right.
    pub what: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let at = if self.at.is_empty() { "the text" } else { &self.at };
        write!(f, "{at}: {}", self.what)
    }
}

/// The first faults of a document, not thousands.
#[derive(Debug, Default)]
pub(crate) struct Faults(Vec<Fault>);

impl Faults {
    pub(crate) fn add(&mut self, at: impl Into<String>, what: impl Into<String>) {
        if self.0.len() < MOST {
            self.0.push(Fault { at: at.into(), what: what.into() });
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn into_vec(self) -> Vec<Fault> {
        self.0
    }
}

/// A name within a JSON pointer (RFC 6901 section 3), cut where it would flood the answer.
pub(crate) fn escaped(name: &str) -> String {
    name.chars().take(64).collect::<String>().replace('~', "~0").replace('/', "~1")
}
