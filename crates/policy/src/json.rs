//! JSON as people who check it expect: a name given twice is an error, because readers differ on
//! which one counts; and so is an integer that not every reader can hold (RFC 7493 section 2.2).

use std::fmt;

use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};

/// Reads one JSON value, and nothing behind it.
///
/// # Errors
/// When it is not JSON, too deep, or an object has a name twice; says where.
pub fn strict(text: &str) -> Result<Value, serde_json::Error> {
    let mut source = serde_json::Deserializer::from_str(text);
    let value = Strict.deserialize(&mut source)?;
    source.end()?;
    Ok(value)
}

/// Up to here every integer is one that JavaScript and the canonical form can hold.
const EXACT: i64 = 1 << 53;
const INEXACT: &str = "an integer is beyond 9007199254740992, which not every reader can hold";

#[derive(Clone, Copy)]
struct Strict;

impl<'de> DeserializeSeed<'de> for Strict {
    type Value = Value;
    fn deserialize<D: Deserializer<'de>>(self, source: D) -> Result<Value, D::Error> {
        source.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Strict {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }
    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }
    fn visit_bool<E>(self, flag: bool) -> Result<Value, E> {
        Ok(flag.into())
    }
    fn visit_i64<E: Error>(self, number: i64) -> Result<Value, E> {
        if number < -EXACT { Err(E::custom(INEXACT)) } else { Ok(number.into()) }
    }
    fn visit_u64<E: Error>(self, number: u64) -> Result<Value, E> {
        if number > EXACT.unsigned_abs() { Err(E::custom(INEXACT)) } else { Ok(number.into()) }
    }
    fn visit_f64<E>(self, number: f64) -> Result<Value, E> {
        Ok(number.into())
    }
    fn visit_str<E>(self, text: &str) -> Result<Value, E> {
        Ok(text.into())
    }
    fn visit_string<E>(self, text: String) -> Result<Value, E> {
        Ok(text.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element_seed(Self)? {
            list.push(item);
        }
        Ok(list.into())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Value, A::Error> {
        let mut object = Map::new();
        while let Some(Name(name)) = members.next_key()? {
            if object.contains_key(&name) {
                return Err(A::Error::custom(format_args!("`{name}` is given more than once")));
            }
            object.insert(name, members.next_value_seed(Self)?);
        }
        Ok(object.into())
    }
}

#[derive(Deserialize)]
struct Name(String);

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
        for fits in ["9007199254740992", "-9007199254740992", "9007199254740993.5", "1e300"] {
            assert!(strict(fits).is_ok(), "{fits}");
        }
        for too_large in ["9007199254740993", "-9007199254740993", "[18446744073709551615]"] {
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
