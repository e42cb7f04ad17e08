//! Operators: people who administer. So far the first one, who sets everything up.

pub mod store;

use std::io::Write as _;
use std::path::{Path, PathBuf};

use countersign_ground::clock::Time;
use countersign_ground::config::Config;
use countersign_ground::db::{self, Db};
use countersign_ground::entropy::Entropy;
use countersign_ground::secret::{DigestKey, Secret};

use crate::law::directory::Directory;

/// The first operator's id.
pub const BOOTSTRAP: &str = "bootstrap";

/// Where the first operator's token is to be found.
#[derive(Debug)]
pub enum BootstrapToken {
    /// In this file, just made.
    Made(PathBuf),
    /// In this file, from an earlier start.
    File(PathBuf),
    /// It was configured.
    Configured,
    /// It was made at an earlier start, elsewhere.
    Elsewhere,
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

/// Makes sure that there is a first operator with a token, and reads all operators into memory.
///
/// # Errors
/// When the database fails or the token's file can't be written.
pub async fn start(
    db: &Db,
    config: &Config,
    key: &DigestKey,
    directory: &Directory,
    now: Time,
    entropy: &Entropy,
) -> Result<BootstrapToken, BootstrapError> {
    let file = config.bootstrap_token_file();
    let found = if let Some(token) = &config.bootstrap_token {
        store::set_bootstrap(db, key.digest(token.reveal()), key.version, now).await?;
        BootstrapToken::Configured
    } else if store::has_bootstrap(db).await? {
        if file.exists() { BootstrapToken::File(file) } else { BootstrapToken::Elsewhere }
    } else {
        let token = Secret::generate("op_live_", entropy);
        write_private(&file, token.reveal())
            .map_err(|error| BootstrapError::File(file.clone(), error))?;
        store::set_bootstrap(db, key.digest(token.reveal()), key.version, now).await?;
        BootstrapToken::Made(file)
    };
    store::load(db, directory).await?;
    Ok(found)
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
