//! Operators: people who administer and approve, and their tokens.
//!
//! Nobody gives roles that hold more than their own, and the last operator who can administer
//! can't be removed: a tenant whose operators nobody can change would be lost.

pub mod bootstrap;
pub mod http;
pub mod store;
pub mod tokens;
mod wire;

use std::sync::Arc;

use countersign_ground::clock::Time;
use countersign_ground::ids::{OperatorId, OperatorTokenId};
use countersign_ground::problem::{Code, Problem};
use serde::Serialize;
use utoipa::ToSchema;

use crate::law::directory::OperatorFacts;

/// One operator.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Operator {
    /// UUIDv7, or `bootstrap` for the first one.
    #[schema(value_type = String)]
    pub operator_id: OperatorId,
    /// Whose they are.
    pub tenant: String,
    /// Unique in the tenant; the first operator has none.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(format = "email")]
    pub email: Option<String>,
    /// For people.
    pub display_name: String,
    /// Roles of the matrix, or their aliases.
    pub roles: Vec<String>,
    /// Given by hand; wins over what the roles mean.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_approval_level: Option<i64>,
    /// Up to which level they may countersign, 1 to 5.
    pub approval_level: u8,
    /// RFC 3339.
    #[schema(value_type = String, format = "date-time")]
    pub created_at: Time,
    /// RFC 3339.
    #[schema(value_type = String, format = "date-time")]
    pub updated_at: Time,
    #[serde(skip)]
    revision: i64,
    #[serde(skip)]
    removed: bool,
}

impl Operator {
    /// What the law needs to know.
    #[must_use]
    pub fn facts(&self) -> OperatorFacts {
        OperatorFacts {
            id: self.operator_id.clone(),
            tenant: self.tenant.as_str().into(),
            roles: self.roles.clone(),
            level: self.approval_level,
            removed: self.removed,
            revision: self.revision,
        }
    }

    /// RFC 9110 section 8.8.3.
    #[must_use]
    pub fn etag(&self) -> String {
        format!("\"{}\"", self.revision)
    }
}

/// Up to which level somebody may countersign: what was given by hand, else by the highest role.
#[must_use]
pub fn approval_level<'r>(by_hand: Option<i64>, roles: impl IntoIterator<Item = &'r str>) -> u8 {
    let by_role = |role: &str| match role {
        "owner" | "admin" | "infra" => 5,
        "manager" | "policy_admin" | "director" => 4,
        "team_lead" | "senior_engineer" | "tech_lead" | "approver" => 3,
        "team_member" | "engineer" | "developer" => 2,
        _ => 1,
    };
    let highest = || roles.into_iter().map(by_role).max().unwrap_or(1);
    by_hand.and_then(|level| u8::try_from(level).ok()).unwrap_or_else(highest)
}

/// What may be changed; what is `None` stays.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Patch {
    email: Option<String>,
    display_name: Option<String>,
    roles: Option<Vec<String>>,
    max_approval_level: Option<Option<i64>>,
}

impl Patch {
    fn apply(&self, operator: &mut Operator, now: Time) {
        let Self { email, display_name, roles, max_approval_level } = self.clone();
        operator.email = email.or(operator.email.take());
        operator.display_name = display_name.unwrap_or_else(|| operator.display_name.clone());
        operator.roles = roles.unwrap_or_else(|| operator.roles.clone());
        operator.max_approval_level = max_approval_level.unwrap_or(operator.max_approval_level);
        let roles = operator.roles.iter().map(String::as_str);
        operator.approval_level = approval_level(operator.max_approval_level, roles);
        operator.revision += 1;
        operator.updated_at = now;
    }

    /// The names of what it changes, for the record.
    fn names(&self) -> Vec<String> {
        let all = [
            ("displayName", self.display_name.is_some()),
            ("email", self.email.is_some()),
            ("maxApprovalLevel", self.max_approval_level.is_some()),
            ("roles", self.roles.is_some()),
        ];
        all.iter().filter(|(_, changes)| *changes).map(|(name, _)| (*name).to_owned()).collect()
    }
}

/// Why a request about an operator was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OperatorError {
    /// Of this tenant, by this id.
    #[error("no operator `{0}`")]
    NotFound(OperatorId),
    /// Of this operator, by this id.
    #[error("no token `{0}`")]
    NoToken(OperatorTokenId),
    /// It has ended before.
    #[error("token `{0}` is revoked already")]
    TokenRevoked(OperatorTokenId),
    /// The address is taken, in this tenant.
    #[error("an operator with the email `{0}` is there already")]
    EmailTaken(String),
    /// Somebody else changed them since they were read.
    #[error("operator `{0}` has changed since; read it again")]
    Changed(OperatorId),
    /// Nobody would be left.
    #[error(
        "operator `{0}` is the last who can administer {1}: give another one that role and a token first"
    )]
    LastAdministrator(OperatorId, Arc<str>),
}

impl From<OperatorError> for Problem {
    fn from(error: OperatorError) -> Self {
        let code = match &error {
            OperatorError::NotFound(_) => Code::OperatorNotFound,
            OperatorError::NoToken(_) => Code::TokenNotFound,
            OperatorError::Changed(_) => Code::PreconditionFailed,
            OperatorError::EmailTaken(_)
            | OperatorError::TokenRevoked(_)
            | OperatorError::LastAdministrator(..) => Code::Conflict,
        };
        Self::new(code, error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_level_is_given_by_hand_or_by_the_highest_role() {
        for (by_hand, roles, level) in [
            (None, vec!["readonly"], 1),
            (None, vec!["guest", "engineer"], 2),
            (None, vec!["approver"], 3),
            (None, vec!["director", "dev"], 4),
            (None, vec!["owner"], 5),
            (None, vec![], 1),
            (Some(2), vec!["admin"], 2),
            (Some(5), vec!["readonly"], 5),
        ] {
            assert_eq!(approval_level(by_hand, roles.clone()), level, "{by_hand:?} {roles:?}");
        }
    }
}
