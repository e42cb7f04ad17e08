//! The law: who is calling, what they may do, and the permit that proves it was asked.
//!
//! Everything here answers from memory. Features push facts into the [`directory`]; the law names
//! no feature.

pub mod action;
mod behind;
pub mod besides;
pub mod caller;
pub mod change;
pub mod check;
mod decided;
pub mod directory;
pub mod following;
pub mod guards;
pub mod passage;
pub mod permit;
pub mod token;
pub mod told;

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use countersign_ground::aside;
use countersign_ground::clock::{Clock, Time};
use countersign_ground::entropy::Entropy;
use countersign_ground::ids::{AgentId, CredentialId, EventId};
use countersign_ground::keyring::KeyRing;
use countersign_ground::limits::Windows;
use countersign_ground::problem::Problem;
use countersign_ground::record::{Event, Record};
use countersign_ground::secret::SecretDigest;
use countersign_ground::shared::Shared;
use countersign_policy::{Authz, Matrix, Packages, Policies, Registry, Routes};

use crate::metrics::Metrics;

use directory::{AgentFacts, Directory, Thumbprint};
use following::Following;
use guards::Guards;
use token::Tokens;

/// What decides.
pub struct Law {
    /// Who exists.
    pub directory: Arc<Directory>,
    in_force: ArcSwap<InForce>,
    /// Which enforcement points enforce.
    pub guards: Guards,
    /// Of agents whose plan limits them.
    requests: Windows<AgentId>,
    /// Where nodes count together.
    shared: Option<Arc<Shared>>,
    /// Which tokens are good.
    pub tokens: Tokens,
    /// How far memory follows what other nodes change.
    pub following: Following,
    keys: Arc<KeyRing>,
    machine: Option<SecretDigest>,
    /// Anybody may ask for decisions.
    open: bool,
    /// How many of a hundred allowed questions are told.
    log_allow: u8,
    /// What the guard `rbac` would refuse for want of a role passes: the one exception to denying on doubt.
    fails_open: bool,
    record: Arc<Record>,
    clock: Clock,
    entropy: Entropy,
    metrics: Arc<Metrics>,
    /// Whose tokens these are: `iss`.
    pub issuer: Arc<str>,
}

/// The policies by which everything is decided, until others are.
#[derive(Clone)]
struct InForce {
    policies: Arc<Policies>,
    /// Of each change the next: what was decided under another number is not remembered.
    number: u64,
}

/// What a law is made of.
pub struct Parts {
    /// Who exists.
    pub directory: Arc<Directory>,
    /// The keys of tokens and digests.
    pub keys: Arc<KeyRing>,
    /// Where refusals go.
    pub record: Arc<Record>,
    /// Where they are counted.
    pub metrics: Arc<Metrics>,
    /// Time.
    pub clock: Clock,
    /// Randomness.
    pub entropy: Entropy,
    /// Whose tokens these are.
    pub issuer: Arc<str>,
    /// What decides.
    pub policies: Policies,
    /// Whether anybody may ask for decisions.
    pub open: bool,
    /// How many of a hundred allowed questions are told.
    pub log_allow: u8,
    /// What the guard `rbac` would refuse for want of a role passes.
    pub fails_open: bool,
    /// How far memory follows what other nodes change.
    pub following: Following,
    /// Where nodes count together.
    pub shared: Option<Arc<Shared>>,
}

/// An agent that proved to be itself with a secret.
pub struct Client {
    /// What is known of it, whatever its status.
    pub agent: Arc<AgentFacts>,
    /// The credential that it proved it with.
    pub credential: CredentialId,
    /// The certificate, if it was by one: what it gets is bound to it.
    pub certificate: Option<Thumbprint>,
}

impl Law {
    /// A law over these facts.
    #[must_use]
    pub fn new(parts: Parts, machine_token: Option<&str>) -> Self {
        let Parts { directory, keys, record, metrics, clock, entropy, issuer, .. } = parts;
        let Parts { policies, open, log_allow, fails_open, following, shared, .. } = parts;
        let machine = machine_token.map(|token| keys.digest().digest(token));
        let tokens = Tokens::new(Arc::clone(&keys), Arc::clone(&directory), Arc::clone(&issuer));
        Self {
            directory,
            in_force: ArcSwap::from_pointee(InForce { policies: Arc::new(policies), number: 0 }),
            guards: Guards::default(),
            requests: Windows::new(Duration::from_secs(60)),
            shared,
            tokens,
            following,
            keys,
            machine,
            open,
            log_allow,
            fails_open,
            record,
            metrics,
            clock,
            entropy,
            issuer,
        }
    }

    /// What roles may do.
    #[must_use]
    pub fn matrix(&self) -> Arc<Matrix> {
        Arc::clone(&self.in_force.load().policies.matrix)
    }

    /// All that decides together.
    #[must_use]
    pub fn policies(&self) -> Arc<Policies> {
        Arc::clone(&self.in_force.load().policies)
    }

    /// Puts another matrix in force, for every decision from now on; gives the former.
    pub fn set_matrix(&self, matrix: Arc<Matrix>) -> Arc<Matrix> {
        Arc::clone(&self.change(|policies| policies.matrix = Arc::clone(&matrix)).matrix)
    }

    /// Puts another registry in force, for every decision from now on.
    pub fn set_registry(&self, registry: Arc<Registry>) {
        let former = self.change(|policies| policies.registry = Some(Arc::clone(&registry)));
        // To let go of a large one takes a while.
        aside::let_go(former);
    }

    /// What requests behind gateways need.
    #[must_use]
    pub fn routes(&self) -> Option<Arc<Routes>> {
        self.in_force.load().policies.routes.clone()
    }

    /// Puts another route table in force, for every request from now on.
    pub fn set_routes(&self, routes: Arc<Routes>) {
        aside::let_go(self.change(|policies| policies.routes = Some(Arc::clone(&routes))));
    }

    /// Puts another policy directory in force, for every decision from now on: its packages, and what is asked at
    /// every door besides.
    pub fn set_policy(&self, packages: &Arc<Packages>, authz: Option<&Arc<Authz>>) {
        self.change(|policies| {
            policies.packages = Some(Arc::clone(packages));
            policies.authz = authz.cloned();
        });
    }

    fn change(&self, change: impl Fn(&mut Policies)) -> Arc<Policies> {
        let former = self.in_force.rcu(|now| {
            let mut next = Policies::clone(&now.policies);
            change(&mut next);
            InForce { policies: Arc::new(next), number: now.number + 1 }
        });
        Arc::clone(&former.policies)
    }

    /// Forgets what limits need not know any more.
    pub fn forget(&self, now: Time) {
        self.requests.forget(now);
    }

    /// Checks a client secret, with what other nodes know where memory does not know it.
    ///
    /// # Errors
    /// When nobody can say.
    pub async fn client_anywhere(
        &self,
        id: AgentId,
        secret: &str,
        now: Time,
    ) -> Result<Option<Client>, Problem> {
        match self.client(id, secret, now) {
            None if self.following.may_know_more().await? => Ok(self.client(id, secret, now)),
            found => Ok(found),
        }
    }

    /// Checks a client secret. An unknown client and a wrong secret cost the same.
    #[must_use]
    pub fn client(&self, id: AgentId, secret: &str, now: Time) -> Option<Client> {
        let digest = self.keys.digest().digest(secret);
        let Some(agent) = self.directory.agent(id) else {
            // The comparison that a known client would have had.
            let _ = std::hint::black_box(digest == nobody());
            return None;
        };
        let credential = agent.credential_matching(&digest, now)?;
        Some(Client { agent, credential, certificate: None })
    }

    /// The client that a certificate proves.
    #[must_use]
    pub fn client_by_certificate(&self, thumbprint: &Thumbprint, now: Time) -> Option<Client> {
        let (agent, credential) = self.directory.agent_by_certificate(thumbprint, now)?;
        Some(Client { agent, credential, certificate: Some(*thumbprint) })
    }

    /// Now, by the clock that decisions go by.
    #[must_use]
    pub fn now(&self) -> Time {
        self.clock.now()
    }

    fn event(&self, action: &'static str, now: Time) -> Event {
        Event::new(EventId::new(now, &self.entropy), now, action)
    }
}

#[expect(clippy::expect_used, reason = "32 bytes are a digest")]
fn nobody() -> SecretDigest {
    SecretDigest::from_bytes(&[0; 32]).expect("32 bytes are a digest")
}
