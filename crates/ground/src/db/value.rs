//! What goes into a statement and comes out of a row: text, integers and bytes, each nullable.

use crate::clock::Time;
use crate::secret::{SealedSecret, SecretDigest};

use super::{Error, Result};

/// A parameter or a column. A null keeps its type, which PostgreSQL wants to know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// BIGINT.
    Int(Option<i64>),
    /// TEXT.
    Text(Option<String>),
    /// BLOB or BYTEA.
    Bytes(Option<Vec<u8>>),
}

/// Writes a statement's parameters: `params![name, now]`.
#[macro_export]
macro_rules! params {
    ($($value:expr),* $(,)?) => { &[$($crate::db::Value::from($value)),*] };
}

macro_rules! into_value {
    ($($from:ty => |$v:ident| $value:expr;)*) => {
        $(impl From<$from> for Value { fn from($v: $from) -> Self { $value } })*
    };
}

into_value! {
    i64 => |v| Self::Int(Some(v));
    Option<i64> => |v| Self::Int(v);
    Time => |v| Self::Int(Some(v.0));
    Option<Time> => |v| Self::Int(v.map(|t| t.0));
    &str => |v| Self::Text(Some(v.to_owned()));
    &String => |v| Self::Text(Some(v.clone()));
    String => |v| Self::Text(Some(v));
    Option<&str> => |v| Self::Text(v.map(str::to_owned));
    Option<String> => |v| Self::Text(v);
    &[u8] => |v| Self::Bytes(Some(v.to_vec()));
    Option<&[u8]> => |v| Self::Bytes(v.map(<[u8]>::to_vec));
    &SecretDigest => |v| Self::Bytes(Some(v.as_bytes().to_vec()));
    Option<&SecretDigest> => |v| Self::Bytes(v.map(|digest| digest.as_bytes().to_vec()));
    &SealedSecret => |v| Self::Bytes(Some(v.as_bytes().to_vec()));
}

/// A type that a column can be read as.
pub trait FromValue: Sized {
    /// `None` when the column holds something else.
    fn from_value(value: Value) -> Option<Self>;
}

impl FromValue for Value {
    fn from_value(value: Value) -> Option<Self> {
        Some(value)
    }
}

impl FromValue for i64 {
    fn from_value(value: Value) -> Option<Self> {
        match value {
            Value::Int(int) => int,
            _ => None,
        }
    }
}

impl FromValue for String {
    fn from_value(value: Value) -> Option<Self> {
        match value {
            Value::Text(text) => text,
            _ => None,
        }
    }
}

impl FromValue for Vec<u8> {
    fn from_value(value: Value) -> Option<Self> {
        match value {
            Value::Bytes(bytes) => bytes,
            _ => None,
        }
    }
}

impl FromValue for Time {
    fn from_value(value: Value) -> Option<Self> {
        i64::from_value(value).map(Self)
    }
}

impl FromValue for SecretDigest {
    fn from_value(value: Value) -> Option<Self> {
        Self::from_bytes(&Vec::from_value(value)?)
    }
}

impl FromValue for SealedSecret {
    fn from_value(value: Value) -> Option<Self> {
        Vec::from_value(value).map(Self::from_bytes)
    }
}

impl<T: FromValue> FromValue for Option<T> {
    fn from_value(value: Value) -> Option<Self> {
        match value {
            Value::Int(None) | Value::Text(None) | Value::Bytes(None) => Some(None),
            present => T::from_value(present).map(Some),
        }
    }
}

/// One row; its columns are taken from left to right.
#[derive(Debug)]
pub struct Row(std::vec::IntoIter<Value>);

impl Row {
    /// The last column, whatever stands before it.
    ///
    /// # Errors
    /// As [`Row::take`].
    pub fn last<T: FromValue>(&mut self) -> Result<T> {
        let last = self.0.next_back();
        let value = last.ok_or_else(|| Error::Query("the row has too few columns".into()))?;
        T::from_value(value)
            .ok_or_else(|| Error::Query("the last column is of another type".into()))
    }

    pub(super) fn new(values: Vec<Value>) -> Self {
        Self(values.into_iter())
    }

    /// The next column.
    ///
    /// # Errors
    /// When there is none, or it is of another type or form: the schema and the code disagree.
    pub fn take<T: FromValue>(&mut self) -> Result<T> {
        let value =
            self.0.next().ok_or_else(|| Error::Query("the row has too few columns".into()))?;
        T::from_value(value).ok_or_else(|| {
            Error::Query(format!("a column is not a {}", std::any::type_name::<T>()))
        })
    }
}
