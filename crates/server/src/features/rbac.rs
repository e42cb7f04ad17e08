//! The role matrix: where it comes from, and how another one comes into force.
//!
//! A file governs when one is configured; else what was uploaded last; else what is built in. One
//! matrix serves every decision, so another one changes them all in the same instant. One that can't
//! be read, or under which nobody present could mend it, leaves the old one in force.

pub mod http;
pub mod store;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use countersign_ground::clock::Time;
use countersign_ground::db::{self, Db, Tx};
use countersign_ground::problem::{Code, Problem};
use countersign_policy::{InvalidMatrix, Matrix};
use serde::Serialize;
use serde_json::{Map, Value};

use super::operators::store::present::{self, Present};

/// Where the matrix in force comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Source {
    /// Part of the program.
    BuiltIn,
    /// `RBAC_POLICY_FILE`.
    File,
    /// The API.
    Uploaded,
}

/// What is known of the matrix in force, besides what it says.
pub struct Rbac {
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

/// Why a matrix was not taken.
#[derive(Debug, thiserror::Error)]
pub enum MatrixError {
    /// The file can't be read.
    #[error("`{0}`: {1}")]
    File(PathBuf, std::io::Error),
    /// It is none.
    #[error(transparent)]
    Invalid(#[from] InvalidMatrix),
    /// It would lock everybody out.
    #[error(
        "under this matrix nobody could use `{0}`: it must be held by a role that an operator of the \
         tenant `default`, or of the role `infra`, with a live token has"
    )]
    LocksOut(&'static str),
    /// Nobody could upload another one.
    #[error("under this matrix no operator with a live token would have the role `infra`")]
    LosesInfra,
    /// A file governs.
    #[error("`{0}` (RBAC_POLICY_FILE) governs: change that file, or unset the variable")]
    FileGoverns(PathBuf),
    /// The database failed.
    #[error(transparent)]
    Database(#[from] db::Error),
}

impl From<MatrixError> for Problem {
    fn from(error: MatrixError) -> Self {
        let text = error.to_string();
        match error {
            MatrixError::Database(error) => error.into(),
            MatrixError::Invalid(InvalidMatrix(faults)) => {
                let named = faults.into_iter().map(|fault| (fault.at, Value::from(fault.what)));
                let details: Map<String, Value> = named.collect();
                Self::new(Code::Validation, text).with("details", details)
            }
            MatrixError::LocksOut(_) | MatrixError::LosesInfra => Self::new(Code::Validation, text),
            MatrixError::File(..) | MatrixError::FileGoverns(_) => Self::new(Code::Conflict, text),
        }
    }
}

impl Rbac {
    /// Reads the matrix that is in force from now on.
    ///
    /// # Errors
    /// When it can't be read or is none: then the server does not start.
    pub async fn start(
        file: Option<PathBuf>,
        db: &Db,
        now: Time,
    ) -> Result<(Self, Arc<Matrix>), MatrixError> {
        let seen = file.as_deref().and_then(stamp);
        let (matrix, source, version) = stored(file.as_deref(), db).await?;
        let state = State { source, loaded_at: now, version, seen };
        Ok((Self { file, state: Mutex::new(state) }, matrix))
    }

    /// Whether the file has changed since it was last looked at.
    pub fn file_changed(&self) -> bool {
        let Some(now) = self.file.as_deref().map(stamp) else { return false };
        let mut state = self.state();
        let changed = state.seen != now;
        state.seen = now;
        changed
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

    /// Where the matrix comes from, and since when it is in force.
    #[must_use]
    pub fn origin(&self) -> (Source, Time) {
        let state = self.state();
        (state.source, state.loaded_at)
    }

    /// The matrix in force, as a transaction sees it: one that was uploaded in the same breath may not
    /// be in memory yet. Ask only while standing in line with all that changes who may administer.
    ///
    /// # Errors
    /// The database's failure.
    pub async fn in_force(
        &self,
        tx: &mut Tx,
        in_memory: impl FnOnce() -> Arc<Matrix>,
    ) -> db::Result<Arc<Matrix>> {
        // The version first: memory is never behind it.
        let version = self.state().version;
        let newer = match self.file {
            Some(_) => None,
            None => store::newer(tx, version).await?,
        };
        let Some(text) = newer else { return Ok(in_memory()) };
        let unusable = |error: InvalidMatrix| db::Error::Query(error.to_string());
        Ok(Arc::new(Matrix::parse(&text).map_err(unusable)?))
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The matrix that should be in force, with the version of what was uploaded.
///
/// # Errors
/// When it can't be read or is none.
pub async fn stored(
    file: Option<&Path>,
    db: &Db,
) -> Result<(Arc<Matrix>, Source, i64), MatrixError> {
    if let Some(path) = file {
        let failed = |error| MatrixError::File(path.to_owned(), error);
        let (text, path) = (path.to_owned(), path);
        let text = tokio::task::spawn_blocking(move || std::fs::read_to_string(text))
            .await
            .map_err(|error| MatrixError::File(path.to_owned(), std::io::Error::other(error)))?
            .map_err(failed)?;
        return Ok((parsed(text).await?, Source::File, 0));
    }
    match store::newest(db).await? {
        Some((version, text)) => Ok((parsed(text).await?, Source::Uploaded, version)),
        None => Ok((Arc::new(Matrix::built_in()), Source::BuiltIn, 0)),
    }
}

/// Parses beside the work: a large matrix takes a while.
async fn parsed(text: String) -> Result<Arc<Matrix>, MatrixError> {
    let failed = |error: tokio::task::JoinError| db::Error::Query(error.to_string());
    let parse = tokio::task::spawn_blocking(move || Matrix::parse(&text));
    Ok(Arc::new(parse.await.map_err(failed)??))
}

/// Refuses a matrix under which nobody who is present could mend it. What the first operator holds
/// beyond every role does not count: that operator is meant to be removed.
///
/// # Errors
/// [`MatrixError::LocksOut`], or the database's failure.
pub async fn leaves_somebody(
    tx: &mut Tx,
    matrix: &Matrix,
    source: Source,
    now: Time,
) -> Result<(), MatrixError> {
    present::hold_administration(tx).await?;
    let present = present::present(tx, now).await?;
    // Another one can be uploaded by infra alone; a file, by whoever can write it.
    if source == Source::Uploaded && !present.iter().any(|one: &Present| one.is_infra(matrix)) {
        return Err(MatrixError::LosesInfra);
    }
    for (permission, resource, action) in
        [("operators:write", "operators", "write"), ("rbac:reload", "rbac", "reload")]
    {
        if !present.iter().any(|one: &Present| one.may_everywhere(matrix, resource, action)) {
            return Err(MatrixError::LocksOut(permission));
        }
    }
    Ok(())
}

fn stamp(path: &Path) -> Option<Stamp> {
    let metadata = std::fs::metadata(path).ok()?;
    Some((metadata.modified().ok()?, metadata.len()))
}
