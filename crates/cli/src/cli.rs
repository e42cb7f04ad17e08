//! What can be typed. A feature's own arguments stand beside what it does with them.

use clap::{Parser, Subcommand};

use crate::client::{Connection, GLOBAL};
use crate::output::Output;
use crate::settings::{ConfigArgs, MigrateArgs, QuickstartArgs, ServeArgs};
use crate::{
    agents, audit, check, completions, credentials, explain, guards, keys, operators, policy,
    profiles, rbac, registry, routes, tenants, token,
};

/// Identity, decisions and countersignatures for AI agents and services, with a record that can be
/// verified
#[derive(Parser)]
#[command(
    name = "countersign",
    version,
    disable_help_subcommand = true,
    after_help = "\
Examples:
  countersign serve
  countersign login --token-file countersign-data/bootstrap-token
  countersign agents list --status active
  countersign audit tail --follow

Exit codes: 0 done, 1 refused or failed, 2 wrong usage."
)]
pub(crate) struct Cli {
    /// A table for people, or the server's JSON for programs
    #[arg(long, global = true, value_enum, default_value_t, value_name = "FORMAT", help_heading = GLOBAL)]
    pub(crate) output: Output,

    #[command(flatten)]
    pub(crate) connection: Connection,

    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Subcommand)]
pub(crate) enum Command {
    Quickstart(QuickstartArgs),
    Serve(ServeArgs),
    Migrate(MigrateArgs),
    Config(ConfigArgs),
    /// Save a server's address and a token as a profile
    #[command(after_help = "\
Examples:
  countersign login
  countersign login --profile production --url https://countersign.example
  pass show countersign | countersign login --profile production

The token is read from --token-file, from standard input when that is piped, or asked for. The server
is asked whose it is before it is saved.")]
    Login,
    /// Forget a profile, with its token
    #[command(after_help = "\
Examples:
  countersign logout
  countersign logout --profile production")]
    Logout,
    /// See the profiles that `login` saved, and choose one
    #[command(subcommand)]
    Profiles(profiles::Command),
    #[command(flatten)]
    Remote(Remote),
    Completions(completions::Args),
    /// Print the description of the HTTP API (OpenAPI 3.1)
    #[command(after_help = "\
Example:
  countersign openapi > openapi.json")]
    Openapi,
}

/// The commands that ask a server.
#[derive(Subcommand)]
pub(crate) enum Remote {
    /// Register agents and change what they may do
    #[command(subcommand)]
    Agents(agents::Command),
    /// Make, rotate and revoke the credentials of an agent
    #[command(subcommand)]
    Credentials(credentials::Command),
    /// Issue, introspect, revoke and decode access tokens
    #[command(subcommand)]
    Token(token::Command),
    /// Read the record of what was done
    #[command(subcommand)]
    Audit(audit::Command),
    /// See, rotate and revoke the keys that sign tokens
    #[command(subcommand)]
    Keys(keys::Command),
    /// Say who may administer and approve
    #[command(subcommand)]
    Operators(operators::Command),
    /// Keep customers or departments apart on one server
    #[command(subcommand)]
    Tenants(tenants::Command),
    /// See and change what roles may do, and what they decided
    #[command(subcommand)]
    Rbac(rbac::Command),
    /// Load and look at the registry: who and what there is, and how they belong together
    #[command(subcommand)]
    Registry(registry::Command),
    /// Turn enforcement on and off, observe before, and see what it would break
    #[command(subcommand)]
    Guards(guards::Command),
    /// Say what requests to services behind gateways need
    #[command(subcommand)]
    Routes(routes::Command),
    /// Look at the packages, rules of one's own in Rego, and have them read again
    #[command(subcommand)]
    Policy(policy::Command),
    Check(check::Check),
    Explain(explain::Explain),
    /// Ask as whom the server takes you
    #[command(after_help = "\
Example:
  countersign whoami")]
    Whoami,
    /// Ask whether the server can answer; exits with 0 when it can
    #[command(after_help = "\
Example:
  until countersign health; do sleep 1; done")]
    Health,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    fn refused(args: &[&str]) -> String {
        match Cli::try_parse_from(args) {
            Ok(_) => panic!("{args:?} was taken"),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    /// `clap` does not notice it: a command's argument then takes the place of the global one.
    #[test]
    fn no_command_reuses_the_name_of_a_global_option() {
        fn check(command: &clap::Command, globals: &[&clap::Id]) {
            for command in command.get_subcommands() {
                for argument in command.get_arguments() {
                    assert!(!globals.contains(&argument.get_id()), "{argument} of {command}");
                }
                check(command, globals);
            }
        }
        let command = Cli::command();
        let globals: Vec<_> = command.get_arguments().map(clap::Arg::get_id).collect();
        check(&command, &globals);
    }

    #[test]
    fn every_command_teaches_by_example() {
        fn check(command: &clap::Command) {
            if command.has_subcommands() {
                command.get_subcommands().for_each(check);
            } else {
                let help = command.get_after_help().map(ToString::to_string).unwrap_or_default();
                assert!(help.contains("Example"), "{} has no example", command.get_name());
            }
        }
        check(&Cli::command());
    }

    #[test]
    fn an_id_that_would_leave_its_path_is_refused() {
        for id in ["", ".", "..", ".\t.", "a\nb"] {
            let message = refused(&["countersign", "agents", "show", id]);
            assert!(message.contains("is not an id"), "{message}");
        }
    }

    #[test]
    fn an_update_without_a_field_is_refused() {
        let message = refused(&["countersign", "agents", "update", "a1"]);
        assert!(message.contains("required"), "{message}");
    }

    #[test]
    fn an_address_that_is_not_http_is_refused() {
        for url in ["127.0.0.1:3000", "ftp://host", "http://user:pass@host", "http://host/?a=b"] {
            let message = refused(&["countersign", "health", "--url", url]);
            assert!(message.contains("invalid value"), "{message}");
        }
    }

    #[test]
    fn a_setting_is_a_name_and_a_value() {
        for setting in ["PORT", "=3000"] {
            let message = refused(&["countersign", "serve", "--set", setting]);
            assert!(message.contains("NAME=VALUE"), "{message}");
        }
    }

    #[test]
    fn settings_stand_on_either_side_of_check() {
        for args in [
            ["countersign", "config", "--set", "PORT=1", "check"],
            ["countersign", "config", "check", "--set", "PORT=1"],
        ] {
            assert!(Cli::try_parse_from(args).is_ok(), "{args:?}");
        }
    }
}
