//! What is told while something takes its time: one line that is overwritten, to a person alone.

use std::io::{self, IsTerminal, Write};

#[derive(Default)]
pub(crate) struct Progress {
    shown: bool,
}

impl Progress {
    pub(crate) fn show(&mut self, text: &str) {
        if io::stderr().is_terminal() {
            self.write(text);
            self.shown = true;
        }
    }

    /// `EL` of ECMA-48 clears what is left of a longer line.
    fn write(&self, text: &str) {
        let mut stderr = io::stderr();
        let _ = write!(stderr, "\r{text}\x1b[K");
        let _ = stderr.flush();
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if self.shown {
            self.write("");
        }
    }
}
