//! Services: who signs, and with which keys.

use std::borrow::Borrow;
use std::fmt;
use std::str::FromStr;

use crate::key::VerifyingKey;

/// Names a service, such as `main-backend`: 1 to 64 of `a`-`z`, `0`-`9` and `-` (contract 4.3).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ServiceId(String);

/// Not a service id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected 1 to 64 of a-z, 0-9 and `-`")]
pub struct InvalidServiceId;

impl ServiceId {
    /// As it is written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for ServiceId {
    type Err = InvalidServiceId;

    fn from_str(text: &str) -> Result<Self, InvalidServiceId> {
        let known = |c: u8| matches!(c, b'a'..=b'z' | b'0'..=b'9' | b'-');
        let good = (1..=64).contains(&text.len()) && text.bytes().all(known);
        good.then(|| Self(text.to_owned())).ok_or(InvalidServiceId)
    }
}

impl fmt::Display for ServiceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// So that a map by `ServiceId` can be asked with a `&str`.
impl Borrow<str> for ServiceId {
    fn borrow(&self) -> &str {
        &self.0
    }
}

/// Which of several keys; written `v` and the number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyVersion(u32);

/// Not a key version.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected `v` and a number without leading zeros")]
pub struct InvalidKeyVersion;

impl From<u32> for KeyVersion {
    fn from(number: u32) -> Self {
        Self(number)
    }
}

impl From<KeyVersion> for u32 {
    fn from(version: KeyVersion) -> Self {
        version.0
    }
}

impl FromStr for KeyVersion {
    type Err = InvalidKeyVersion;

    fn from_str(text: &str) -> Result<Self, InvalidKeyVersion> {
        let number = text.strip_prefix('v').and_then(|number| number.parse().ok());
        let version = Self(number.ok_or(InvalidKeyVersion)?);
        // `v01` and `v+1` would be other names of the same key.
        (version.to_string() == text).then_some(version).ok_or(InvalidKeyVersion)
    }
}

impl fmt::Display for KeyVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "v{}", self.0)
    }
}

/// How a request was signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SignatureVersion {
    /// [`v1`](crate::v1).
    V1,
    /// [`v2`](crate::v2).
    V2,
}

/// What a verifier knows of one service.
#[derive(Debug)]
pub struct Service {
    /// Its keys, in any order. Expired ones may stay: they explain a refusal and never verify.
    pub keys: Vec<ServiceKey>,
    /// The lowest version that it may still sign with.
    pub minimum_version: SignatureVersion,
}

/// One version of a service's key.
#[derive(Debug)]
pub struct ServiceKey {
    /// Which one.
    pub version: KeyVersion,
    /// The key.
    pub key: VerifyingKey,
    /// The first Unix second in which it does not verify any more; `None`: it does not expire.
    pub expires: Option<i64>,
}

impl ServiceKey {
    pub(crate) fn is_live(&self, now: i64) -> bool {
        self.expires.is_none_or(|expires| now < expires)
    }
}
