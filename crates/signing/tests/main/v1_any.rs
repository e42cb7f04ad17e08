//! Version 1, for any input.

use countersign_signing::{Reason, v1, verify};
use prop::sample::Index;

use super::*;

#[derive(Debug, Clone)]
struct Signed {
    service: String,
    key: String,
    method: String,
    target: String,
    timestamp: i64,
}

impl Signed {
    fn any() -> impl Strategy<Value = Self> {
        let time = -1_000_000_000_000..1_000_000_000_000_i64;
        ("[a-z0-9-]{1,64}", key_text(), "[A-Za-z]{1,9}", target(), time).prop_map(
            |(service, key, method, target, timestamp)| Self {
                service,
                key,
                method,
                target,
                timestamp,
            },
        )
    }

    fn headers(&self) -> HeaderMap {
        let key = HmacKey::from_hex(&self.key).unwrap();
        v1::sign(&id(&self.service), &key, &self.method, &self.target, self.timestamp)
    }

    /// The verifier's answer, whose service has the key under any name.
    fn answer(&self, headers: &HeaderMap, method: &str, target: &str) -> Result<(), Reason> {
        let known = service(vec![hmac(1, &self.key, None)]);
        let window = Window::around(self.timestamp, u32::MAX);
        verify(&head(method, target, headers), window, |_| Some(&known)).map(|_| ())
    }
}

proptest! {
    #[test]
    fn what_was_signed_verifies(signed in Signed::any()) {
        let answer = signed.answer(&signed.headers(), &signed.method, &signed.target);
        prop_assert_eq!(answer, Ok(()));
    }

    #[test]
    fn another_path_or_method_is_refused(signed in Signed::any(), at: Index, mask in mask()) {
        let headers = signed.headers();
        let path = signed.target.split('?').next().unwrap();
        let other = flip(path, at, mask);
        let answer = signed.answer(&headers, &signed.method, &other);
        prop_assert_eq!(answer, Err(Reason::InvalidSignature));
        let other = flip(&signed.method, at, mask);
        prop_assume!(!other.eq_ignore_ascii_case(&signed.method));
        let answer = signed.answer(&headers, &other, &signed.target);
        prop_assert_eq!(answer, Err(Reason::InvalidSignature));
    }

    #[test]
    fn any_changed_header_is_refused(
        signed in Signed::any(), which in 0..3_usize, at: Index, mask: u8,
    ) {
        let mut headers = signed.headers();
        let name = [v1::SERVICE_ID, v1::SERVICE_SIGNATURE, v1::SERVICE_TIMESTAMP][which].clone();
        let mut bytes = headers[&name].as_bytes().to_vec();
        let at = at.index(bytes.len());
        bytes[at] ^= mask.max(1);
        if let Ok(value) = HeaderValue::from_bytes(&bytes) {
            headers.insert(name, value);
            prop_assert!(signed.answer(&headers, &signed.method, &signed.target).is_err());
        }
    }

    #[test]
    fn another_key_is_refused(signed in Signed::any(), key in key_text()) {
        prop_assume!(key != signed.key);
        let other = Signed { key, ..signed.clone() };
        let answer = signed.answer(&other.headers(), &signed.method, &signed.target);
        prop_assert_eq!(answer, Err(Reason::InvalidSignature));
    }

    #[test]
    fn any_headers_get_an_answer(
        headers in any_headers(vec![v1::SERVICE_ID, v1::SERVICE_SIGNATURE, v1::SERVICE_TIMESTAMP]),
        method: String, target: String, now: i64, seconds: u32,
    ) {
        let known = service(vec![hmac(1, KEY, Some(now))]);
        let head = head(&method, &target, &headers);
        let answer = verify(&head, Window::around(now, seconds), |_| Some(&known));
        prop_assert!(answer.is_err());
    }
}
