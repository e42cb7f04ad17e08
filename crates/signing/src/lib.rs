//! Signatures on requests and webhooks: making them and checking them.
//!
//! Pure: no I/O, no clock, no randomness, no async. Times are Unix seconds and are passed in, as are
//! nonces; keys come from a function that the caller gives. A signer gets headers to put into its
//! request; a verifier gives a request's head and gets [`Verified`], or the [`Reason`] why not.
//!
//! | module | what | source |
//! |---|---|---|
//! | [`v1`] | HMAC over service, method, path and time | contract 4.1, RFC 2104 |
//! | [`v2`] | HTTP message signatures, body included | contract 4.2, RFC 9421, RFC 9530 |
//! | [`webhook`] | signatures on deliveries | contract 5.3, Standard Webhooks 1.0 |
//!
//! [`verify`] takes a request of either version. What it cannot know is left to the caller: whether
//! the same signature came before (`replayed`). [`Verified::replay_id`] is what to remember, and
//! [`Verified::good_until`] is how long.
//!
//! ```
//! use std::collections::HashMap;
//!
//! use countersign_signing::{
//!     HmacKey, RequestHead, Service, ServiceId, ServiceKey, SignatureVersion, VerifyingKey, Window,
//!     v1, verify,
//! };
//! use http::HeaderMap;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let text = "db1302249abaee6326a56790da737d7471115cc4d1eef8fd02976b8923d7b917";
//! let worker: ServiceId = "npu-worker".parse()?;
//! let headers = v1::sign(&worker, &HmacKey::from_hex(text)?, "POST", "/api/x?y=1", 1_760_000_000);
//!
//! let key = VerifyingKey::Hmac(HmacKey::from_hex(text)?);
//! let keys = vec![ServiceKey { version: 1.into(), key, expires: None }];
//! let services =
//!     HashMap::from([(worker, Service { keys, minimum_version: SignatureVersion::V1 })]);
//! let head = RequestHead {
//!     method: "POST",
//!     authority: "api.example.com",
//!     target: "/api/x?y=1",
//!     headers: &headers,
//! };
//! let window = Window::around(1_760_000_030, 300);
//! let verified = verify(&head, window, |id| services.get(id))?.with_body(b"")?;
//! assert_eq!(verified.service.as_str(), "npu-worker");
//! # Ok(())
//! # }
//! ```

mod head;
mod key;
mod reason;
mod service;
mod time;
pub mod v1;
pub mod v2;
mod verified;
pub mod webhook;

use std::ops::Deref;

pub use head::RequestHead;
pub use key::{Ed25519Key, Ed25519PublicKey, HmacKey, InvalidKey, SigningKey, VerifyingKey};
pub use reason::Reason;
pub use service::{
    InvalidKeyVersion, InvalidServiceId, KeyVersion, Service, ServiceId, ServiceKey,
    SignatureVersion,
};
pub use time::Window;
pub use verified::{SignedHead, Verified};

/// Checks a request of either version: of version 2 when it carries our version 2 signature, else
/// of version 1. A bad version 2 signature never falls back to version 1.
///
/// `find` is asked at most once, and gives what is known of a service, by reference, [`Arc`] or
/// guard; `None` means that nobody has that id.
///
/// # Errors
/// The first [`Reason`] that applies, in the order of that enum, save that a signature version below
/// [`Service::minimum_version`] is refused after the signature has proven whose it is, so that the
/// refusal says something about the service and not about whoever used its name.
///
/// [`Arc`]: std::sync::Arc
pub fn verify<S: Deref<Target = Service>>(
    head: &RequestHead<'_>,
    window: Window,
    find: impl FnOnce(&ServiceId) -> Option<S>,
) -> Result<SignedHead, Reason> {
    match v2::Claim::read(head)? {
        Some(claim) => claim.verify(head, window, find),
        None => v1::verify(head, window, find).map(SignedHead::of_v1),
    }
}
