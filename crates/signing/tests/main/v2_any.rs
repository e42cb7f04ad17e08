//! Version 2, for any input.

use countersign_signing::v2::{CONTENT_DIGEST, SIGNATURE, SIGNATURE_INPUT, Signer, Stamp};
use countersign_signing::{Ed25519Key, Ed25519PublicKey, Reason, SigningKey, Verified, verify};
use prop::sample::Index;

use super::*;

#[derive(Debug, Clone)]
struct Sent {
    seed: [u8; 32],
    ed25519: bool,
    method: String,
    authority: String,
    target: String,
    body: Vec<u8>,
    stamp: Stamp,
}

impl Sent {
    fn any() -> impl Strategy<Value = Self> {
        let time = -1_000_000_000_000..1_000_000_000_000_i64;
        let stamp = (time, 0..1000_i64, any::<[u8; 16]>())
            .prop_map(|(created, more, nonce)| Stamp { created, expires: created + more, nonce });
        let line = ("[A-Za-z-]{1,9}", "[A-Za-z0-9.:-]{1,30}", target());
        (any::<([u8; 32], bool)>(), line, any::<Vec<u8>>(), stamp).prop_map(
            |((seed, ed25519), (method, authority, target), body, stamp)| Self {
                seed,
                ed25519,
                method,
                authority,
                target,
                body,
                stamp,
            },
        )
    }

    fn head<'r>(&'r self, headers: &'r HeaderMap) -> RequestHead<'r> {
        let Self { method, authority, target, .. } = self;
        RequestHead { method, authority, target, headers }
    }

    fn headers(&self) -> HeaderMap {
        let key = match self.ed25519 {
            true => SigningKey::Ed25519(Ed25519Key::from_seed(&self.seed).unwrap()),
            false => SigningKey::Hmac(HmacKey::from_hex(&hex::encode(self.seed)).unwrap()),
        };
        let signer = Signer { service: id("worker"), version: 1.into(), key };
        signer.sign(&self.head(&HeaderMap::new()), &self.body, self.stamp).unwrap()
    }

    /// What a verifier of `key`'s service says to this request with these headers.
    fn answer(&self, headers: &HeaderMap, key: &Self) -> Result<Verified, Reason> {
        let verifying = match key.ed25519 {
            true => {
                let private = Ed25519Key::from_seed(&key.seed).unwrap();
                let public = Ed25519PublicKey::from_bytes(private.public_key());
                VerifyingKey::Ed25519(public.unwrap())
            }
            false => VerifyingKey::Hmac(HmacKey::from_hex(&hex::encode(key.seed)).unwrap()),
        };
        let key = ServiceKey { version: 1.into(), key: verifying, expires: None };
        let known = service(vec![key]);
        let window = Window::around(self.stamp.created, 300);
        verify(&self.head(headers), window, |_| Some(&known))?.with_body(&self.body)
    }
}

proptest! {
    #[test]
    fn what_was_signed_verifies(sent in Sent::any()) {
        let answer = sent.answer(&sent.headers(), &sent).unwrap();
        prop_assert_eq!(answer.good_until, sent.stamp.expires.min(sent.stamp.created + 300));
    }

    #[test]
    fn any_change_of_the_request_is_refused(
        sent in Sent::any(), which in 0..4_u8, at: Index, mask in mask(),
    ) {
        let mut other = sent.clone();
        match which {
            0 => other.method = flip(&sent.method, at, mask),
            1 => other.authority = flip(&sent.authority, at, mask),
            2 => other.target = flip(&sent.target, at, mask),
            _ if sent.body.is_empty() => other.body.push(mask),
            _ => {
                let at = at.index(sent.body.len());
                other.body[at] ^= mask;
            }
        }
        // A host name has no case (RFC 9421 section 2.2.3).
        prop_assume!(which != 1 || !other.authority.eq_ignore_ascii_case(&sent.authority));
        prop_assert!(other.answer(&sent.headers(), &sent).is_err());
    }

    #[test]
    fn any_change_of_the_headers_is_refused(
        sent in Sent::any(), which in 0..3_usize, at: Index, mask: u8,
    ) {
        let mut headers = sent.headers();
        let name = [SIGNATURE, SIGNATURE_INPUT, CONTENT_DIGEST][which].clone();
        prop_assume!(headers.contains_key(&name));
        let mut bytes = headers[&name].as_bytes().to_vec();
        let at = at.index(bytes.len());
        bytes[at] ^= mask.max(1);
        if let Ok(value) = HeaderValue::from_bytes(&bytes) {
            headers.insert(name, value);
            prop_assert!(sent.answer(&headers, &sent).is_err());
        }
    }

    #[test]
    fn another_key_is_refused(sent in Sent::any(), seed: [u8; 32], ed25519: bool) {
        prop_assume!(seed != sent.seed);
        let other = Sent { seed, ed25519, ..sent.clone() };
        prop_assert_eq!(sent.answer(&sent.headers(), &other), Err(Reason::InvalidSignature));
    }

    #[test]
    fn any_headers_get_an_answer(
        headers in any_headers(vec![SIGNATURE, SIGNATURE_INPUT, CONTENT_DIGEST]),
        sent in Sent::any(), target: String,
    ) {
        let sent = Sent { target, ..sent };
        prop_assert!(sent.answer(&headers, &sent).is_err());
        let mut partly = headers.clone();
        partly.extend(Sent { target: "/".into(), ..sent.clone() }.headers());
        partly.extend(headers);
        let _ = sent.answer(&partly, &sent);
    }
}
