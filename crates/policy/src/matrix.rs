//! The role matrix: which role holds which permission.

use std::collections::{HashMap, HashSet};

use aws_lc_rs::digest::{SHA256, digest};
use serde::Deserialize;
use serde_json::Value;

use crate::canonical;

/// Roles and what each may do. Looked up by key: a decision costs the same with any number of
/// roles.
#[derive(Debug)]
pub struct Matrix {
    /// In the file's order, which decides whose name a decision's reason carries.
    roles: Vec<String>,
    aliases: HashMap<String, String>,
    grants: HashMap<String, HashMap<String, HashSet<String>>>,
    known: HashSet<String>,
    hash: String,
}

/// The text is not a matrix.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidMatrix {
    /// Not JSON, or not of this shape.
    #[error("the matrix does not parse: {0}")]
    Shape(String),
    /// The matrix or an alias names a role that `roles` does not list.
    #[error("`{0}` is not in `roles`")]
    UnknownRole(String),
}

#[derive(Deserialize)]
struct File {
    roles: Vec<String>,
    #[serde(default)]
    aliases: HashMap<String, String>,
    matrix: HashMap<String, HashMap<String, HashSet<String>>>,
}

impl Matrix {
    /// The one that is built in.
    #[expect(clippy::expect_used, reason = "the text is part of the program and a test parses it")]
    #[must_use]
    pub fn built_in() -> Self {
        Self::parse(include_str!("matrix/default.json")).expect("the built-in matrix parses")
    }

    /// Reads a matrix from JSON.
    ///
    /// # Errors
    /// When it is not one.
    pub fn parse(text: &str) -> Result<Self, InvalidMatrix> {
        let shape = |error: serde_json::Error| InvalidMatrix::Shape(error.to_string());
        let value: Value = serde_json::from_str(text).map_err(shape)?;
        let hash = digest(&SHA256, canonical(&value).as_bytes());
        let File { roles, aliases, matrix } = serde_json::from_value(value).map_err(shape)?;
        if let Some(unknown) =
            matrix.keys().chain(aliases.values()).find(|role| !roles.contains(role))
        {
            return Err(InvalidMatrix::UnknownRole(unknown.clone()));
        }
        let known = matrix
            .values()
            .flatten()
            .flat_map(|(resource, actions)| {
                actions.iter().map(move |action| format!("{resource}:{action}"))
            })
            .collect();
        let hash = hex::encode(&hash.as_ref()[..8]);
        Ok(Self { roles, aliases, grants: matrix, known, hash })
    }

    /// First 16 hex digits of SHA-256 over the canonical form of the file.
    #[must_use]
    pub fn hash(&self) -> &str {
        &self.hash
    }

    /// Whether any role holds this permission: the vocabulary.
    #[must_use]
    pub fn knows(&self, permission: &str) -> bool {
        self.known.contains(permission)
    }

    /// The first role, in the file's order, by which one of `roles` may do it.
    pub fn granting<'r>(
        &self,
        roles: impl IntoIterator<Item = &'r str>,
        resource: &str,
        action: &str,
    ) -> Option<&str> {
        let grants = |role: &&str| {
            let actions = self.grants.get(*role).and_then(|resources| resources.get(resource));
            actions.is_some_and(|actions| actions.contains(action))
        };
        let order = |role: &&str| self.roles.iter().position(|known| known == role);
        let named = roles.into_iter().filter_map(|role| self.role(role));
        named.filter(grants).min_by_key(order)
    }

    /// The role that a name or an alias means.
    fn role(&self, name: &str) -> Option<&str> {
        let name = self.aliases.get(name).map_or(name, String::as_str);
        self.roles.iter().map(String::as_str).find(|role| *role == name)
    }
}
