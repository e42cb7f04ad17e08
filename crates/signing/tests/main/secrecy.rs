//! Nothing prints a key or a signature.

use countersign_signing::v2::Signer;
use countersign_signing::webhook::{self, Delivery, SystemKey};
use countersign_signing::{Ed25519Key, Ed25519PublicKey, SigningKey, v1};

use super::*;

#[test]
fn no_key_prints_itself() {
    let seed: [u8; 32] = std::array::from_fn(|i| u8::try_from(i).unwrap() + 100);
    let private = Ed25519Key::from_seed(&seed).unwrap();
    let public = hex::encode(private.public_key());
    let shown = format!(
        "{:?} {:?} {:?} {:?}",
        service(vec![hmac(1, KEY, None)]),
        Signer { service: id("a"), version: 1.into(), key: SigningKey::Ed25519(private) },
        SigningKey::Hmac(HmacKey::from_hex(KEY).unwrap()),
        SystemKey { version: 1.into(), key: webhook::Key::from_hex(KEY).unwrap() },
    );
    for secret in [KEY, &hex::encode(seed), &public, "148, 7, 10", "100, 101"] {
        assert!(!shown.contains(secret), "{shown}");
    }
    let invalid = HmacKey::from_hex("5ec2e7").unwrap_err();
    assert!(!format!("{invalid} {invalid:?}").contains("5ec2e7"));
}

#[test]
fn signatures_and_other_headers_stay_out_of_debug_output() {
    let key = HmacKey::from_hex(KEY).unwrap();
    let mut headers = v1::sign(&id("a"), &key, "GET", "/x", NOW);
    let system = SystemKey { version: 1.into(), key: webhook::Key::from_hex(KEY).unwrap() };
    let delivery = Delivery { id: "a", timestamp: NOW, body: b"" };
    headers.extend(webhook::sign(&delivery, &system, []).unwrap());
    let shown = format!("{headers:?}");
    for name in [v1::SERVICE_SIGNATURE, webhook::SIGNATURE, webhook::BODY_SIGNATURE] {
        assert!(!shown.contains(headers[name].to_str().unwrap()), "{shown}");
    }
    headers.insert("authorization", HeaderValue::from_static("Bearer t0ken"));
    let shown = format!("{:?}", head("GET", "/x?t0ken", &headers));
    assert_eq!(shown, "RequestHead(GET api.example.com/x)");
}

#[test]
fn what_is_no_key_is_refused() {
    for wrong in ["", "00", &KEY[1..], &format!("{KEY}0"), &KEY.replace('9', "g"), &"é".repeat(32)]
    {
        assert!(HmacKey::from_hex(wrong).is_err(), "{wrong}");
        assert!(webhook::Key::from_hex(wrong).is_err(), "{wrong}");
    }
    for wrong in ["", "whsec_", "whsec_AAAA", "U8gkwBxPc6mlb6iXrZMyRogx9dsEBd+DUuXiBrC+Wd8="] {
        assert!(webhook::Key::from_secret(wrong).is_err(), "{wrong}");
    }
    assert!(Ed25519PublicKey::from_bytes(&[1; 31]).is_err());
}
