//! `countersign credentials`: what an agent gets its tokens with, a secret or a certificate.

mod certificate;

use std::path::PathBuf;

use clap::Subcommand;
use serde_json::{Map, Value};

use crate::client::{Client, PathId};
use crate::listing::{Listing, Paging};
use crate::output::{self, Output, record};

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Make a credential; its secret is shown this once
    #[command(after_help = "\
Examples:
  countersign credentials create 01985b5e-3c1a-7000-8000-000000000001
  countersign credentials create 01985b5e-3c1a-7000-8000-000000000001 \\
    --expires-at 2027-01-01T00:00:00Z
  countersign credentials create 01985b5e-3c1a-7000-8000-000000000001 --certificate agent.pem")]
    Create {
        agent: PathId,
        /// The agent's certificate, PEM or DER: it then proves itself with that, without a secret
        #[arg(long, value_name = "FILE")]
        certificate: Option<PathBuf>,
        /// When it stops working, as RFC 3339 writes a time [default: never]
        #[arg(long, value_name = "TIME")]
        expires_at: Option<String>,
    },

    /// List an agent's credentials, without their secrets
    #[command(after_help = "\
Example:
  countersign credentials list 01985b5e-3c1a-7000-8000-000000000001")]
    List {
        agent: PathId,
        #[command(flatten)]
        paging: Paging,
    },

    /// Give a credential a new secret, shown this once
    #[command(after_help = "\
Examples:
  countersign credentials rotate AGENT CREDENTIAL
  countersign credentials rotate AGENT CREDENTIAL --grace-seconds 3600")]
    Rotate {
        agent: PathId,
        credential: PathId,
        /// How long the old secret still works, at most 7 days [default: not at all]
        #[arg(long, value_name = "N")]
        grace_seconds: Option<u32>,
    },

    /// Stop a credential and every token it got, at once
    #[command(after_help = "\
Example:
  countersign credentials revoke AGENT CREDENTIAL")]
    Revoke { agent: PathId, credential: PathId },
}

pub(crate) async fn run(command: Command, client: &Client, output: Output) -> anyhow::Result<()> {
    let all = |agent: &PathId| client.api(&["agents", agent.as_str(), "credentials"]);
    let path = |agent: &PathId, credential: &PathId, verb: &[&str]| {
        let one = ["agents", agent.as_str(), "credentials", credential.as_str()];
        client.api(&[&one, verb].concat())
    };
    match command {
        Command::Create { agent, certificate, expires_at } => {
            let mut body = optional("expiresAt", expires_at);
            if let Some(path) = certificate {
                let thumbprint = certificate::thumbprint(&path)?;
                body.insert("certificateThumbprint".to_owned(), thumbprint.into());
            }
            made(&client.post(all(&agent), &body).await?, output)
        }
        Command::Rotate { agent, credential, grace_seconds } => {
            let body = optional("graceSeconds", grace_seconds);
            made(&client.post(path(&agent, &credential, &["rotate"]), &body).await?, output)
        }
        Command::List { agent, paging } => {
            LISTING.print(all(&agent), &paging, client, output).await
        }
        Command::Revoke { agent, credential } => {
            client.delete(path(&agent, &credential, &[])).await?;
            Ok(output.done(&format!("credential {} is revoked", credential.as_str()))?)
        }
    }
}

fn optional(member: &str, value: Option<impl Into<Value>>) -> Map<String, Value> {
    value.into_iter().map(|value| (member.to_owned(), value.into())).collect()
}

fn made(credential: &Value, output: Output) -> anyhow::Result<()> {
    let first = [
        "credentialId",
        "clientId",
        "clientSecret",
        "certificateThumbprint",
        "status",
        "createdAt",
    ];
    output.print(credential, |credential| record(credential, &first))?;
    if !credential["clientSecret"].is_null() {
        output::note("the client secret is shown only this once: store it now");
    } else if !credential["certificateThumbprint"].is_null() {
        output::note("no secret is needed: the agent proves itself with this certificate");
    }
    Ok(())
}

const LISTING: Listing = Listing {
    things: "credentials",
    columns: &[
        ("CREDENTIAL", "credentialId"),
        ("STATUS", "status"),
        ("CREATED", "createdAt"),
        ("EXPIRES", "expiresAt"),
        ("LAST USED", "lastUsedAt"),
        ("FROM", "lastUsedFrom"),
        ("CERTIFICATE", "certificateThumbprint"),
    ],
};
