//! What is answered to a request that may not pass.

use countersign_ground::problem::{Code, Problem};
use countersign_policy::routes::{Ambiguity, Refusal as Unlisted};
use countersign_policy::{Decision, Permission, Reason, Routes};
use http::{HeaderValue, header};

use super::{Asked, DECISION_ID, Passing};
use crate::law::caller::{Caller, Who, challenge};
use crate::law::{Law, besides};

/// What the table refuses, whoever asks.
pub(super) fn of_table(asked: &Asked<'_>, why: Unlisted, decision: &Decision) -> Problem {
    let detail = match why {
        Unlisted::Unlisted => "no route is for this request".to_owned(),
        Unlisted::Method => format!("the route for this path does not list `{}`", asked.method),
        Unlisted::Ambiguous(Ambiguity::Path(what)) => {
            format!("the path could be read in two ways: {what}")
        }
        Unlisted::Ambiguous(ambiguity) => ambiguity.what().to_owned(),
    };
    let problem = Problem::new(Code::Forbidden, detail).with("error", "forbidden");
    told(problem.with("reason", decision.reason().to_string()), decision)
}

impl Law {
    /// What a route refuses.
    pub(super) fn no_passage(
        &self,
        caller: &Caller,
        passing: &Passing<'_>,
        decision: &Decision,
    ) -> Problem {
        let needed = passing.route.permission().map_or("", Permission::as_str);
        let lacks = *decision.reason() == Reason::InsufficientPermissions;
        let overridden = passing.overridden && *decision.policy.package == *Routes::PACKAGE;
        let problem = match &caller.who {
            _ if overridden => {
                Problem::new(Code::Forbidden, Ambiguity::Override.what()).with("error", "forbidden")
            }
            Who::Anonymous => match passing.refused {
                Some(refusal) => refusal.problem(&self.issuer),
                None => self.needs_credentials(),
            },
            _ if *decision.policy.package == *besides::PACKAGE => {
                Problem::new(Code::Forbidden, "the policy directory refuses this")
                    .with("error", "forbidden")
            }
            _ if !lacks => Problem::new(Code::Forbidden, "the route does not list this caller")
                .with("error", "forbidden"),
            Who::Agent(_) => {
                let challenge = challenge(&self.issuer, Some("insufficient_scope"), Some(needed));
                Problem::new(Code::InsufficientScope, format!("the token lacks `{needed}`"))
                    .with("error", "forbidden")
                    .header(header::WWW_AUTHENTICATE, challenge)
            }
            _ => Problem::new(Code::Forbidden, format!("no role that you have may `{needed}`"))
                .with("error", "forbidden"),
        };
        let reason = match passing.refused {
            Some(refusal) if !overridden => refusal.reason.to_owned(),
            _ => decision.reason().to_string(),
        };
        let problem = problem.with("reason", reason);
        let problem = match needed.split_once(':') {
            Some((resource, action)) => problem.with("resource", resource).with("action", action),
            None => problem,
        };
        told(problem, decision)
    }
}

/// With the decision that it tells of.
fn told(problem: Problem, decision: &Decision) -> Problem {
    let id = decision.id.as_str();
    let problem = problem.with("decision_id", id);
    match HeaderValue::from_str(id) {
        Ok(id) => problem.header(DECISION_ID, id),
        Err(_) => problem,
    }
}
