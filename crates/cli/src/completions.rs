//! `countersign completions`: what the shell needs to complete a command line.

use clap::CommandFactory;
use clap_complete::Shell;

use crate::cli::Cli;
use crate::output;

/// Print a script that completes command lines
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  countersign completions bash > /etc/bash_completion.d/countersign
  countersign completions fish > ~/.config/fish/completions/countersign.fish")]
pub(crate) struct Args {
    pub(crate) shell: Shell,
}

pub(crate) fn print(shell: Shell) -> anyhow::Result<()> {
    // Into memory first: the generator panics when a pipe closes early.
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "countersign", &mut script);
    Ok(output::line(String::from_utf8(script)?.trim_end())?)
}
