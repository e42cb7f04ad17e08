//! `countersign explain`: why a decision is what it is, and what came of it.

use clap::Args;
use serde_json::{Value, json};

use crate::client::{Client, PathId};
use crate::output::{Output, cell, lines, table};

/// Explain a decision: what was asked, by which rules it was answered, and what came of it
#[derive(Args)]
#[command(after_help = "\
Examples:
  countersign explain decision:3623accd9000de00
  countersign explain 3623accd9000de00 --output json

The id stands in error bodies, in events and in the answers of `countersign check`.")]
pub(crate) struct Explain {
    /// `decision:` and 16 hex digits, or the digits alone
    decision: PathId,
}

pub(crate) async fn run(explain: &Explain, client: &Client, output: Output) -> anyhow::Result<()> {
    let url = client.api(&["decisions", explain.decision.as_str()]);
    Ok(output.print(&client.get(url).await?, for_people)?)
}

fn for_people(decision: &Value) -> String {
    let mut parts = vec![lines(about(decision))];
    let now = &decision["now"];
    if let Some(tried) = now["tried"].as_array().filter(|tried| !tried.is_empty()) {
        parts.push(table(&[("RULE", "rule"), ("HELD", "held")], tried));
    }
    if now["same"] == false {
        parts.push(format!(
            "The policies are others by now. Under them it would be: {} ({}), {}",
            cell(&now["effect"]),
            cell(&now["reason"]),
            cell(&now["id"]),
        ));
    }
    let events = decision["events"].as_array().map_or(&[][..], Vec::as_slice);
    let columns = [
        ("TIME", "timestamp"),
        ("ACTION", "action"),
        ("OUTCOME", "outcome"),
        ("ACTOR", "actorId"),
        ("EVENT", "eventId"),
    ];
    parts.push(table(&columns, events));
    parts.join("\n\n")
}

fn about(decision: &Value) -> Vec<(String, String)> {
    let question = &decision["question"];
    let pair = |part: &Value| json!(format!("{}/{}", cell(&part["type"]), cell(&part["id"])));
    let mut about = vec![("decision", decision["id"].clone())];
    if question.is_object() {
        about.extend([
            ("effect", decision["effect"].clone()),
            ("reason", decision["reason"].clone()),
            ("subject", pair(&question["subject"])),
            ("action", question["action"]["name"].clone()),
            ("resource", pair(&question["resource"])),
            ("context", question["context"].clone()),
            ("tenant", question["tenant"].clone()),
            ("rule", decision["matched_rule"].clone()),
            (
                "policy",
                json!(format!(
                    "{} {}",
                    cell(&decision["policy_package"]),
                    cell(&decision["policy_version"])
                )),
            ),
            ("registry", decision["registry_digest"].clone()),
        ]);
    }
    about.into_iter().map(|(name, value)| (name.to_owned(), cell(&value))).collect()
}
