//! The first operator, who sets everything up, and where their token is to be found.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use countersign_ground::clock::Time;
use countersign_ground::config::Config;
use countersign_ground::db::{self, Db};
use countersign_ground::entropy::Entropy;
use countersign_ground::ids::EventId;
use countersign_ground::record::Event;
use countersign_ground::secret::{DigestKey, Secret, SecretDigest};

use super::store;
use crate::law::action::CreateOperator;
use crate::law::permit::{Job, Permit};

/// Where the first operator's token is to be found.
#[derive(Debug, PartialEq, Eq)]
pub enum BootstrapToken {
    /// In this file, just made.
    Made(PathBuf),
    /// In this file, from an earlier start.
    File(PathBuf),
    /// It was configured.
    Configured,
    /// It was configured, but somebody has ended it: it stays ended.
    Ended,
    /// It was made at an earlier start, elsewhere.
    Elsewhere,
    /// Somebody has ended it, or removed the first operator.
    Gone,
}

/// Why the first operator can't be set up.
#[derive(Debug, thiserror::Error)]
pub enum BootstrapError {
    /// The database failed.
    #[error(transparent)]
    Database(#[from] db::Error),
    /// The file can't be written.
    #[error("`{0}`: {1}")]
    File(PathBuf, std::io::Error),
}

/// Makes sure that there is, or was, a first operator with a token.
///
/// A token that is configured anew gives the installation back to whoever can configure it; one that
/// somebody has ended does not live again because it still stands in a file.
///
/// # Errors
/// When the database fails or the token's file can't be written.
pub async fn start(
    db: &Db,
    config: &Config,
    key: &DigestKey,
    now: Time,
    entropy: &Entropy,
) -> Result<BootstrapToken, BootstrapError> {
    let file = config.bootstrap_token_file();
    let event = Event::new(EventId::new(now, entropy), now, "operator.bootstrapped");
    let known = store::bootstrap(db).await?;
    if let Some(token) = &config.bootstrap_token {
        let digest = key.digest(token.reveal());
        return Ok(match known {
            Some(known) if known.digest == Some(digest) && known.ended => BootstrapToken::Ended,
            Some(known) if known.digest == Some(digest) => BootstrapToken::Configured,
            _ => {
                set(db, digest, key.version, event, now).await?;
                BootstrapToken::Configured
            }
        });
    }
    if let Some(known) = known {
        return Ok(match (known.ended, file.exists()) {
            (true, _) => BootstrapToken::Gone,
            (false, true) => BootstrapToken::File(file),
            (false, false) => BootstrapToken::Elsewhere,
        });
    }
    let token = Secret::generate("op_live_", entropy);
    write_private(&file, token.reveal())
        .map_err(|error| BootstrapError::File(file.clone(), error))?;
    set(db, key.digest(token.reveal()), key.version, event, now).await?;
    Ok(BootstrapToken::Made(file))
}

/// Gives the first operator this token; a former one ends.
async fn set(
    db: &Db,
    digest: SecretDigest,
    digest_key: i64,
    event: Event,
    now: Time,
) -> db::Result<()> {
    let permit: Permit<CreateOperator> = Permit::system(Job::Bootstrap);
    db.write((permit, event), move |tx, (permit, event)| {
        Box::pin(async move {
            store::set_bootstrap(tx, permit, &digest, digest_key, now).await?;
            let mut event = permit.sign(event.clone());
            event.resource = Some("operators/bootstrap".into());
            tx.record(event.leaf());
            Ok(())
        })
    })
    .await
}

/// Writes a file that only its owner can read; replaces what is there.
///
/// # Errors
/// As the file system says.
pub fn write_private(path: &Path, text: &str) -> std::io::Result<()> {
    if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        std::fs::create_dir_all(folder)?;
    }
    // Never readable by others, not even for the moment between creating and writing.
    let part = path.with_extension("part");
    let _ = std::fs::remove_file(&part);
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(&part)?;
    writeln!(file, "{text}")?;
    file.sync_all()?;
    std::fs::rename(&part, path)
}
