//! A table as a file: every fault with the place where it is.

use std::sync::Arc;

use aws_lc_rs::digest::{SHA256, digest};
use serde_json::{Map, Value};

use super::target::{Host, ambiguity};
use super::tree::{Segment, Tree, segments};
use super::{Allowed, Callers, InvalidRoutes, KINDS, Needs, Route, Routes, Unlisted, is_method};
use crate::fault::{Fault, Faults, escaped};
use crate::permission::is_word;
use crate::{canonical, strict};

/// The most routes, and the most of what one of them names.
const MOST: usize = 100_000;
const MOST_NAMED: usize = 1_000;
const LONGEST: usize = 2_048;
/// Segments of a path.
const DEEPEST: usize = 64;

impl Routes {
    /// Reads a table from JSON.
    ///
    /// # Errors
    /// The first faults, when it is not one.
    pub fn parse(text: &str) -> Result<Self, InvalidRoutes> {
        let whole = |what: String| InvalidRoutes(vec![Fault { at: String::new(), what }]);
        let value = strict(text).map_err(|error| whole(error.to_string()))?;
        let hash = digest(&SHA256, canonical(&value).as_bytes());
        let Value::Object(members) = value else { return Err(whole("must be an object".into())) };
        let mut reader = Reader::default();
        let (unlisted, all, tree) = reader.table(&members);
        if !reader.0.is_empty() {
            return Err(InvalidRoutes(reader.0.into_vec()));
        }
        let hash = hex::encode(&hash.as_ref()[..8]).into();
        Ok(Self { text: text.into(), hash, unlisted, all, tree })
    }
}

#[derive(Default)]
struct Reader(Faults);

impl Reader {
    fn table(&mut self, members: &Map<String, Value>) -> (Unlisted, Vec<Route>, Tree) {
        self.known("", members, &["default", "routes"]);
        let unlisted = match members.get("default").map(Value::as_str) {
            None | Some(Some("deny")) => Unlisted::Deny,
            Some(Some("allow")) => Unlisted::Allow,
            Some(_) => self.wrong("/default", "must be `deny` or `allow`", Unlisted::Deny),
        };
        let (mut all, mut tree) = (Vec::new(), Tree::default());
        let Some(Value::Array(items)) = members.get("routes") else {
            return (self.wrong("/routes", "must be a list of routes", unlisted), all, tree);
        };
        if items.len() > MOST {
            let what = format!("may have {MOST} routes");
            return (self.wrong("/routes", what, unlisted), all, tree);
        }
        for (i, item) in items.iter().enumerate() {
            let at = format!("/routes/{i}");
            let Some(route) = self.route(&at, item) else { continue };
            let equal = tree.add(all.len(), &route).into_iter().map(|other| &all[other]);
            if let Some(other) = equal.into_iter().find(|other| overlap(&route, other)) {
                let what = format!("is for the same host, path and method as {}", other.at);
                self.0.add(at, what);
            }
            all.push(route);
        }
        (unlisted, all, tree)
    }

    fn route(&mut self, at: &str, item: &Value) -> Option<Route> {
        const KNOWN: [&str; 8] =
            ["host", "path", "methods", "permission", "guard", "callers", "public", "raw"];
        let Value::Object(members) = item else {
            return self.wrong(at, "must be an object", None);
        };
        self.known(at, members, &KNOWN);
        let get = |name: &str| members.get(name).filter(|value| !value.is_null());
        let place = |name: &str| format!("{at}/{name}");
        let raw = self.flag(place("raw"), get("raw"));
        let host = get("host").and_then(|value| self.host(place("host"), value));
        let (path, id) = self.path(place("path"), get("path"), raw)?;
        let methods = get("methods").map(|value| {
            self.list(place("methods"), value, "methods of upper case letters", |text| {
                is_method(text).then(|| text.into())
            })
        });
        let guard = get("guard").and_then(|value| {
            let what = "must be a name of letters, digits, `_`, `-` and `.`, at most 64 long";
            match value.as_str().filter(|name| is_word(name) && name.len() <= 64) {
                Some(name) => Some(name.into()),
                None => self.wrong(place("guard"), what, None),
            }
        });
        let callers = get("callers").map(|value| {
            let what = "`*`, `agent`, `service`, `operator`, `machine`, a service's or an agent's \
                        id, or `kind:id`";
            Callers(self.list(place("callers"), value, what, allowed))
        });
        let permission = get("permission").and_then(|value| {
            let read = value.as_str().map(str::parse);
            match read {
                Some(Ok(permission)) => Some(permission),
                _ => self.wrong(place("permission"), "must be `resource:action`", None),
            }
        });
        let public = self.flag(place("public"), get("public"));
        let needs = match (public, callers, permission) {
            (true, None, None) => Needs::Nothing,
            (true, ..) => {
                let what = "is public: then it takes neither `permission` nor `callers`";
                self.wrong(at, what, Needs::Nothing)
            }
            (false, None, None) if get("callers").or(get("permission")).is_none() => {
                let what = "says nothing of who may: give it `permission` or `callers`, or \
                            `\"public\": true`";
                self.wrong(at, what, Needs::Nothing)
            }
            (false, callers, permission) => Needs::Caller(callers, permission),
        };
        Some(Route { at: at.into(), host, path, methods, needs, guard, raw, id })
    }

    fn path(
        &mut self,
        at: String,
        value: Option<&Value>,
        raw: bool,
    ) -> Option<(Arc<str>, Option<usize>)> {
        let Some(path) = value.and_then(Value::as_str) else {
            return self.wrong(at, "must be a path, such as `/api/*`", None);
        };
        let fault = |what: &str| Some(what.to_owned());
        let mut id = None;
        let what = match ambiguity(path.as_bytes()) {
            _ if !path.starts_with('/') => fault("must begin with `/`"),
            _ if path.len() > LONGEST => Some(format!("may have {LONGEST} characters")),
            Some(what) if !raw => Some(format!("has {what}: no request gets there unless `raw`")),
            _ => segments(path).enumerate().find_map(|(i, segment)| match segment {
                _ if i >= DEEPEST => Some(format!("may have {DEEPEST} segments")),
                _ if rest_before(path, i) => fault("may have `*` as its last segment only"),
                Segment::Capture("id") if id.replace(i).is_some() => fault("has two ids"),
                Segment::Capture(name) if !is_word(name) => {
                    fault("has `{}` around what is no name")
                }
                Segment::Literal(text) if text.contains(['*', '{', '}', '?']) => {
                    fault("takes `*` and `{name}` as whole segments, and no query")
                }
                _ => None,
            }),
        };
        match what {
            None => Some((path.into(), id)),
            Some(what) => self.wrong(at, what, None),
        }
    }

    fn host(&mut self, at: String, value: &Value) -> Option<Box<str>> {
        match value.as_str().and_then(|text| Some((text, Host::read(text)?))) {
            Some((text, host)) if host.as_str().len() == text.len() => Some(host.as_str().into()),
            _ => self.wrong(at, "must be a name or an address, without a port", None),
        }
    }

    fn flag(&mut self, at: String, value: Option<&Value>) -> bool {
        match value {
            None => false,
            Some(Value::Bool(flag)) => *flag,
            Some(_) => self.wrong(at, "must be true or false", false),
        }
    }

    fn list<T>(
        &mut self,
        at: String,
        value: &Value,
        of: &str,
        read: impl Fn(&str) -> Option<T>,
    ) -> Vec<T> {
        let Some(items) = value.as_array().filter(|it| (1..=MOST_NAMED).contains(&it.len())) else {
            return self.wrong(
                at,
                format!("must be a list of 1 to {MOST_NAMED} of {of}"),
                Vec::new(),
            );
        };
        let mut all = Vec::with_capacity(items.len());
        for (i, item) in items.iter().enumerate() {
            match item.as_str().and_then(&read) {
                Some(one) => all.push(one),
                None => self.0.add(format!("{at}/{i}"), format!("must be one of {of}")),
            }
        }
        all
    }

    fn known(&mut self, at: &str, members: &Map<String, Value>, known: &[&str]) {
        for name in members.keys().filter(|name| !known.contains(&name.as_str())) {
            self.0.add(format!("{at}/{}", escaped(name)), "is not a known member");
        }
    }

    fn wrong<T>(&mut self, at: impl Into<String>, what: impl Into<String>, instead: T) -> T {
        self.0.add(at, what);
        instead
    }
}

/// Whether `*` stands before segment `i`.
fn rest_before(path: &str, i: usize) -> bool {
    segments(path).take(i).any(|segment| matches!(segment, Segment::Rest))
}

/// Whether two routes of the same host and path would both answer some method, none more than the other.
fn overlap(one: &Route, other: &Route) -> bool {
    match (&one.methods, &other.methods) {
        (None, None) => true,
        (Some(these), Some(those)) => these.iter().any(|method| those.contains(method)),
        _ => false,
    }
}

fn allowed(text: &str) -> Option<Allowed> {
    let kind = |name: &str| KINDS.into_iter().find(|kind| *kind == name);
    if text == "*" {
        return Some(Allowed::Anybody);
    }
    if let Some(kind) = kind(text) {
        return Some(Allowed::Kind(kind));
    }
    let (of, id) = match text.split_once(':') {
        Some((of, id)) => (kind(of)?, id),
        // No service is called by the 36 characters of an agent's id.
        None => (if is_uuid(text) { "agent" } else { "service" }, text),
    };
    let lower = || id.bytes().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == b'-');
    let known = match of {
        "agent" | "service" => lower(),
        _ => true,
    };
    (known && is_word(id)).then(|| Allowed::One(of, id.into()))
}

fn is_uuid(text: &str) -> bool {
    let grouped = text.split('-').map(str::len).eq([8, 4, 4, 4, 12]);
    grouped && text.bytes().all(|c| c == b'-' || c.is_ascii_hexdigit())
}
