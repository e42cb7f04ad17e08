//! The file of profiles: for its owner's eyes, and never half written.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use super::{ProfileError, Profiles};

pub(crate) struct Store {
    path: PathBuf,
}

impl Store {
    /// As the XDG Base Directory Specification says: a relative path is to be ignored.
    pub(crate) fn of_user() -> Result<Self, ProfileError> {
        let folder = |name| variable(name).filter(|path| path.is_absolute());
        let config = folder("XDG_CONFIG_HOME")
            .or_else(|| Some(folder("HOME")?.join(".config")))
            .ok_or(ProfileError::Homeless)?;
        Ok(Self { path: config.join("countersign/profiles.toml") })
    }

    pub(crate) fn read(&self) -> Result<Profiles, ProfileError> {
        let failed = |error| ProfileError::Read(self.path.clone(), error);
        let mut file = match File::open(&self.path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Profiles::default()),
            Err(error) => return Err(failed(error)),
        };
        // Of the open file: another one could take the path between a look and the reading.
        if is_open_to_others(&file.metadata().map_err(failed)?) {
            return Err(ProfileError::Open(self.path.clone()));
        }
        let mut text = String::new();
        file.read_to_string(&mut text).map_err(failed)?;
        toml::from_str(&text).map_err(|error| {
            let before = error.span().and_then(|span| text.get(..span.start)).unwrap_or_default();
            let line = 1 + before.bytes().filter(|byte| *byte == b'\n').count();
            ProfileError::Malformed(self.path.clone(), line)
        })
    }

    pub(crate) fn write(&self, profiles: &Profiles) -> Result<(), ProfileError> {
        self.replace(profiles).map_err(|error| ProfileError::Write(self.path.clone(), error))
    }

    fn replace(&self, profiles: &Profiles) -> io::Result<()> {
        let text = toml::to_string(profiles).map_err(io::Error::other)?;
        let folder = self.path.parent().unwrap_or(Path::new("/"));
        make_private(folder)?;
        // Made with mode 0600, so that at no moment anybody else can open it.
        let mut file = tempfile::Builder::new().prefix(".profiles-").tempfile_in(folder)?;
        file.write_all(format!("{HEADER}{text}").as_bytes())?;
        file.as_file().sync_all()?;
        file.persist(&self.path)?;
        Ok(())
    }
}

const HEADER: &str = "# Written by `countersign login`. It holds tokens: keep it to yourself.\n";

#[expect(
    clippy::disallowed_methods,
    reason = "where a person keeps files is no setting of the server's"
)]
fn variable(name: &str) -> Option<PathBuf> {
    std::env::var_os(name).map(PathBuf::from)
}

#[cfg(unix)]
fn is_open_to_others(file: &fs::Metadata) -> bool {
    use std::os::unix::fs::PermissionsExt;
    file.permissions().mode() & 0o077 != 0
}

#[cfg(not(unix))]
fn is_open_to_others(_: &fs::Metadata) -> bool {
    false
}

fn make_private(folder: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(folder)?;
    #[cfg(unix)]
    fs::set_permissions(folder, std::os::unix::fs::PermissionsExt::from_mode(0o700))?;
    Ok(())
}
