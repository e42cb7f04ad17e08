//! From what is known here to what rules see.

use regorus::Value;
use regorus::value::Object as RegoObject;

use crate::json::Json;

/// The longest reason.
pub(crate) const REASON: usize = 64;

/// Whether this may be a reason that rules give: one word.
pub(crate) fn is_reason(text: &str) -> bool {
    let known = |byte: u8| byte.is_ascii_alphanumeric() || b"_-:.".contains(&byte);
    (1..=REASON).contains(&text.len()) && text.bytes().all(known)
}

/// An object.
pub(crate) fn object<'n>(members: impl IntoIterator<Item = (&'n Value, Value)>) -> Value {
    members.into_iter().map(|(name, value)| (name.clone(), value)).collect::<RegoObject>().into()
}

/// An object of JSON members.
pub(crate) fn members<'m>(members: impl Iterator<Item = (&'m str, &'m Json<'m>)>) -> Value {
    members.map(|(name, value)| (name.into(), rego(value))).collect::<RegoObject>().into()
}

/// A JSON value.
pub(crate) fn rego(json: &Json<'_>) -> Value {
    match json {
        Json::Null => Value::Null,
        Json::Bool(flag) => Value::Bool(*flag),
        Json::Number(number) => serde_json::Value::Number(number.clone()).into(),
        Json::Text(text) => (&**text).into(),
        Json::List(items) => items.iter().map(rego).collect::<Vec<_>>().into(),
        Json::Object(object) => members(object.iter()),
    }
}

/// A string, or null.
pub(crate) fn optional(text: Option<&str>) -> Value {
    text.map_or(Value::Null, Value::from)
}
