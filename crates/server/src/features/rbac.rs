//! The role matrix: how another one comes into force. One matrix serves every decision, so another one
//! changes them all in the same instant. One under which nobody present could mend it is refused.

pub mod http;

use std::sync::Arc;

use countersign_ground::clock::Time;
use countersign_ground::db::{self, Tx};
use countersign_ground::problem::{Code, Problem};
use countersign_policy::{Fault, InvalidMatrix, Matrix};

use super::documents::{self, DocumentError, Kind, Origin, Source};
use super::operators::store::present::{self, Present};

impl Kind for Matrix {
    const NAME: &'static str = "matrix";
    const VARIABLE: &'static str = "RBAC_POLICY_FILE";

    fn parse(text: &str) -> Result<Self, Vec<Fault>> {
        Self::parse(text).map_err(|InvalidMatrix(faults)| faults)
    }

    fn hash(&self) -> &str {
        self.hash()
    }
}

/// Why a matrix was not taken.
#[derive(Debug, thiserror::Error)]
pub enum MatrixError {
    /// It can't be read or is none.
    #[error(transparent)]
    Document(#[from] DocumentError),
    /// It would lock everybody out.
    #[error(
        "under this matrix nobody could use `{0}`: it must be held by a role that an operator of the \
         tenant `default`, or of the role `infra`, with a live token has"
    )]
    LocksOut(&'static str),
    /// Nobody could upload another one.
    #[error("under this matrix no operator with a live token would have the role `infra`")]
    LosesInfra,
}

impl From<db::Error> for MatrixError {
    fn from(error: db::Error) -> Self {
        DocumentError::from(error).into()
    }
}

impl From<MatrixError> for Problem {
    fn from(error: MatrixError) -> Self {
        let text = error.to_string();
        match error {
            MatrixError::Document(error) => error.into(),
            MatrixError::LocksOut(_) | MatrixError::LosesInfra => Self::new(Code::Validation, text),
        }
    }
}

/// The matrix in force, as a transaction sees it: one that was uploaded in the same breath may not
/// be in memory yet. Ask only while standing in line with all that changes who may administer.
///
/// # Errors
/// The database's failure.
pub async fn in_force(
    origin: &Origin,
    tx: &mut Tx,
    in_memory: impl FnOnce() -> Arc<Matrix>,
) -> db::Result<Arc<Matrix>> {
    // The version first: memory is never behind it.
    let version = origin.version();
    let newer = match origin.file {
        Some(_) => None,
        None => documents::store::newer(tx, Matrix::NAME, version).await?,
    };
    let Some(text) = newer else { return Ok(in_memory()) };
    let unusable = |error: InvalidMatrix| db::Error::Query(error.to_string());
    Ok(Arc::new(Matrix::parse(&text).map_err(unusable)?))
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
