//! `countersign keys`: the ring of keys that sign tokens.

mod revoke;

use clap::Subcommand;
use reqwest::StatusCode;
use serde_json::{Value, json};

use self::revoke::Revoke;
use crate::client::Client;
use crate::listing::{Listing, Paging};
use crate::output::{Output, record};
use crate::refusal::Refusal;

#[derive(Subcommand)]
pub(crate) enum Command {
    /// List the keys and their states: next, active, retiring, retired
    #[command(after_help = "\
Example:
  countersign keys list")]
    List(Paging),

    /// Sign with the next key; tokens of the former stay good until they expire
    #[command(after_help = "\
Examples:
  countersign keys rotate
  countersign keys rotate --force
  countersign keys rotate --purpose seal")]
    Rotate {
        /// Which ring: the keys that sign tokens, or those that seal the record
        #[arg(long, value_parser = ["token", "seal"], default_value = "token")]
        purpose: String,

        /// Also when verifiers may not have seen the next key yet
        #[arg(long)]
        force: bool,
    },

    /// Withdraw a key that leaked; its tokens die at once
    #[command(after_help = "\
Example:
  countersign keys revoke KID --reason 'a backup was stolen'")]
    Revoke(Revoke),

    /// Seal under MASTER_KEY whatever is still sealed under MASTER_KEY_PREVIOUS
    #[command(after_help = "\
Example:
  countersign keys reseal")]
    Reseal,
}

pub(crate) async fn run(command: Command, client: &Client, output: Output) -> anyhow::Result<()> {
    match command {
        Command::List(paging) => {
            LISTING.print(client.api(&["keys"]), &paging, client, output).await
        }
        Command::Rotate { purpose, force } => rotate(&purpose, force, client, output).await,
        Command::Revoke(revoke) => revoke::run(revoke, client, output).await,
        Command::Reseal => {
            let answer = client.post(client.api(&["keys", "reseal"]), &json!({})).await?;
            Ok(output.print(&answer, |answer| record(answer, &["resealed", "total"]))?)
        }
    }
}

const LISTING: Listing = Listing {
    things: "keys",
    columns: &[
        ("KEY", "kid"),
        ("STATE", "state"),
        ("ALG", "alg"),
        ("ORIGIN", "origin"),
        ("CREATED", "createdAt"),
        ("ACTIVATED", "activatedAt"),
        ("RETIRES", "retiresAt"),
        ("REVOKED", "revokedAt"),
        ("LAST USED", "lastUsedAt"),
    ],
};

async fn rotate(purpose: &str, force: bool, client: &Client, output: Output) -> anyhow::Result<()> {
    let mut body = json!({});
    if force {
        body["force"] = true.into();
    }
    if purpose != "token" {
        body["purpose"] = purpose.into();
    }
    let answer = client.post(client.api(&["keys", "rotate"]), &body).await.map_err(too_young)?;
    Ok(output.print(&answer, for_people)?)
}

fn for_people(answer: &Value) -> String {
    record(answer, &["activeKid", "retiringKid", "retiresAt", "nextKid"])
}

/// Only this command's 409 can be overridden, and only with a risk that should be known.
fn too_young(error: anyhow::Error) -> anyhow::Error {
    match error.downcast::<Refusal>() {
        Ok(refusal) if refusal.status == StatusCode::CONFLICT && refusal.names_a_time() => {
            refusal.with_advice(
                "--force rotates now, and then verifiers with a cached key set refuse new tokens for \
                 a while",
            )
            .into()
        }
        Ok(refusal) => refusal.into(),
        Err(error) => error,
    }
}
