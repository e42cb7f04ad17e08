//! From texts to what can be compiled together.

use std::collections::BTreeMap;
use std::mem;
use std::panic::{AssertUnwindSafe, catch_unwind};

use regorus::Engine;

use super::imports::Imports;
use super::lines::{self, Lines};
use super::text;
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
        let Some((lines, moved)) = Lines::behind_each_other(files) else {
            let what = format!("all files together may have {} lines", lines::MOST);
            return Err(Fault { at: files.first().map_or("", |(file, _)| file).to_owned(), what });
        };
        let mut parsed = Self { engine: Engine::new(), lines, packages: Vec::new() };
        for ((file, _), text) in files.iter().zip(&moved) {
            let package = parsed.add(file, text)?;
            parsed.packages.push(package);
        }
        parsed.spell_imports_out(files, &moved)?;
        Ok(parsed)
    }

    fn add(&mut self, file: &str, text: &str) -> Result<String, Fault> {
        guarded(file, || self.engine.add_policy(file.to_owned(), text.to_owned()))?
            .map_err(|error| self.lines.placed(file, &error.to_string()))
    }

    /// Replaces texts by those that name what they import by its whole path.
    fn spell_imports_out(&mut self, files: &[(&str, &str)], texts: &[String]) -> Result<(), Fault> {
        let mut all: BTreeMap<(&str, String), String> = BTreeMap::new();
        let (packages, mut spelled) = (mem::take(&mut self.packages), Vec::new());
        for (((file, _), text), package) in files.iter().zip(texts).zip(&packages) {
            let Some(imports) = Imports::of(text) else {
                spelled.push(text.clone());
                continue;
            };
            spelled.push(imports.spelled_out(text, &packages));
            // The compiler takes the last one for all files.
            for (name, path) in imports.named {
                let what =
                    format!("another file of its package imports something else as `{name}`");
                if all.insert((package, name), path.clone()).is_some_and(|other| other != path) {
                    return Err(Fault { at: (*file).to_owned(), what });
                }
            }
        }
        if spelled != texts {
            self.engine = Engine::new();
            for ((file, _), text) in files.iter().zip(&spelled) {
                self.add(file, text)?;
            }
        }
        self.packages = packages;
        Ok(())
    }

    /// The package of each file, such as `data.example`.
    pub(crate) fn packages(&self) -> &[String] {
        &self.packages
    }
}

/// A panic of the compiler is a fault like any other: nothing of it is used again.
pub(super) fn guarded<T>(file: &str, run: impl FnOnce() -> T) -> Result<T, Fault> {
    catch_unwind(AssertUnwindSafe(run))
        .map_err(|_| Fault { at: file.to_owned(), what: "the compiler failed".to_owned() })
}
