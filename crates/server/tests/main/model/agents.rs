//! Agents, quarantine among it: what the model says of each call, and what the call changes.

use reqwest::Method;
use serde_json::{Value, json};

use super::callers::{Acting, No, Reach, Verdict, Who};
use super::calls::{Change, SCOPES, Tag};
use super::run::{Asked, Run, micros};
use super::state::{Agent, FREE_AGENTS, KeyState, SECOND, Status, World};
use crate::support::new_agent;

pub const AGENTS: &str = "/api/v1/agents";
/// An agent that nobody has.
pub const NO_AGENT: &str = "0190a0b0-c0d0-7000-8000-000000000000";
const RESOURCES: [&[&str]; 2] = [&[], &["https://mail.example/"]];

impl World {
    /// Which agent an index means; one more than there are: one that nobody has.
    pub fn pick_agent(&self, index: u8) -> Option<usize> {
        let index = usize::from(index) % (self.agents.len() + 1);
        (index < self.agents.len()).then_some(index)
    }

    pub fn agent_id(&self, agent: Option<usize>) -> String {
        agent.map_or_else(|| NO_AGENT.to_owned(), |agent| self.agents[agent].id.clone())
    }

    pub fn is_self(&self, who: Who, agent: Option<usize>) -> bool {
        matches!(who, Who::Agent(token) if Some(self.tokens[token].agent) == agent)
    }

    /// An agent of the tenant that is acted in; any other is not there.
    pub fn here(&self, acting: Acting, agent: Option<usize>) -> Result<usize, No> {
        let here = agent.filter(|&agent| self.agents[agent].tenant == acting.tenant);
        here.ok_or(No::new(404, "AGENT_NOT_FOUND"))
    }

    /// Leave to do what an agent may also do to itself.
    pub fn may_own(&self, acting: Acting, permission: &str, agent: Option<usize>) -> Verdict {
        if self.is_self(acting.who, agent) {
            return Ok(());
        }
        self.may(acting, permission, Reach::Tenant, &self.agent_id(agent))
    }

    /// Nobody grants what they do not hold.
    fn may_grant(&self, acting: Acting, scopes: &[&str], over: &str) -> Verdict {
        match scopes.iter().all(|scope| self.holds(acting.who, scope)) {
            true => Ok(()),
            false => Err(self.denied(acting, "agents:write", over, true)),
        }
    }

    /// Leave to change an agent, which never changes itself.
    fn may_change(&self, acting: Acting, agent: Option<usize>) -> Verdict {
        let over = self.agent_id(agent);
        if self.is_self(acting.who, agent) {
            return Err(self.denied(acting, "agents:write", &over, false));
        }
        self.may(acting, "agents:write", Reach::Tenant, &over)
    }

    /// The agent that may be written, with what the request read of it.
    fn writable(&self, acting: Acting, agent: Option<usize>, tag: Tag) -> Result<usize, No> {
        let agent = self.here(acting, agent)?;
        if matches!(tag, Tag::Stale) {
            return Err(No::new(412, "PRECONDITION_FAILED"));
        }
        self.not_decommissioned(agent)
    }

    pub fn not_decommissioned(&self, agent: usize) -> Result<usize, No> {
        match self.agents[agent].status {
            Status::Decommissioned => Err(No::new(409, "AGENT_ALREADY_DECOMMISSIONED")),
            _ => Ok(agent),
        }
    }
}

fn patch_of(change: Change) -> (Value, Option<&'static [&'static str]>) {
    let scopes = |index: u8| SCOPES[usize::from(index) % SCOPES.len()];
    match change {
        Change::Suspend => (json!({"status": "suspended"}), None),
        Change::Activate => (json!({"status": "active"}), None),
        Change::Decommission => (json!({"status": "decommissioned"}), None),
        Change::Scopes(index) => (json!({"scopes": scopes(index)}), Some(scopes(index))),
        Change::SuspendWithScopes(index) => {
            (json!({"status": "suspended", "scopes": scopes(index)}), Some(scopes(index)))
        }
        Change::Resources(some) => {
            (json!({"allowedResources": RESOURCES[usize::from(some)]}), None)
        }
        Change::Owner => (json!({"owner": "others"}), None),
        Change::Immutable => (json!({"tenant": "default", "owner": "others"}), None),
    }
}

/// Applies a change; gives what the record calls it.
fn apply(agent: &mut Agent, change: Change) -> &'static str {
    agent.revision += 1;
    match change {
        Change::Scopes(index) | Change::SuspendWithScopes(index) => {
            agent.scopes = SCOPES[usize::from(index) % SCOPES.len()].to_vec();
        }
        Change::Resources(some) => agent.resources = RESOURCES[usize::from(some)].to_vec(),
        _ => {}
    }
    match (agent.status, change) {
        (Status::Active, Change::Suspend | Change::SuspendWithScopes(_)) => {
            agent.stop(Status::Suspended);
            "agent.suspended"
        }
        (_, Change::Decommission) => {
            agent.stop(Status::Decommissioned);
            "agent.decommissioned"
        }
        (Status::Suspended, Change::Activate) => {
            agent.status = Status::Active;
            "agent.reactivated"
        }
        _ => "agent.updated",
    }
}

impl Run<'_> {
    pub async fn create_agent(
        &mut self,
        asked: Asked,
        email: u8,
        scopes: Option<u8>,
        resources: bool,
    ) {
        let email = format!("{}-{email}", self.name);
        let mut body = new_agent(&email);
        let email = body["email"].as_str().unwrap().to_owned();
        let resources = RESOURCES[usize::from(resources)];
        body["allowedResources"] = json!(resources);
        let given = scopes.map(|index| SCOPES[usize::from(index) % SCOPES.len()]);
        if let Some(given) = given {
            body["scopes"] = json!(given);
        }
        let scopes = given.unwrap_or(&["agents:read"]);
        let world = &self.world;
        let verdict = asked.acting.clone().and_then(|acting| {
            world.may(acting, "agents:write", Reach::Tenant, "*")?;
            world.may_grant(acting, scopes, "*")?;
            let tenant = acting.tenant;
            if world.tenants[tenant].free && world.counted_agents(tenant) >= FREE_AGENTS {
                return Err(No::new(403, "FREE_TIER_LIMIT_EXCEEDED"));
            }
            let taken = world.agents.iter().any(|one| one.tenant == tenant && one.email == email);
            if taken { Err(No::new(409, "AGENT_ALREADY_EXISTS")) } else { Ok(()) }
        });
        let answer = self.send(&asked, Method::POST, AGENTS, body).await;
        if !self.agrees(&answer, 201, &verdict) {
            return;
        }
        let acting = asked.acting.unwrap();
        for scope in scopes {
            assert!(self.world.holds(acting.who, scope), "{}: gained {scope}", self.at);
        }
        let made = answer.json();
        let id = made["agentId"].as_str().unwrap().to_owned();
        self.world.note(acting.tenant, "agent.created", format!("agents/{id}"));
        self.world.agents.push(Agent {
            id,
            tenant: acting.tenant,
            email,
            status: Status::Active,
            generation: 1,
            revision: 1,
            scopes: scopes.to_vec(),
            resources: resources.to_vec(),
            credentials: Vec::new(),
            requests: (i64::MIN, 0),
        });
        let agent = self.world.agents.len() - 1;
        self.is_as_shown(agent, &made);
    }

    /// An answer shows an agent as the model has it.
    pub fn is_as_shown(&self, agent: usize, shown: &Value) {
        let known = &self.world.agents[agent];
        let wanted = json!({
            "agentId": known.id, "tenant": self.world.tenants[known.tenant].id,
            "email": known.email, "status": known.word(), "scopes": known.scopes,
            "allowedResources": known.resources,
        });
        for (name, value) in wanted.as_object().unwrap() {
            assert_eq!(&shown[name], value, "{}: {name} of {shown}", self.at);
        }
    }

    pub async fn list_agents(&mut self, asked: Asked) {
        let world = &self.world;
        let verdict = asked
            .acting
            .clone()
            .and_then(|acting| world.may(acting, "agents:read", Reach::Tenant, "*"));
        let path = format!("{AGENTS}?limit=100");
        let answer = self.send(&asked, Method::GET, &path, Value::Null).await;
        if !self.agrees(&answer, 200, &verdict) {
            return;
        }
        let tenant = asked.acting.unwrap().tenant;
        for shown in answer.json()["data"].as_array().unwrap() {
            assert_eq!(shown["tenant"], self.world.tenants[tenant].id, "{}: {shown}", self.at);
            let known = self.world.agents.iter().position(|one| shown["agentId"] == *one.id);
            if let Some(agent) = known {
                self.is_as_shown(agent, shown);
            }
        }
    }

    pub async fn show_agent(&mut self, asked: Asked, agent: u8) {
        let agent = self.world.pick_agent(agent);
        let world = &self.world;
        let verdict = asked.acting.clone().and_then(|acting| {
            world.may_own(acting, "agents:read", agent)?;
            world.here(acting, agent).map(drop)
        });
        let path = format!("{AGENTS}/{}", self.world.agent_id(agent));
        let answer = self.send(&asked, Method::GET, &path, Value::Null).await;
        if self.agrees(&answer, 200, &verdict) {
            let agent = agent.unwrap();
            self.is_as_shown(agent, &answer.json());
            assert_eq!(answer.header("etag"), self.world.agents[agent].etag(), "{}", self.at);
        }
    }

    pub async fn patch_agent(&mut self, asked: Asked, agent: u8, change: Change, tag: Tag) {
        let agent = self.world.pick_agent(agent);
        let (body, scopes) = patch_of(change);
        let over = self.world.agent_id(agent);
        let world = &self.world;
        let verdict = asked.acting.clone().and_then(|acting| {
            world.may_change(acting, agent)?;
            if matches!(change, Change::Immutable) {
                return Err(No::new(400, "VALIDATION_ERROR"));
            }
            world.may_grant(acting, scopes.unwrap_or_default(), &over)?;
            world.writable(acting, agent, tag).map(drop)
        });
        let path = format!("{AGENTS}/{over}");
        let tag = self.tag(tag, agent.map(|agent| self.world.agents[agent].revision));
        let answer = self.send_if(&asked, Method::PATCH, &path, body, tag).await;
        let changed = self.agrees(&answer, 200, &verdict);
        if changed {
            let (acting, agent) = (asked.acting.unwrap(), agent.unwrap());
            for scope in scopes.unwrap_or_default() {
                assert!(self.world.holds(acting.who, scope), "{}: gained {scope}", self.at);
            }
            let action = apply(&mut self.world.agents[agent], change);
            self.world.note(acting.tenant, action, format!("agents/{over}"));
            self.is_as_shown(agent, &answer.json());
        }
        self.look_at(agent.filter(|_| changed)).await;
    }

    /// What `If-Match` says of what has this revision.
    pub fn tag(&self, tag: Tag, revision: Option<u32>) -> Option<String> {
        let revision = revision.unwrap_or_default();
        match tag {
            Tag::Nothing => None,
            Tag::Right => Some(format!("\"{revision}\"")),
            Tag::Stale => Some(format!("\"{}\"", revision.saturating_sub(1))),
            Tag::Any => Some("*".to_owned()),
        }
    }

    pub async fn delete_agent(&mut self, asked: Asked, agent: u8, tag: Tag) {
        let agent = self.world.pick_agent(agent);
        let world = &self.world;
        let verdict = asked.acting.clone().and_then(|acting| {
            world.may_change(acting, agent)?;
            world.writable(acting, agent, tag).map(drop)
        });
        let id = self.world.agent_id(agent);
        let tag = self.tag(tag, agent.map(|agent| self.world.agents[agent].revision));
        let path = format!("{AGENTS}/{id}");
        let answer = self.send_if(&asked, Method::DELETE, &path, Value::Null, tag).await;
        let changed = self.agrees(&answer, 204, &verdict);
        if changed {
            let action = apply(&mut self.world.agents[agent.unwrap()], Change::Decommission);
            self.world.note(asked.acting.unwrap().tenant, action, format!("agents/{id}"));
        }
        self.look_at(agent.filter(|_| changed)).await;
    }

    pub async fn quarantine(&mut self, asked: Asked, agent: u8) {
        let agent = self.world.pick_agent(agent);
        let world = &self.world;
        let verdict = asked.acting.clone().and_then(|acting| {
            world.may_change(acting, agent)?;
            world.not_decommissioned(world.here(acting, agent)?).map(drop)
        });
        let id = self.world.agent_id(agent);
        let path = format!("{AGENTS}/{id}/quarantine");
        let answer = self.send(&asked, Method::POST, &path, json!({"reason": "odd"})).await;
        let changed = self.agrees(&answer, 200, &verdict);
        if changed {
            let agent = agent.unwrap();
            self.check_receipt(agent, &answer.json());
            let known = &mut self.world.agents[agent];
            known.revision += 1;
            known.stop(Status::Suspended);
            for credential in &mut known.credentials {
                credential.revoked = true;
            }
            let tenant = asked.acting.unwrap().tenant;
            self.world.note(tenant, "agent.quarantined", format!("agents/{id}"));
        }
        self.look_at(agent.filter(|_| changed)).await;
    }

    /// A receipt names what was stopped, before the model stops it.
    fn check_receipt(&self, agent: usize, receipt: &Value) {
        let (at, known) = (&self.at, &self.world.agents[agent]);
        assert_eq!(receipt["agentId"], known.id, "{at}");
        assert_eq!(micros(receipt["stoppedAt"].as_str().unwrap()), self.world.now, "{at}");
        let mut stopped: Vec<&str> = receipt["credentials"]
            .as_array()
            .unwrap()
            .iter()
            .map(|id| id.as_str().unwrap())
            .collect();
        stopped.sort_unstable();
        let alive = known.credentials.iter().filter(|one| !one.revoked);
        let mut wanted: Vec<&str> = alive.map(|one| one.id.as_str()).collect();
        wanted.sort_unstable();
        assert_eq!(stopped, wanted, "{at}: {receipt}");
        let tokens = || self.world.tokens.iter().filter(|token| token.agent == agent);
        let (now, seconds) = (self.world.now, self.world.seconds());
        let counts = tokens().filter(|token| {
            let by = &known.credentials[token.credential];
            token.issued_at <= now
                && seconds < token.expires
                && token.generation == known.generation
                && by.is_live(now)
                && self.world.keys[token.key].state != KeyState::Retired
                && !token.revoked
        });
        if let Some(live) = receipt["tokens"]["live"].as_u64() {
            assert_eq!(live, counts.count() as u64, "{at}: {receipt}");
        }
        let last = tokens().map(|token| token.expires * SECOND).max();
        let until = receipt["selfContainedUntil"].as_str().map(micros);
        assert_eq!(until, last.filter(|last| *last > now), "{at}: {receipt}");
    }

    pub async fn reinstate(&mut self, asked: Asked, agent: u8) {
        let agent = self.world.pick_agent(agent);
        let world = &self.world;
        let verdict = asked.acting.clone().and_then(|acting| {
            world.may_change(acting, agent)?;
            let agent = world.not_decommissioned(world.here(acting, agent)?)?;
            match world.agents[agent].status {
                Status::Active => Err(No::new(409, "CONFLICT")),
                _ => Ok(()),
            }
        });
        let id = self.world.agent_id(agent);
        let path = format!("{AGENTS}/{id}/reinstate");
        let answer = self.send(&asked, Method::POST, &path, json!({})).await;
        let changed = self.agrees(&answer, 200, &verdict);
        if changed {
            let known = &mut self.world.agents[agent.unwrap()];
            known.status = Status::Active;
            known.revision += 1;
            let tenant = asked.acting.unwrap().tenant;
            self.world.note(tenant, "agent.reinstated", format!("agents/{id}"));
            self.is_as_shown(agent.unwrap(), &answer.json());
        }
        self.look_at(agent.filter(|_| changed)).await;
    }
}
