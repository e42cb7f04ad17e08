use countersign_signing::KeyVersion;
use countersign_signing::webhook::{
    BODY_SIGNATURE, Delivery, ID, InvalidId, KEY_VERSION, Key, Reason, SIGNATURE, SystemKey,
    TIMESTAMP, sign, verify, verify_body,
};
use prop::sample::Index;

use super::*;

fn key(text: &str) -> Key {
    Key::from_hex(text).unwrap()
}

fn system(version: u32, text: &str) -> SystemKey {
    SystemKey { version: version.into(), key: key(text) }
}

fn delivery(body: &[u8]) -> Delivery<'_> {
    Delivery { id: "msg_1", timestamp: NOW, body }
}

fn signed() -> HeaderMap {
    sign(&delivery(b"{}"), &system(2, KEY), []).unwrap()
}

/// The answer by Standard Webhooks to a delivery of `{}` with these headers.
fn answer(headers: &HeaderMap) -> Result<(), Reason> {
    verify(headers, b"{}", [&key(KEY)], window()).map(|delivered| {
        assert_eq!(delivered, delivery(b"{}"));
    })
}

#[test]
fn every_known_delivery_is_made_and_verified() {
    let vectors = vectors("webhook-signatures.json");
    let cases = vectors["cases"].as_array().unwrap();
    assert_eq!(cases.len(), 2);
    for case in cases {
        let headers = headers_of(case);
        let body = text(case, "body").as_bytes();
        let version: KeyVersion = text(case, "key_version").parse().unwrap();
        let system = SystemKey { version, key: key(text(case, "key_hex")) };
        let timestamp = text(&case["headers"], "webhook-timestamp").parse().unwrap();
        let delivery = Delivery { id: text(&case["headers"], "webhook-id"), timestamp, body };

        assert_eq!(sign(&delivery, &system, []).unwrap(), headers);
        let secret = Key::from_secret(text(case, "standard_webhooks_secret")).unwrap();
        assert_eq!(sign(&delivery, &system, [&secret]).unwrap(), headers);

        let window = Window::around(timestamp + 300, 300);
        assert_eq!(verify(&headers, body, [&secret], window), Ok(delivery));
        assert_eq!(verify_body(&headers, body, &[system]), Ok(version));
    }
}

#[test]
fn a_subscription_signs_with_its_own_secrets_and_both_while_they_rotate() {
    let (new, old) = (key(OLD_KEY), key(&"ab".repeat(32)));
    let headers = sign(&delivery(b"{}"), &system(2, KEY), [&new, &old]).unwrap();
    assert_eq!(headers[SIGNATURE].to_str().unwrap().split(' ').count(), 2);
    for secrets in [vec![&new], vec![&old], vec![&key(KEY), &old]] {
        assert!(verify(&headers, b"{}", secrets, window()).is_ok());
    }
    assert_eq!(answer(&headers), Err(Reason::InvalidSignature), "the system key did not sign this");
    assert_eq!(verify_body(&headers, b"{}", &[system(2, KEY)]), Ok(2.into()));
    let none: [&Key; 0] = [];
    assert_eq!(verify(&headers, b"{}", none, window()), Err(Reason::InvalidSignature));
}

#[test]
fn signatures_of_other_schemes_are_passed_over() {
    let good = signed()[SIGNATURE].to_str().unwrap().to_owned();
    let among = format!("v1a,AAAA v2,AAAA v1, {good}");
    assert_eq!(answer(&with(&signed(), &SIGNATURE, among.as_bytes())), Ok(()));
    for wrong in ["v1,", "v1", ",", &good[3..], &good.replace("v1,", "v2,"), &good.replace('=', "")]
    {
        let headers = with(&signed(), &SIGNATURE, wrong.as_bytes());
        assert_eq!(answer(&headers), Err(Reason::InvalidSignature), "{wrong}");
    }
}

#[test]
fn the_first_reason_is_given() {
    for name in [ID, TIMESTAMP, SIGNATURE] {
        let mut twice = signed();
        twice.append(&name, twice[&name].clone());
        for headers in [without(&signed(), &name), with(&signed(), &name, b""), twice] {
            assert_eq!(answer(&headers), Err(Reason::MissingHeaders), "{name}");
        }
    }
    for (time, reason) in [
        ("soon", Reason::InvalidTimestamp),
        ("+1760000000", Reason::InvalidTimestamp),
        ("1759999699", Reason::TimestampOutsideWindow),
        ("1760000301", Reason::TimestampOutsideWindow),
        ("1759999700", Reason::InvalidSignature),
        ("1760000300", Reason::InvalidSignature),
    ] {
        assert_eq!(answer(&with(&signed(), &TIMESTAMP, time.as_bytes())), Err(reason), "{time}");
    }
}

#[test]
fn an_id_cannot_run_into_the_timestamp() {
    for id in ["", "a.1", "a b", "a\n", "ä"] {
        let refused = sign(&Delivery { id, ..delivery(b"") }, &system(1, KEY), []);
        assert_eq!(refused.unwrap_err(), InvalidId, "{id:?}");
    }
    let headers = with(&signed(), &ID, b"msg_1.1760000000");
    let shifted = Delivery { id: "msg_1", timestamp: NOW, body: b"1760000000.{}" };
    let shifted = sign(&shifted, &system(1, KEY), []).unwrap();
    let headers = with(&headers, &SIGNATURE, shifted[SIGNATURE].as_bytes());
    assert_eq!(answer(&headers), Err(Reason::InvalidSignature));
}

#[test]
fn grace_versions_verify_whatever_version_the_header_names() {
    let keys = [system(3, OLD_KEY), system(2, KEY)];
    for named in ["v2", "v3", "v9", "2", "\u{e4}"] {
        let headers = with(&signed(), &KEY_VERSION, named.as_bytes());
        assert_eq!(verify_body(&headers, b"{}", &keys), Ok(2.into()), "{named}");
        assert_eq!(verify_body(&headers, b"[]", &keys), Err(Reason::InvalidSignature));
        assert_eq!(verify_body(&headers, b"{}", &keys[..1]), Err(Reason::InvalidSignature));
    }
    for name in [KEY_VERSION, BODY_SIGNATURE] {
        let headers = without(&signed(), &name);
        assert_eq!(verify_body(&headers, b"{}", &keys), Err(Reason::MissingHeaders));
    }
    let upper = signed()[BODY_SIGNATURE].to_str().unwrap().to_uppercase();
    let headers = with(&signed(), &BODY_SIGNATURE, upper.as_bytes());
    assert_eq!(verify_body(&headers, b"{}", &keys), Err(Reason::InvalidSignature));
}

proptest! {
    #[test]
    fn what_was_signed_verifies_and_any_change_of_it_does_not(
        text in key_text(), id in "[!--/-~]{1,40}", timestamp: i64, body: Vec<u8>,
        which in 0..4_usize, at: Index, mask in mask(),
    ) {
        let delivery = Delivery { id: &id, timestamp, body: &body };
        let mut headers = sign(&delivery, &system(1, &text), []).unwrap();
        let window = Window::around(timestamp, u32::MAX);
        prop_assert_eq!(verify(&headers, &body, [&key(&text)], window), Ok(delivery));
        prop_assert_eq!(verify_body(&headers, &body, &[system(1, &text)]), Ok(1.into()));

        let mut other = body.clone();
        other.push(0);
        let at_body = at.index(other.len());
        other[at_body] ^= mask;
        prop_assert!(verify(&headers, &other, [&key(&text)], window).is_err());
        prop_assert!(verify_body(&headers, &other, &[system(1, &text)]).is_err());

        let name = [ID, TIMESTAMP, SIGNATURE, BODY_SIGNATURE][which].clone();
        let value = flip(headers[&name].to_str().unwrap(), at, mask);
        if let Ok(value) = HeaderValue::from_str(&value) {
            headers.insert(&name, value);
            let standard = verify(&headers, &body, [&key(&text)], window);
            let of_body = verify_body(&headers, &body, &[system(1, &text)]);
            let refused = if which < 3 { standard.is_err() } else { of_body.is_err() };
            prop_assert!(refused);
        }
    }

    #[test]
    fn any_headers_get_an_answer(
        headers in any_headers(vec![ID, TIMESTAMP, SIGNATURE, BODY_SIGNATURE, KEY_VERSION]),
        body: Vec<u8>, now: i64, seconds: u32,
    ) {
        prop_assert!(verify(&headers, &body, [&key(KEY)], Window::around(now, seconds)).is_err());
        prop_assert!(verify_body(&headers, &body, &[system(1, KEY)]).is_err());
    }
}
