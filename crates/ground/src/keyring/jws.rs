//! Keys that sign and verify tokens: JWS compact serialization (RFC 7515 section 3.1) with RS256,
//! ES256 (RFC 7518) and EdDSA (RFC 8037). A key is parsed once, never per token.

use std::str::FromStr;

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::encoding::AsDer;
use aws_lc_rs::error::Unspecified;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P256_SHA256_FIXED_SIGNING, ED25519, EcdsaKeyPair,
    Ed25519KeyPair, KeyPair, ParsedPublicKey, RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_SHA256,
    RsaKeyPair,
};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Serialize;
use zeroize::Zeroizing;

/// How tokens are signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Algorithm {
    /// RSASSA-PKCS1-v1_5 with SHA-256, 2048 bits.
    Rs256,
    /// ECDSA on P-256 with SHA-256.
    Es256,
    /// Ed25519.
    EdDsa,
}

impl Algorithm {
    /// The `alg` of RFC 7518 and RFC 8037.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Rs256 => "RS256",
            Self::Es256 => "ES256",
            Self::EdDsa => "EdDSA",
        }
    }
}

impl FromStr for Algorithm {
    type Err = crate::ids::ParseIdError;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let known = [Self::Rs256, Self::Es256, Self::EdDsa];
        let found = known.into_iter().find(|algorithm| algorithm.as_str() == text);
        found.ok_or(crate::ids::ParseIdError { wanted: "`RS256`, `ES256` or `EdDSA`" })
    }
}

/// Not a private key of its algorithm.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a private key of its algorithm")]
pub struct UnusableKey;

impl From<Unspecified> for UnusableKey {
    fn from(_: Unspecified) -> Self {
        Self
    }
}
impl From<aws_lc_rs::error::KeyRejected> for UnusableKey {
    fn from(_: aws_lc_rs::error::KeyRejected) -> Self {
        Self
    }
}

/// A public key as RFC 7517 writes it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Jwk {
    /// `RSA`, `EC` or `OKP`.
    pub kty: &'static str,
    /// Always `sig`.
    #[serde(rename = "use")]
    pub usage: &'static str,
    /// RFC 7518 name.
    pub alg: &'static str,
    /// RFC 7638 thumbprint.
    pub kid: String,
    /// The curve, unless RSA.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub crv: Option<&'static str>,
    /// First coordinate, or the Ed25519 key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub x: Option<String>,
    /// Second coordinate.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub y: Option<String>,
    /// RSA modulus.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub n: Option<String>,
    /// RSA exponent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub e: Option<String>,
}

enum Signer {
    Rsa(RsaKeyPair),
    Ecdsa(EcdsaKeyPair),
    Ed25519(Ed25519KeyPair),
}

/// A pair that signs tokens.
pub struct TokenKey {
    signer: Signer,
    public: ParsedPublicKey,
    jwk: Jwk,
    /// The encoded JOSE header with its dot: the same for every token.
    header: String,
    random: SystemRandom,
}

impl TokenKey {
    /// Makes a pair; gives its PKCS#8 form. RSA takes a tenth of a second or more.
    ///
    /// # Errors
    /// When the library could not make one.
    pub fn generate(algorithm: Algorithm) -> Result<Zeroizing<Vec<u8>>, UnusableKey> {
        let der = match algorithm {
            Algorithm::Rs256 => AsDer::<aws_lc_rs::encoding::Pkcs8V1Der<'_>>::as_der(
                &RsaKeyPair::generate(KeySize::Rsa2048)?,
            )?
            .as_ref()
            .to_vec(),
            Algorithm::Es256 => EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING)?
                .to_pkcs8v1()?
                .as_ref()
                .to_vec(),
            Algorithm::EdDsa => Ed25519KeyPair::generate()?.to_pkcs8()?.as_ref().to_vec(),
        };
        Ok(Zeroizing::new(der))
    }

    /// Parses a pair from its PKCS#8 form.
    ///
    /// # Errors
    /// When it is not one of this algorithm.
    pub fn from_pkcs8(algorithm: Algorithm, der: &[u8]) -> Result<Self, UnusableKey> {
        let signer = match algorithm {
            Algorithm::Rs256 => Signer::Rsa(RsaKeyPair::from_pkcs8(der)?),
            Algorithm::Es256 => {
                Signer::Ecdsa(EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, der)?)
            }
            Algorithm::EdDsa => Signer::Ed25519(Ed25519KeyPair::from_pkcs8(der)?),
        };
        let (public, jwk) = published(&signer)?;
        let header =
            format!(r#"{{"alg":"{}","typ":"at+jwt","kid":"{}"}}"#, algorithm.as_str(), jwk.kid);
        let header = URL_SAFE_NO_PAD.encode(header) + ".";
        Ok(Self { signer, public, jwk, header, random: SystemRandom::new() })
    }

    /// Its id: RFC 7638 thumbprint.
    #[must_use]
    pub fn kid(&self) -> &str {
        &self.jwk.kid
    }

    /// The encoded JOSE header of its tokens, with the dot behind it.
    #[must_use]
    pub fn header(&self) -> &str {
        &self.header
    }

    /// The published half.
    #[must_use]
    pub fn jwk(&self) -> &Jwk {
        &self.jwk
    }

    /// An access token (RFC 9068: `typ` is `at+jwt`) over the claims' JSON.
    ///
    /// # Errors
    /// When the library can't sign.
    pub fn sign(&self, claims: &[u8]) -> Result<String, UnusableKey> {
        let mut token = String::with_capacity(self.header.len() + claims.len() * 4 / 3 + 350);
        token.push_str(&self.header);
        URL_SAFE_NO_PAD.encode_string(claims, &mut token);
        let signature = self.signature(token.as_bytes())?;
        append(&mut token, &signature);
        Ok(token)
    }

    /// The signature of `message` alone.
    ///
    /// # Errors
    /// When the library can't sign.
    pub fn signature(&self, message: &[u8]) -> Result<Vec<u8>, UnusableKey> {
        Ok(match &self.signer {
            Signer::Rsa(pair) => {
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(&RSA_PKCS1_SHA256, &self.random, message, &mut signature)?;
                signature
            }
            Signer::Ecdsa(pair) => pair.sign(&self.random, message)?.as_ref().to_vec(),
            Signer::Ed25519(pair) => pair.sign(message).as_ref().to_vec(),
        })
    }

    /// Whether this key signed `message` (everything before the last dot).
    #[must_use]
    pub fn verifies(&self, message: &[u8], signature: &[u8]) -> bool {
        self.public.verify_sig(message, signature).is_ok()
    }
}

impl std::fmt::Debug for TokenKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "TokenKey({} {})", self.jwk.alg, self.jwk.kid)
    }
}

fn append(token: &mut String, signature: &[u8]) {
    token.push('.');
    URL_SAFE_NO_PAD.encode_string(signature, token);
}

fn published(signer: &Signer) -> Result<(ParsedPublicKey, Jwk), UnusableKey> {
    let text = |bytes: &[u8]| Some(URL_SAFE_NO_PAD.encode(bytes));
    let empty = Jwk {
        kty: "OKP",
        usage: "sig",
        alg: Algorithm::EdDsa.as_str(),
        kid: String::new(),
        crv: None,
        x: None,
        y: None,
        n: None,
        e: None,
    };
    let (public, mut jwk) = match signer {
        Signer::Rsa(pair) => {
            let key = pair.public_key();
            let n = text(key.modulus().big_endian_without_leading_zero());
            let e = text(key.exponent().big_endian_without_leading_zero());
            let jwk = Jwk { kty: "RSA", alg: Algorithm::Rs256.as_str(), n, e, ..empty };
            (ParsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, key.as_ref())?, jwk)
        }
        Signer::Ecdsa(pair) => {
            // SEC 1 section 2.3.3: 4, then both coordinates of 32 bytes.
            let point = pair.public_key().as_ref();
            let (x, y) =
                point.get(1..).and_then(|xy| xy.split_at_checked(32)).ok_or(UnusableKey)?;
            let alg = Algorithm::Es256.as_str();
            let jwk = Jwk { kty: "EC", alg, crv: Some("P-256"), x: text(x), y: text(y), ..empty };
            (ParsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point)?, jwk)
        }
        Signer::Ed25519(pair) => {
            let key = pair.public_key().as_ref();
            let jwk = Jwk { crv: Some("Ed25519"), x: text(key), ..empty };
            (ParsedPublicKey::new(&ED25519, key)?, jwk)
        }
    };
    jwk.kid = thumbprint(&jwk);
    Ok((public, jwk))
}

/// RFC 7638 section 3: the required members only, sorted, without white space.
fn thumbprint(jwk: &Jwk) -> String {
    let members = [
        ("crv", jwk.crv),
        ("e", jwk.e.as_deref()),
        ("kty", Some(jwk.kty)),
        ("n", jwk.n.as_deref()),
        ("x", jwk.x.as_deref()),
        ("y", jwk.y.as_deref()),
    ];
    let members =
        members.iter().filter_map(|(name, value)| Some(format!(r#""{name}":"{}""#, (*value)?)));
    let text = format!("{{{}}}", members.collect::<Vec<_>>().join(","));
    URL_SAFE_NO_PAD.encode(digest(&SHA256, text.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_key_signs_it_verifies_and_nothing_else() {
        for algorithm in [Algorithm::Rs256, Algorithm::Es256, Algorithm::EdDsa] {
            let der = TokenKey::generate(algorithm).unwrap();
            let key = TokenKey::from_pkcs8(algorithm, &der).unwrap();
            let token = key.sign(br#"{"sub":"a"}"#).unwrap();
            let (message, signature) = token.rsplit_once('.').unwrap();
            let signature = URL_SAFE_NO_PAD.decode(signature).unwrap();
            assert!(key.verifies(message.as_bytes(), &signature), "{algorithm:?}");
            assert!(!key.verifies(b"other", &signature), "{algorithm:?}");
            assert!(!key.verifies(message.as_bytes(), &signature[1..]), "{algorithm:?}");
        }
    }

    #[test]
    fn a_thumbprint_is_that_of_rfc_7638_section_3_1() {
        let jwk = Jwk {
            kty: "RSA",
            usage: "sig",
            alg: "RS256",
            kid: String::new(),
            crv: None,
            x: None,
            n: Some(
                "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_\
                 BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_\
                 FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4\
                 vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw"
                    .into(),
            ),
            e: Some("AQAB".into()),
            y: None,
        };
        assert_eq!(thumbprint(&jwk), "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs");
    }
}
