use aws_lc_rs::digest::{SHA256, digest};
use countersign_signing::{KeyVersion, Reason, Verified, v1, verify};
use http::{Request, Uri};

use super::*;

fn key() -> HmacKey {
    HmacKey::from_hex(KEY).unwrap()
}

/// `POST /x?y`, signed with `KEY`, to a verifier that knows these keys.
fn answer(headers: &HeaderMap, known: Service) -> Result<Verified, Reason> {
    let services = services("worker", known);
    v1::verify(&head("POST", "/x?y", headers), window(), |id| services.get(id))
}

fn signed() -> HeaderMap {
    v1::sign(&id("worker"), &key(), "POST", "/x?y", NOW)
}

#[test]
fn every_known_case_has_its_answer() {
    let vectors = vectors("service-signatures.json");
    let seconds = u32::try_from(vectors["window_seconds"].as_u64().unwrap()).unwrap();
    let cases = vectors["cases"].as_array().unwrap();
    assert_eq!(cases.len(), 15);
    for case in cases {
        let (name, expect) = (text(case, "name"), text(case, "expect"));
        let (method, target) = (text(case, "method"), text(case, "target"));
        let headers = headers_of(case);
        let claimed = headers.get(v1::SERVICE_ID).map_or("main-backend", |id| id.to_str().unwrap());
        let known = if expect == "unknown_service" { "main-backend" } else { claimed };
        let services = services(known, service(vec![hmac(1, text(case, "key"), None)]));
        let window = Window::around(case["now"].as_i64().unwrap(), seconds);
        let head = head(method, target, &headers);

        let answer = verify(&head, window, |id| services.get(id));
        let answer = answer.and_then(|head| head.with_body(b"not covered"));
        let reason = answer.as_ref().map_or_else(|reason| reason.as_str(), |_| "authenticated");
        assert_eq!(reason, expect, "{name}");

        if let Ok(verified) = answer {
            let key = HmacKey::from_hex(text(case, "key")).unwrap();
            let signed = v1::sign(&id(claimed), &key, method, target, verified.timestamp);
            assert_eq!(signed, headers, "{name}");
        }
    }
}

#[test]
fn the_message_is_four_parts_without_the_query() {
    let message = v1::message(&id("worker"), "post", "/a%20b?c=/d:e", -1);
    assert_eq!(message, "worker:POST:/a%20b:-1");
}

#[test]
fn a_good_signature_says_who_when_and_how_long() {
    let verified = answer(&signed(), service(vec![hmac(7, KEY, Some(NOW + 1))])).unwrap();
    assert_eq!(verified.service, id("worker"));
    assert_eq!(verified.key_version, KeyVersion::from(7));
    assert_eq!(verified.signature, SignatureVersion::V1);
    assert_eq!((verified.timestamp, verified.good_until), (NOW, NOW + 300));
    let again = answer(&signed(), service(vec![hmac(7, KEY, None)])).unwrap();
    assert_eq!(again.replay_id, verified.replay_id);
    let later = v1::sign(&id("worker"), &key(), "POST", "/x", NOW + 1);
    let later = answer(&later, service(vec![hmac(7, KEY, None)])).unwrap();
    assert_ne!(later.replay_id, verified.replay_id);
    let signature = signed()[v1::SERVICE_SIGNATURE].to_str().unwrap().to_owned();
    let known = digest(&SHA256, format!("v1\nworker\n{signature}").as_bytes());
    assert_eq!(verified.replay_id, known.as_ref());
}

#[test]
fn the_first_reason_in_the_order_of_the_contract_is_given() {
    let expired = || service(vec![hmac(1, KEY, Some(NOW))]);
    let mut headers = HeaderMap::new();
    let mut steps = Vec::new();
    let mut step = |name: HeaderName, value: &'static str| {
        headers.insert(name, HeaderValue::from_static(value));
        steps.push(answer(&headers, expired()).unwrap_err().as_str());
    };
    step(v1::SERVICE_ID, "no such service");
    step(v1::SERVICE_SIGNATURE, "no signature");
    step(v1::SERVICE_TIMESTAMP, "no time");
    step(v1::SERVICE_TIMESTAMP, "1");
    step(v1::SERVICE_TIMESTAMP, "1760000000");
    step(v1::SERVICE_ID, "worker");
    assert_eq!(
        steps,
        [
            "missing_headers",
            "missing_headers",
            "invalid_timestamp",
            "timestamp_outside_window",
            "unknown_service",
            "key_expired"
        ]
    );
    let live = service(vec![hmac(1, KEY, None)]);
    assert_eq!(answer(&headers, live), Err(Reason::InvalidSignature));
}

#[test]
fn each_header_comes_once_and_with_a_value() {
    let known = || service(vec![hmac(1, KEY, None)]);
    for name in [v1::SERVICE_ID, v1::SERVICE_SIGNATURE, v1::SERVICE_TIMESTAMP] {
        let mut twice = signed();
        twice.append(&name, twice[&name].clone());
        for headers in [without(&signed(), &name), with(&signed(), &name, b""), twice] {
            assert_eq!(answer(&headers, known()), Err(Reason::MissingHeaders), "{name}");
        }
    }
    let upper = signed()[v1::SERVICE_SIGNATURE].to_str().unwrap().to_uppercase();
    for (name, value, reason) in [
        (v1::SERVICE_ID, &b"w\xf6rker"[..], Reason::UnknownService),
        (v1::SERVICE_SIGNATURE, b"\xff", Reason::InvalidSignature),
        (v1::SERVICE_SIGNATURE, upper.as_bytes(), Reason::InvalidSignature),
        (v1::SERVICE_TIMESTAMP, b"\xff", Reason::InvalidTimestamp),
        (v1::SERVICE_TIMESTAMP, b"+1760000000", Reason::InvalidTimestamp),
        (v1::SERVICE_TIMESTAMP, b"01760000000", Reason::InvalidTimestamp),
        (v1::SERVICE_TIMESTAMP, b"1760000000.0", Reason::InvalidTimestamp),
        (v1::SERVICE_TIMESTAMP, b"99999999999999999999", Reason::TimestampOutsideWindow),
    ] {
        assert_eq!(answer(&with(&signed(), &name, value), known()), Err(reason), "{name}");
    }
}

#[test]
fn old_keys_verify_until_they_expire_and_then_say_so() {
    let keys = |old: i64| service(vec![hmac(2, OLD_KEY, None), hmac(1, KEY, Some(old))]);
    assert_eq!(answer(&signed(), keys(NOW + 1)).unwrap().key_version, KeyVersion::from(1));
    assert_eq!(answer(&signed(), keys(NOW)), Err(Reason::KeyExpired));
    assert_eq!(answer(&signed(), service(vec![])), Err(Reason::KeyExpired));
    let only_other = service(vec![hmac(2, OLD_KEY, None)]);
    assert_eq!(answer(&signed(), only_other), Err(Reason::InvalidSignature));
    let imported_again = service(vec![hmac(1, KEY, Some(NOW)), hmac(3, KEY, None)]);
    assert_eq!(answer(&signed(), imported_again).unwrap().key_version, KeyVersion::from(3));
}

#[test]
fn a_service_that_must_sign_with_version_2_is_refused_once_it_has_proven_itself() {
    let strict =
        |key| Service { keys: vec![hmac(1, key, None)], minimum_version: SignatureVersion::V2 };
    assert_eq!(answer(&signed(), strict(KEY)), Err(Reason::VersionRefused));
    assert_eq!(answer(&signed(), strict(OLD_KEY)), Err(Reason::InvalidSignature));
}

#[test]
fn a_head_is_taken_from_an_http_request() {
    let request = Request::get("https://user@Example.com:8443/a?b").body(()).unwrap();
    let head = RequestHead::new(request.method(), request.uri(), request.headers());
    assert_eq!((head.method, head.authority, head.target), ("GET", "Example.com:8443", "/a?b"));
    let (uri, host) = (Uri::from_static("//a/../%2f?"), [("host", "example.com")]);
    let headers: HeaderMap = host
        .map(|(n, v)| (HeaderName::from_static(n), HeaderValue::from_static(v)))
        .into_iter()
        .collect();
    let head = RequestHead::new(request.method(), &uri, &headers);
    assert_eq!((head.authority, head.target), ("example.com", "//a/../%2f?"));
    let none = HeaderMap::new();
    assert_eq!(RequestHead::new(request.method(), &uri, &none).authority, "");
}

#[test]
fn a_service_id_is_1_to_64_lower_case_letters_digits_and_dashes() {
    assert_eq!(id(&"a-9".repeat(21)).as_str().len(), 63);
    assert!("a".repeat(64).parse::<ServiceId>().is_ok());
    for wrong in ["", "A", "a b", "a_b", "a:b", "ä", &"a".repeat(65)] {
        assert!(wrong.parse::<ServiceId>().is_err(), "{wrong}");
    }
    for wrong in ["", "v", "1", "V1", "v-1", "v+1", "v01", "v4294967296", "v1 "] {
        assert!(wrong.parse::<KeyVersion>().is_err(), "{wrong}");
    }
}

#[test]
fn reasons_have_their_codes_and_their_words_for_the_log() {
    for (reason, code, words) in [
        (Reason::MissingHeaders, "missing_headers", "Missing authentication headers"),
        (Reason::InvalidTimestamp, "invalid_timestamp", "Invalid timestamp format"),
        (
            Reason::TimestampOutsideWindow,
            "timestamp_outside_window",
            "Timestamp outside allowed window",
        ),
        (Reason::UnknownService, "unknown_service", "Unknown service ID"),
        (Reason::InvalidSignature, "invalid_signature", "Invalid signature"),
    ] {
        assert_eq!((reason.as_str(), &*reason.to_string()), (code, words));
    }
}
