//! `cargo xtask bench`: `docket bench` from a release build.

use std::process::Command;

use crate::command::{self, announce};
use crate::servers::Servers;
use crate::signals::Signals;
use crate::test::build_docket;

/// What to measure.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// Measure against a private PostgreSQL and NATS instead of the embedded log.
    #[arg(long)]
    servers: bool,
    /// Passed on to `docket bench`, after `--`.
    #[arg(last = true)]
    arguments: Vec<String>,
}

/// Prints what `docket bench` prints.
pub(crate) fn run(options: &Options, signals: &Signals) -> anyhow::Result<()> {
    announce("building docket for release");
    let binary = build_docket(&["--release"], signals)?;
    let servers = if options.servers { Some(Servers::start(signals)?) } else { None };
    let mut bench = Command::new(binary);
    bench.arg("bench").args(&options.arguments);
    for (name, value) in servers.iter().flat_map(Servers::environment) {
        bench.env(format!("DOCKET_{name}"), value);
    }
    command::run(&mut bench, signals)
}
