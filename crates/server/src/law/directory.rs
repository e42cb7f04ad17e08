//! Who exists, in memory: agents, their credentials, operators, revoked tokens.
//!
//! Nothing that grants authority reads the database on the hot path. Facts come with a revision,
//! and an older one never replaces a newer: two changes may reach memory in another order than
//! they were committed in.

use std::collections::HashMap;
use std::hash::{BuildHasher, Hash, RandomState};
use std::sync::{Arc, PoisonError, RwLock};

use countersign_ground::clock::Time;
use countersign_ground::ids::{AgentId, CredentialId};
use countersign_ground::record::Actor;
use countersign_ground::secret::SecretDigest;
use countersign_policy::Permissions;

use super::token::TokenId;

/// Whether an agent may act.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// It may.
    Active,
    /// Not at the moment.
    Suspended,
    /// Never again.
    Decommissioned,
}

/// What decisions need to know of an agent.
#[derive(Debug, Clone)]
pub struct AgentFacts {
    /// Which agent.
    pub id: AgentId,
    /// The same as text, so that events can share it.
    pub name: Arc<str>,
    /// Whose.
    pub tenant: Arc<str>,
    /// Whether it may act.
    pub standing: Standing,
    /// Tokens of another generation are dead.
    pub generation: i64,
    /// What its tokens may hold.
    pub scopes: Permissions,
    /// Audiences that its tokens may be for.
    pub allowed_resources: Vec<String>,
    /// Raised by every change.
    pub revision: i64,
    /// Its credentials, those that were revoked since this process started among them.
    pub credentials: Vec<CredentialFacts>,
}

/// What decisions need to know of a credential.
#[derive(Debug, Clone)]
pub struct CredentialFacts {
    /// Which one.
    pub id: CredentialId,
    /// Of its secret.
    pub digest: SecretDigest,
    /// Of the secret before, and until when it is good.
    pub previous: Option<(SecretDigest, Time)>,
    /// Not from then on.
    pub expires_at: Option<Time>,
    /// It has ended.
    pub revoked: bool,
    /// Raised by every change.
    pub revision: i64,
}

impl CredentialFacts {
    fn live(&self, now: Time) -> bool {
        !self.revoked && self.expires_at.is_none_or(|end| now < end)
    }

    fn matches(&self, digest: &SecretDigest, now: Time) -> bool {
        let current = self.digest == *digest;
        let previous = self
            .previous
            .as_ref()
            .is_some_and(|(previous, until)| now < *until && previous == digest);
        current | previous
    }
}

impl AgentFacts {
    /// The agent as the record names it.
    #[must_use]
    pub fn actor(&self) -> Actor {
        Actor { kind: "agent", id: Arc::clone(&self.name) }
    }

    /// The live credential with this secret. Looks at all of them, whichever matches.
    #[must_use]
    pub fn credential_matching(&self, digest: &SecretDigest, now: Time) -> Option<CredentialId> {
        let mut found = None;
        for credential in &self.credentials {
            if credential.matches(digest, now) && credential.live(now) {
                found = Some(credential.id);
            }
        }
        found
    }

    /// Whether a token by this credential may still be good.
    #[must_use]
    pub fn has_live_credential(&self, id: CredentialId, now: Time) -> bool {
        self.credentials.iter().any(|credential| credential.id == id && credential.live(now))
    }
}

/// What decisions need to know of an operator.
#[derive(Debug, Clone)]
pub struct OperatorFacts {
    /// Which one.
    pub id: Arc<str>,
    /// Whose.
    pub tenant: Arc<str>,
    /// Roles of the matrix.
    pub roles: Vec<String>,
    /// The first operator, who sets everything up, holds permissions that no role knows, too.
    pub holds_everything: bool,
}

const SHARDS: usize = 64;

/// The memory.
pub struct Directory {
    agents: [RwLock<HashMap<AgentId, Arc<AgentFacts>>>; SHARDS],
    operators: RwLock<HashMap<[u8; 32], Arc<OperatorFacts>>>,
    revoked: RwLock<HashMap<TokenId, Time>>,
    hasher: RandomState,
}

impl Default for Directory {
    fn default() -> Self {
        Self {
            agents: std::array::from_fn(|_| RwLock::default()),
            operators: RwLock::default(),
            revoked: RwLock::default(),
            hasher: RandomState::new(),
        }
    }
}

impl Directory {
    /// What is known of an agent.
    #[must_use]
    pub fn agent(&self, id: AgentId) -> Option<Arc<AgentFacts>> {
        read(self.shard(&id)).get(&id).cloned()
    }

    /// Takes over an agent's facts, unless newer ones are there. Its credentials stay.
    pub fn put_agent(&self, facts: AgentFacts) {
        let mut agents = write(self.shard(&facts.id));
        let known = agents.get(&facts.id);
        if known.is_some_and(|known| known.revision >= facts.revision) {
            return;
        }
        let credentials = known.map(|known| known.credentials.clone());
        let credentials = credentials.unwrap_or_else(|| facts.credentials.clone());
        agents.insert(facts.id, Arc::new(AgentFacts { credentials, ..facts }));
    }

    /// Takes over a credential's facts, unless newer ones are there.
    pub fn put_credential(&self, agent: AgentId, facts: CredentialFacts) {
        let mut agents = write(self.shard(&agent));
        let Some(known) = agents.get_mut(&agent) else { return };
        let known = Arc::make_mut(known);
        match known.credentials.iter_mut().find(|credential| credential.id == facts.id) {
            Some(credential) if credential.revision >= facts.revision => {}
            Some(credential) => *credential = facts,
            None => known.credentials.push(facts),
        }
    }

    /// The operator with this token.
    #[must_use]
    pub fn operator(&self, digest: &SecretDigest) -> Option<Arc<OperatorFacts>> {
        // A keyed digest: nobody can aim at a bucket, so the map's timing tells nothing.
        read(&self.operators).get(digest.as_bytes()).cloned()
    }

    /// Takes over an operator's token.
    pub fn put_operator(&self, digest: &SecretDigest, facts: OperatorFacts) {
        write(&self.operators).insert(*digest.as_bytes(), Arc::new(facts));
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
    use countersign_ground::secret::DigestKey;

    use super::*;

    fn facts(revision: i64, standing: Standing) -> AgentFacts {
        AgentFacts {
            id: AgentId::new(Time(0), &Entropy::seeded(1)),
            name: "agent".into(),
            tenant: "default".into(),
            standing,
            generation: 1,
            scopes: Permissions::default(),
            allowed_resources: Vec::new(),
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
            digest,
            previous: None,
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
}
