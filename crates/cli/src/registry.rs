//! `countersign registry`: who and what there is.

use std::path::{Path, PathBuf};

use anyhow::ensure;
use clap::Subcommand;
use countersign_policy::{
    Fault, InvalidInventory, InvalidRegistry, Inventory, Registry, differences, strict,
};
use serde_json::{Value, json};

use crate::client::Connection;
use crate::output::{Output, json as harmless, line, record, table};
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

    /// Make a snapshot of an inventory of SSH actors, for --tenant or `default`; asks no server
    #[command(after_help = "\
Example:
  countersign registry build --inventory inventory.yaml --tenant tenant:platform > registry.json

The inventory, in YAML:
  actors:
    agt-state-bridge:
      type: agt                    # adm (a person), agt (an agent) or atm (automation)
      principals: [agt-bridge]
      ttl_hours: 8
      max_ttl_hours: 24            # ttl_hours when absent; at most 48, 24 and 8 by type
      description: moves state between hubs
      subjects: []                 # who else may ask for it
      source_addresses: []         # where it is good from
      force_command:               # the one command")]
    Build {
        /// The inventory
        #[arg(long, value_name = "FILE")]
        inventory: PathBuf,
    },

    /// Tell what differs between two snapshots: added, removed, changed; asks no server
    #[command(after_help = "\
Example:
  countersign registry diff registry.json new.json --exit-code")]
    Diff {
        /// A snapshot
        one: PathBuf,

        /// Another one
        other: PathBuf,

        /// Exit with 1 when they differ
        #[arg(long)]
        exit_code: bool,
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
        Command::Build { inventory } => {
            let tenant = connection.tenant.as_ref().map(ToString::to_string);
            return build(&inventory, tenant.as_deref().unwrap_or("default"));
        }
        Command::Diff { one, other, exit_code } => return diff(&one, &other, exit_code, output),
    };
    let first = ["digest", "tenant", "source", "loaded_at"];
    Ok(output.print(&answer, |answer| record(answer, &first))?)
}

/// The snapshot is a document: it looks the same for people and programs.
fn build(inventory: &Path, tenant: &str) -> anyhow::Result<()> {
    let read = |text: &str| Inventory::read(text).map_err(|InvalidInventory(faults)| faults);
    let snapshot = check::read(inventory, read)?.snapshot(tenant);
    Ok(line(&harmless(&format!("{snapshot:#}")))?)
}

fn diff(one: &Path, other: &Path, exit_code: bool, output: Output) -> anyhow::Result<()> {
    let snapshot = |path: &Path| {
        check::read(path, |text| {
            Registry::parse(text).map_err(|InvalidRegistry(faults)| faults)?;
            let unread = |error: String| vec![Fault { at: String::new(), what: error }];
            strict(text).map_err(|error| unread(error.to_string()))
        })
    };
    let found = differences(&snapshot(one)?, &snapshot(other)?);
    let differ = !found.is_empty();
    let answer = json!({ "differences": found });
    output.print(&answer, |answer| match answer["differences"].as_array() {
        Some(rows) if differ => table(DIFFERENCES, rows),
        _ => "They are the same.".to_owned(),
    })?;
    ensure!(!(exit_code && differ), "the snapshots differ");
    Ok(())
}

const DIFFERENCES: &[(&str, &str)] =
    &[("CHANGE", "change"), ("KIND", "kind"), ("ID", "id"), ("MEMBERS", "members")];

fn validated(file: &Path) -> anyhow::Result<Value> {
    let registry =
        check::read(file, |text| Registry::parse(text).map_err(|InvalidRegistry(faults)| faults))?;
    Ok(json!({
        "digest": &**registry.digest(), "tenant": registry.tenant(),
        "counts": registry.counts(),
    }))
}
