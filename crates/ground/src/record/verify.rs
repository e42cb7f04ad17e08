//! Verification of the record, of a whole database or of an exported file, without a server.
//!
//! `docs/record.md` is the format; what is checked here can be checked by whoever reads that page.

mod chain;
mod copies;
mod database;
mod export;
mod ranges;
mod sealed;
mod streams;

use std::fmt;

use super::seal::{Seal, SealJwk};
use crate::db;

pub use chain::Elsewhere;
pub(super) use copies::expiry_text;
pub use database::database;
pub(super) use export::end_text;
pub use export::{InvalidExport, export};
pub use ranges::Ranges;

/// No more faults than this are named; the rest are counted.
const NAMED: usize = 1_000;

/// What is wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// A seal is missing, changed, or signed by nobody we know.
    Seal,
    /// What is there is not what was sealed.
    Changed,
    /// It was sealed and is gone.
    Removed,
    /// It was never sealed there.
    Inserted,
    /// It was sealed, elsewhere.
    Reordered,
    /// The event is as it was sealed, but the columns it is found by say something else.
    Copies,
    /// The newest part is missing.
    Truncated,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Seal => "seal",
            Self::Changed => "changed",
            Self::Removed => "removed",
            Self::Inserted => "inserted",
            Self::Reordered => "reordered",
            Self::Copies => "copies",
            Self::Truncated => "truncated",
        })
    }
}

/// One thing that is wrong, and where.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Fault {
    /// Under which seal.
    pub seal: Option<i64>,
    /// At which index under it.
    pub index: Option<i64>,
    /// What kind of thing.
    pub kind: Kind,
    /// The event, as far as its text still says.
    pub event: Option<String>,
    /// What is wrong, for people.
    pub detail: String,
}

/// What was found.
#[derive(Debug, Default, serde::Serialize)]
pub struct Report {
    /// Seals that were looked at.
    pub seals: i64,
    /// Events that are as they were sealed.
    pub events: i64,
    /// Events that have expired, as the record says.
    pub expired: i64,
    /// Events that wait for a seal.
    pub unsealed: i64,
    /// What is wrong, the first first.
    pub faults: Vec<Fault>,
    /// How many more faults there are.
    pub more: u64,
    /// The newest seal that was looked at.
    pub newest: Option<Seal>,
}

impl Report {
    /// Whether nothing is wrong.
    #[must_use]
    pub fn is_good(&self) -> bool {
        self.faults.is_empty()
    }

    fn fault(&mut self, fault: Fault) {
        if self.faults.len() < NAMED {
            self.faults.push(fault);
        } else {
            self.more += 1;
        }
    }

    /// In the order of the record; what is about no place comes last.
    fn finish(mut self) -> Self {
        let last = i64::MAX;
        self.faults
            .sort_by_key(|one| (one.seal.unwrap_or(last), one.index.unwrap_or(-1), one.kind));
        self
    }
}

/// What is trusted from elsewhere.
#[derive(Debug, Default)]
pub struct Trust {
    /// Keys of seals; those found beside the seals when `None`.
    pub keys: Option<Vec<SealJwk>>,
    /// Seals that were kept elsewhere.
    pub seals: Elsewhere,
}

/// Why verification did not come to an end.
#[derive(Debug, thiserror::Error)]
pub enum VerifyError {
    /// The database can't be read.
    #[error(transparent)]
    Database(#[from] db::Error),
    /// It is no export.
    #[error(transparent)]
    Export(#[from] InvalidExport),
}
