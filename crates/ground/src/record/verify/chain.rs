//! Each seal by itself, and each upon the one before.

use std::collections::BTreeMap;

use super::super::merkle::{self, Hash};
use super::super::seal::{Seal, SealJwk};
use super::{Fault, Kind, Report};

/// Seals that were kept where nobody who can change the record can change them, by number.
pub type Elsewhere = BTreeMap<i64, Seal>;

/// What is known when a seal is reached.
pub(super) struct Chain<'t> {
    keys: Vec<SealJwk>,
    elsewhere: &'t Elsewhere,
    /// Number and digest of the seal before; none before the first that is looked at.
    before: Option<(i64, Hash)>,
}

impl<'t> Chain<'t> {
    /// A chain from its beginning.
    pub(super) fn from_first(keys: Vec<SealJwk>, elsewhere: &'t Elsewhere) -> Self {
        Self { keys, elsewhere, before: Some((0, Hash::NONE)) }
    }

    /// A chain that begins anywhere.
    pub(super) fn from_anywhere(keys: Vec<SealJwk>, elsewhere: &'t Elsewhere) -> Self {
        Self { keys, elsewhere, before: None }
    }

    /// Checks the next seal; with its leaf hashes, that its root is theirs.
    pub(super) fn check(&mut self, seal: &Seal, leaves: Option<&[Hash]>, report: &mut Report) {
        report.seals += 1;
        report.newest = Some(seal.clone());
        let wrong = |detail: String| Fault {
            seal: Some(seal.seal),
            index: None,
            kind: Kind::Seal,
            event: None,
            detail,
        };
        if let Some((number, digest)) = self.before {
            if number.checked_add(1) != Some(seal.seal) {
                let missing = format!("it follows seal {number}: those between are missing");
                report.fault(wrong(missing));
            } else if seal.previous != digest {
                report
                    .fault(wrong("it was made to follow another seal than the one before".into()));
            }
        }
        match self.keys.iter().find(|key| key.kid == seal.kid) {
            None => report.fault(wrong(format!("its key `{}` is not known", seal.kid))),
            Some(key) if !seal.is_signed_by(key) => {
                report.fault(wrong("its signature is not of these members".into()));
            }
            Some(_) => {}
        }
        if let Some(leaves) = leaves {
            if i64::try_from(leaves.len()) != Ok(seal.count) {
                report.fault(wrong(format!(
                    "it has {} leaf hashes, not {}",
                    leaves.len(),
                    seal.count
                )));
            } else if merkle::root(leaves) != seal.root {
                report.fault(wrong("its leaf hashes do not lead to its root".into()));
            }
        }
        if self.elsewhere.get(&seal.seal).is_some_and(|kept| kept != seal) {
            report.fault(wrong("it is not the one that was kept elsewhere".into()));
        }
        self.before = Some((seal.seal, seal.digest()));
    }

    /// A row that holds no seal.
    pub(super) fn unreadable(&mut self, number: i64, report: &mut Report) {
        report.seals += 1;
        self.wrong(number, "its row does not hold a seal", report);
        self.before = Some((number, Hash::NONE));
    }

    /// Something else about a seal.
    pub(super) fn wrong(&self, number: i64, what: &str, report: &mut Report) {
        let (seal, detail) = (Some(number), what.to_owned());
        report.fault(Fault { seal, index: None, kind: Kind::Seal, event: None, detail });
    }

    /// Number and digest of the newest seal.
    pub(super) fn newest(&self) -> (i64, Hash) {
        self.before.unwrap_or((0, Hash::NONE))
    }

    /// Notices when seals that are known from elsewhere never came.
    pub(super) fn end(&self, report: &mut Report) {
        let (newest, _) = self.newest();
        if let Some(known) = self.elsewhere.keys().next_back().filter(|known| **known > newest) {
            self.truncated(format!("seal {known} was kept elsewhere"), report);
        }
    }

    /// The newest part is missing, as `why` shows.
    pub(super) fn truncated(&self, why: String, report: &mut Report) {
        let (newest, _) = self.newest();
        let detail = format!("{why}, but the record ends with seal {newest}");
        let seal = Some(newest.saturating_add(1));
        report.fault(Fault { seal, index: None, kind: Kind::Truncated, event: None, detail });
    }

    /// The key of this id.
    pub(super) fn key(&self, kid: &str) -> Option<&SealJwk> {
        self.keys.iter().find(|key| key.kid == kid)
    }
}
