//! Who is behind a request, proven in any of several ways (contract 1.7).

use std::sync::Arc;

use countersign_ground::ids::AgentId;
use countersign_ground::problem::{Code, Problem};
use countersign_ground::record::{Actor, Origin, Outcome, default_tenant};
use countersign_policy::{Permissions, Reason};
use http::{HeaderMap, HeaderName, HeaderValue, header};

use super::Law;
use super::directory::{AgentFacts, OperatorFacts};
use super::token::Verified;

/// Whoever is behind one request.
#[derive(Debug, Clone)]
pub struct Caller {
    /// Who.
    pub who: Who,
    /// From where.
    pub origin: Origin,
}

/// The kinds of callers.
#[derive(Debug, Clone)]
pub enum Who {
    /// Nobody in particular: no credential was presented.
    Anonymous,
    /// An agent with one of our access tokens.
    Agent(Arc<Verified>),
    /// A person.
    Operator(Arc<OperatorFacts>),
    /// Whoever shares the machine token.
    Machine,
}

/// Where the machine token is presented.
pub const MACHINE_HEADERS: [HeaderName; 2] =
    [HeaderName::from_static("x-machine-token"), HeaderName::from_static("authorization-machine")];

impl Caller {
    /// The tenant that the caller sees.
    #[must_use]
    pub fn tenant(&self) -> Arc<str> {
        match &self.who {
            Who::Agent(token) => Arc::clone(&token.claims.tenant),
            Who::Operator(operator) => Arc::clone(&operator.tenant),
            Who::Machine | Who::Anonymous => default_tenant(),
        }
    }

    /// The caller as the record names it.
    #[must_use]
    pub fn actor(&self) -> Actor {
        match &self.who {
            Who::Agent(token) => Actor { kind: "agent", id: Arc::clone(&token.subject) },
            Who::Operator(operator) => Actor { kind: "operator", id: Arc::clone(&operator.id) },
            Who::Machine => Actor { kind: "machine", id: "machine".into() },
            Who::Anonymous => Actor::anonymous(),
        }
    }

    /// The agent that is calling, if one is.
    #[must_use]
    pub fn agent(&self) -> Option<AgentId> {
        match &self.who {
            Who::Agent(token) => Some(token.claims.sub),
            _ => None,
        }
    }

    /// Which of `scopes` the caller does not hold, and so can't give away.
    pub fn lacks<'s>(&self, law: &Law, scopes: &'s Permissions) -> Vec<&'s str> {
        let holds = |scope: &countersign_policy::Permission| match &self.who {
            Who::Agent(token) => token.scopes.holds(scope.as_str()),
            Who::Operator(operator) => {
                let roles = operator.roles.iter().map(String::as_str);
                operator.holds_everything
                    || law.matrix.granting(roles, scope.resource(), scope.action()).is_some()
            }
            Who::Machine => {
                law.matrix.granting(["machine"], scope.resource(), scope.action()).is_some()
            }
            Who::Anonymous => false,
        };
        scopes.iter().filter(|scope| !holds(scope)).map(|scope| scope.as_str()).collect()
    }

    pub(super) fn reason(&self, law: &Law, resource: &str, action: &str) -> Result<Reason, Reason> {
        let by_role = |roles: &mut dyn Iterator<Item = &str>| {
            law.matrix.granting(roles, resource, action).map(|role| Reason::Role(role.to_owned()))
        };
        let granted = match &self.who {
            Who::Anonymous => return Err(Reason::NoCredentials),
            Who::Agent(token) => {
                let wanted = format!("{resource}:{action}");
                token.scopes.holds(&wanted).then_some(Reason::Scope(wanted))
            }
            Who::Operator(operator) => by_role(&mut operator.roles.iter().map(String::as_str))
                .or(operator.holds_everything.then_some(Reason::Bootstrap)),
            Who::Machine => by_role(&mut ["machine"].into_iter()),
        };
        granted.ok_or(Reason::InsufficientPermissions)
    }
}

impl Law {
    /// Finds out who is calling. Credentials that are presented must be good: one that isn't is
    /// refused and recorded, not ignored.
    ///
    /// # Errors
    /// 401 for credentials that are not good, or that name two callers.
    pub async fn caller(&self, headers: &HeaderMap, origin: Origin) -> Result<Caller, Problem> {
        match self.identify(headers) {
            Ok(who) => Ok(Caller { who, origin }),
            Err(refusal) => {
                self.auth_failed(refusal.reason, origin).await?;
                Err(refusal.problem(&self.issuer))
            }
        }
    }

    fn identify(&self, headers: &HeaderMap) -> Result<Who, Refusal> {
        let bearer = self.bearer(headers)?;
        let machine = self.machine(headers)?;
        match (bearer, machine) {
            (Some(_), Some(_)) => Err(Refusal::new("two-callers")),
            (Some(who), None) | (None, Some(who)) => Ok(who),
            (None, None) => Ok(Who::Anonymous),
        }
    }

    /// `Authorization: Bearer` (RFC 6750 section 2.1): an access token or an operator's.
    fn bearer(&self, headers: &HeaderMap) -> Result<Option<Who>, Refusal> {
        let Some(value) = once(headers, &header::AUTHORIZATION)? else { return Ok(None) };
        // Basic is for clients at the OAuth endpoints, which read it themselves.
        let (scheme, token) = value.split_once(' ').unwrap_or((value, ""));
        if !scheme.eq_ignore_ascii_case("bearer") {
            return Err(Refusal::new("unsupported-scheme"));
        }
        let token = token.trim_start_matches(' ');
        if token.starts_with("op_live_") {
            let digest = self.keys.digest().digest(token);
            let operator = self.directory.operator(&digest);
            return operator.map(Who::Operator).map(Some).ok_or(Refusal::new("invalid-token"));
        }
        let now = self.clock.now();
        let token = self.tokens.live(token, now).ok_or(Refusal::new("invalid-token"))?;
        // RFC 9068 section 4: a token for another audience is not for us.
        if !token.claims.aud.contains(&self.issuer) {
            return Err(Refusal::new("wrong-audience"));
        }
        Ok(Some(Who::Agent(token)))
    }

    fn machine(&self, headers: &HeaderMap) -> Result<Option<Who>, Refusal> {
        let mut presented = None;
        for name in &MACHINE_HEADERS {
            match (presented, once(headers, name)?) {
                (Some(one), Some(other)) if one != other => {
                    return Err(Refusal::new("two-callers"));
                }
                (None, Some(value)) => presented = Some(value),
                _ => {}
            }
        }
        let Some(token) = presented else { return Ok(None) };
        let digest = self.keys.digest().digest(token);
        match &self.machine {
            Some(machine) if *machine == digest => Ok(Some(Who::Machine)),
            _ => Err(Refusal::new("invalid-token")),
        }
    }

    /// Records that an agent proved to be itself but may not act. Limited as strangers are: a
    /// stopped agent that keeps asking must not fill the disk.
    ///
    /// # Errors
    /// When it can't be recorded.
    pub async fn agent_refused(&self, agent: &AgentFacts, origin: Origin) -> Result<(), Problem> {
        let mut event = self.event("auth.failed");
        event.outcome = Outcome::Denied;
        event.tenant = Arc::clone(&agent.tenant);
        event.actor = agent.actor();
        event.agent = Some(agent.id);
        event.origin = origin;
        event.meta("reason", "agent-not-active");
        Ok(self.record.append_stranger("agent-not-active", event).await?)
    }

    /// Records that somebody failed to prove who they are.
    ///
    /// # Errors
    /// When it can't be recorded.
    pub async fn auth_failed(&self, reason: &'static str, origin: Origin) -> Result<(), Problem> {
        let mut event = self.event("auth.failed");
        event.outcome = Outcome::Denied;
        event.actor = Actor::anonymous();
        event.origin = origin;
        event.meta("reason", reason);
        Ok(self.record.append_stranger(reason, event).await?)
    }
}

/// A header's value, if the header is there exactly once.
fn once<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Result<Option<&'h str>, Refusal> {
    let mut values = headers.get_all(name).iter();
    let Some(value) = values.next() else { return Ok(None) };
    if values.next().is_some() {
        return Err(Refusal::new("repeated-header"));
    }
    value.to_str().map(Some).map_err(|_| Refusal::new("invalid-token"))
}

/// Why credentials were refused.
#[derive(Debug, Clone, Copy)]
struct Refusal {
    reason: &'static str,
}

impl Refusal {
    fn new(reason: &'static str) -> Self {
        Self { reason }
    }

    fn problem(self, issuer: &str) -> Problem {
        let detail = match self.reason {
            "two-callers" => "the credentials presented name two different callers: send one",
            "unsupported-scheme" => "use `Authorization: Bearer <token>`",
            "repeated-header" => "a credential header is there more than once",
            "wrong-audience" => "the token is for another audience",
            _ => "the token is not valid: it may have expired or been revoked",
        };
        Problem::new(Code::Unauthorized, detail)
            .with("error", "invalid_token")
            .with("reason", self.reason)
            .header(header::WWW_AUTHENTICATE, challenge(issuer, Some("invalid_token"), None))
    }
}

/// RFC 6750 section 3, with the metadata's address of RFC 9728 section 5.1.
pub(super) fn challenge(issuer: &str, error: Option<&str>, scope: Option<&str>) -> HeaderValue {
    let mut text =
        format!("Bearer resource_metadata=\"{issuer}/.well-known/oauth-protected-resource\"");
    if let Some(error) = error {
        text.push_str(&format!(", error=\"{error}\""));
    }
    if let Some(scope) = scope {
        text.push_str(&format!(", scope=\"{scope}\""));
    }
    HeaderValue::try_from(text).unwrap_or(HeaderValue::from_static("Bearer"))
}
