//! The package `ops-warden.ssh-certificate.sign`: may this actor have this SSH certificate. All that must
//! hold is asked in one order, and the first that does not hold is the reason.

use std::sync::{Arc, LazyLock};

use serde_json::json;

use crate::decision::{Obligation, Policy, Reason, Verdict};
use crate::explain::Trail;
use crate::json::Json;
use crate::question::Question;
use crate::registry::{Actor, Registry};

/// Its name.
pub const PACKAGE: &str = "ops-warden.ssh-certificate.sign";
const VERSION: &str = "v1";
/// The system it is bound to.
pub(crate) const SYSTEM: &str = "ops-warden";
/// The type it is bound to.
pub(crate) const RESOURCE_TYPE: &str = "ssh-certificate";

/// Whether a question goes to this package by its resource.
pub(crate) fn is_bound(question: &Question<'_>) -> bool {
    question.resource.system == Some(SYSTEM) || question.resource.kind == RESOURCE_TYPE
}

pub(crate) fn policy(registry: Option<&Registry>) -> Policy {
    static NAMES: LazyLock<(Arc<str>, Arc<str>)> =
        LazyLock::new(|| (PACKAGE.into(), VERSION.into()));
    Policy {
        package: Arc::clone(&NAMES.0),
        version: Arc::clone(&NAMES.1),
        registry: registry.map(|registry| Arc::clone(registry.digest())),
    }
}

/// A reason, and the rule that gives it.
type Name = (&'static str, &'static str);

macro_rules! name {
    ($reason:literal) => {
        ($reason, concat!("ops-warden.ssh-certificate.sign/", $reason))
    };
}

/// The answer; without a registry nobody is registered.
pub(crate) fn decide(
    question: &Question<'_>,
    registry: Option<&Registry>,
    trail: &mut impl Trail,
) -> Verdict {
    let Some(registry) = registry else {
        trail.tried(|| (PACKAGE.into(), false));
        return Verdict::new(Err(Reason::RegistryUnavailable));
    };
    let context = |name: &str| question.context.get(name);
    let text = |name: &str| context(name).and_then(Json::as_str);
    let kind = text("actor_type");
    let actor = registry.resource(RESOURCE_TYPE, question.resource.id).and_then(|it| it.actor());
    let is =
        |test: fn(&Actor, &Question<'_>) -> bool| actor.is_some_and(|actor| test(actor, question));
    let checks: [(Name, &dyn Fn() -> bool); 12] = [
        (name!("wrong_action"), &|| question.action.name == "sign"),
        (name!("wrong_system"), &|| question.resource.system == Some(SYSTEM)),
        (name!("wrong_resource_type"), &|| question.resource.kind == RESOURCE_TYPE),
        (name!("wrong_tenant"), &|| question.asked_in() == Some(registry.tenant())),
        (name!("invalid_actor_type"), &|| {
            kind.is_some_and(|kind| matches!(kind, "adm" | "agt" | "atm"))
        }),
        (name!("subject_type_mismatch"), &|| kind == Some(question.subject.kind)),
        (name!("unknown_actor_resource"), &|| actor.is_some()),
        (name!("actor_type_mismatch"), &|| actor.is_some_and(|actor| kind == Some(actor.kind))),
        (name!("subject_not_allowed"), &|| is(subject_is_allowed)),
        (name!("ttl_out_of_bounds"), &|| is(ttl_is_within)),
        (name!("missing_pubkey_fingerprint"), &|| {
            text("pubkey_fingerprint").is_some_and(|text| !text.is_empty())
        }),
        (name!("principal_not_allowed"), &|| is(principals_are_allowed)),
    ];
    for ((reason, rule), holds) in checks {
        let holds = holds();
        trail.tried(|| (rule.into(), holds));
        if !holds {
            return Verdict::new(Err(Reason::Word(reason))).by(rule);
        }
    }
    let (reason, rule) = name!("signing_policy_matched");
    let mut verdict = Verdict::new(Ok(Reason::Word(reason))).by(rule);
    verdict.obligations = actor.map(obligations).unwrap_or_default();
    verdict
}

fn subject_is_allowed(actor: &Actor, question: &Question<'_>) -> bool {
    actor.subjects.iter().any(|allowed| **allowed == *question.subject.id)
}

fn ttl_is_within(actor: &Actor, question: &Question<'_>) -> bool {
    let hours = question.context.get("ttl_hours").and_then(Json::as_i64);
    hours.is_some_and(|hours| (actor.min_ttl..=actor.max_ttl).contains(&hours))
}

/// At least one, and none but those that are registered.
fn principals_are_allowed(actor: &Actor, question: &Question<'_>) -> bool {
    let asked = question.context.get("principals").and_then(Json::as_list);
    let is_allowed = |one: &Json<'_>| {
        one.as_str().is_some_and(|one| actor.principals.iter().any(|allowed| **allowed == *one))
    };
    asked.is_some_and(|asked| !asked.is_empty() && asked.iter().all(is_allowed))
}

fn obligations(actor: &Actor) -> Vec<Obligation> {
    let obligation = |name: &str, parameters| Obligation { r#type: name.into(), parameters };
    let command = actor.force_command.as_ref();
    let command =
        command.map(|command| obligation("ssh.force_command", json!({ "command": command })));
    let sources = (!actor.source_addresses.is_empty())
        .then(|| obligation("ssh.source_address", json!({ "addresses": actor.source_addresses })));
    command.into_iter().chain(sources).collect()
}
