//! `countersign token`: access tokens by client credentials (RFC 6749 section 4.4), introspection
//! (RFC 7662), revocation (RFC 7009), and a look into one without a server.

mod decode;
mod issue;

use clap::{Args, Subcommand};
use secrecy::{ExposeSecret, SecretString};

use crate::client::Connection;
use crate::input;
use crate::output::{Output, record};

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Get an access token for an agent
    #[command(after_help = "\
Examples:
  countersign token issue --client-id AGENT --client-secret-file secret.txt --scope agents:read
  COUNTERSIGN_TOKEN=$(countersign token issue --client-id AGENT --raw)
    (with the secret in COUNTERSIGN_CLIENT_SECRET)")]
    Issue(issue::Request),

    /// Ask the server whether a token lives, and what it holds
    #[command(after_help = "\
Example:
  echo \"$TOKEN\" | countersign token introspect -")]
    Introspect(Subject),

    /// Stop a token at once
    #[command(after_help = "\
Example:
  echo \"$TOKEN\" | countersign token revoke -")]
    Revoke(Subject),

    /// Show what a token says, without asking a server and without checking its signature
    #[command(after_help = "\
Example:
  echo \"$TOKEN\" | countersign token decode -")]
    Decode(Subject),
}

#[derive(Args)]
pub(crate) struct Subject {
    /// The token; `-` reads it from standard input, where other processes do not see it
    #[arg(value_name = "TOKEN")]
    subject: SecretString,
}

pub(crate) async fn run(
    command: Command,
    connection: &Connection,
    output: Output,
) -> anyhow::Result<()> {
    match command {
        Command::Issue(request) => issue::run(request, &connection.anonymous()?, output).await,
        Command::Introspect(subject) => introspect(subject, connection, output).await,
        Command::Revoke(subject) => revoke(subject, connection, output).await,
        Command::Decode(Subject { subject }) => {
            decode::run(&input::typed_or_stdin(subject)?, output)
        }
    }
}

async fn introspect(
    Subject { subject }: Subject,
    connection: &Connection,
    output: Output,
) -> anyhow::Result<()> {
    let token = input::typed_or_stdin(subject)?;
    let client = connection.client()?;
    let url = client.api(&["token", "introspect"]);
    let answer = client.post_form(url, &[("token", token.expose_secret())]).await?;
    Ok(output.print(&answer, |answer| record(answer, &["active", "sub", "client_id", "scope"]))?)
}

async fn revoke(
    Subject { subject }: Subject,
    connection: &Connection,
    output: Output,
) -> anyhow::Result<()> {
    let token = input::typed_or_stdin(subject)?;
    let client = connection.client()?;
    let url = client.api(&["token", "revoke"]);
    client.post_form(url, &[("token", token.expose_secret())]).await?;
    // RFC 7009 section 2.2: an unknown token is answered the same way.
    Ok(output.done("the token is revoked, if it was one")?)
}
