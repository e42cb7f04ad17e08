//! `Content-Digest` (RFC 9530).

use aws_lc_rs::digest::{Algorithm, SHA256, SHA512, digest};

use super::structured::{self, Bare, Malformed, Value};

/// The field for this body.
pub(super) fn sha256_field(body: &[u8]) -> String {
    format!("sha-256={}", structured::bytes(digest(&SHA256, body).as_ref()))
}

/// The digests of a field that this library knows; at least one.
#[derive(Debug)]
pub(crate) struct ContentDigest(Vec<(&'static Algorithm, Vec<u8>)>);

impl ContentDigest {
    /// Reads a field. Section 2: digests by unknown algorithms are left out, and so are the
    /// insecure ones of section 5; a field without any other proves nothing.
    pub(super) fn parse(field: &str) -> Result<Self, Malformed> {
        let mut known = Vec::new();
        for member in structured::dictionary(field)? {
            let algorithm = match member.key {
                "sha-256" => &SHA256,
                "sha-512" => &SHA512,
                _ => continue,
            };
            let Value::Bare(Bare::Bytes(bytes)) = member.value else { return Err(Malformed) };
            known.push((algorithm, bytes));
        }
        if known.is_empty() { Err(Malformed) } else { Ok(Self(known)) }
    }

    /// Whether every digest is the body's.
    pub(crate) fn matches(&self, body: &[u8]) -> bool {
        self.0.iter().all(|(algorithm, bytes)| digest(algorithm, body).as_ref() == &**bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BODY: &[u8] = br#"{"hello": "world"}"#;
    const SHA_256: &str = "sha-256=:X48E9qOokqqrvdts8nOJRJN3OWDUoyWxBf7kbu9DBPE=:";
    const SHA_512: &str = "sha-512=:WZDPaVn/7XgHaAy8pmojAkGWoRx2UFChF41A2svX+TaPm+AbwAgBWnrIiYllu7BNNyealdVLvRwEmTHWXvJwew==:";

    #[test]
    fn the_examples_of_rfc_9421_and_rfc_9530() {
        assert_eq!(sha256_field(BODY), SHA_256);
        let both = format!("{SHA_256}, {SHA_512}, unixsum=:AAAA:");
        for field in [SHA_256, SHA_512, &both] {
            let digest = ContentDigest::parse(field).unwrap();
            assert!(digest.matches(BODY), "{field}");
            assert!(!digest.matches(b""), "{field}");
        }
    }

    #[test]
    fn one_wrong_digest_among_good_ones_is_a_mismatch() {
        let field = format!("{SHA_512}, sha-256=:{}:", "A".repeat(43) + "=");
        assert!(!ContentDigest::parse(&field).unwrap().matches(BODY));
        assert!(!ContentDigest::parse("sha-256=::").unwrap().matches(BODY));
    }

    #[test]
    fn a_field_that_proves_nothing_is_refused() {
        for wrong in ["", "md5=:AAAA:", "sha-256", "sha-256=1", "sha-256=(:AAAA:)", "sha-256=:A"] {
            assert!(ContentDigest::parse(wrong).is_err(), "{wrong}");
        }
    }
}
