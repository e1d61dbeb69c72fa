//! `docket bench`: measures an installation like the one that is named, in a scratch copy of its own.

use std::time::Duration;

use clap::builder::BoolishValueParser;
use clap::{Args, Subcommand};

use super::Failure;
use super::installation::InstallationArgs;
use crate::bench::create::{Plan, run as run_create};
use crate::bench::sagas::{Plan as SagasPlan, run as run_sagas};

#[derive(Debug, Args)]
pub(super) struct BenchArgs {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Open tickets over HTTP, then insert the same rows raw
    Create(CreateArgs),
    /// Carry sagas of four steps, and do the same four writes without a saga
    Sagas(SagasArgs),
}

#[derive(Debug, Args)]
struct CreateArgs {
    /// How long to measure, in seconds
    #[arg(long, env = "DOCKET_SECONDS", value_name = "S", default_value = "10")]
    seconds: u64,
    /// Connections that each wait for their answer before they ask again
    #[arg(long, env = "DOCKET_CONNECTIONS", value_name = "N", default_value = "1000")]
    connections: usize,
    /// Persons among whom the requesters are
    #[arg(long, env = "DOCKET_PERSONS", value_name = "N", default_value = "10000", value_parser = parse_persons)]
    persons: usize,
    /// Fill the log up to so many events first; several, one measurement each: 0,2000000
    #[arg(
        long,
        env = "DOCKET_PREFILL",
        value_name = "N",
        default_value = "0",
        value_delimiter = ','
    )]
    prefill: Vec<u64>,
    /// Print JSON, whose keys stand in docs/bench.md
    #[arg(long, env = "DOCKET_JSON", value_parser = BoolishValueParser::new())]
    json: bool,
    #[command(flatten)]
    installation: InstallationArgs,
}

#[derive(Debug, Args)]
struct SagasArgs {
    /// How long to measure, in seconds, each of both
    #[arg(long, env = "DOCKET_SECONDS", value_name = "S", default_value = "10")]
    seconds: u64,
    /// Sagas that are under way at once
    #[arg(long, env = "DOCKET_AT_ONCE", value_name = "N", default_value = "512")]
    at_once: usize,
    /// Tickets that they are about
    #[arg(long, env = "DOCKET_TICKETS", value_name = "N", default_value = "1500")]
    tickets: usize,
    /// Print JSON, whose keys stand in docs/bench.md
    #[arg(long, env = "DOCKET_JSON", value_parser = BoolishValueParser::new())]
    json: bool,
    #[command(flatten)]
    installation: InstallationArgs,
}

fn parse_persons(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(0) => Err("at least one person has to ask".to_owned()),
        Ok(count) => Ok(count),
        Err(error) => Err(format!("{error}")),
    }
}

pub(super) fn run(args: &BenchArgs) -> Result<(), Failure> {
    match &args.what {
        What::Create(args) => create(args),
        What::Sagas(args) => sagas(args),
    }
}

fn create(args: &CreateArgs) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let plan = Plan {
        duration: Duration::from_secs(args.seconds),
        connections: args.connections,
        persons: args.persons,
        prefills: args.prefill.clone(),
    };
    let progress = |doing: &str| eprintln!("{doing}");
    let report = runtime.block_on(run_create(&args.installation.installation(), &plan, progress));
    // Not waiting for a load that was interrupted.
    runtime.shutdown_background();
    let report = report?;
    if args.json {
        println!("{}", serde_json::to_string_pretty(&report)?);
    } else {
        print!("{}", report.table());
    }
    Ok(())
}

fn sagas(args: &SagasArgs) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let plan = SagasPlan {
        duration: Duration::from_secs(args.seconds),
        at_once: args.at_once.max(1),
        tickets: args.tickets.max(1),
    };
    let progress = |doing: &str| eprintln!("{doing}");
    let report = runtime.block_on(run_sagas(&args.installation.installation(), &plan, progress));
    runtime.shutdown_background();
    let report = report?;
    if args.json {
        println!("{}", serde_json::to_string_pretty(&report)?);
    } else {
        print!("{}", report.table());
    }
    Ok(())
}
