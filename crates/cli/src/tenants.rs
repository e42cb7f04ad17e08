//! `countersign tenants`: who shares a server without meeting. For the role infra.

use clap::{Args, Subcommand};
use serde::Serialize;
use serde_json::Value;

use crate::client::{Client, PathId};
use crate::listing::{Listing, Paging};
use crate::output::{Output, record};

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Add a tenant
    #[command(after_help = "\
Example:
  countersign tenants create acme --display-name 'Acme Ltd' --plan free")]
    Create(NewTenant),

    /// List tenants
    #[command(after_help = "\
Example:
  countersign tenants list --all")]
    List(Paging),

    /// Show one tenant
    #[command(after_help = "\
Example:
  countersign tenants show acme")]
    Show { id: PathId },

    /// Change a tenant's name or plan
    #[command(after_help = "\
Example:
  countersign tenants update acme --plan unlimited")]
    Update {
        id: PathId,
        #[command(flatten)]
        changes: Changes,
    },
}

const PLANS: [&str; 2] = ["unlimited", "free"];

#[derive(Args, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct NewTenant {
    /// Its name in every record; can't be changed
    id: String,

    /// How it is called
    #[arg(long, value_name = "NAME")]
    display_name: String,

    /// What it may use [default: unlimited]
    #[arg(long, value_parser = PLANS)]
    #[serde(skip_serializing_if = "Option::is_none")]
    plan: Option<String>,
}

#[derive(Args, Serialize)]
#[group(required = true, multiple = true)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Changes {
    /// How it is called
    #[arg(long, value_name = "NAME")]
    #[serde(skip_serializing_if = "Option::is_none")]
    display_name: Option<String>,

    /// What it may use
    #[arg(long, value_parser = PLANS)]
    #[serde(skip_serializing_if = "Option::is_none")]
    plan: Option<String>,
}

pub(crate) async fn run(command: Command, client: &Client, output: Output) -> anyhow::Result<()> {
    let all = client.api(&["tenants"]);
    let at = |id: &PathId| client.api(&["tenants", id.as_str()]);
    let tenant = match command {
        Command::List(paging) => return LISTING.print(all, &paging, client, output).await,
        Command::Create(tenant) => client.post(all, &tenant).await?,
        Command::Show { id } => client.get(at(&id)).await?,
        Command::Update { id, changes } => client.patch(at(&id), &changes).await?,
    };
    Ok(output.print(&tenant, for_people)?)
}

const LISTING: Listing = Listing {
    things: "tenants",
    columns: &[
        ("TENANT", "id"),
        ("NAME", "displayName"),
        ("PLAN", "plan"),
        ("CREATED", "createdAt"),
        ("UPDATED", "updatedAt"),
    ],
};

fn for_people(tenant: &Value) -> String {
    record(tenant, &["id", "displayName", "plan", "createdAt", "updatedAt"])
}
