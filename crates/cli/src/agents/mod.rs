//! `countersign agents`: the identities that get tokens.

mod args;
mod quarantine;

use clap::Subcommand;
use serde_json::{Value, json};

use self::args::{Filter, NewAgent, Update};
use self::quarantine::Quarantine;
use crate::client::{Client, PathId};
use crate::listing::Listing;
use crate::output::{Output, record};

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Register an agent; it is active at once
    #[command(after_help = "\
Example:
  countersign agents create --email cv@agents.example --type screener --version 1.4.0 \\
    --capability resumes:read --owner talent-team --env production --scope resumes:read")]
    Create(NewAgent),

    /// List agents
    #[command(after_help = "\
Examples:
  countersign agents list --owner talent-team --status active
  countersign agents list --all --output json | jq -r '.data[].agentId'")]
    List(Filter),

    /// Show one agent
    #[command(after_help = "\
Example:
  countersign agents show 01985b5e-3c1a-7000-8000-000000000001")]
    Show { agent: PathId },

    /// Change an agent; a list given replaces the whole list
    #[command(after_help = "\
Examples:
  countersign agents update 01985b5e-3c1a-7000-8000-000000000001 --version 1.5.0
  countersign agents update 01985b5e-3c1a-7000-8000-000000000001 \\
    --scope resumes:read --scope resumes:rank")]
    Update(Update),

    /// Stop an agent's tokens and issue no more, until it is reactivated
    #[command(after_help = "\
Example:
  countersign agents suspend 01985b5e-3c1a-7000-8000-000000000001")]
    Suspend { agent: PathId },

    /// End a suspension; tokens from before stay dead
    #[command(after_help = "\
Example:
  countersign agents reactivate 01985b5e-3c1a-7000-8000-000000000001")]
    Reactivate { agent: PathId },

    /// Stop an agent and everything it holds, at once: a receipt tells what that was
    #[command(after_help = "\
Example:
  countersign agents quarantine 01985b5e-3c1a-7000-8000-000000000001 \\
    --reason 'reads resumes nobody sent it'")]
    Quarantine(Quarantine),

    /// End a quarantine; what it stopped stays stopped, and the agent needs new credentials
    #[command(after_help = "\
Example:
  countersign agents reinstate 01985b5e-3c1a-7000-8000-000000000001")]
    Reinstate { agent: PathId },

    /// Retire an agent for good; its record stays
    #[command(after_help = "\
Example:
  countersign agents decommission 01985b5e-3c1a-7000-8000-000000000001")]
    Decommission { agent: PathId },
}

pub(crate) async fn run(command: Command, client: &Client, output: Output) -> anyhow::Result<()> {
    let at = |agent: &PathId| client.api(&["agents", agent.as_str()]);
    let agent = match command {
        Command::List(filter) => return list(&filter, client, output).await,
        Command::Quarantine(quarantine) => {
            return quarantine::run(quarantine, client, output).await;
        }
        Command::Decommission { agent } => {
            client.delete(at(&agent)).await?;
            return Ok(output.done(&format!("agent {} is decommissioned", agent.as_str()))?);
        }
        Command::Create(agent) => client.post(client.api(&["agents"]), &agent).await?,
        Command::Show { agent } => client.get(at(&agent)).await?,
        Command::Update(Update { agent, changes }) => client.patch(at(&agent), &changes).await?,
        Command::Reinstate { agent } => {
            let url = client.api(&["agents", agent.as_str(), "reinstate"]);
            client.post(url, &json!({})).await?
        }
        Command::Suspend { agent } => {
            client.patch(at(&agent), &json!({"status": "suspended"})).await?
        }
        Command::Reactivate { agent } => {
            client.patch(at(&agent), &json!({"status": "active"})).await?
        }
    };
    Ok(output.print(&agent, for_people)?)
}

async fn list(filter: &Filter, client: &Client, output: Output) -> anyhow::Result<()> {
    let mut url = client.api(&["agents"]);
    filter.apply(&mut url);
    LISTING.print(url, &filter.paging, client, output).await
}

const LISTING: Listing = Listing {
    things: "agents",
    columns: &[
        ("AGENT", "agentId"),
        ("EMAIL", "email"),
        ("TYPE", "agentType"),
        ("OWNER", "owner"),
        ("ENV", "deploymentEnv"),
        ("STATUS", "status"),
    ],
};

fn for_people(agent: &Value) -> String {
    record(
        agent,
        &[
            "agentId",
            "email",
            "status",
            "agentType",
            "version",
            "owner",
            "deploymentEnv",
            "capabilities",
            "scopes",
            "allowedResources",
            "tenant",
            "createdAt",
            "updatedAt",
            "lastSeenAt",
        ],
    )
}
