use aws_lc_rs::digest::{SHA256, digest};
use countersign_signing::v2::{self, CONTENT_DIGEST, SIGNATURE, SIGNATURE_INPUT, SignError};
use countersign_signing::v2::{Signer, Stamp};
use countersign_signing::{
    Ed25519Key, Ed25519PublicKey, KeyVersion, Reason, SigningKey, Verified, v1, verify,
};

use super::*;

pub(crate) const BODY: &[u8] = br#"{"hello": "world"}"#;
pub(crate) const STAMP: Stamp = Stamp {
    created: NOW,
    expires: NOW + 60,
    nonce: [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15],
};

pub(crate) fn signer(key: SigningKey) -> Signer {
    Signer { service: id("npu-worker"), version: 7.into(), key }
}

pub(crate) fn with_hmac() -> Signer {
    signer(SigningKey::Hmac(HmacKey::from_hex(KEY).unwrap()))
}

fn with_ed25519() -> (Signer, ServiceKey) {
    let seed = std::array::from_fn(|i| u8::try_from(i).unwrap());
    let private = Ed25519Key::from_seed(&seed).unwrap();
    let public = Ed25519PublicKey::from_bytes(private.public_key()).unwrap();
    let key = ServiceKey { version: 7.into(), key: VerifyingKey::Ed25519(public), expires: None };
    (signer(SigningKey::Ed25519(private)), key)
}

pub(crate) fn request(headers: &HeaderMap) -> RequestHead<'_> {
    RequestHead {
        method: "POST",
        authority: "API.example.com:8443",
        target: "/api/npu%2Fregister?lang=de&x=1",
        headers,
    }
}

pub(crate) fn signed(signer: &Signer) -> HeaderMap {
    signer.sign(&request(&HeaderMap::new()), BODY, STAMP).unwrap()
}

/// The answer of a verifier with this key, to the request with these headers.
pub(crate) fn answer(
    headers: &HeaderMap,
    key: ServiceKey,
    body: &[u8],
) -> Result<Verified, Reason> {
    let services = services("npu-worker", service(vec![key]));
    verify(&request(headers), window(), |id| services.get(id))?.with_body(body)
}

/// Signature and digest were computed by another implementation.
#[test]
fn the_known_hmac_signature_is_made_and_verified() {
    let headers = signed(&with_hmac());
    assert_eq!(
        headers[SIGNATURE_INPUT],
        r#"sig1=("@method" "@authority" "@path" "@query" "content-digest");created=1760000000;expires=1760000060;nonce="000102030405060708090a0b0c0d0e0f";keyid="npu-worker:v7";alg="hmac-sha256";tag="countersign""#
    );
    assert_eq!(headers[CONTENT_DIGEST], "sha-256=:X48E9qOokqqrvdts8nOJRJN3OWDUoyWxBf7kbu9DBPE=:");
    assert_eq!(headers[SIGNATURE], "sig1=:FR/RtADUXf++mNoI8IjdjNTjitBEsBNPsLcTMn24n00=:");

    let verified = answer(&headers, hmac(7, KEY, None), BODY).unwrap();
    assert_eq!(verified.service, id("npu-worker"));
    assert_eq!(verified.key_version, KeyVersion::from(7));
    assert_eq!(verified.signature, SignatureVersion::V2);
    assert_eq!((verified.timestamp, verified.good_until), (NOW, NOW + 60));
}

#[test]
fn the_known_ed25519_signature_is_made_and_verified() {
    let (signer, key) = with_ed25519();
    let headers = signed(&signer);
    assert_eq!(
        headers[SIGNATURE],
        "sig1=:ACYwWX4CQ7mQXs90uWtilRsv1/1A7MW/zX4QMphK92ndYLtLbQQCWjs7IGMD+Q8u6GyuEE50dOUDOOpfAMULDQ==:"
    );
    assert_eq!(answer(&headers, key, BODY).unwrap().key_version, KeyVersion::from(7));
}

#[test]
fn a_key_of_the_other_algorithm_is_refused() {
    let (signer, key) = with_ed25519();
    let by_hmac = answer(&signed(&with_hmac()), key, BODY);
    assert_eq!(by_hmac, Err(Reason::InvalidSignature));
    let by_ed25519 = answer(&signed(&signer), hmac(7, KEY, None), BODY);
    assert_eq!(by_ed25519, Err(Reason::InvalidSignature));
}

#[test]
fn a_request_without_body_has_no_digest_and_covers_that() {
    let headers = with_hmac().sign(&request(&HeaderMap::new()), b"", STAMP).unwrap();
    assert!(!headers.contains_key(CONTENT_DIGEST));
    assert!(answer(&headers, hmac(7, KEY, None), b"").is_ok());
    let smuggled = answer(&headers, hmac(7, KEY, None), b"x");
    assert_eq!(smuggled, Err(Reason::MissingComponent("content-digest")));
}

#[test]
fn the_nonce_makes_the_replay_id() {
    let id = |nonce| {
        let stamp = Stamp { nonce, ..STAMP };
        let headers = with_hmac().sign(&request(&HeaderMap::new()), BODY, stamp).unwrap();
        answer(&headers, hmac(7, KEY, None), BODY).unwrap().replay_id
    };
    assert_eq!(id([1; 16]), id([1; 16]));
    assert_ne!(id([1; 16]), id([2; 16]));
    let nonce = hex::encode([1; 16]);
    let known = digest(&SHA256, format!("v2\nnpu-worker\n{nonce}").as_bytes());
    assert_eq!(id([1; 16]), known.as_ref());
}

#[test]
fn an_empty_path_is_a_slash_and_no_query_a_question_mark() {
    let none = HeaderMap::new();
    let short = RequestHead { target: "", ..request(&none) };
    let headers = with_hmac().sign(&short, b"", STAMP).unwrap();
    let answer = |target| {
        let services = services("npu-worker", service(vec![hmac(7, KEY, None)]));
        let head = RequestHead { target, ..request(&headers) };
        verify(&head, window(), |id| services.get(id)).map(|_| ())
    };
    for same in ["", "/", "?", "/?"] {
        assert_eq!(answer(same), Ok(()), "{same}");
    }
    assert_eq!(answer("/??"), Err(Reason::InvalidSignature));
}

#[test]
fn one_verifier_takes_both_versions_and_a_bad_second_never_falls_back_to_the_first() {
    let key = HmacKey::from_hex(KEY).unwrap();
    let mut headers = v1::sign(&id("npu-worker"), &key, "POST", "/api/npu%2Fregister", NOW);
    let version = |headers: &HeaderMap| {
        answer(headers, hmac(7, KEY, None), BODY).map(|verified| verified.signature)
    };
    assert_eq!(version(&headers), Ok(SignatureVersion::V1));
    headers.extend(signed(&with_hmac()));
    assert_eq!(version(&headers), Ok(SignatureVersion::V2));
    let zero = b"sig1=:AAAA:";
    assert_eq!(version(&with(&headers, &SIGNATURE, zero)), Err(Reason::InvalidSignature));
    let unreadable = with(&headers, &SIGNATURE_INPUT, b"sig1=(");
    assert_eq!(version(&unreadable), Err(Reason::InvalidSignature));
    let others = br#"sig1=("@authority");created=1;tag="web-bot-auth""#;
    let others = with(&headers, &SIGNATURE_INPUT, others);
    assert_eq!(version(&others), Ok(SignatureVersion::V1));
    assert_eq!(
        v2::verify(&request(&others), window(), |_| None::<&Service>).unwrap_err(),
        Reason::MissingHeaders
    );
}

#[test]
fn version_1_needs_no_body_and_version_2_does() {
    let services = services("npu-worker", service(vec![hmac(7, KEY, None)]));
    let needs = |headers: &HeaderMap| {
        verify(&request(headers), window(), |id| services.get(id)).unwrap().needs_body()
    };
    let key = HmacKey::from_hex(KEY).unwrap();
    assert!(!needs(&v1::sign(&id("npu-worker"), &key, "POST", "/api/npu%2Fregister", NOW)));
    assert!(needs(&signed(&with_hmac())));
}

#[test]
fn what_cannot_be_covered_is_not_signed() {
    let none = HeaderMap::new();
    let good = request(&none);
    for (head, component) in [
        (RequestHead { method: "GET\n", ..good }, "@method"),
        (RequestHead { authority: "ä.example", ..good }, "@authority"),
        (RequestHead { target: "/a\n\"@query\": ?b", ..good }, "@path"),
        (RequestHead { target: "/a?\u{7f}", ..good }, "@query"),
    ] {
        let refused = with_hmac().sign(&head, b"", STAMP).unwrap_err();
        assert_eq!(refused, SignError::Component(component));
    }
    let late = Stamp { expires: 1_000_000_000_000_000, ..STAMP };
    assert_eq!(with_hmac().sign(&good, b"", late).unwrap_err(), SignError::Time);
}
