//! `AUDIT_SEAL_SINK`: each new seal is handed to a file of this node's own, or to an https address.
//!
//! What is kept there shows when the database was taken back to an earlier state.

use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::Duration;

use countersign_ground::config::SealSink;
use countersign_ground::db;
use countersign_ground::record::{Record, Seal, SealFile};
use reqwest::redirect;

/// Seals that are handed over at a time.
const PAGE: i64 = 1_000;
const PATIENCE: Duration = Duration::from_secs(5);

/// Where seals are handed to.
pub enum Sink {
    /// A file of this node's own.
    File(PathBuf, Mutex<Option<SealFile>>),
    /// An address, to which one node at a time tells each seal once it has taken the one before.
    Address(String, reqwest::Client),
}

/// Why seals were not handed over.
#[derive(Debug, thiserror::Error)]
pub enum SinkError {
    /// The database failed.
    #[error(transparent)]
    Database(#[from] db::Error),
    /// The file can't be used.
    #[error("`{0}`: {1}")]
    File(PathBuf, std::io::Error),
    /// Nobody took it.
    #[error("the address did not take seal {0}: {1}")]
    Refused(i64, String),
    /// The record is not the one that the sink knows.
    #[error(
        "seal {0} in the sink is not the one in the database: the record was taken back or replaced"
    )]
    Differs(i64),
}

impl Sink {
    /// A sink as it is configured.
    ///
    /// # Errors
    /// When there can be no HTTP client.
    pub fn new(configured: &SealSink) -> Result<Self, reqwest::Error> {
        Ok(match configured {
            SealSink::File(path) => Self::File(path.clone(), Mutex::default()),
            SealSink::Address(url) => {
                let client = reqwest::Client::builder()
                    .redirect(redirect::Policy::none())
                    .no_proxy()
                    .timeout(PATIENCE)
                    .build()?;
                Self::Address(url.clone(), client)
            }
        })
    }

    /// Hands over what is new.
    ///
    /// # Errors
    /// When it can't; what was handed over stays so, and the rest follows the next time.
    pub async fn tell(&self, record: &Record) -> Result<(), SinkError> {
        match self {
            Self::File(path, open) => {
                let known = opened(path, open)?;
                self.is_of(record, known.as_ref()).await?;
                let mut after = known.map_or(0, |seal| seal.seal);
                loop {
                    let seals = record.seals_after(after, PAGE).await?;
                    let Some(last) = seals.last() else { return Ok(()) };
                    after = last.seal;
                    add(path, open, &seals)?;
                }
            }
            Self::Address(url, client) => {
                while let Some(seal) = record.next_untold().await? {
                    post(url, client, &seal).await?;
                    record.note_told(seal.seal).await?;
                }
                Ok(())
            }
        }
    }

    async fn is_of(&self, record: &Record, known: Option<&Seal>) -> Result<(), SinkError> {
        let Some(known) = known else { return Ok(()) };
        let stored = record.seals_after(known.seal - 1, 1).await?;
        if stored.first() == Some(known) { Ok(()) } else { Err(SinkError::Differs(known.seal)) }
    }
}

/// The newest seal in the file.
fn opened(path: &Path, open: &Mutex<Option<SealFile>>) -> Result<Option<Seal>, SinkError> {
    let failed = |error| SinkError::File(path.to_owned(), error);
    let mut open = open.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    if open.is_none() || !path.exists() {
        *open = Some(SealFile::open(path).map_err(failed)?);
    }
    Ok(open.as_ref().and_then(SealFile::last).cloned())
}

fn add(path: &Path, open: &Mutex<Option<SealFile>>, seals: &[Seal]) -> Result<(), SinkError> {
    let mut open = open.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let outcome = open.as_mut().map_or(Ok(()), |file| file.add(seals));
    if outcome.is_err() {
        // Half a line may have been written: it is looked at anew.
        *open = None;
    }
    outcome.map_err(|error| SinkError::File(path.to_owned(), error))
}

async fn post(url: &str, client: &reqwest::Client, seal: &Seal) -> Result<(), SinkError> {
    let refused = |what: String| SinkError::Refused(seal.seal, what);
    let told = client.post(url).json(seal).send().await;
    let answer = told.map_err(|error| refused(error.without_url().to_string()))?;
    if answer.status().is_success() { Ok(()) } else { Err(refused(answer.status().to_string())) }
}
