//! The permit: proof, as a value, that one action was asked for and allowed.

use std::marker::PhantomData;
use std::sync::Arc;

use countersign_ground::clock::Stopwatch;
use countersign_ground::ids::AgentId;
use countersign_ground::problem::{Code, Problem};
use countersign_ground::record::{Actor, Event, Origin, Outcome, default_tenant};
use countersign_policy::{
    self as asked, Decision, Effect, Question, Reason, Resource, Subject, nothing,
};
use http::header;

use super::action::{Action, Reach};
use super::behind::Behind;
use super::besides;
use super::caller::{Caller, Who, challenge};
use super::decided::Before;
use super::guards::Mode;
use super::told::acted_on;
use super::{InForce, Law};

/// Leave to do `A`, in one tenant, by one actor, because of one decision. Only the law makes it;
/// it is not `Clone`, so it ends with what it was made for.
#[derive(Debug)]
pub struct Permit<A> {
    tenant: Arc<str>,
    actor: Actor,
    origin: Origin,
    decision: Option<Arc<str>>,
    action: PhantomData<fn() -> A>,
}

impl<A> Permit<A> {
    fn new(caller: &Caller, decision: Arc<str>) -> Self {
        Self {
            tenant: Arc::clone(&caller.tenant),
            actor: caller.who.actor(),
            origin: caller.origin.clone(),
            decision: Some(decision),
            action: PhantomData,
        }
    }

    /// Leave for what the server does by itself.
    #[must_use]
    pub fn system(job: Job) -> Self {
        Self {
            tenant: default_tenant(),
            actor: Actor { kind: "system", id: job.name().into() },
            origin: Origin::default(),
            decision: None,
            action: PhantomData,
        }
    }

    /// The same in another tenant, for a job that goes through all of them.
    #[must_use]
    pub fn system_in(job: Job, tenant: &str) -> Self {
        Self { tenant: tenant.into(), ..Self::system(job) }
    }

    /// The tenant that may be touched.
    #[must_use]
    pub fn tenant(&self) -> &str {
        &self.tenant
    }

    /// Who acts.
    #[must_use]
    pub fn actor(&self) -> &Actor {
        &self.actor
    }

    /// Completes an event with who acts, where, from where and why they may.
    #[must_use]
    pub fn sign(&self, mut event: Event) -> Event {
        event.tenant = Arc::clone(&self.tenant);
        event.actor = self.actor.clone();
        event.origin = self.origin.clone();
        event.decision.clone_from(&self.decision);
        event
    }
}

/// Everything that the server does by itself and that needs a permit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Job {
    /// A pair of token keys was configured.
    KeyImport,
    /// A token key is due to be followed by the next.
    KeyRotation,
    /// The first operator's token was made or configured.
    Bootstrap,
    /// The matrix's file has changed.
    MatrixFile,
    /// The registry's file has changed.
    RegistryFile,
    /// The route table's file has changed.
    RoutesFile,
    /// A guard's variable has changed.
    GuardVariable,
    /// The policy directory has changed.
    PolicyDirectory,
    /// Events are older than the record keeps them.
    Retention,
    /// What was begun in Vault is brought to its end.
    Vault,
}

impl Job {
    fn name(self) -> &'static str {
        match self {
            Self::KeyImport => "key-import",
            Self::KeyRotation => "key-rotation",
            Self::Bootstrap => "bootstrap",
            Self::MatrixFile => "matrix-file",
            Self::RegistryFile => "registry-file",
            Self::RoutesFile => "routes-file",
            Self::GuardVariable => "guard-variable",
            Self::PolicyDirectory => "policy-directory",
            Self::Retention => "retention",
            Self::Vault => "vault",
        }
    }
}

/// Whether what was decided about an action counts for others that need the same permission: where it reaches further
/// than a tenant, more is asked than the permission.
fn remembers<A: Action>() -> bool {
    A::REACH == Reach::Tenant && A::GUARD.is_none()
}

/// Why everything is allowed while the guard is off.
const DISABLED: &str = "rbac-disabled";

/// What a caller would need to be allowed.
enum Missing<'m> {
    /// The permission itself.
    Permission,
    /// These scopes besides; none of them when no scope would help.
    Else(&'m [&'m str]),
}

impl Law {
    /// Decides whether `caller` may do `A` to `resource_id` (`*` for all of them).
    ///
    /// # Errors
    /// 401 without credentials, 403 without the permission; both are in the record.
    pub async fn permit<A: Action>(
        &self,
        caller: &Caller,
        resource_id: &str,
    ) -> Result<Permit<A>, Problem> {
        let in_force = self.in_force.load_full();
        if resource_id == "*"
            && remembers::<A>()
            && let Who::Agent(token) = &caller.who
            && let Some(before) = token.decided.allowed(in_force.number, A::RESOURCE, A::ACTION)
        {
            before.count.inc();
            return Ok(Permit::new(caller, before.id));
        }
        let reason = caller.reason::<A>(&in_force.policies.matrix);
        // Boxed: what is remembered does not get here.
        Box::pin(self.decide(caller, resource_id, reason, &in_force)).await
    }

    /// As [`Law::permit`], where an agent may also act on what is its own.
    ///
    /// # Errors
    /// As [`Law::permit`].
    pub async fn permit_own<A: Action>(
        &self,
        caller: &Caller,
        agent: AgentId,
    ) -> Result<Permit<A>, Problem> {
        let in_force = self.in_force.load_full();
        let reason = if caller.agent() == Some(agent) {
            Ok(Reason::Own)
        } else {
            caller.reason::<A>(&in_force.policies.matrix)
        };
        self.decide(caller, &agent.to_string(), reason, &in_force).await
    }

    /// Refuses what the permission alone would allow; `lacking` names the scopes that would help.
    ///
    /// # Errors
    /// Always: the 403.
    pub async fn forbid<A: Action>(
        &self,
        caller: &Caller,
        resource_id: &str,
        detail: String,
        lacking: &[&str],
    ) -> Result<std::convert::Infallible, Problem> {
        let refused = Err(Reason::InsufficientPermissions);
        let (missing, in_force) = (Missing::Else(lacking), self.in_force.load_full());
        match self.decide_over::<A>(caller, resource_id, refused, missing, &in_force).await {
            Err(problem) if problem.status() == http::StatusCode::FORBIDDEN => {
                Err(problem.retold(detail))
            }
            Err(problem) => Err(problem),
            Ok(_) => Err(Problem::internal("a refusal was allowed")),
        }
    }

    async fn decide<A: Action>(
        &self,
        caller: &Caller,
        resource_id: &str,
        reason: Result<Reason, Reason>,
        in_force: &InForce,
    ) -> Result<Permit<A>, Problem> {
        self.decide_over(caller, resource_id, reason, Missing::Permission, in_force).await
    }

    async fn decide_over<A: Action>(
        &self,
        caller: &Caller,
        resource_id: &str,
        reason: Result<Reason, Reason>,
        missing: Missing<'_>,
        InForce { policies, number }: &InForce,
    ) -> Result<Permit<A>, Problem> {
        let watch = Stopwatch::start();
        let (actor, home, tenant) =
            (caller.who.actor(), caller.who.home(), Arc::clone(&caller.tenant));
        let question = Question {
            subject: Subject {
                kind: actor.kind,
                id: &actor.id,
                tenant: Some(&home),
                properties: nothing(),
            },
            action: asked::Action { name: A::ACTION, properties: nothing() },
            resource: Resource {
                kind: A::RESOURCE,
                id: resource_id,
                system: Some(asked::OWN),
                properties: nothing(),
            },
            context: nothing(),
            tenant: Some(&tenant),
            frame: None,
        };
        let mode = A::GUARD.map(|guard| self.guards.holds(guard, caller.who.side(&caller.origin)));
        let reason = if mode == Some(Mode::Off) { Ok(Reason::Word(DISABLED)) } else { reason };
        let reason = self.open(A::GUARD.zip(mode), reason);
        let mut decision = Decision::because(&question, reason, &policies.matrix);
        let off = mode == Some(Mode::Off);
        if decision.effect() == Effect::Allow && policies.authz.is_some() && !off {
            let asked = caller.origin.asked.as_deref();
            let asked = asked.map(|(method, path)| (&**method, &**path));
            let refused = besides::refused(policies, &caller.who, asked, &question, self.now().0);
            decision = refused.unwrap_or(decision);
        }
        let count = self.metrics.decided(A::RESOURCE, A::ACTION, &decision);
        count.inc();
        self.metrics.decision_seconds.observe(watch.elapsed().as_secs_f64());
        let id: Arc<str> = decision.id.as_str().into();
        if let Some(guard) = A::GUARD.zip(mode) {
            let permission = format!("{}:{}", A::RESOURCE, A::ACTION);
            let behind = Behind {
                guard: Some(guard),
                route: &permission,
                permission: Some(&permission),
                lists: false,
                host: None,
                asked: None,
                refused: None,
                tell: self.tells_of_allowed(),
            };
            let (passes, recorded) = self.settle(&behind, caller, &decision, acted_on(&question));
            recorded.await?;
            return match passes {
                true => Ok(Permit::new(caller, id)),
                false => Err(self.refusal::<A>(caller, &decision, missing)),
            };
        }
        if decision.effect() == Effect::Allow {
            if let Who::Agent(token) = &caller.who
                && resource_id == "*"
                && remembers::<A>()
                && policies.authz.is_none()
            {
                let before = Before { id: Arc::clone(&id), digest: decision.digest, count };
                token.decided.remember(*number, (A::RESOURCE, A::ACTION), before);
            }
            return Ok(Permit::new(caller, id));
        }
        let event = self.refused(caller, &question, &decision);
        match caller.who {
            Who::Anonymous => self.record.append_stranger("no-credentials", event).await?,
            _ => self.record.append(event).await?,
        }
        Err(self.refusal::<A>(caller, &decision, missing))
    }

    /// The event that tells of a refusal.
    fn refused(&self, caller: &Caller, question: &Question<'_>, decision: &Decision) -> Event {
        let mut event = self.asked(caller, self.now());
        event.outcome = Outcome::Denied;
        event.decision = Some(decision.id.as_str().into());
        event.resource = Some(acted_on(question));
        event.metadata(decision.metadata());
        event
    }

    fn refusal<A: Action>(
        &self,
        caller: &Caller,
        decision: &Decision,
        missing: Missing<'_>,
    ) -> Problem {
        let permission = format!("{}:{}", A::RESOURCE, A::ACTION);
        let (code, detail, error) = match caller.who {
            _ if *decision.policy.package == *besides::PACKAGE => (
                Code::Forbidden,
                format!("the policy directory refuses this (`{}`)", decision.reason()),
                "forbidden",
            ),
            Who::Anonymous => {
                (Code::Unauthorized, format!("`{permission}` needs credentials"), "unauthorized")
            }
            Who::Agent(_) if !matches!(missing, Missing::Else([])) => {
                (Code::InsufficientScope, format!("the token lacks `{permission}`"), "forbidden")
            }
            _ if A::REACH == Reach::Everything => {
                (Code::Forbidden, "this is for operators with the role `infra`".into(), "forbidden")
            }
            _ if A::REACH == Reach::Installation => {
                let whose = "in the tenant `default`, or the role `infra`";
                (Code::Forbidden, format!("this needs `{permission}` {whose}"), "forbidden")
            }
            _ => {
                (Code::Forbidden, format!("no role that you have may `{permission}`"), "forbidden")
            }
        };
        let problem = Problem::new(code, detail)
            .with("error", error)
            .with("reason", decision.reason().to_string())
            .with("resource", A::RESOURCE)
            .with("action", A::ACTION)
            .with("decision_id", decision.id.as_str());
        let challenge = match code {
            Code::Unauthorized => challenge(&self.issuer, None, None),
            Code::InsufficientScope => {
                // RFC 6750 section 3: every scope that is needed, not only what is lacking.
                let needed = match missing {
                    Missing::Permission => permission,
                    Missing::Else(lacking) => format!("{permission} {}", lacking.join(" ")),
                };
                challenge(&self.issuer, Some("insufficient_scope"), Some(&needed))
            }
            _ => return problem,
        };
        problem.header(header::WWW_AUTHENTICATE, challenge)
    }
}
