//! Agents: who they are, whose, and whether they may act.
//!
//! ```text
//! created → active ⇄ suspended
//!             └──────┴──→ decommissioned (final)
//! ```
//! Suspending and decommissioning raise the generation: tokens of an older one never live again.

pub mod http;
pub mod store;
mod wire;

use std::sync::Arc;

use countersign_ground::clock::Time;
use countersign_ground::db::Tx;
use countersign_ground::ids::AgentId;
use countersign_ground::problem::{Code, Problem};
use countersign_policy::Permissions;
use serde::Serialize;
use utoipa::ToSchema;

use crate::law::change::Changed;
use crate::law::directory::{AgentFacts, Directory, Standing};
use crate::words::words;

words! {
    /// What an agent does.
    AgentType "`screener`, `classifier`, `orchestrator`, `extractor`, `summarizer`, `router`, `monitor`, `custom`" {
        /// Looks things over.
        Screener "screener",
        /// Sorts.
        Classifier "classifier",
        /// Directs others.
        Orchestrator "orchestrator",
        /// Pulls data out.
        Extractor "extractor",
        /// Shortens.
        Summarizer "summarizer",
        /// Sends things where they belong.
        Router "router",
        /// Watches.
        Monitor "monitor",
        /// Anything else.
        Custom "custom",
    }
}

words! {
    /// Where an agent runs.
    DeploymentEnv "`development`, `staging`, `production`" {
        /// On a desk.
        Development "development",
        /// On trial.
        Staging "staging",
        /// For real.
        Production "production",
    }
}

words! {
    /// Whether an agent may act.
    Status "`active`, `suspended`, `decommissioned`" {
        /// It may.
        Active "active",
        /// Not at the moment.
        Suspended "suspended",
        /// Never again.
        Decommissioned "decommissioned",
    }
}

impl Status {
    fn standing(self) -> Standing {
        match self {
            Self::Active => Standing::Active,
            Self::Suspended => Standing::Suspended,
            Self::Decommissioned => Standing::Decommissioned,
        }
    }
}

/// One agent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Agent {
    /// UUIDv7; also its OAuth `client_id`.
    #[schema(value_type = String, format = "uuid")]
    pub agent_id: AgentId,
    /// Whose it is.
    pub tenant: String,
    /// Unique in its tenant.
    #[schema(format = "email")]
    pub email: String,
    /// What it does.
    pub agent_type: AgentType,
    /// Semantic version.
    #[schema(example = "1.0.0")]
    pub version: String,
    /// What it can do: `resource:action`.
    pub capabilities: Vec<String>,
    /// Who answers for it.
    pub owner: String,
    /// Where it runs.
    pub deployment_env: DeploymentEnv,
    /// Whether it may act.
    pub status: Status,
    /// What its tokens may hold.
    #[schema(value_type = Vec<String>)]
    pub scopes: Permissions,
    /// Audiences that its tokens may be for, besides this server.
    pub allowed_resources: Vec<String>,
    /// RFC 3339.
    #[schema(value_type = String, format = "date-time")]
    pub created_at: Time,
    /// RFC 3339.
    #[schema(value_type = String, format = "date-time")]
    pub updated_at: Time,
    /// When it last got a token; RFC 3339.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = "date-time")]
    pub last_seen_at: Option<Time>,
    #[serde(skip)]
    generation: i64,
    #[serde(skip)]
    revision: i64,
}

/// What may be changed; what is `None` stays.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Patch {
    agent_type: Option<AgentType>,
    version: Option<String>,
    capabilities: Option<Vec<String>>,
    owner: Option<String>,
    deployment_env: Option<DeploymentEnv>,
    status: Option<Status>,
    scopes: Option<Permissions>,
    allowed_resources: Option<Vec<String>>,
}

/// Why a request about an agent was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AgentError {
    /// Of this tenant, by this id.
    #[error("no agent `{0}`")]
    NotFound(AgentId),
    /// The address is taken, in this tenant.
    #[error("an agent with the email `{0}` is already registered")]
    EmailTaken(String),
    /// It is only read from now on.
    #[error("agent `{0}` is decommissioned and can't be changed any more")]
    Decommissioned(AgentId),
    /// There is nothing to reinstate.
    #[error("agent `{0}` is active; only a suspended or quarantined agent is reinstated")]
    Active(AgentId),
    /// It may not act now.
    #[error("agent `{0}` is suspended; reactivate it first")]
    NotActive(AgentId),
    /// Somebody else changed it since it was read.
    #[error("agent `{0}` has changed since; read it again")]
    Changed(AgentId),
}

impl From<AgentError> for Problem {
    fn from(error: AgentError) -> Self {
        let code = match &error {
            AgentError::NotFound(_) => Code::AgentNotFound,
            AgentError::EmailTaken(_) => Code::AgentExists,
            AgentError::Decommissioned(_) => Code::AgentDecommissioned,
            AgentError::NotActive(_) => Code::AgentNotActive,
            AgentError::Active(_) => Code::Conflict,
            AgentError::Changed(_) => Code::PreconditionFailed,
        };
        Self::new(code, error.to_string())
    }
}

impl Agent {
    /// What the law needs to know; credentials come by themselves.
    #[must_use]
    pub fn facts(&self) -> AgentFacts {
        AgentFacts {
            id: self.agent_id,
            name: self.agent_id.to_string().into(),
            tenant: self.tenant.as_str().into(),
            standing: self.status.standing(),
            generation: self.generation,
            scopes: Arc::new(self.scopes.clone()),
            allowed_resources: self.allowed_resources.as_slice().into(),
            revision: self.revision,
            credentials: Vec::new(),
        }
    }

    /// Tokens of an older one are dead.
    #[must_use]
    pub fn generation(&self) -> i64 {
        self.generation
    }

    /// RFC 9110 section 8.8.3.
    #[must_use]
    pub fn etag(&self) -> String {
        format!("\"{}\"", self.revision)
    }

    /// Applies a patch; gives the action that the record names.
    ///
    /// # Errors
    /// When the agent is decommissioned.
    pub fn apply(&mut self, patch: &Patch, now: Time) -> Result<&'static str, AgentError> {
        if self.status == Status::Decommissioned {
            return Err(AgentError::Decommissioned(self.agent_id));
        }
        let action = match (self.status, patch.status) {
            (Status::Active, Some(Status::Suspended)) => "agent.suspended",
            (Status::Suspended, Some(Status::Active)) => "agent.reactivated",
            (_, Some(Status::Decommissioned)) => "agent.decommissioned",
            _ => "agent.updated",
        };
        if matches!(action, "agent.suspended" | "agent.decommissioned") {
            self.generation += 1;
        }
        set(&mut self.status, patch.status);
        set(&mut self.agent_type, patch.agent_type);
        set(&mut self.version, patch.version.clone());
        set(&mut self.capabilities, patch.capabilities.clone());
        set(&mut self.owner, patch.owner.clone());
        set(&mut self.deployment_env, patch.deployment_env);
        set(&mut self.scopes, patch.scopes.clone());
        set(&mut self.allowed_resources, patch.allowed_resources.clone());
        self.revision += 1;
        self.updated_at = now;
        Ok(action)
    }
}

fn set<T>(field: &mut T, value: Option<T>) {
    if let Some(value) = value {
        *field = value;
    }
}

/// Lets memory follow a change once it has committed.
pub fn remember_after(tx: &mut Tx, agent: &Agent, directory: &Arc<Directory>) {
    // Of a new one nobody has to know before it has a credential.
    if agent.revision > 1 {
        Changed::Agent(agent.agent_id).announce(tx);
    }
    let (directory, facts) = (Arc::clone(directory), agent.facts());
    tx.after_commit(move || directory.put_agent(facts));
}

impl Patch {
    /// A patch that ends the agent.
    #[must_use]
    pub fn decommission() -> Self {
        Self { status: Some(Status::Decommissioned), ..Self::default() }
    }

    /// The names of what it changes, for the record.
    fn names(&self) -> Vec<String> {
        let all = [
            ("agentType", self.agent_type.is_some()),
            ("allowedResources", self.allowed_resources.is_some()),
            ("capabilities", self.capabilities.is_some()),
            ("deploymentEnv", self.deployment_env.is_some()),
            ("owner", self.owner.is_some()),
            ("scopes", self.scopes.is_some()),
            ("status", self.status.is_some()),
            ("version", self.version.is_some()),
        ];
        all.iter().filter(|(_, changes)| *changes).map(|(name, _)| (*name).to_owned()).collect()
    }
}
