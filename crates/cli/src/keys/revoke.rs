//! `countersign keys revoke`: for a leak. What it prints is the timeline that an incident report needs.

use clap::Args;
use serde_json::{Value, json};

use crate::client::{Client, PathId};
use crate::input;
use crate::output::{self, Output, cell, lines, plain};

#[derive(Args)]
pub(crate) struct Revoke {
    // One in 64 begins with a hyphen.
    #[arg(allow_hyphen_values = true)]
    kid: PathId,

    /// Why; it stands in the record
    #[arg(long, value_name = "TEXT")]
    reason: String,

    /// Don't ask
    #[arg(long, short)]
    yes: bool,
}

pub(super) async fn run(
    Revoke { kid, reason, yes }: Revoke,
    client: &Client,
    output: Output,
) -> anyhow::Result<()> {
    if !yes {
        input::confirm(&format!(
            "revoke the key {}? every token it signed dies, and this can't be undone",
            plain(kid.as_str())
        ))?;
    }
    let url = client.api(&["keys", kid.as_str(), "revoke"]);
    let answer = client.post(url, &json!({ "reason": reason })).await?;
    output.print(&answer, timeline)?;
    if !answer["offlineUntil"].is_null() {
        output::note(
            "until then a verifier that works offline from a cached key set may take its tokens",
        );
    }
    Ok(())
}

fn timeline(answer: &Value) -> String {
    let line = |name: &str, member: &str| (name.to_owned(), cell(&answer[member]));
    lines([
        line("key", "kid"),
        line("revoked at", "revokedAt"),
        line("signs now", "activeKid"),
        line("offline verifiers until", "offlineUntil"),
    ])
}
