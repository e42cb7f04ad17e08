//! From texts to what can be compiled together.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};

use regorus::Engine;

use super::imports::Imports;
use super::lines::{self, Lines};
use super::{rewrite, text};
use crate::fault::Fault;

/// Texts that have been checked and parsed.
pub(crate) struct Parsed {
    pub(super) engine: Engine,
    pub(super) lines: Lines,
    packages: Vec<String>,
}

impl Parsed {
    /// Checks and parses files, each given with its name.
    pub(crate) fn read(files: &[(&str, &str)]) -> Result<Self, Fault> {
        for (file, text) in files {
            text::check(file, text)?;
        }
        Self::of(files)
    }

    /// Parses files that have been checked.
    pub(super) fn of(files: &[(&str, &str)]) -> Result<Self, Fault> {
        let Some((lines, moved)) = Lines::behind_each_other(files) else {
            let what = format!("all files together may have {} lines", lines::MOST);
            return Err(Fault { at: files.first().map_or("", |(file, _)| file).to_owned(), what });
        };
        let mut parsed = Self { engine: Engine::new(), lines, packages: Vec::new() };
        for ((file, _), text) in files.iter().zip(&moved) {
            let package = parsed.add(file, text)?;
            parsed.packages.push(package);
        }
        let texts = parsed.spell_imports_out(files, &rewritten(files, &moved)?)?;
        if texts != moved {
            parsed.engine = Engine::new();
            for ((file, _), text) in files.iter().zip(&texts) {
                parsed.add(file, text)?;
            }
        }
        Ok(parsed)
    }

    fn add(&mut self, file: &str, text: &str) -> Result<String, Fault> {
        guarded(file, || self.engine.add_policy(file.to_owned(), text.to_owned()))?
            .map_err(|error| self.lines.placed(file, &error.to_string()))
    }

    /// Texts that name what they import by its whole path.
    fn spell_imports_out(
        &self,
        files: &[(&str, &str)],
        texts: &[String],
    ) -> Result<Vec<String>, Fault> {
        let mut all: BTreeMap<(&str, String), String> = BTreeMap::new();
        let mut spelled = Vec::new();
        for (((file, _), text), package) in files.iter().zip(texts).zip(&self.packages) {
            let imports = Imports::of(text)
                .ok_or_else(|| fault(file, "has an `import` that is not understood"))?;
            spelled.push(imports.spelled_out(text, &self.packages));
            // The compiler takes the last one for all files.
            for (name, path) in imports.named {
                let what =
                    format!("another file of its package imports something else as `{name}`");
                if all.insert((package, name), path.clone()).is_some_and(|other| other != path) {
                    return Err(Fault { at: (*file).to_owned(), what });
                }
            }
        }
        Ok(spelled)
    }

    /// The package of each file, such as `data.example`.
    pub(crate) fn packages(&self) -> &[String] {
        &self.packages
    }
}

/// Texts that mean to the compiler what they say.
fn rewritten(files: &[(&str, &str)], texts: &[String]) -> Result<Vec<String>, Fault> {
    let each = files.iter().zip(texts);
    each.map(|((file, _), text)| rewrite::rewritten(text).map_err(|what| fault(file, what)))
        .collect()
}

fn fault(file: &str, what: &str) -> Fault {
    Fault { at: file.to_owned(), what: what.to_owned() }
}

/// A panic of the compiler is a fault like any other: nothing of it is used again.
pub(super) fn guarded<T>(file: &str, run: impl FnOnce() -> T) -> Result<T, Fault> {
    catch_unwind(AssertUnwindSafe(run))
        .map_err(|_| Fault { at: file.to_owned(), what: "the compiler failed".to_owned() })
}
