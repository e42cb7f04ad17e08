//! The members of a request's body, or the parameters of its query, taken one by one.
//!
//! Taking them by hand, not by derive, is what lets a 400 name every field at fault, known or not.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use countersign_ground::clock::{Time, ago};
use countersign_ground::problem::Problem;
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::Value;

/// Fields not taken yet, and what was wrong with those that were.
pub struct Fields {
    values: BTreeMap<String, Value>,
    faults: BTreeMap<String, String>,
}

impl Fields {
    /// Reads a JSON object. A name given twice is a fault: readers differ on which one counts.
    ///
    /// # Errors
    /// When it is not a JSON object.
    pub fn from_json(body: &[u8]) -> Result<Self, serde_json::Error> {
        let Members(members) = serde_json::from_slice(body)?;
        Ok(Self::new(members))
    }

    /// Reads a query string.
    #[must_use]
    pub fn from_query(query: &str) -> Self {
        let pairs = form_urlencoded::parse(query.as_bytes());
        Self::new(pairs.map(|(name, value)| (name.into_owned(), Value::from(&*value))).collect())
    }

    fn new(pairs: Vec<(String, Value)>) -> Self {
        let mut fields = Self { values: BTreeMap::new(), faults: BTreeMap::new() };
        for (name, value) in pairs {
            if fields.values.contains_key(&name) {
                fields.fault(&name, "given more than once");
            }
            // PostgreSQL can't store it, and nothing meant for people holds it.
            if holds_nul(&value) {
                fields.fault(&name, "must not contain U+0000");
            }
            fields.values.insert(name, value);
        }
        fields
    }

    /// Whether the field is there.
    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        self.values.contains_key(name)
    }

    /// Notes a fault.
    pub fn fault(&mut self, name: &str, what: impl Into<String>) {
        self.faults.entry(name.to_owned()).or_insert(what.into());
    }

    /// A field that may be missing; `null` is not missing.
    pub fn optional<T>(
        &mut self,
        name: &str,
        read: impl FnOnce(Value) -> Result<T, String>,
    ) -> Option<T> {
        let value = self.values.remove(name)?;
        match read(value) {
            Ok(value) => Some(value),
            Err(what) => {
                self.fault(name, what);
                None
            }
        }
    }

    /// A field that must be there.
    pub fn required<T>(
        &mut self,
        name: &str,
        read: impl FnOnce(Value) -> Result<T, String>,
    ) -> Option<T> {
        if !self.has(name) {
            self.fault(name, "is required");
        }
        self.optional(name, read)
    }

    /// Refuses what was at fault, and every field that nobody took.
    ///
    /// # Errors
    /// A 400 that names them all.
    pub fn finish(mut self) -> Result<(), Problem> {
        for name in std::mem::take(&mut self.values).into_keys() {
            let shown: String = name.chars().take(64).collect();
            self.fault(&shown, "is not a known field");
        }
        if self.faults.is_empty() { Ok(()) } else { Err(Problem::fields(self.faults)) }
    }
}

fn holds_nul(value: &Value) -> bool {
    match value {
        Value::String(text) => text.contains('\0'),
        Value::Array(items) => items.iter().any(holds_nul),
        Value::Object(members) => {
            members.iter().any(|(name, value)| name.contains('\0') || holds_nul(value))
        }
        _ => false,
    }
}

/// Reads a string.
///
/// # Errors
/// When it is something else.
pub fn text(value: Value) -> Result<String, String> {
    match value {
        Value::String(text) => Ok(text),
        _ => Err("must be a string".into()),
    }
}

/// Reads a string of at least one and at most `most` characters.
pub fn text_up_to(most: usize) -> impl FnOnce(Value) -> Result<String, String> {
    move |value| {
        let text = text(value)?;
        if (1..=most).contains(&text.chars().count()) {
            Ok(text)
        } else {
            Err(format!("must have 1 to {most} characters"))
        }
    }
}

/// Reads a string that parses; the parser's error says what would be right.
///
/// # Errors
/// When it doesn't.
pub fn parsed<T: FromStr<Err: fmt::Display>>(value: Value) -> Result<T, String> {
    text(value)?.parse().map_err(|error: T::Err| error.to_string())
}

/// Reads a time as RFC 3339 writes it.
///
/// # Errors
/// When it is something else.
pub fn time(value: Value) -> Result<Time, String> {
    let wanted = "expected a time such as `2026-01-31T12:00:00Z` (RFC 3339)";
    text(value)?.parse().map_err(|_| wanted.to_owned())
}

/// Reads a time to look back to: as RFC 3339 writes it, or how long before `now`.
pub fn since(now: Time) -> impl FnOnce(Value) -> Result<Time, String> {
    move |value| {
        let text = text(value)?;
        let wanted = "expected a time such as `2026-01-31T12:00:00Z` (RFC 3339), `24h` or `7d`";
        ago(&text)
            .map(|ago| now - ago)
            .or_else(|| text.parse().ok())
            .ok_or_else(|| wanted.to_owned())
    }
}

/// Reads a flag.
///
/// # Errors
/// When it is something else.
pub fn flag(value: Value) -> Result<bool, String> {
    value.as_bool().ok_or_else(|| "must be `true` or `false`".into())
}

/// Reads an integer of a body.
pub fn integer(least: i64, most: i64) -> impl FnOnce(Value) -> Result<i64, String> {
    move |value| within(value.as_i64(), least, most)
}

/// Reads an integer of a query, where everything is text.
pub fn query_integer(least: i64, most: i64) -> impl FnOnce(Value) -> Result<i64, String> {
    move |value| within(value.as_str().and_then(|text| text.parse().ok()), least, most)
}

fn within(number: Option<i64>, least: i64, most: i64) -> Result<i64, String> {
    number
        .filter(|number| (least..=most).contains(number))
        .ok_or_else(|| format!("must be an integer from {least} to {most}"))
}

/// Reads a list, each item by `read`.
pub fn list<T>(
    most: usize,
    read: impl Fn(Value) -> Result<T, String>,
) -> impl FnOnce(Value) -> Result<Vec<T>, String> {
    move |value| {
        let Value::Array(items) = value else { return Err("must be a list".into()) };
        if items.len() > most {
            return Err(format!("must have at most {most} items"));
        }
        let items = items.into_iter().enumerate();
        items.map(|(i, item)| read(item).map_err(|what| format!("item {i}: {what}"))).collect()
    }
}

/// Reads an address: a dot-string of at most 64 octets and a domain of at most 255 (RFC 5321
/// sections 4.1.2 and 4.5.3.1).
///
/// # Errors
/// When it is something else.
pub fn email(value: Value) -> Result<String, String> {
    let text = text(value)?;
    let atom = |atom: &str| {
        !atom.is_empty()
            && atom
                .bytes()
                .all(|c| c.is_ascii_alphanumeric() || b"!#$%&'*+-/=?^_`{|}~".contains(&c))
    };
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|c| c.is_ascii_alphanumeric() || c == b'-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    let valid = text.rsplit_once('@').is_some_and(|(local, domain)| {
        text.len() <= 254
            && local.len() <= 64
            && local.split('.').all(atom)
            && domain.len() <= 255
            && domain.split('.').all(label)
    });
    if valid { Ok(text) } else { Err("must be an address such as `name@agents.example`".into()) }
}

/// An object's members as they stand, duplicates included.
struct Members(Vec<(String, Value)>);

impl<'de> Deserialize<'de> for Members {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Object;
        impl<'de> Visitor<'de> for Object {
            type Value = Members;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a JSON object")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(Members(members))
            }
        }
        deserializer.deserialize_map(Object)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses() {
        for right in ["a@b", "a.b+c@d-e.example", &format!("{}@b", "a".repeat(64))] {
            assert!(email(right.into()).is_ok(), "{right}");
        }
        let (long, wide) = ("a".repeat(65) + "@b", format!("a@{}", "b.".repeat(127) + "bb"));
        for wrong in
            ["", "@", "a@", "@b", "a b@c", "a..b@c", ".a@b", "a@-b", "a@b.", "ä@b", &long, &wide]
        {
            assert!(email(wrong.into()).is_err(), "{wrong}");
        }
    }
}
