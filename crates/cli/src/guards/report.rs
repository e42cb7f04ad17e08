//! `countersign guards report`: what a guard would break.

use anyhow::ensure;
use countersign_ground::clock::Clock;
use serde_json::{Value, json};

use crate::client::{Client, PathId, ask_for};
use crate::output::{Output, plain, record, table};
use crate::since::Since;

pub(super) async fn show(
    guard: &PathId,
    since: &Since,
    exit_code: bool,
    client: &Client,
    output: Output,
) -> anyhow::Result<()> {
    let mut url = client.api(&["guards", guard.as_str(), "report"]);
    ask_for(&mut url, &[("since", Some(since.told(&Clock::System)))]);
    let report = client.get(url).await?;
    output.print(&report, for_people)?;
    let verdict = report["verdict"].as_str().unwrap_or("none");
    ensure!(!exit_code || verdict == "ready", "the verdict is `{}`", plain(verdict));
    Ok(())
}

fn for_people(report: &Value) -> String {
    let first = ["guard", "mode", "percent", "since", "total", "allowed", "would_deny", "denied"];
    let mut summary = report.clone();
    let lists = ["groups", "unauthenticated", "accepted"];
    if let Some(members) = summary.as_object_mut() {
        members.retain(|name, _| !lists.contains(&name.as_str()));
    }
    let mut parts = vec![record(&summary, &first)];
    let explained = |group: &Value| match (&group["accepted"], &group["resolved"]) {
        (Value::Bool(true), _) => "accepted",
        (_, Value::Bool(true)) => "admitted now",
        _ => "-",
    };
    let groups: Vec<Value> = rows(report, "groups")
        .iter()
        .map(|group| {
            let mut group = group.clone();
            group["explained"] = json!(explained(&group));
            group
        })
        .collect();
    for (title, columns, rows) in [
        ("Denials", GROUPS, groups.as_slice()),
        (
            "Addresses from which nobody has proved who they are",
            SOURCES,
            rows(report, "unauthenticated"),
        ),
        ("Accepted", ACCEPTED, rows(report, "accepted")),
    ] {
        if !rows.is_empty() {
            parts.push(format!("{title}:\n{}", table(columns, rows)));
        }
    }
    parts.join("\n\n")
}

fn rows<'r>(report: &'r Value, name: &str) -> &'r [Value] {
    report[name].as_array().map_or(&[], Vec::as_slice)
}

const GROUPS: &[(&str, &str)] = &[
    ("COUNT", "count"),
    ("CALLER", "caller"),
    ("ROUTE", "route"),
    ("REASON", "reason"),
    ("LAST SEEN", "last_seen"),
    ("EXPLAINED", "explained"),
    ("WOULD BE ADMITTED IF YOU", "suggestion"),
];

const SOURCES: &[(&str, &str)] =
    &[("ADDRESS", "address"), ("COUNT", "count"), ("LAST SEEN", "last_seen")];

pub(super) const ACCEPTED: &[(&str, &str)] = &[
    ("CALLER", "caller"),
    ("ROUTE", "route"),
    ("REASON", "reason"),
    ("NOTE", "note"),
    ("BY", "accepted_by"),
    ("AT", "accepted_at"),
];
