//! `countersign policy`: rules of one's own, in Rego.

mod diff;
mod test;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::Subcommand;
use countersign_policy::Package;
use serde_json::{Value, json};

use crate::check;
use crate::client::Connection;
use crate::output::{Output, cell, table};

pub(crate) use self::test::Unusable;

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Show which packages are in force, what they decide about, and the digests of their texts
    #[command(after_help = "\
Example:
  countersign policy info")]
    Info,

    /// Have the server read its policy directory again; one that can't be used changes nothing
    #[command(after_help = "\
Example:
  countersign policy reload")]
    Reload,

    /// Ask recorded questions again under another policy directory, and list every decision that would change; exits
    /// with 1 when there is one
    #[command(after_help = "\
Example:
  countersign policy diff --against policies.new --since 24h

Registry, matrix, scopes and roles are as they are now, time is that of each decision. What DECISION_LOG_ALLOW_PERCENT
keeps out of the record can't be asked again.")]
    Diff(diff::Diff),

    /// Run the tests of a policy directory, and tell which of its rules they reach; asks no server
    #[command(after_help = "\
Examples:
  countersign policy test policies
  countersign policy test policies --run authz_test --verbose
  countersign policy test policies --threshold 90 --output json

Tests are rules named test_… in *_test.rego, beside the rules and in packages/, and questions with the answers that are
expected in *_test.json. Exits with 1 when one fails, when less than --threshold is reached, or when there are none;
with 2 when the directory can't be used.")]
    Test(test::Tests),

    /// Tell whether a policy directory can be used, and every fault with its place; asks no server
    #[command(after_help = "\
Example:
  countersign policy validate policies")]
    Validate {
        /// A policy directory: packages/*.rego, authz.wasm, *.rego and data/*.json in it
        directory: PathBuf,
    },
}

pub(crate) async fn run(
    command: Command,
    connection: &Connection,
    output: Output,
) -> anyhow::Result<()> {
    let answer = match command {
        Command::Info => {
            let client = connection.client()?;
            client.get(client.api(&["policy", "packages"])).await?
        }
        Command::Reload => {
            let client = connection.client()?;
            client.post(client.api(&["policy", "reload"]), &json!({})).await?
        }
        Command::Validate { directory } => validated(&directory)?,
        Command::Test(tests) => return test::run_all(&tests, output),
        Command::Diff(diff) => return diff::run(&diff, &connection.client()?, output).await,
    };
    Ok(output.print(&answer, for_people)?)
}

fn for_people(answer: &Value) -> String {
    let packages = match answer["packages"].as_array() {
        Some(packages) if !packages.is_empty() => table(COLUMNS, packages),
        _ => "There are no packages: they are DIR/packages/*.rego.".to_owned(),
    };
    let authz = &answer["authz"];
    let doors = match authz.is_object() {
        true => format!("At every door: {}, {}", cell(&authz["form"]), cell(&authz["digest"])),
        false => "At the doors nothing else is asked: DIR/authz.wasm, DIR/*.rego or DIR/data/scopes.json would be."
            .to_owned(),
    };
    format!("{packages}\n\n{doors}")
}

const COLUMNS: &[(&str, &str)] = &[
    ("PACKAGE", "id"),
    ("VERSION", "version"),
    ("SYSTEMS", "systems"),
    ("TYPES", "resource_types"),
    ("FILE", "file"),
    ("DIGEST", "digest"),
];

fn validated(directory: &Path) -> anyhow::Result<Value> {
    let directory = check::policy(directory)?;
    let packages = &directory.packages;
    let names = |names: &[Arc<str>]| names.iter().map(|name| name.to_string()).collect::<Vec<_>>();
    let told = packages.iter().map(|package: &Package| {
        json!({
            "id": &*package.id, "version": &*package.version, "digest": package.digest.to_string(),
            "file": &*package.file, "systems": names(&package.systems),
            "resource_types": names(&package.resource_types),
        })
    });
    let mut answer = json!({"digest": packages.digest(), "packages": told.collect::<Vec<_>>()});
    if let Some(authz) = &directory.authz {
        answer["authz"] = json!({"form": authz.form(), "digest": authz.digest()});
    }
    Ok(answer)
}
