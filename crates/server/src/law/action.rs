//! Every action that needs a permission, and which permission it needs.

/// An action: the type parameter of a [`super::permit::Permit`].
pub trait Action {
    /// The permission's resource.
    const RESOURCE: &'static str;
    /// The permission's action.
    const ACTION: &'static str;
}

macro_rules! actions {
    ($($(#[$doc:meta])* $name:ident $resource:literal $action:literal;)*) => {$(
        $(#[$doc])*
        #[derive(Debug)]
        pub enum $name {}
        impl Action for $name {
            const RESOURCE: &'static str = $resource;
            const ACTION: &'static str = $action;
        }
    )*};
}

actions! {
    /// Register an agent.
    CreateAgent "agents" "write";
    /// See agents.
    ReadAgents "agents" "read";
    /// Change or stop an agent.
    ChangeAgent "agents" "write";
    /// Make a credential.
    CreateCredential "agents" "write";
    /// See credentials, never their secrets.
    ReadCredentials "agents" "read";
    /// Give a credential a new secret.
    RotateCredential "agents" "write";
    /// End a credential.
    RevokeCredential "agents" "write";
    /// Learn what a token says.
    IntrospectToken "tokens" "read";
    /// End a token.
    RevokeToken "tokens" "write";
    /// See the signing keys' states.
    ReadKeys "keys" "read";
    /// Read the record.
    ReadRecord "audit" "read";
}
