//! The policy directory at the doors: asked after the permission check and in addition to it, for agents and services.
//! Operators and the machine token are governed by roles alone.

use std::sync::Arc;

use countersign_policy::authz::{Answer, Asked};
use countersign_policy::{Decision, Policies, Policy, Question, Reason, Verdict};

use super::caller::Who;

/// What decisions call it.
pub const PACKAGE: &str = "opa";

/// What the policy directory has against a caller who may otherwise do this; nothing where it is not asked.
pub(super) fn refused(
    policies: &Policies,
    who: &Who,
    asked: Option<(&str, &str)>,
    question: &Question<'_>,
    at: i64,
) -> Option<Decision> {
    let Who::Agent(token) = who else { return None };
    // What the rules were not there for when the request came.
    let Some((method, path)) = asked else {
        let policy = Policy { package: Arc::from(PACKAGE), version: "".into(), registry: None };
        return Some(Decision::new(question, Verdict::new(Err(Reason::PolicyUnavailable)), policy));
    };
    let asked = Asked {
        method,
        path,
        scopes: &token.scopes,
        agent: Some(&token.subject),
        roles: &[],
        tenant: &token.claims.tenant,
    };
    let (verdict, policy) = denies(policies, &asked, at)?;
    Some(Decision::new(question, verdict, policy))
}

/// What the policy directory says against it.
#[must_use]
pub fn denies(policies: &Policies, asked: &Asked<'_>, at: i64) -> Option<(Verdict, Policy)> {
    let authz = policies.authz.as_ref()?;
    let Answer::Deny { reason, diagnostic } = authz.ask(asked, at) else { return None };
    let diagnostics = diagnostic.into_iter().collect();
    let verdict = Verdict { diagnostics, ..Verdict::new(Err(reason)) };
    let policy =
        Policy { package: Arc::from(PACKAGE), version: authz.digest().into(), registry: None };
    Some((verdict, policy))
}
