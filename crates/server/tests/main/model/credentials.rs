//! Credentials: what the model says of each call, and what the call changes.

use reqwest::Method;
use serde_json::{Value, json};

use super::agents::{AGENTS, NO_AGENT};
use super::callers::{Acting, No, Verdict, Who};
use super::calls::Life;
use super::run::{Asked, Run};
use super::state::{Credential, SECOND, Status, World};

const LONGEST_GRACE: u32 = 7 * 24 * 3600;

impl World {
    /// Which credential an index means; one more than there are: one that nobody has.
    fn pick_credential(&self, agent: Option<usize>, index: u8) -> Option<usize> {
        let known = self.agents.get(agent?)?.credentials.len();
        let index = usize::from(index) % (known + 1);
        (index < known).then_some(index)
    }

    fn credential_id(&self, agent: Option<usize>, credential: Option<usize>) -> String {
        match (agent, credential) {
            (Some(agent), Some(one)) => self.agents[agent].credentials[one].id.clone(),
            _ => NO_AGENT.to_owned(),
        }
    }

    /// A secret is as good as all that its agent holds. What no role knows is nobody's to hold, so
    /// an operator need not.
    fn no_more_than_own(&self, acting: Acting, agent: Option<usize>) -> Verdict {
        let Ok(target) = self.here(acting, agent) else { return Ok(()) };
        let is_agent = matches!(acting.who, Who::Agent(_));
        let lacks =
            |scope: &&&str| !self.holds(acting.who, scope) && (is_agent || self.roles.know(scope));
        match self.agents[target].scopes.iter().find(lacks) {
            None => Ok(()),
            Some(_) => Err(self.denied(acting, "agents:write", &self.agents[target].id, true)),
        }
    }

    /// An agent of this tenant that may be given something.
    fn grantee(&self, acting: Acting, agent: Option<usize>) -> Result<usize, No> {
        let agent = self.not_decommissioned(self.here(acting, agent)?)?;
        match self.agents[agent].status {
            Status::Suspended => Err(No::new(409, "AGENT_NOT_ACTIVE")),
            _ => Ok(agent),
        }
    }

    fn unrevoked(&self, agent: usize, credential: Option<usize>) -> Result<&Credential, No> {
        let credential = credential.ok_or(No::new(404, "CREDENTIAL_NOT_FOUND"))?;
        let credential = &self.agents[agent].credentials[credential];
        match credential.revoked {
            true => Err(No::new(409, "CREDENTIAL_ALREADY_REVOKED")),
            false => Ok(credential),
        }
    }

    /// A body's `expiresAt`, and when that is.
    pub fn expiry(&self, life: Life) -> (Value, Option<i64>) {
        let at = match life {
            Life::Forever => return (json!({}), None),
            Life::Seconds(seconds) => self.now + i64::from(seconds) * SECOND,
            Life::Past => self.now,
        };
        (json!({"expiresAt": Run::moment(at)}), Some(at))
    }
}

impl Run<'_> {
    pub async fn create_credential(&mut self, asked: Asked, agent: u8, life: Life) {
        let agent = self.world.pick_agent(agent);
        let (body, expires_at) = self.world.expiry(life);
        let world = &self.world;
        let verdict = asked.acting.clone().and_then(|acting| {
            world.may_own(acting, "agents:write", agent)?;
            world.no_more_than_own(acting, agent)?;
            if matches!(life, Life::Past) {
                return Err(No::new(400, "VALIDATION_ERROR"));
            }
            world.grantee(acting, agent).map(drop)
        });
        let path = format!("{AGENTS}/{}/credentials", self.world.agent_id(agent));
        let answer = self.send(&asked, Method::POST, &path, body).await;
        let changed = self.agrees(&answer, 201, &verdict);
        if changed {
            let made = answer.json();
            let (id, secret) = (text(&made, "credentialId"), text(&made, "clientSecret"));
            let tenant = asked.acting.unwrap().tenant;
            self.world.note(tenant, "credential.generated", format!("credentials/{id}"));
            let new = Credential {
                id,
                secrets: vec![secret],
                grace_until: None,
                expires_at,
                revoked: false,
            };
            self.world.agents[agent.unwrap()].credentials.push(new);
        }
        self.look_at(agent.filter(|_| changed)).await;
    }

    pub async fn list_credentials(&mut self, asked: Asked, agent: u8) {
        let agent = self.world.pick_agent(agent);
        let world = &self.world;
        let verdict = asked.acting.clone().and_then(|acting| {
            world.may_own(acting, "agents:read", agent)?;
            world.here(acting, agent).map(drop)
        });
        let path = format!("{AGENTS}/{}/credentials?limit=100", self.world.agent_id(agent));
        let answer = self.send(&asked, Method::GET, &path, Value::Null).await;
        if self.agrees(&answer, 200, &verdict) {
            self.are_as_listed(agent.unwrap(), &answer.json());
        }
    }

    /// A listing shows an agent's credentials as the model has them, and no secret.
    pub fn are_as_listed(&self, agent: usize, listing: &Value) {
        let known = &self.world.agents[agent].credentials;
        let shown = listing["data"].as_array().unwrap();
        assert_eq!(shown.len(), known.len(), "{}: {listing}", self.at);
        for one in known {
            let row = shown.iter().find(|row| row["credentialId"] == *one.id).unwrap();
            assert_eq!(row["status"], one.status(self.world.now), "{}: {row}", self.at);
            assert!(row.get("clientSecret").is_none(), "{}", self.at);
        }
    }

    pub async fn rotate_credential(
        &mut self,
        asked: Asked,
        agent: u8,
        credential: u8,
        grace: Option<u32>,
    ) {
        let agent = self.world.pick_agent(agent);
        let credential = self.world.pick_credential(agent, credential);
        let world = &self.world;
        let verdict = asked.acting.clone().and_then(|acting| {
            world.may_own(acting, "agents:write", agent)?;
            world.no_more_than_own(acting, agent)?;
            if grace.is_some_and(|seconds| seconds > LONGEST_GRACE) {
                return Err(No::new(400, "VALIDATION_ERROR"));
            }
            let agent = world.grantee(acting, agent)?;
            match world.unrevoked(agent, credential)?.is_live(world.now) {
                false => Err(No::new(409, "CONFLICT")),
                true => Ok(()),
            }
        });
        let id = self.world.credential_id(agent, credential);
        let path = format!("{AGENTS}/{}/credentials/{id}/rotate", self.world.agent_id(agent));
        let body = grace.map_or(json!({}), |seconds| json!({"graceSeconds": seconds}));
        let answer = self.send(&asked, Method::POST, &path, body).await;
        let changed = self.agrees(&answer, 200, &verdict);
        if changed {
            let secret = text(&answer.json(), "clientSecret");
            let grace = grace.filter(|seconds| *seconds > 0);
            let until = grace.map(|seconds| self.world.now + i64::from(seconds) * SECOND);
            let tenant = asked.acting.unwrap().tenant;
            self.world.note(tenant, "credential.rotated", format!("credentials/{id}"));
            let known = &mut self.world.agents[agent.unwrap()].credentials[credential.unwrap()];
            known.secrets.push(secret);
            known.grace_until = until;
        }
        self.look_at(agent.filter(|_| changed)).await;
    }

    pub async fn revoke_credential(&mut self, asked: Asked, agent: u8, credential: u8) {
        let agent = self.world.pick_agent(agent);
        let credential = self.world.pick_credential(agent, credential);
        let world = &self.world;
        let verdict = asked.acting.clone().and_then(|acting| {
            world.may_own(acting, "agents:write", agent)?;
            let agent = world.not_decommissioned(world.here(acting, agent)?)?;
            world.unrevoked(agent, credential).map(drop)
        });
        let id = self.world.credential_id(agent, credential);
        let path = format!("{AGENTS}/{}/credentials/{id}", self.world.agent_id(agent));
        let answer = self.send(&asked, Method::DELETE, &path, Value::Null).await;
        let changed = self.agrees(&answer, 204, &verdict);
        if changed {
            let tenant = asked.acting.unwrap().tenant;
            self.world.note(tenant, "credential.revoked", format!("credentials/{id}"));
            self.world.agents[agent.unwrap()].credentials[credential.unwrap()].revoked = true;
        }
        self.look_at(agent.filter(|_| changed)).await;
    }
}

pub fn text(body: &Value, name: &str) -> String {
    body[name].as_str().unwrap_or_else(|| panic!("{name} in {body}")).to_owned()
}
