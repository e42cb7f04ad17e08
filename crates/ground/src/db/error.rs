//! How the database can fail. None of these is a refusal: a feature never matches on them.

/// A failure of the database.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Error {
    /// It can't be reached, its disk is full, or it is stopping. Nothing was changed.
    #[error("the database is unavailable: {0}")]
    Unavailable(String),
    /// It is there but has more to do than it can within the time allowed. Nothing was changed.
    #[error("the database is busy")]
    Busy,
    /// The commit was asked for and its answer did not come.
    #[error("outcome unknown: {0}")]
    OutcomeUnknown(String),
    /// A statement was refused, or a row was not of the form the code expects.
    #[error("{0}")]
    Query(String),
    /// The transaction lost against another one; tried again by `write` itself.
    #[error("serialization conflict: {0}")]
    Conflict(String),
    /// A write waited for something that is not the database.
    #[error("a write waited for something other than the database")]
    Waited,
    /// A write panicked; it was rolled back alone.
    #[error("a write panicked: {0}")]
    Panicked(String),
    /// The database is being closed.
    #[error("the database is closed")]
    Closed,
}

impl Error {
    /// Whether trying again later may help: a 503, not a 500.
    #[must_use]
    pub fn is_outage(&self) -> bool {
        matches!(
            self,
            Self::Unavailable(_)
                | Self::Busy
                | Self::OutcomeUnknown(_)
                | Self::Conflict(_)
                | Self::Closed
        )
    }
}

impl From<rusqlite::Error> for Error {
    fn from(error: rusqlite::Error) -> Self {
        use rusqlite::ErrorCode as Code;
        let text = error.to_string();
        match error.sqlite_error_code() {
            Some(
                Code::DiskFull
                | Code::SystemIoFailure
                | Code::CannotOpen
                | Code::ReadOnly
                | Code::NotADatabase
                | Code::DatabaseCorrupt
                | Code::DatabaseBusy
                | Code::DatabaseLocked
                | Code::OutOfMemory,
            ) => Self::Unavailable(text),
            _ => Self::Query(text),
        }
    }
}

impl From<tokio_postgres::Error> for Error {
    fn from(error: tokio_postgres::Error) -> Self {
        let Some(db) = error.as_db_error() else {
            // Without an SQL state it is the connection that failed, not a statement.
            return Self::Unavailable(with_source(&error));
        };
        let text = format!("{}: {}", db.code().code(), db.message());
        match db.code().code() {
            "40001" | "40P01" => Self::Conflict(text),
            // SQL state classes: connection, resources, operator intervention, system error;
            // XX000 is what poolers answer for a server that is gone.
            code if ["08", "53", "57", "58"].contains(&&code[..2]) => Self::Unavailable(text),
            "XX000" | "25006" => Self::Unavailable(text),
            _ => Self::Query(text),
        }
    }
}

impl From<deadpool_postgres::PoolError> for Error {
    fn from(error: deadpool_postgres::PoolError) -> Self {
        use deadpool_postgres::PoolError;
        match error {
            PoolError::Backend(error) => match Self::from(error) {
                // A login that is refused is an outage of the database, whatever its state says.
                Self::Query(text) => Self::Unavailable(text),
                other => other,
            },
            PoolError::Timeout(_) => Self::Busy,
            PoolError::Closed => Self::Closed,
            other => Self::Unavailable(other.to_string()),
        }
    }
}

/// The whole chain: tokio-postgres says only "error connecting to server" by itself.
fn with_source(error: &tokio_postgres::Error) -> String {
    match std::error::Error::source(error) {
        Some(source) => format!("{error}: {source}"),
        None => error.to_string(),
    }
}
