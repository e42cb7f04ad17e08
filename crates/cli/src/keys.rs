//! `countersign keys`: the ring of keys that sign tokens.

use clap::Subcommand;

use crate::client::Client;
use crate::output::{self, Output, table};

#[derive(Subcommand)]
pub(crate) enum Command {
    /// List the keys and their states: next, active, retiring, retired
    #[command(after_help = "\
Example:
  countersign keys list")]
    List,
}

pub(crate) async fn run(command: Command, client: &Client, output: Output) -> anyhow::Result<()> {
    let Command::List = command;
    let columns = [
        ("KEY", "kid"),
        ("ALG", "alg"),
        ("STATE", "state"),
        ("CREATED", "createdAt"),
        ("LAST USED", "lastUsedAt"),
    ];
    let answer = client.get(client.api(&["keys"])).await?;
    Ok(output.print(&answer, |answer| table(&columns, output::rows(answer)))?)
}
