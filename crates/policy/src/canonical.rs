//! RFC 8785: one text for one JSON value.

use std::fmt;

use serde_json::Value;

/// The JSON canonical form of `value`.
#[must_use]
pub fn canonical(value: &Value) -> String {
    Canonical(value).to_string()
}

/// Displays a value in its canonical form.
#[derive(Debug)]
pub struct Canonical<'v>(pub &'v Value);

impl fmt::Display for Canonical<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            // Section 3.2.2.3: numbers as ECMAScript writes them.
            Value::Number(number) => match (number.as_i64(), number.as_u64(), number.as_f64()) {
                (Some(int), _, _) if int.unsigned_abs() <= 1 << 53 => write!(f, "{int}"),
                (_, _, Some(float)) => f.write_str(ryu_js::Buffer::new().format(float)),
                _ => write!(f, "{number}"),
            },
            Value::Array(items) => {
                f.write_str("[")?;
                for (i, item) in items.iter().enumerate() {
                    write!(f, "{}{}", if i == 0 { "" } else { "," }, Canonical(item))?;
                }
                f.write_str("]")
            }
            Value::Object(members) => {
                let mut members: Vec<_> = members.iter().collect();
                // Section 3.2.3: by UTF-16 code units, which differ from bytes beyond the BMP.
                members.sort_by(|(a, _), (b, _)| a.encode_utf16().cmp(b.encode_utf16()));
                f.write_str("{")?;
                for (i, (name, member)) in members.into_iter().enumerate() {
                    let comma = if i == 0 { "" } else { "," };
                    write!(f, "{comma}{}:{}", Value::from(name.as_str()), Canonical(member))?;
                }
                f.write_str("}")
            }
            // serde_json escapes strings as section 3.2.2.2 asks.
            other => write!(f, "{other}"),
        }
    }
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
}
