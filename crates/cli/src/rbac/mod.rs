//! `countersign rbac`: the role matrix, which says what roles may do.

mod log;
mod matrix;

use std::path::PathBuf;

use anyhow::ensure;
use clap::Subcommand;
use serde_json::{Value, json};

use crate::client::{Client, ask_for};
use crate::input;
use crate::output::{Output, plain, record};

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Show which matrix is in force, and since when
    #[command(after_help = "\
Example:
  countersign rbac info")]
    Info,

    /// Show the matrix: a row a resource, a column a role
    #[command(after_help = "\
Examples:
  countersign rbac matrix
  countersign rbac matrix --output json > matrix.json")]
    Matrix,

    /// Put another matrix in force
    #[command(after_help = "\
Example:
  countersign rbac upload matrix.json")]
    Upload {
        /// A whole matrix, as `rbac matrix --output json` prints it
        file: PathBuf,
    },

    /// Have the matrix read again from its file
    #[command(after_help = "\
Example:
  countersign rbac reload")]
    Reload,

    /// Find decisions that roles made, newest first
    #[command(after_help = "\
Examples:
  countersign rbac audit --allowed false --since 24h
  countersign rbac audit --resource agents --action write --since 2026-01-31T00:00:00Z")]
    Audit(log::Search),

    /// Forget decisions that roles made, earlier than the server would
    #[command(after_help = "\
Example:
  countersign rbac cleanup --retention-days 90")]
    Cleanup {
        /// Keep those of so many days
        #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
        retention_days: u32,
    },
}

pub(crate) async fn run(command: Command, client: &Client, output: Output) -> anyhow::Result<()> {
    match command {
        Command::Info => {
            let info = client.get(client.api(&["rbac", "info"])).await?;
            let first =
                ["version", "hash", "source", "loaded_at", "enforce_mode", "fail_open", "roles"];
            Ok(output.print(&info, |info| record(info, &first))?)
        }
        Command::Matrix => {
            let matrix = client.get(client.api(&["rbac", "matrix"])).await?;
            Ok(output.print(&matrix, matrix::for_people)?)
        }
        Command::Upload { file } => {
            let document = input::document(&file)?;
            let url = client.api(&["rbac", "matrix"]);
            loaded(&client.put_document(url, document).await?, output)
        }
        Command::Reload => {
            loaded(&client.post(client.api(&["rbac", "reload"]), &json!({})).await?, output)
        }
        Command::Audit(search) => log::search(&search, client, output).await,
        Command::Cleanup { retention_days } => {
            let mut url = client.api(&["rbac", "audit", "cleanup"]);
            ask_for(&mut url, &[("retention_days", Some(retention_days.to_string()))]);
            let answer = client.post(url, &json!({})).await?;
            let first = ["deleted_count", "retention_days", "timestamp"];
            Ok(output.print(&answer, |answer| record(answer, &first))?)
        }
    }
}

/// A matrix that can't be used leaves the old one in force, which is a failure also as a 200.
fn loaded(answer: &Value, output: Output) -> anyhow::Result<()> {
    let first = ["success", "message", "previous_hash", "new_hash", "timestamp"];
    output.print(answer, |answer| record(answer, &first))?;
    let message = answer["message"].as_str().unwrap_or("the server gave no reason");
    ensure!(answer["success"] != false, "the matrix was not changed: {}", plain(message));
    Ok(())
}
