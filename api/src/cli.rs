//! The command line: one subcommand a file. Exit codes: 0 done, 1 failed, 2 bad arguments.

mod bench;
mod export;
mod import;
mod installation;
mod keys;
mod nats_config;
mod region;
mod serve;
mod token;
mod ttl;
mod variables;

use std::error::Error;
use std::process::ExitCode;

use clap::{CommandFactory as _, FromArgMatches as _, Parser, Subcommand};

/// Why a command failed; its sources say how it came to that.
type Failure = Box<dyn Error + Send + Sync>;

/// Self-hosted engine for support tickets and live chat.
#[derive(Debug, Parser)]
#[command(name = "docket", version, about, max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Measure: in a scratch copy of the installation, never in its own log
    Bench(bench::BenchArgs),
    /// Write a tenant's events as NDJSON, or their digests
    Export(export::ExportArgs),
    /// Bring tickets of another system in from a file; a second run writes only what is missing
    Import(import::ImportArgs),
    /// Print a nats-server configuration in which each tenant reads its own events and no others
    NatsConfig(nats_config::NatsConfigArgs),
    /// Serve HTTP until told to stop
    Serve(serve::ServeArgs),
    /// Print a token signed with the installation's own key
    Token(token::TokenArgs),
}

/// Runs the command that the arguments name.
#[must_use]
pub fn main() -> ExitCode {
    let outcome = match parse().command {
        Command::Bench(args) => bench::run(&args),
        Command::Export(args) => export::run(args),
        Command::Import(args) => import::run(args),
        Command::NatsConfig(args) => nats_config::run(&args),
        Command::Serve(args) => serve::run(args),
        Command::Token(args) => token::run(&args),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("docket: {}", with_sources(&*failure));
            ExitCode::FAILURE
        }
    }
}

/// Ends the process with 2 where the arguments are wrong, with 0 after help.
fn parse() -> Cli {
    let mut command = variables::without_empty(Cli::command());
    let parsed = Cli::from_arg_matches(&command.get_matches_mut());
    parsed.unwrap_or_else(|error| error.format(&mut command).exit())
}

fn with_sources(failure: &(dyn Error + Send + Sync)) -> String {
    let mut text = failure.to_string();
    let mut source = failure.source();
    while let Some(error) = source {
        text = format!("{text}: {error}");
        source = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_arguments_are_consistent_and_each_also_reads_its_variable() {
        let mut command = Cli::command();
        command.build();
        for subcommand in command.get_subcommands().filter(|c| c.get_name() != "help") {
            let named = |a: &&clap::Arg| !a.is_positional() && a.get_long() != Some("help");
            for argument in subcommand.get_arguments().filter(named) {
                let long = argument.get_long().unwrap_or_else(|| panic!("{argument:?}"));
                let variable = format!("DOCKET_{}", long.to_uppercase().replace('-', "_"));
                assert_eq!(argument.get_env().unwrap().to_str(), Some(variable.as_str()));
            }
        }
    }

    #[test]
    fn a_failure_is_told_with_its_sources() {
        let inner = std::io::Error::other("disk on fire");
        let failure: Failure =
            Box::new(crate::auth::SigningKeyError::Io { path: "/data/key".into(), source: inner });
        let told = with_sources(&*failure);
        assert_eq!(told, "cannot read or make the signing key /data/key: disk on fire");
    }
}
