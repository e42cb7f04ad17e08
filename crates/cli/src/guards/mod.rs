//! `countersign guards`: enforcement points, what each does, and what it would break.

mod report;

use clap::{Args, Subcommand};
use serde::Serialize;
use serde_json::Value;

use crate::client::{Client, PathId};
use crate::output::{self, Output, record, table};
use crate::since::Since;

#[derive(Subcommand)]
pub(crate) enum Command {
    /// List the guards, and what each does
    #[command(after_help = "\
Example:
  countersign guards list")]
    List,

    /// Show one guard
    #[command(after_help = "\
Example:
  countersign guards show rbac")]
    Show { guard: PathId },

    /// Have a guard observe or enforce, on every node within a second; a new name makes a guard
    #[command(after_help = "\
Examples:
  countersign guards set npu --mode observe --reason 'first look'
  countersign guards set npu --mode enforce --percent 25
  countersign guards set npu --mode observe --reason 'roll back'

A guard that observes decides and records, and lets everybody pass. With a share it enforces for so many
of a hundred callers, always the same ones; a larger share enforces for all of them and more.")]
    Set {
        guard: PathId,
        #[command(flatten)]
        change: Change,
    },

    /// Show what a guard has denied or would have, what would admit it, and whether it may enforce
    #[command(after_help = "\
Examples:
  countersign guards report npu
  countersign guards report npu --since 15m --exit-code")]
    Report {
        guard: PathId,

        /// From this time, as RFC 3339 writes it, or so long ago: 24h, 7d
        #[arg(long, value_name = "TIME", default_value = "24h")]
        since: Since,

        /// Exit with 1 unless the verdict is `ready`
        #[arg(long)]
        exit_code: bool,
    },

    /// Accept denials as expected: they leave the verdict, and go on being denied
    #[command(after_help = "\
Examples:
  countersign guards accept npu --caller 'anonymous@*' --route 'GET /npu/*' --because no-credentials --note browsers
  countersign guards accept npu --caller 'anonymous@*' --route 'GET /npu/*' --because no-credentials --withdraw

Caller, route and reason are those of the report; `*` at the end of one stands for whatever follows.")]
    Accept {
        guard: PathId,
        #[command(flatten)]
        group: Group,
    },
}

#[derive(Args, Serialize)]
pub(crate) struct Change {
    /// What it does from now on
    #[arg(long, value_parser = ["off", "observe", "enforce"])]
    mode: String,

    /// For how many of a hundred callers it enforces [default: as it was]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u8).range(0..=100))]
    #[serde(skip_serializing_if = "Option::is_none")]
    percent: Option<u8>,

    /// Why, for the record
    #[arg(long, value_name = "TEXT")]
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
}

#[derive(Args, Serialize)]
pub(crate) struct Group {
    /// Whose denials
    #[arg(long, value_name = "CALLER")]
    caller: String,

    /// Denials where
    #[arg(long, value_name = "ROUTE")]
    route: String,

    /// For which reason they are denied
    #[arg(long = "because", value_name = "REASON")]
    reason: String,

    /// Why they are expected
    #[arg(long, value_name = "TEXT")]
    #[serde(skip_serializing_if = "Option::is_none")]
    note: Option<String>,

    /// Take it back
    #[arg(long)]
    #[serde(rename = "accepted", serialize_with = "not")]
    withdraw: bool,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it so")]
fn not<S: serde::Serializer>(withdraw: &bool, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_bool(!withdraw)
}

pub(crate) async fn run(command: Command, client: &Client, output: Output) -> anyhow::Result<()> {
    let at = |guard: &PathId| client.api(&["guards", guard.as_str()]);
    match command {
        Command::List => {
            let answer = client.get(client.api(&["guards"])).await?;
            Ok(output.print(&answer, |answer| table(GUARDS, output::rows(answer)))?)
        }
        Command::Show { guard } => {
            let answer = client.get(at(&guard)).await?;
            Ok(output.print(&answer, for_people)?)
        }
        Command::Set { guard, change } => {
            let answer = client.put(at(&guard), &change).await?;
            Ok(output.print(&answer, for_people)?)
        }
        Command::Report { guard, since, exit_code } => {
            report::show(&guard, &since, exit_code, client, output).await
        }
        Command::Accept { guard, group } => {
            let url = client.api(&["guards", guard.as_str(), "accept"]);
            let answer = client.post(url, &group).await?;
            Ok(output.print(&answer, |answer| match output::rows(answer) {
                [] => "Nothing is accepted.".to_owned(),
                rows => table(report::ACCEPTED, rows),
            })?)
        }
    }
}

const GUARDS: &[(&str, &str)] = &[
    ("GUARD", "name"),
    ("MODE", "mode"),
    ("PERCENT", "percent"),
    ("CHANGED", "changed_at"),
    ("BY", "changed_by"),
    ("REASON", "reason"),
];

fn for_people(guard: &Value) -> String {
    let first = ["name", "mode", "percent", "reason", "changed_at", "changed_by", "variable"];
    record(guard, &first)
}
