//! What a client may send about an agent, and what each field must be.

use countersign_policy::{Permission, Permissions};
use serde_json::Value;
use url::Url;
use utoipa::ToSchema;

use super::{AgentType, DeploymentEnv, Patch, Status};
use crate::doors::fields::{self, Fields};
use countersign_ground::problem::Problem;

const MOST_ITEMS: usize = 256;

/// What registers an agent.
#[derive(Debug, ToSchema)]
#[schema(rename_all = "camelCase")]
pub struct NewAgent {
    /// An address, unique in the tenant.
    #[schema(format = "email", example = "screener-1@agents.example")]
    pub email: String,
    /// What it does.
    pub agent_type: AgentType,
    /// Semantic version.
    #[schema(example = "1.0.0")]
    pub version: String,
    /// At least one `resource:action`.
    #[schema(value_type = Vec<String>, example = json!(["resumes:read"]))]
    pub capabilities: Vec<String>,
    /// Who answers for it; 1 to 128 characters.
    pub owner: String,
    /// Where it runs.
    pub deployment_env: DeploymentEnv,
    /// What its tokens may hold; `["agents:read"]` when absent.
    #[schema(value_type = Option<Vec<String>>)]
    pub scopes: Permissions,
    /// Absolute URIs of the audiences that its tokens may be for.
    #[schema(value_type = Option<Vec<String>>)]
    pub allowed_resources: Vec<String>,
}

impl NewAgent {
    /// Reads and checks every field.
    ///
    /// # Errors
    /// A 400 that names all that are at fault.
    pub fn read(mut fields: Fields) -> Result<Self, Problem> {
        let email = fields.required("email", fields::email);
        let agent_type = fields.required("agentType", fields::parsed);
        let version = fields.required("version", version);
        let capabilities = fields.required("capabilities", capabilities);
        let owner = fields.required("owner", fields::text_up_to(128));
        let deployment_env = fields.required("deploymentEnv", fields::parsed);
        let given_scopes = fields.has("scopes");
        let scopes = fields.optional("scopes", scopes);
        let resources = fields.optional("allowedResources", resources);
        fields.finish()?;
        let default = || "agents:read".parse::<Permission>().into_iter().collect();
        let scopes = if given_scopes { scopes } else { Some(default()) };
        let all = (email, agent_type, version, capabilities, owner, deployment_env, scopes);
        let (
            Some(email),
            Some(agent_type),
            Some(version),
            Some(capabilities),
            Some(owner),
            Some(deployment_env),
            Some(scopes),
        ) = all
        else {
            return Err(Problem::internal("a field at fault was not named"));
        };
        let allowed_resources = resources.unwrap_or_default();
        Ok(Self {
            email,
            agent_type,
            version,
            capabilities,
            owner,
            deployment_env,
            scopes,
            allowed_resources,
        })
    }
}

/// What changes an agent: only the fields that are given.
#[derive(Debug, ToSchema)]
#[schema(rename_all = "camelCase")]
#[expect(dead_code, reason = "describes a body to readers of the API; `Patch` is what is read")]
pub(super) struct AgentPatch {
    agent_type: Option<AgentType>,
    version: Option<String>,
    capabilities: Option<Vec<String>>,
    owner: Option<String>,
    deployment_env: Option<DeploymentEnv>,
    status: Option<Status>,
    scopes: Option<Vec<String>>,
    allowed_resources: Option<Vec<String>>,
}

impl Patch {
    /// Reads and checks every field.
    ///
    /// # Errors
    /// A 400 that names all that are at fault, or that there is none.
    pub fn read(mut fields: Fields) -> Result<Self, Problem> {
        for name in ["agentId", "email", "tenant", "createdAt", "updatedAt", "lastSeenAt"] {
            if fields.has(name) {
                fields.fault(name, "can't be changed");
            }
        }
        let patch = Self {
            agent_type: fields.optional("agentType", fields::parsed),
            version: fields.optional("version", version),
            capabilities: fields.optional("capabilities", capabilities),
            owner: fields.optional("owner", fields::text_up_to(128)),
            deployment_env: fields.optional("deploymentEnv", fields::parsed),
            status: fields.optional("status", fields::parsed),
            scopes: fields.optional("scopes", scopes),
            allowed_resources: fields.optional("allowedResources", resources),
        };
        fields.finish()?;
        if patch == Self::default() {
            let detail = "the body changes nothing: give at least one field";
            return Err(Problem::new(countersign_ground::problem::Code::Validation, detail));
        }
        Ok(patch)
    }
}

/// Semantic Versioning 2.0.0, its grammar in section "Backus–Naur form".
fn version(value: Value) -> Result<String, String> {
    let text = fields::text(value)?;
    let (rest, build) = text.split_once('+').map_or((&*text, None), |(a, b)| (a, Some(b)));
    let (core, pre) = rest.split_once('-').map_or((rest, None), |(a, b)| (a, Some(b)));
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|c| c.is_ascii_digit());
    let number = |part: &str| digits(part) && (part == "0" || !part.starts_with('0'));
    let word = |part: &str| {
        !part.is_empty() && part.bytes().all(|c| c.is_ascii_alphanumeric() || c == b'-')
    };
    let valid = text.len() <= 128
        && core.split('.').count() == 3
        && core.split('.').all(number)
        && pre.is_none_or(|pre| pre.split('.').all(|p| word(p) && (!digits(p) || number(p))))
        && build.is_none_or(|build| build.split('.').all(word));
    if valid { Ok(text) } else { Err("must be a semantic version such as `1.0.0`".into()) }
}

fn capabilities(value: Value) -> Result<Vec<String>, String> {
    let read = |item| fields::parsed::<Permission>(item).map(|one| one.to_string());
    let capabilities = fields::list(MOST_ITEMS, read)(value)?;
    if capabilities.is_empty() { Err("must have at least one".into()) } else { Ok(capabilities) }
}

fn scopes(value: Value) -> Result<Permissions, String> {
    Ok(fields::list(MOST_ITEMS, fields::parsed::<Permission>)(value)?.into_iter().collect())
}

/// RFC 8707 section 2: absolute URIs without a fragment.
fn resources(value: Value) -> Result<Vec<String>, String> {
    let read = |item| {
        let text = fields::text_up_to(512)(item)?;
        let absolute = Url::parse(&text).is_ok_and(|url| url.fragment().is_none());
        if absolute && !text.contains(' ') {
            Ok(text)
        } else {
            Err("must be an absolute URI without a fragment".into())
        }
    };
    fields::list(MOST_ITEMS, read)(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions() {
        for right in ["0.0.0", "1.2.3", "1.0.0-rc.1", "1.0.0-0a+build.05", "1.0.0+x-y"] {
            assert!(version(right.into()).is_ok(), "{right}");
        }
        for wrong in
            ["", "1", "1.2", "1.2.3.4", "01.2.3", "1.2.3-", "1.2.3-01", "1.2.3+", "v1.2.3", "1.2.x"]
        {
            assert!(version(wrong.into()).is_err(), "{wrong}");
        }
    }
}
