//! What a good signature proves.

use aws_lc_rs::digest::{Context, SHA256};

use crate::reason::Reason;
use crate::service::{KeyVersion, ServiceId, SignatureVersion};
use crate::v2::ContentDigest;

/// Who signed a request. Only a verification makes one.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Verified {
    /// The service.
    pub service: ServiceId,
    /// Which of its keys.
    pub key_version: KeyVersion,
    /// How it signed.
    pub signature: SignatureVersion,
    /// When it says that it signed, in Unix seconds: minus now, this is its clock's offset.
    pub timestamp: i64,
    /// The last Unix second in which the same signature verifies: remember it that long.
    pub good_until: i64,
    /// What must not come twice: SHA-256 of service and signature (version 1, for methods that
    /// change state) or of service and nonce (version 2, for every method).
    pub replay_id: [u8; 32],
}

/// SHA-256 over version, service and token. Unambiguous: a service id has no newline.
pub(crate) fn replay_id(version: &str, service: &ServiceId, token: &str) -> [u8; 32] {
    let mut digest = Context::new(&SHA256);
    for part in [version, "\n", service.as_str(), "\n", token] {
        digest.update(part.as_bytes());
    }
    let mut id = [0; 32];
    id.copy_from_slice(digest.finish().as_ref());
    id
}

/// A head whose signature is good, and a body that is still to be read and held against it. So a
/// stranger's body need not be read at all.
#[derive(Debug)]
#[must_use = "nothing is verified until `with_body` was asked"]
pub struct SignedHead {
    verified: Verified,
    body: Covered,
}

/// What the signature says about the body.
#[derive(Debug)]
enum Covered {
    /// Version 1 says nothing.
    Unsigned,
    /// Version 2 without `content-digest`: there is no body.
    Empty,
    /// Version 2 with it.
    Digest(ContentDigest),
}

impl SignedHead {
    pub(crate) fn of_v1(verified: Verified) -> Self {
        Self { verified, body: Covered::Unsigned }
    }

    pub(crate) fn of_v2(verified: Verified, digest: Option<ContentDigest>) -> Self {
        Self { verified, body: digest.map_or(Covered::Empty, Covered::Digest) }
    }

    /// Whether the answer depends on the body. When not (version 1), it can be streamed on unread
    /// and [`with_body`](Self::with_body) asked with anything.
    #[must_use]
    pub fn needs_body(&self) -> bool {
        !matches!(self.body, Covered::Unsigned)
    }

    /// Holds the whole body against the signature; an absent one is empty.
    ///
    /// # Errors
    /// `missing_component` when there is a body that the signature does not cover,
    /// `digest_mismatch` when it is not the body that was signed (version 2).
    pub fn with_body(self, body: &[u8]) -> Result<Verified, Reason> {
        match self.body {
            Covered::Empty if !body.is_empty() => Err(Reason::MissingComponent("content-digest")),
            Covered::Digest(digest) if !digest.matches(body) => Err(Reason::DigestMismatch),
            _ => Ok(self.verified),
        }
    }
}
