//! Why a request's signature is refused (contract 4.1 and 4.2).

use std::fmt;

/// Why a request was refused. Declared in the order in which it is asked.
///
/// `Display` writes the text for the log line `Service auth failed`; [`Reason::as_str`] the code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Reason {
    /// A signature header is absent, empty, or given more than once.
    MissingHeaders,
    /// The signature does not cover this component or lacks this parameter (version 2). The
    /// component `content-digest` is asked for last, when the body is known.
    MissingComponent(&'static str),
    /// The time is not an integer.
    InvalidTimestamp,
    /// The time is further from now than the window, or the signature has expired.
    TimestampOutsideWindow,
    /// Nobody has that service id.
    UnknownService,
    /// The service has no such key, or not any more.
    KeyExpired,
    /// The signature is not one that the service's key made over this request, or is malformed.
    InvalidSignature,
    /// The signature is good, but the service may not sign with this version any more.
    VersionRefused,
    /// The body is not the one that was signed (version 2).
    DigestMismatch,
}

impl Reason {
    /// The code that problems and reports carry, such as `missing_headers`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::MissingHeaders => "missing_headers",
            Self::MissingComponent(_) => "missing_component",
            Self::InvalidTimestamp => "invalid_timestamp",
            Self::TimestampOutsideWindow => "timestamp_outside_window",
            Self::UnknownService => "unknown_service",
            Self::KeyExpired => "key_expired",
            Self::InvalidSignature => "invalid_signature",
            Self::VersionRefused => "version_refused",
            Self::DigestMismatch => "digest_mismatch",
        }
    }
}

/// Contract 4.1 gives the words of the first five; their capitals are what existing log searches
/// look for.
impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::MissingHeaders => f.write_str("Missing authentication headers"),
            Self::InvalidTimestamp => f.write_str("Invalid timestamp format"),
            Self::TimestampOutsideWindow => f.write_str("Timestamp outside allowed window"),
            Self::UnknownService => f.write_str("Unknown service ID"),
            Self::InvalidSignature => f.write_str("Invalid signature"),
            Self::MissingComponent(name) => write!(f, "Missing signature component `{name}`"),
            Self::KeyExpired => f.write_str("Key expired"),
            Self::VersionRefused => f.write_str("Signature version refused"),
            Self::DigestMismatch => f.write_str("Content digest mismatch"),
        }
    }
}

impl std::error::Error for Reason {}
