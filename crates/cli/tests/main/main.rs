//! The command line against a server's double: what is sent, what is shown, and the exit code.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod agents;
mod audit;
mod authzen;
mod connection;
mod crash;
mod credentials;
mod database;
mod decisions;
mod double;
mod faults;
mod fleet;
mod gateways;
mod http;
mod keys;
mod ledger;
mod listing;
mod load;
mod local_commands;
mod operators;
mod policy_test;
mod profiles;
mod quickstart;
mod rbac;
mod remote_config;
mod secrets;
mod server;
mod tenants;
mod terminal;
mod token;
mod vault;
mod whoami;

use std::io::Write;
use std::process::{Command, Output, Stdio};

use crate::double::Double;

/// What a command left behind.
struct Ran {
    code: Option<i32>,
    stdout: String,
    stderr: String,
}

/// The binary, free of the environment and the profiles of whoever runs the tests.
fn countersign(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_countersign"));
    command.args(args).stdin(Stdio::null());
    for name in [
        "COUNTERSIGN_URL",
        "COUNTERSIGN_TOKEN",
        "COUNTERSIGN_PROFILE",
        "COUNTERSIGN_TENANT",
        "COUNTERSIGN_CLIENT_SECRET",
        "XDG_CONFIG_HOME",
        "HOME",
    ] {
        command.env_remove(name);
    }
    command
}

/// Runs a command against `double`, as the caller with the token `t0`.
fn run(double: &Double, args: &[&str]) -> Ran {
    ran(against(double, args).env("COUNTERSIGN_TOKEN", "t0"))
}

fn against(double: &Double, args: &[&str]) -> Command {
    let mut command = countersign(args);
    command.env("COUNTERSIGN_URL", double.url());
    command
}

fn ran(command: &mut Command) -> Ran {
    told(command.output().unwrap())
}

fn ran_with_stdin(command: &mut Command, stdin: &str) -> Ran {
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    child.stdin.take().unwrap().write_all(stdin.as_bytes()).unwrap();
    told(child.wait_with_output().unwrap())
}

fn told(output: Output) -> Ran {
    Ran {
        code: output.status.code(),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}
