//! Documents that decisions are made by: the role matrix, the registry, the packages. Where one comes from, and how
//! another comes into force.
//!
//! A file governs when one is configured; else what was uploaded last; else there is none, or the one that is
//! built in. One that can't be used leaves the old one in force.

pub mod http;
pub mod store;

use std::io;
use std::path::{Path, PathBuf};
use std::str::Utf8Error;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use countersign_ground::aside;
use countersign_ground::clock::Time;
use countersign_ground::db::{self, Db};
use countersign_ground::problem::{Code, Problem};
use countersign_ground::text::Text;
use countersign_policy::Fault;
use serde::Serialize;
use serde_json::{Map, Value};

/// A kind of document.
pub trait Kind: Sized + Send + Sync + 'static {
    /// What it is called in the database.
    const NAME: &'static str;
    /// What people call it.
    const CALLED: &'static str = Self::NAME;
    /// The setting that names its file.
    const VARIABLE: &'static str;

    /// The text of a file.
    ///
    /// # Errors
    /// When it can't be read.
    fn text(path: &Path) -> io::Result<Text> {
        Text::read(path)
    }

    /// Reads one.
    ///
    /// # Errors
    /// Every fault, when it can't be used.
    fn parse(text: &str) -> Result<Self, Vec<Fault>>;

    /// What tells it from others.
    fn hash(&self) -> &str;
}

/// Where the document in force comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Source {
    /// Part of the program, or nothing.
    BuiltIn,
    /// The file that governs.
    File,
    /// The API.
    Uploaded,
}

/// What is known of the document in force, besides what it says.
pub struct Origin {
    /// The file that governs, if one does.
    pub file: Option<PathBuf>,
    state: Mutex<State>,
}

#[derive(Debug, Clone, Copy)]
struct State {
    source: Source,
    loaded_at: Time,
    /// Of what was uploaded: an older upload never replaces a newer.
    version: i64,
    /// Of the file when it was last looked at, usable or not.
    seen: Option<Stamp>,
}

/// What changes when a file does.
type Stamp = (SystemTime, u64);

/// A document, and where it comes from.
#[derive(Debug)]
pub struct Loaded<K> {
    /// What it says.
    pub document: Arc<K>,
    /// Where it comes from.
    pub source: Source,
    /// The upload's number; 0 of a file.
    pub version: i64,
}

/// Why a document was not taken.
#[derive(Debug, thiserror::Error)]
pub enum DocumentError {
    /// The file can't be read.
    #[error("`{0}`: {1}")]
    File(PathBuf, std::io::Error),
    /// It is none.
    #[error("not a usable {0}{list}", list = listed(.1))]
    Invalid(&'static str, Vec<Fault>),
    /// A file governs.
    #[error("`{1}` ({0}) governs: change that file, or unset the variable")]
    FileGoverns(&'static str, PathBuf),
    /// The database failed.
    #[error(transparent)]
    Database(#[from] db::Error),
}

fn listed(faults: &[Fault]) -> String {
    faults.iter().map(|fault| format!("; {fault}")).collect()
}

impl From<DocumentError> for Problem {
    fn from(error: DocumentError) -> Self {
        let text = error.to_string();
        match error {
            DocumentError::Database(error) => error.into(),
            DocumentError::Invalid(_, faults) => {
                let named = faults.into_iter().map(|fault| (fault.at, Value::from(fault.what)));
                let details: Map<String, Value> = named.collect();
                Self::new(Code::Validation, text).with("details", details)
            }
            DocumentError::File(..) | DocumentError::FileGoverns(..) => {
                Self::new(Code::Conflict, text)
            }
        }
    }
}

impl Origin {
    /// Reads the document that is in force from now on; `None` when there is neither file nor upload.
    ///
    /// # Errors
    /// When it can't be read or is none: then the server does not start.
    pub async fn start<K: Kind>(
        file: Option<PathBuf>,
        db: &Db,
        now: Time,
    ) -> Result<(Self, Option<Arc<K>>), DocumentError> {
        let seen = file.as_deref().and_then(stamp);
        let loaded = load::<K>(file.as_deref(), db).await?;
        let state = State {
            source: loaded.as_ref().map_or(Source::BuiltIn, |loaded| loaded.source),
            loaded_at: now,
            version: loaded.as_ref().map_or(0, |loaded| loaded.version),
            seen,
        };
        let document = loaded.map(|loaded| loaded.document);
        Ok((Self { file, state: Mutex::new(state) }, document))
    }

    /// Whether the file has changed since it was last looked at.
    pub fn file_changed(&self) -> bool {
        let Some(now) = self.file.as_deref().map(stamp) else { return false };
        let mut state = self.state();
        let changed = state.seen != now;
        state.seen = now;
        changed
    }

    /// Refuses an upload where a file governs.
    ///
    /// # Errors
    /// [`DocumentError::FileGoverns`].
    pub fn may_be_uploaded<K: Kind>(&self) -> Result<(), DocumentError> {
        self.file
            .as_ref()
            .map_or(Ok(()), |file| Err(DocumentError::FileGoverns(K::VARIABLE, file.clone())))
    }

    /// Notes what is in force now, and puts it there by `set`; an older upload changes nothing.
    pub fn replace(&self, source: Source, version: i64, now: Time, set: impl FnOnce()) {
        let mut state = self.state();
        if source != Source::Uploaded || version > state.version {
            set();
            let version = version.max(state.version);
            *state = State { source, loaded_at: now, version, ..*state };
        }
    }

    /// Where the document comes from, and since when it is in force.
    #[must_use]
    pub fn told(&self) -> (Source, Time) {
        let state = self.state();
        (state.source, state.loaded_at)
    }

    /// The number of the upload in force.
    #[must_use]
    pub fn version(&self) -> i64 {
        self.state().version
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The document that should be in force.
///
/// # Errors
/// When it can't be read or is none.
pub async fn load<K: Kind>(
    file: Option<&Path>,
    db: &Db,
) -> Result<Option<Loaded<K>>, DocumentError> {
    if let Some(path) = file {
        let (path, named) = (path.to_owned(), path.to_owned());
        let read = move || K::text(&path).map_err(|error| DocumentError::File(named, error));
        let (document, _) = beside(read).await?;
        return Ok(Some(Loaded { document, source: Source::File, version: 0 }));
    }
    let Some((version, text)) = store::newest(db, K::NAME).await? else { return Ok(None) };
    let (document, _) = parsed(text).await?;
    Ok(Some(Loaded { document, source: Source::Uploaded, version }))
}

/// Reads a text.
///
/// # Errors
/// Every fault.
pub fn read<K: Kind>(text: &Text) -> Result<K, DocumentError> {
    let invalid = |faults| DocumentError::Invalid(K::CALLED, faults);
    let not_utf8 = |error: Utf8Error| {
        invalid(vec![Fault { at: String::new(), what: format!("is not UTF-8: {error}") }])
    };
    K::parse(text.whole().map_err(not_utf8)?).map_err(invalid)
}

/// Parses beside the work; gives the text back, too.
///
/// # Errors
/// Every fault.
pub async fn parsed<K: Kind>(text: Text) -> Result<(Arc<K>, Text), DocumentError> {
    beside(move || Ok(text)).await
}

/// Parses beside the work: a large document takes a while.
async fn beside<K: Kind>(
    text: impl FnOnce() -> Result<Text, DocumentError> + Send + 'static,
) -> Result<(Arc<K>, Text), DocumentError> {
    let parse = || {
        let text = text()?;
        Ok((Arc::new(read(&text)?), text))
    };
    let failed = || db::Error::Query(format!("reading the {} failed", K::NAME));
    aside::run(parse).await.ok_or_else(failed)?
}

fn stamp(path: &Path) -> Option<Stamp> {
    let metadata = std::fs::metadata(path).ok()?;
    let mut stamp = (metadata.modified().ok()?, metadata.len());
    if metadata.is_dir() {
        // The newest of all that lies in it, and the sum of their sizes.
        for entry in std::fs::read_dir(path).ok()?.flatten() {
            if let Some((modified, size)) = self::stamp(&entry.path()) {
                stamp = (stamp.0.max(modified), stamp.1.wrapping_add(size));
            }
        }
    }
    Some(stamp)
}
