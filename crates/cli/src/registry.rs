//! `countersign registry`: who and what there is.

use std::path::PathBuf;

use clap::Subcommand;
use countersign_policy::{InvalidRegistry, Registry};
use serde_json::{Value, json};

use crate::client::Connection;
use crate::output::{Output, record};
use crate::{check, input};

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Show which registry is in force, and how much it holds
    #[command(after_help = "\
Example:
  countersign registry info")]
    Info,

    /// Put another registry in force, on every node
    #[command(after_help = "\
Example:
  countersign registry load registry.json")]
    Load {
        /// A snapshot; `-` reads standard input
        file: PathBuf,
    },

    /// Tell whether a snapshot can be used, and every fault with its place; asks no server
    #[command(after_help = "\
Example:
  countersign registry validate registry.json")]
    Validate {
        /// A snapshot
        file: PathBuf,
    },
}

pub(crate) async fn run(
    command: Command,
    connection: &Connection,
    output: Output,
) -> anyhow::Result<()> {
    let answer = match command {
        Command::Info => {
            let client = connection.client()?;
            client.get(client.api(&["registry"])).await?
        }
        Command::Load { file } => {
            let document = input::document(&file)?;
            let client = connection.client()?;
            client.post_document(client.api(&["registry"]), document).await?
        }
        Command::Validate { file } => validated(&file)?,
    };
    let first = ["digest", "tenant", "source", "loaded_at"];
    Ok(output.print(&answer, |answer| record(answer, &first))?)
}

fn validated(file: &std::path::Path) -> anyhow::Result<Value> {
    let registry =
        check::read(file, |text| Registry::parse(text).map_err(|InvalidRegistry(faults)| faults))?;
    Ok(json!({
        "digest": &**registry.digest(), "tenant": registry.tenant(),
        "counts": registry.counts(),
    }))
}
