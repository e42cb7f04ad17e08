//! A request to a service behind a gateway: which route answers, who asks, and whether they may.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use countersign_ground::clock::Stopwatch;
use countersign_ground::problem::{Code, Problem};
use countersign_ground::record::{Actor, Origin};
use countersign_policy::routes::{Ambiguity, Found, Needs, Refusal as Refused, Route};
use countersign_policy::{
    self as policy, Decision, Effect, Permission, Question, Reason, Resource, Routes, Subject,
    Verdict, nothing,
};
use http::{HeaderMap, HeaderName, HeaderValue, header};

use super::Law;
use super::behind::Behind;
use super::caller::{Caller, Refusal, Who, challenge};
use super::guards::Mode;
use super::told::acted_on;

/// A request as it reached the gateway.
#[derive(Debug, Clone, Copy)]
pub struct Asked<'r> {
    /// Its method.
    pub method: &'r str,
    /// The host that it names.
    pub host: &'r str,
    /// Its target (RFC 9112 section 3.2), as it was sent.
    pub target: &'r str,
}

/// How much of a path stands in the record.
const LONGEST: usize = 1_024;

impl<'r> Asked<'r> {
    /// The path, without a query, which may hold a secret; cut where it would flood the record.
    #[must_use]
    pub fn path(&self) -> &'r str {
        let path = self.target.split_once('?').map_or(self.target, |(path, _)| path);
        &path[..path.floor_char_boundary(LONGEST)]
    }
}

/// A request that may pass.
#[derive(Debug)]
pub struct Passage {
    /// Who asks, as far as they have proved it.
    pub who: Who,
    /// The decision by which it passes; none where nothing had to be decided.
    pub decision: Option<Arc<str>>,
}

/// The header that names the decision.
pub const DECISION_ID: HeaderName = HeaderName::from_static("x-decision-id");

/// What a route says of a caller: which permission was asked for, if one was, and the answer.
type Ruling<'r> = (Option<&'r Permission>, Result<Reason, Reason>);

impl Law {
    /// Decides whether a request may pass. What the route table refuses, and what no guard lets pass, is refused.
    ///
    /// # Errors
    /// 401 for whoever proved nothing, 403 for whoever may not; both are in the record. When nobody can say who asks.
    pub async fn pass(
        &self,
        asked: &Asked<'_>,
        headers: &HeaderMap,
        origin: Origin,
    ) -> Result<Passage, Problem> {
        self.following.current().await?;
        let routes = self.routes();
        let found = routes.find(asked.method, asked.host, asked.target);
        let (who, refused) = match self.identified(headers, None).await? {
            Ok(who) => (who, None),
            Err(refusal) => (Who::Anonymous, Some(refusal)),
        };
        let route = match found {
            Found::Route(route) if route.needs != Needs::Nothing => route,
            Found::Route(_) | Found::Passes => return Ok(Passage { who, decision: None }),
            Found::Refused(why, route) => {
                let caller = Caller { tenant: who.home(), who, origin };
                return Err(Box::pin(self.unlisted(&routes, asked, &caller, why, route)).await);
            }
        };
        let side = who.side(&origin);
        let guard = route.guard.as_deref().map(|guard| (guard, self.guards.holds(guard, side)));
        if let Some((_, Mode::Off)) = guard {
            return Ok(Passage { who, decision: None });
        }
        let caller = Caller { tenant: who.home(), who, origin };
        self.by_route(&routes, route, guard, asked, caller, refused).await
    }

    async fn by_route(
        &self,
        routes: &Routes,
        route: &Route,
        guard: Option<(&str, Mode)>,
        asked: &Asked<'_>,
        caller: Caller,
        refused: Option<Refusal>,
    ) -> Result<Passage, Problem> {
        let watch = Stopwatch::start();
        let policy = self.policy.load(Ordering::Acquire);
        let (permission, answer) = self.ruling(route, &caller.who, refused);
        let name = format!("{} {}", asked.method, route.path);
        let needed = needed(route).map(Permission::as_str);
        let behind = Behind { guard, route: &name, permission: needed, asked: Some(asked) };
        // What is asked for: the permission, or the route itself.
        let (kind, action, id) = match permission {
            Some(permission) => {
                (permission.resource(), permission.action(), route.id(asked.target))
            }
            None => ("route", asked.method, &*route.path),
        };
        let key = (permission.map_or(&*route.at, Permission::resource), action);
        let repeats = permission.is_none() || id == "*";
        if let Who::Agent(token) = &caller.who
            && repeats
            && answer.is_ok()
            && !self.tells_of_allowed()
            && let Some(id) = token.decided.allowed(policy, key.0, key.1)
        {
            self.let_through(&behind, &caller);
            return Ok(Passage { who: caller.who, decision: Some(id) });
        }
        let (actor, home) = (caller.who.actor(), caller.who.home());
        let resource = Resource { kind, id, system: Some(policy::OWN), properties: nothing() };
        let question = question(&actor, &home, action, resource);
        let verdict = Verdict::new(answer).by(route.at.to_string());
        let ruled_by = if permission.is_some() { self.matrix().policy() } else { routes.policy() };
        let decision = Decision::new(&question, verdict, ruled_by);
        let count = self.metrics.decided_elsewhere(&decision);
        count.inc();
        self.metrics.decision_seconds.observe(watch.elapsed().as_secs_f64());
        let id: Arc<str> = decision.id.as_str().into();
        if let Who::Agent(token) = &caller.who
            && repeats
            && decision.effect() == Effect::Allow
        {
            token.decided.remember(policy, key, &id, count);
        }
        if self.settle(&behind, &caller, &decision, acted_on(&question)).await? {
            return Ok(Passage { who: caller.who, decision: Some(id) });
        }
        Err(self.no_passage(&caller, refused, needed, &decision))
    }

    /// What a route says of a caller.
    fn ruling<'r>(&self, route: &'r Route, who: &Who, refused: Option<Refusal>) -> Ruling<'r> {
        let Needs::Caller(callers, permission) = &route.needs else {
            return (None, Ok(Reason::Word("public")));
        };
        if let Some(refusal) = refused {
            return (None, Err(Reason::Word(refusal.reason)));
        }
        let actor = who.actor();
        let listed = callers.as_ref().is_none_or(|callers| callers.admit(actor.kind, &actor.id));
        match (who, permission) {
            (Who::Anonymous, None) => (None, Err(Reason::NoCredentials)),
            (Who::Anonymous, Some(permission)) => (Some(permission), Err(Reason::NoCredentials)),
            _ if !listed => (None, Err(Reason::Word("caller_not_listed"))),
            (_, None) => (None, Ok(Reason::Word("caller_listed"))),
            (who, Some(permission)) => {
                let (resource, action) = (permission.resource(), permission.action());
                (Some(permission), who.holds(&self.matrix(), resource, action))
            }
        }
    }

    /// Refuses what the table refuses, whoever asks: no guard is asked, because no route answers.
    async fn unlisted(
        &self,
        routes: &Routes,
        asked: &Asked<'_>,
        caller: &Caller,
        why: Refused,
        route: Option<&Route>,
    ) -> Problem {
        let (actor, home) = (caller.who.actor(), caller.who.home());
        let id = route.map_or(asked.path(), |route| &route.path);
        let resource =
            Resource { kind: "route", id, system: Some(policy::OWN), properties: nothing() };
        let question = question(&actor, &home, asked.method, resource);
        let mut verdict = Verdict::new(Err(why.reason()));
        verdict.rule = route.map(|route| route.at.to_string().into());
        let decision = Decision::new(&question, verdict, routes.policy());
        self.metrics.decided_elsewhere(&decision).inc();
        let behind = Behind { guard: None, route: id, permission: None, asked: Some(asked) };
        if let Err(problem) = self.settle(&behind, caller, &decision, acted_on(&question)).await {
            return problem;
        }
        let detail = match why {
            Refused::Unlisted => "no route is for this request".to_owned(),
            Refused::Method => format!("the route for this path does not list `{}`", asked.method),
            Refused::Ambiguous(Ambiguity::Path(what)) => {
                format!("the path could be read in two ways: {what}")
            }
            Refused::Ambiguous(ambiguity) => ambiguity.what().to_owned(),
        };
        told(Problem::new(Code::Forbidden, detail).with("error", "forbidden"), &decision)
    }

    fn no_passage(
        &self,
        caller: &Caller,
        refused: Option<Refusal>,
        needed: Option<&str>,
        decision: &Decision,
    ) -> Problem {
        if let Some(refusal) = refused {
            return told(refusal.problem(&self.issuer), decision);
        }
        let problem = match (&caller.who, needed) {
            (Who::Anonymous, _) => self.needs_credentials(),
            (_, _) if *decision.reason() != Reason::InsufficientPermissions => {
                Problem::new(Code::Forbidden, "the route does not list this caller")
            }
            (Who::Agent(_), Some(needed)) => {
                let lacks = format!("the token lacks `{needed}`");
                let challenge = challenge(&self.issuer, Some("insufficient_scope"), Some(needed));
                Problem::new(Code::InsufficientScope, lacks)
                    .header(header::WWW_AUTHENTICATE, challenge)
            }
            (_, needed) => {
                let needed = needed.unwrap_or_default();
                Problem::new(Code::Forbidden, format!("no role that you have may `{needed}`"))
            }
        };
        let named = needed.and_then(|needed| needed.split_once(':'));
        let problem = match named {
            Some((resource, action)) => problem.with("resource", resource).with("action", action),
            None => problem,
        };
        told(problem.with("error", "forbidden"), decision)
    }
}

/// The permission that a route needs.
fn needed(route: &Route) -> Option<&Permission> {
    match &route.needs {
        Needs::Caller(_, permission) => permission.as_ref(),
        Needs::Nothing => None,
    }
}

fn question<'q>(
    actor: &'q Actor,
    home: &'q Arc<str>,
    action: &'q str,
    resource: Resource<'q>,
) -> Question<'q> {
    Question {
        subject: Subject {
            kind: actor.kind,
            id: &actor.id,
            tenant: Some(home),
            properties: nothing(),
        },
        action: policy::Action { name: action, properties: nothing() },
        resource,
        context: nothing(),
        tenant: Some(home),
        frame: None,
    }
}

/// With the decision that it tells of.
fn told(problem: Problem, decision: &Decision) -> Problem {
    let id = decision.id.as_str();
    let problem = problem.with("reason", decision.reason().to_string()).with("decision_id", id);
    match HeaderValue::from_str(id) {
        Ok(id) => problem.header(DECISION_ID, id),
        Err(_) => problem,
    }
}
