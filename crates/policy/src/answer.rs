//! A decision as it is told: the same members in the same order wherever it was asked.

use serde::Serialize;

use crate::decision::{Decision, Effect, Obligation};
use crate::question::Question;

/// The body of `POST /v1/check`, and what `countersign check` prints.
#[derive(Debug, Serialize)]
pub struct Answer<'a> {
    id: &'a str,
    digest: String,
    effect: Effect,
    reason: String,
    reasons: Vec<String>,
    subject: Named<'a>,
    resource: Named<'a>,
    matched_rule: Option<&'a str>,
    matched_policy_version: &'a str,
    obligations: &'a [Obligation],
    #[serde(skip_serializing_if = "Option::is_none")]
    approval_level: Option<u8>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    diagnostics: &'a [Box<str>],
    provenance: Provenance<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    request_id: Option<&'a str>,
}

#[derive(Debug, Serialize)]
struct Named<'a> {
    id: &'a str,
    r#type: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    tenant: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    system: Option<&'a str>,
}

/// Who says so, and by what.
#[derive(Debug, Serialize)]
struct Provenance<'a> {
    evaluator: &'static str,
    mode: &'static str,
    policy_package: &'a str,
    policy_version: &'a str,
    registry_digest: Option<&'a str>,
    decision_time: &'a str,
}

impl<'a> Answer<'a> {
    /// `at` is RFC 3339.
    #[must_use]
    pub fn new(
        question: &Question<'a>,
        decision: &'a Decision,
        at: &'a str,
        request_id: Option<&'a str>,
    ) -> Self {
        let (verdict, policy) = (&decision.verdict, &decision.policy);
        let reason = verdict.reason.to_string();
        let (subject, resource) = (question.subject, question.resource);
        Self {
            id: decision.id.as_str(),
            digest: decision.digest.to_string(),
            effect: verdict.effect,
            reasons: vec![reason.clone()],
            reason,
            subject: Named {
                id: subject.id,
                r#type: subject.kind,
                tenant: subject.tenant,
                system: None,
            },
            resource: Named {
                id: resource.id,
                r#type: resource.kind,
                tenant: None,
                system: resource.system,
            },
            matched_rule: verdict.rule.as_deref(),
            matched_policy_version: &policy.version,
            obligations: &verdict.obligations,
            approval_level: verdict.approval_level,
            diagnostics: &verdict.diagnostics,
            provenance: Provenance {
                evaluator: "countersign",
                mode: "enforce",
                policy_package: &policy.package,
                policy_version: &policy.version,
                registry_digest: policy.registry.as_deref(),
                decision_time: at,
            },
            request_id,
        }
    }
}
