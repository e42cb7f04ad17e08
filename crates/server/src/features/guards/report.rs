//! What a guard would break: everything that it has denied or would have, who must explain it, and what to do next.

use countersign_ground::clock::Time;
use serde::Serialize;
use utoipa::ToSchema;

use super::Stored;
use crate::law::guards::Mode;

/// What has passed a guard, and what has not.
#[derive(Debug, Clone, Copy, Default)]
pub struct Totals {
    /// It had nothing against them.
    pub allowed: i64,
    /// They passed all the same.
    pub would_deny: i64,
    /// They did not.
    pub denied: i64,
}

/// Denials of one caller, at one route, for one reason.
#[derive(Debug, Clone)]
pub struct Seen {
    /// `kind:id`, or `anonymous@address`.
    pub caller: String,
    /// A method and a route's path, or a permission of our own.
    pub route: String,
    /// Why.
    pub reason: String,
    /// What was needed; empty where that is no permission.
    pub permission: String,
    /// What denied it: a decision's policy package.
    pub package: String,
    /// The caller held that, and its token did not.
    pub held: bool,
    /// How many.
    pub count: i64,
    /// When the first came.
    pub first_seen: Time,
    /// When the last came.
    pub last_seen: Time,
}

/// Denials that somebody expects; `*` stands for everything, at the end of a caller for what follows.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Accepted {
    /// Whose.
    pub caller: String,
    /// Where.
    pub route: String,
    /// Why denied.
    pub reason: String,
    /// Why expected.
    pub note: String,
    #[schema(value_type = String, format = "date-time")]
    pub(super) accepted_at: Time,
    pub(super) accepted_by: String,
}

/// An address from which nobody has proved who they are.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Source {
    pub(super) address: String,
    pub(super) count: i64,
    #[schema(value_type = String, format = "date-time")]
    pub(super) last_seen: Time,
}

impl Accepted {
    fn covers(&self, seen: &Seen) -> bool {
        let pairs = [
            (&self.caller, &seen.caller),
            (&self.route, &seen.route),
            (&self.reason, &seen.reason),
        ];
        pairs.into_iter().all(|(pattern, text)| match pattern.strip_suffix('*') {
            Some(start) => text.starts_with(start),
            None => pattern == text,
        })
    }
}

/// Denials of one caller, at one route, for one reason.
#[derive(Debug, Serialize, ToSchema)]
pub struct Group {
    /// `kind:id`, or `anonymous@address`.
    caller: String,
    /// A method and a route's path, or a permission of our own.
    route: String,
    reason: String,
    count: i64,
    #[schema(value_type = String, format = "date-time")]
    first_seen: Time,
    #[schema(value_type = String, format = "date-time")]
    last_seen: Time,
    /// The smallest change that would admit them.
    suggestion: String,
    /// Somebody expects them.
    accepted: bool,
    /// The change has been made: they would be admitted now.
    resolved: bool,
}

/// Whether a guard may enforce.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Nothing would be denied that nobody has explained.
    Ready,
    /// Less than one in twenty would be.
    Review,
    /// More would be.
    NotReady,
    /// Nothing has come.
    NoTraffic,
}

/// What a guard would break.
#[derive(Debug, Serialize, ToSchema)]
pub struct Report {
    guard: String,
    #[schema(value_type = String)]
    mode: Mode,
    percent: u8,
    /// Counted by the minute, from the one in which this is.
    #[schema(value_type = String, format = "date-time")]
    since: Time,
    total: i64,
    allowed: i64,
    would_deny: i64,
    denied: i64,
    /// Of all denials, those that nobody has explained.
    unexplained: i64,
    /// The most frequent first.
    groups: Vec<Group>,
    /// Addresses from which nobody has proved who they are.
    unauthenticated: Vec<Source>,
    /// What somebody expects.
    accepted: Vec<Accepted>,
    verdict: Verdict,
    /// For people.
    next_step: String,
}

/// The most groups that are shown, and the most that are looked through.
const SHOWN: usize = 1_000;
/// The same: whatever is beyond them nobody has explained.
pub const MOST: i64 = 10_000;

impl Report {
    /// A report over what was seen; `advice` says of a group what would admit it, and whether that is so by now.
    pub fn new(
        guard: &Stored,
        since: Time,
        totals: Totals,
        seen: Vec<Seen>,
        accepted: Vec<Accepted>,
        unauthenticated: Vec<Source>,
        advice: impl Fn(&Seen) -> (String, bool),
    ) -> Self {
        let Totals { allowed, would_deny, denied } = totals;
        let mut unexplained = would_deny + denied;
        let mut groups = Vec::with_capacity(seen.len().min(SHOWN));
        for seen in seen {
            let (suggestion, resolved) = advice(&seen);
            let is_accepted = accepted.iter().any(|one| one.covers(&seen));
            if is_accepted || resolved {
                unexplained -= seen.count;
            }
            if groups.len() < SHOWN {
                let Seen { caller, route, reason, count, first_seen, last_seen, .. } = seen;
                groups.push(Group {
                    caller,
                    route,
                    reason,
                    count,
                    first_seen,
                    last_seen,
                    suggestion,
                    accepted: is_accepted,
                    resolved,
                });
            }
        }
        let total = allowed + would_deny + denied;
        let verdict = match (total, unexplained) {
            (0, _) => Verdict::NoTraffic,
            (_, ..=0) => Verdict::Ready,
            // Less than 5 %.
            (total, some) if some.saturating_mul(20) < total => Verdict::Review,
            _ => Verdict::NotReady,
        };
        Self {
            guard: guard.name.clone(),
            mode: guard.mode,
            percent: guard.percent,
            since,
            total,
            allowed,
            would_deny,
            denied,
            unexplained: unexplained.max(0),
            groups,
            unauthenticated,
            accepted,
            verdict,
            next_step: next_step(guard, verdict),
        }
    }
}

/// The shares by which a guard is turned on.
const STAGES: [u8; 5] = [10, 25, 50, 75, 100];

fn next_step(guard: &Stored, verdict: Verdict) -> String {
    let set = |mode: &str, percent: Option<u8>| {
        let percent = percent.map(|percent| format!(" --percent {percent}")).unwrap_or_default();
        format!("`countersign guards set {} --mode {mode}{percent}`", guard.name)
    };
    match (verdict, guard.mode) {
        (Verdict::NoTraffic, Mode::Off) => format!("observe: {}", set("observe", None)),
        (Verdict::NoTraffic, _) => "wait for traffic, or look back further".into(),
        (Verdict::Review | Verdict::NotReady, Mode::Enforce) => {
            format!("explain what is denied, or go back: {}", set("observe", None))
        }
        (Verdict::Review | Verdict::NotReady, _) => {
            "for each group make the change that it suggests, or accept it".into()
        }
        (Verdict::Ready, Mode::Enforce) => {
            match STAGES.into_iter().find(|stage| *stage > guard.percent) {
                Some(stage) => format!("enforce for more: {}", set("enforce", Some(stage))),
                None => "nothing: it enforces for everybody".into(),
            }
        }
        (Verdict::Ready, _) => format!("enforce for a few: {}", set("enforce", Some(STAGES[0]))),
    }
}
