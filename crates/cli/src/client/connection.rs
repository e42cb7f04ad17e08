//! The options that say which server is asked, and as whom. What was typed wins over the environment,
//! that over a profile that was named, that over the default profile.

use std::path::PathBuf;

use clap::Args;
use secrecy::{ExposeSecret, SecretString};

use super::{Client, Server, TenantId};
use crate::input;
use crate::profiles::{Name, Profile, ProfileError, Store};

/// The heading of the options that every command takes.
pub(crate) const GLOBAL: &str = "Global options";

#[derive(Args)]
#[command(next_help_heading = GLOBAL)]
pub(crate) struct Connection {
    /// Where the server listens [default: the profile's, or http://127.0.0.1:3000]
    #[arg(long, env = "COUNTERSIGN_URL", global = true, value_name = "URL")]
    pub(crate) url: Option<Server>,

    /// The access or operator token to ask with [default: the profile's]
    #[arg(long, env = "COUNTERSIGN_TOKEN", hide_env_values = true, global = true)]
    token: Option<SecretString>,

    /// A file that holds the token, read instead of --token; `-` is standard input
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) token_file: Option<PathBuf>,

    /// The profile to use, as saved by `login` [default: see `profiles list`]
    #[arg(long, env = "COUNTERSIGN_PROFILE", global = true, value_name = "NAME")]
    pub(crate) profile: Option<Name>,

    /// The tenant to act in, for the role infra [default: the profile's, or one's own]
    #[arg(long, env = "COUNTERSIGN_TENANT", global = true, value_name = "ID")]
    pub(crate) tenant: Option<TenantId>,
}

impl Connection {
    pub(crate) fn client(&self) -> anyhow::Result<Client> {
        let token = self.token()?;
        let profile = match (&self.url, &token) {
            (Some(_), Some(_)) => None,
            _ => self.saved()?,
        };
        let url = self.address(profile.as_ref());
        match (token, profile) {
            (None, Some((name, profile))) if profile.url != url => {
                let (its, asked) = (profile.url.to_string(), url.to_string());
                Err(ProfileError::OtherServer { name, its, asked }.into())
            }
            (None, Some((_, profile))) => {
                let tenant = self.tenant.clone().or(profile.tenant);
                Client::new(url, Some(&profile.token), tenant.as_ref())
            }
            // The tenant of a profile belongs to the caller of its token.
            (token, _) => Client::new(url, token.as_ref(), self.tenant.as_ref()),
        }
    }

    /// For what identifies its caller otherwise, or not at all.
    pub(crate) fn anonymous(&self) -> anyhow::Result<Client> {
        let profile = if self.url.is_some() { None } else { self.saved()? };
        Client::new(self.address(profile.as_ref()), None, None)
    }

    pub(crate) fn has_token_of_its_own(&self) -> bool {
        self.token.as_ref().is_some_and(|token| !token.expose_secret().is_empty())
    }

    fn address(&self, profile: Option<&(Name, Profile)>) -> Server {
        let saved = || profile.map(|(_, profile)| profile.url.clone());
        self.url.clone().or_else(saved).unwrap_or_default()
    }

    /// Without a home there are no profiles, which matters only to who asks for one.
    fn saved(&self) -> Result<Option<(Name, Profile)>, ProfileError> {
        match Store::of_user() {
            Err(ProfileError::Homeless) if self.profile.is_none() => Ok(None),
            store => store?.read()?.take(self.profile.clone()),
        }
    }

    /// The file wins: the other may stand in the environment, where `clap` would call it a conflict.
    fn token(&self) -> anyhow::Result<Option<SecretString>> {
        match &self.token_file {
            Some(path) => input::secret_file(path).map(Some),
            None => Ok(self.token.clone().filter(|token| !token.expose_secret().is_empty())),
        }
    }
}
