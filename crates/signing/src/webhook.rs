//! Signatures on webhook deliveries (contract 5.3): Standard Webhooks 1.0, and beside it
//! `X-Webhook-Signature` over the body alone, for receivers that know only that.
//!
//! A receiver should prefer [`verify`]: it covers id and time, so an old delivery cannot be sent
//! again outside the window, and inside it the id tells a repetition. [`verify_body`] covers
//! neither.
//!
//! ```
//! use countersign_signing::Window;
//! use countersign_signing::webhook::{Delivery, Key, SystemKey, sign, verify, verify_body};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let text = "53c824c01c4f73a9a56fa897ad9332468831f5db0405df8352e5e206b0be59df";
//! let system = SystemKey { version: 1.into(), key: Key::from_hex(text)? };
//! let delivery = Delivery { id: "msg_1", timestamp: 1_767_323_045, body: b"{}" };
//! let headers = sign(&delivery, &system, [])?;
//!
//! let window = Window::around(1_767_323_050, 300);
//! assert_eq!(verify(&headers, b"{}", [&system.key], window)?.id, "msg_1");
//! assert_eq!(verify_body(&headers, b"{}", &[system])?.to_string(), "v1");
//! # Ok(())
//! # }
//! ```

mod sign;
mod verify;

use std::fmt;

use aws_lc_rs::hmac::{self, HMAC_SHA256};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::header::HeaderName;
use zeroize::Zeroizing;

use crate::key::{InvalidKey, decode_hex};
use crate::service::KeyVersion;
pub use sign::{InvalidId, sign};
pub use verify::{Reason, verify, verify_body};

/// `X-Webhook-Signature`: `sha256=` and 64 lower-case hex digits.
pub const BODY_SIGNATURE: HeaderName = HeaderName::from_static("x-webhook-signature");
/// `X-Webhook-Key-Version`: `v` and a number.
pub const KEY_VERSION: HeaderName = HeaderName::from_static("x-webhook-key-version");
/// `webhook-id` (Standard Webhooks, "Webhook Headers").
pub const ID: HeaderName = HeaderName::from_static("webhook-id");
/// `webhook-timestamp`: Unix seconds.
pub const TIMESTAMP: HeaderName = HeaderName::from_static("webhook-timestamp");
/// `webhook-signature`: `v1,<base64>`, several with a space between.
pub const SIGNATURE: HeaderName = HeaderName::from_static("webhook-signature");

/// One message on its way to one receiver.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Delivery<'d> {
    /// Names the message; the same in every try, so that a receiver can tell a repetition.
    pub id: &'d str,
    /// When this try was made, in Unix seconds.
    pub timestamp: i64,
    /// The raw body.
    pub body: &'d [u8],
}

/// A webhook key: a version of the system's, or a subscription's secret.
pub struct Key(hmac::Key);

impl Key {
    /// From 64 hex digits, which stand for the key's 32 bytes.
    ///
    /// # Errors
    /// When they are not that.
    pub fn from_hex(text: &str) -> Result<Self, InvalidKey> {
        Ok(Self(hmac::Key::new(HMAC_SHA256, &*decode_hex(text)?)))
    }

    /// From a Standard Webhooks secret: `whsec_` and 24 to 64 bytes in base64.
    ///
    /// # Errors
    /// When it is not that.
    pub fn from_secret(text: &str) -> Result<Self, InvalidKey> {
        let bytes = text.strip_prefix("whsec_").and_then(|text| STANDARD.decode(text).ok());
        let bytes = bytes.map(Zeroizing::new).filter(|bytes| (24..=64).contains(&bytes.len()));
        let bytes = bytes.ok_or(InvalidKey { wanted: "`whsec_` and 24 to 64 bytes in base64" })?;
        Ok(Self(hmac::Key::new(HMAC_SHA256, &bytes)))
    }

    /// `sha256=<hex>` over the body.
    fn body_signature(&self, body: &[u8]) -> String {
        format!("sha256={}", hex::encode(hmac::sign(&self.0, body)))
    }

    /// `v1,<base64>` over `id.timestamp.body` (Standard Webhooks, "Signature scheme").
    fn signature(&self, delivery: &Delivery<'_>) -> String {
        let mut message = hmac::Context::with_key(&self.0);
        message.update(format!("{}.{}.", delivery.id, delivery.timestamp).as_bytes());
        message.update(delivery.body);
        format!("v1,{}", STANDARD.encode(message.sign()))
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key(***)")
    }
}

/// One version of the system's webhook key.
#[derive(Debug)]
pub struct SystemKey {
    /// Which one.
    pub version: KeyVersion,
    /// The key.
    pub key: Key,
}

/// Whether an id can be signed: with a full stop in it, `a.1` at 2 and `a` at 1 with a body that
/// begins `2.` would be one message. Visible ASCII, as it is a header.
fn is_id(id: &str) -> bool {
    !id.is_empty() && id.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'.')
}
