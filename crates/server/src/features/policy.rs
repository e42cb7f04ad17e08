//! The policy directory: rules of one's own. Packages answer questions about systems and types of resources; the
//! rules of `countersign.authz`, or a table of scopes, are asked at every door besides. A directory that can't be used
//! leaves the one in force that is.

pub mod http;

use std::collections::BTreeMap;
use std::io::{self, Read};
use std::path::Path;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use countersign_ground::text::Text;
use countersign_policy::authz::MODULE;
use countersign_policy::testing::is_test;
use countersign_policy::{Authz, Fault, InvalidAuthz, InvalidPackages, Packages};

use super::documents::Kind;

/// A policy directory that can be used.
#[derive(Debug)]
pub struct PolicyDirectory {
    /// What answers questions.
    pub packages: Arc<Packages>,
    /// What is asked at every door, if anything is.
    pub authz: Option<Arc<Authz>>,
}

/// Where packages lie.
const PACKAGES: &str = "packages";
/// Where data lies.
const DATA: &str = "data";
/// The most files of a kind.
const MOST: usize = 500;
/// The longest module, in bytes: what can be run is shorter.
const LONGEST_MODULE: u64 = 16 << 20;

impl Kind for PolicyDirectory {
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
        Self::read(serde_json::from_str(text).map_err(whole)?)
    }

    fn hash(&self) -> &str {
        self.packages.digest()
    }
}

impl PolicyDirectory {
    /// Reads one from the texts of its files, by their paths within it.
    ///
    /// # Errors
    /// The first faults: then nothing of it is usable.
    pub fn read(files: BTreeMap<String, String>) -> Result<Self, Vec<Fault>> {
        let (mut packages, mut rest) = (BTreeMap::new(), BTreeMap::new());
        for (path, text) in files {
            match path.split_once('/') {
                Some((PACKAGES, name)) => drop(packages.insert(name.to_owned(), text)),
                _ => drop(rest.insert(path, text)),
            }
        }
        let packages = Packages::read(&packages).map_err(|InvalidPackages(faults)| faults)?;
        let authz = Authz::read(&rest).map_err(|InvalidAuthz(faults)| faults)?;
        Ok(Self { packages: Arc::new(packages), authz: authz.map(Arc::new) })
    }
}

/// The texts of what counts in a directory, by their paths within it: `packages/*.rego`, `*.rego`, `data/*.json`, and
/// `authz.wasm` in Base64. Tests (`*_test.rego`) do not.
///
/// # Errors
/// When the directory or a file can't be read.
pub fn files(directory: &Path) -> io::Result<BTreeMap<String, String>> {
    all(directory, |_| false)
}

/// The same with the tests that lie beside the rules and the packages: `*_test.rego` and `*_test.json`.
///
/// # Errors
/// When the directory or a file can't be read.
pub fn files_and_tests(directory: &Path) -> io::Result<BTreeMap<String, String>> {
    all(directory, is_test)
}

fn all(directory: &Path, is_more: impl Fn(&str) -> bool) -> io::Result<BTreeMap<String, String>> {
    let mut files = BTreeMap::new();
    let counts = |name: &str| name.ends_with(".rego") && !is_test(name) || is_more(name);
    // Without the directory something is wrong; without a folder there are none of these.
    add(&mut files, directory, "", counts, false)?;
    add(&mut files, directory, PACKAGES, counts, true)?;
    add(&mut files, directory, DATA, |name| name.ends_with(".json"), true)?;
    if let Some(module) = module(&directory.join(MODULE))? {
        files.insert(MODULE.to_owned(), module);
    }
    Ok(files)
}

/// A module, in Base64: it is kept and compared among texts.
fn module(path: &Path) -> io::Result<Option<String>> {
    let named = |error: io::Error| io::Error::new(error.kind(), format!("{MODULE}: {error}"));
    let metadata = match std::fs::metadata(path) {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(named(error)),
    };
    if !metadata.is_file() {
        return Err(named(io::Error::other("is not a regular file")));
    }
    let mut bytes = Vec::new();
    // Longer than the policy takes, so that it is the policy that refuses it.
    let file = std::fs::File::open(path).map_err(named)?;
    file.take(LONGEST_MODULE).read_to_end(&mut bytes).map_err(named)?;
    Ok(Some(STANDARD.encode(bytes)))
}

fn add(
    files: &mut BTreeMap<String, String>,
    directory: &Path,
    folder: &str,
    counts: impl Fn(&str) -> bool,
    may_lack: bool,
) -> io::Result<()> {
    let entries = match std::fs::read_dir(directory.join(folder)) {
        Ok(entries) => entries,
        Err(error) if may_lack && error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    let mut found = 0;
    for entry in entries {
        let name = entry?.file_name().to_string_lossy().into_owned();
        if name.starts_with('.') || !counts(&name) {
            continue;
        }
        found += 1;
        if found > MOST {
            return Err(io::Error::other(format!("{folder}: more than {MOST} files")));
        }
        let path = if folder.is_empty() { name } else { format!("{folder}/{name}") };
        let named = |error: io::Error| io::Error::new(error.kind(), format!("{path}: {error}"));
        let text = Text::read(&directory.join(&path)).map_err(named)?;
        let text = text.whole().map_err(|error| named(io::Error::other(error)))?.to_owned();
        files.insert(path, text);
    }
    Ok(())
}
