//! What the model holds: plain data, and what follows from it.

use std::collections::BTreeMap;

use super::roles::Roles;

/// Microseconds in a second.
pub const SECOND: i64 = 1_000_000;
/// How long a token lives, in seconds.
pub const TOKEN_LIFE: i64 = 3600;
/// Requests a minute, and agents, on the plan `free`.
pub const FREE_REQUESTS: u32 = 100;
pub const FREE_AGENTS: usize = 100;
/// Where the tenant `default` stands in [`World::tenants`]; the sequence's own two come before.
pub const DEFAULT: usize = 2;
/// Where the first operator stands in [`World::operators`].
pub const BOOTSTRAP: usize = 0;

pub struct World {
    /// Microseconds since the epoch.
    pub now: i64,
    pub issuer: String,
    pub roles: Roles,
    pub tenants: Vec<Tenant>,
    pub operators: Vec<Operator>,
    pub agents: Vec<Agent>,
    pub tokens: Vec<Token>,
    /// In the order they were first seen.
    pub keys: Vec<Key>,
    /// How many events the record must have: tenant, action, and what it is about.
    pub events: BTreeMap<(usize, String, String), i64>,
}

pub struct Tenant {
    pub id: String,
    pub name: String,
    pub free: bool,
    /// Agents that count for the plan, and of which the model knows no more.
    pub crowd: usize,
}

pub struct Operator {
    pub id: String,
    pub tenant: usize,
    pub email: String,
    pub roles: Vec<&'static str>,
    pub level_by_hand: Option<u8>,
    pub revision: u32,
    pub removed: bool,
    pub tokens: Vec<OperatorToken>,
}

pub struct OperatorToken {
    pub id: String,
    pub text: String,
    pub expires_at: Option<i64>,
    pub revoked: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    Active,
    Suspended,
    Decommissioned,
}

pub struct Agent {
    pub id: String,
    pub tenant: usize,
    pub email: String,
    pub status: Status,
    /// Raised by whatever ends its tokens.
    pub generation: i64,
    pub revision: u32,
    pub scopes: Vec<&'static str>,
    pub resources: Vec<&'static str>,
    pub credentials: Vec<Credential>,
    /// The minute its requests were last counted in, and how many.
    pub requests: (i64, u32),
}

pub struct Credential {
    pub id: String,
    /// All that it ever had; the last is the one that is good.
    pub secrets: Vec<String>,
    /// Until when the last but one is good, too.
    pub grace_until: Option<i64>,
    pub expires_at: Option<i64>,
    pub revoked: bool,
}

pub struct Token {
    pub text: String,
    pub jti: String,
    pub agent: usize,
    pub credential: usize,
    pub generation: i64,
    pub scopes: Vec<&'static str>,
    /// It may be used at this server.
    pub for_us: bool,
    pub key: usize,
    /// Seconds.
    pub issued: i64,
    /// Microseconds.
    pub issued_at: i64,
    pub expires: i64,
    pub revoked: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyState {
    Next,
    Active,
    Retiring,
    Retired,
}

pub struct Key {
    pub kid: String,
    pub state: KeyState,
    pub created_at: i64,
    pub retires_at: Option<i64>,
}

impl World {
    pub fn seconds(&self) -> i64 {
        self.now.div_euclid(SECOND)
    }

    /// Adds to the record.
    pub fn note(&mut self, tenant: usize, action: &str, about: impl Into<String>) {
        *self.events.entry((tenant, action.to_owned(), about.into())).or_default() += 1;
    }

    pub fn is_live(&self, token: usize) -> bool {
        let token = &self.tokens[token];
        let agent = &self.agents[token.agent];
        (token.issued..token.expires).contains(&self.seconds())
            && !token.revoked
            && agent.status == Status::Active
            && agent.generation == token.generation
            && agent.credentials[token.credential].is_live(self.now)
            && self.keys[token.key].state != KeyState::Retired
    }

    /// What no clock and no later change brings back.
    pub fn is_dead_for_good(&self, token: usize) -> bool {
        let token = &self.tokens[token];
        let agent = &self.agents[token.agent];
        token.revoked
            || agent.generation != token.generation
            || agent.credentials[token.credential].revoked
            || self.keys[token.key].state == KeyState::Retired
    }

    /// The credential of an agent that this secret proves.
    pub fn proven(&self, agent: usize, secret: &str) -> Option<usize> {
        let fits = |one: &Credential| one.is_live(self.now) && one.takes(secret, self.now);
        self.agents[agent].credentials.iter().position(fits)
    }

    /// Where the key stands that signs.
    pub fn signing(&self) -> usize {
        let active = |key: &Key| key.state == KeyState::Active;
        self.keys.iter().position(active).expect("one key signs")
    }

    /// Agents of a tenant that count for its plan.
    pub fn counted_agents(&self, tenant: usize) -> usize {
        let counts =
            |agent: &&Agent| agent.tenant == tenant && agent.status != Status::Decommissioned;
        self.tenants[tenant].crowd + self.agents.iter().filter(counts).count()
    }

    pub fn operator_token_is_live(&self, operator: usize, token: usize) -> bool {
        let operator = &self.operators[operator];
        !operator.removed && operator.tokens[token].is_live(self.now)
    }

    /// Counts a request of an agent; false when its plan allows no more this minute.
    pub fn admit(&mut self, agent: usize) -> bool {
        let minute = self.now.div_euclid(60 * SECOND);
        let agent = &mut self.agents[agent];
        if !self.tenants[agent.tenant].free {
            return true;
        }
        if agent.requests.0 < minute {
            agent.requests = (minute, 0);
        }
        let admitted = agent.requests.1 < FREE_REQUESTS;
        agent.requests.1 += u32::from(admitted);
        admitted
    }
}

impl Credential {
    pub fn is_live(&self, now: i64) -> bool {
        !self.revoked && self.expires_at.is_none_or(|end| now < end)
    }

    fn takes(&self, secret: &str, now: i64) -> bool {
        let mut newest = self.secrets.iter().rev();
        newest.next().is_some_and(|last| last == secret)
            || newest.next().is_some_and(|former| former == secret)
                && self.grace_until.is_some_and(|until| now < until)
    }

    /// The word that a listing has for it.
    pub fn status(&self, now: i64) -> &'static str {
        match self.revoked {
            true => "revoked",
            false if self.is_live(now) => "active",
            false => "expired",
        }
    }
}

impl OperatorToken {
    pub fn is_live(&self, now: i64) -> bool {
        !self.revoked && self.expires_at.is_none_or(|end| now < end)
    }
}

impl Agent {
    pub fn etag(&self) -> String {
        format!("\"{}\"", self.revision)
    }

    /// Its tokens die.
    pub fn stop(&mut self, status: Status) {
        self.status = status;
        self.generation += 1;
    }

    pub fn word(&self) -> &'static str {
        match self.status {
            Status::Active => "active",
            Status::Suspended => "suspended",
            Status::Decommissioned => "decommissioned",
        }
    }
}
