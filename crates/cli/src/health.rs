//! `countersign health`: whether the server can answer.

use anyhow::ensure;

use crate::client::Client;
use crate::output::{Output, record};

/// The body is printed also when the server is not ready: it says what is missing.
pub(crate) async fn run(client: &Client, output: Output) -> anyhow::Result<()> {
    let answer = client.peek(client.root(&["readyz"])).await?;
    if let Ok(body) = answer.json() {
        output.print(&body, |body| record(body, &["status"]))?;
    }
    ensure!(answer.status.is_success(), "the server is not ready: it answered {}", answer.status);
    Ok(())
}
