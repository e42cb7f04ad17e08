//! `countersign whoami`: as whom the server takes this caller.

use serde_json::Value;

use crate::client::Client;
use crate::output::{Output, record};

pub(crate) async fn run(client: &Client, output: Output) -> anyhow::Result<()> {
    Ok(output.print(&ask(client).await?, for_people)?)
}

pub(crate) async fn ask(client: &Client) -> anyhow::Result<Value> {
    client.get(client.api(&["whoami"])).await
}

pub(crate) fn for_people(caller: &Value) -> String {
    record(
        caller,
        &["type", "id", "displayName", "tenant", "roles", "scopes", "approvalLevel", "expiresAt"],
    )
}
