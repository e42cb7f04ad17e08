//! One object: a line a member. Never wrapped, so that a secret can be copied in one piece.

use serde_json::Value;

use super::{cell, plain};

/// The members of `value`: those in `first` in that order, then the others by name.
pub(crate) fn record(value: &Value, first: &[&str]) -> String {
    let mut members = Vec::new();
    flatten(&mut members, "", value);
    members.sort_by_key(|(name, _)| {
        first.iter().position(|first| first == name).unwrap_or(usize::MAX)
    });
    lines(members)
}

/// Names and values, the values under one another.
pub(crate) fn lines(members: impl IntoIterator<Item = (String, String)>) -> String {
    let members: Vec<_> = members.into_iter().collect();
    let width = members.iter().map(|(name, _)| name.chars().count()).max().unwrap_or(0);
    let line = |(name, value): &(String, String)| format!("{name:width$}  {value}");
    members.iter().map(line).collect::<Vec<_>>().join("\n")
}

/// Members within members get names with dots.
fn flatten(members: &mut Vec<(String, String)>, name: &str, value: &Value) {
    match value {
        Value::Object(inner) if !inner.is_empty() => {
            for (member, value) in inner {
                let member = plain(member);
                let name = if name.is_empty() { member } else { format!("{name}.{member}") };
                flatten(members, &name, value);
            }
        }
        value => members.push((name.to_owned(), cell(value))),
    }
}

#[cfg(test)]
mod tests {
    use insta::assert_snapshot;
    use serde_json::json;

    use super::*;

    #[test]
    fn a_record_is_a_line_a_member() {
        let event = json!({
            "action": "agent.created",
            "eventId": "e1",
            "decisionId": null,
            "metadata": {"scopes": ["agents:read", "audit:read"], "limits": {"rpm": 60}, "none": {}},
        });
        assert_snapshot!(record(&event, &["eventId", "action"]), @r"
        eventId              e1
        action               agent.created
        decisionId           -
        metadata.limits.rpm  60
        metadata.none        {}
        metadata.scopes      agents:read, audit:read
        ");
    }
}
