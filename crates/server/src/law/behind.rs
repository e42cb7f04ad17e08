//! What becomes of a decision behind a guard: it is counted, recorded, and enforced or not.

use std::net::IpAddr;

use countersign_ground::clock::Time;
use countersign_ground::record::{Appended, Outcome};
use countersign_policy::{Decision, Effect, Reason, write_text};

use super::Law;
use super::caller::{Caller, Who};
use super::guards::{Denied, Group, Mode};
use super::passage::Asked;

/// What was asked for, and the guard that it is behind.
pub(super) struct Behind<'b> {
    /// Its name, and what it does about this caller; none where everything is enforced.
    pub(super) guard: Option<(&'b str, Mode)>,
    /// A route's path, or a permission of our own.
    pub(super) route: &'b str,
    /// What is needed, where that is a permission.
    pub(super) permission: Option<&'b str>,
    /// The request, where it is one to somebody else.
    pub(super) asked: Option<&'b Asked<'b>>,
    /// Whether the route lists methods: else any that a caller makes up is one.
    pub(super) lists: bool,
    /// The host that the route is for, where it names one.
    pub(super) host: Option<&'b str>,
    /// Whether this stands in the record also when it is allowed.
    pub(super) tell: bool,
    /// Why its credential does not count, if one was presented and does not.
    pub(super) refused: Option<&'static str>,
}

impl Behind<'_> {
    /// As denials are grouped: a method and a route's path, or a permission of our own.
    fn name(&self) -> String {
        match self.asked {
            Some(asked) => {
                let method = if self.lists { asked.method } else { "*" };
                format!("{method} {}{}", self.host.unwrap_or_default(), self.route)
            }
            None => self.route.to_owned(),
        }
    }

    fn enforces(&self) -> bool {
        self.guard.is_none_or(|(_, mode)| mode == Mode::Enforce)
    }

    /// What the record says besides the decision, in its RFC 8785 form.
    fn told(&self) -> String {
        let guard = self.guard.map(|(name, mode)| (name, mode.as_str()));
        let name = self.name();
        let members = [
            ("credential", self.refused),
            ("guard", guard.map(|(name, _)| name)),
            ("host", self.asked.map(|asked| asked.host)),
            ("method", self.asked.map(|asked| asked.method)),
            ("mode", guard.map(|(_, mode)| mode)),
            ("path", self.asked.map(Asked::path)),
            ("route", Some(&*name)),
        ];
        let mut out = String::with_capacity(192);
        for (name, value) in members.into_iter().filter_map(|(name, value)| Some((name, value?))) {
            out.push_str(if out.is_empty() { "{\"" } else { ",\"" });
            out.push_str(name);
            out.push_str("\":");
            write_text(&mut out, value);
        }
        out.push('}');
        out
    }
}

impl Law {
    /// What was answered, or, where the guard `rbac` is told to fail open, that it passes for want of a role.
    pub(super) fn open(
        &self,
        guard: Option<(&str, Mode)>,
        answer: Result<Reason, Reason>,
    ) -> Result<Reason, Reason> {
        if !self.fails_open || guard != Some(("rbac", Mode::Enforce)) {
            return answer;
        }
        match answer {
            Err(Reason::NoCredentials) => Ok(Reason::Word("fail-open-no-credentials")),
            Err(Reason::InsufficientPermissions) => Ok(Reason::Word("fail-open-insufficient")),
            other => other,
        }
    }

    /// Records what was decided about `resource`: whether the request passes, once that is durable.
    pub(super) fn settle(
        &self,
        behind: &Behind<'_>,
        caller: &Caller,
        decision: &Decision,
        resource: String,
    ) -> (bool, Appended) {
        let now = self.now();
        let allowed = decision.effect() == Effect::Allow;
        let passes = allowed || !behind.enforces();
        if allowed {
            self.let_through(behind, caller);
        } else {
            self.count_denied(behind, caller, decision, now);
        }
        if allowed && !behind.tell {
            return (passes, Appended::nothing());
        }
        let mut event = self.asked(caller, now);
        event.outcome = match (allowed, passes) {
            (true, _) => Outcome::Success,
            (false, true) => Outcome::WouldDeny,
            (false, false) => Outcome::Denied,
        };
        event.decision = Some(decision.id.as_str().into());
        event.resource = Some(resource);
        event.metadata(decision.metadata_with(&behind.told()));
        let appended = match caller.who {
            Who::Anonymous => {
                let reason = decision.reason().fixed().unwrap_or("denied");
                self.record.append_stranger(behind.refused.unwrap_or(reason), event)
            }
            _ => self.record.append(event),
        };
        (passes, appended)
    }

    /// Counts one that a guard had nothing against.
    pub(super) fn let_through(&self, behind: &Behind<'_>, caller: &Caller) {
        let Some((guard, mode)) = behind.guard else { return };
        let proven = !matches!(caller.who, Who::Anonymous);
        let counter = || self.metrics.guarded(guard, mode.as_str(), "allowed");
        self.guards.pass((guard, mode), caller.origin.ip.filter(|_| proven), counter);
    }

    fn count_denied(&self, behind: &Behind<'_>, caller: &Caller, decision: &Decision, at: Time) {
        let Some((guard, mode)) = behind.guard else { return };
        let passed = mode != Mode::Enforce;
        let outcome = if passed { "would_deny" } else { "denied" };
        self.metrics.guarded(guard, mode.as_str(), outcome).inc();
        let permission = behind.permission.unwrap_or_default();
        let held = match &caller.who {
            Who::Agent(token) => {
                let agent = self.directory.agent(token.claims.sub);
                agent.is_some_and(|agent| agent.scopes.holds(permission))
            }
            _ => false,
        };
        let group = Group {
            guard: guard.into(),
            minute: at.0.div_euclid(60_000_000),
            caller: named(caller),
            route: behind.name(),
            package: decision.policy.package.to_string(),
            reason: behind.refused.map_or_else(|| decision.reason().to_string(), str::to_owned),
        };
        self.guards.traffic.deny(group, &Denied { passed, permission, held }, at);
    }
}

/// A caller as a report names it.
fn named(caller: &Caller) -> String {
    let actor = caller.who.actor();
    match (&caller.who, caller.origin.ip.map(|ip| ip.to_canonical())) {
        (Who::Anonymous, Some(ip)) => format!("anonymous@{}", IpAddr::to_string(&ip)),
        (Who::Anonymous, None) => "anonymous@unknown".into(),
        _ => format!("{}:{}", actor.kind, actor.id),
    }
}
