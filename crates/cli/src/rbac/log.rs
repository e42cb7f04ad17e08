//! `countersign rbac audit`: the decisions that roles made.

use clap::Args;
use countersign_ground::clock::Clock;
use serde_json::Value;

use crate::client::{Client, ask_for};
use crate::output::{self, Output, table};
use crate::since::Since;

#[derive(Args)]
pub(crate) struct Search {
    /// Only about this resource
    #[arg(long)]
    resource: Option<String>,

    /// Only about this action
    #[arg(long)]
    action: Option<String>,

    /// Only those that allowed, or only those that did not
    #[arg(long, value_name = "true|false")]
    allowed: Option<bool>,

    /// Only about this caller
    #[arg(long, value_name = "ID")]
    subject: Option<String>,

    /// Only about callers of this tenant
    #[arg(long, value_name = "ID")]
    of_tenant: Option<String>,

    /// Only from this time, as RFC 3339 writes it, or so long ago: 24h, 7d
    #[arg(long, value_name = "TIME")]
    since: Option<Since>,

    /// How many at most
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..))]
    limit: u32,

    /// How many to pass over first
    #[arg(long, default_value_t = 0)]
    offset: u32,
}

pub(super) async fn search(search: &Search, client: &Client, output: Output) -> anyhow::Result<()> {
    let mut url = client.api(&["rbac", "audit"]);
    ask_for(
        &mut url,
        &[
            ("resource", search.resource.clone()),
            ("action", search.action.clone()),
            ("allowed", search.allowed.map(|allowed| allowed.to_string())),
            ("subject", search.subject.clone()),
            ("tenant_id", search.of_tenant.clone()),
            ("since", search.since.as_ref().map(|since| since.told(&Clock::System))),
            ("limit", Some(search.limit.to_string())),
            ("offset", Some(search.offset.to_string())),
        ],
    );
    let answer = client.get(url).await?;
    output.print(&answer, |answer| table(COLUMNS, output::rows(&answer["entries"])))?;
    if let (Output::Table, Some(note)) = (output, where_we_are(&answer)) {
        output::note(&note);
    }
    Ok(())
}

const COLUMNS: &[(&str, &str)] = &[
    ("TIME", "timestamp"),
    ("ALLOWED", "allowed"),
    ("SUBJECT", "subject"),
    ("RESOURCE", "resource"),
    ("ID", "resource_id"),
    ("ACTION", "action"),
    ("REASON", "reason"),
    ("DECISION", "decision_id"),
];

/// Said when more was found than is shown.
fn where_we_are(answer: &Value) -> Option<String> {
    let (total, offset) = (answer["total"].as_u64()?, answer["offset"].as_u64()?);
    let shown = u64::try_from(answer["entries"].as_array()?.len()).ok()?;
    let until = offset.saturating_add(shown);
    match total {
        0 => Some("no decisions".to_owned()),
        total if until < total => {
            Some(format!("{until} of {total} decisions; next: --offset {until}"))
        }
        _ => None,
    }
}
