//! `countersign agents quarantine`: the receipt of everything that was stopped, and what was out of
//! reach.

use clap::Args;
use serde_json::{Value, json};

use crate::client::{Client, PathId};
use crate::output::{self, Output, plain, record};

#[derive(Args)]
pub(crate) struct Quarantine {
    agent: PathId,

    /// Why; it stands in the record
    #[arg(long, value_name = "TEXT")]
    reason: String,
}

pub(super) async fn run(
    Quarantine { agent, reason }: Quarantine,
    client: &Client,
    output: Output,
) -> anyhow::Result<()> {
    let url = client.api(&["agents", agent.as_str(), "quarantine"]);
    let receipt = client.post(url, &json!({ "reason": reason })).await?;
    output.print(&receipt, for_people)?;
    if let Some(until) = receipt["selfContainedUntil"].as_str() {
        output::note(&format!(
            "a verifier that works offline may take its tokens until {}",
            plain(until)
        ));
    }
    Ok(())
}

fn for_people(receipt: &Value) -> String {
    let mut receipt = receipt.clone();
    for service in receipt.get_mut("services").and_then(Value::as_array_mut).into_iter().flatten() {
        if let (Some(id), Some(versions)) = (service["id"].as_str(), service["versions"].as_array())
        {
            let versions: Vec<_> = versions.iter().map(output::cell).collect();
            *service = json!(format!("{id} ({})", versions.join(" ")));
        }
    }
    record(
        &receipt,
        &[
            "receiptId",
            "eventId",
            "agentId",
            "reason",
            "stoppedAt",
            "tokens.notBefore",
            "tokens.live",
            "credentials",
            "services",
            "sshCertificates",
            "approvals",
            "webhooks",
            "selfContainedUntil",
        ],
    )
}
