//! Every action that needs a permission, which permission it needs, and over what.

/// An action: the type parameter of a [`super::permit::Permit`].
pub trait Action {
    /// The permission's resource.
    const RESOURCE: &'static str;
    /// The permission's action.
    const ACTION: &'static str;
    /// What it reaches.
    const REACH: Reach;
    /// The guard that says whether it is enforced; without one it always is.
    const GUARD: Option<&'static str> = None;
}

/// What an action reaches, and so who may be allowed it at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    /// What belongs to one tenant: whoever holds the permission there.
    Tenant,
    /// What all tenants share: whoever holds the permission in the tenant `default`, and those who
    /// cross tenants.
    Installation,
    /// The tenants themselves, and the process: those who cross tenants, by the role `infra`.
    Everything,
}

macro_rules! actions {
    ($($(#[$doc:meta])* $name:ident $resource:literal $action:literal $reach:ident $(behind $guard:literal)?;)*) => {$(
        $(#[$doc])*
        #[derive(Debug)]
        pub enum $name {}
        impl Action for $name {
            const RESOURCE: &'static str = $resource;
            const ACTION: &'static str = $action;
            const REACH: Reach = Reach::$reach;
            $(const GUARD: Option<&'static str> = Some($guard);)?
        }
    )*};
}

actions! {
    /// Register an agent.
    CreateAgent "agents" "write" Tenant;
    /// See agents.
    ReadAgents "agents" "read" Tenant;
    /// Change or stop an agent.
    ChangeAgent "agents" "write" Tenant;
    /// Stop an agent and all that it holds.
    QuarantineAgent "agents" "write" Tenant;
    /// Make a credential.
    CreateCredential "agents" "write" Tenant;
    /// See credentials, never their secrets.
    ReadCredentials "agents" "read" Tenant;
    /// Give a credential a new secret.
    RotateCredential "agents" "write" Tenant;
    /// End a credential.
    RevokeCredential "agents" "write" Tenant;
    /// Learn what a token says.
    IntrospectToken "tokens" "read" Tenant;
    /// End a token.
    RevokeToken "tokens" "write" Tenant;
    /// Make an operator, or a token of one.
    CreateOperator "operators" "write" Tenant;
    /// See operators and their tokens, never a secret.
    ReadOperators "operators" "read" Tenant;
    /// Change or remove an operator, or end a token of one.
    ChangeOperator "operators" "write" Tenant;
    /// See tenants.
    ReadTenants "tenants" "read" Everything;
    /// Make or change a tenant.
    WriteTenants "tenants" "write" Everything;
    /// See the signing keys' states.
    ReadKeys "keys" "read" Tenant;
    /// Move, import, reseal or revoke signing keys.
    WriteKeys "keys" "write" Installation;
    /// See the role matrix and decisions by it.
    ReadMatrix "rbac" "read" Tenant;
    /// Change the role matrix, or shorten what the record keeps of decisions by it.
    ReloadMatrix "rbac" "reload" Installation;
    /// Upload a role matrix: whoever can, can give any role any permission, in every tenant.
    UploadMatrix "rbac" "reload" Everything;
    /// Ask for a decision about oneself.
    AskDecision "decisions" "ask" Tenant;
    /// Ask for a decision about anybody.
    AskAboutOthers "decisions" "ask_any" Tenant;
    /// See what was decided, and why.
    ReadDecisions "decisions" "read" Tenant;
    /// See the registry that is in force.
    ReadRegistry "registry" "read" Tenant;
    /// Load another registry: whoever can, can say who may do what.
    LoadRegistry "registry" "write" Installation;
    /// See the packages that are in force.
    ReadPackages "policy" "read" Tenant behind "rbac";
    /// Read the packages again.
    ReloadPackages "rbac" "reload" Installation;
    /// See the route table.
    ReadRoutes "routes" "read" Installation;
    /// Put another route table in force: whoever can, opens and closes every service behind a gateway.
    WriteRoutes "routes" "write" Installation;
    /// See the guards and their modes.
    ReadGuards "guards" "read" Installation;
    /// See what guards have denied or would have, whoever it was.
    ReportGuards "guards" "read" Installation;
    /// Change a guard, or accept what it denies.
    WriteGuards "guards" "write" Installation;
    /// See what the server was configured with.
    ReadConfig "config" "read" Everything;
    /// Read the record.
    ReadRecord "audit" "read" Tenant;
    /// Let events go that the record need not keep any longer.
    ExpireEvents "audit" "expire" Everything;
}
