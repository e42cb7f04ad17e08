//! Reading the record page by page. A page may be short, even empty, and not be the last: only a
//! missing `nextCursor` ends it.

use anyhow::ensure;
use clap::Args;
use countersign_ground::clock::Clock;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::client::{self, Client};
use crate::since::Since;

/// No more than this is asked for at once.
const PAGE: usize = 100;

#[derive(Args, Default)]
pub(super) struct Filter {
    /// Only events about this agent
    #[arg(long)]
    agent: Option<String>,

    /// Only this action, such as `agent.suspended`
    #[arg(long)]
    action: Option<String>,

    /// Only this outcome
    #[arg(long, value_parser = ["success", "failure", "denied", "would_deny"])]
    outcome: Option<String>,

    /// Only from this time, as RFC 3339 writes it, or so long ago: 24h, 7d
    #[arg(long, value_name = "TIME")]
    since: Option<Since>,

    /// Only up to this time
    #[arg(long, value_name = "TIME")]
    until: Option<String>,

    /// Only events of this request
    #[arg(long, value_name = "ID")]
    request_id: Option<String>,

    /// Only events of this decision
    #[arg(long, value_name = "ID")]
    decision_id: Option<String>,
}

impl Filter {
    /// As the server is asked.
    pub(super) fn query(&self) -> [(&'static str, Option<String>); 7] {
        [
            ("agentId", self.agent.clone()),
            ("action", self.action.clone()),
            ("outcome", self.outcome.clone()),
            ("startDate", self.since.as_ref().map(|since| since.told(&Clock::System))),
            ("endDate", self.until.clone()),
            ("requestId", self.request_id.clone()),
            ("decisionId", self.decision_id.clone()),
        ]
    }
}

/// Events, newest first, and where they go on.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Page {
    pub(super) data: Vec<Value>,
    pub(super) next_cursor: Option<String>,
}

impl Page {
    pub(super) fn into_answer(self) -> Value {
        json!({"data": self.data, "nextCursor": self.next_cursor})
    }
}

/// The newest `limit` events, or as many as there are.
pub(super) async fn newest(client: &Client, filter: &Filter, limit: usize) -> anyhow::Result<Page> {
    newest_until(client, filter, limit, |events| events.len() >= limit).await
}

/// The newest events, page after page until those read are `enough` or none is left.
///
/// `limit` bounds what is asked for, so that no page goes past it; when that was not enough, whole
/// pages follow.
pub(super) async fn newest_until(
    client: &Client,
    filter: &Filter,
    limit: usize,
    enough: impl Fn(&[Value]) -> bool,
) -> anyhow::Result<Page> {
    let mut read = Page { data: Vec::new(), next_cursor: None };
    loop {
        let wanted = match limit.saturating_sub(read.data.len()) {
            0 => PAGE,
            missing => missing.min(PAGE),
        };
        let page = fetch(client, filter, wanted, read.next_cursor.as_deref()).await?;
        ensure!(
            page.next_cursor.is_none() || page.next_cursor != read.next_cursor,
            "the server gave the same cursor twice"
        );
        read.data.extend(page.data);
        read.next_cursor = page.next_cursor;
        if read.next_cursor.is_none() || enough(&read.data) {
            return Ok(read);
        }
    }
}

async fn fetch(
    client: &Client,
    filter: &Filter,
    limit: usize,
    cursor: Option<&str>,
) -> anyhow::Result<Page> {
    let mut url = client.api(&["audit"]);
    client::ask_for(&mut url, &filter.query());
    let page = [("limit", Some(limit.to_string())), ("cursor", cursor.map(str::to_owned))];
    client::ask_for(&mut url, &page);
    Ok(serde_json::from_value(client.get(url).await?)?)
}
