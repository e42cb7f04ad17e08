//! `countersign token issue`: the client credentials grant (RFC 6749 section 4.4, RFC 8707).

use std::path::PathBuf;

use anyhow::Context;
use clap::Args;
use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;

use crate::client::Client;
use crate::input;
use crate::output::{self, Output, record};

#[derive(Args)]
pub(crate) struct Request {
    /// The agent's id
    #[arg(long, value_name = "AGENT")]
    client_id: String,

    /// The secret of one of its credentials; `-` is standard input
    #[arg(
        long,
        env = "COUNTERSIGN_CLIENT_SECRET",
        hide_env_values = true,
        value_name = "SECRET",
        required_unless_present = "client_secret_file"
    )]
    client_secret: Option<SecretString>,

    /// A file that holds the secret, read instead of --client-secret; `-` is standard input
    #[arg(long, value_name = "FILE")]
    client_secret_file: Option<PathBuf>,

    /// A permission to ask for; may be repeated [default: all the agent has]
    #[arg(long = "scope", value_name = "RESOURCE:ACTION")]
    scopes: Vec<String>,

    /// An audience to ask for; may be repeated
    #[arg(long = "resource", value_name = "URI")]
    resources: Vec<String>,

    /// Print the token and nothing else
    #[arg(long)]
    raw: bool,
}

pub(super) async fn run(request: Request, client: &Client, output: Output) -> anyhow::Result<()> {
    let secret = secret(&request)?;
    let scope = request.scopes.join(" ");
    let mut form = vec![
        ("grant_type", "client_credentials"),
        ("client_id", &request.client_id),
        ("client_secret", secret.expose_secret()),
    ];
    if !scope.is_empty() {
        form.push(("scope", &scope));
    }
    form.extend(request.resources.iter().map(|resource| ("resource", resource.as_str())));

    let answer = client.post_form(client.api(&["token"]), &form).await?;
    if request.raw {
        let token = answer["access_token"].as_str().context("the answer holds no access token")?;
        return Ok(output::line(&output::plain(token))?);
    }
    Ok(output.print(&answer, for_people)?)
}

/// The file wins: the other may stand in the environment, where `clap` would call it a conflict.
fn secret(request: &Request) -> anyhow::Result<SecretString> {
    match (&request.client_secret_file, &request.client_secret) {
        (Some(path), _) => input::secret_file(path),
        (None, Some(secret)) => input::typed_or_stdin(secret.clone()),
        (None, None) => anyhow::bail!("no client secret was given"),
    }
}

fn for_people(answer: &Value) -> String {
    record(answer, &["access_token", "token_type", "expires_in", "scope"])
}
