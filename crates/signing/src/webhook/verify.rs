//! The receiver's side.

use http::HeaderMap;
use http::header::HeaderName;
use subtle::ConstantTimeEq as _;

use super::{
    BODY_SIGNATURE, Delivery, ID, KEY_VERSION, Key, SIGNATURE, SystemKey, TIMESTAMP, is_id,
};
use crate::head::single;
use crate::service::KeyVersion;
use crate::time::{Window, unix_seconds};

/// Why a delivery was refused. Declared in the order in which it is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
pub enum Reason {
    /// A header is absent, empty, or given more than once.
    #[error("a webhook header is missing")]
    MissingHeaders,
    /// `webhook-timestamp` is not an integer.
    #[error("the timestamp is not an integer")]
    InvalidTimestamp,
    /// It is further from now than the window.
    #[error("the timestamp is outside the window")]
    TimestampOutsideWindow,
    /// No key made the signature over this delivery, or it is malformed.
    #[error("no key made this signature")]
    InvalidSignature,
}

/// Checks a delivery by Standard Webhooks. `secrets` are all that may have signed: the
/// subscription's, or the system key and its grace versions. What it answers is proven; remember
/// its id as long as the window is, and a repetition shows.
///
/// # Errors
/// The first [`Reason`] that applies.
pub fn verify<'d, 'k>(
    headers: &'d HeaderMap,
    body: &'d [u8],
    secrets: impl IntoIterator<Item = &'k Key>,
    window: Window,
) -> Result<Delivery<'d>, Reason> {
    let header = |name: HeaderName| single(headers, &name).ok_or(Reason::MissingHeaders);
    let (id, timestamp, given) = (header(ID)?, header(TIMESTAMP)?, header(SIGNATURE)?);
    let timestamp = unix_seconds(timestamp).ok_or(Reason::InvalidTimestamp)?;
    if !window.holds(timestamp) {
        return Err(Reason::TimestampOutsideWindow);
    }
    let delivery = Delivery { id, timestamp, body };
    let made_it = |key: &Key| {
        let wanted = key.signature(&delivery);
        // Signatures of other schemes (`v1a,…`) are equal to none.
        given.split(' ').any(|given| equal(given, &wanted))
    };
    let good = is_id(id) && secrets.into_iter().any(made_it);
    good.then_some(delivery).ok_or(Reason::InvalidSignature)
}

/// Checks `X-Webhook-Signature`, which covers the body alone, and answers with the version of the
/// key that made it. `keys` are the system's: the current one and its grace versions. The one that
/// the header names is tried first, then the others; the header itself is not signed.
///
/// # Errors
/// `MissingHeaders` or `InvalidSignature`.
pub fn verify_body(
    headers: &HeaderMap,
    body: &[u8],
    keys: &[SystemKey],
) -> Result<KeyVersion, Reason> {
    let header = |name: HeaderName| single(headers, &name).ok_or(Reason::MissingHeaders);
    let (given, version) = (header(BODY_SIGNATURE)?, header(KEY_VERSION)?);
    let named: Option<KeyVersion> = version.parse().ok();
    let is_named = |key: &&SystemKey| Some(key.version) == named;
    let (first, others): (Vec<_>, Vec<_>) = keys.iter().partition(is_named);
    let mut tried = first.into_iter().chain(others);
    let found = tried.find(|system| equal(given, &system.key.body_signature(body)));
    found.map(|system| system.version).ok_or(Reason::InvalidSignature)
}

/// Takes the same time whichever byte differs. As text, so that a signature has one spelling.
fn equal(given: &str, wanted: &str) -> bool {
    given.as_bytes().ct_eq(wanted.as_bytes()).into()
}
