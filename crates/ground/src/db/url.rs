//! `DATABASE_URL`.

use std::path::PathBuf;
use std::str::FromStr;

/// Where the database is.
#[derive(Clone, PartialEq, Eq)]
pub enum DatabaseUrl {
    /// A file.
    Sqlite(PathBuf),
    /// A server; the text holds a password.
    Postgres(String),
}

/// Not an address of a database.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "expected `sqlite://PATH` or `postgres://USER:PASSWORD@HOST/DATABASE`, with an `sslmode` of libpq"
)]
pub struct InvalidUrl;

impl FromStr for DatabaseUrl {
    type Err = InvalidUrl;

    fn from_str(text: &str) -> Result<Self, InvalidUrl> {
        if let Some(path) = text.strip_prefix("sqlite://") {
            return if path.is_empty() || path.ends_with('/') || path.contains('?') {
                Err(InvalidUrl)
            } else {
                Ok(Self::Sqlite(PathBuf::from(path)))
            };
        }
        let parsed = url::Url::parse(text).map_err(|_| InvalidUrl)?;
        if !["postgres", "postgresql"].contains(&parsed.scheme()) || !parsed.has_host() {
            return Err(InvalidUrl);
        }
        super::tls::connector(text).map_err(|_| InvalidUrl)?;
        Ok(Self::Postgres(text.to_owned()))
    }
}

impl std::fmt::Display for DatabaseUrl {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Sqlite(path) => write!(f, "sqlite://{}", path.display()),
            Self::Postgres(text) => {
                let Ok(mut url) = url::Url::parse(text) else {
                    return f.write_str("postgres://***");
                };
                if url.password().is_some() {
                    // Fails only for an address that can't have a password.
                    let _ = url.set_password(Some("***"));
                }
                // `?password=…` is an address's other place for it.
                if url.query().is_some_and(|query| query.contains("password")) {
                    url.set_query(Some("***"));
                }
                write!(f, "{url}")
            }
        }
    }
}

impl std::fmt::Debug for DatabaseUrl {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{self}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_sqlite_or_postgres_and_never_shows_a_password() {
        assert_eq!("sqlite://a/b.db".parse(), Ok(DatabaseUrl::Sqlite("a/b.db".into())));
        assert_eq!("sqlite:///a/b.db".parse(), Ok(DatabaseUrl::Sqlite("/a/b.db".into())));
        for wrong in ["", "sqlite://", "sqlite:a.db", "mysql://h/d", "postgres://", "a.db"] {
            assert_eq!(wrong.parse::<DatabaseUrl>(), Err(InvalidUrl), "{wrong}");
        }
        for url in ["postgres://u:hunter2@h:5/d?sslmode=require", "postgres://h/d?password=hunter2"]
        {
            let url: DatabaseUrl = url.parse().unwrap();
            assert!(!format!("{url} {url:?}").contains("hunter2"), "{url}");
        }
    }
}
