//! The form in Rego: the rules `allow` and `reason` of the package `countersign.authz`, over the question as
//! `input` and the files in `data/` as `data`.

use std::sync::LazyLock;

use regorus::Value;
use regorus::value::Object as RegoObject;

use super::{Answer, Asked};
use crate::decision::Reason;
use crate::fault::Faults;
use crate::json::Json;
use crate::permission::is_word;
use crate::rego::{
    Marked, Parsed, REASON, Reached, Rules, Seen, is_reason, object, optional, rego,
};
use crate::testing::is_test;

/// Rules, and the data that they look up.
#[derive(Debug)]
pub(super) struct Authored {
    rules: Rules,
    data: Value,
}

const PACKAGE: &str = "data.countersign.authz";
/// The rules that are asked, in this order.
const ASKED: [&str; 2] = ["data.countersign.authz.allow", "data.countersign.authz.reason"];
const ALLOW: usize = 0;
const REASON_OF_DENIAL: usize = 1;

/// The reason of a denial that names none.
pub(super) const DENIED: Reason = Reason::Word("policy_denied");
/// All data together, in bytes.
const LARGEST: usize = 8 << 20;

/// Whether this is a file of rules, and none of tests.
pub(crate) fn is_one(file: &str) -> bool {
    !file.contains('/') && file.ends_with(".rego") && !is_test(file)
}

/// Whether this is a file of data.
pub(super) fn is_data(file: &str) -> bool {
    name(file).is_some_and(|name| !name.contains('/'))
}

/// What rules call a file of data.
fn name(file: &str) -> Option<&str> {
    file.strip_prefix("data/")?.strip_suffix(".json")
}

/// Reads rules and data.
pub(super) fn read(
    files: &[(&String, &String)],
    data: &[(&String, &String)],
    faults: &mut Faults,
) -> Option<Authored> {
    let texts: Vec<_> = files.iter().map(|(file, text)| (file.as_str(), text.as_str())).collect();
    let parsed = Parsed::read(&texts).map_err(|fault| faults.add(fault.at, fault.what)).ok();
    let packages = parsed.as_ref().map(Parsed::packages).unwrap_or_default();
    let data = read_data(data, packages, faults);
    if parsed.is_some() && !packages.iter().any(|package| package == PACKAGE) {
        faults.add("*.rego", "no file is of the package `countersign.authz`");
        return None;
    }
    let rules = parsed?.compile(&ASKED).map_err(|fault| faults.add(fault.at, fault.what)).ok()?;
    Some(Authored { rules, data })
}

/// Reads data, for rules in packages that must not be called as it is.
pub(super) fn read_data(
    files: &[(&String, &String)],
    packages: &[String],
    faults: &mut Faults,
) -> Value {
    let mut all = RegoObject::new();
    if files.iter().map(|(_, text)| text.len()).sum::<usize>() > LARGEST {
        faults.add("data", format!("all files together may be {LARGEST} bytes long"));
        return all.into();
    }
    for (file, text) in files {
        let name = name(file).unwrap_or_default();
        if !is_word(name) || name.contains('.') {
            faults.add(*file, "must be named by a word of letters, digits, `_` and `-`");
        } else if packages.iter().any(|package| package.split('.').nth(1) == Some(name)) {
            faults.add(*file, format!("a package begins with the name `{name}`, too"));
        }
        match Json::read(text) {
            Ok(json) => drop(all.insert(name.into(), rego(&json))),
            Err(error) => faults.add(*file, error.to_string()),
        }
    }
    all.into()
}

impl Authored {
    pub(super) fn data(&self) -> &Value {
        &self.data
    }

    pub(super) fn marked(&self) -> Marked {
        self.rules.marked()
    }

    /// Asks as [`Self::ask`] does, for the lines that it reaches.
    pub(super) fn reach(&self, marked: &Marked, asked: &Asked<'_>, at: i64, reached: &mut Reached) {
        let seen = Seen { input: input(asked), data: self.data.clone(), at };
        let allowed = marked.run(ALLOW, seen.clone(), reached);
        if matches!(allowed, Ok(Value::Bool(false) | Value::Undefined)) {
            // What fails has been where it has been.
            let _ = marked.run(REASON_OF_DENIAL, seen, reached);
        }
    }

    /// Asks `allow`, and where that is anything but true, `reason`.
    pub(super) fn ask(&self, asked: &Asked<'_>, at: i64) -> Answer {
        let input = input(asked);
        let seen = || Seen { input: input.clone(), data: self.data.clone(), at };
        let allowed = self.rules.run(ALLOW, seen(), |value| match value {
            Value::Bool(flag) => Ok(*flag),
            Value::Undefined => Ok(false),
            _ => Err(format!("{}: `allow` must be true or false", self.rules.file())),
        });
        match allowed {
            Ok(true) => Answer::Allow,
            Ok(false) => self.denied(seen()),
            Err(diagnostic) => Answer::telling(Reason::Error, diagnostic),
        }
    }

    fn denied(&self, seen: Seen) -> Answer {
        let reason = self.rules.run(REASON_OF_DENIAL, seen, |value| match value {
            Value::Undefined => Ok(DENIED),
            Value::String(word) if is_reason(word) => Ok(Reason::Stated((**word).into())),
            _ => Err(format!(
                "{}: `reason` must be one word of 1 to {REASON} letters, digits, `_`, `-`, `:` or `.`",
                self.rules.file()
            )),
        });
        match reason {
            Ok(reason) => Answer::deny(reason),
            Err(diagnostic) => Answer::telling(DENIED, diagnostic),
        }
    }
}

/// The names of members, made once.
struct Names {
    method: Value,
    path: Value,
    scopes: Value,
    agent: Value,
    roles: Value,
    tenant: Value,
}

static NAMES: LazyLock<Names> = LazyLock::new(|| Names {
    method: "method".into(),
    path: "path".into(),
    scopes: "scopes".into(),
    agent: "agentId".into(),
    roles: "roles".into(),
    tenant: "tenant".into(),
});

fn input(asked: &Asked<'_>) -> Value {
    let names = &*NAMES;
    let scopes: Vec<Value> = asked.scopes.iter().map(|scope| scope.as_str().into()).collect();
    let roles: Vec<Value> = asked.roles.iter().map(|role| (&**role).into()).collect();
    object([
        (&names.method, asked.method.into()),
        (&names.path, asked.path.into()),
        (&names.scopes, scopes.into()),
        (&names.agent, optional(asked.agent)),
        (&names.roles, roles.into()),
        (&names.tenant, asked.tenant.into()),
    ])
}
