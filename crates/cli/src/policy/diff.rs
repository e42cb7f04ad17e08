//! `countersign policy diff`: what other packages would change.

use std::collections::HashMap;
use std::path::PathBuf;

use anyhow::{Context, ensure};
use clap::Args;
use countersign_ground::clock::Clock;
use countersign_server::features::policy::files;
use serde_json::{Value, json};

use crate::check;
use crate::client::Client;
use crate::output::{Output, Progress, cell, table};
use crate::since::Since;

#[derive(Args)]
pub(crate) struct Diff {
    /// A policy directory: packages/*.rego, *.rego and data/*.json in it
    #[arg(long, value_name = "DIR")]
    against: PathBuf,

    /// From this time, as RFC 3339 writes it, or so long ago: 24h, 7d
    #[arg(long, value_name = "TIME", default_value = "24h")]
    since: Since,
}

pub(super) async fn run(diff: &Diff, client: &Client, output: Output) -> anyhow::Result<()> {
    // Whatever is wrong with it is told with its place before a server is asked.
    check::policy(&diff.against)?;
    let texts = files(&diff.against)
        .with_context(|| format!("cannot read `{}`", diff.against.display()))?;
    let mut asked = json!({"files": texts, "since": diff.since.told(&Clock::System)});
    let (mut examined, mut changes) = (0, Changes::default());
    let mut progress = Progress::default();
    loop {
        let answer = client.post(client.api(&["policy", "diff"]), &asked).await?;
        examined += answer["examined"].as_u64().unwrap_or(0);
        for change in answer["changed"].as_array().into_iter().flatten() {
            changes.add(change);
        }
        progress
            .show(&format!("{examined} decisions asked again, {} would change", changes.0.len()));
        match &answer["next_cursor"] {
            Value::String(_) => asked["cursor"] = answer["next_cursor"].clone(),
            _ => break,
        }
    }
    drop(progress);
    let Changes(changed, _) = changes;
    let any = !changed.is_empty();
    let answer = json!({"examined": examined, "changed": changed});
    output.print(&answer, |answer| for_people(examined, &answer["changed"]))?;
    ensure!(!any, "some decisions would change");
    Ok(())
}

/// Each decision once, with how often it was made; and where it stands.
#[derive(Default)]
struct Changes(Vec<Value>, HashMap<String, usize>);

impl Changes {
    fn add(&mut self, change: &Value) {
        let id = change["id"].as_str().unwrap_or_default().to_owned();
        // One question may have other answers at other times.
        let at = *self.1.entry(format!("{id} {}", change["would"])).or_insert(self.0.len());
        match self.0.get_mut(at) {
            Some(known) => known["count"] = json!(known["count"].as_u64().unwrap_or(0) + 1),
            None => {
                let mut first = change.clone();
                first["count"] = json!(1);
                self.0.push(first);
            }
        }
    }
}

fn for_people(examined: u64, changed: &Value) -> String {
    let answer = |of: &Value| json!(format!("{} ({})", cell(&of["effect"]), cell(&of["reason"])));
    let rows: Vec<Value> = changed
        .as_array()
        .into_iter()
        .flatten()
        .map(|change| {
            let mut row = change.clone();
            for name in ["was", "now", "would"] {
                row[name] = answer(&change[name]);
            }
            row
        })
        .collect();
    if rows.is_empty() {
        return format!("{examined} decisions were asked again, and none would change.");
    }
    let total = format!("{examined} decisions were asked again, {} would change:", rows.len());
    format!("{total}\n\n{}", table(COLUMNS, &rows))
}

const COLUMNS: &[(&str, &str)] = &[
    ("DECISION", "id"),
    ("TIMES", "count"),
    ("SUBJECT", "subject"),
    ("ACTION", "action"),
    ("RESOURCE", "resource"),
    ("WAS", "was"),
    ("NOW", "now"),
    ("WOULD BE", "would"),
];
