//! Who is behind a request, proven in any of several ways (contract 1.7).

use std::sync::{Arc, LazyLock};

use countersign_ground::ids::AgentId;
use countersign_ground::problem::{Code, Problem};
use countersign_ground::record::{Actor, Origin, Outcome, default_tenant};
use countersign_policy::{Holder, Matrix, Permissions, Reason};
use http::{HeaderMap, HeaderName, HeaderValue, header};

use super::Law;
use super::action::{Action, Reach};
use super::directory::{AgentFacts, OperatorFacts, OperatorToken, Standing, Thumbprint};
use super::guards::Side;
use super::token::{Confirmation, Verified};

/// Whoever is behind one request.
#[derive(Debug, Clone)]
pub struct Caller {
    /// Who.
    pub who: Who,
    /// The tenant that is acted in: the own one, save for those who cross tenants.
    pub tenant: Arc<str>,
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
    /// A person, and the token that said so.
    Operator(Arc<OperatorFacts>, Arc<OperatorToken>),
    /// Whoever shares the machine token.
    Machine,
}

/// Where the machine token is presented.
pub const MACHINE_HEADERS: [HeaderName; 2] =
    [HeaderName::from_static("x-machine-token"), HeaderName::from_static("authorization-machine")];
/// Where those who cross tenants say which one they mean.
pub const TENANT_HEADER: HeaderName = HeaderName::from_static("x-tenant");
/// Who crosses tenants.
const INFRA: &str = "infra";

impl Who {
    /// The tenant that the caller belongs to.
    #[must_use]
    pub fn home(&self) -> Arc<str> {
        match self {
            Self::Agent(token) => Arc::clone(&token.claims.tenant),
            Self::Operator(operator, _) => Arc::clone(&operator.tenant),
            Self::Machine | Self::Anonymous => default_tenant(),
        }
    }

    /// The caller as the record names it.
    #[must_use]
    pub fn actor(&self) -> Actor {
        match self {
            Self::Agent(token) => Actor { kind: "agent", id: Arc::clone(&token.subject) },
            Self::Operator(operator, _) => Actor { kind: "operator", id: operator.id.shared() },
            Self::Machine => Actor { kind: "machine", id: "machine".into() },
            Self::Anonymous => Actor::anonymous(),
        }
    }

    /// On which side of a guard's share they are.
    pub(super) fn side<'s>(&'s self, origin: &Origin) -> Side<'s> {
        match self {
            Self::Agent(token) => Side::Proven("agent", &token.subject),
            Self::Operator(operator, _) => Side::Proven("operator", operator.id.as_str()),
            Self::Machine => Side::Proven("machine", "machine"),
            Self::Anonymous => Side::From(origin.ip),
        }
    }

    /// Whether the caller may act in every tenant, and under which role.
    fn crosses_tenants(&self, matrix: &Matrix) -> Option<Reason> {
        let Self::Operator(operator, _) = self else { return None };
        if operator.roles().any(|role| matrix.role(role) == Some(INFRA)) {
            return Some(Reason::Role(INFRA.into()));
        }
        operator.holds_everything().then_some(Reason::Bootstrap)
    }

    /// What it is that they hold.
    pub(super) fn holding<T>(&self, ask: impl FnOnce(Holder<'_>) -> T) -> T {
        static MACHINE: LazyLock<[Arc<str>; 1]> = LazyLock::new(|| ["machine".into()]);
        match self {
            Self::Anonymous => ask(Holder::Stranger),
            Self::Agent(token) => ask(Holder::Scopes(&token.scopes)),
            Self::Operator(operator, _) => {
                let roles: Vec<Arc<str>> = operator.roles().map(Arc::from).collect();
                ask(Holder::Roles(&roles))
            }
            Self::Machine => ask(Holder::Roles(&*MACHINE)),
        }
    }

    /// Why the caller holds a permission, or why not.
    pub(super) fn holds(
        &self,
        matrix: &Matrix,
        resource: &str,
        action: &str,
    ) -> Result<Reason, Reason> {
        let held = self.holding(|holder| holder.reason(matrix, resource, action));
        match self {
            Self::Operator(operator, _) if operator.holds_everything() => {
                held.or(Ok(Reason::Bootstrap))
            }
            _ => held,
        }
    }
}

/// Why a token is refused that memory does not know for a good one.
const UNKNOWN: &str = "invalid-token";

impl Caller {
    /// The agent that is calling, if one is.
    #[must_use]
    pub fn agent(&self) -> Option<AgentId> {
        match &self.who {
            Who::Agent(token) => Some(token.claims.sub),
            _ => None,
        }
    }

    /// Up to which level the caller may countersign; whoever is no person, not beyond the first.
    #[must_use]
    pub fn level(&self) -> u8 {
        match &self.who {
            Who::Operator(operator, _) => operator.level,
            _ => 1,
        }
    }

    /// Whether the caller may act in every tenant.
    #[must_use]
    pub fn crosses_tenants(&self, law: &Law) -> bool {
        self.who.crosses_tenants(&law.matrix()).is_some()
    }

    /// Which of these permissions the caller does not hold, and so can't give away.
    pub fn lacks<'s>(&self, law: &Law, permissions: &'s Permissions) -> Vec<&'s str> {
        let matrix = law.matrix();
        let lacks = |one: &&countersign_policy::Permission| {
            self.who.holds(&matrix, one.resource(), one.action()).is_err()
        };
        permissions.iter().filter(lacks).map(|one| one.as_str()).collect()
    }

    pub(super) fn reason<A: Action>(&self, matrix: &Matrix) -> Result<Reason, Reason> {
        let refused = match self.who {
            Who::Anonymous => return Err(Reason::NoCredentials),
            _ => Reason::InsufficientPermissions,
        };
        let crosses = || self.who.crosses_tenants(matrix);
        match A::REACH {
            Reach::Everything => return crosses().ok_or(refused),
            Reach::Installation if self.who.home() != default_tenant() && crosses().is_none() => {
                return Err(refused);
            }
            Reach::Installation | Reach::Tenant => {}
        }
        self.who.holds(matrix, A::RESOURCE, A::ACTION)
    }
}

impl Law {
    /// Finds out who is calling. Credentials that are presented must be good: one that isn't is
    /// refused and recorded, not ignored.
    ///
    /// # Errors
    /// 401 for credentials that are not good, or that name two callers; 403 and 404 for a tenant
    /// that the caller may not act in, or that is none; 429 for an agent beyond its plan.
    pub async fn caller(
        &self,
        headers: &HeaderMap,
        certificate: Option<&Thumbprint>,
        origin: Origin,
    ) -> Result<Caller, Problem> {
        self.following.current().await?;
        let who = match self.identified(headers, certificate).await? {
            Ok(who) => who,
            Err(refusal) => {
                Box::pin(self.auth_failed(refusal.reason, origin)).await?;
                return Err(refusal.problem(&self.issuer));
            }
        };
        if let Who::Agent(token) = &who {
            self.admit(token.claims.sub, &token.claims.tenant).await?;
        }
        self.within(who, headers, origin).await
    }

    /// Whoever the credentials of a request prove, or why they are not good.
    ///
    /// # Errors
    /// When nobody can say.
    pub(super) async fn identified(
        &self,
        headers: &HeaderMap,
        certificate: Option<&Thumbprint>,
    ) -> Result<Result<Who, Refusal>, Problem> {
        match self.identify(headers, certificate) {
            // Another node may know better.
            Err(refusal) if refusal.reason == UNKNOWN && self.following.may_know_more().await? => {
                Ok(self.identify(headers, certificate))
            }
            known => Ok(known),
        }
    }

    /// The same caller later in a long answer, which is no further request. `None` when they are no
    /// more who they were.
    pub async fn caller_again(
        &self,
        headers: &HeaderMap,
        certificate: Option<&Thumbprint>,
        origin: Origin,
    ) -> Option<Caller> {
        self.following.current().await.ok()?;
        let who = self.identify(headers, certificate).ok()?;
        self.within(who, headers, origin).await.ok()
    }

    async fn within(
        &self,
        who: Who,
        headers: &HeaderMap,
        origin: Origin,
    ) -> Result<Caller, Problem> {
        match self.tenant_of(&who, headers) {
            Ok(tenant) => Ok(Caller { who, tenant, origin }),
            Err(problem) => {
                if problem.status() == http::StatusCode::FORBIDDEN {
                    Box::pin(self.tenant_refused(&who, origin)).await?;
                }
                Err(problem)
            }
        }
    }

    /// Records who wanted to act in a tenant that is not theirs.
    async fn tenant_refused(&self, who: &Who, origin: Origin) -> Result<(), Problem> {
        let mut event = self.event("auth.failed", self.now());
        event.outcome = Outcome::Denied;
        event.tenant = who.home();
        event.actor = who.actor();
        event.origin = origin;
        event.meta("reason", "foreign-tenant");
        Ok(self.record.append_stranger("foreign-tenant", event).await?)
    }

    /// The 401 for whoever presented nothing.
    #[must_use]
    pub fn needs_credentials(&self) -> Problem {
        Problem::new(Code::Unauthorized, "no credentials were presented")
            .with("error", "unauthorized")
            .with("reason", "no-credentials")
            .header(header::WWW_AUTHENTICATE, challenge(&self.issuer, None, None))
    }

    /// Counts a request of an agent, unless its plan allows no more this minute: by all nodes together
    /// where they share a Redis that answers, else by this one alone.
    ///
    /// # Errors
    /// 429 with the time to wait.
    pub async fn admit(&self, agent: AgentId, tenant: &str) -> Result<(), Problem> {
        let Some(most) = self.directory.limits(tenant).requests_a_minute else { return Ok(()) };
        let beyond =
            |wait| Problem::too_many(format!("the plan allows {most} requests a minute"), wait);
        let now = self.clock.now();
        self.requests.take(agent, most, now).map_err(beyond)?;
        let Some(shared) = &self.shared else { return Ok(()) };
        let (window, left) = self.requests.window(now);
        match Box::pin(shared.count(&format!("{agent}:{window}"), left)).await {
            Some(count) if count > i64::from(most) => Err(beyond(left)),
            _ => Ok(()),
        }
    }

    /// The tenant that a request acts in.
    fn tenant_of(&self, who: &Who, headers: &HeaderMap) -> Result<Arc<str>, Problem> {
        let home = who.home();
        let mut named = headers.get_all(&TENANT_HEADER).iter();
        let Some(name) = named.next() else { return Ok(home) };
        let name = name.to_str().unwrap_or_default();
        if named.next().is_some() {
            return Err(Problem::new(Code::Validation, "`X-Tenant` is there more than once"));
        }
        if *name == *home || matches!(who, Who::Anonymous) {
            return Ok(home);
        }
        if who.crosses_tenants(&self.matrix()).is_none() {
            let detail = "only operators with the role `infra` act in another tenant";
            return Err(Problem::new(Code::Forbidden, detail)
                .with("error", "forbidden")
                .with("reason", "foreign-tenant"));
        }
        let tenant = self.directory.tenant(name).map(|tenant| Arc::clone(&tenant.id));
        tenant.ok_or_else(|| Problem::new(Code::TenantNotFound, "`X-Tenant` names no tenant"))
    }

    fn identify(
        &self,
        headers: &HeaderMap,
        certificate: Option<&Thumbprint>,
    ) -> Result<Who, Refusal> {
        let certified = certificate.and_then(|thumbprint| self.certified(thumbprint));
        let bearer = self.bearer(headers, certificate)?;
        let machine = self.machine(headers)?;
        match (certified, bearer, machine) {
            (None, None, None) => Ok(Who::Anonymous),
            (Some(who), None, None) | (None, Some(who), None) | (None, None, Some(who)) => Ok(who),
            // The same agent twice is one caller, with what its token holds.
            (Some(one), Some(other), None) if one.actor() == other.actor() => Ok(other),
            _ => Err(Refusal::new("two-callers")),
        }
    }

    /// Whoever a client certificate proves, with all that the agent holds. One that is bound to
    /// nobody proves nobody: a fleet's authority signs many.
    fn certified(&self, thumbprint: &Thumbprint) -> Option<Who> {
        let (agent, credential) =
            self.directory.agent_by_certificate(thumbprint, self.clock.now())?;
        (agent.standing == Standing::Active).then(|| {
            Who::Agent(Arc::new(Verified::by_certificate(&agent, credential, &self.issuer)))
        })
    }

    /// `Authorization: Bearer` (RFC 6750 section 2.1): an access token or an operator's.
    fn bearer(
        &self,
        headers: &HeaderMap,
        certificate: Option<&Thumbprint>,
    ) -> Result<Option<Who>, Refusal> {
        let Some(value) = once(headers, &header::AUTHORIZATION)? else { return Ok(None) };
        // Basic is for clients at the OAuth endpoints, which read it themselves.
        let (scheme, token) = value.split_once(' ').unwrap_or((value, ""));
        if !scheme.eq_ignore_ascii_case("bearer") {
            return Err(Refusal::new("unsupported-scheme"));
        }
        let token = token.trim_start_matches(' ');
        let now = self.clock.now();
        if token.starts_with("op_live_") {
            let digest = self.keys.digest().digest(token);
            let (operator, token) =
                self.directory.operator_by_token(&digest, now).ok_or(Refusal::new(UNKNOWN))?;
            return Ok(Some(Who::Operator(operator, token)));
        }
        let token = self.tokens.live(token, now).ok_or(Refusal::new(UNKNOWN))?;
        // RFC 9068 section 4: a token for another audience is not for us.
        if !token.claims.aud.contains(&self.issuer) {
            return Err(Refusal::new("wrong-audience"));
        }
        // RFC 8705 section 3: a stolen token is of no use without the key of its certificate.
        if let Some(bound) = &token.claims.cnf
            && certificate.map(Confirmation::of).as_ref() != Some(bound)
        {
            return Err(Refusal::new("other-certificate"));
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
        let mut event = self.event("auth.failed", self.now());
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
        let mut event = self.event("auth.failed", self.now());
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
pub(super) struct Refusal {
    pub(super) reason: &'static str,
}

impl Refusal {
    fn new(reason: &'static str) -> Self {
        Self { reason }
    }

    pub(super) fn problem(self, issuer: &str) -> Problem {
        let detail = match self.reason {
            "two-callers" => "the credentials presented name two different callers: send one",
            "unsupported-scheme" => "use `Authorization: Bearer <token>`",
            "repeated-header" => "a credential header is there more than once",
            "wrong-audience" => "the token is for another audience",
            "other-certificate" => "the token is bound to a client certificate: present that one",
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
