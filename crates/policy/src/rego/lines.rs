//! Which line of which file: the compiler keeps no reliable note of the file, so lines are counted through all
//! files, and each text is moved down behind those before it.

use crate::fault::Fault;

/// The files of one program, in their order, each with how many lines stand before it.
#[derive(Debug, Clone)]
pub(super) struct Lines(Vec<(usize, Box<str>)>);

/// The most lines of all files together: the compiler takes no more.
pub(super) const MOST: usize = 20_000;

impl Lines {
    /// Puts texts behind each other: where they stand, and each moved down. None when there are too many lines.
    pub(super) fn behind_each_other(files: &[(&str, &str)]) -> Option<(Self, Vec<String>)> {
        let (mut all, mut moved, mut lines) = (Vec::new(), Vec::new(), 0);
        for (file, text) in files {
            all.push((lines, Box::from(*file)));
            moved.push("\n".repeat(lines) + text);
            lines += text.split('\n').count();
            if lines > MOST {
                return None;
            }
        }
        Some((Self(all), moved))
    }

    /// Where a line is; without one, what stands for all files.
    pub(super) fn place(&self, line: usize) -> String {
        match self.find(line) {
            Some((file, line)) => format!("{file}:{line}"),
            None => self.whole().to_owned(),
        }
    }

    /// The file that a line is in, and its number there.
    pub(super) fn find(&self, line: usize) -> Option<(&str, usize)> {
        let (before, file) = self.0.iter().rfind(|(before, _)| *before < line)?;
        Some((file, line - before))
    }

    /// What stands for all files.
    pub(super) fn whole(&self) -> &str {
        if let [(_, file)] = self.0.as_slice() { file } else { "*.rego" }
    }
    /// A message of the compiler about a file, with its place out of the picture that it draws.
    pub(super) fn placed(&self, file: &str, text: &str) -> Fault {
        let mut lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
        let place = lines.clone().find_map(|line| self.pointed(line.strip_prefix("--> ")?));
        let what = lines
            .clone()
            .find_map(|line| line.strip_prefix("error: "))
            .or_else(|| lines.find(|line| !line.starts_with("--> ")))
            .unwrap_or("can't be compiled");
        let at = place.unwrap_or_else(|| file.to_owned());
        Fault { at, what: what.chars().take(300).collect() }
    }

    /// A place that the compiler names: `file:line:column`.
    fn pointed(&self, place: &str) -> Option<String> {
        let (rest, column) = place.rsplit_once(':')?;
        let (_, line) = rest.rsplit_once(':')?;
        Some(format!("{}:{column}", self.place(line.parse().ok()?)))
    }
}
