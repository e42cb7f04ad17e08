//! Secrets: three types, so that what may leave, what is compared and what is recovered differ.

use aws_lc_rs::hmac;
use secrecy::{ExposeSecret, SecretString};
use subtle::ConstantTimeEq;

use crate::entropy::Entropy;

/// A secret in the clear. It leaves once, through [`Secret::reveal`]; nothing prints or copies it.
#[derive(Debug)] // `SecretString` redacts itself
pub struct Secret(SecretString);

impl Secret {
    /// 256 random bits as 64 hex digits, behind a prefix that secret scanners recognise.
    #[must_use]
    pub fn generate(prefix: &str, entropy: &Entropy) -> Self {
        Self(format!("{prefix}{}", hex::encode(entropy.secret())).into())
    }

    /// Takes over a secret that came from outside.
    #[must_use]
    pub fn new(text: String) -> Self {
        Self(text.into())
    }

    /// The one way out.
    #[must_use]
    pub fn reveal(&self) -> &str {
        self.0.expose_secret()
    }
}

/// What is kept of a secret that only needs to be compared: HMAC-SHA-256 under the digest key.
///
/// A fast digest is enough: the input has 256 bits of entropy.
#[derive(Clone, Copy)]
pub struct SecretDigest(pub(crate) [u8; 32]);

impl SecretDigest {
    /// The bytes for the database.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// From the database's bytes; `None` when they are not 32.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        Some(Self(bytes.try_into().ok()?))
    }
}

/// Takes the same time whichever byte differs.
impl PartialEq for SecretDigest {
    fn eq(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}
impl Eq for SecretDigest {}

impl std::fmt::Debug for SecretDigest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SecretDigest(***)")
    }
}

/// The key under which secrets are digested.
pub struct DigestKey {
    key: hmac::Key,
    /// Which version of the ring's digest key this is.
    pub version: i64,
}

impl DigestKey {
    /// From the ring's 32 bytes.
    #[must_use]
    pub fn new(version: i64, bytes: &[u8]) -> Self {
        Self { key: hmac::Key::new(hmac::HMAC_SHA256, bytes), version }
    }

    /// The digest of `secret`.
    #[must_use]
    pub fn digest(&self, secret: &str) -> SecretDigest {
        let tag = hmac::sign(&self.key, secret.as_bytes());
        let mut bytes = [0; 32];
        bytes.copy_from_slice(tag.as_ref());
        SecretDigest(bytes)
    }
}

impl std::fmt::Debug for DigestKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "DigestKey(version {})", self.version)
    }
}

/// A secret that must be recovered, sealed with AES-256-GCM under the master key.
#[derive(Clone, PartialEq, Eq)]
pub struct SealedSecret(pub(crate) Vec<u8>);

impl SealedSecret {
    /// The bytes for the database: a nonce of 12 bytes, then ciphertext and tag.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// From the database's bytes.
    #[must_use]
    pub fn from_bytes(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }
}

impl std::fmt::Debug for SealedSecret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SealedSecret(***)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_secret_prints_itself() {
        let secret = Secret::generate("sk_live_", &Entropy::seeded(1));
        let digest = DigestKey::new(1, &[7; 32]).digest(secret.reveal());
        let shown = format!("{secret:?} {digest:?} {:?}", SealedSecret(vec![1, 2, 3]));
        assert!(!shown.contains(secret.reveal()) && !shown.contains("sk_live"), "{shown}");
        assert!(!shown.contains(&hex::encode(digest.as_bytes())), "{shown}");
        assert_eq!(secret.reveal().len(), "sk_live_".len() + 64);
    }
}
