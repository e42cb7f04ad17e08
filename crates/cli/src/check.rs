//! `countersign check`: may this subject do this to that. Asks a server, or decides by itself.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, ensure};
use clap::Args;
use countersign_ground::clock::Clock;
use countersign_policy::{
    Answers, Fault, Form, Holder, InvalidMatrix, InvalidRegistry, InvalidRoutes, Json, Matrix,
    Policies, Question, Registry, Routes,
};
use countersign_server::features::policy::{PolicyDirectory, files};
use serde_json::Value;

use crate::client::Connection;
use crate::input;
use crate::output::{Output, record};

/// Ask for a decision: may this subject do this to that, and why
#[derive(Args)]
#[command(after_help = "\
Examples:
  countersign check --request question.json
  echo '{\"subject\": {\"type\": \"operator\", \"id\": \"bootstrap\"}, \"action\": \"read\",
         \"resource\": {\"type\": \"agents\", \"id\": \"*\"}}' | countersign check --request -
  countersign check --request question.json --offline --registry registry.json --exit-code

Offline the answer and its id are those of a server with the same registry, matrix and packages; what only a server
knows, its agents and operators, counts for nothing.")]
pub(crate) struct Check {
    /// The question, as POST /v1/check takes it; `-` reads standard input
    #[arg(long, value_name = "FILE")]
    request: PathBuf,

    /// Decide in this process
    #[arg(long)]
    offline: bool,

    /// With --offline: the registry's snapshot
    #[arg(long, value_name = "FILE", requires = "offline")]
    registry: Option<PathBuf>,

    /// With --offline: the role matrix; built in when absent
    #[arg(long, value_name = "FILE", requires = "offline")]
    matrix: Option<PathBuf>,

    /// With --offline: the route table
    #[arg(long, value_name = "FILE", requires = "offline")]
    routes: Option<PathBuf>,

    /// With --offline: the directory of the packages in Rego
    #[arg(long, value_name = "DIR", requires = "offline")]
    policy: Option<PathBuf>,

    /// Exit with 1 on anything but allow
    #[arg(long)]
    exit_code: bool,
}

pub(crate) async fn run(
    check: &Check,
    connection: &Connection,
    output: Output,
) -> anyhow::Result<()> {
    let request = input::document(&check.request)?;
    let answer = if check.offline {
        offline(check, &request)?
    } else {
        let client = connection.client()?;
        client.post_document(client.root(&["v1", "check"]), request).await?
    };
    let first =
        ["effect", "reason", "id", "subject.type", "subject.id", "resource.type", "resource.id"];
    output.print(&answer, |answer| record(answer, &first))?;
    let effect = answer["effect"].as_str().unwrap_or_default();
    ensure!(!check.exit_code || effect == "allow", "the answer is `{effect}`");
    Ok(())
}

fn offline(check: &Check, request: &[u8]) -> anyhow::Result<Value> {
    let text = std::str::from_utf8(request).context("the question is not UTF-8")?;
    let value = Json::read(text).context("the question can't be read")?;
    let question = Question::read(&value, Form::Check).map_err(anyhow::Error::msg)?;
    let policies = policies(check)?;
    let now = Clock::System.now();
    let decision = policies.decide(&question, Holder::Stranger, now.0);
    let at = now.to_string();
    let mut answers = Answers::new(&at, 1);
    answers.add(&question, &decision, None);
    Ok(serde_json::from_str(&answers.text)?)
}

fn policies(check: &Check) -> anyhow::Result<Policies> {
    let registry = check.registry.as_deref().map(|path| {
        read(path, |text| Registry::parse(text).map_err(|InvalidRegistry(faults)| faults))
    });
    let matrix = check
        .matrix
        .as_deref()
        .map(|path| read(path, |text| Matrix::parse(text).map_err(|InvalidMatrix(faults)| faults)));
    let routes = check
        .routes
        .as_deref()
        .map(|path| read(path, |text| Routes::parse(text).map_err(|InvalidRoutes(faults)| faults)));
    let directory = check.policy.as_deref().map(policy).transpose()?;
    Ok(Policies {
        matrix: Arc::new(matrix.transpose()?.unwrap_or_else(Matrix::built_in)),
        registry: registry.transpose()?.map(Arc::new),
        packages: directory.map(|directory| directory.packages),
        authz: None,
        routes: routes.transpose()?.map(Arc::new),
    })
}

/// A policy directory.
pub(crate) fn policy(path: &Path) -> anyhow::Result<PolicyDirectory> {
    let shown = path.display();
    let files = files(path).with_context(|| format!("cannot read `{shown}`"))?;
    PolicyDirectory::read(files).map_err(|faults| unusable(path, &faults))
}

/// A document that decisions are made by.
pub(crate) fn read<T>(
    path: &Path,
    parse: impl FnOnce(&str) -> Result<T, Vec<Fault>>,
) -> anyhow::Result<T> {
    let shown = path.display();
    let text = fs::read_to_string(path).with_context(|| format!("cannot read `{shown}`"))?;
    parse(&text).map_err(|faults| unusable(path, &faults))
}

pub(crate) fn unusable(path: &Path, faults: &[Fault]) -> anyhow::Error {
    let faults: String = faults.iter().map(|fault| format!("\n  {fault}")).collect();
    anyhow::anyhow!("`{}` can't be used:{faults}", path.display())
}
