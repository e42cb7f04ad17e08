//! What is said about an agent. The arguments are the request: their names here are its members.

use clap::Args;
use reqwest::Url;
use serde::Serialize;

use crate::client::{self, PathId};
use crate::listing::Paging;

const TYPES: [&str; 8] = [
    "screener",
    "classifier",
    "orchestrator",
    "extractor",
    "summarizer",
    "router",
    "monitor",
    "custom",
];
const ENVIRONMENTS: [&str; 3] = ["development", "staging", "production"];
const STATUSES: [&str; 3] = ["active", "suspended", "decommissioned"];

#[derive(Args, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct NewAgent {
    /// Its address, one agent each; can't be changed
    #[arg(long)]
    email: String,

    /// What kind of agent it is
    #[arg(long = "type", value_name = "TYPE", value_parser = TYPES)]
    agent_type: String,

    /// Its version, as in semantic versioning
    #[arg(long)]
    version: String,

    /// What it can do, as `resource:action`; may be repeated
    #[arg(long = "capability", value_name = "RESOURCE:ACTION", required = true)]
    capabilities: Vec<String>,

    /// Who answers for it
    #[arg(long)]
    owner: String,

    /// Where it runs
    #[arg(long = "env", value_name = "ENV", value_parser = ENVIRONMENTS)]
    deployment_env: String,

    /// A permission its tokens may hold; may be repeated [default: agents:read]
    #[arg(long = "scope", value_name = "RESOURCE:ACTION")]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    scopes: Vec<String>,

    /// An audience it may ask tokens for; may be repeated
    #[arg(long = "resource", value_name = "URI")]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    allowed_resources: Vec<String>,
}

#[derive(Args)]
pub(crate) struct Update {
    pub(crate) agent: PathId,

    #[command(flatten)]
    pub(crate) changes: Changes,
}

#[derive(Args, Serialize)]
#[group(required = true, multiple = true)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Changes {
    /// What kind of agent it is
    #[arg(long = "type", value_name = "TYPE", value_parser = TYPES)]
    #[serde(skip_serializing_if = "Option::is_none")]
    agent_type: Option<String>,

    /// Its version, as in semantic versioning
    #[arg(long)]
    #[serde(skip_serializing_if = "Option::is_none")]
    version: Option<String>,

    /// What it can do, as `resource:action`; may be repeated
    #[arg(long = "capability", value_name = "RESOURCE:ACTION")]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    capabilities: Vec<String>,

    /// Who answers for it
    #[arg(long)]
    #[serde(skip_serializing_if = "Option::is_none")]
    owner: Option<String>,

    /// Where it runs
    #[arg(long = "env", value_name = "ENV", value_parser = ENVIRONMENTS)]
    #[serde(skip_serializing_if = "Option::is_none")]
    deployment_env: Option<String>,

    /// A permission its tokens may hold; may be repeated
    #[arg(long = "scope", value_name = "RESOURCE:ACTION")]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    scopes: Vec<String>,

    /// An audience it may ask tokens for; may be repeated
    #[arg(long = "resource", value_name = "URI")]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    allowed_resources: Vec<String>,
}

#[derive(Args)]
pub(crate) struct Filter {
    /// Only those this owner answers for
    #[arg(long)]
    owner: Option<String>,

    /// Only those of this kind
    #[arg(long = "type", value_name = "TYPE", value_parser = TYPES)]
    agent_type: Option<String>,

    /// Only those that run here
    #[arg(long = "env", value_name = "ENV", value_parser = ENVIRONMENTS)]
    deployment_env: Option<String>,

    /// Only those in this state
    #[arg(long, value_parser = STATUSES)]
    status: Option<String>,

    #[command(flatten)]
    pub(super) paging: Paging,
}

impl Filter {
    pub(super) fn apply(&self, url: &mut Url) {
        client::ask_for(
            url,
            &[
                ("owner", self.owner.clone()),
                ("agentType", self.agent_type.clone()),
                ("deploymentEnv", self.deployment_env.clone()),
                ("status", self.status.clone()),
            ],
        );
    }
}
