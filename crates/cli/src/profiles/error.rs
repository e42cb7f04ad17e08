//! Why a profile can't be used, and what to do then. Nothing of the file's text is repeated: it holds
//! tokens.

use std::io;
use std::path::PathBuf;

use super::Name;

#[derive(Debug, thiserror::Error)]
pub(crate) enum ProfileError {
    #[error("there is no place for profiles")]
    Homeless,
    #[error("`{}` is open to others, and it holds tokens", .0.display())]
    Open(PathBuf),
    #[error("cannot read `{}`: {}", .0.display(), .1)]
    Read(PathBuf, #[source] io::Error),
    #[error("cannot write `{}`: {}", .0.display(), .1)]
    Write(PathBuf, #[source] io::Error),
    #[error("`{}`, line {}: this is nothing that `countersign login` writes", .0.display(), .1)]
    Malformed(PathBuf, usize),
    #[error("there is no profile `{0}`")]
    Unknown(Name),
    #[error("no profile is named, and none is the default")]
    NoDefault,
    #[error("the profile `{name}` is for {its}: its token is not sent to {asked}")]
    OtherServer { name: Name, its: String, asked: String },
}

impl ProfileError {
    pub(crate) fn advice(&self) -> Option<String> {
        Some(match self {
            Self::Homeless => "set HOME or XDG_CONFIG_HOME".to_owned(),
            Self::Open(path) => {
                format!("chmod 600 '{}'; the tokens in it may be known by now", path.display())
            }
            Self::Malformed(..) => "mend it, or remove the file and log in again".to_owned(),
            Self::Unknown(name) => format!(
                "`countersign profiles list` shows the profiles there are; \
                 `countersign login --profile {name}` makes this one"
            ),
            Self::NoDefault => {
                "pass --profile NAME; `countersign profiles list` shows them".to_owned()
            }
            Self::OtherServer { asked, .. } => format!(
                "give a token for that server: set COUNTERSIGN_TOKEN, pass --token-file FILE, or run \
                 `countersign login --profile ANOTHER --url {asked}`"
            ),
            Self::Read(..) | Self::Write(..) => return None,
        })
    }
}
