//! The master key: seals what must be recovered, with AES-256-GCM.

use std::sync::Arc;

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use aws_lc_rs::digest::{SHA256, digest};
use zeroize::Zeroizing;

use crate::entropy::Entropy;
use crate::secret::SealedSecret;

/// The key under which the ring is sealed. It is never in the database or a backup.
#[derive(Clone)]
pub struct MasterKey {
    key: Arc<LessSafeKey>,
    id: String,
}

/// The master key, and the one before it, under which rows may still be sealed.
#[derive(Debug, Clone)]
pub struct Masters {
    /// Seals, and opens.
    pub current: MasterKey,
    /// Opens what was sealed before.
    pub previous: Option<MasterKey>,
}

impl Masters {
    /// Seals under the current one.
    #[must_use]
    pub fn seal(&self, purpose: &str, plain: &[u8], entropy: &Entropy) -> SealedSecret {
        self.current.seal(purpose, plain, entropy)
    }

    /// Opens what either sealed for that place.
    ///
    /// # Errors
    /// When neither did, or it is not what was sealed.
    pub fn open(
        &self,
        purpose: &str,
        sealed_by: &str,
        sealed: &SealedSecret,
    ) -> Result<Zeroizing<Vec<u8>>, Unsealable> {
        let previous = self.previous.as_ref().filter(|previous| previous.id() == sealed_by);
        previous.unwrap_or(&self.current).open(purpose, sealed_by, sealed)
    }
}

/// What was sealed does not open.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unsealable {
    /// The row names another master key.
    #[error("it was sealed under master key `{sealed_by}`, this one is `{ours}`")]
    OtherKey {
        /// Named by the row.
        sealed_by: String,
        /// The one at hand.
        ours: String,
    },
    /// Changed, cut short, or moved from another row.
    #[error("the sealed value was changed or belongs to another row")]
    Tampered,
}

impl MasterKey {
    /// From 64 hex digits; `None` when they are not.
    #[must_use]
    pub fn from_hex(text: &str) -> Option<Self> {
        let bytes = Zeroizing::new(hex::decode(text.trim()).ok()?);
        let key = UnboundKey::new(&AES_256_GCM, &bytes).ok()?;
        // Names the key without telling anything about it.
        let named = digest(&SHA256, &[b"countersign master key ".as_slice(), &bytes].concat());
        Some(Self { key: Arc::new(LessSafeKey::new(key)), id: hex::encode(&named.as_ref()[..8]) })
    }

    /// Which master key this is.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Seals `plain` for the place that `purpose` names.
    #[must_use]
    pub fn seal(&self, purpose: &str, plain: &[u8], entropy: &Entropy) -> SealedSecret {
        let nonce: [u8; NONCE_LEN] = entropy.bytes();
        let mut text = Zeroizing::new(plain.to_vec());
        let aad = Aad::from(purpose.as_bytes());
        let tag = self.key.seal_in_place_separate_tag(
            Nonce::assume_unique_for_key(nonce),
            aad,
            text.as_mut_slice(),
        );
        let mut sealed = nonce.to_vec();
        // Sealing a few kilobytes can't fail; if it did, the value would not open, never leak.
        if let Ok(tag) = tag {
            sealed.extend_from_slice(&text);
            sealed.extend_from_slice(tag.as_ref());
        }
        SealedSecret(sealed)
    }

    /// Opens what was sealed for that place.
    ///
    /// # Errors
    /// When another key sealed it, or it is not what was sealed.
    pub fn open(
        &self,
        purpose: &str,
        sealed_by: &str,
        sealed: &SealedSecret,
    ) -> Result<Zeroizing<Vec<u8>>, Unsealable> {
        if sealed_by != self.id {
            let (sealed_by, ours) = (sealed_by.to_owned(), self.id.clone());
            return Err(Unsealable::OtherKey { sealed_by, ours });
        }
        let (nonce, text) =
            sealed.0.split_first_chunk::<NONCE_LEN>().ok_or(Unsealable::Tampered)?;
        let mut text = Zeroizing::new(text.to_vec());
        let nonce = Nonce::assume_unique_for_key(*nonce);
        let plain = self
            .key
            .open_in_place(nonce, Aad::from(purpose.as_bytes()), text.as_mut_slice())
            .map_err(|_| Unsealable::Tampered)?;
        Ok(Zeroizing::new(plain.to_vec()))
    }
}

impl std::fmt::Debug for MasterKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "MasterKey({})", self.id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sealed_value_opens_only_in_its_place_and_under_its_key() {
        let entropy = Entropy::seeded(1);
        let key = MasterKey::from_hex(&"07".repeat(32)).unwrap();
        let other = MasterKey::from_hex(&"08".repeat(32)).unwrap();
        let mut sealed = key.seal("digest|1", b"plain", &entropy);
        assert_eq!(key.open("digest|1", key.id(), &sealed).unwrap().as_slice(), b"plain");
        assert_eq!(key.open("digest|2", key.id(), &sealed), Err(Unsealable::Tampered));
        assert!(matches!(
            other.open("digest|1", key.id(), &sealed),
            Err(Unsealable::OtherKey { .. })
        ));
        sealed.0[14] ^= 1;
        assert_eq!(key.open("digest|1", key.id(), &sealed), Err(Unsealable::Tampered));
        sealed.0.truncate(5);
        assert_eq!(key.open("digest|1", key.id(), &sealed), Err(Unsealable::Tampered));
    }

    #[test]
    fn a_master_key_is_64_hex_digits() {
        for wrong in ["", "07", &"0g".repeat(32), &"07".repeat(33)] {
            assert!(MasterKey::from_hex(wrong).is_none(), "{wrong}");
        }
    }
}
