//! Enums of words: what stands in URLs, bodies and tables, and what else may stand there.

use std::fmt;

/// Not one of the words that may stand here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UnknownWord(pub(crate) &'static str);

impl fmt::Display for UnknownWord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "must be one of {}", self.0)
    }
}

/// Declares an enum of words.
macro_rules! words {
    ($(#[$doc:meta])* $name:ident $wanted:literal { $($(#[$of:meta])* $variant:ident $word:literal,)* }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, utoipa::ToSchema)]
        pub enum $name { $($(#[$of])* #[serde(rename = $word)] $variant,)* }

        impl $name {
            /// The word.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word,)* }
            }
        }

        impl std::str::FromStr for $name {
            type Err = $crate::words::UnknownWord;
            fn from_str(text: &str) -> Result<Self, Self::Err> {
                match text {
                    $($word => Ok(Self::$variant),)*
                    _ => Err($crate::words::UnknownWord($wanted)),
                }
            }
        }
    };
}
pub(crate) use words;
