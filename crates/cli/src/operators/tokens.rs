//! `countersign operators tokens`: what operators show who they are with.

use clap::{Args, Subcommand};
use serde::Serialize;

use crate::client::{Client, PathId};
use crate::listing::{Listing, Paging};
use crate::output::{self, Output, record};

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Make a token; it is shown this once
    #[command(after_help = "\
Examples:
  countersign operators tokens create OPERATOR --name laptop
  countersign operators tokens create OPERATOR --expires-at 2027-01-01T00:00:00Z")]
    Create {
        operator: PathId,
        #[command(flatten)]
        wanted: NewToken,
    },

    /// List an operator's tokens, without their secrets
    #[command(after_help = "\
Example:
  countersign operators tokens list OPERATOR")]
    List {
        operator: PathId,
        #[command(flatten)]
        paging: Paging,
    },

    /// Stop a token at once
    #[command(after_help = "\
Example:
  countersign operators tokens revoke OPERATOR TOKEN_ID")]
    Revoke { operator: PathId, token_id: PathId },
}

#[derive(Args, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct NewToken {
    /// What tells it from the others
    #[arg(long)]
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,

    /// When it stops working, as RFC 3339 writes a time [default: never]
    #[arg(long, value_name = "TIME")]
    #[serde(skip_serializing_if = "Option::is_none")]
    expires_at: Option<String>,
}

pub(super) async fn run(command: Command, client: &Client, output: Output) -> anyhow::Result<()> {
    let all = |operator: &PathId| client.api(&["operators", operator.as_str(), "tokens"]);
    match command {
        Command::Create { operator, wanted } => {
            let made = client.post(all(&operator), &wanted).await?;
            let first = ["tokenId", "operatorId", "token", "name", "status", "createdAt"];
            output.print(&made, |made| record(made, &first))?;
            output::note("the token is shown only this once: store it now");
            Ok(())
        }
        Command::List { operator, paging } => {
            LISTING.print(all(&operator), &paging, client, output).await
        }
        Command::Revoke { operator, token_id } => {
            let one = ["operators", operator.as_str(), "tokens", token_id.as_str()];
            client.delete(client.api(&one)).await?;
            Ok(output.done(&format!("token {} is revoked", token_id.as_str()))?)
        }
    }
}

const LISTING: Listing = Listing {
    things: "tokens",
    columns: &[
        ("TOKEN", "tokenId"),
        ("NAME", "name"),
        ("STATUS", "status"),
        ("CREATED", "createdAt"),
        ("EXPIRES", "expiresAt"),
        ("REVOKED", "revokedAt"),
        ("LAST USED", "lastUsedAt"),
    ],
};
