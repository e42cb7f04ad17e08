//! `countersign routes`: what requests to services behind gateways need.

use std::path::{Path, PathBuf};

use anyhow::ensure;
use clap::{Args, Subcommand};
use countersign_policy::{InvalidRoutes, Routes};
use reqwest::Url;
use serde_json::{Value, json};

use crate::client::Connection;
use crate::output::{Output, json as harmless, record, table};
use crate::{check, input};

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Show the route table in force: a row a route
    #[command(after_help = "\
Examples:
  countersign routes show
  countersign routes show --output json")]
    Show,

    /// Put another route table in force, on every node
    #[command(after_help = "\
Example:
  countersign routes set routes.json

A table:
  {\"default\": \"deny\", \"routes\": [
    {\"path\": \"/npu/*\", \"methods\": [\"POST\"], \"permission\": \"npu:write\", \"guard\": \"npu\"},
    {\"path\": \"/npu/{id}\", \"methods\": [\"GET\"], \"callers\": [\"agent\", \"operator\"]},
    {\"path\": \"/health\", \"public\": true}]}")]
    Set {
        /// A table; `-` reads standard input
        file: PathBuf,
    },

    /// Tell whether a table can be used, and every fault with its place; asks no server
    #[command(after_help = "\
Example:
  countersign routes validate routes.json")]
    Validate {
        /// A table
        file: PathBuf,
    },

    /// Tell which route answers a request, and why not the others
    #[command(after_help = "\
Examples:
  countersign routes test POST https://npu.example/npu/42
  countersign routes test GET /npu/42 --table routes.json

The target is taken as it stands: nothing in it is decoded or put in order.")]
    Test(Test),
}

#[derive(Args)]
pub(crate) struct Test {
    /// The method, in upper case
    method: String,

    /// An address, or the target alone
    target: String,

    /// Ask this table, and no server
    #[arg(long, value_name = "FILE")]
    table: Option<PathBuf>,

    /// Exit with 1 when the table refuses it, whoever asks
    #[arg(long)]
    exit_code: bool,
}

pub(crate) async fn run(
    command: Command,
    connection: &Connection,
    output: Output,
) -> anyhow::Result<()> {
    let first = ["hash", "source", "loaded_at", "count"];
    let answer = match command {
        Command::Show => {
            let client = connection.client()?;
            let answer = client.get(client.api(&["routes"])).await?;
            return Ok(output.print(&answer, for_people)?);
        }
        Command::Set { file } => {
            let document = input::document(&file)?;
            let client = connection.client()?;
            client.put_document(client.api(&["routes"]), document).await?
        }
        Command::Validate { file } => {
            let routes = read(&file)?;
            json!({"hash": routes.hash(), "count": routes.iter().len()})
        }
        Command::Test(test) => return tried(&test, connection, output).await,
    };
    Ok(output.print(&answer, |answer| record(answer, &first))?)
}

fn read(file: &Path) -> anyhow::Result<Routes> {
    check::read(file, |text| Routes::parse(text).map_err(|InvalidRoutes(faults)| faults))
}

async fn tried(test: &Test, connection: &Connection, output: Output) -> anyhow::Result<()> {
    let (host, target) = parts(&test.target);
    let answer = match &test.table {
        Some(file) => explained(&read(file)?, &test.method, &host, target),
        None => {
            let client = connection.client()?;
            let asked = json!({"method": test.method, "host": host, "target": target});
            client.post(client.api(&["routes", "test"]), &asked).await?
        }
    };
    output.print(&answer, |answer| {
        let mut summary = answer.clone();
        if let Some(members) = summary.as_object_mut() {
            members.remove("considered");
        }
        let mut text = record(&summary, &["outcome", "route", "reason", "guard"]);
        if let Some(rows) = answer["considered"].as_array().filter(|rows| !rows.is_empty()) {
            text.push_str("\n\n");
            text.push_str(&table(CONSIDERED, rows));
        }
        text
    })?;
    let refused = test.exit_code && answer["outcome"] == "refused";
    ensure!(!refused, "the table refuses this request, whoever asks");
    Ok(())
}

const CONSIDERED: &[(&str, &str)] = &[("ROUTE", "route"), ("PATH", "path"), ("WHY", "why")];

/// Host and target of an address, which is not normalised: what is tested is what would be sent.
fn parts(text: &str) -> (String, &str) {
    let here = || "localhost".to_owned();
    let Some((_, rest)) = text.split_once("://").filter(|_| Url::parse(text).is_ok()) else {
        return (here(), text);
    };
    match rest.find(['/', '?']) {
        Some(at) => (rest[..at].to_owned(), &rest[at..]),
        None => (rest.to_owned(), "/"),
    }
}

/// As the server tells it.
fn explained(routes: &Routes, method: &str, host: &str, target: &str) -> Value {
    let explained = routes.explain(method, host, target);
    let considered = explained
        .considered
        .iter()
        .map(|(route, why)| json!({"route": &*route.at, "path": &*route.path, "why": why}));
    let mut answer = json!({
        "outcome": explained.outcome, "considered": considered.collect::<Vec<_>>(),
    });
    if let Some(reason) = &explained.reason {
        answer["reason"] = json!(reason.to_string());
    }
    if let Some(route) = explained.route {
        answer["route"] = json!(&*route.at);
    }
    answer
}

fn for_people(answer: &Value) -> String {
    let mut summary = answer.clone();
    if let Some(members) = summary.as_object_mut() {
        members.remove("table");
    }
    let head = record(&summary, &["hash", "source", "loaded_at", "count"]);
    let unlisted = answer["table"]["default"].as_str().unwrap_or("deny");
    let rows = answer["table"]["routes"].as_array().map_or(&[][..], Vec::as_slice);
    if rows.is_empty() {
        return format!(
            "{head}\n\nThere are no routes, and what none matches: {}.",
            harmless(unlisted)
        );
    }
    format!("{head}\n\n{}\n\nWhat none matches: {}.", table(ROUTES, rows), harmless(unlisted))
}

const ROUTES: &[(&str, &str)] = &[
    ("HOST", "host"),
    ("PATH", "path"),
    ("METHODS", "methods"),
    ("PERMISSION", "permission"),
    ("CALLERS", "callers"),
    ("PUBLIC", "public"),
    ("GUARD", "guard"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_taken_apart_and_left_as_it_is() {
        for (text, host, target) in [
            ("https://h:1/a/../b?x#y", "h:1", "/a/../b?x#y"),
            ("http://h", "h", "/"),
            ("http://h?x", "h", "?x"),
            ("/a://b", "localhost", "/a://b"),
            ("*", "localhost", "*"),
        ] {
            assert_eq!(parts(text), (host.to_owned(), target), "{text}");
        }
    }
}
