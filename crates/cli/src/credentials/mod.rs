//! `countersign credentials`: the secrets an agent gets its tokens with.

use clap::Subcommand;
use serde_json::{Map, Value};

use crate::client::{Client, PathId};
use crate::output::{self, Output, record, table};

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Make a credential; its secret is shown this once
    #[command(after_help = "\
Examples:
  countersign credentials create 01985b5e-3c1a-7000-8000-000000000001
  countersign credentials create 01985b5e-3c1a-7000-8000-000000000001 \\
    --expires-at 2027-01-01T00:00:00Z")]
    Create {
        agent: PathId,
        /// When it stops working, as RFC 3339 writes a time [default: never]
        #[arg(long, value_name = "TIME")]
        expires_at: Option<String>,
    },

    /// List an agent's credentials, without their secrets
    #[command(after_help = "\
Example:
  countersign credentials list 01985b5e-3c1a-7000-8000-000000000001")]
    List { agent: PathId },

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
        Command::Create { agent, expires_at } => {
            let body = optional("expiresAt", expires_at);
            shown_once(&client.post(all(&agent), &body).await?, output)
        }
        Command::Rotate { agent, credential, grace_seconds } => {
            let body = optional("graceSeconds", grace_seconds);
            shown_once(&client.post(path(&agent, &credential, &["rotate"]), &body).await?, output)
        }
        Command::List { agent } => list(&client.get(all(&agent)).await?, output),
        Command::Revoke { agent, credential } => {
            client.delete(path(&agent, &credential, &[])).await?;
            Ok(output.done(&format!("credential {} is revoked", credential.as_str()))?)
        }
    }
}

fn optional(member: &str, value: Option<impl Into<Value>>) -> Map<String, Value> {
    value.into_iter().map(|value| (member.to_owned(), value.into())).collect()
}

fn shown_once(credential: &Value, output: Output) -> anyhow::Result<()> {
    output.print(credential, |credential| {
        record(credential, &["credentialId", "clientId", "clientSecret", "status", "createdAt"])
    })?;
    output::note("the client secret is shown only this once: store it now");
    Ok(())
}

fn list(answer: &Value, output: Output) -> anyhow::Result<()> {
    let columns = [
        ("CREDENTIAL", "credentialId"),
        ("STATUS", "status"),
        ("CREATED", "createdAt"),
        ("EXPIRES", "expiresAt"),
        ("LAST USED", "lastUsedAt"),
        ("FROM", "lastUsedFrom"),
    ];
    Ok(output.print(answer, |answer| table(&columns, output::rows(answer)))?)
}
