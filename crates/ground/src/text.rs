//! Large texts, each in a mapping of its own: its place goes back to the system at once, which an allocator does
//! late or never.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use std::str::Utf8Error;

use memmap2::MmapMut;

use crate::aside;

/// A text that is put together from pieces, and let go beside the work.
pub struct Text {
    place: Option<MmapMut>,
    length: usize,
}

/// Bytes that are read at a time.
const PIECE: usize = 1 << 18;

impl Text {
    /// An empty one, which may grow to so many bytes where it stands.
    ///
    /// # Errors
    /// When there is no room.
    pub fn with_capacity(size: usize) -> io::Result<Self> {
        Ok(Self { place: Some(MmapMut::map_anon(size.max(1))?), length: 0 })
    }

    /// The text of a regular file: to open a pipe may take for ever.
    ///
    /// # Errors
    /// When it is none, can't be read, or is not UTF-8.
    pub fn read(path: &Path) -> io::Result<Self> {
        let metadata = std::fs::metadata(path)?;
        if !metadata.is_file() {
            return Err(io::Error::other("is not a regular file"));
        }
        let mut text = Self::with_capacity(usize::try_from(metadata.len()).unwrap_or_default())?;
        let (mut file, mut piece) = (File::open(path)?, vec![0; PIECE]);
        loop {
            match file.read(&mut piece)? {
                0 => break,
                length => text.push(&piece[..length])?,
            }
        }
        match text.whole() {
            Ok(_) => Ok(text),
            Err(error) => Err(io::Error::new(io::ErrorKind::InvalidData, error)),
        }
    }

    /// Adds a piece.
    ///
    /// # Errors
    /// When there is no room.
    pub fn push(&mut self, piece: &[u8]) -> io::Result<()> {
        let end = self.length + piece.len();
        if self.place.as_ref().is_none_or(|place| place.len() < end) {
            let mut larger = Self::with_capacity(end.saturating_mul(2))?;
            larger.push(self.bytes())?;
            *self = larger;
        }
        if let Some(place) = self.place.as_mut().and_then(|place| place.get_mut(self.length..end)) {
            place.copy_from_slice(piece);
            self.length = end;
        }
        Ok(())
    }

    /// What there is so far.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        self.place.as_ref().and_then(|place| place.get(..self.length)).unwrap_or_default()
    }

    /// All of it; that it is UTF-8 is looked at each time.
    ///
    /// # Errors
    /// Where it is not UTF-8.
    pub fn whole(&self) -> Result<&str, Utf8Error> {
        str::from_utf8(self.bytes())
    }
}

impl Drop for Text {
    fn drop(&mut self) {
        if let Some(place) = self.place.take() {
            aside::let_go(place);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_follow_one_another_however_much_room_there_was() {
        for size in [0, 1, 7, 1 << 20] {
            let mut text = Text::with_capacity(size).unwrap();
            let mut wanted = String::new();
            assert_eq!(text.whole(), Ok(""));
            for n in 0..2_000 {
                let piece = "ü".repeat(n % 7);
                text.push(piece.as_bytes()).unwrap();
                wanted.push_str(&piece);
            }
            assert_eq!(text.whole(), Ok(&*wanted));
            text.push(&[0xff]).unwrap();
            assert!(text.whole().is_err() && text.bytes().len() == wanted.len() + 1);
        }
    }

    #[test]
    fn a_file_is_read_whole_and_nothing_else_is() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("text");
        let content = "a text\n".repeat(100_000);
        std::fs::write(&path, &content).unwrap();
        assert_eq!(Text::read(&path).unwrap().whole(), Ok(&*content));
        assert!(Text::read(directory.path()).is_err());
        assert!(Text::read(&directory.path().join("none")).is_err());
        std::fs::write(&path, [b'a', 0xff]).unwrap();
        assert!(Text::read(&path).is_err());
    }
}
