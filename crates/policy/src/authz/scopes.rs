//! The form without rules: `data/scopes.json`, `{"GET /api/v1/agents/:id": ["agents:read"]}`. All scopes that are
//! listed are needed; none listed means that being authenticated is enough.

use serde_json::Value;

use super::SCOPES;
use super::endpoints::{Endpoints, Segment};
use super::segments::{is_plain, is_uuid, of};
use crate::fault::{Faults, escaped};
use crate::permission::is_word;
use crate::{Permission, strict};

/// The longest text, in bytes.
const LONGEST: usize = 4 << 20;
/// The most segments of a path.
const DEEPEST: usize = 32;
/// The most scopes of an endpoint.
const MOST: usize = 64;

/// Reads the table.
pub(super) fn read(text: &str, faults: &mut Faults) -> Option<Endpoints> {
    if text.len() > LONGEST {
        faults.add(SCOPES, format!("may be {LONGEST} bytes long; this is {}", text.len()));
        return None;
    }
    let value = strict(text).map_err(|error| faults.add(SCOPES, error.to_string())).ok()?;
    let Value::Object(entries) = value else {
        faults.add(SCOPES, "must be an object of endpoints");
        return None;
    };
    let mut endpoints = Endpoints::default();
    for (endpoint, scopes) in &entries {
        let at = format!("{SCOPES}#/{}", escaped(endpoint));
        let scopes = read_scopes(&at, scopes, faults);
        match read_endpoint(endpoint) {
            Err(what) => faults.add(at, what),
            Ok((method, path)) => {
                if !endpoints.add(method, path.into_iter(), scopes) {
                    faults.add(at, "is the same endpoint as another one");
                }
            }
        }
    }
    Some(endpoints)
}

pub(super) fn read_endpoint(endpoint: &str) -> Result<(&str, Vec<Segment<'_>>), String> {
    let form = || "must be a method and a path, such as `GET /api/v1/agents/:id`".to_owned();
    let (method, path) = endpoint.split_once(' ').ok_or_else(form)?;
    if method.is_empty() || !method.bytes().all(|byte| byte.is_ascii_uppercase()) {
        return Err("must begin with a method in upper-case letters".to_owned());
    }
    let segments = of(path).ok_or_else(form)?.map(read_segment);
    let segments: Vec<_> = segments.collect::<Result<_, _>>()?;
    if segments.len() > DEEPEST {
        return Err(format!("may have {DEEPEST} segments"));
    }
    Ok((method, segments))
}

fn read_segment(segment: &str) -> Result<Segment<'_>, String> {
    match segment.strip_prefix(':') {
        Some(name) if is_word(name) => Ok(Segment::Any),
        Some(_) => Err("must have a name behind each `:`".to_owned()),
        None if is_uuid(segment) => {
            Err(format!("write `:id` for `{segment}`: any UUID is read so"))
        }
        None if !is_plain(segment) || segment.contains('*') => Err(format!(
            "has a segment `{}` that no path is matched by: write names, and `:id` for what may be anything",
            segment.escape_debug().to_string().chars().take(64).collect::<String>()
        )),
        None => Ok(Segment::Named(segment)),
    }
}

fn read_scopes(at: &str, value: &Value, faults: &mut Faults) -> Vec<Permission> {
    let Value::Array(listed) = value else {
        faults.add(at, "must be a list of scopes");
        return Vec::new();
    };
    if listed.len() > MOST {
        faults.add(at, format!("may list {MOST} scopes"));
        return Vec::new();
    }
    let mut scopes: Vec<Permission> = Vec::new();
    for (i, scope) in listed.iter().enumerate() {
        let at = format!("{at}/{i}");
        match scope.as_str().map(str::parse::<Permission>) {
            Some(Ok(scope)) if scopes.contains(&scope) => {
                faults.add(at, format!("`{scope}` is given more than once"));
            }
            Some(Ok(scope)) => scopes.push(scope),
            Some(Err(error)) => faults.add(at, error.to_string()),
            None => faults.add(at, "must be a string such as `agents:read`"),
        }
    }
    scopes
}
