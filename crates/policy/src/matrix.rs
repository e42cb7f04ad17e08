//! The role matrix: which role holds which permission (NIST RBAC, INCITS 359).

mod file;

use std::collections::HashMap;
use std::sync::{Arc, LazyLock};

use crate::decision::{Policy, Reason};
use crate::permission::{Permission, Permissions};

pub use file::InvalidMatrix;

/// Roles and what each may do. Looked up by key: a decision costs the same with any number of
/// roles and permissions.
#[derive(Debug)]
pub struct Matrix {
    text: Box<str>,
    version: String,
    hash: Arc<str>,
    /// In the file's order, which decides whose name a decision's reason carries.
    roles: Vec<Arc<str>>,
    /// Roles and their aliases, by where the role stands in `roles`.
    names: HashMap<Box<str>, u16>,
    /// Resource, action, and who holds it, in the order of `roles`.
    holders: HashMap<Box<str>, HashMap<Box<str>, Vec<u16>>>,
    /// How long the record keeps role decisions, if the file says.
    retention_days: Option<u32>,
}

impl Matrix {
    /// The one that is built in.
    #[expect(clippy::expect_used, reason = "the text is part of the program and a test parses it")]
    #[must_use]
    pub fn built_in() -> Self {
        Self::parse(include_str!("matrix/default.json")).expect("the built-in matrix parses")
    }

    /// First 16 hex digits of SHA-256 over the canonical form of the file (RFC 8785).
    #[must_use]
    pub fn hash(&self) -> &str {
        &self.hash
    }

    /// As the policy that answered.
    #[must_use]
    pub fn policy(&self) -> Policy {
        static RBAC: LazyLock<Arc<str>> = LazyLock::new(|| "rbac".into());
        Policy { package: Arc::clone(&RBAC), version: Arc::clone(&self.hash), registry: None }
    }

    /// What the file calls its version; not what decides: that is the hash.
    #[must_use]
    pub fn version(&self) -> &str {
        &self.version
    }

    /// The file as it was read.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Its roles, in the file's order.
    pub fn roles(&self) -> impl ExactSizeIterator<Item = &str> {
        self.roles.iter().map(|role| &**role)
    }

    /// Its resources, sorted.
    #[must_use]
    pub fn resources(&self) -> Vec<&str> {
        let mut resources: Vec<&str> = self.holders.keys().map(|resource| &**resource).collect();
        resources.sort_unstable();
        resources
    }

    /// How many days the file wants role decisions kept.
    #[must_use]
    pub fn retention_days(&self) -> Option<u32> {
        self.retention_days
    }

    /// The role that a name or an alias means.
    #[must_use]
    pub fn role(&self, name: &str) -> Option<&str> {
        self.names.get(name).map(|&role| &*self.roles[usize::from(role)])
    }

    /// Whether any role holds this permission (as text): the vocabulary.
    #[must_use]
    pub fn knows(&self, permission: &str) -> bool {
        let parts = permission.split_once(':');
        parts.is_some_and(|(resource, action)| self.holders(resource, action).is_some())
    }

    /// The first role, in the file's order, by which one of `roles` may do it.
    pub fn granting<'r>(
        &self,
        roles: impl IntoIterator<Item = &'r str>,
        resource: &str,
        action: &str,
    ) -> Option<&Arc<str>> {
        let holders = self.holders(resource, action)?;
        let named = roles.into_iter().filter_map(|name| self.names.get(name));
        let first = named.filter(|role| holders.binary_search(role).is_ok()).min()?;
        Some(&self.roles[usize::from(*first)])
    }

    /// Why somebody with these roles may do it, or why not.
    ///
    /// # Errors
    /// The reason against it.
    pub fn decide<'r>(
        &self,
        roles: impl IntoIterator<Item = &'r str>,
        resource: &str,
        action: &str,
    ) -> Result<Reason, Reason> {
        let mut roles = roles.into_iter().peekable();
        if roles.peek().is_none() {
            return Err(Reason::NoCredentials);
        }
        let role = self.granting(roles, resource, action);
        role.map(|role| Reason::Role(Arc::clone(role))).ok_or(Reason::InsufficientPermissions)
    }

    /// All that these roles hold together, sorted.
    #[must_use]
    pub fn permissions<'r>(&self, roles: impl IntoIterator<Item = &'r str>) -> Permissions {
        let roles: Vec<u16> =
            roles.into_iter().filter_map(|name| self.names.get(name).copied()).collect();
        let mut held = Vec::new();
        for (resource, actions) in &self.holders {
            for (action, holders) in actions {
                if roles.iter().any(|role| holders.binary_search(role).is_ok()) {
                    held.extend(format!("{resource}:{action}").parse::<Permission>());
                }
            }
        }
        held.sort_unstable();
        Permissions::from_sorted(held)
    }

    /// Whether any role holds anything of this resource.
    #[must_use]
    pub fn knows_resource(&self, resource: &str) -> bool {
        self.holders.contains_key(resource)
    }

    /// What can be done to a resource, sorted.
    #[must_use]
    pub fn actions(&self, resource: &str) -> Vec<&str> {
        let actions = self.holders.get(resource).into_iter().flat_map(HashMap::keys);
        let mut actions: Vec<&str> = actions.map(|action| &**action).collect();
        actions.sort_unstable();
        actions
    }

    fn holders(&self, resource: &str, action: &str) -> Option<&Vec<u16>> {
        self.holders.get(resource)?.get(action)
    }
}
