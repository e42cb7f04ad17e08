//! Version 1 (contract 4.1): HMAC-SHA-256 (RFC 2104) over `{service_id}:{METHOD}:{path}:{timestamp}`
//! in three headers. It covers neither query nor body nor host.

use std::ops::Deref;

use aws_lc_rs::hmac;
use http::HeaderMap;
use http::header::HeaderName;
use subtle::ConstantTimeEq as _;

use crate::head::{RequestHead, made, made_secret};
use crate::key::{HmacKey, VerifyingKey};
use crate::reason::Reason;
use crate::service::{Service, ServiceId, ServiceKey, SignatureVersion};
use crate::time::{Window, unix_seconds};
use crate::verified::{Verified, replay_id};

/// `X-Service-ID`.
pub const SERVICE_ID: HeaderName = HeaderName::from_static("x-service-id");
/// `X-Service-Signature`: 64 lower-case hex digits.
pub const SERVICE_SIGNATURE: HeaderName = HeaderName::from_static("x-service-signature");
/// `X-Service-Timestamp`: Unix seconds.
pub const SERVICE_TIMESTAMP: HeaderName = HeaderName::from_static("x-service-timestamp");

/// What is signed: the method in upper case, and the target (`/path?query`) up to its query, still
/// encoded. `timestamp` is Unix seconds.
#[must_use]
pub fn message(service: &ServiceId, method: &str, target: &str, timestamp: i64) -> String {
    let path = target.split_once('?').map_or(target, |(path, _)| path);
    format!("{service}:{}:{path}:{timestamp}", method.to_ascii_uppercase())
}

/// Signs: the three headers for the request. [`HeaderMap::extend`] puts them in place of older
/// ones. `timestamp` is now, in Unix seconds.
#[must_use]
pub fn sign(
    service: &ServiceId,
    key: &HmacKey,
    method: &str,
    target: &str,
    timestamp: i64,
) -> HeaderMap {
    let signature = tag(key, &message(service, method, target, timestamp));
    HeaderMap::from_iter([
        (SERVICE_ID, made(service.to_string())),
        (SERVICE_SIGNATURE, made_secret(signature)),
        (SERVICE_TIMESTAMP, made(timestamp.to_string())),
    ])
}

/// Checks a request. `find` gives what is known of a service, `None` for an unknown one.
///
/// Every live HMAC key of the service may have signed. A signature of an expired key is
/// `key_expired`, as is any when the service has no live key.
///
/// # Errors
/// The first that applies: `missing_headers`, `invalid_timestamp`, `timestamp_outside_window`,
/// `unknown_service`, `key_expired`, `invalid_signature`, `version_refused`.
pub fn verify<S: Deref<Target = Service>>(
    head: &RequestHead<'_>,
    window: Window,
    find: impl FnOnce(&ServiceId) -> Option<S>,
) -> Result<Verified, Reason> {
    let header = |name: HeaderName| head.header(&name).ok_or(Reason::MissingHeaders);
    let service = header(SERVICE_ID)?;
    let signature = header(SERVICE_SIGNATURE)?;
    let timestamp = header(SERVICE_TIMESTAMP)?;

    let timestamp = unix_seconds(timestamp).ok_or(Reason::InvalidTimestamp)?;
    if !window.holds(timestamp) {
        return Err(Reason::TimestampOutsideWindow);
    }
    let service: ServiceId = service.parse().map_err(|_| Reason::UnknownService)?;
    let known = find(&service).ok_or(Reason::UnknownService)?;
    let message = message(&service, head.method, head.target, timestamp);
    let key = signer(&known, &message, signature, window.now())?;
    if known.minimum_version > SignatureVersion::V1 {
        return Err(Reason::VersionRefused);
    }
    Ok(Verified {
        key_version: key.version,
        signature: SignatureVersion::V1,
        timestamp,
        good_until: window.holds_until(timestamp),
        replay_id: replay_id("v1", &service, signature),
        service,
    })
}

/// The live key that made `signature`.
fn signer<'s>(
    service: &'s Service,
    message: &str,
    signature: &str,
    now: i64,
) -> Result<&'s ServiceKey, Reason> {
    if !service.keys.iter().any(|key| key.is_live(now)) {
        return Err(Reason::KeyExpired);
    }
    let made_it = |key: &&ServiceKey| match &key.key {
        // Both sides are text, so upper case and any other spelling is refused; `ct_eq` takes the
        // same time whichever byte differs.
        VerifyingKey::Hmac(key) => tag(key, message).as_bytes().ct_eq(signature.as_bytes()).into(),
        VerifyingKey::Ed25519(_) => false,
    };
    let mut makers = service.keys.iter().filter(made_it).peekable();
    makers.peek().ok_or(Reason::InvalidSignature)?;
    // A caller that missed its rotation is told so; only who holds the old key gets this far.
    makers.find(|key| key.is_live(now)).ok_or(Reason::KeyExpired)
}

/// The key is the digits' text, not the bytes that they stand for.
fn tag(key: &HmacKey, message: &str) -> String {
    hex::encode(hmac::sign(&key.text, message.as_bytes()))
}
