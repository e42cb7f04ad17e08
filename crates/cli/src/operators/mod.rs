//! `countersign operators`: the people who administer and approve.

mod args;
mod tokens;

use clap::Subcommand;
use serde_json::Value;

use self::args::{NewOperator, Update};
use crate::client::{Client, PathId};
use crate::listing::{Listing, Paging};
use crate::output::{Output, record};

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Add an operator; `operators tokens create` then gives a token
    #[command(after_help = "\
Example:
  countersign operators create --email ada@example.com --display-name 'Ada' --role approver \\
    --max-approval-level 3")]
    Create(NewOperator),

    /// List operators
    #[command(after_help = "\
Examples:
  countersign operators list
  countersign operators list --all --output json | jq -r '.data[].email'")]
    List(Paging),

    /// Show one operator
    #[command(after_help = "\
Example:
  countersign operators show OPERATOR")]
    Show { operator: PathId },

    /// Change an operator; roles given replace all roles
    #[command(after_help = "\
Examples:
  countersign operators update OPERATOR --role admin --role approver
  countersign operators update OPERATOR --clear-max-approval-level")]
    Update(Update),

    /// Remove an operator, with every token
    #[command(after_help = "\
Example:
  countersign operators delete OPERATOR")]
    Delete { operator: PathId },

    /// Make, list and revoke the tokens of an operator
    #[command(subcommand)]
    Tokens(tokens::Command),
}

pub(crate) async fn run(command: Command, client: &Client, output: Output) -> anyhow::Result<()> {
    let all = client.api(&["operators"]);
    let at = |operator: &PathId| client.api(&["operators", operator.as_str()]);
    let operator = match command {
        Command::List(paging) => return LISTING.print(all, &paging, client, output).await,
        Command::Tokens(command) => return tokens::run(command, client, output).await,
        Command::Delete { operator } => {
            client.delete(at(&operator)).await?;
            let done = format!("operator {} is removed, with every token", operator.as_str());
            return Ok(output.done(&done)?);
        }
        Command::Create(operator) => client.post(all, &operator).await?,
        Command::Show { operator } => client.get(at(&operator)).await?,
        Command::Update(Update { operator, changes }) => {
            client.patch(at(&operator), &changes.body()?).await?
        }
    };
    Ok(output.print(&operator, for_people)?)
}

const LISTING: Listing = Listing {
    things: "operators",
    columns: &[
        ("OPERATOR", "operatorId"),
        ("EMAIL", "email"),
        ("NAME", "displayName"),
        ("ROLES", "roles"),
        ("LEVEL", "approvalLevel"),
    ],
};

fn for_people(operator: &Value) -> String {
    record(
        operator,
        &[
            "operatorId",
            "email",
            "displayName",
            "roles",
            "approvalLevel",
            "maxApprovalLevel",
            "tenant",
            "createdAt",
            "updatedAt",
        ],
    )
}
