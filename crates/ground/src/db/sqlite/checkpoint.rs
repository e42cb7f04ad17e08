//! Keeps the write-ahead log short under steady load.
//!
//! A checkpoint from another thread copies most of the log while the writer goes on, but can't
//! reset it, because there is always something newer. So after each of its passes the writer makes
//! a short one itself between two batches, and then starts the log anew.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use rusqlite::Connection;

use super::super::{Error, Result};

/// Log size from which a checkpoint is worth its cost.
const WORTHWHILE: u64 = 8 << 20;
/// Commits between two looks at the size.
const LOOK_EVERY: u32 = 32;

pub(super) struct Checkpoints {
    ask: SyncSender<()>,
    passed: Arc<AtomicBool>,
    log: PathBuf,
    commits: u32,
}

impl Checkpoints {
    pub(super) fn start(path: &Path) -> Result<Self> {
        let (ask, asked) = sync_channel(1);
        let passed = Arc::new(AtomicBool::new(false));
        let connection = super::connect(path)?;
        let done = Arc::clone(&passed);
        std::thread::Builder::new()
            .name("sqlite-checkpoint".into())
            .spawn(move || pass(&connection, &asked, &done))
            .map_err(|error| Error::Unavailable(error.to_string()))?;
        let mut log = path.as_os_str().to_owned();
        log.push("-wal");
        Ok(Self { ask, passed, log: log.into(), commits: 0 })
    }

    /// Called by the writer between two batches.
    pub(super) fn after_commit(&mut self, connection: &Connection) {
        if self.passed.swap(false, Ordering::AcqRel) {
            checkpoint(connection);
        }
        self.commits += 1;
        if self.commits < LOOK_EVERY {
            return;
        }
        self.commits = 0;
        if std::fs::metadata(&self.log).is_ok_and(|log| log.len() > WORTHWHILE) {
            // Full means that a pass is under way.
            let _ = self.ask.try_send(());
        }
    }
}

fn pass(connection: &Connection, asked: &Receiver<()>, passed: &AtomicBool) {
    while asked.recv().is_ok() {
        checkpoint(connection);
        passed.store(true, Ordering::Release);
    }
}

fn checkpoint(connection: &Connection) {
    let done = connection.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(()));
    if let Err(error) = done {
        tracing::warn!(%error, "checkpoint failed; the write-ahead log grows until one succeeds");
    }
}
