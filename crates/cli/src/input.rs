//! Secrets that are read rather than typed: every process of the machine sees what is typed.

use std::fs;
use std::io::{self, Read};
use std::path::Path;

use anyhow::Context;
use secrecy::{ExposeSecret, SecretString};

/// The text of a file, or of standard input for `-`.
pub(crate) fn secret_file(path: &Path) -> anyhow::Result<SecretString> {
    if path == Path::new("-") {
        return secret_stdin();
    }
    let text = fs::read_to_string(path)
        .with_context(|| format!("cannot read the secret in `{}`", path.display()))?;
    secret(&text).with_context(|| format!("`{}` is empty", path.display()))
}

/// The argument itself, or standard input for `-`.
pub(crate) fn typed_or_stdin(argument: SecretString) -> anyhow::Result<SecretString> {
    if argument.expose_secret() == "-" { secret_stdin() } else { Ok(argument) }
}

fn secret_stdin() -> anyhow::Result<SecretString> {
    let mut text = String::new();
    io::stdin().read_to_string(&mut text).context("cannot read standard input")?;
    secret(&text).context("standard input is empty")
}

/// Without the line end that editors and `echo` leave behind.
fn secret(text: &str) -> Option<SecretString> {
    let text = text.trim();
    (!text.is_empty()).then(|| text.into())
}
