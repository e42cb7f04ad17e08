//! Ids: each its own type, so that one can't stand where another is meant.

use uuid::Uuid;

use crate::clock::Time;
use crate::entropy::Entropy;

/// An id was not of the form it should be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("expected {wanted}")]
pub struct ParseIdError {
    /// What would have been right.
    pub wanted: &'static str,
}

/// A UUIDv7 (RFC 9562 section 5.7) of the moment `now`.
#[must_use]
pub fn uuid_v7(now: Time, entropy: &Entropy) -> Uuid {
    let millis = u64::try_from(now.millis()).unwrap_or(0);
    uuid::Builder::from_unix_timestamp_millis(millis, &entropy.bytes::<10>()).into_uuid()
}

/// Declares an id that is a UUIDv7, written in lower case with hyphens.
#[macro_export]
macro_rules! uuid_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name($crate::ids::Bits);

        impl $name {
            /// A fresh one.
            #[must_use]
            pub fn new(now: $crate::clock::Time, entropy: &$crate::entropy::Entropy) -> Self {
                Self($crate::ids::Bits(*$crate::ids::uuid_v7(now, entropy).as_bytes()))
            }

            /// Before every other.
            pub const MIN: Self = Self($crate::ids::Bits([0; 16]));
            /// Behind every other.
            pub const MAX: Self = Self($crate::ids::Bits([0xff; 16]));

            /// Written into `buffer`: without the machinery of [`std::fmt`], for hot paths.
            #[must_use]
            pub fn write<'b>(&self, buffer: &'b mut [u8; 36]) -> &'b str {
                self.0.write(buffer)
            }

            /// The moment in the id, to the millisecond (RFC 9562 section 5.7).
            #[must_use]
            pub fn time(&self) -> $crate::clock::Time {
                self.0.time()
            }
        }
        impl ::std::fmt::Display for $name {
            fn fmt(&self, f: &mut ::std::fmt::Formatter<'_>) -> ::std::fmt::Result {
                ::std::fmt::Display::fmt(&self.0, f)
            }
        }
        impl ::std::fmt::Debug for $name {
            fn fmt(&self, f: &mut ::std::fmt::Formatter<'_>) -> ::std::fmt::Result {
                ::std::fmt::Display::fmt(&self.0, f)
            }
        }
        impl ::std::str::FromStr for $name {
            type Err = $crate::ids::ParseIdError;
            fn from_str(text: &str) -> Result<Self, Self::Err> {
                Ok(Self($crate::ids::Bits::parse(text)?))
            }
        }
        impl ::serde::Serialize for $name {
            fn serialize<S: ::serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
                ::serde::Serialize::serialize(&self.0, s)
            }
        }
        impl<'de> ::serde::Deserialize<'de> for $name {
            fn deserialize<D: ::serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
                Ok(Self(::serde::Deserialize::deserialize(d)?))
            }
        }
        impl From<&$name> for $crate::db::Value {
            fn from(id: &$name) -> Self {
                Self::Text(Some(id.to_string()))
            }
        }
        impl $crate::db::FromValue for $name {
            fn from_value(value: $crate::db::Value) -> Option<Self> {
                String::from_value(value)?.parse().ok()
            }
        }
    };
}

/// Declares an id that is a UUIDv7, or `bootstrap` for what the first start made.
macro_rules! operator_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(std::sync::Arc<str>);

        impl $name {
            /// A fresh one.
            #[must_use]
            pub fn new(now: Time, entropy: &Entropy) -> Self {
                Self(uuid_v7(now, entropy).to_string().into())
            }

            /// The first operator's.
            #[must_use]
            pub fn bootstrap() -> Self {
                Self(BOOTSTRAP.into())
            }

            /// Whether it is the first operator's.
            #[must_use]
            pub fn is_bootstrap(&self) -> bool {
                &*self.0 == BOOTSTRAP
            }

            /// As it is written.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }

            /// As it is written, shared.
            #[must_use]
            pub fn shared(&self) -> std::sync::Arc<str> {
                std::sync::Arc::clone(&self.0)
            }
        }
        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.pad(&self.0)
            }
        }
        impl std::fmt::Debug for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.pad(&self.0)
            }
        }
        impl std::str::FromStr for $name {
            type Err = ParseIdError;
            fn from_str(text: &str) -> Result<Self, ParseIdError> {
                if text != BOOTSTRAP {
                    let wanted = "a UUIDv7 in lower case with hyphens, or `bootstrap`";
                    Bits::parse(text).map_err(|_| ParseIdError { wanted })?;
                }
                Ok(Self(text.into()))
            }
        }
        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&self.0)
            }
        }
        impl From<&$name> for crate::db::Value {
            fn from(id: &$name) -> Self {
                Self::Text(Some(id.to_string()))
            }
        }
        impl crate::db::FromValue for $name {
            fn from_value(value: crate::db::Value) -> Option<Self> {
                String::from_value(value)?.parse().ok()
            }
        }
    };
}

const BOOTSTRAP: &str = "bootstrap";

/// The sixteen bytes of an id.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Bits(pub [u8; 16]);

impl Bits {
    /// Reads the one canonical spelling: lower case with hyphens, version 7.
    ///
    /// # Errors
    /// When it is anything else: an id with two spellings would have two ETags, two log lines.
    pub fn parse(text: &str) -> Result<Self, ParseIdError> {
        let wanted = ParseIdError { wanted: "a UUIDv7 in lower case with hyphens" };
        let uuid = Uuid::try_parse(text).map_err(|_| wanted.clone())?;
        let mut canonical = [0; 36];
        if uuid.get_version_num() != 7 || uuid.as_hyphenated().encode_lower(&mut canonical) != text
        {
            return Err(wanted);
        }
        Ok(Self(*uuid.as_bytes()))
    }

    /// The one canonical spelling, in `buffer`.
    #[must_use]
    pub fn write<'b>(&self, buffer: &'b mut [u8; 36]) -> &'b str {
        Uuid::from_bytes(self.0).as_hyphenated().encode_lower(buffer)
    }

    /// The moment in the first 48 bits.
    #[must_use]
    pub fn time(&self) -> Time {
        let [a, b, c, d, e, f, ..] = self.0;
        let millis = u64::from_be_bytes([0, 0, a, b, c, d, e, f]);
        Time(i64::try_from(millis).unwrap_or(i64::MAX).saturating_mul(1000))
    }
}

impl std::fmt::Display for Bits {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.write(&mut [0; 36]))
    }
}

impl serde::Serialize for Bits {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.write(&mut [0; 36]))
    }
}

impl<'de> serde::Deserialize<'de> for Bits {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        Self::parse(&text).map_err(serde::de::Error::custom)
    }
}

uuid_id!(
    /// Names one agent, and is its OAuth `client_id`. Safe to log.
    AgentId
);
uuid_id!(
    /// Names one credential of an agent. Safe to log; never a secret.
    CredentialId
);
uuid_id!(
    /// Names one event of the record.
    EventId
);
uuid_id!(
    /// Names what a quarantine stopped.
    ReceiptId
);
operator_id!(
    /// Names a person who administers or approves. Safe to log.
    OperatorId
);
operator_id!(
    /// Names one token of an operator. Safe to log; never a secret.
    OperatorTokenId
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_has_one_spelling_and_knows_its_moment() {
        let id = AgentId::new(Time(1_700_000_000_123_456), &Entropy::seeded(1));
        let text = id.to_string();
        assert_eq!(text.parse::<AgentId>(), Ok(id));
        assert_eq!(id.time(), Time(1_700_000_000_123_000));
        for other in [text.to_uppercase(), text.replace('-', ""), format!("{{{text}}}")] {
            assert!(other.parse::<AgentId>().is_err(), "{other}");
        }
        assert!("6f2a4b1e-7c33-4d5e-8f90-aabbccddeeff".parse::<AgentId>().is_err(), "version 4");
    }
}
