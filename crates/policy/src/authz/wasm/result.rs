//! What a module is asked and answers, as JSON.

use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};

use super::super::rules::DENIED;
use super::super::{Answer, Asked, MODULE};
use crate::decision::Reason;
use crate::rego::{REASON, is_reason};

/// The question.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Input<'a> {
    method: &'a str,
    path: &'a str,
    scopes: Vec<&'a str>,
    agent_id: Option<&'a str>,
    roles: Vec<&'a str>,
    tenant: &'a str,
}

impl<'a> Input<'a> {
    pub(super) fn of(asked: &Asked<'a>) -> Self {
        Self {
            method: asked.method,
            path: asked.path,
            scopes: asked.scopes.iter().map(|scope| scope.as_str()).collect(),
            agent_id: asked.agent,
            roles: asked.roles.iter().map(|role| &**role).collect(),
            tenant: asked.tenant,
        }
    }
}

/// What an entry point gives.
#[derive(Debug, Clone, Copy)]
pub(super) enum Form {
    /// The package, with what is defined in it.
    Package,
    /// The rule `allow`.
    Allow,
}

/// All results: one, or none where it is undefined.
type Results<T> = Vec<One<T>>;

#[derive(Deserialize)]
struct One<T> {
    result: T,
}

#[derive(Deserialize)]
struct Package {
    allow: Option<Flag>,
    reason: Option<Word>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Flag {
    Bool(bool),
    Other(IgnoredAny),
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Word {
    Text(String),
    Other(IgnoredAny),
}

impl Form {
    /// Reads the JSON of a result.
    pub(super) fn answer(self, result: &[u8]) -> Result<Answer, String> {
        let bad = |error: serde_json::Error| format!("its result can't be read: {error}");
        let found = match self {
            Self::Package => only(serde_json::from_slice(result).map_err(bad)?)?,
            Self::Allow => only(serde_json::from_slice(result).map_err(bad)?)?
                .map(|allow| Package { allow: Some(allow), reason: None }),
        };
        let Some(Package { allow, reason }) = found else { return Ok(Answer::deny(DENIED)) };
        match allow {
            Some(Flag::Bool(true)) => Ok(Answer::Allow),
            Some(Flag::Bool(false)) | None => Ok(denied(reason)),
            Some(Flag::Other(_)) => Err("`allow` must be true or false".to_owned()),
        }
    }
}

fn only<T>(mut results: Results<T>) -> Result<Option<T>, String> {
    let result = results.pop().map(|one| one.result);
    match results.is_empty() {
        true => Ok(result),
        false => Err("it gives more than one result".to_owned()),
    }
}

fn denied(reason: Option<Word>) -> Answer {
    match reason {
        None => Answer::deny(DENIED),
        Some(Word::Text(word)) if is_reason(&word) => Answer::deny(Reason::Stated(word.into())),
        Some(_) => Answer::telling(
            DENIED,
            format!(
                "{MODULE}: `reason` must be one word of 1 to {REASON} letters, digits, `_`, `-`, `:` or `.`"
            ),
        ),
    }
}
