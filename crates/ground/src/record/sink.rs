//! Seals kept where nobody who can change the record can change them: a file of JSON lines.

use std::fs::{File, OpenOptions};
use std::io::{self, BufRead, BufReader, Seek, SeekFrom, Write};
use std::path::Path;

use super::Seal;

/// A file of seals, open at its end.
pub struct SealFile {
    file: File,
    last: Option<Seal>,
}

impl SealFile {
    /// Opens or makes a file. A last line that a crash has cut off is taken away.
    ///
    /// # Errors
    /// When it can't be read or written, or holds something else.
    pub fn open(path: &Path) -> io::Result<Self> {
        let mut file = OpenOptions::new().read(true).append(true).create(true).open(path)?;
        let (mut last, mut whole, mut line) = (None, 0, Vec::new());
        let mut lines = BufReader::new(&file);
        loop {
            line.clear();
            let length = lines.read_until(b'\n', &mut line)?;
            if line.last() != Some(&b'\n') {
                break;
            }
            let seal = serde_json::from_slice::<Seal>(&line).map_err(|error| {
                let what = format!("a line at byte {whole} is no seal: {error}");
                io::Error::new(io::ErrorKind::InvalidData, what)
            })?;
            last = Some(seal);
            whole += length as u64;
        }
        file.set_len(whole)?;
        file.seek(SeekFrom::End(0))?;
        Ok(Self { file, last })
    }

    /// The newest seal in it.
    #[must_use]
    pub fn last(&self) -> Option<&Seal> {
        self.last.as_ref()
    }

    /// Adds seals; they are on the disk when it returns.
    ///
    /// # Errors
    /// When they can't be written.
    pub fn add(&mut self, seals: &[Seal]) -> io::Result<()> {
        let mut text = String::new();
        for seal in seals {
            text.push_str(&serde_json::to_string(seal)?);
            text.push('\n');
        }
        self.file.write_all(text.as_bytes())?;
        self.file.sync_data()?;
        self.last = seals.last().cloned().or_else(|| self.last.take());
        Ok(())
    }
}
