//! RFC 8785: one text for one JSON value.

use std::fmt::Write;

use serde_json::{Number, Value};

use crate::json::{Json, Members};

/// The JSON canonical form of `value`.
#[must_use]
pub fn canonical(value: &Value) -> String {
    Json::from(value).canonical()
}

impl Json<'_> {
    /// The JSON canonical form.
    #[must_use]
    pub fn canonical(&self) -> String {
        let mut out = String::new();
        self.write(&mut out);
        out
    }

    /// Adds the canonical form.
    pub(crate) fn write(&self, out: &mut String) {
        match self {
            Self::Null => out.push_str("null"),
            Self::Bool(flag) => out.push_str(if *flag { "true" } else { "false" }),
            Self::Number(number) => write_number(out, number),
            Self::Text(text) => write_text(out, text),
            Self::List(items) => {
                out.push('[');
                for (i, item) in items.iter().enumerate() {
                    out.push_str(if i == 0 { "" } else { "," });
                    item.write(out);
                }
                out.push(']');
            }
            Self::Object(members) => members.write(out, |_| true),
        }
    }
}

impl Members<'_> {
    /// Adds an object with those of its members that are kept; they are in order.
    pub(crate) fn write(&self, out: &mut String, kept: impl Fn(&str) -> bool) {
        out.push('{');
        for (i, (name, member)) in self.iter().filter(|(name, _)| kept(name)).enumerate() {
            out.push_str(if i == 0 { "" } else { "," });
            write_text(out, name);
            out.push(':');
            member.write(out);
        }
        out.push('}');
    }
}

/// Section 3.2.2.3: numbers as ECMAScript writes them.
fn write_number(out: &mut String, number: &Number) {
    match (number.as_i64(), number.as_f64()) {
        (Some(int), _) if int.unsigned_abs() <= 1 << 53 => {
            // A string is always written.
            let _ = write!(out, "{int}");
        }
        (_, Some(float)) => out.push_str(ryu_js::Buffer::new().format(float)),
        _ => out.push_str(&number.to_string()),
    }
}

/// Adds a string (section 3.2.2.2): what must be escaped, as briefly as it can be.
pub fn write_text(out: &mut String, text: &str) {
    out.push('"');
    let mut rest = text;
    // Without a way out in the middle, so that it looks at many bytes at once: most need no escapes.
    let special = |byte: u8| (byte < 0x20) | (byte == b'"') | (byte == b'\\');
    if !text.bytes().fold(false, |found, byte| found | special(byte)) {
        out.push_str(text);
        out.push('"');
        return;
    }
    while let Some(at) = rest.bytes().position(special) {
        out.push_str(&rest[..at]);
        match rest.as_bytes()[at] {
            b'"' => out.push_str("\\\""),
            b'\\' => out.push_str("\\\\"),
            0x08 => out.push_str("\\b"),
            0x09 => out.push_str("\\t"),
            0x0a => out.push_str("\\n"),
            0x0c => out.push_str("\\f"),
            0x0d => out.push_str("\\r"),
            control => out.push_str(&format!("\\u{control:04x}")),
        }
        rest = &rest[at + 1..];
    }
    out.push_str(rest);
    out.push('"');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_examples_of_rfc_8785() {
        let numbers = r#"{"numbers":[333333333.33333329,1E30,4.50,2e-3,0.000000000000000000000000001],
            "string":"\u20ac$\u000F\u000aA'\u0042\u0022\u005c\\\"\/","literals":[null,true,false]}"#;
        let value: Value = serde_json::from_str(numbers).unwrap();
        assert_eq!(
            canonical(&value),
            r#"{"literals":[null,true,false],"numbers":[333333333.3333333,1e+30,4.5,0.002,1e-27],"string":"€$\u000f\nA'B\"\\\\\"/"}"#
        );
        let order =
            r#"{"\u20ac":1,"\r":2,"\ufb33":3,"1":4,"\ud83d\ude00":5,"\u0080":6,"\u00f6":7}"#;
        let value: Value = serde_json::from_str(order).unwrap();
        assert_eq!(
            canonical(&value),
            "{\"\\r\":2,\"1\":4,\"\u{80}\":6,\"ö\":7,\"€\":1,\"😀\":5,\"\u{fb33}\":3}"
        );
    }

    #[test]
    fn every_character_is_escaped_as_another_writer_does() {
        let all: String = (0..0x250).filter_map(char::from_u32).collect();
        let value = Value::from(all);
        assert_eq!(canonical(&value), value.to_string());
    }
}
