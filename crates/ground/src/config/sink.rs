//! Where seals are kept besides the database.

use std::path::PathBuf;

use super::leads_here;

/// Where seals are kept besides the database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SealSink {
    /// A file of JSON lines.
    File(PathBuf),
    /// An address to which each is posted.
    Address(String),
}

pub(super) fn seal_sink(text: &str) -> Option<SealSink> {
    if let Some(path) = text.strip_prefix("file:") {
        return (!path.is_empty()).then(|| SealSink::File(PathBuf::from(path)));
    }
    let url = url::Url::parse(text).ok()?;
    let safe = url.scheme() == "https" || (url.scheme() == "http" && leads_here(text));
    (safe && url.username().is_empty()).then(|| SealSink::Address(url.to_string()))
}
