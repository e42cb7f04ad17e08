//! What reaches the terminal. Standard output carries answers and nothing else; what is said to the
//! person goes to standard error.

mod progress;
mod record;
mod table;

use std::io::{self, Write};

use clap::ValueEnum;
use serde_json::Value;

pub(crate) use self::progress::Progress;
pub(crate) use self::record::{lines, record};
pub(crate) use self::table::{matrix, table};

/// How answers are written.
#[derive(Clone, Copy, Default, ValueEnum)]
pub(crate) enum Output {
    #[default]
    Table,
    Json,
}

impl Output {
    /// Writes an answer: its JSON, or what `for_people` makes of it.
    pub(crate) fn print(
        self,
        value: &Value,
        for_people: impl FnOnce(&Value) -> String,
    ) -> io::Result<()> {
        match self {
            Self::Table => line(&for_people(value)),
            Self::Json => line(&json(&format!("{value:#}"))),
        }
    }

    /// Writes that something without an answer of its own was done.
    pub(crate) fn done(self, what: &str) -> io::Result<()> {
        match self {
            Self::Table => line(what),
            Self::Json => Ok(()),
        }
    }
}

/// Writes to standard output. Never `println!`, which panics when the reader has left.
pub(crate) fn line(text: &str) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    writeln!(stdout, "{text}")?;
    stdout.flush()
}

/// Says something to the person. When even that fails there is nobody left to tell.
pub(crate) fn note(text: &str) {
    let _ = writeln!(io::stderr(), "{text}");
}

/// Asks the person something, on the line of the answer.
pub(crate) fn prompt(question: &str) {
    let mut stderr = io::stderr();
    let _ = write!(stderr, "{question}");
    let _ = stderr.flush();
}

/// What a server sent, harmless to a terminal: others chose these texts, and an escape sequence or a
/// change of writing direction could make a line read as something else.
pub(crate) fn plain(text: &str) -> String {
    text.chars().fold(String::with_capacity(text.len()), |mut plain, c| {
        if c.is_control() || turns_direction(c) {
            plain.extend(c.escape_default());
        } else {
            plain.push(c);
        }
        plain
    })
}

/// JSON text, as harmless as [`plain`] and still the same JSON: such characters stand in strings only.
pub(crate) fn json(text: &str) -> String {
    text.chars().fold(String::with_capacity(text.len()), |mut json, c| {
        if c != '\n' && (c.is_control() || turns_direction(c)) {
            json.push_str(&format!("\\u{:04x}", u32::from(c)));
        } else {
            json.push(c);
        }
        json
    })
}

fn turns_direction(c: char) -> bool {
    matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// The items of a listing: its `data`, or the answer itself when that is a list.
pub(crate) fn rows(answer: &Value) -> &[Value] {
    answer.get("data").unwrap_or(answer).as_array().map_or(&[], Vec::as_slice)
}

/// A member of an answer in one line.
pub(crate) fn cell(value: &Value) -> String {
    match value {
        Value::Null => "-".to_owned(),
        Value::String(text) => plain(text),
        Value::Array(items) if !items.is_empty() => {
            items.iter().map(cell).collect::<Vec<_>>().join(", ")
        }
        other => json(&other.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_escape_sequence_does_not_reach_the_terminal() {
        assert_eq!(plain("a\u{1b}[2Jb\nc\u{202e}d…"), r"a\u{1b}[2Jb\nc\u{202e}d…");
    }

    #[test]
    fn harmless_json_is_the_same_json() {
        let value = json!({"owner": "a\u{9b}2J\u{202e}\u{7f}b\n"});
        let text = super::json(&format!("{value:#}"));
        assert!(!text.contains('\u{9b}') && !text.contains('\u{202e}'));
        assert_eq!(serde_json::from_str::<Value>(&text).unwrap(), value);
    }
}
