//! `countersign audit`: the record of what was done.

mod page;
mod tail;

use clap::{Args, Subcommand};

use self::page::{Filter, newest};
use crate::client::{Client, PathId};
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
    }
}

const FIRST: &[&str] =
    &["eventId", "timestamp", "action", "outcome", "actorType", "actorId", "agentId", "resource"];

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
