//! Where values come from, and who wins.

use std::collections::BTreeMap;
use std::fmt;
use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher};
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::settings::{SETTINGS, Setting};

/// Everything a configuration is read from.
#[derive(Debug, Default, Clone)]
pub struct Sources {
    /// `NAME=VALUE` of the command line.
    pub flags: Vec<(String, String)>,
    /// The process's environment.
    pub environment: Vec<(String, String)>,
    /// Names of the environment whose values are not text.
    pub unreadable: Vec<String>,
    /// A TOML file.
    pub file: Option<PathBuf>,
}

/// Where a value came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Source {
    /// The command line.
    Flag,
    /// The environment.
    Environment,
    /// A file that `NAME_FILE` names.
    SecretFile,
    /// The configuration file.
    File,
    /// Nobody said otherwise.
    Default,
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Flag => "flag",
            Self::Environment => "environment",
            Self::SecretFile => "secret file",
            Self::File => "file",
            Self::Default => "default",
        })
    }
}

/// One variable as it is in force. Secrets are shown as `***`.
#[derive(Debug, Clone, Serialize)]
pub struct Effective {
    /// The variable.
    pub name: &'static str,
    /// Its value, if it has one.
    pub value: Option<String>,
    /// Who said so.
    pub source: Source,
    /// Differs when the value does, also where it is not shown.
    #[serde(skip)]
    pub fingerprint: u64,
}

/// A value that can't be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{name}: {what}")]
pub struct Fault {
    /// The variable.
    pub name: String,
    /// What is wrong, and what would be right.
    pub what: String,
}

impl Fault {
    /// About this variable.
    pub fn new(name: &str, what: impl Into<String>) -> Self {
        Self { name: name.to_owned(), what: what.into() }
    }
}

struct Raw {
    text: String,
    source: Source,
}

/// The raw values, and what was found wrong with them so far.
pub(super) struct Values {
    raw: BTreeMap<&'static str, Raw>,
    faults: Vec<Fault>,
    warnings: Vec<String>,
}

impl Values {
    /// Reads all sources; the later in this function wins.
    pub(super) fn gather(sources: &Sources) -> Self {
        let mut values = Self { raw: BTreeMap::new(), faults: Vec::new(), warnings: Vec::new() };
        for setting in SETTINGS {
            if let Some(default) = setting.default {
                values.set(setting.name, default.to_owned(), Source::Default);
            }
        }
        values.read_file(sources);
        let environment: BTreeMap<&str, &str> =
            sources.environment.iter().map(|(name, value)| (&**name, &**value)).collect();
        if let Some(filter) = environment.get("RUST_LOG").filter(|filter| !filter.is_empty()) {
            values.set("LOG_LEVEL", (*filter).to_owned(), Source::Environment);
        }
        for setting in SETTINGS {
            values.read_environment(setting, &environment);
        }
        for name in &sources.unreadable {
            let base = name.strip_suffix("_FILE").unwrap_or(name);
            if SETTINGS.iter().any(|setting| setting.name == base || setting.name == name) {
                values.faults.push(Fault::new(name, "must be text (UTF-8)"));
            }
        }
        values.warn_of_lookalikes(&environment);
        for (name, value) in &sources.flags {
            values.assign(name, value.clone(), Source::Flag);
        }
        values
    }

    /// Takes a value by its name, which may be `NAME_FILE` of a secret.
    fn assign(&mut self, name: &str, text: String, source: Source) {
        let known = |name: &str| SETTINGS.iter().find(|setting| setting.name == name);
        let secret = || known(name.strip_suffix("_FILE")?).filter(|setting| setting.secret);
        match (known(name), secret()) {
            (Some(setting), _) => self.set(setting.name, text, source),
            (None, Some(setting)) => self.read_secret(setting.name, name, &text),
            (None, None) => self.unknown(name),
        }
    }

    fn read_secret(&mut self, name: &'static str, file_name: &str, path: &str) {
        match std::fs::read_to_string(path) {
            Ok(text) => self.set(name, text.trim_end().to_owned(), Source::SecretFile),
            Err(error) => self.faults.push(Fault::new(file_name, format!("`{path}`: {error}"))),
        }
    }

    fn set(&mut self, name: &'static str, text: String, source: Source) {
        self.raw.insert(name, Raw { text, source });
    }

    fn unknown(&mut self, name: &str) {
        let near = SETTINGS.iter().find(|setting| one_edit_apart(setting.name, name));
        let hint = near.map_or(String::new(), |near| format!("; did you mean `{}`?", near.name));
        self.faults.push(Fault::new(name, format!("is not a setting{hint}")));
    }

    fn read_file(&mut self, sources: &Sources) {
        let Some(path) = &sources.file else { return };
        let shown = path.display().to_string();
        let table = std::fs::read_to_string(path)
            .map_err(|error| error.to_string())
            .and_then(|text| text.parse::<toml::Table>().map_err(|error| error.to_string()));
        let table = match table {
            Ok(table) => table,
            Err(error) => return self.faults.push(Fault::new(&shown, error)),
        };
        for (key, value) in table {
            let name = key.to_ascii_uppercase();
            match value {
                toml::Value::String(text) => {
                    self.assign(&name, beside(path, &name, text), Source::File);
                }
                toml::Value::Integer(number) => {
                    self.assign(&name, number.to_string(), Source::File);
                }
                toml::Value::Boolean(flag) => {
                    self.assign(&name, flag.to_string(), Source::File);
                }
                _ => self.faults.push(Fault::new(&name, "must be a string, a number or a boolean")),
            }
        }
    }

    fn read_environment(&mut self, setting: &Setting, environment: &BTreeMap<&str, &str>) {
        let direct = environment.get(setting.name).filter(|value| !value.is_empty());
        let file_name = format!("{}_FILE", setting.name);
        let file = environment.get(&*file_name).filter(|_| setting.secret);
        match (direct, file) {
            (Some(_), Some(_)) => {
                let what = format!("is set together with `{file_name}`; set one of them");
                self.faults.push(Fault::new(setting.name, what));
            }
            (Some(value), None) => {
                self.set(setting.name, (*value).to_owned(), Source::Environment);
            }
            (None, Some(path)) => self.read_secret(setting.name, &file_name, path),
            (None, None) => {}
        }
    }

    fn warn_of_lookalikes(&mut self, environment: &BTreeMap<&str, &str>) {
        // Read by the command line, not by the server.
        const CLIENT: [&str; 5] = [
            "COUNTERSIGN_URL",
            "COUNTERSIGN_TOKEN",
            "COUNTERSIGN_CLIENT_SECRET",
            "COUNTERSIGN_PROFILE",
            "COUNTERSIGN_TENANT",
        ];
        for name in environment.keys() {
            let base = name.strip_suffix("_FILE").unwrap_or(name);
            let known = |name: &str| SETTINGS.iter().any(|setting| setting.name == name);
            if known(base) || known(name) || CLIENT.contains(name) {
                continue;
            }
            if let Some(near) = SETTINGS.iter().find(|setting| one_edit_apart(setting.name, base)) {
                self.warnings.push(format!("`{name}` is not known; did you mean `{}`?", near.name));
            } else if name.starts_with("COUNTERSIGN_") {
                self.warnings.push(format!("`{name}` is not known and has no effect"));
            }
        }
    }

    /// A value that must be there.
    pub(super) fn get<T>(
        &mut self,
        name: &'static str,
        wanted: &str,
        read: impl Fn(&str) -> Option<T>,
    ) -> Option<T> {
        let value = self.optional(name, wanted, read);
        if value.is_none() && !self.faults.iter().any(|fault| fault.name == name) {
            self.faults.push(Fault::new(name, format!("must be {wanted}")));
        }
        value
    }

    /// A value that may be missing. The text is not repeated in the fault: it may be a secret.
    pub(super) fn optional<T>(
        &mut self,
        name: &'static str,
        wanted: &str,
        read: impl Fn(&str) -> Option<T>,
    ) -> Option<T> {
        let raw = self.raw.get(name)?;
        let value = read(&raw.text);
        if value.is_none() {
            let what = format!("must be {wanted} (from the {})", raw.source);
            self.faults.push(Fault::new(name, what));
        }
        value
    }

    /// A value that may be missing, whose reader says what is wrong.
    pub(super) fn read<T, E: fmt::Display>(
        &mut self,
        name: &'static str,
        read: impl Fn(&str) -> Result<T, E>,
    ) -> Option<T> {
        let raw = self.raw.get(name)?;
        match read(&raw.text) {
            Ok(value) => Some(value),
            Err(error) => {
                let what = format!("{error} (from the {})", raw.source);
                self.faults.push(Fault::new(name, what));
                None
            }
        }
    }

    pub(super) fn fault(&mut self, name: &str, what: impl Into<String>) {
        if !self.faults.iter().any(|fault| fault.name == name) {
            self.faults.push(Fault::new(name, what));
        }
    }

    pub(super) fn finish(self) -> (Vec<Effective>, Vec<Fault>, Vec<String>) {
        let effective = SETTINGS.iter().map(|setting| {
            let raw = self.raw.get(setting.name);
            let value = raw.map(|raw| shown(setting, &raw.text));
            let source = raw.map_or(Source::Default, |raw| raw.source);
            // Only compared within one process, so a key of its own is not needed.
            let fingerprint =
                BuildHasherDefault::<DefaultHasher>::default().hash_one(raw.map(|raw| &raw.text));
            Effective { name: setting.name, value, source, fingerprint }
        });
        (effective.collect(), self.faults, self.warnings)
    }
}

fn shown(setting: &Setting, text: &str) -> String {
    if !setting.secret {
        return text.to_owned();
    }
    // An address is worth seeing without its password.
    match text.parse::<crate::db::DatabaseUrl>() {
        Ok(url) => url.to_string(),
        Err(_) => "***".to_owned(),
    }
}

/// A path that a configuration file says is meant from the folder that the file lies in.
fn beside(file: &Path, name: &str, text: String) -> String {
    let is_path = name.ends_with("_FILE") || name.ends_with("_DIR");
    match file.parent() {
        Some(folder) if is_path && !text.is_empty() => folder.join(text).display().to_string(),
        _ => text,
    }
}

/// One letter added, missing, changed, or two neighbours swapped.
fn one_edit_apart(a: &str, b: &str) -> bool {
    let (a, b) = (a.as_bytes(), b.as_bytes());
    let start = a.iter().zip(b).take_while(|(x, y)| x == y).count();
    let (a, b) = (&a[start..], &b[start..]);
    match (a, b) {
        ([], []) => false,
        ([_, a @ ..], [_, b @ ..]) if a == b => true,
        ([_, rest @ ..], b) if rest == b => true,
        (a, [_, rest @ ..]) if rest == a => true,
        ([x, y, a @ ..], [v, w, b @ ..]) => x == w && y == v && a == b,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;

    fn load(environment: &[(&str, &str)]) -> Result<Config, Vec<Fault>> {
        let environment =
            environment.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect();
        Config::load(&Sources { environment, ..Sources::default() })
    }

    #[test]
    fn every_fault_is_named_at_once_with_what_would_be_right() {
        let faults = load(&[("PORT", "http"), ("JWT_ALG", "none"), ("MASTER_KEY", "hunter2")]);
        let text: Vec<String> = faults.unwrap_err().iter().map(ToString::to_string).collect();
        assert_eq!(text.len(), 3);
        assert!(text[0].starts_with("PORT: must be a port"), "{text:?}");
        assert!(!text.join(" ").contains("hunter2"), "a secret is not repeated");
    }

    #[test]
    fn a_flag_wins_over_the_environment_over_the_file_over_the_default() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("c.toml");
        std::fs::write(&file, "port = 1\nhost = '127.0.0.2'\ntoken_ttl_seconds = 60").unwrap();
        let sources = Sources {
            flags: vec![("PORT".into(), "3".into())],
            environment: vec![("PORT".into(), "2".into()), ("HOST".into(), "127.0.0.3".into())],
            unreadable: Vec::new(),
            file: Some(file),
        };
        let config = Config::load(&sources).unwrap();
        assert_eq!(config.listen.to_string(), "127.0.0.3:3");
        assert_eq!(config.token_ttl.as_secs(), 60);
        let port = config.effective.iter().find(|value| value.name == "PORT").unwrap();
        assert_eq!(port.source, Source::Flag);
    }

    #[test]
    fn a_secret_comes_from_a_file_or_directly_but_not_both() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("key");
        std::fs::write(&file, format!("{}\n", "07".repeat(32))).unwrap();
        let path = file.to_str().unwrap();
        assert!(load(&[("MASTER_KEY_FILE", path)]).unwrap().master_key.is_some());
        let faults = load(&[("MASTER_KEY_FILE", path), ("MASTER_KEY", &"07".repeat(32))]);
        assert!(faults.unwrap_err()[0].what.contains("MASTER_KEY_FILE"));
        assert!(load(&[("MASTER_KEY_FILE", "/nowhere")]).is_err());
    }

    #[test]
    fn shown_values_hold_no_secret() {
        let config = load(&[
            ("MASTER_KEY", &"07".repeat(32)),
            ("DATABASE_URL", "postgres://u:hunter2@h/d"),
            ("MACHINE_SECRET_TOKEN", &"m".repeat(40)),
        ]);
        let shown = serde_json::to_string(&config.unwrap().effective).unwrap();
        for secret in ["0707", "hunter2", "mmmm"] {
            assert!(!shown.contains(secret), "{shown}");
        }
    }

    #[test]
    fn a_secrets_file_is_named_in_the_file_and_by_a_flag_too() {
        let folder = tempfile::tempdir().unwrap();
        let (key, settings) = (folder.path().join("key"), folder.path().join("c.toml"));
        std::fs::write(&key, "07".repeat(32)).unwrap();
        std::fs::write(&settings, format!("master_key_file = {key:?}")).unwrap();
        let by_file = Sources { file: Some(settings), ..Sources::default() };
        let flag = ("MASTER_KEY_FILE".to_owned(), key.to_str().unwrap().to_owned());
        let by_flag = Sources { flags: vec![flag], ..Sources::default() };
        for sources in [by_file, by_flag] {
            assert!(Config::load(&sources).unwrap().master_key.is_some());
        }
        let flags = vec![("PORT_FILE".to_owned(), "x".to_owned())];
        let faults = Config::load(&Sources { flags, ..Sources::default() }).unwrap_err();
        assert!(faults[0].to_string().starts_with("PORT_FILE: is not a setting"), "{faults:?}");
    }

    #[test]
    fn names_that_look_meant_for_us_are_warned_about() {
        let warnings =
            load(&[("JWT_ALGS", "x"), ("COUNTERSIGN_FOO", "x"), ("HOME", "/")]).unwrap().warnings;
        assert_eq!(warnings.len(), 2, "{warnings:?}");
        assert!(warnings[1].contains("did you mean `JWT_ALG`?"));
    }

    #[test]
    fn production_refuses_what_is_unsafe_there() {
        let faults = load(&[("COUNTERSIGN_ENV", "production")]).unwrap_err();
        let names: Vec<&str> = faults.iter().map(|fault| &*fault.name).collect();
        assert_eq!(names, ["JWT_PRIVATE_KEY", "MASTER_KEY", "CORS_ORIGIN", "ISSUER_URL"]);
    }

    #[test]
    fn one_edit() {
        for near in ["PORTS", "PRT", "PORK", "PROT", "XPORT"] {
            assert!(one_edit_apart("PORT", near), "{near}");
        }
        for far in ["PORT", "TROP", "PO", "PORTAL", ""] {
            assert!(!one_edit_apart("PORT", far), "{far}");
        }
    }
}
