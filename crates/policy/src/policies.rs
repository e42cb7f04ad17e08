//! All policies together, and the one function that answers: a package bound to what is asked about,
//! else the registry's relationships, else the role matrix. Total: it always answers, and what fails
//! denies.

use std::sync::Arc;

use crate::decision::{Decision, Effect, Policy, Reason, Verdict};
use crate::explain::{Trail, Untold};
use crate::packages::{Package, Packages};
use crate::registry::{Registry, Subject};
use crate::{Authz, Matrix, Permissions, Question, Routes, ssh};

/// What is in force together: a decision is made under one of these.
#[derive(Debug, Clone)]
pub struct Policies {
    /// Roles and what they may do.
    pub matrix: Arc<Matrix>,
    /// Who and what there is, if that is known.
    pub registry: Option<Arc<Registry>>,
    /// Rules of one's own, if there are any.
    pub packages: Option<Arc<Packages>>,
    /// What is asked at every door besides, if anything is.
    pub authz: Option<Arc<Authz>>,
    /// What requests to services behind gateways need, if that is known.
    pub routes: Option<Arc<Routes>>,
}

/// What the asked one knows of the subject by itself. Nothing that a question says of its subject counts.
#[derive(Debug, Clone, Copy)]
pub enum Holder<'h> {
    /// Not one of ours.
    Stranger,
    /// One of ours that has been stopped.
    Stopped,
    /// Somebody who holds roles.
    Roles(&'h [Arc<str>]),
    /// Somebody who holds scopes.
    Scopes(&'h Permissions),
}

impl Holder<'_> {
    /// Why the matrix lets them do something, or why not.
    ///
    /// # Errors
    /// Why not.
    pub fn reason(self, matrix: &Matrix, resource: &str, action: &str) -> Result<Reason, Reason> {
        match self {
            Self::Stranger => Err(Reason::NoCredentials),
            Self::Stopped => Err(Reason::SubjectNotActive),
            Self::Roles(roles) => matrix.decide(roles.iter().map(|role| &**role), resource, action),
            Self::Scopes(scopes) => {
                let wanted = format!("{resource}:{action}");
                let held = scopes.holds(&wanted);
                if held { Ok(Reason::Scope(wanted)) } else { Err(Reason::InsufficientPermissions) }
            }
        }
    }
}

/// The system that our own resources belong to.
pub const OWN: &str = "countersign";

fn stopped(trail: &mut impl Trail) -> Verdict {
    trail.tried(|| ("subject/active".into(), false));
    Verdict::new(Err(Reason::SubjectNotActive))
}

impl Policies {
    /// Decides; `at` is what rules take for now, in microseconds since the epoch.
    #[must_use]
    pub fn decide(&self, question: &Question<'_>, holder: Holder<'_>, at: i64) -> Decision {
        self.decide_telling(question, holder, at, &mut Untold)
    }

    /// Decides, and tells which rules were tried.
    #[must_use]
    pub fn decide_telling(
        &self,
        question: &Question<'_>,
        holder: Holder<'_>,
        at: i64,
        trail: &mut impl Trail,
    ) -> Decision {
        if question.resource.system == Some(OWN) {
            let (verdict, policy) = self.own(question, holder, trail);
            return Decision::new(question, verdict, policy);
        }
        let (mut verdict, policy) = self.verdict(question, holder, at, trail);
        if verdict.effect == Effect::Allow
            && let Some(level) = self.registry().and_then(|known| known.approval_level(question))
        {
            trail.tried(|| ("attributes/approval_level".into(), true));
            verdict.effect = Effect::RequiresApproval;
            verdict.reason = Reason::ApprovalRequired;
            verdict.approval_level = Some(level.max(verdict.approval_level.unwrap_or(0)));
        }
        Decision::new(question, verdict, policy)
    }

    fn verdict(
        &self,
        question: &Question<'_>,
        holder: Holder<'_>,
        at: i64,
        trail: &mut impl Trail,
    ) -> (Verdict, Policy) {
        if matches!(holder, Holder::Stopped) {
            return (stopped(trail), self.under(self.matrix.policy()));
        }
        let registry = self.registry();
        let packages = self.packages.as_deref();
        let package = match question.resource.system.and_then(|system| registry?.package(system)) {
            Some(ssh::PACKAGE) => {
                return (ssh::decide(question, registry, trail), ssh::policy(registry));
            }
            // The system says who answers for it, and nobody else may.
            Some(id) => match packages.and_then(|packages| packages.named(id)) {
                Some(package) => Some(package),
                None => {
                    trail.tried(|| (id.into(), false));
                    let policy = Policy { package: id.into(), version: "".into(), registry: None };
                    return (Verdict::new(Err(Reason::PolicyUnavailable)), self.under(policy));
                }
            },
            None if ssh::is_bound(question) => {
                return (ssh::decide(question, registry, trail), ssh::policy(registry));
            }
            None => packages.and_then(|packages| packages.bound_to(&question.resource)),
        };
        if let Some(package) = package {
            return (self.by_package(package, question, at, trail), self.under(package.policy()));
        }
        if let Some(registry) = registry {
            let found = registry.relationship(question);
            trail.tried(|| ("relationships".into(), found.is_some()));
            if let Some((reason, rule)) = found {
                return (Verdict::new(Ok(reason)).by(rule), registry.policy());
            }
        }
        if self.matrix.knows_resource(question.resource.kind) {
            let asker = match holder {
                Holder::Stranger => registry.and_then(|registry| registry.asker(question)),
                _ => None,
            };
            let verdict = self.by_matrix(question, holder, asker, trail);
            return (verdict, self.under(self.matrix.policy()));
        }
        let policy = registry.map_or_else(|| self.matrix.policy(), Registry::policy);
        (Verdict::new(Err(Reason::NoMatchingRule)), policy)
    }

    /// About what is ours the matrix alone decides, about those whom we know, and the route table about requests: a
    /// registry or a package that somebody loads neither opens our doors nor closes them.
    fn own(
        &self,
        question: &Question<'_>,
        holder: Holder<'_>,
        trail: &mut impl Trail,
    ) -> (Verdict, Policy) {
        if question.resource.kind == Routes::RESOURCE
            && let Some(routes) = &self.routes
        {
            let verdict = routes.decide(question, holder, &self.matrix);
            let rule = verdict.rule.as_deref().unwrap_or(Routes::PACKAGE);
            trail.tried(|| (rule.into(), verdict.effect == Effect::Allow));
            return (verdict, routes.policy());
        }
        let verdict = match holder {
            Holder::Stopped => stopped(trail),
            holder => self.by_matrix(question, holder, None, trail),
        };
        (verdict, self.matrix.policy())
    }

    fn by_package(
        &self,
        package: &Package,
        question: &Question<'_>,
        at: i64,
        trail: &mut impl Trail,
    ) -> Verdict {
        let verdict = package.decide(question, self.registry(), at);
        let rule = verdict.rule.as_deref().unwrap_or(&package.id);
        trail.tried(|| (rule.into(), verdict.effect != Effect::Deny));
        verdict
    }

    fn by_matrix(
        &self,
        question: &Question<'_>,
        holder: Holder<'_>,
        asker: Option<&Subject>,
        trail: &mut impl Trail,
    ) -> Verdict {
        let (resource, action) = (question.resource.kind, question.action.name);
        let reason = match (holder, asker) {
            (Holder::Stranger, Some(subject)) => {
                self.matrix.decide(subject.roles(), resource, action)
            }
            (holder, _) => holder.reason(&self.matrix, resource, action),
        };
        let rule = format!("matrix/{resource}:{action}");
        trail.tried(|| (rule.as_str().into(), reason.is_ok()));
        let verdict = Verdict::new(reason);
        if verdict.effect == Effect::Allow { verdict.by(rule) } else { verdict }
    }

    fn registry(&self) -> Option<&Registry> {
        self.registry.as_deref()
    }

    /// With the registry that stood beside it.
    fn under(&self, policy: Policy) -> Policy {
        let registry = self.registry().map(|registry| Arc::clone(registry.digest()));
        Policy { registry, ..policy }
    }
}
