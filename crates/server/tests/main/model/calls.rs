//! The calls of a sequence. Indices point into whatever exists by then, modulo how much that is, so
//! that a sequence still means something after the shrinker took calls out of it.

use std::fmt;

/// One call, by somebody, in some tenant.
#[derive(Clone, Copy)]
pub struct Step {
    pub by: By,
    pub within: Within,
    pub call: Call,
}

/// In a line, even where a failing sequence is written out at length.
impl fmt::Debug for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { by, within, call } = self;
        write!(f, "{call:?} by {by:?} within {within:?}")
    }
}

/// Who calls.
#[derive(Debug, Clone, Copy)]
pub enum By {
    /// Which operator, with which of their tokens.
    Operator(u8, u8),
    /// Whoever administers the tenant of what the call is about.
    Fitting,
    /// With which access token.
    Agent(u8),
    Machine,
    WrongMachine,
    Nobody,
    Garbage,
}

/// What `X-Tenant` says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Within {
    Nothing,
    First,
    Second,
    /// The tenant of what the call is about.
    Fitting,
    Unknown,
}

#[derive(Debug, Clone, Copy)]
pub enum Call {
    CreateAgent {
        email: u8,
        scopes: Option<u8>,
        resources: bool,
    },
    ListAgents,
    ShowAgent(u8),
    PatchAgent {
        agent: u8,
        change: Change,
        tag: Tag,
    },
    DeleteAgent {
        agent: u8,
        tag: Tag,
    },
    Quarantine(u8),
    Reinstate(u8),
    CreateCredential {
        agent: u8,
        life: Life,
    },
    ListCredentials(u8),
    RotateCredential {
        agent: u8,
        credential: u8,
        grace: Option<u32>,
    },
    RevokeCredential {
        agent: u8,
        credential: u8,
    },
    Token {
        client: Client,
        scope: Wanted,
        resource: Resource,
    },
    Introspect {
        token: Named,
        client: Option<Client>,
    },
    RevokeToken {
        token: Named,
        client: Option<Client>,
    },
    CreateOperator {
        email: u8,
        roles: u8,
        level: Option<u8>,
    },
    ListOperators,
    ShowOperator(u8),
    PatchOperator {
        operator: u8,
        change: OperatorChange,
        tag: Tag,
    },
    DeleteOperator {
        operator: u8,
        tag: Tag,
    },
    CreateOperatorToken {
        operator: u8,
        life: Life,
    },
    ListOperatorTokens(u8),
    RevokeOperatorToken {
        operator: u8,
        token: u8,
    },
    CreateTenant(u8),
    ShowTenant(u8),
    PatchTenant {
        tenant: u8,
        free: Option<bool>,
    },
    ListKeys,
    RotateKeys {
        force: bool,
    },
    RevokeKey(u8),
    RbacInfo,
    WhoAmI,
    /// Asks with a token until a plan allows no more.
    Insist(u8),
    /// Milliseconds, either way.
    Clock(i64),
    /// What the server does every minute.
    Housekeeping,
}

/// What a PATCH of an agent asks for.
#[derive(Debug, Clone, Copy)]
pub enum Change {
    Suspend,
    Activate,
    Decommission,
    Scopes(u8),
    SuspendWithScopes(u8),
    Resources(bool),
    Owner,
    Immutable,
}

#[derive(Debug, Clone, Copy)]
pub enum OperatorChange {
    Roles(u8),
    Level(Option<u8>),
    RolesAndLevel(u8, u8),
    Email(u8),
    Name,
}

/// `If-Match`.
#[derive(Debug, Clone, Copy)]
pub enum Tag {
    Nothing,
    Right,
    Stale,
    Any,
}

/// Until when something is good.
#[derive(Debug, Clone, Copy)]
pub enum Life {
    Forever,
    Seconds(u32),
    Past,
}

/// An agent that proves to be itself.
#[derive(Debug, Clone, Copy)]
pub struct Client {
    pub agent: u8,
    pub credential: u8,
    pub secret: Secret,
    pub basic: bool,
    /// At the other one of the two addresses.
    pub alias: bool,
}

#[derive(Debug, Clone, Copy)]
pub enum Secret {
    Last,
    Before,
    Nth(u8),
    Wrong,
}

/// Which scope a token is asked for with.
#[derive(Debug, Clone, Copy)]
pub enum Wanted {
    All,
    /// One that the agent holds.
    One(u8),
    /// One that it may not hold.
    Any(u8),
    Malformed,
}

#[derive(Debug, Clone, Copy)]
pub enum Resource {
    Nothing,
    Issuer,
    Mail,
    Files,
    Both,
}

/// Which token is meant.
#[derive(Debug, Clone, Copy)]
pub enum Named {
    Token(u8),
    Operators(u8),
    Garbage,
}

/// Sets of scopes that agents are given.
pub const SCOPES: [&[&str]; 10] = [
    &["agents:read"],
    &["agents:read", "agents:write"],
    &["tokens:read"],
    &["agents:write", "tokens:read", "tokens:write"],
    &[
        "agents:read",
        "agents:write",
        "tokens:read",
        "tokens:write",
        "operators:read",
        "rbac:read",
        "audit:read",
    ],
    &["keys:write", "rbac:read", "keys:read"],
    &["resumes:read", "agents:read"],
    &[],
    &["tenants:read", "tenants:write", "agents:write"],
    // All that `readonly` holds, and leave to make operators.
    &[
        "memory_pin:read",
        "prometheus:query",
        "costsim:read",
        "policy:read",
        "rbac:read",
        "memory:read",
        "agents:read",
        "tokens:read",
        "services:read",
        "operators:read",
        "keys:read",
        "guards:read",
        "routes:read",
        "registry:read",
        "webhooks:read",
        "ssh:read",
        "audit:read",
        "decisions:read",
        "operators:write",
    ],
];

/// Sets of roles that operators are given.
pub const ROLES: [&[&str]; 9] = [
    &["readonly"],
    &["admin"],
    &["infra"],
    &["dev"],
    &["approver"],
    &["guest"],
    &["engineer"],
    &["owner"],
    &["readonly", "approver"],
];
