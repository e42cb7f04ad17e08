//! Packages in Rego: the directory that they are read from, and how others come into force. A directory that
//! can't be used leaves those in force that are.

pub mod http;

use std::collections::BTreeMap;
use std::io;
use std::path::Path;

use countersign_ground::text::Text;
use countersign_policy::{Fault, InvalidPackages, Packages};

use super::documents::Kind;

/// Where in the directory they lie.
const FOLDER: &str = "packages";
/// The most of them.
const MOST: usize = 500;

impl Kind for Packages {
    const NAME: &'static str = "policy directory";
    const VARIABLE: &'static str = "POLICY_DIR";

    fn text(directory: &Path) -> io::Result<Text> {
        let files = serde_json::to_string(&files(directory)?)?;
        let mut text = Text::with_capacity(files.len())?;
        text.push(files.as_bytes())?;
        Ok(text)
    }

    fn parse(text: &str) -> Result<Self, Vec<Fault>> {
        let whole =
            |error: serde_json::Error| vec![Fault { at: String::new(), what: error.to_string() }];
        let files: BTreeMap<String, String> = serde_json::from_str(text).map_err(whole)?;
        Self::read(&files).map_err(|InvalidPackages(faults)| faults)
    }

    fn hash(&self) -> &str {
        self.digest()
    }
}

/// The texts of `packages/*.rego`, by their names; tests of them (`*_test.rego`) are none.
///
/// # Errors
/// When the directory or a file can't be read.
pub fn files(directory: &Path) -> io::Result<BTreeMap<String, String>> {
    let folder = match std::fs::read_dir(directory.join(FOLDER)) {
        Ok(folder) => folder,
        // Without the folder there are none; without the directory something is wrong.
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return std::fs::read_dir(directory).map(|_| BTreeMap::new());
        }
        Err(error) => return Err(error),
    };
    let mut files = BTreeMap::new();
    for entry in folder {
        let name = entry?.file_name().to_string_lossy().into_owned();
        if name.starts_with('.') || name.ends_with("_test.rego") || !name.ends_with(".rego") {
            continue;
        }
        if files.len() == MOST {
            return Err(io::Error::other(format!("more than {MOST} packages")));
        }
        let named =
            |error: io::Error| io::Error::new(error.kind(), format!("{FOLDER}/{name}: {error}"));
        let text = Text::read(&directory.join(FOLDER).join(&name)).map_err(named)?;
        let text = text.whole().map_err(|error| named(io::Error::other(error)))?.to_owned();
        files.insert(name, text);
    }
    Ok(files)
}
