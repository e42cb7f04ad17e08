//! Profiles: for each server one works with, its address, a token and a tenant, under a name.

mod error;
mod login;
mod store;
mod written;

use std::collections::BTreeMap;
use std::str::FromStr;

use clap::Subcommand;
use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

pub(crate) use self::error::ProfileError;
pub(crate) use self::login::{login, logout};
pub(crate) use self::store::Store;
use crate::client::{Server, TenantId};
use crate::output::{self, Output, table};

#[derive(Subcommand)]
pub(crate) enum Command {
    /// List the profiles, without their tokens
    #[command(after_help = "\
Example:
  countersign profiles list")]
    List,

    /// Make a profile the one that is used when none is named
    #[command(after_help = "\
Example:
  countersign profiles use production")]
    Use { name: Name },
}

/// Everything in the file.
#[derive(Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Profiles {
    #[serde(skip_serializing_if = "Option::is_none")]
    default: Option<Name>,
    #[serde(default)]
    profiles: BTreeMap<Name, Profile>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Profile {
    pub(crate) url: Server,
    #[serde(serialize_with = "written::reveal", deserialize_with = "written::conceal")]
    pub(crate) token: SecretString,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) tenant: Option<TenantId>,
}

impl Profiles {
    /// The profile of this name, or else the default one, if there is any.
    pub(crate) fn take(
        &mut self,
        name: Option<Name>,
    ) -> Result<Option<(Name, Profile)>, ProfileError> {
        let Some(name) = name.or_else(|| self.default.clone()) else { return Ok(None) };
        match self.profiles.remove_entry(&name) {
            Some(entry) => Ok(Some(entry)),
            None => Err(ProfileError::Unknown(name)),
        }
    }
}

pub(crate) fn run(command: Command, output: Output) -> anyhow::Result<()> {
    let store = Store::of_user()?;
    let mut profiles = store.read()?;
    match command {
        Command::List => {
            let columns =
                [("PROFILE", "name"), ("URL", "url"), ("TENANT", "tenant"), ("DEFAULT", "default")];
            output.print(&json!({ "data": listed(&profiles) }), |answer| {
                table(&columns, output::rows(answer))
            })?;
            if profiles.profiles.is_empty() {
                output::note("no profiles: `countersign login` makes one");
            }
            Ok(())
        }
        Command::Use { name } => {
            if !profiles.profiles.contains_key(&name) {
                return Err(ProfileError::Unknown(name).into());
            }
            let done = format!("the profile {name} is used when none is named");
            profiles.default = Some(name);
            store.write(&profiles)?;
            Ok(output.done(&done)?)
        }
    }
}

fn listed(profiles: &Profiles) -> Vec<Value> {
    let one = |(name, profile): (&Name, &Profile)| {
        json!({
            "name": name.to_string(),
            "url": profile.url.to_string(),
            "tenant": profile.tenant.as_ref().map(TenantId::to_string),
            "default": profiles.default.as_ref() == Some(name),
        })
    };
    profiles.profiles.iter().map(one).collect()
}

/// What a profile is called: nothing that a shell, a terminal or TOML would take amiss.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Name(String);

impl Name {
    /// What somebody's first profile is called when they don't say.
    fn first() -> Self {
        Self("default".to_owned())
    }
}

impl FromStr for Name {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let known = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
        match text.len() {
            1..=64 if text.chars().all(known) => Ok(Self(text.to_owned())),
            _ => Err("expected up to 64 letters, digits, `.`, `_` or `-`"),
        }
    }
}

impl std::fmt::Display for Name {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}
