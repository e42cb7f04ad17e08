//! What the rule `decision` gave, held to its form: `{effect, reason, obligations?, approval_level?}`.

use regorus::Value;
use serde_json::Value as Json;

use super::Package;
use crate::decision::{Effect, Obligation, Reason, Verdict};
use crate::rego::{REASON, is_reason, size};

/// The largest decision, as [`size`] measures it.
const LARGEST: u64 = 64 << 10;

impl Package {
    /// Reads what the rule gave.
    pub(super) fn answer(&self, value: &Value) -> Result<Verdict, String> {
        if *value == Value::Undefined {
            let mut verdict = Verdict::new(Err(Reason::NoMatchingRule));
            let what = format!("{}: `decision` has no value: no rule applies", self.file);
            verdict.diagnostics.push(what.into());
            return Ok(verdict);
        }
        if size(value, LARGEST) >= LARGEST {
            return Err("is too large".to_owned());
        }
        let json = serde_json::to_value(value).map_err(|error| format!("is no JSON: {error}"))?;
        let Json::Object(members) = json else { return Err("must be an object".to_owned()) };
        let mut verdict = Verdict::new(Err(Reason::Error));
        let (mut effect, mut reason) = (None, None);
        for (name, value) in members {
            match name.as_str() {
                "effect" => effect = Some(read_effect(&value)?),
                "reason" => reason = Some(read_reason(value)?),
                "obligations" => verdict.obligations = read_obligations(value)?,
                "approval_level" => verdict.approval_level = Some(read_level(&value)?),
                _ => {
                    return Err(format!(
                        "has a member `{}` that is not known",
                        name.escape_debug()
                    ));
                }
            }
        }
        verdict.effect = effect.ok_or("has no `effect`")?;
        let reason = reason.ok_or("has no `reason`")?;
        verdict.rule = Some(format!("{}/{reason}", self.id).into());
        verdict.reason = Reason::Stated(reason.into());
        Ok(verdict)
    }
}

fn read_effect(value: &Json) -> Result<Effect, String> {
    match value.as_str() {
        Some("allow") => Ok(Effect::Allow),
        Some("deny") => Ok(Effect::Deny),
        Some("requires_approval") => Ok(Effect::RequiresApproval),
        _ => Err("must have an `effect` of allow, deny or requires_approval".to_owned()),
    }
}

fn read_reason(value: Json) -> Result<String, String> {
    match value {
        Json::String(reason) if is_reason(&reason) => Ok(reason),
        _ => Err(format!(
            "must have a `reason`: one word of 1 to {REASON} letters, digits, `_`, `-`, `:` or `.`"
        )),
    }
}

fn read_obligations(value: Json) -> Result<Vec<Obligation>, String> {
    let wrong = || "must have `obligations` that are a list of {type, parameters}".to_owned();
    let Json::Array(listed) = value else { return Err(wrong()) };
    let read = |one: Json| {
        let Json::Object(mut members) = one else { return Err(wrong()) };
        let (name, parameters) = (members.remove("type"), members.remove("parameters"));
        let Some(Json::String(name)) = name.filter(|_| members.is_empty()) else {
            return Err(wrong());
        };
        let parameters = parameters.unwrap_or_else(|| Json::Object(serde_json::Map::new()));
        Ok(Obligation { r#type: name.into(), parameters })
    };
    listed.into_iter().map(read).collect()
}

fn read_level(value: &Json) -> Result<u8, String> {
    let level = value.as_u64().and_then(|level| u8::try_from(level).ok());
    level
        .filter(|level| (1..=5).contains(level))
        .ok_or_else(|| "must have an `approval_level` of 1 to 5".to_owned())
}
