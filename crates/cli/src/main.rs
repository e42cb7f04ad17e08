//! `countersign`: the server, and the command line that talks to one.
//!
//! Exit codes: 0 done, 1 refused or failed, 2 wrong usage.

mod agents;
mod audit;
mod check;
mod cli;
mod client;
mod completions;
mod credentials;
mod effective;
mod explain;
mod guards;
mod health;
mod input;
mod keys;
mod listing;
mod local;
mod operators;
mod output;
mod policy;
mod profiles;
mod rbac;
mod refusal;
mod registry;
mod report;
mod routes;
mod settings;
mod since;
mod tenants;
mod token;
mod whoami;

use std::io;
use std::process::ExitCode;

use clap::error::ErrorKind;
use clap::{CommandFactory, Parser};

use crate::cli::{Cli, Command, Remote};
use crate::settings::ConfigCommand;

fn main() -> ExitCode {
    // Fails only when a provider is there already, and then there is one.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();

    match run(Cli::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) if reader_left(&error) => ExitCode::SUCCESS,
        Err(error) => {
            output::note(&report::told(&error));
            if error.is::<policy::Unusable>() { ExitCode::from(2) } else { ExitCode::FAILURE }
        }
    }
}

fn run(cli: Cli) -> anyhow::Result<()> {
    match cli.command {
        Command::Quickstart(args) => local::quickstart(args),
        Command::Serve(args) => local::serve(args),
        Command::Migrate(args) => local::migrate(args, cli.output),
        Command::Config(args) if matches!(args.command, Some(ConfigCommand::Remote)) => {
            if args.sources.are_given() {
                settings_of_its_own();
            }
            block_on(async { effective::remote(&cli.connection.client()?, cli.output).await })
        }
        Command::Config(args) => local::config(args, cli.output),
        Command::Openapi => {
            Ok(output::line(countersign_server::doors::openapi::document().trim_end())?)
        }
        Command::Completions(args) => completions::print(args.shell),
        Command::Login => block_on(profiles::login(&cli.connection, cli.output)),
        Command::Logout => profiles::logout(&cli.connection, cli.output),
        Command::Profiles(command) => profiles::run(command, cli.output),
        Command::Remote(command) => block_on(ask(command, &cli.connection, cli.output)),
    }
}

fn block_on(work: impl Future<Output = anyhow::Result<()>>) -> anyhow::Result<()> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(work)
}

/// Ends as any wrong usage does: `clap` knows no conflict between an option and a subcommand.
fn settings_of_its_own() -> ! {
    let message =
        "a running server has settings of its own: `config remote` takes no --config, no --set";
    Cli::command().error(ErrorKind::ArgumentConflict, message).exit()
}

async fn ask(
    command: Remote,
    connection: &client::Connection,
    output: output::Output,
) -> anyhow::Result<()> {
    match command {
        Remote::Agents(command) => agents::run(command, &connection.client()?, output).await,
        Remote::Credentials(command) => {
            credentials::run(command, &connection.client()?, output).await
        }
        Remote::Token(command) => token::run(command, connection, output).await,
        // It asks no server.
        Remote::Audit(audit::Command::Verify(verify)) => audit::verify::run(&verify, output).await,
        Remote::Audit(command) => audit::run(command, &connection.client()?, output).await,
        Remote::Keys(command) => keys::run(command, &connection.client()?, output).await,
        Remote::Operators(command) => operators::run(command, &connection.client()?, output).await,
        Remote::Tenants(command) => tenants::run(command, &connection.client()?, output).await,
        Remote::Rbac(command) => rbac::run(command, &connection.client()?, output).await,
        // What is offline asks no server.
        Remote::Registry(command) => registry::run(command, connection, output).await,
        Remote::Guards(command) => guards::run(command, &connection.client()?, output).await,
        Remote::Routes(command) => routes::run(command, connection, output).await,
        Remote::Policy(command) => policy::run(command, connection, output).await,
        Remote::Check(check) => check::run(&check, connection, output).await,
        Remote::Explain(explain) => explain::run(&explain, &connection.client()?, output).await,
        Remote::Whoami => whoami::run(&connection.client()?, output).await,
        Remote::Health => health::run(&connection.anonymous()?, output).await,
    }
}

/// `| head` closes the pipe once it has what it wanted; that is no failure.
///
/// Only an error of standard output arrives as a bare `io::Error`: the network's are wrapped.
fn reader_left(error: &anyhow::Error) -> bool {
    error.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
}
