//! What is said about an operator. The arguments are the request: their names here are its members.

use clap::Args;
use serde::Serialize;
use serde_json::Value;

use crate::client::PathId;

#[derive(Args, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct NewOperator {
    /// Their address
    #[arg(long)]
    email: String,

    /// How they are called
    #[arg(long, value_name = "NAME")]
    display_name: String,

    /// A role of the matrix; may be repeated
    #[arg(long = "role", value_name = "ROLE", required = true)]
    roles: Vec<String>,

    /// Up to which level they may approve, 1 to 5 [default: what the roles say]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u8).range(1..=5))]
    #[serde(skip_serializing_if = "Option::is_none")]
    max_approval_level: Option<u8>,
}

#[derive(Args)]
pub(crate) struct Update {
    pub(crate) operator: PathId,

    #[command(flatten)]
    pub(crate) changes: Changes,
}

#[derive(Args, Serialize)]
#[group(required = true, multiple = true)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Changes {
    /// Their address
    #[arg(long)]
    #[serde(skip_serializing_if = "Option::is_none")]
    email: Option<String>,

    /// How they are called
    #[arg(long, value_name = "NAME")]
    #[serde(skip_serializing_if = "Option::is_none")]
    display_name: Option<String>,

    /// A role of the matrix; may be repeated
    #[arg(long = "role", value_name = "ROLE")]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    roles: Vec<String>,

    /// Up to which level they may approve, 1 to 5
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u8).range(1..=5))]
    #[serde(skip_serializing_if = "Option::is_none")]
    max_approval_level: Option<u8>,

    /// Approve up to what the roles say again
    #[arg(long, conflicts_with = "max_approval_level")]
    #[serde(skip)]
    clear_max_approval_level: bool,
}

impl Changes {
    pub(super) fn body(&self) -> serde_json::Result<Value> {
        let mut body = serde_json::to_value(self)?;
        if self.clear_max_approval_level {
            body["maxApprovalLevel"] = Value::Null;
        }
        Ok(body)
    }
}
