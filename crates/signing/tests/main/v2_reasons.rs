//! Version 2: what is refused, and what else is accepted.

use aws_lc_rs::hmac::{HMAC_SHA256, Key, sign};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use countersign_signing::Reason;
use countersign_signing::v2::{CONTENT_DIGEST, SIGNATURE, SIGNATURE_INPUT};

use super::v2::{BODY, answer, signed, with_hmac};
use super::*;

const PARAMETERS: &str = r#";created=1760000000;expires=1760000060;nonce="n";keyid="npu-worker:v7";alg="hmac-sha256";tag="countersign""#;

/// The reason after `from` became `to` in `Signature-Input`.
fn after(from: &str, to: &str) -> Reason {
    let headers = signed(&with_hmac());
    let input = headers[SIGNATURE_INPUT].to_str().unwrap();
    assert!(input.contains(from), "{from}");
    let headers = with(&headers, &SIGNATURE_INPUT, input.replace(from, to).as_bytes());
    answer(&headers, hmac(7, KEY, None), BODY).unwrap_err()
}

/// A signature over this base, made by hand.
fn by_hand(input: &str, base: &str) -> HeaderMap {
    let key = Key::new(HMAC_SHA256, &hex::decode(KEY).unwrap());
    let signature = STANDARD.encode(sign(&key, base.as_bytes()));
    let headers = signed(&with_hmac());
    let headers = with(&headers, &SIGNATURE, format!("sig1=:{signature}:").as_bytes());
    with(&headers, &SIGNATURE_INPUT, input.as_bytes())
}

#[test]
fn a_component_or_parameter_that_is_missing_is_named() {
    for name in ["@method", "@authority", "@path", "@query"] {
        let reason = after(&format!("\"{name}\" "), "");
        assert_eq!(reason, Reason::MissingComponent(name));
        assert_eq!(reason.as_str(), "missing_component");
        assert!(reason.to_string().contains(name));
    }
    for (parameter, name) in [
        (";created=1760000000", "created"),
        (";expires=1760000060", "expires"),
        (";nonce=\"000102030405060708090a0b0c0d0e0f\"", "nonce"),
        (";keyid=\"npu-worker:v7\"", "keyid"),
        (";alg=\"hmac-sha256\"", "alg"),
        (";tag=\"countersign\"", "tag"),
    ] {
        assert_eq!(after(parameter, ""), Reason::MissingComponent(name));
    }
    let headers = without(&signed(&with_hmac()), &CONTENT_DIGEST);
    let reason = answer(&headers, hmac(7, KEY, None), BODY).unwrap_err();
    assert_eq!(reason, Reason::MissingComponent("content-digest"));
}

#[test]
fn times_are_held_against_window_and_expiry() {
    let created = |time: &str| after("created=1760000000", &format!("created={time}"));
    assert_eq!(created("\"1760000000\""), Reason::InvalidTimestamp);
    assert_eq!(created("1760000000.0"), Reason::InvalidTimestamp);
    assert_eq!(created("1759999699"), Reason::TimestampOutsideWindow);
    assert_eq!(created("1760000301"), Reason::TimestampOutsideWindow);
    assert_eq!(created("1759999700"), Reason::InvalidSignature, "inside, but not what was signed");
    let expires = |time: &str| after("expires=1760000060", &format!("expires={time}"));
    assert_eq!(expires("soon"), Reason::InvalidTimestamp);
    assert_eq!(expires("1759999999"), Reason::TimestampOutsideWindow);
    assert_eq!(expires("1760000000"), Reason::InvalidSignature, "inside, but not what was signed");
}

#[test]
fn keys_are_named_exactly() {
    for keyid in ["nobody:v7", "npu-worker", "npu-worker:7", "npu-worker:v07", ":v7", "NPU:v7"] {
        assert_eq!(after("npu-worker:v7", keyid), Reason::UnknownService, "{keyid}");
    }
    assert_eq!(after("npu-worker:v7", "npu-worker:v8"), Reason::KeyExpired);
    let expired = answer(&signed(&with_hmac()), hmac(7, KEY, Some(NOW)), BODY);
    assert_eq!(expired, Err(Reason::KeyExpired));
}

#[test]
fn what_does_not_parse_or_is_not_ours_is_refused() {
    for (from, to) in [
        ("\"@method\"", "\"@method\" \"@method\""),
        ("\"@method\"", "\"@method\";req"),
        ("\"@method\"", "\"@method\" \"date\""),
        ("\"@method\"", "@method"),
        (";created", ";created=1;created"),
        (";created", ";extra=1;created"),
        (";created", " ;created"),
        ("\"hmac-sha256\"", "\"none\""),
        ("\"hmac-sha256\"", "hmac-sha256"),
        ("\"countersign\"", "1"),
        ("\"countersign\"", "\"\""),
        ("\"npu-worker:v7\"", ":AAAA:"),
        ("sig1=", "sig1, sig1="),
    ] {
        assert_eq!(after(from, to), Reason::InvalidSignature, "{from} → {to}");
    }
    assert_eq!(after("sig1=", "sig2="), Reason::MissingHeaders);
    let headers = signed(&with_hmac());
    let reason = |headers| answer(&headers, hmac(7, KEY, None), BODY).unwrap_err();
    assert_eq!(reason(without(&headers, &SIGNATURE)), Reason::MissingHeaders);
    assert_eq!(reason(with(&headers, &SIGNATURE, b"sig2=:AAAA:")), Reason::MissingHeaders);
    for wrong in [&b"sig1"[..], b"sig1=::", b"sig1=(:AAAA:)", b"sig1=:A:", b"\xff", b"sig1=1"] {
        assert_eq!(reason(with(&headers, &SIGNATURE, wrong)), Reason::InvalidSignature);
    }
}

#[test]
fn a_good_signature_over_what_the_contract_does_not_know_is_refused() {
    let list = r#"("@method" "@authority" "@path" "@query")"#;
    let lines = "\"@method\": POST\n\"@authority\": api.example.com:8443\n\
                 \"@path\": /api/npu%2Fregister\n\"@query\": ?lang=de&x=1\n";
    let answer = |lines: &str, list: &str, parameters: &str| {
        let base = format!("{lines}\"@signature-params\": {list}{parameters}");
        let headers = by_hand(&format!("sig1={list}{parameters}"), &base);
        answer(&headers, hmac(7, KEY, None), b"")
    };
    assert!(answer(lines, list, PARAMETERS).is_ok());
    for (from, to) in [
        ("\"hmac-sha256\"", "\"ed25519\""),
        ("\"countersign\"", "\"\""),
        ("\"countersign\"", "1"),
        (";nonce", ";extra=1;nonce"),
        (";nonce=\"n\"", ";nonce=\"\""),
    ] {
        let refused = answer(lines, list, &PARAMETERS.replace(from, to));
        assert_eq!(refused, Err(Reason::InvalidSignature), "{from} → {to}");
    }
    let twice = list.replace(')', " \"@method\")");
    let refused = answer(&format!("{lines}\"@method\": POST\n"), &twice, PARAMETERS);
    assert_eq!(refused, Err(Reason::InvalidSignature));
}

#[test]
fn another_body_is_a_digest_mismatch() {
    let reason = answer(&signed(&with_hmac()), hmac(7, KEY, None), b"other").unwrap_err();
    assert_eq!(reason, Reason::DigestMismatch);
    let gone = answer(&signed(&with_hmac()), hmac(7, KEY, None), b"").unwrap_err();
    assert_eq!(gone, Reason::DigestMismatch);
}

#[test]
fn order_and_blanks_are_the_signers_choice() {
    let list = r#"("content-digest" "@query" "@path" "@authority" "@method")"#;
    let digest = signed(&with_hmac())[CONTENT_DIGEST].to_str().unwrap().to_owned();
    let base = format!(
        "\"content-digest\": {digest}\n\"@query\": ?lang=de&x=1\n\"@path\": /api/npu%2Fregister\n\
         \"@authority\": api.example.com:8443\n\"@method\": POST\n\"@signature-params\": {list}{PARAMETERS}"
    );
    let blanks = list.replace(' ', "  ").replace('(', "( ").replace(')', " )");
    let blank_parameters = PARAMETERS.replace(';', "; ");
    for input in [
        format!("sig1={list}{PARAMETERS}"),
        format!("sig1={blanks}{blank_parameters}"),
        format!("proxy=(\"@method\");created=1.5;x, sig1={list}{PARAMETERS} , y=token"),
    ] {
        let answer = answer(&by_hand(&input, &base), hmac(7, KEY, None), BODY);
        assert!(answer.is_ok(), "{answer:?} {input}");
    }
}

#[test]
fn a_covered_digest_that_proves_nothing_is_a_mismatch() {
    let list = r#"("@method" "@authority" "@path" "@query" "content-digest")"#;
    for digest in ["md5=:AAAA:", "sha-256=1", "sha-256", "", "sha-256=:AAAA:"] {
        let base = format!(
            "\"@method\": POST\n\"@authority\": api.example.com:8443\n\"@path\": /api/npu%2Fregister\n\
             \"@query\": ?lang=de&x=1\n\"content-digest\": {digest}\n\"@signature-params\": {list}{PARAMETERS}"
        );
        let headers = by_hand(&format!("sig1={list}{PARAMETERS}"), &base);
        let headers = with(&headers, &CONTENT_DIGEST, digest.as_bytes());
        let reason = answer(&headers, hmac(7, KEY, None), BODY).unwrap_err();
        assert_eq!(reason, Reason::DigestMismatch, "{digest}");
    }
}
