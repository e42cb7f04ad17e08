//! `login`, `logout`, `profiles`, and which server and token a command then uses.

mod choice;
mod file;
mod login;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::Command;

use serde_json::json;
use tempfile::TempDir;

use crate::double::{Answer, Double, answer};
use crate::{Ran, countersign, ran, ran_with_stdin};

/// Where somebody keeps their profiles.
struct Home(TempDir);

impl Home {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn file(&self) -> PathBuf {
        self.0.path().join("countersign/profiles.toml")
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = countersign(args);
        command.env("XDG_CONFIG_HOME", self.0.path());
        command
    }

    fn run(&self, args: &[&str]) -> Ran {
        ran(&mut self.command(args))
    }

    fn login(&self, double: &Double, token: &str, more: &[&str]) -> Ran {
        let url = double.url();
        ran_with_stdin(&mut self.command(&[&["login", "--url", &url], more].concat()), token)
    }

    /// As somebody would write it by hand.
    fn write(&self, text: &str) {
        fs::create_dir_all(self.file().parent().unwrap()).unwrap();
        fs::write(self.file(), text).unwrap();
        self.allow(0o600);
    }

    fn allow(&self, mode: u32) {
        fs::set_permissions(self.file(), fs::Permissions::from_mode(mode)).unwrap();
    }

    /// The file, or an error message, without what differs from run to run.
    fn shown(&self, text: &str) -> String {
        let text = text.replace(self.0.path().to_str().unwrap(), "HOME");
        text.split("http://127.0.0.1:")
            .enumerate()
            .map(|(n, part)| match n {
                0 => part.to_owned(),
                _ => format!(
                    "http://server{}",
                    part.trim_start_matches(|c: char| c.is_ascii_digit())
                ),
            })
            .collect()
    }
}

fn operator() -> Answer {
    answer(
        200,
        json!({"type": "operator", "id": "o1", "tenant": "default", "roles": ["infra"],
            "scopes": [], "displayName": "Ada", "approvalLevel": 5}),
    )
}

fn no_keys() -> Answer {
    answer(200, json!({"data": []}))
}

/// As whom each request was made: its token and tenant.
fn callers(double: &Double) -> Vec<String> {
    let header = |heard: &crate::double::Heard, name: &str| {
        heard.header(name).unwrap_or("nothing").to_owned()
    };
    double
        .heard()
        .iter()
        .map(|heard| format!("{} in {}", header(heard, "authorization"), header(heard, "x-tenant")))
        .collect()
}
