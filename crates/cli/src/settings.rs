//! The arguments of the commands that run here instead of asking a server.

use std::path::PathBuf;
use std::str::FromStr;

use clap::{Args, Subcommand};

/// Run the server
#[derive(Args)]
#[command(after_help = "\
Examples:
  countersign serve
  countersign serve --config countersign.toml --set PORT=8443")]
pub(crate) struct ServeArgs {
    #[command(flatten)]
    pub(crate) sources: Sources,
}

/// Bring the database to this version's schema
#[derive(Args)]
#[command(after_help = "\
Example:
  countersign migrate --set DATABASE_URL=postgres://localhost/countersign")]
pub(crate) struct MigrateArgs {
    #[command(flatten)]
    pub(crate) sources: Sources,
}

/// Show every setting and where it came from, without starting
#[derive(Args)]
#[command(after_help = "\
Examples:
  countersign config
  countersign config check --config countersign.toml
  countersign config remote")]
pub(crate) struct ConfigArgs {
    #[command(flatten)]
    pub(crate) sources: Sources,

    #[command(subcommand)]
    pub(crate) command: Option<ConfigCommand>,
}

#[derive(Subcommand)]
pub(crate) enum ConfigCommand {
    /// Only say whether the server could start with it, naming each fault
    #[command(after_help = "\
Example:
  countersign config check --config countersign.toml && systemctl restart countersign")]
    Check,

    /// Show every setting of a running server instead, to the role infra
    #[command(after_help = "\
Example:
  countersign config remote --url https://countersign.example")]
    Remote,
}

/// Try Countersign on this machine, with nothing to set up
#[derive(Args)]
#[command(after_help = "\
Examples:
  countersign quickstart
  countersign quickstart --once --dir ./trial")]
pub(crate) struct QuickstartArgs {
    /// Leave once everything was shown, instead of keeping the server running
    #[arg(long)]
    pub(crate) once: bool,

    /// Where its data is kept
    #[arg(long)]
    pub(crate) dir: Option<PathBuf>,
}

/// Where settings come from, besides the environment.
#[derive(Args)]
pub(crate) struct Sources {
    /// A file of settings
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,

    /// A setting that overrides the environment and the file; may be repeated
    #[arg(long, global = true, value_name = "NAME=VALUE")]
    pub(crate) set: Vec<Assignment>,
}

impl Sources {
    pub(crate) fn are_given(&self) -> bool {
        self.config.is_some() || !self.set.is_empty()
    }
}

/// `NAME=VALUE`. The value may be a secret, so there is no `Debug`.
#[derive(Clone)]
pub(crate) struct Assignment {
    pub(crate) name: String,
    pub(crate) value: String,
}

impl FromStr for Assignment {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.split_once('=') {
            Some((name, value)) if !name.is_empty() => {
                Ok(Self { name: name.to_owned(), value: value.to_owned() })
            }
            _ => Err("expected NAME=VALUE"),
        }
    }
}
