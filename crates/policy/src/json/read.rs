//! JSON as people who check it expect: a name given twice is an error, because readers differ on
//! which one counts; and so is an integer that not every reader can hold (RFC 7493 section 2.2).

use std::borrow::Cow;
use std::cell::Cell;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Number, Value};

use super::{Json, Members};

/// Reads one JSON value, and nothing behind it.
///
/// # Errors
/// As [`Json::read`].
pub fn strict(text: &str) -> Result<Value, serde_json::Error> {
    Json::read(text).map(Value::from)
}

impl<'t> Json<'t> {
    /// Reads one JSON value, and nothing behind it.
    ///
    /// # Errors
    /// When it is not JSON, too deep, or an object has a name twice; says where.
    pub fn read(text: &'t str) -> Result<Self, serde_json::Error> {
        let mut source = serde_json::Deserializer::from_str(text);
        let huge = Cell::new(false);
        let value = Strict { huge: &huge }.deserialize(&mut source)?;
        source.end()?;
        // Read as a number with a fraction, it may have been written as an integer.
        if huge.get() && writes_long_integer(text) {
            return Err(serde_json::Error::custom(INEXACT));
        }
        Ok(value)
    }
}

/// Whether an integer stands in a JSON text, outside of its strings, that has more digits than any exact one.
fn writes_long_integer(json: &str) -> bool {
    let mut bytes = json.bytes().peekable();
    while let Some(byte) = bytes.next() {
        match byte {
            b'"' => {
                while let Some(inner) = bytes.next() {
                    match inner {
                        b'"' => break,
                        b'\\' => drop(bytes.next()),
                        _ => {}
                    }
                }
            }
            b'0'..=b'9' => {
                let mut digits = 1;
                while bytes.next_if(u8::is_ascii_digit).is_some() {
                    digits += 1;
                }
                let ends = bytes.next_if(|byte| matches!(byte, b'.' | b'e' | b'E')).is_none();
                if ends && digits > 16 {
                    return true;
                }
                while bytes
                    .next_if(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(byte))
                    .is_some()
                {}
            }
            _ => {}
        }
    }
    false
}

/// Up to here every integer is one that JavaScript and the canonical form can hold.
const EXACT: i64 = 1 << 53;
const INEXACT: &str = "an integer is beyond 9007199254740992, which not every reader can hold";

/// From here on the canonical form writes no integers, whatever the number (RFC 8785 section 3.2.2.3).
const WITH_EXPONENT: f64 = 1e21;

#[derive(Clone, Copy)]
struct Strict<'t> {
    /// A number was met that is too large to say how it was written.
    huge: &'t Cell<bool>,
}

impl<'de> DeserializeSeed<'de> for Strict<'_> {
    type Value = Json<'de>;
    fn deserialize<D: Deserializer<'de>>(self, source: D) -> Result<Json<'de>, D::Error> {
        source.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Strict<'_> {
    type Value = Json<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }
    fn visit_unit<E>(self) -> Result<Json<'de>, E> {
        Ok(Json::Null)
    }
    fn visit_bool<E>(self, flag: bool) -> Result<Json<'de>, E> {
        Ok(Json::Bool(flag))
    }
    fn visit_i64<E: Error>(self, number: i64) -> Result<Json<'de>, E> {
        if number < -EXACT { Err(E::custom(INEXACT)) } else { Ok(Json::Number(number.into())) }
    }
    fn visit_u64<E: Error>(self, number: u64) -> Result<Json<'de>, E> {
        let exact = number <= EXACT.unsigned_abs();
        if exact { Ok(Json::Number(number.into())) } else { Err(E::custom(INEXACT)) }
    }
    fn visit_f64<E: Error>(self, number: f64) -> Result<Json<'de>, E> {
        let size = number.abs();
        // Its canonical form would be an integer that is refused when it is read again.
        if size > EXACT as f64 && size < WITH_EXPONENT {
            return Err(E::custom(INEXACT));
        }
        self.huge.set(self.huge.get() || size >= WITH_EXPONENT);
        // JSON has no others.
        Ok(Number::from_f64(number).map_or(Json::Null, Json::Number))
    }
    fn visit_str<E: Error>(self, text: &str) -> Result<Json<'de>, E> {
        Ok(Json::Text(Cow::Owned(text.to_owned())))
    }
    fn visit_borrowed_str<E: Error>(self, text: &'de str) -> Result<Json<'de>, E> {
        Ok(Json::Text(Cow::Borrowed(text)))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Json<'de>, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element_seed(self)? {
            list.push(item);
        }
        Ok(Json::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Json<'de>, A::Error> {
        let mut object = Vec::new();
        while let Some(name) = members.next_key_seed(Name)? {
            object.push((name, members.next_value_seed(self)?));
        }
        Members::sorted(object)
            .map(Json::Object)
            .map_err(|name| A::Error::custom(format_args!("`{name}` is given more than once")))
    }
}

/// The name of a member.
struct Name;

impl<'de> DeserializeSeed<'de> for Name {
    type Value = Cow<'de, str>;
    fn deserialize<D: Deserializer<'de>>(self, source: D) -> Result<Cow<'de, str>, D::Error> {
        source.deserialize_str(self)
    }
}

impl<'de> Visitor<'de> for Name {
    type Value = Cow<'de, str>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a name")
    }
    fn visit_str<E: Error>(self, text: &str) -> Result<Cow<'de, str>, E> {
        Ok(Cow::Owned(text.to_owned()))
    }
    fn visit_borrowed_str<E: Error>(self, text: &'de str) -> Result<Cow<'de, str>, E> {
        Ok(Cow::Borrowed(text))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_given_once_is_read_as_it_stands() {
        let text = r#"{"a":[1,-2,3.5,true,null,"x"],"b":{"a":{}}}"#;
        assert_eq!(strict(text).unwrap(), serde_json::from_str::<Value>(text).unwrap());
    }

    #[test]
    fn integers_end_where_they_stop_being_exact() {
        for fits in [
            "9007199254740992",
            "-9007199254740992",
            "4503599627370497.5",
            "1e21",
            "-1e300",
            r#"["\"1", 1e21, "12345678901234567890123"]"#,
        ] {
            assert!(strict(fits).is_ok(), "{fits}");
        }
        for too_large in [
            "9007199254740993",
            "-9007199254740993",
            "[18446744073709551615]",
            "9007199254740993.5",
            "1e20",
            "-90071924631038e4",
            "[1e21, -3333333333333333333333333333333]",
            r#"{"a\"": 1e300, "b": 100000000000000000000000}"#,
        ] {
            assert!(strict(too_large).is_err(), "{too_large}");
        }
    }

    #[test]
    fn what_is_given_twice_cut_short_too_deep_or_followed_by_more_is_not_read() {
        let deep = "[".repeat(100_000);
        for wrong in [r#"{"a":1,"a":1}"#, r#"[{"b":{"a":1,"a":2}}]"#, "{", "{} {}", "", &deep] {
            assert!(strict(wrong).is_err(), "{}", &wrong[..wrong.len().min(20)]);
        }
    }
}
