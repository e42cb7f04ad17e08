//! Tenants: whose agents, operators and events they are, and how much each may use.

pub mod http;
pub mod store;

use countersign_ground::clock::Time;
use countersign_ground::problem::{Code, Problem};
use serde::Serialize;
use utoipa::ToSchema;

use crate::law::directory::{Limits, TenantFacts};
use crate::words::words;

words! {
    /// How much a tenant may use.
    Plan "`unlimited`, `free`" {
        /// As much as there is.
        Unlimited "unlimited",
        /// 100 agents; 10 000 tokens a month and 100 requests a minute for each of them; the record
        /// keeps events for 90 days.
        Free "free",
    }
}

impl Plan {
    /// What it allows.
    #[must_use]
    pub fn limits(self) -> Limits {
        match self {
            Self::Unlimited => Limits::default(),
            Self::Free => Limits {
                agents: Some(100),
                tokens_a_month: Some(10_000),
                requests_a_minute: Some(100),
                audit_days: Some(90),
            },
        }
    }
}

/// One tenant.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Tenant {
    /// 1 to 63 of `a-z`, `0-9` and `-`.
    pub id: String,
    /// For people.
    pub display_name: String,
    /// How much it may use.
    pub plan: Plan,
    /// RFC 3339.
    #[schema(value_type = String, format = "date-time")]
    pub created_at: Time,
    /// RFC 3339.
    #[schema(value_type = String, format = "date-time")]
    pub updated_at: Time,
    #[serde(skip)]
    revision: i64,
}

impl Tenant {
    /// What the law needs to know.
    #[must_use]
    pub fn facts(&self) -> TenantFacts {
        let id = self.id.as_str().into();
        TenantFacts { id, limits: self.plan.limits(), revision: self.revision }
    }
}

/// Why a request about a tenant was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TenantError {
    /// By this id.
    #[error("no tenant `{0}`")]
    NotFound(String),
    /// The id is taken.
    #[error("there is a tenant `{0}` already")]
    Exists(String),
}

impl From<TenantError> for Problem {
    fn from(error: TenantError) -> Self {
        let code = match &error {
            TenantError::NotFound(_) => Code::TenantNotFound,
            TenantError::Exists(_) => Code::Conflict,
        };
        Self::new(code, error.to_string())
    }
}

/// What may be changed; what is `None` stays.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Patch {
    display_name: Option<String>,
    plan: Option<Plan>,
}

/// Whether this may be the id of a tenant: what may also stand in a host's name.
fn is_id(text: &str) -> bool {
    (1..=63).contains(&text.len())
        && text.bytes().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == b'-')
        && !text.starts_with('-')
        && !text.ends_with('-')
}
