//! JSON as a question holds it: lent from its text, its members in the order of the canonical form.

mod read;

use std::borrow::Cow;
use std::cmp::Ordering;
use std::ops::Index;

use serde_json::{Map, Number, Value};

pub use read::strict;

/// A value, lent from the text that it was read from: a question of some hundred bytes takes no more than
/// an allocation for each of its objects.
#[derive(Debug, Clone, PartialEq)]
pub enum Json<'t> {
    /// `null`
    Null,
    /// `true` or `false`
    Bool(bool),
    /// A number.
    Number(Number),
    /// A string.
    Text(Cow<'t, str>),
    /// An array.
    List(Vec<Json<'t>>),
    /// An object.
    Object(Members<'t>),
}

/// The members of an object: each name once, in the order of RFC 8785 section 3.2.3.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Members<'t>(Vec<(Cow<'t, str>, Json<'t>)>);

static NULL: Json<'static> = Json::Null;
static NOTHING: Members<'static> = Members(Vec::new());

/// An object without members.
#[must_use]
pub fn nothing() -> &'static Members<'static> {
    &NOTHING
}

impl<'t> Json<'t> {
    /// A string's text.
    #[must_use]
    pub fn as_str(&self) -> Option<&str> {
        if let Self::Text(text) = self { Some(text) } else { None }
    }

    /// An integer.
    #[must_use]
    pub fn as_i64(&self) -> Option<i64> {
        if let Self::Number(number) = self { number.as_i64() } else { None }
    }

    /// An array's items.
    #[must_use]
    pub fn as_list(&self) -> Option<&[Json<'t>]> {
        if let Self::List(items) = self { Some(items) } else { None }
    }

    /// An object's members.
    #[must_use]
    pub fn as_object(&self) -> Option<&Members<'t>> {
        if let Self::Object(members) = self { Some(members) } else { None }
    }

    /// A member, unless it is absent or null.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Json<'t>> {
        self.as_object()?.get(name).filter(|member| **member != Self::Null)
    }
}

/// A member; null where there is none.
impl<'t> Index<&str> for Json<'t> {
    type Output = Json<'t>;
    fn index(&self, name: &str) -> &Json<'t> {
        self.get(name).unwrap_or(&NULL)
    }
}

impl<'t> Members<'t> {
    /// A member.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Json<'t>> {
        // Most objects have a handful.
        if self.0.len() <= 16 {
            return self.0.iter().find(|(known, _)| known == name).map(|(_, member)| member);
        }
        let at = self.0.binary_search_by(|(known, _)| in_order(known, name)).ok()?;
        Some(&self.0[at].1)
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Json<'t>)> {
        self.0.iter().map(|(name, member)| (&**name, member))
    }

    /// Puts members in order; the name that is there twice, if there is one.
    fn sorted(mut members: Vec<(Cow<'t, str>, Json<'t>)>) -> Result<Self, Cow<'t, str>> {
        if !members.is_sorted_by(|(a, _), (b, _)| in_order(a, b) == Ordering::Less) {
            members.sort_by(|(a, _), (b, _)| in_order(a, b));
            let twice = members.windows(2).position(|two| two[0].0 == two[1].0);
            if let Some(at) = twice {
                return Err(members.swap_remove(at).0);
            }
        }
        Ok(Self(members))
    }
}

/// By UTF-16 code units, which differ from bytes beyond the BMP alone.
fn in_order(a: &str, b: &str) -> Ordering {
    if a.is_ascii() && b.is_ascii() { a.cmp(b) } else { a.encode_utf16().cmp(b.encode_utf16()) }
}

/// Of names that are there twice the last one counts.
impl<'t> FromIterator<(Cow<'t, str>, Json<'t>)> for Members<'t> {
    fn from_iter<I: IntoIterator<Item = (Cow<'t, str>, Json<'t>)>>(members: I) -> Self {
        let mut members: Vec<_> = members.into_iter().collect();
        members.reverse();
        members.sort_by(|(a, _), (b, _)| in_order(a, b));
        members.dedup_by(|(a, _), (b, _)| a == b);
        Self(members)
    }
}

impl<'v> From<&'v Value> for Json<'v> {
    fn from(value: &'v Value) -> Self {
        match value {
            Value::Null => Self::Null,
            Value::Bool(flag) => Self::Bool(*flag),
            Value::Number(number) => Self::Number(number.clone()),
            Value::String(text) => Self::Text(Cow::Borrowed(text)),
            Value::Array(items) => Self::List(items.iter().map(Self::from).collect()),
            Value::Object(members) => Self::Object(members.into()),
        }
    }
}

impl<'v> From<&'v Map<String, Value>> for Members<'v> {
    fn from(members: &'v Map<String, Value>) -> Self {
        members.iter().map(|(name, member)| (Cow::Borrowed(&**name), member.into())).collect()
    }
}

impl From<Json<'_>> for Value {
    fn from(json: Json<'_>) -> Self {
        match json {
            Json::Null => Self::Null,
            Json::Bool(flag) => Self::Bool(flag),
            Json::Number(number) => Self::Number(number),
            Json::Text(text) => Self::String(text.into_owned()),
            Json::List(items) => Self::Array(items.into_iter().map(Self::from).collect()),
            Json::Object(Members(members)) => {
                let members = members.into_iter();
                Self::Object(members.map(|(name, it)| (name.into_owned(), it.into())).collect())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_are_found_and_stand_in_order_however_many_there_are() {
        for count in [0, 1, 16, 17, 200] {
            let names = (0..count).map(|n| format!("{}{n}", ["", "\u{fb33}", "\u{10000}"][n % 3]));
            let names: Vec<String> = names.rev().collect();
            let text: Vec<String> = names.iter().map(|name| format!("{name:?}:{name:?}")).collect();
            let text = format!("{{{}}}", text.join(","));
            let json = Json::read(&text).unwrap();
            let value: Value = serde_json::from_str(&text).unwrap();
            assert_eq!(json, Json::from(&value));
            assert_eq!(Value::from(json.clone()), value);
            let members = json.as_object().unwrap();
            for name in &names {
                assert_eq!(members.get(name).and_then(Json::as_str), Some(&**name));
            }
            assert_eq!((members.get("none"), &json["none"]), (None, &Json::Null));
            let order: Vec<Vec<u16>> =
                members.iter().map(|(name, _)| name.encode_utf16().collect()).collect();
            assert!(order.is_sorted() && order.len() == count);
        }
    }

    #[test]
    fn what_needs_no_escape_is_lent() {
        let json = Json::read(r#"{"plain":"text","with \"quotes\"":"\u00fc"}"#).unwrap();
        let lent: Vec<bool> = json.as_object().unwrap().0.iter().map(is_lent).collect();
        assert_eq!(lent, [true, false]);

        fn is_lent((name, member): &(Cow<'_, str>, Json<'_>)) -> bool {
            matches!((name, member), (Cow::Borrowed(_), Json::Text(Cow::Borrowed(_))))
        }
    }
}
