//! The policy directory, which is asked at every door after the permission check and in addition to it: one
//! answer for an agent or a service that asks a method of a path. Its rules are written in Rego (package
//! `countersign.authz`), compiled from that by OPA, or a table of endpoints and the scopes that each needs. Total: what
//! fails denies.

mod endpoints;
mod rules;
mod scopes;
mod segments;
mod tested;
#[cfg(feature = "wasm")]
mod wasm;

use std::collections::BTreeMap;
use std::sync::Arc;

use self::endpoints::Endpoints;
pub(crate) use self::endpoints::Place;
use self::rules::Authored;
pub(crate) use self::rules::is_one as is_rules;
use crate::Permissions;
use crate::decision::{Digest, Reason};
use crate::fault::{Fault, Faults};

/// A policy directory in force. Shared by threads as it is.
#[derive(Debug)]
pub struct Authz {
    form: Form,
    digest: String,
}

#[derive(Debug)]
enum Form {
    #[cfg(feature = "wasm")]
    Wasm(Box<wasm::Compiled>),
    Rego(Authored),
    Scopes(Endpoints),
}

/// What is asked: may this caller ask this method of this path.
#[derive(Debug, Clone, Copy)]
pub struct Asked<'a> {
    /// As the request has it, such as `GET`.
    pub method: &'a str,
    /// As the request has it: not decoded, not normalised, without its query.
    pub path: &'a str,
    /// What the caller's token or credential holds.
    pub scopes: &'a Permissions,
    /// The agent, if the caller is one.
    pub agent: Option<&'a str>,
    /// The caller's roles.
    pub roles: &'a [Arc<str>],
    /// Whose the caller is.
    pub tenant: &'a str,
}

/// What the policy directory answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// It has nothing against it.
    Allow,
    /// It denies.
    Deny {
        /// Why: a word.
        reason: Reason,
        /// For the record and the log: what failed, with its file and line, or what is missing.
        diagnostic: Option<Box<str>>,
    },
}

impl Answer {
    /// Whether it allows.
    #[must_use]
    pub fn allows(&self) -> bool {
        matches!(self, Self::Allow)
    }

    fn deny(reason: Reason) -> Self {
        Self::Deny { reason, diagnostic: None }
    }

    fn telling(reason: Reason, diagnostic: String) -> Self {
        Self::Deny { reason, diagnostic: Some(diagnostic.into()) }
    }
}

/// A policy directory that can't be used. Holds the first faults, each with its file and place.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a usable policy directory{}", .0.iter().map(|fault| format!("; {fault}")).collect::<String>())]
pub struct InvalidAuthz(pub Vec<Fault>);

/// The module that OPA compiled.
pub const MODULE: &str = "authz.wasm";
/// The table of endpoints.
pub(crate) const SCOPES: &str = "data/scopes.json";

impl Authz {
    /// Reads one from the texts of files, by their paths within the directory: the first form that is there, which is
    /// `authz.wasm` (its bytes in Base64) or `*.rego`, each with `data/*.json` as `data`, or `data/scopes.json`. None
    /// when none is there; what belongs to none, and tests (`*_test.rego`), are not looked at.
    ///
    /// # Errors
    /// The first faults: then nothing of it is usable.
    pub fn read(files: &BTreeMap<String, String>) -> Result<Option<Self>, InvalidAuthz> {
        let mut faults = Faults::default();
        let rego: Vec<_> = files.iter().filter(|(file, _)| rules::is_one(file)).collect();
        let data = || files.iter().filter(|(file, _)| rules::is_data(file)).collect::<Vec<_>>();
        let (form, used) = if let Some(module) = files.get_key_value(MODULE) {
            let data = data();
            (compiled(module.1, &data, &mut faults), [vec![module], data].concat())
        } else if !rego.is_empty() {
            let data = data();
            let form = rules::read(&rego, &data, &mut faults).map(Form::Rego);
            (form, [rego, data].concat())
        } else if let Some(table) = files.get_key_value(SCOPES) {
            (scopes::read(table.1, &mut faults).map(Form::Scopes), vec![table])
        } else {
            return Ok(None);
        };
        match form {
            Some(form) if faults.is_empty() => Ok(Some(Self { form, digest: digest(&used) })),
            _ => Err(InvalidAuthz(faults.into_vec())),
        }
    }

    /// Answers; `at` is what rules take for now, in microseconds since the epoch.
    #[must_use]
    pub fn ask(&self, asked: &Asked<'_>, at: i64) -> Answer {
        match &self.form {
            #[cfg(feature = "wasm")]
            Form::Wasm(module) => module.ask(asked, at),
            Form::Rego(rules) => rules.ask(asked, at),
            Form::Scopes(endpoints) => endpoints.ask(asked),
        }
    }

    /// `sha256:` and the hex digest of the names and the texts' digests of all files that it was read from.
    #[must_use]
    pub fn digest(&self) -> &str {
        &self.digest
    }

    /// `wasm`, `rego` or `scopes`.
    #[must_use]
    pub fn form(&self) -> &'static str {
        match self.form {
            #[cfg(feature = "wasm")]
            Form::Wasm(_) => "wasm",
            Form::Rego(_) => "rego",
            Form::Scopes(_) => "scopes",
        }
    }
}

#[cfg(feature = "wasm")]
fn compiled(module: &str, data: &[(&String, &String)], faults: &mut Faults) -> Option<Form> {
    wasm::read(module, data, faults).map(|module| Form::Wasm(Box::new(module)))
}

#[cfg(not(feature = "wasm"))]
fn compiled(_: &str, _: &[(&String, &String)], faults: &mut Faults) -> Option<Form> {
    faults.add(
        MODULE,
        "this program was built without the feature `wasm`: build it with `cargo build --release -p countersign \
         --features wasm`, or remove the file and put *.rego in its place",
    );
    None
}

fn digest(files: &[(&String, &String)]) -> String {
    let lines = files.iter().map(|(file, text)| format!("{} {file}\n", Digest::of(text)));
    Digest::of(&lines.collect::<String>()).to_string()
}
