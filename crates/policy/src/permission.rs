//! Permissions: `resource:action`. OAuth scopes are permissions held by a token.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// One permission, such as `agents:write`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Permission(Arc<str>);

/// Not of the form `resource:action`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected `resource:action` of letters, digits, `_`, `-` and `.`, at most 128 characters")]
pub struct InvalidPermission;

const LONGEST: usize = 128;

impl Permission {
    /// What stands before the colon.
    #[must_use]
    pub fn resource(&self) -> &str {
        self.0.split_once(':').map_or("", |(resource, _)| resource)
    }

    /// What stands behind it.
    #[must_use]
    pub fn action(&self) -> &str {
        self.0.split_once(':').map_or("", |(_, action)| action)
    }

    /// As it is written, shared.
    #[must_use]
    pub fn shared(&self) -> Arc<str> {
        Arc::clone(&self.0)
    }

    /// As it is written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Permission {
    type Err = InvalidPermission;

    /// A subset of the scope tokens of RFC 6749 section 3.3.
    fn from_str(text: &str) -> Result<Self, InvalidPermission> {
        match text.split_once(':') {
            Some((resource, action))
                if text.len() <= LONGEST && is_word(resource) && is_word(action) =>
            {
                Ok(Self(text.into()))
            }
            _ => Err(InvalidPermission),
        }
    }
}

/// Whether this may be a resource, an action or a role.
pub(crate) fn is_word(text: &str) -> bool {
    !text.is_empty()
        && text.len() < LONGEST
        && text.bytes().all(|c| c.is_ascii_alphanumeric() || b"_-.".contains(&c))
}

impl fmt::Display for Permission {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl fmt::Debug for Permission {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Serialize for Permission {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Permission {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// A set of permissions in the order they were given, each once.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize)]
#[serde(transparent)]
pub struct Permissions(Vec<Permission>);

impl Permissions {
    /// Whether `permission` (as text) is in the set.
    #[must_use]
    pub fn holds(&self, permission: &str) -> bool {
        self.0.iter().any(|held| &*held.0 == permission)
    }

    /// Of permissions that are sorted, and so each there once.
    pub(crate) fn from_sorted(mut sorted: Vec<Permission>) -> Self {
        sorted.dedup();
        Self(sorted)
    }

    /// The permissions in their order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &Permission> {
        self.0.iter()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Reads an OAuth scope: permissions with one space between (RFC 6749 section 3.3).
    ///
    /// # Errors
    /// When one is not a permission, or it is empty.
    pub fn from_scope(scope: &str) -> Result<Self, InvalidPermission> {
        scope.split(' ').map(str::parse).collect()
    }

    /// As an OAuth scope.
    #[must_use]
    pub fn to_scope(&self) -> String {
        let mut scope = String::with_capacity(self.0.iter().map(|p| p.0.len() + 1).sum());
        for permission in &self.0 {
            if !scope.is_empty() {
                scope.push(' ');
            }
            scope.push_str(&permission.0);
        }
        scope
    }
}

impl FromIterator<Permission> for Permissions {
    fn from_iter<I: IntoIterator<Item = Permission>>(permissions: I) -> Self {
        let mut set = Vec::new();
        for permission in permissions {
            if !set.contains(&permission) {
                set.push(permission);
            }
        }
        Self(set)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_permission_is_two_words_with_a_colon() {
        let permission: Permission = "memory_pin:delete".parse().unwrap();
        assert_eq!((permission.resource(), permission.action()), ("memory_pin", "delete"));
        let long = "a".repeat(128);
        for wrong in ["", ":", "a:", ":b", "a:b:c", "a b:c", "a:b ", "ä:b", "a", "a:*", &long] {
            assert_eq!(wrong.parse::<Permission>(), Err(InvalidPermission), "{wrong}");
        }
    }

    #[test]
    fn a_scope_is_read_once_each_and_written_back() {
        let set = Permissions::from_scope("b:x a:x b:x").unwrap();
        assert_eq!(set.to_scope(), "b:x a:x");
        for wrong in ["", " ", "a:x ", " a:x", "a:x  b:x", "a:x\tb:x"] {
            assert!(Permissions::from_scope(wrong).is_err(), "{wrong:?}");
        }
    }
}
