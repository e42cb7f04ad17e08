//! Who exists, in memory: agents, their credentials, operators, tenants, revoked tokens.
//!
//! Nothing that grants authority reads the database on the hot path. Facts come with a revision,
//! and an older one never replaces a newer: two changes may reach memory in another order than
//! they were committed in.

mod facts;

use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasher, Hash, RandomState};
use std::sync::{Arc, PoisonError, RwLock};

use countersign_ground::clock::Time;
use countersign_ground::ids::{AgentId, CredentialId, OperatorId};
use countersign_ground::secret::SecretDigest;
use countersign_policy::Permissions;

use super::token::TokenId;

pub use facts::{
    AgentFacts, CredentialFacts, Limits, OperatorFacts, OperatorToken, Proof, Standing,
    TenantFacts, Thumbprint,
};

const SHARDS: usize = 64;

/// The memory.
pub struct Directory {
    agents: [RwLock<HashMap<AgentId, Arc<AgentFacts>>>; SHARDS],
    /// Whom a client certificate proves.
    certificates: RwLock<HashMap<Thumbprint, AgentId>>,
    operators: RwLock<HashMap<OperatorId, Arc<OperatorFacts>>>,
    operator_tokens: RwLock<HashMap<[u8; 32], Arc<OperatorToken>>>,
    tenants: RwLock<HashMap<Arc<str>, Arc<TenantFacts>>>,
    revoked: RwLock<HashMap<TokenId, Time>>,
    /// Sets of scopes, each kept once: a fleet has few different ones.
    scopes: RwLock<HashSet<Arc<Permissions>>>,
    hasher: RandomState,
}

impl Default for Directory {
    fn default() -> Self {
        Self {
            agents: std::array::from_fn(|_| RwLock::default()),
            certificates: RwLock::default(),
            operators: RwLock::default(),
            operator_tokens: RwLock::default(),
            tenants: RwLock::default(),
            revoked: RwLock::default(),
            scopes: RwLock::default(),
            hasher: RandomState::new(),
        }
    }
}

impl Directory {
    /// One that knows nothing and may later take the place of this one.
    #[must_use]
    pub fn successor(&self) -> Self {
        // A shard is found by it.
        Self { hasher: self.hasher.clone(), ..Self::default() }
    }

    /// Takes over all that its successor knows, in the place of what was known.
    pub fn replace(&self, other: &Self) {
        for known in self.agents.iter().zip(&other.agents) {
            swap(known.0, known.1);
        }
        swap(&self.certificates, &other.certificates);
        swap(&self.operators, &other.operators);
        swap(&self.operator_tokens, &other.operator_tokens);
        swap(&self.tenants, &other.tenants);
        swap(&self.revoked, &other.revoked);
    }

    /// What is known of an agent.
    #[must_use]
    pub fn agent(&self, id: AgentId) -> Option<Arc<AgentFacts>> {
        read(self.shard(&id)).get(&id).cloned()
    }

    /// Takes over an agent's facts, unless newer ones are there. Its credentials stay.
    pub fn put_agent(&self, mut facts: AgentFacts) {
        facts.tenant = self.shared_tenant(&facts.tenant);
        facts.scopes = self.shared_scopes(facts.scopes);
        let mut agents = write(self.shard(&facts.id));
        let known = agents.get(&facts.id);
        if known.is_some_and(|known| known.revision >= facts.revision) {
            return;
        }
        if let Some(known) = known {
            facts.credentials.clone_from(&known.credentials);
        }
        agents.insert(facts.id, Arc::new(facts));
    }

    /// Takes over a credential's facts, unless newer ones are there.
    pub fn put_credential(&self, agent: AgentId, facts: CredentialFacts) {
        let mut agents = write(self.shard(&agent));
        let Some(known) = agents.get_mut(&agent) else { return };
        if let Proof::Certificate(thumbprint) = facts.proof {
            write(&self.certificates).insert(thumbprint, agent);
        }
        let known = Arc::make_mut(known);
        match known.credentials.iter_mut().find(|credential| credential.id == facts.id) {
            Some(credential) if credential.revision >= facts.revision => {}
            Some(credential) => *credential = facts,
            None => {
                // An agent has one or two: doubling would waste as much again.
                known.credentials.reserve_exact(1);
                known.credentials.push(facts);
            }
        }
    }

    /// Takes over the digest of a secret that was read from where it is kept, unless another version
    /// of it is in force by now.
    pub fn learn(&self, agent: AgentId, id: CredentialId, read: i64, digest: SecretDigest) {
        let mut agents = write(self.shard(&agent));
        let Some(known) = agents.get_mut(&agent) else { return };
        let mut credentials = Arc::make_mut(known).credentials.iter_mut();
        if let Some(credential) = credentials.find(|credential| credential.id == id)
            && let Proof::Unread { version, previous } = credential.proof
            && version == read
        {
            credential.proof = Proof::Secret { digest, previous };
        }
    }

    /// The agent and the live credential that a client certificate proves.
    #[must_use]
    pub fn agent_by_certificate(
        &self,
        thumbprint: &Thumbprint,
        now: Time,
    ) -> Option<(Arc<AgentFacts>, CredentialId)> {
        // The lock is let go first: changes take the two in the other order.
        let agent = *read(&self.certificates).get(thumbprint)?;
        let agent = self.agent(agent)?;
        let is_it = |proof: &Proof| matches!(proof, Proof::Certificate(one) if one == thumbprint);
        let ids = agent.credentials.iter().filter(|one| is_it(&one.proof)).map(|one| one.id);
        let live = ids.filter_map(|id| agent.live_credential(id, now)).map(|one| one.id).next()?;
        Some((agent, live))
    }

    /// The operator with this token, if both are good.
    #[must_use]
    pub fn operator_by_token(
        &self,
        digest: &SecretDigest,
        now: Time,
    ) -> Option<(Arc<OperatorFacts>, Arc<OperatorToken>)> {
        // A keyed digest: nobody can aim at a bucket, so the map's timing tells nothing.
        let token = read(&self.operator_tokens).get(digest.as_bytes()).cloned()?;
        let operator = self.operator(&token.operator)?;
        let live =
            !token.revoked && token.expires_at.is_none_or(|end| now < end) && !operator.removed;
        live.then_some((operator, token))
    }

    /// What is known of an operator, removed though they may be.
    #[must_use]
    pub fn operator(&self, id: &OperatorId) -> Option<Arc<OperatorFacts>> {
        read(&self.operators).get(id).cloned()
    }

    /// Takes over an operator's facts, unless newer ones are there.
    pub fn put_operator(&self, facts: OperatorFacts) {
        let mut operators = write(&self.operators);
        if operators.get(&facts.id).is_none_or(|known| known.revision < facts.revision) {
            operators.insert(facts.id.clone(), Arc::new(facts));
        }
    }

    /// Takes over an operator's token. One that has ended stays ended.
    pub fn put_operator_token(&self, digest: &SecretDigest, token: OperatorToken) {
        let mut tokens = write(&self.operator_tokens);
        if tokens.get(digest.as_bytes()).is_none_or(|known| !known.revoked) {
            tokens.insert(*digest.as_bytes(), Arc::new(token));
        }
    }

    /// What is known of a tenant.
    #[must_use]
    pub fn tenant(&self, id: &str) -> Option<Arc<TenantFacts>> {
        read(&self.tenants).get(id).cloned()
    }

    /// Takes over a tenant's facts, unless newer ones are there.
    pub fn put_tenant(&self, mut facts: TenantFacts) {
        let mut tenants = write(&self.tenants);
        if let Some(known) = tenants.get(&facts.id) {
            if known.revision >= facts.revision {
                return;
            }
            facts.id = Arc::clone(&known.id);
        }
        tenants.insert(Arc::clone(&facts.id), Arc::new(facts));
    }

    /// What the plan of a tenant allows; of one that is not known, whatever it asks for.
    #[must_use]
    pub fn limits(&self, tenant: &str) -> Limits {
        read(&self.tenants).get(tenant).map_or(Limits::default(), |tenant| tenant.limits)
    }

    /// Every tenant.
    #[must_use]
    pub fn tenants(&self) -> Vec<Arc<TenantFacts>> {
        read(&self.tenants).values().cloned().collect()
    }

    /// Whether a token was revoked by itself.
    #[must_use]
    pub fn is_revoked(&self, token: &TokenId) -> bool {
        let revoked = read(&self.revoked);
        !revoked.is_empty() && revoked.contains_key(token)
    }

    /// Remembers a revoked token until it would have expired.
    pub fn put_revoked(&self, token: TokenId, expires_at: Time) {
        write(&self.revoked).insert(token, expires_at);
    }

    /// Forgets revoked tokens that have expired.
    pub fn forget_expired(&self, now: Time) {
        write(&self.revoked).retain(|_, expires_at| *expires_at > now);
    }

    fn shard<K: Hash>(&self, key: &K) -> &RwLock<HashMap<AgentId, Arc<AgentFacts>>> {
        // Less than SHARDS, so the index is there.
        &self.agents[(self.hasher.hash_one(key) % SHARDS as u64) as usize]
    }

    fn shared_tenant(&self, id: &Arc<str>) -> Arc<str> {
        self.tenant(id).map_or_else(|| Arc::clone(id), |tenant| Arc::clone(&tenant.id))
    }

    fn shared_scopes(&self, scopes: Arc<Permissions>) -> Arc<Permissions> {
        if let Some(known) = read(&self.scopes).get(&scopes) {
            return Arc::clone(known);
        }
        let mut sets = write(&self.scopes);
        if sets.len() >= MOST_SETS {
            sets.retain(|set| Arc::strong_count(set) > 1);
        }
        if sets.len() < MOST_SETS {
            sets.insert(Arc::clone(&scopes));
        }
        scopes
    }
}

/// Beyond so many different sets, each agent keeps its own.
const MOST_SETS: usize = 10_000;

fn swap<T: Default>(one: &RwLock<T>, other: &RwLock<T>) {
    // Not both at once: nobody waits for the other then.
    let taken = std::mem::take(&mut *write(other));
    *write(one) = taken;
}

fn read<T>(lock: &RwLock<T>) -> std::sync::RwLockReadGuard<'_, T> {
    lock.read().unwrap_or_else(PoisonError::into_inner)
}

fn write<T>(lock: &RwLock<T>) -> std::sync::RwLockWriteGuard<'_, T> {
    lock.write().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use countersign_ground::entropy::Entropy;
    use countersign_ground::ids::OperatorTokenId;
    use countersign_ground::secret::DigestKey;

    use super::*;

    fn facts(revision: i64, standing: Standing) -> AgentFacts {
        AgentFacts {
            id: AgentId::new(Time(0), &Entropy::seeded(1)),
            name: "agent".into(),
            tenant: "default".into(),
            standing,
            generation: 1,
            scopes: Arc::default(),
            allowed_resources: Arc::default(),
            revision,
            credentials: Vec::new(),
        }
    }

    #[test]
    fn an_older_fact_never_replaces_a_newer() {
        let directory = Directory::default();
        directory.put_agent(facts(2, Standing::Suspended));
        directory.put_agent(facts(1, Standing::Active));
        let id = facts(0, Standing::Active).id;
        assert_eq!(directory.agent(id).unwrap().standing, Standing::Suspended);
    }

    #[test]
    fn a_late_rotation_does_not_revive_a_revoked_credential() {
        let directory = Directory::default();
        let agent = facts(1, Standing::Active).id;
        directory.put_agent(facts(1, Standing::Active));
        let digest = DigestKey::new(1, &[7; 32]).digest("secret");
        let credential = |revision, revoked| CredentialFacts {
            id: CredentialId::new(Time(0), &Entropy::seeded(2)),
            proof: Proof::Secret { digest, previous: None },
            expires_at: None,
            revoked,
            revision,
        };
        for (revision, revoked) in [(1, false), (3, true), (2, false)] {
            directory.put_credential(agent, credential(revision, revoked));
        }
        assert_eq!(directory.agent(agent).unwrap().credential_matching(&digest, Time(1)), None);
        directory.put_agent(facts(2, Standing::Active));
        assert_eq!(directory.agent(agent).unwrap().credentials.len(), 1, "credentials stay");
    }

    #[test]
    fn a_digest_that_was_read_too_late_is_not_taken_over() {
        let directory = Directory::default();
        let (agent, id) =
            (facts(1, Standing::Active).id, CredentialId::new(Time(0), &Entropy::seeded(2)));
        directory.put_agent(facts(1, Standing::Active));
        let digest = DigestKey::new(1, &[7; 32]).digest("secret");
        let unread = |revision, version| CredentialFacts {
            id,
            proof: Proof::Unread { version, previous: None },
            expires_at: None,
            revoked: false,
            revision,
        };
        let matching = || directory.agent(agent).unwrap().credential_matching(&digest, Time(1));
        directory.put_credential(agent, unread(1, 1));
        directory.put_credential(agent, unread(2, 2));
        directory.learn(agent, id, 1, digest);
        assert_eq!(matching(), None, "the version before");
        directory.learn(agent, id, 2, digest);
        assert_eq!(matching(), Some(id));
        directory.put_credential(agent, CredentialFacts { revoked: true, ..unread(3, 2) });
        directory.learn(agent, id, 2, digest);
        assert_eq!(matching(), None, "it was revoked");
    }

    #[test]
    fn a_late_creation_does_not_revive_an_operators_token() {
        let directory = Directory::default();
        let (operator, id) = (OperatorId::bootstrap(), OperatorTokenId::bootstrap());
        let digest = DigestKey::new(1, &[7; 32]).digest("token");
        let token = |revoked| OperatorToken {
            id: id.clone(),
            operator: operator.clone(),
            expires_at: None,
            revoked,
        };
        let facts = |revision, removed| OperatorFacts {
            id: operator.clone(),
            tenant: "default".into(),
            roles: Vec::new(),
            level: 1,
            removed,
            revision,
        };
        directory.put_operator(facts(1, false));
        directory.put_operator_token(&digest, token(false));
        assert!(directory.operator_by_token(&digest, Time(1)).is_some());
        directory.put_operator_token(&digest, token(true));
        directory.put_operator_token(&digest, token(false));
        assert!(directory.operator_by_token(&digest, Time(1)).is_none());
        directory.put_operator(facts(3, true));
        directory.put_operator(facts(2, false));
        assert!(directory.operator(&operator).unwrap().removed);
    }
}
