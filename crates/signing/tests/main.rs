//! Signatures as outside programs meet them: known answers, reasons, and what holds for any input.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::HashMap;

use countersign_signing::{
    HmacKey, RequestHead, Service, ServiceId, ServiceKey, SignatureVersion, VerifyingKey, Window,
};
use http::{HeaderMap, HeaderName, HeaderValue};
use proptest::prelude::*;
use serde_json::Value;

#[path = "main/secrecy.rs"]
mod secrecy;
#[path = "main/v1.rs"]
mod v1;
#[path = "main/v1_any.rs"]
mod v1_any;
#[path = "main/v2.rs"]
mod v2;
#[path = "main/v2_any.rs"]
mod v2_any;
#[path = "main/v2_reasons.rs"]
mod v2_reasons;
#[path = "main/webhook.rs"]
mod webhook;

const NOW: i64 = 1_760_000_000;
const KEY: &str = "94070a523c13bb1e86defd77a66795560c65d0eec01523e3d79fa311065f43dd";
const OLD_KEY: &str = "bec96a23afc4aa73538f11ccae635a4b18646686e00077545b1020d1490cbbf4";

fn vectors(name: &str) -> Value {
    let path = format!("{}/../../tests/vectors/{name}", env!("CARGO_MANIFEST_DIR"));
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

fn text<'v>(value: &'v Value, name: &str) -> &'v str {
    value[name].as_str().unwrap()
}

fn headers_of(case: &Value) -> HeaderMap {
    let header = |(name, value): (&String, &Value)| {
        let name: HeaderName = name.parse().unwrap();
        (name, HeaderValue::from_str(value.as_str().unwrap()).unwrap())
    };
    case["headers"].as_object().unwrap().iter().map(header).collect()
}

fn id(text: &str) -> ServiceId {
    text.parse().unwrap()
}

fn window() -> Window {
    Window::around(NOW, 300)
}

fn hmac(version: u32, text: &str, expires: Option<i64>) -> ServiceKey {
    let key = VerifyingKey::Hmac(HmacKey::from_hex(text).unwrap());
    ServiceKey { version: version.into(), key, expires }
}

fn service(keys: Vec<ServiceKey>) -> Service {
    Service { keys, minimum_version: SignatureVersion::V1 }
}

/// The one service of a test.
fn services(name: &str, service: Service) -> HashMap<ServiceId, Service> {
    HashMap::from([(id(name), service)])
}

fn head<'r>(method: &'r str, target: &'r str, headers: &'r HeaderMap) -> RequestHead<'r> {
    RequestHead { method, authority: "api.example.com", target, headers }
}

/// A copy with one header's value replaced.
fn with(headers: &HeaderMap, name: &HeaderName, value: &[u8]) -> HeaderMap {
    let mut headers = headers.clone();
    headers.insert(name, HeaderValue::from_bytes(value).unwrap());
    headers
}

fn without(headers: &HeaderMap, name: &HeaderName) -> HeaderMap {
    let mut headers = headers.clone();
    headers.remove(name).unwrap();
    headers
}

/// The text with one byte made another ASCII byte.
fn flip(text: &str, at: prop::sample::Index, mask: u8) -> String {
    let mut bytes = text.as_bytes().to_vec();
    let at = at.index(bytes.len());
    bytes[at] ^= mask;
    String::from_utf8(bytes).unwrap()
}

/// A mask for [`flip`].
fn mask() -> impl Strategy<Value = u8> {
    1..=127_u8
}

fn key_text() -> impl Strategy<Value = String> {
    "[0-9a-fA-F]{64}"
}

/// A path and perhaps a query, as a request line can carry them.
fn target() -> impl Strategy<Value = String> {
    "/[!->@-~]{0,40}(\\?[!-~]{0,20})?"
}

/// Headers under these names with any bytes that a header can hold.
fn any_headers(names: Vec<HeaderName>) -> impl Strategy<Value = HeaderMap> {
    let value = prop_oneof![
        proptest::collection::vec(any::<u8>(), 0..60),
        "[0-9a-f]{1,64}".prop_map(String::into_bytes),
        "sig1=(\\(\"@(method|path)\"\\)|:[A-Za-z0-9+/=]{0,8}:)(;[a-z]{1,7}(=[0-9]{1,3})?){0,7}"
            .prop_map(String::into_bytes),
    ];
    let header = (prop::sample::select(names), value);
    proptest::collection::vec(header, 0..8).prop_map(|given| {
        let mut headers = HeaderMap::new();
        for (name, bytes) in given {
            if let Ok(value) = HeaderValue::from_bytes(&bytes) {
                headers.append(name, value);
            }
        }
        headers
    })
}
