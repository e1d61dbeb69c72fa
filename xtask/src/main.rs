//! The workshop: `cargo xtask test`, `ci`, `bench`, `schemas`, `servers`.

mod additive;
mod bench;
mod ci;
mod command;
mod edge;
mod schemas;
mod servers;
mod signals;
mod summary;
mod test;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::signals::Signals;

/// Builds, tests and measures Docket.
#[derive(Parser)]
#[command(name = "cargo xtask")]
struct Cli {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Run every test of the workspace against private servers; installs what is missing.
    Test(test::Options),
    /// Format, lints, tests, published schemas, licences, compose file: what a change must pass.
    Ci,
    /// Run `docket bench` from a release build.
    Bench(bench::Options),
    /// Export the JSON Schemas of all events into schemas/json.
    Schemas(schemas::Options),
    /// Start a private PostgreSQL and NATS, print how to reach them, stay until Ctrl-C.
    Servers,
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    let outcome = Signals::watch().and_then(|signals| {
        std::env::set_current_dir(command::root())?;
        match cli.task {
            Task::Test(options) => test::run(&options, &signals),
            Task::Ci => ci::run_all(&signals),
            Task::Bench(options) => bench::run(&options, &signals),
            Task::Schemas(options) => schemas::run(&options),
            Task::Servers => servers::stay(&signals),
        }
    });
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) if error.is::<signals::Interrupted>() => {
            eprintln!("xtask: {error}");
            ExitCode::from(130)
        }
        Err(error) => {
            eprintln!("xtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}
