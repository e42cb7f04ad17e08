//! A matrix as a file: what it must hold, and every fault with the place where it is.

use std::collections::HashMap;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use aws_lc_rs::digest::{SHA256, digest};
use serde_json::{Map, Value};

use super::Matrix;
use crate::fault::{Fault, Faults, escaped};
use crate::permission::{Permission, is_word};
use crate::{canonical, strict};

/// The text is not a matrix. Holds the first faults, not thousands.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct InvalidMatrix(pub Vec<Fault>);

impl fmt::Display for InvalidMatrix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not a usable matrix")?;
        self.0.iter().try_for_each(|fault| write!(f, "; {fault}"))
    }
}

const MOST_ROLES: usize = 10_000;
/// Role, resource and action together; each takes a few bytes of memory.
const MOST_GRANTS: usize = 2_000_000;

impl Matrix {
    /// Reads a matrix from JSON.
    ///
    /// # Errors
    /// Every fault, when it is not one, or one under which nobody could mend anything any more.
    pub fn parse(text: &str) -> Result<Self, InvalidMatrix> {
        let whole = |what: String| InvalidMatrix(vec![Fault { at: String::new(), what }]);
        let value = strict(text).map_err(|error| whole(error.to_string()))?;
        let hash = digest(&SHA256, canonical(&value).as_bytes());
        let Value::Object(members) = value else { return Err(whole("must be an object".into())) };
        let mut reader = Reader { faults: Faults::default(), grants: 0 };
        let matrix = reader.matrix(text, hex::encode(&hash.as_ref()[..8]).into(), &members);
        if reader.faults.is_empty() {
            Ok(matrix)
        } else {
            Err(InvalidMatrix(reader.faults.into_vec()))
        }
    }
}

struct Reader {
    faults: Faults,
    grants: usize,
}

impl Reader {
    fn fault(&mut self, at: impl Into<String>, what: impl Into<String>) {
        self.faults.add(at, what);
    }

    fn matrix(&mut self, text: &str, hash: Arc<str>, members: &Map<String, Value>) -> Matrix {
        const KNOWN: [&str; 8] = [
            "version",
            "description",
            "updated_at",
            "roles",
            "aliases",
            "matrix",
            "path_mappings",
            "audit",
        ];
        for name in members.keys().filter(|name| !KNOWN.contains(&name.as_str())) {
            self.fault(format!("/{}", escaped(name)), "is not a known member");
        }
        let version = match members.get("version") {
            Some(Value::String(version)) if version.len() <= 64 => version.clone(),
            None => String::new(),
            Some(_) => {
                self.fault("/version", "must be a string of at most 64 characters");
                String::new()
            }
        };
        for name in ["description", "updated_at"] {
            if members.get(name).is_some_and(|value| !value.is_string()) {
                self.fault(format!("/{name}"), "must be a string");
            }
        }
        let (roles, mut names) = self.roles(members.get("roles"));
        let aliases = self.aliases(members.get("aliases"), &names);
        let holders = self.holders(members.get("matrix"), &names);
        names.extend(aliases);
        self.path_mappings(members.get("path_mappings"));
        let retention_days = self.audit(members.get("audit"));
        let matrix =
            Matrix { text: text.into(), version, hash, roles, names, holders, retention_days };
        // Whoever reloads it next could not be stopped or helped by anybody.
        for (resource, action) in [("operators", "write"), ("rbac", "reload")] {
            if self.faults.is_empty() && matrix.holders(resource, action).is_none() {
                let what =
                    format!("some role must hold `{resource}:{action}`: nobody could mend it");
                self.fault("/matrix", what);
            }
        }
        matrix
    }

    fn roles(&mut self, value: Option<&Value>) -> (Vec<Arc<str>>, HashMap<Box<str>, u16>) {
        let (mut roles, mut names) = (Vec::new(), HashMap::new());
        let Some(Value::Array(items)) = value else {
            self.fault("/roles", "must be a list of names");
            return (roles, names);
        };
        if items.is_empty() || items.len() > MOST_ROLES {
            self.fault("/roles", format!("must have 1 to {MOST_ROLES} names"));
            return (roles, names);
        }
        for (i, item) in items.iter().enumerate() {
            let at = format!("/roles/{i}");
            let Some(name) = self.word(&at, item) else { continue };
            // Less than MOST_ROLES, so it fits.
            let index = u16::try_from(roles.len()).unwrap_or(u16::MAX);
            if names.insert(name.into(), index).is_some() {
                self.fault(at, format!("`{name}` is given more than once"));
            }
            roles.push(name.into());
        }
        (roles, names)
    }

    /// An alias names a role, not another alias: no chain, so no cycle.
    fn aliases(
        &mut self,
        value: Option<&Value>,
        roles: &HashMap<Box<str>, u16>,
    ) -> Vec<(Box<str>, u16)> {
        let mut aliases = Vec::new();
        for (alias, role) in self.object("/aliases", value) {
            let at = format!("/aliases/{}", escaped(alias));
            if roles.contains_key(alias.as_str()) {
                self.fault(at, "is the name of a role");
            } else if !is_word(alias) {
                self.fault(at, WORD);
            } else if let Some(index) = role.as_str().and_then(|role| roles.get(role)) {
                aliases.push((alias.as_str().into(), *index));
            } else {
                self.fault(at, "must name one of `roles`");
            }
        }
        aliases
    }

    fn holders(
        &mut self,
        value: Option<&Value>,
        roles: &HashMap<Box<str>, u16>,
    ) -> HashMap<Box<str>, HashMap<Box<str>, Vec<u16>>> {
        let mut holders: HashMap<Box<str>, HashMap<Box<str>, Vec<u16>>> = HashMap::new();
        if value.is_none() {
            self.fault("/matrix", "must be there");
        }
        for (role, resources) in self.object("/matrix", value) {
            let at = format!("/matrix/{}", escaped(role));
            let Some(&index) = roles.get(role.as_str()) else {
                self.fault(at, "is not one of `roles`");
                continue;
            };
            for (resource, actions) in self.object(&at, Some(resources)) {
                let at = format!("{at}/{}", escaped(resource));
                if !is_word(resource) {
                    self.fault(at, WORD);
                    continue;
                }
                for action in self.actions(&at, resource, actions) {
                    let of_resource = holders.entry(resource.as_str().into()).or_default();
                    of_resource.entry(action.into()).or_default().push(index);
                }
            }
        }
        holders.values_mut().flat_map(HashMap::values_mut).for_each(|held| held.sort_unstable());
        holders
    }

    fn actions<'v>(&mut self, at: &str, resource: &str, value: &'v Value) -> Vec<&'v str> {
        let Value::Array(items) = value else {
            self.fault(at, "must be a list of actions");
            return Vec::new();
        };
        self.grants += items.len();
        if self.grants > MOST_GRANTS {
            self.fault(at, format!("more than {MOST_GRANTS} permissions in all"));
            return Vec::new();
        }
        let mut actions = Vec::with_capacity(items.len());
        for (i, item) in items.iter().enumerate() {
            let at = format!("{at}/{i}");
            let Some(action) = self.word(&at, item) else { continue };
            // What is no permission could not be given, nor seen to be lacking.
            if Permission::from_str(&format!("{resource}:{action}")).is_err() {
                self.fault(at, "makes a permission of more than 128 characters");
            }
            actions.push(action);
        }
        actions.sort_unstable();
        if let Some(twice) = actions.windows(2).find(|pair| pair[0] == pair[1]) {
            self.fault(at, format!("`{}` is given more than once", twice[0]));
        }
        actions
    }

    /// Which requests of a proxy ask for which permission; used by what stands behind one.
    fn path_mappings(&mut self, value: Option<&Value>) {
        let items = match value {
            None => return,
            Some(Value::Array(items)) => items,
            Some(_) => return self.fault("/path_mappings", "must be a list"),
        };
        for (i, item) in items.iter().enumerate() {
            let at = format!("/path_mappings/{i}");
            let text = |name: &str| item.get(name).and_then(Value::as_str);
            let methods = item.get("methods").and_then(Value::as_array);
            if !text("pattern").is_some_and(|pattern| pattern.starts_with('/')) {
                self.fault(format!("{at}/pattern"), "must be a path such as `/api/v1/things/*`");
            }
            let method = |value: &Value| {
                let text = value.as_str().unwrap_or_default();
                text == "*" || !text.is_empty() && text.bytes().all(|c| c.is_ascii_uppercase())
            };
            if !methods.is_some_and(|all| !all.is_empty() && all.iter().all(method)) {
                self.fault(format!("{at}/methods"), "must be a list of methods, or `[\"*\"]`");
            }
            const KNOWN: [&str; 4] = ["pattern", "methods", "resource", "action"];
            for name in item.as_object().into_iter().flat_map(Map::keys) {
                if !KNOWN.contains(&name.as_str()) {
                    self.fault(format!("{at}/{}", escaped(name)), "is not a known member");
                }
            }
            for name in ["resource", "action"] {
                if !text(name).is_some_and(is_word) {
                    self.fault(format!("{at}/{name}"), WORD);
                }
            }
        }
    }

    fn audit(&mut self, value: Option<&Value>) -> Option<u32> {
        let mut days = None;
        for (name, member) in self.object("/audit", value) {
            let at = format!("/audit/{}", escaped(name));
            match (name.as_str(), member) {
                ("enabled" | "log_allowed" | "log_denied", Value::Bool(_)) => {}
                ("enabled" | "log_allowed" | "log_denied", _) => {
                    self.fault(at, "must be `true` or `false`");
                }
                ("retention_days", member) => {
                    let number = member.as_u64().and_then(|days| u32::try_from(days).ok());
                    days = number.filter(|days| (1..=36_500).contains(days));
                    if days.is_none() {
                        self.fault(at, "must be a number of days, 1 to 36500");
                    }
                }
                _ => self.fault(at, "is not a known member"),
            }
        }
        days
    }

    fn object<'v>(&mut self, at: &str, value: Option<&'v Value>) -> Vec<(&'v String, &'v Value)> {
        match value {
            None => Vec::new(),
            Some(Value::Object(members)) => members.iter().collect(),
            Some(_) => {
                self.fault(at, "must be an object");
                Vec::new()
            }
        }
    }

    fn word<'v>(&mut self, at: &str, value: &'v Value) -> Option<&'v str> {
        let word = value.as_str().filter(|word| is_word(word));
        if word.is_none() {
            self.fault(at, WORD);
        }
        word
    }
}

const WORD: &str = "must be a word of letters, digits, `_`, `-` and `.`, at most 127 characters";
