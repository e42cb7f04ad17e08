//! Token keys that are given: PEM in any of the forms that tools write.

use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der, PublicKeyX509Der};
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair, RsaKeyPair,
};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{PrivateKeyDer, SubjectPublicKeyInfoDer};
use zeroize::Zeroizing;

use super::jws::Algorithm;

/// A pair that was configured.
pub struct GivenKey {
    /// What it signs with.
    pub algorithm: Algorithm,
    /// PKCS#8.
    pub(super) der: Zeroizing<Vec<u8>>,
    /// SubjectPublicKeyInfo (RFC 5280 section 4.1.2.7).
    public: Vec<u8>,
}

/// Why it can't be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidKey {
    /// Not PEM, or no private key in it.
    #[error("must be a private key in PEM (PKCS#8, PKCS#1 or SEC1)")]
    Private,
    /// Another curve, or too short.
    #[error("must be RSA of 2048 to 8192 bits, P-256 or Ed25519")]
    Kind,
    /// Not PEM, or no public key in it.
    #[error("must be a public key in PEM")]
    Public,
    /// Of another pair.
    #[error("must be the public key of JWT_PRIVATE_KEY")]
    Mismatch,
}

impl GivenKey {
    /// Reads a private key. A literal `\n` is a line end: an environment variable is one line.
    ///
    /// # Errors
    /// When it is none that can sign tokens.
    pub fn from_pem(text: &str) -> Result<Self, InvalidKey> {
        let text = Zeroizing::new(text.replace("\\n", "\n"));
        let key =
            PrivateKeyDer::from_pem_slice(text.as_bytes()).map_err(|_| InvalidKey::Private)?;
        let der = key.secret_der();
        rsa(&key).or_else(|| ecdsa(&key)).or_else(|| ed25519(der)).ok_or(InvalidKey::Kind)
    }

    /// Checks that this is the public half.
    ///
    /// # Errors
    /// When it isn't.
    pub fn matches(&self, half: &PublicHalf) -> Result<(), InvalidKey> {
        let same = match half {
            PublicHalf::Info(der) => *der == self.public,
            // It is the last thing in the other form.
            PublicHalf::Pkcs1(der) => self.public.ends_with(der),
        };
        if same { Ok(()) } else { Err(InvalidKey::Mismatch) }
    }
}

/// A public key that was configured beside its private one.
#[derive(Debug)]
pub enum PublicHalf {
    /// SubjectPublicKeyInfo.
    Info(Vec<u8>),
    /// RSA as in PKCS#1 (RFC 8017 appendix A.1.1).
    Pkcs1(Vec<u8>),
}

impl PublicHalf {
    /// Reads a public key. A literal `\n` is a line end.
    ///
    /// # Errors
    /// When it is none.
    pub fn from_pem(text: &str) -> Result<Self, InvalidKey> {
        let text = text.replace("\\n", "\n");
        if text.contains("BEGIN RSA PUBLIC KEY") {
            return pem_body(&text).map(Self::Pkcs1).ok_or(InvalidKey::Public);
        }
        let info = SubjectPublicKeyInfoDer::from_pem_slice(text.as_bytes());
        info.map(|info| Self::Info(info.to_vec())).map_err(|_| InvalidKey::Public)
    }
}

impl std::fmt::Debug for GivenKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "GivenKey({})", self.algorithm.as_str())
    }
}

fn given(algorithm: Algorithm, der: &[u8], public: &PublicKeyX509Der<'_>) -> GivenKey {
    let der = Zeroizing::new(der.to_vec());
    GivenKey { algorithm, der, public: public.as_ref().to_vec() }
}

fn rsa(key: &PrivateKeyDer<'_>) -> Option<GivenKey> {
    let pair = match key {
        PrivateKeyDer::Pkcs1(der) => RsaKeyPair::from_der(der.secret_pkcs1_der()),
        PrivateKeyDer::Pkcs8(der) => RsaKeyPair::from_pkcs8(der.secret_pkcs8_der()),
        _ => return None,
    };
    let pair = pair.ok().filter(|pair| pair.public_modulus_len() >= 2048 / 8)?;
    let der = AsDer::<Pkcs8V1Der<'_>>::as_der(&pair).ok()?;
    Some(given(Algorithm::Rs256, der.as_ref(), &pair.public_key().as_der().ok()?))
}

fn ecdsa(key: &PrivateKeyDer<'_>) -> Option<GivenKey> {
    let algorithm = &ECDSA_P256_SHA256_FIXED_SIGNING;
    let pair = match key {
        PrivateKeyDer::Sec1(der) => {
            EcdsaKeyPair::from_private_key_der(algorithm, der.secret_sec1_der())
        }
        PrivateKeyDer::Pkcs8(der) => EcdsaKeyPair::from_pkcs8(algorithm, der.secret_pkcs8_der()),
        _ => return None,
    };
    let pair = pair.ok()?;
    let der = pair.to_pkcs8v1().ok()?;
    Some(given(Algorithm::Es256, der.as_ref(), &pair.public_key().as_der().ok()?))
}

fn ed25519(der: &[u8]) -> Option<GivenKey> {
    let pair = Ed25519KeyPair::from_pkcs8(der).ok()?;
    let der = pair.to_pkcs8().ok()?;
    Some(given(Algorithm::EdDsa, der.as_ref(), &pair.public_key().as_der().ok()?))
}

/// The one block of a PEM text (RFC 7468).
fn pem_body(text: &str) -> Option<Vec<u8>> {
    use base64::Engine as _;
    let lines = text.lines().map(str::trim).filter(|line| !line.starts_with("-----"));
    base64::engine::general_purpose::STANDARD.decode(lines.collect::<String>()).ok()
}

#[cfg(test)]
mod tests {
    use aws_lc_rs::encoding::EcPrivateKeyRfc5915Der;
    use aws_lc_rs::rsa::KeySize;
    use base64::Engine as _;

    use super::*;

    fn pem(label: &str, der: &[u8]) -> String {
        let body = base64::engine::general_purpose::STANDARD.encode(der);
        let lines: Vec<&str> =
            body.as_bytes().chunks(64).map(|line| std::str::from_utf8(line).unwrap()).collect();
        format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", lines.join("\n"))
    }

    #[test]
    fn rsa_is_read_from_pkcs_8_and_pkcs_1_and_matches_its_public_half_in_both_forms() {
        let pair = RsaKeyPair::generate(KeySize::Rsa2048).unwrap();
        let pkcs8 = AsDer::<Pkcs8V1Der<'_>>::as_der(&pair).unwrap();
        // RFC 5208 section 5: version and algorithm take 26 bytes, the rest is PKCS#1.
        let pkcs1 = &pkcs8.as_ref()[26..];
        let info = AsDer::<PublicKeyX509Der<'_>>::as_der(pair.public_key()).unwrap();
        let halves = [
            pem("PUBLIC KEY", info.as_ref()),
            pem("RSA PUBLIC KEY", pair.public_key().as_ref()).replace('\n', "\\n"),
        ];
        for private in [pem("PRIVATE KEY", pkcs8.as_ref()), pem("RSA PRIVATE KEY", pkcs1)] {
            let given = GivenKey::from_pem(&private).unwrap();
            assert_eq!(given.algorithm, Algorithm::Rs256);
            for half in &halves {
                assert_eq!(given.matches(&PublicHalf::from_pem(half).unwrap()), Ok(()));
            }
        }
    }

    #[test]
    fn p_256_is_read_from_sec_1_and_differs_from_another_pair() {
        let algorithm = &ECDSA_P256_SHA256_FIXED_SIGNING;
        let (one, other) = (
            EcdsaKeyPair::generate(algorithm).unwrap(),
            EcdsaKeyPair::generate(algorithm).unwrap(),
        );
        let sec1 = AsDer::<EcPrivateKeyRfc5915Der<'_>>::as_der(&one.private_key()).unwrap();
        // RFC 5915 section 3: the public half may be left out; then it is computed.
        let given = GivenKey::from_pem(&pem("EC PRIVATE KEY", sec1.as_ref())).unwrap();
        let half = |pair: &EcdsaKeyPair| {
            let info = AsDer::<PublicKeyX509Der<'_>>::as_der(pair.public_key()).unwrap();
            PublicHalf::from_pem(&pem("PUBLIC KEY", info.as_ref())).unwrap()
        };
        assert_eq!(given.matches(&half(&one)), Ok(()));
        assert_eq!(given.matches(&half(&other)), Err(InvalidKey::Mismatch));
    }
}
