//! The sender's side.

use http::HeaderMap;

use super::{
    BODY_SIGNATURE, Delivery, ID, KEY_VERSION, Key, SIGNATURE, SystemKey, TIMESTAMP, is_id,
};
use crate::head::{made, made_secret};

/// A delivery's id is empty, or has a full stop, a blank or a character beyond ASCII.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a delivery's id is visible ASCII without blanks and full stops")]
pub struct InvalidId;

/// Signs: the five headers of a delivery.
///
/// `X-Webhook-Signature` is made with the system key, `webhook-signature` with each of the
/// subscription's secrets (two while they are rotated, the new one first), or with the system key
/// when there is none.
///
/// # Errors
/// When the id cannot be signed.
pub fn sign<'k>(
    delivery: &Delivery<'_>,
    system: &SystemKey,
    secrets: impl IntoIterator<Item = &'k Key>,
) -> Result<HeaderMap, InvalidId> {
    if !is_id(delivery.id) {
        return Err(InvalidId);
    }
    let mut signatures: Vec<_> =
        secrets.into_iter().map(|secret| secret.signature(delivery)).collect();
    if signatures.is_empty() {
        signatures.push(system.key.signature(delivery));
    }
    Ok(HeaderMap::from_iter([
        (BODY_SIGNATURE, made_secret(system.key.body_signature(delivery.body))),
        (KEY_VERSION, made(system.version.to_string())),
        (ID, made(delivery.id.to_owned())),
        (TIMESTAMP, made(delivery.timestamp.to_string())),
        (SIGNATURE, made_secret(signatures.join(" "))),
    ]))
}
