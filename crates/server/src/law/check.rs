//! Questions that are asked of us: who may ask them, what is known of their subject, and the event that
//! tells of each.

use std::sync::Arc;

use countersign_ground::clock::Time;
use countersign_ground::ids::{AgentId, OperatorId};
use countersign_ground::problem::{Code, Problem};
use countersign_ground::record::{Event, default_tenant};
use countersign_policy::{Decision, Holder, Permissions, Policies, Question, Subject};

use super::Law;
use super::action::{AskAboutOthers, AskDecision};
use super::caller::{Caller, Who};
use super::directory::Standing;

/// What the directory knows of a subject.
pub enum Known {
    /// Nothing.
    Stranger,
    /// That it was stopped.
    Stopped,
    /// Its roles.
    Roles(Vec<Arc<str>>),
    /// Its scopes.
    Scopes(Arc<Permissions>),
}

impl Known {
    /// As the policies take it.
    #[must_use]
    pub fn holder(&self) -> Holder<'_> {
        match self {
            Self::Stranger => Holder::Stranger,
            Self::Stopped => Holder::Stopped,
            Self::Roles(roles) => Holder::Roles(roles),
            Self::Scopes(scopes) => Holder::Scopes(scopes),
        }
    }
}

impl Law {
    /// Refuses whoever may not ask at all.
    ///
    /// # Errors
    /// 401 or 403.
    pub async fn may_ask(&self, caller: &Caller) -> Result<(), Problem> {
        if self.open && matches!(caller.who, Who::Anonymous) {
            return Ok(());
        }
        self.permit::<AskDecision>(caller, "*").await.map(drop)
    }

    /// Refuses questions about others from whoever may only ask about themselves, and questions in
    /// another tenant of ours. Any other name of a tenant is data, which policies know or don't.
    ///
    /// # Errors
    /// 403.
    pub async fn may_ask_this(
        &self,
        caller: &Caller,
        question: &Question<'_>,
    ) -> Result<(), Problem> {
        for tenant in [question.tenant, question.subject.tenant].into_iter().flatten() {
            if *tenant != *caller.tenant && self.directory.tenant(tenant).is_some() {
                let detail = format!("`{tenant}` is not a tenant that you can ask in");
                return Err(Problem::new(Code::Forbidden, detail).with("error", "forbidden"));
            }
        }
        if let Who::Agent(token) = &caller.who {
            let itself = question.subject.kind == "agent" && *question.subject.id == *token.subject;
            if !itself {
                self.permit::<AskAboutOthers>(caller, "*").await?;
            }
        }
        Ok(())
    }

    /// The policies that count for a caller: of the registry only those whose it is. One that has the name of no
    /// tenant of ours is that of `default`.
    #[must_use]
    pub fn policies_for(&self, caller: &Caller) -> Arc<Policies> {
        let policies = self.policies();
        let Some(registry) = &policies.registry else { return policies };
        let owner = match self.directory.tenant(registry.tenant()) {
            Some(tenant) => Arc::clone(&tenant.id),
            None => default_tenant(),
        };
        if owner == caller.tenant {
            return policies;
        }
        Arc::new(Policies { registry: None, ..Policies::clone(&policies) })
    }

    /// What is known of a subject, as seen from a tenant.
    #[must_use]
    pub fn known(&self, subject: &Subject<'_>, tenant: &str) -> Known {
        match subject.kind {
            "agent" => {
                let id = subject.id.parse::<AgentId>().ok();
                match id.and_then(|id| self.directory.agent(id)).filter(|it| *it.tenant == *tenant)
                {
                    Some(agent) if agent.standing == Standing::Active => {
                        Known::Scopes(Arc::clone(&agent.scopes))
                    }
                    Some(_) => Known::Stopped,
                    None => Known::Stranger,
                }
            }
            "operator" => {
                let id = subject.id.parse::<OperatorId>().ok();
                match id
                    .and_then(|id| self.directory.operator(&id))
                    .filter(|it| *it.tenant == *tenant)
                {
                    Some(operator) if operator.removed => Known::Stopped,
                    Some(operator) => Known::Roles(operator.roles().map(Arc::from).collect()),
                    None => Known::Stranger,
                }
            }
            "machine"
                if subject.id == "machine" && tenant == "default" && self.machine.is_some() =>
            {
                Known::Roles(vec!["machine".into()])
            }
            _ => Known::Stranger,
        }
    }

    /// What tells that somebody asked. The subject of a question is no actor: what is said of it is not its doing.
    #[must_use]
    pub fn asked(&self, caller: &Caller, at: Time) -> Event {
        let mut event = self.event("decision.made", at);
        event.tenant = Arc::clone(&caller.tenant);
        event.actor = caller.who.actor();
        event.agent = caller.agent();
        event.origin = caller.origin.clone();
        event
    }

    /// Decides a question, under policies that stay the same for all questions of a request.
    #[must_use]
    pub fn answer(
        &self,
        policies: &Policies,
        caller: &Caller,
        question: &Question<'_>,
        at: Time,
    ) -> Decision {
        let known = self.known(&question.subject, &caller.tenant);
        policies.decide(question, known.holder(), at.0)
    }
}
