//! A seal: a signed Merkle root over a run of events, chained to the seal before.

use aws_lc_rs::signature::{ED25519, UnparsedPublicKey};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};

use super::merkle::Hash;
use crate::clock::Time;
use crate::db::{self, Row};
use crate::keyring::{TokenKey, UnusableKey};

/// A seal, as it is published. Its members are in the order of RFC 8785.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Seal {
    /// How many events.
    pub count: i64,
    /// Which key signed it: RFC 7638 thumbprint.
    pub kid: String,
    /// SHA-256 of the signed text of the seal before; [`Hash::NONE`] in the first.
    #[serde(with = "as_text")]
    pub previous: Hash,
    /// RFC 6962 root over the events' texts.
    #[serde(with = "as_text")]
    pub root: Hash,
    /// Its number, from 1.
    pub seal: i64,
    /// Ed25519 (RFC 8032) over [`Seal::signed_text`], base64url.
    pub signature: String,
    /// When it was made.
    pub time: Time,
}

impl Seal {
    /// What is signed, and what the next seal's `previous` is the hash of: the RFC 8785 form of all
    /// members but the signature.
    #[must_use]
    pub fn signed_text(&self) -> String {
        // INVARIANT: in the order of RFC 8785 section 3.2.3. No value holds what needs escaping.
        format!(
            r#"{{"count":{},"kid":"{}","previous":"{}","root":"{}","seal":{},"time":"{}"}}"#,
            self.count, self.kid, self.previous, self.root, self.seal, self.time
        )
    }

    /// What the next seal's `previous` must be.
    #[must_use]
    pub fn digest(&self) -> Hash {
        Hash::of(self.signed_text().as_bytes())
    }

    /// Signs it; whatever signature it had goes.
    ///
    /// # Errors
    /// When the library can't sign.
    pub fn sign(mut self, key: &TokenKey) -> Result<Self, UnusableKey> {
        key.kid().clone_into(&mut self.kid);
        self.signature = URL_SAFE_NO_PAD.encode(key.signature(self.signed_text().as_bytes())?);
        Ok(self)
    }

    /// Whether this public key signed it.
    #[must_use]
    pub fn is_signed_by(&self, key: &SealJwk) -> bool {
        verifies(key, self.signed_text().as_bytes(), &self.signature)
    }

    /// Of `seal, count, root, previous, time, kid, signature`; or the number of a row that holds
    /// something else, and what is wrong with it.
    pub(super) fn from_row(row: &mut Row) -> Result<Self, (i64, db::Error)> {
        let seal = row.take().map_err(|error| (0, error))?;
        Self::rest_of_row(seal, row).map_err(|error| (seal, error))
    }

    fn rest_of_row(seal: i64, row: &mut Row) -> db::Result<Self> {
        let count = row.take()?;
        let (root, previous): (String, String) = (row.take()?, row.take()?);
        let (time, kid, signature) = (row.take()?, row.take()?, row.take()?);
        let hash = |text: &str| text.parse().map_err(|_| db::Error::Query(format!("seal {seal}")));
        let (root, previous) = (hash(&root)?, hash(&previous)?);
        Ok(Self { count, kid, previous, root, seal, signature, time })
    }
}

/// A published key of seals (RFC 8037 section 2); members that are not needed to verify are passed over.
#[derive(Debug, Clone, Deserialize)]
#[serde(from = "Jwk")]
pub struct SealJwk {
    /// RFC 7638 thumbprint, whatever the key says of itself.
    pub kid: String,
    crv: String,
    x: String,
}

#[derive(Deserialize)]
struct Jwk {
    crv: String,
    x: String,
}

impl From<Jwk> for SealJwk {
    fn from(Jwk { crv, x }: Jwk) -> Self {
        let name = |text: &str| serde_json::Value::from(text);
        let text = format!(r#"{{"crv":{},"kty":"OKP","x":{}}}"#, name(&crv), name(&x));
        Self { kid: URL_SAFE_NO_PAD.encode(Hash::of(text.as_bytes()).0), crv, x }
    }
}

/// Whether `key` made this signature (base64url) over `text`.
#[must_use]
pub(super) fn verifies(key: &SealJwk, text: &[u8], signature: &str) -> bool {
    let decode = |text: &str| URL_SAFE_NO_PAD.decode(text).ok();
    let (Some(public), Some(signature)) = (decode(&key.x), decode(signature)) else { return false };
    key.crv == "Ed25519"
        && UnparsedPublicKey::new(&ED25519, public).verify(text, &signature).is_ok()
}

mod as_text {
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    use super::Hash;

    pub(super) fn serialize<S: Serializer>(hash: &Hash, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(hash)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Hash, D::Error> {
        let text = String::deserialize(from)?;
        text.parse().map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keyring::Algorithm;

    #[test]
    fn a_seal_is_signed_over_the_canonical_form_of_its_other_members() {
        let key =
            TokenKey::from_pkcs8(Algorithm::EdDsa, &TokenKey::generate(Algorithm::EdDsa).unwrap());
        let key = key.unwrap();
        let seal = Seal {
            count: 3,
            kid: String::new(),
            previous: Hash::NONE,
            root: Hash::of(b"root"),
            seal: 1,
            signature: String::new(),
            time: Time(1_700_000_000_123_000),
        };
        let seal = seal.sign(&key).unwrap();
        let mut value = serde_json::to_value(&seal).unwrap();
        let jwk: SealJwk =
            serde_json::from_value(serde_json::to_value(key.jwk()).unwrap()).unwrap();
        assert!(seal.is_signed_by(&jwk));
        assert!(!Seal { count: 4, ..seal.clone() }.is_signed_by(&jwk));
        assert_eq!(serde_json::from_value::<Seal>(value.clone()).unwrap(), seal);
        value.as_object_mut().unwrap().remove("signature");
        // serde_json's map is sorted by bytes, which for these names is RFC 8785's order.
        assert_eq!(value.to_string(), seal.signed_text());
    }
}
