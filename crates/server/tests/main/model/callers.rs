//! Who a call comes from, what the model makes of them, and what they hold.

use super::calls::{By, Call, Named, Step, Within};
use super::roles::level;
use super::state::{BOOTSTRAP, DEFAULT, World};
use crate::support::{As, MACHINE, OPERATOR};

/// Whoever is behind a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Who {
    Nobody,
    Machine,
    Operator(usize),
    /// With which token.
    Agent(usize),
}

/// Somebody whose credentials are good, and the tenant that they act in.
#[derive(Debug, Clone, Copy)]
pub struct Acting {
    pub who: Who,
    pub tenant: usize,
}

/// A refusal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct No {
    pub status: u16,
    pub code: &'static str,
    /// The decision that the record must have: tenant, and about what.
    pub decided: Option<(usize, String)>,
}

pub type Verdict = Result<(), No>;

/// What is presented.
#[derive(Debug, Clone)]
pub struct Sent {
    pub credentials: Presented,
    pub tenant: Option<String>,
}

#[derive(Debug, Clone)]
pub enum Presented {
    Nothing,
    Bearer(String),
    Machine(String),
}

impl Presented {
    pub fn as_them(&self) -> As<'_> {
        match self {
            Self::Nothing => As::Nobody,
            Self::Bearer(token) => As::Bearer(token),
            Self::Machine(token) => As::Machine(token),
        }
    }
}

/// How far a permission reaches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    Tenant,
    /// Needs the permission in the tenant `default`, or the role `infra`.
    Installation,
    /// Needs the role `infra`.
    Everything,
}

impl No {
    pub fn new(status: u16, code: &'static str) -> Self {
        Self { status, code, decided: None }
    }

    /// As the OAuth endpoints say it.
    pub fn in_oauth(self) -> Self {
        let code = match self.code {
            "UNAUTHORIZED" => "invalid_token",
            "FORBIDDEN" | "INSUFFICIENT_SCOPE" => "insufficient_scope",
            "RATE_LIMIT_EXCEEDED" => "temporarily_unavailable",
            _ => "invalid_request",
        };
        Self { code, ..self }
    }
}

impl World {
    /// Whom and where the call leaves open is whoever administers what it is about, there.
    pub fn fitted(&self, step: Step) -> (By, Within) {
        let tenant = match step.call {
            Call::ShowAgent(agent)
            | Call::PatchAgent { agent, .. }
            | Call::DeleteAgent { agent, .. }
            | Call::Quarantine(agent)
            | Call::Reinstate(agent)
            | Call::CreateCredential { agent, .. }
            | Call::ListCredentials(agent)
            | Call::RotateCredential { agent, .. }
            | Call::RevokeCredential { agent, .. } => {
                self.pick_agent(agent).map(|agent| self.agents[agent].tenant)
            }
            Call::ShowOperator(operator)
            | Call::PatchOperator { operator, .. }
            | Call::DeleteOperator { operator, .. }
            | Call::CreateOperatorToken { operator, .. }
            | Call::ListOperatorTokens(operator)
            | Call::RevokeOperatorToken { operator, .. } => {
                self.pick_operator(operator).map(|operator| self.operators[operator].tenant)
            }
            Call::CreateAgent { email, .. } | Call::CreateOperator { email, .. } => {
                Some(usize::from(email % 2))
            }
            Call::Introspect { token: Named::Token(token), .. }
            | Call::RevokeToken { token: Named::Token(token), .. } => {
                let token = usize::from(token).checked_rem(self.tokens.len());
                token.map(|token| self.agents[self.tokens[token].agent].tenant)
            }
            _ => Some(0),
        };
        let by = match (step.by, tenant) {
            (By::Fitting, Some(DEFAULT)) => By::Operator(0, 0),
            (By::Fitting, Some(1)) => By::Operator(4, 0),
            (By::Fitting, _) => By::Operator(2, 0),
            (by, _) => by,
        };
        let within = match (step.within, tenant) {
            (Within::Fitting, Some(1)) => Within::Second,
            // Nobody but the first operator is at home in the tenant `default`.
            (Within::Fitting, Some(DEFAULT)) => Within::Nothing,
            (Within::Fitting, _) => Within::First,
            (within, _) => within,
        };
        (by, within)
    }

    /// What a caller sends, and who they are by it. Counts the request where a plan does.
    pub fn enter(&mut self, by: By, within: Within) -> (Sent, Result<Acting, No>) {
        let unknown = || No::new(401, "UNAUTHORIZED");
        let bearer = |text: &str| Presented::Bearer(text.to_owned());
        let (credentials, who) = match by {
            By::Nobody => (Presented::Nothing, Ok(Who::Nobody)),
            By::Machine => (Presented::Machine(MACHINE.into()), Ok(Who::Machine)),
            By::WrongMachine => {
                (Presented::Machine("machine-token-of-others".into()), Err(unknown()))
            }
            By::Garbage => (bearer("e30.e30.e30"), Err(unknown())),
            By::Fitting => unreachable!("was resolved"),
            By::Operator(which, token) => {
                let which = usize::from(which) % self.operators.len();
                let tokens = &self.operators[which].tokens;
                match usize::from(token).checked_rem(tokens.len()) {
                    None => (bearer(&OPERATOR.replace('0', "1")), Err(unknown())),
                    Some(token) => {
                        let live = self.operator_token_is_live(which, token);
                        let who = live.then_some(Who::Operator(which)).ok_or_else(unknown);
                        (bearer(&tokens[token].text), who)
                    }
                }
            }
            By::Agent(token) => match usize::from(token).checked_rem(self.tokens.len()) {
                None => (bearer("e30.e30.e30"), Err(unknown())),
                Some(token) => (bearer(&self.tokens[token].text), self.bearer(token)),
            },
        };
        let tenant = match within {
            Within::Nothing | Within::Fitting => None,
            Within::First => Some(self.tenants[0].id.clone()),
            Within::Second => Some(self.tenants[1].id.clone()),
            Within::Unknown => Some("no-such-tenant".to_owned()),
        };
        let acting = who.and_then(|who| self.acting(who, within));
        (Sent { credentials, tenant }, acting)
    }

    /// Who presents this access token, at a door of the API.
    pub fn bearer(&mut self, token: usize) -> Result<Who, No> {
        if !self.is_live(token) || !self.tokens[token].for_us {
            return Err(No::new(401, "UNAUTHORIZED"));
        }
        if !self.admit(self.tokens[token].agent) {
            return Err(No::new(429, "RATE_LIMIT_EXCEEDED"));
        }
        Ok(Who::Agent(token))
    }

    fn acting(&self, who: Who, within: Within) -> Result<Acting, No> {
        let home = self.home(who);
        let named = match within {
            Within::Nothing | Within::Fitting => return Ok(Acting { who, tenant: home }),
            Within::First => Some(0),
            Within::Second => Some(1),
            Within::Unknown => None,
        };
        if who == Who::Nobody || named == Some(home) {
            return Ok(Acting { who, tenant: home });
        }
        if !self.crosses(who) {
            return Err(No::new(403, "FORBIDDEN"));
        }
        named.map(|tenant| Acting { who, tenant }).ok_or(No::new(404, "TENANT_NOT_FOUND"))
    }

    pub fn home(&self, who: Who) -> usize {
        match who {
            Who::Nobody | Who::Machine => DEFAULT,
            Who::Operator(which) => self.operators[which].tenant,
            Who::Agent(token) => self.agents[self.tokens[token].agent].tenant,
        }
    }

    pub fn crosses(&self, who: Who) -> bool {
        match who {
            Who::Operator(which) => self.roles.cross_tenants(&self.operators[which].roles),
            _ => false,
        }
    }

    pub fn level(&self, who: Who) -> u8 {
        match who {
            Who::Operator(which) => self.level_of(which),
            _ => 1,
        }
    }

    pub fn level_of(&self, operator: usize) -> u8 {
        let operator = &self.operators[operator];
        level(operator.level_by_hand, &operator.roles)
    }

    pub fn holds(&self, who: Who, permission: &str) -> bool {
        match who {
            Who::Nobody => false,
            Who::Machine => self.roles.hold(&["machine"], permission),
            Who::Operator(BOOTSTRAP) => true,
            Who::Operator(which) => self.roles.hold(&self.operators[which].roles, permission),
            Who::Agent(token) => self.tokens[token].scopes.contains(&permission),
        }
    }

    /// Whether somebody may do it to what `over` names.
    pub fn may(&self, acting: Acting, permission: &str, reach: Reach, over: &str) -> Verdict {
        let Acting { who, .. } = acting;
        let at_home = self.home(who) == DEFAULT;
        let allowed = match reach {
            Reach::Tenant => self.holds(who, permission),
            Reach::Installation => (at_home || self.crosses(who)) && self.holds(who, permission),
            Reach::Everything => self.crosses(who),
        };
        if allowed { Ok(()) } else { Err(self.denied(acting, permission, over, true)) }
    }

    /// The refusal of what somebody may not do; `scope` when a scope would help.
    pub fn denied(&self, acting: Acting, permission: &str, over: &str, scope: bool) -> No {
        let (resource, _) = permission.split_once(':').unwrap();
        let decided = Some((acting.tenant, format!("{resource}/{over}")));
        match acting.who {
            // Strangers are recorded up to a number, then counted.
            Who::Nobody => No::new(401, "UNAUTHORIZED"),
            Who::Agent(_) if scope => No { status: 403, code: "INSUFFICIENT_SCOPE", decided },
            _ => No { status: 403, code: "FORBIDDEN", decided },
        }
    }
}
