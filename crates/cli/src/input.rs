//! What a person says beside the arguments. Secrets above all: every process of the machine sees what
//! is typed as an argument.

use std::fs;
use std::io::{self, BufRead, IsTerminal, Read};
use std::path::Path;

use anyhow::{Context, ensure};
use secrecy::{ExposeSecret, SecretString};
use serde::de::IgnoredAny;

use crate::output;

/// The text of a file, or of standard input for `-`.
pub(crate) fn secret_file(path: &Path) -> anyhow::Result<SecretString> {
    if path == Path::new("-") {
        return secret_stdin();
    }
    let text = fs::read_to_string(path)
        .with_context(|| format!("cannot read the secret in `{}`", path.display()))?;
    secret(&text).with_context(|| format!("`{}` is empty", path.display()))
}

/// The JSON of a file, or of standard input for `-`. Sent as it stands: read and written again, a number
/// could become another one.
pub(crate) fn document(file: &Path) -> anyhow::Result<Vec<u8>> {
    let mut text = Vec::new();
    if file == Path::new("-") {
        io::stdin().read_to_end(&mut text).context("cannot read standard input")?;
    } else {
        text = fs::read(file).with_context(|| format!("cannot read `{}`", file.display()))?;
    }
    let named = || format!("`{}` is no JSON", file.display());
    serde_json::from_slice::<IgnoredAny>(&text).with_context(named)?;
    Ok(text)
}

/// The argument itself, or standard input for `-`.
pub(crate) fn typed_or_stdin(argument: SecretString) -> anyhow::Result<SecretString> {
    if argument.expose_secret() == "-" { secret_stdin() } else { Ok(argument) }
}

/// What is piped in, or what the person at the terminal types without seeing it.
pub(crate) fn secret_piped_or_asked(question: &str) -> anyhow::Result<SecretString> {
    if !io::stdin().is_terminal() {
        return secret_stdin().context("no token was given");
    }
    let text = rpassword::prompt_password(question).context("cannot ask on this terminal")?;
    secret(&text).context("no token was given")
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

/// Goes on only when the person at the terminal says yes. A script can't be asked, and a slip in one
/// must not do what can't be undone.
pub(crate) fn confirm(question: &str) -> anyhow::Result<()> {
    let stdin = io::stdin();
    ensure!(stdin.is_terminal(), "nobody is there to confirm this: pass --yes to go on without");
    output::prompt(&format!("{question} [y/N] "));
    ensure!(says_yes(&mut stdin.lock())?, "nothing was done");
    Ok(())
}

fn says_yes(reader: &mut impl BufRead) -> anyhow::Result<bool> {
    let mut answer = String::new();
    reader.read_line(&mut answer).context("cannot read the answer")?;
    Ok(matches!(answer.trim().to_ascii_lowercase().as_str(), "y" | "yes"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_yes_is_a_yes() {
        for (answer, meant) in
            [("y\n", true), ("YES\n", true), ("\n", false), ("", false), ("yesterday\n", false)]
        {
            assert_eq!(says_yes(&mut answer.as_bytes()).unwrap(), meant, "{answer:?}");
        }
    }
}
