//! Keys of services. None prints itself, none is cloned; the library that holds the expanded key
//! erases it when it is dropped, and the decoded bytes are erased here.

use std::fmt;

use aws_lc_rs::hmac::{self, HMAC_SHA256};
use aws_lc_rs::signature::{ED25519, Ed25519KeyPair, KeyPair as _, ParsedPublicKey};
use zeroize::Zeroizing;

/// Not a key: the text is not 64 hex digits, or the bytes are none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a key: expected {wanted}")]
pub struct InvalidKey {
    pub(crate) wanted: &'static str,
}

/// A shared key: whoever verifies with it can sign with it.
///
/// The two versions read the same 64 hex digits differently (contract 4.1 and 4.2), so it holds
/// both readings, expanded once.
pub struct HmacKey {
    /// Version 1: the digits themselves. Boxed, as expanded keys are large.
    pub(crate) text: Box<hmac::Key>,
    /// Version 2: the 32 bytes that they stand for.
    pub(crate) bytes: Box<hmac::Key>,
}

impl HmacKey {
    /// From 64 hex digits. Their case matters to version 1, which takes them as they are written.
    ///
    /// # Errors
    /// When they are not that.
    pub fn from_hex(text: &str) -> Result<Self, InvalidKey> {
        let bytes = decode_hex(text)?;
        Ok(Self {
            text: Box::new(hmac::Key::new(HMAC_SHA256, text.as_bytes())),
            bytes: Box::new(hmac::Key::new(HMAC_SHA256, &*bytes)),
        })
    }
}

/// A private Ed25519 key (RFC 8032).
pub struct Ed25519Key(Ed25519KeyPair);

impl Ed25519Key {
    /// From the 32 bytes of RFC 8032 section 5.1.5, which a JWK holds as `d`.
    ///
    /// # Errors
    /// When the library refuses them.
    pub fn from_seed(seed: &[u8; 32]) -> Result<Self, InvalidKey> {
        let pair = Ed25519KeyPair::from_seed_unchecked(seed);
        Ok(Self(pair.map_err(|_| InvalidKey { wanted: "an Ed25519 seed" })?))
    }

    /// The 32 bytes of its public key, which a JWK holds as `x`.
    #[must_use]
    pub fn public_key(&self) -> &[u8] {
        self.0.public_key().as_ref()
    }
}

/// A public Ed25519 key.
pub struct Ed25519PublicKey(ParsedPublicKey);

impl Ed25519PublicKey {
    /// From its 32 bytes, which a JWK holds as `x`.
    ///
    /// # Errors
    /// When they are not 32.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, InvalidKey> {
        let key = ParsedPublicKey::new(&ED25519, bytes);
        Ok(Self(key.map_err(|_| InvalidKey { wanted: "the 32 bytes of an Ed25519 public key" })?))
    }
}

/// What signs.
#[derive(Debug)]
pub enum SigningKey {
    /// `hmac-sha256`, both versions.
    Hmac(HmacKey),
    /// `ed25519`, version 2 only.
    Ed25519(Ed25519Key),
}

impl SigningKey {
    pub(crate) fn algorithm(&self) -> &'static str {
        match self {
            Self::Hmac(_) => HMAC_NAME,
            Self::Ed25519(_) => ED25519_NAME,
        }
    }

    /// Signs a signature base (RFC 9421 sections 3.3.3 and 3.3.6).
    pub(crate) fn sign(&self, base: &[u8]) -> Vec<u8> {
        match self {
            Self::Hmac(key) => hmac::sign(&key.bytes, base).as_ref().to_vec(),
            Self::Ed25519(key) => key.0.sign(base).as_ref().to_vec(),
        }
    }
}

/// What verifies.
#[derive(Debug)]
pub enum VerifyingKey {
    /// `hmac-sha256`, both versions.
    Hmac(HmacKey),
    /// `ed25519`, version 2 only.
    Ed25519(Ed25519PublicKey),
}

impl VerifyingKey {
    pub(crate) fn algorithm(&self) -> &'static str {
        match self {
            Self::Hmac(_) => HMAC_NAME,
            Self::Ed25519(_) => ED25519_NAME,
        }
    }

    /// Whether it made `signature` over `base`; in constant time where the key is secret.
    pub(crate) fn verifies(&self, base: &[u8], signature: &[u8]) -> bool {
        match self {
            Self::Hmac(key) => hmac::verify(&key.bytes, base, signature).is_ok(),
            Self::Ed25519(key) => key.0.verify_sig(base, signature).is_ok(),
        }
    }
}

// RFC 9421 section 6.2.2.
const HMAC_NAME: &str = "hmac-sha256";
const ED25519_NAME: &str = "ed25519";

/// 32 bytes from 64 hex digits.
pub(crate) fn decode_hex(text: &str) -> Result<Zeroizing<[u8; 32]>, InvalidKey> {
    let mut bytes = Zeroizing::new([0; 32]);
    let decoded = hex::decode_to_slice(text, &mut *bytes);
    decoded.map_err(|_| InvalidKey { wanted: "64 hex digits" })?;
    Ok(bytes)
}

impl fmt::Debug for HmacKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("HmacKey(***)")
    }
}

impl fmt::Debug for Ed25519Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Ed25519Key(***)")
    }
}

impl fmt::Debug for Ed25519PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Ed25519PublicKey({})", hex::encode(self.0.as_ref()))
    }
}
