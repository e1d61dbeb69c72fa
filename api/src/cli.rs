//! The command line: one subcommand a file. Exit codes: 0 done, 1 failed, 2 bad arguments.

mod address;
mod bench;
mod export;
#[cfg(feature = "faults")]
mod faults;
mod import;
mod installation;
mod keys;
mod nats_config;
mod output;
mod postgres_url;
mod projection;
mod region;
mod saga;
mod schema;
mod serve;
mod token;
mod ttl;
mod variables;
mod watch;

use std::error::Error;
use std::process::ExitCode;

use clap::{CommandFactory as _, FromArgMatches as _, Parser, Subcommand};

/// Why a command failed; its sources say how it came to that.
type Failure = Box<dyn Error + Send + Sync>;

/// Self-hosted engine for support tickets and live chat.
#[derive(Debug, Parser)]
#[command(name = "docket", version, about, max_term_width = 100)]
struct Cli {
    /// What is to go wrong on purpose: point:kind[:nth|seconds], several with commas between
    #[cfg(feature = "faults")]
    #[arg(long, env = "DOCKET_FAULT", global = true, default_value = "")]
    fault: String,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Measure: in a scratch copy of the installation, never in its own log
    Bench(bench::BenchArgs),
    /// Write a tenant's events as NDJSON, or their digests
    Export(export::ExportArgs),
    /// The points at which this build fails when it is told to, and a rehearsal
    #[cfg(feature = "faults")]
    Faults(faults::FaultsArgs),
    /// Bring tickets of another system in from a file; a second run writes only what is missing
    Import(import::ImportArgs),
    /// Look at what goes on in several steps, and help where it does not go on
    Saga(saga::SagaArgs),
    /// Print a nats-server configuration in which each tenant reads its own events and no others
    NatsConfig(nats_config::NatsConfigArgs),
    /// Look at the projections of the log; rebuild, compare and mend them
    Projection(projection::ProjectionArgs),
    /// The contracts: JSON Schemas of events, AsyncAPI of NATS, OpenAPI of HTTP
    Schema(schema::SchemaArgs),
    /// Serve HTTP until told to stop
    Serve(serve::ServeArgs),
    /// Print a token signed with the installation's own key
    Token(token::TokenArgs),
    /// Print what happens as it happens, a line of JSON an event
    Watch(watch::WatchArgs),
}

/// Runs the command that the arguments name.
#[must_use]
pub fn main() -> ExitCode {
    let cli = parse();
    #[cfg(feature = "faults")]
    if let Err(wrong) = docket_engine::faults::arm(&cli.fault) {
        clap::Error::raw(clap::error::ErrorKind::ValueValidation, format!("{wrong}\n")).exit();
    }
    let outcome = match cli.command {
        Command::Bench(args) => bench::run(&args),
        Command::Export(args) => export::run(args),
        #[cfg(feature = "faults")]
        Command::Faults(args) => faults::run(&args),
        Command::Import(args) => import::run(args),
        Command::Saga(args) => saga::run(args),
        Command::Watch(args) => watch::run(&args),
        Command::NatsConfig(args) => nats_config::run(&args),
        Command::Projection(args) => return ended(projection::run(args)),
        Command::Schema(args) => schema::run(&args),
        Command::Serve(args) => serve::run(args),
        Command::Token(args) => token::run(&args),
    };
    ended(outcome.map(|()| ExitCode::SUCCESS))
}

fn ended(outcome: Result<ExitCode, Failure>) -> ExitCode {
    match outcome {
        Ok(code) => code,
        Err(failure) if output::is_reader_gone(&*failure) => ExitCode::SUCCESS,
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
    fn what_cannot_be_meant_is_refused_by_its_flag_before_anything_is_done() {
        let states = "running, waiting, compensating, parked, done, undone, cancelled, paused";
        let known = "postgres:// or postgresql://";
        for (line, said) in [
            ("serve --database-url mysql://ann:secret@db/x", ["--database-url", known]),
            ("export --database-url db", ["--database-url", known]),
            ("serve --keys sqlite://secret", ["--keys", known]),
            ("serve --allowed-origins https://a.example,foo", ["--allowed-origins", "scheme://"]),
            ("serve --issuer=", ["--issuer", "value is required"]),
            ("token --role agent --subject ann --issuer=", ["--issuer", "value is required"]),
            ("token --role agent --subject ann --ttl 0s", ["--ttl", "of 1s to 3660d"]),
            ("nats-config --tenant acme --nats-listen x", ["--nats-listen", "nor a port"]),
            ("watch --token t --server nohostport", ["--server", "a host and a port"]),
            ("watch --token t --after zz", ["--after", "cursor"]),
            ("export --after zz", ["--after", "cursor"]),
            ("saga list --state bogus", ["--state", states]),
        ] {
            let arguments = std::iter::once("docket").chain(line.split(' '));
            let Err(refused) = Cli::try_parse_from(arguments) else { panic!("{line} is taken") };
            let told = refused.to_string();
            assert_eq!(refused.exit_code(), 2, "{line}");
            assert!(said.iter().all(|said| told.contains(said)), "{line}: {told}");
            assert!(!told.contains("secret"), "{line}: {told}");
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
