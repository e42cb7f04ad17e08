//! The settings in force, of a server elsewhere or as one started here would have them.

use serde_json::Value;

use crate::client::Client;
use crate::output::{self, Output, plain, table};

/// `countersign config remote`.
pub(crate) async fn remote(client: &Client, output: Output) -> anyhow::Result<()> {
    let answer = client.get(client.api(&["config"])).await?;
    for warning in answer["warnings"].as_array().into_iter().flatten().filter_map(Value::as_str) {
        output::note(&format!("warning: {}", plain(warning)));
    }
    print(&answer, output)
}

pub(crate) fn print(answer: &Value, output: Output) -> anyhow::Result<()> {
    let columns =
        [("SETTING", "name"), ("VALUE", "value"), ("FROM", "source"), ("MEANING", "meaning")];
    Ok(output.print(answer, |answer| table(&columns, output::rows(answer)))?)
}
