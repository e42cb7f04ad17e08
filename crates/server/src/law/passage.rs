//! A request to a service behind a gateway: which route answers, who asks, and whether they may.

mod refusal;

use std::sync::Arc;

use countersign_ground::clock::Stopwatch;
use countersign_ground::problem::Problem;
use countersign_ground::record::{Appended, Origin};
use countersign_policy::routes::{Ambiguity, Found, Needs, Refusal as Unlisted, Route};
use countersign_policy::{
    self as policy, Decision, Digest, Effect, Json, Members, Permission, Policies, Question,
    Reason, Resource, Routes, Subject, Verdict, nothing,
};
use http::{HeaderMap, HeaderName};

use super::behind::Behind;
use super::besides;
use super::caller::{Caller, Refusal, Who};
use super::decided::Before;
use super::directory::Thumbprint;
use super::guards::Mode;
use super::told::acted_on;
use super::{InForce, Law};

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
    /// The path, without a query.
    fn whole_path(&self) -> &'r str {
        self.target.split_once('?').map_or(self.target, |(path, _)| path)
    }

    /// The same without what is longer than any that can be right.
    fn clipped(self) -> Self {
        let clip = |text: &'r str, most| &text[..text.floor_char_boundary(most)];
        Self { method: clip(self.method, 33), host: clip(self.host, 262), target: self.target }
    }

    /// The path, without a query, which may hold a secret; cut where it would flood the record.
    #[must_use]
    pub fn path(&self) -> &'r str {
        let path = self.whole_path();
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

/// What was decided about a request. It holds nothing of the request, which may be let go meanwhile.
pub struct Ruled {
    recorded: Appended,
    passage: Result<Passage, Problem>,
}

impl Ruled {
    fn passes(who: Who, decision: Option<Arc<str>>) -> Self {
        Self { recorded: Appended::nothing(), passage: Ok(Passage { who, decision }) }
    }

    /// What was decided, once the record holds it.
    ///
    /// # Errors
    /// 401 for whoever proved nothing, 403 for whoever may not; when it can't be recorded.
    pub async fn recorded(self) -> Result<Passage, Problem> {
        self.recorded.await?;
        self.passage
    }
}

/// The header that names the decision.
pub const DECISION_ID: HeaderName = HeaderName::from_static("x-decision-id");

/// Headers by which some services take another method than the request's.
static OVERRIDES: [HeaderName; 6] = [
    HeaderName::from_static("x-http-method-override"),
    HeaderName::from_static("x-http-method"),
    HeaderName::from_static("x-method-override"),
    HeaderName::from_static("x_http_method_override"),
    HeaderName::from_static("x_http_method"),
    HeaderName::from_static("x_method_override"),
];

/// A request that needs a decision: the route that answers, and why no credential counts, if so.
struct Passing<'p> {
    policies: &'p Policies,
    routes: &'p Routes,
    route: &'p Route,
    asked: &'p Asked<'p>,
    refused: Option<Refusal>,
    /// A header names another method.
    overridden: bool,
    /// Of the policies.
    number: u64,
}

/// What is asked for, and the answer: a permission or, where the table alone answers, the route.
type Ruling<'p> = (Option<&'p Permission>, Result<Reason, Reason>);

impl Law {
    /// Decides whether a request may pass, whose client has proved to own a certificate, if the gateway says so. What the
    /// route table refuses, and what no guard lets pass, is refused.
    ///
    /// # Errors
    /// When nobody can say who asks.
    pub async fn pass(
        &self,
        asked: &Asked<'_>,
        headers: &HeaderMap,
        certificate: Option<&Thumbprint>,
        origin: Origin,
    ) -> Result<Ruled, Problem> {
        self.following.current().await?;
        let asked = &asked.clipped();
        let in_force = self.in_force.load_full();
        let InForce { policies, number } = &*in_force;
        let Some(routes) = policies.routes.as_deref() else {
            return Err(Problem::internal("there is no route table"));
        };
        let (who, refused) = match self.identified(headers, certificate).await? {
            Ok(who) => (who, None),
            Err(refusal) => {
                // Another scheme is the service's own, and not a credential of ours.
                if refusal.reason != "unsupported-scheme" {
                    Box::pin(self.auth_failed(refusal.reason, origin.clone())).await?;
                }
                (Who::Anonymous, Some(refusal))
            }
        };
        let overridden = names_another(headers, asked.method);
        let (why, route) = match routes.find(asked.method, asked.host, asked.target) {
            Found::Route(route) if route.needs != Needs::Nothing => {
                let overridden = overridden && !route.raw;
                let number = *number;
                let passing =
                    Passing { policies, routes, route, asked, refused, overridden, number };
                return Ok(self.by_route(&passing, who, origin));
            }
            Found::Route(route) if overridden && !route.raw => {
                (Unlisted::Ambiguous(Ambiguity::Override), Some(route))
            }
            Found::Route(_) | Found::Passes => return Ok(Ruled::passes(who, None)),
            Found::Refused(why, route) => (why, route),
        };
        let caller = Caller { tenant: who.home(), who, origin };
        Ok(self.unlisted(routes, asked, &caller, why, route))
    }

    fn by_route(&self, passing: &Passing<'_>, who: Who, origin: Origin) -> Ruled {
        let Passing { route, asked, .. } = passing;
        let watch = Stopwatch::start();
        let side = who.side(&origin);
        let guard = route.guard.as_deref().map(|guard| (guard, self.guards.holds(guard, side)));
        if let Some((_, Mode::Off)) = guard {
            return Ruled::passes(who, None);
        }
        let caller = Caller { tenant: who.home(), who, origin };
        let (permission, answer) = ruling(passing, &caller.who);
        // What passes for another reason says nothing of the next route.
        let lasting = permission.filter(|_| answer.is_ok() && route.id(asked.target) == "*");
        let before = lasting.and_then(|permission| remembered(passing, &caller.who, permission));
        // A credential that is not good is no want of one.
        let answer = match passing.refused {
            None => self.open(guard, answer),
            Some(_) => answer,
        };
        let behind = Behind {
            guard,
            route: &route.path,
            permission: route.permission().map(Permission::as_str),
            asked: Some(asked),
            refused: passing.refused.map(|refusal| refusal.reason),
            lists: route.methods.is_some(),
            host: route.host.as_deref(),
            tell: self.tells_of_allowed(),
        };
        if !behind.tell
            && let Some(before) = before
        {
            before.count.inc();
            self.let_through(&behind, &caller);
            return Ruled::passes(caller.who, Some(before.id));
        }
        let digest = before.as_ref().map(|before| before.digest);
        let (decision, resource) = self.decided(passing, &caller.who, (permission, answer), digest);
        self.metrics.decision_seconds.observe(watch.elapsed().as_secs_f64());
        let Before { id, count, .. } = before.unwrap_or_else(|| {
            let before = Before {
                id: decision.id.as_str().into(),
                digest: decision.digest,
                count: self.metrics.decided_elsewhere(&decision),
            };
            if let (Who::Agent(token), Some(permission)) = (&caller.who, lasting)
                && passing.policies.authz.is_none()
            {
                let key = (permission.resource(), permission.action());
                token.decided.remember(passing.number, key, before.clone());
            }
            before
        });
        count.inc();
        let (passes, recorded) = self.settle(&behind, &caller, &decision, resource);
        let passage = if passes {
            Ok(Passage { who: caller.who, decision: Some(id) })
        } else {
            Err(self.no_passage(&caller, passing, &decision))
        };
        Ruled { recorded, passage }
    }

    /// The decision that follows from a ruling, if the policy directory has nothing against it; and what it is about.
    /// `digest` is that of the same decision made before.
    fn decided(
        &self,
        passing: &Passing<'_>,
        who: &Who,
        (permission, answer): Ruling<'_>,
        digest: Option<Digest>,
    ) -> (Decision, String) {
        let Passing { policies, routes, route, asked, .. } = *passing;
        let context = about(asked);
        let (actor, home) = (who.actor(), who.home());
        let subject =
            Subject { kind: actor.kind, id: &actor.id, tenant: Some(&home), properties: nothing() };
        let (question, policy) = match permission {
            Some(permission) => {
                let question = permission_asked(subject, permission, route.id(asked.target));
                (question, policies.matrix.policy())
            }
            None => (route_asked(subject, asked, &context), routes.policy()),
        };
        let verdict = Verdict::new(answer).by(route.at.to_string());
        let mut decision = match digest {
            Some(digest) => Decision::again(&question, verdict, policy, digest),
            None => Decision::new(&question, verdict, policy),
        };
        if decision.effect() == Effect::Allow && policies.authz.is_some() {
            let target = Some((asked.method, asked.whole_path()));
            let refused = besides::refused(policies, who, target, &question, self.now().0);
            decision = refused.unwrap_or(decision);
        }
        (decision, acted_on(&question))
    }

    /// Refuses what the table refuses, whoever asks: no guard is asked, because no route answers.
    fn unlisted(
        &self,
        routes: &Routes,
        asked: &Asked<'_>,
        caller: &Caller,
        why: Unlisted,
        route: Option<&Route>,
    ) -> Ruled {
        let context = about(asked);
        let (actor, home) = (caller.who.actor(), caller.who.home());
        let subject =
            Subject { kind: actor.kind, id: &actor.id, tenant: Some(&home), properties: nothing() };
        let question = route_asked(subject, asked, &context);
        let decision = Decision::new(&question, why.verdict(route), routes.policy());
        self.metrics.decided_elsewhere(&decision).inc();
        let name = route.map_or(asked.path(), |route| &route.path);
        let behind = Behind {
            guard: None,
            route: name,
            permission: None,
            asked: Some(asked),
            refused: None,
            lists: false,
            host: None,
            tell: true,
        };
        let (_, recorded) = self.settle(&behind, caller, &decision, acted_on(&question));
        Ruled { recorded, passage: Err(refusal::of_table(asked, why, &decision)) }
    }
}

/// The decision that was made before for somebody who holds a permission on all of a resource.
fn remembered(passing: &Passing<'_>, who: &Who, permission: &Permission) -> Option<Before> {
    let Who::Agent(token) = who else { return None };
    token.decided.allowed(passing.number, permission.resource(), permission.action())
}

/// What a route says of a caller: the table's own word, or that of who holds the permission it needs.
fn ruling<'p>(passing: &Passing<'p>, who: &Who) -> Ruling<'p> {
    let Passing { route, policies, .. } = passing;
    if passing.overridden {
        return (None, Err(Unlisted::Ambiguous(Ambiguity::Override).reason()));
    }
    let actor = who.actor();
    let listed = who.holding(|holder| route.lists((actor.kind, &actor.id), holder));
    match (route.permission(), listed) {
        (Some(permission), Ok(_) | Err(Reason::NoCredentials)) => {
            let (resource, action) = (permission.resource(), permission.action());
            (Some(permission), who.holds(&policies.matrix, resource, action))
        }
        (_, listed) => (None, listed),
    }
}

/// The question whether somebody holds a permission, the same as at our own doors.
fn permission_asked<'q>(
    subject: Subject<'q>,
    permission: &'q Permission,
    id: &'q str,
) -> Question<'q> {
    Question {
        subject,
        action: policy::Action { name: permission.action(), properties: nothing() },
        resource: Resource {
            kind: permission.resource(),
            id,
            system: Some(policy::OWN),
            properties: nothing(),
        },
        context: nothing(),
        tenant: subject.tenant,
        frame: None,
    }
}

/// The question whether a request may pass, as the route table answers it.
fn route_asked<'q>(
    subject: Subject<'q>,
    asked: &Asked<'q>,
    context: &'q Members<'q>,
) -> Question<'q> {
    Question {
        subject,
        action: policy::Action { name: asked.method, properties: nothing() },
        resource: Resource {
            kind: Routes::RESOURCE,
            id: asked.path(),
            system: Some(policy::OWN),
            properties: nothing(),
        },
        context,
        tenant: subject.tenant,
        frame: None,
    }
}

/// What of a request is no part of its path.
fn about<'q>(asked: &Asked<'q>) -> Members<'q> {
    Members::from_iter([("host".into(), Json::Text(asked.host.into()))])
}

/// Whether a header names another method than the request's.
fn names_another(headers: &HeaderMap, method: &str) -> bool {
    let values = OVERRIDES.iter().flat_map(|name| headers.get_all(name));
    values.into_iter().any(|value| !value.as_bytes().eq_ignore_ascii_case(method.as_bytes()))
}
