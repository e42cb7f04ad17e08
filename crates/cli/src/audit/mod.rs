//! `countersign audit`: the record of what was done.

mod export;
mod page;
mod tail;
pub(crate) mod verify;

use clap::{Args, Subcommand};

use self::page::{Filter, newest};
use crate::client::{self, Client, PathId};
use crate::output::{self, Output, record, table};

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Find events, newest first
    #[command(after_help = "\
Examples:
  countersign audit search --outcome denied --since 24h
  countersign audit search --agent 01985b5e-3c1a-7000-8000-000000000001 --limit 200")]
    Search(Search),

    /// Show one event
    #[command(after_help = "\
Example:
  countersign audit show 01985b5e-3c1a-7000-8000-0000000000e1")]
    Show { event: PathId },

    /// Show the newest events, oldest first, a line each
    #[command(after_help = "\
Examples:
  countersign audit tail
  countersign audit tail --follow --output json | jq 'select(.outcome == \"denied\")'

With --output json each event is one line of JSON.")]
    Tail {
        /// Go on with what is recorded from now
        #[arg(long, short)]
        follow: bool,
    },

    /// Write the sealed events to a file that `audit verify` can check
    #[command(after_help = "\
Examples:
  countersign audit export --since 30d --out audit.jsonl
  countersign audit export --format csv --action agent.quarantined")]
    Export(export::Export),

    /// Check the record against its seals: a database, or an exported file, without a server
    #[command(after_help = "\
Examples:
  countersign audit verify
  countersign audit verify --set DATABASE_URL=postgres://localhost/countersign --seals seals.jsonl
  countersign audit verify --export audit.jsonl --keys keys.json

It names each event that was changed, removed, inserted or reordered, and then exits with 1. Keys and
seals that were kept elsewhere show, too, what whoever holds the keys could hide.")]
    Verify(verify::Verify),

    /// List the seals, oldest first
    #[command(after_help = "\
Example:
  countersign audit seals --after 100")]
    Seals {
        /// Those that follow this one
        #[arg(long, default_value_t = 0)]
        after: u64,

        /// How many at most
        #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=1000))]
        limit: u32,
    },

    /// Prove that an event is in the record: check the way from it to its seal
    #[command(after_help = "\
Example:
  countersign audit proof 01985b5e-3c1a-7000-8000-0000000000e1")]
    Proof { event: PathId },
}

#[derive(Args)]
pub(crate) struct Search {
    #[command(flatten)]
    filter: Filter,

    /// How many events at most
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..))]
    limit: u32,
}

pub(crate) async fn run(command: Command, client: &Client, output: Output) -> anyhow::Result<()> {
    match command {
        Command::Search(search) => self::search(search, client, output).await,
        Command::Show { event } => {
            let event = client.get(client.api(&["audit", event.as_str()])).await?;
            Ok(output.print(&event, |event| record(event, FIRST))?)
        }
        Command::Tail { follow } => tail::run(follow, client, output).await,
        Command::Export(export) => export::run(export, client).await,
        Command::Verify(verify) => verify::run(&verify, output).await,
        Command::Seals { after, limit } => seals(after, limit, client, output).await,
        Command::Proof { event } => {
            let proof = client.get(client.api(&["audit", event.as_str(), "proof"])).await?;
            let keys = client.get(client.api(&["audit", "keys"])).await?;
            let proven = verify::proof(&proof, &keys)?;
            Ok(output
                .print(&proven, |proven| record(proven, &["eventId", "seal", "index", "of"]))?)
        }
    }
}

const FIRST: &[&str] =
    &["eventId", "timestamp", "action", "outcome", "actorType", "actorId", "agentId", "resource"];

async fn seals(after: u64, limit: u32, client: &Client, output: Output) -> anyhow::Result<()> {
    let mut url = client.api(&["audit", "seals"]);
    let query = [("after", Some(after.to_string())), ("limit", Some(limit.to_string()))];
    client::ask_for(&mut url, &query);
    let answer = client.get(url).await?;
    let columns = [("SEAL", "seal"), ("TIME", "time"), ("EVENTS", "count"), ("ROOT", "root")];
    output.print(&answer, |answer| table(&columns, output::rows(answer)))?;
    if matches!(output, Output::Table) && !answer["nextCursor"].is_null() {
        output::note(&format!("there are more: --after {}", output::cell(&answer["nextCursor"])));
    }
    Ok(())
}

async fn search(search: Search, client: &Client, output: Output) -> anyhow::Result<()> {
    let limit = usize::try_from(search.limit)?;
    let answer = newest(client, &search.filter, limit).await?.into_answer();
    let columns = [
        ("TIME", "timestamp"),
        ("ACTION", "action"),
        ("OUTCOME", "outcome"),
        ("EVENT", "eventId"),
        ("ACTOR", "actorId"),
    ];
    output.print(&answer, |answer| table(&columns, output::rows(answer)))?;
    if matches!(output, Output::Table) && !answer["nextCursor"].is_null() {
        output::note("there may be more: raise --limit");
    }
    Ok(())
}
