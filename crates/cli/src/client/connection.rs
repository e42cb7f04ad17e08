//! The options that say which server is asked, and as whom.

use std::path::PathBuf;

use clap::Args;
use secrecy::{ExposeSecret, SecretString};

use super::{Client, Server};
use crate::input;

/// The heading of the options that every command takes.
pub(crate) const GLOBAL: &str = "Global options";

#[derive(Args)]
#[command(next_help_heading = GLOBAL)]
pub(crate) struct Connection {
    /// Where the server listens
    #[arg(
        long,
        env = "COUNTERSIGN_URL",
        global = true,
        default_value = "http://127.0.0.1:3000",
        value_name = "URL"
    )]
    url: Server,

    /// The access or operator token to ask with
    #[arg(long, env = "COUNTERSIGN_TOKEN", hide_env_values = true, global = true)]
    token: Option<SecretString>,

    /// A file that holds the token, read instead of --token; `-` is standard input
    #[arg(long, global = true, value_name = "FILE")]
    token_file: Option<PathBuf>,
}

impl Connection {
    pub(crate) fn client(&self) -> anyhow::Result<Client> {
        Client::new(self.url.clone(), self.token()?.as_ref())
    }

    /// For what identifies its caller otherwise, or not at all.
    pub(crate) fn anonymous(&self) -> anyhow::Result<Client> {
        Client::new(self.url.clone(), None)
    }

    /// The file wins: the other may stand in the environment, where `clap` would call it a conflict.
    fn token(&self) -> anyhow::Result<Option<SecretString>> {
        match &self.token_file {
            Some(path) => input::secret_file(path).map(Some),
            None => Ok(self.token.clone().filter(|token| !token.expose_secret().is_empty())),
        }
    }
}
