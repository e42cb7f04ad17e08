//! Version 2 (contract 4.2): HTTP message signatures (RFC 9421) under the label `sig1`, with the
//! body covered by its digest (RFC 9530).
//!
//! It covers `@method`, `@authority`, `@path`, `@query`, and `content-digest` when there is a body;
//! parameters are `created`, `expires`, `nonce`, `keyid` (`<service_id>:v<version>`), `alg`
//! (`hmac-sha256` or `ed25519`) and `tag` (`countersign`). All are needed, in any order, and no
//! others are taken: what a verifier does not know it cannot vouch for.

mod base;
mod claim;
mod digest;
mod structured;

use std::ops::Deref;

use http::HeaderMap;
use http::header::HeaderName;

use crate::head::{RequestHead, made, made_secret};
use crate::key::SigningKey;
use crate::reason::Reason;
use crate::service::{KeyVersion, Service, ServiceId};
use crate::time::Window;
use crate::verified::SignedHead;
use base::Component;
pub(crate) use claim::Claim;
pub(crate) use digest::ContentDigest;

/// `Signature-Input` (RFC 9421 section 4.1).
pub const SIGNATURE_INPUT: HeaderName = HeaderName::from_static("signature-input");
/// `Signature` (RFC 9421 section 4.2).
pub const SIGNATURE: HeaderName = HeaderName::from_static("signature");
/// `Content-Digest` (RFC 9530 section 2).
pub const CONTENT_DIGEST: HeaderName = HeaderName::from_static("content-digest");

const LABEL: &str = "sig1";
const TAG: &str = "countersign";

/// Who signs, and with what.
#[derive(Debug)]
pub struct Signer {
    /// The service.
    pub service: ServiceId,
    /// Which of its keys `key` is.
    pub version: KeyVersion,
    /// The key.
    pub key: SigningKey,
}

/// When a signature is made, how long it holds, and what makes it the only one of its kind.
#[derive(Debug, Clone, Copy)]
pub struct Stamp {
    /// Now, in Unix seconds.
    pub created: i64,
    /// The last Unix second in which it may be accepted; the verifier's window may end sooner.
    pub expires: i64,
    /// 16 random bytes, new for each request.
    pub nonce: [u8; 16],
}

/// The request cannot be signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SignError {
    /// RFC 9421 section 2 knows ASCII only, and a line break would end the component.
    #[error("`{0}` is not visible ASCII")]
    Component(&'static str),
    /// RFC 8941 section 3.3.1: an integer has at most 15 digits.
    #[error("a time has more than 15 digits")]
    Time,
}

impl Signer {
    /// Signs: `Signature-Input`, `Signature`, and with a body `Content-Digest`.
    /// [`HeaderMap::extend`] puts them in place of older ones. Of `head.headers` nothing is read.
    ///
    /// # Errors
    /// When method, authority or target are not visible ASCII, or a time is beyond 15 digits.
    pub fn sign(
        &self,
        head: &RequestHead<'_>,
        body: &[u8],
        stamp: Stamp,
    ) -> Result<HeaderMap, SignError> {
        if [stamp.created, stamp.expires].into_iter().any(|time| !structured::fits(time)) {
            return Err(SignError::Time);
        }
        let mut signed = HeaderMap::new();
        let mut components = Component::REQUIRED.to_vec();
        if !body.is_empty() {
            components.push(Component::ContentDigest);
            signed.insert(CONTENT_DIGEST, made(digest::sha256_field(body)));
        }
        let parameters = self.parameters(&components, stamp);
        // The components read the new digest and never a stale one.
        let head = RequestHead { headers: &signed, ..*head };
        let base =
            base::of_request(&head, &components, &parameters).map_err(SignError::Component)?;
        let signature = structured::bytes(&self.key.sign(base.as_bytes()));
        signed.insert(SIGNATURE_INPUT, made(format!("{LABEL}={parameters}")));
        signed.insert(SIGNATURE, made_secret(format!("{LABEL}={signature}")));
        Ok(signed)
    }

    /// `@signature-params` (RFC 9421 section 2.3). Nothing in it needs escaping.
    fn parameters(&self, components: &[Component], stamp: Stamp) -> String {
        let Stamp { created, expires, nonce } = stamp;
        let (service, version, algorithm) = (&self.service, self.version, self.key.algorithm());
        format!(
            "{};created={created};expires={expires};nonce=\"{}\";\
             keyid=\"{service}:{version}\";alg=\"{algorithm}\";tag=\"{TAG}\"",
            base::list(components),
            hex::encode(nonce),
        )
    }
}

/// Checks a request's head; the answer stands when its body was held against it. `find` gives what
/// is known of a service, `None` for an unknown one.
///
/// # Errors
/// The first that applies: `missing_headers` (also when `sig1` has another tag: it is not ours),
/// `missing_component`, `invalid_timestamp`, `timestamp_outside_window`, `unknown_service`,
/// `key_expired` (also when the service has no key of that version), `invalid_signature`. Fields
/// that do not parse are `invalid_signature`.
pub fn verify<S: Deref<Target = Service>>(
    head: &RequestHead<'_>,
    window: Window,
    find: impl FnOnce(&ServiceId) -> Option<S>,
) -> Result<SignedHead, Reason> {
    Claim::read(head)?.ok_or(Reason::MissingHeaders)?.verify(head, window, find)
}
