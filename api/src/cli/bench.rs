//! `docket bench`: measures an installation like the one that is named, in a scratch copy of its own.

use std::io::Write as _;
use std::time::Duration;

use clap::builder::BoolishValueParser;
use clap::{Args, Subcommand, value_parser};
use serde::Serialize;

use super::Failure;
use super::installation::InstallationArgs;
use super::output::{Output, print_line};
use crate::bench::{Report, connections, create, fanout, freshness, merge, replay, sagas, search};
use crate::wire::WireError;

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
    /// Say messages over thousands of WebSockets and hear them, then do the parts alone
    Fanout(FanoutArgs),
    /// Keep idle WebSockets open and weigh the server
    Connections(ConnectionsArgs),
    /// Write at a rate, and look when view and index show it
    Freshness(FreshnessArgs),
    /// List, count and search a million tickets, beside the database's own full-text search
    Search(SearchArgs),
    /// Rebuild the tickets view from a million events, alone and while it is asked
    Replay(ReplayArgs),
    /// Merge writes that have not seen each other, and do the same ones in turn
    Merge(MergeArgs),
}

#[derive(Debug, Args)]
struct MergeArgs {
    /// Tickets that are merged, and as many whose writes come in turn
    #[arg(long, env = "DOCKET_TICKETS", value_name = "N", default_value = "5000", value_parser = value_parser!(u32).range(1..))]
    tickets: u32,
    /// Tickets that are written on at once
    #[arg(long, env = "DOCKET_AT_ONCE", value_name = "N", default_value = "256", value_parser = value_parser!(u32).range(1..=2048))]
    at_once: u32,
    /// Go on with as many new tickets until so many seconds are over
    #[arg(long, env = "DOCKET_SECONDS", value_name = "S", default_value = "0")]
    seconds: u64,
    /// Print JSON, whose keys stand in docs/bench.md
    #[arg(long, env = "DOCKET_JSON", value_parser = BoolishValueParser::new())]
    json: bool,
    #[command(flatten)]
    installation: InstallationArgs,
}

#[derive(Debug, Args)]
struct FreshnessArgs {
    /// How long to measure, in seconds
    #[arg(long, env = "DOCKET_SECONDS", value_name = "S", default_value = "15")]
    seconds: u64,
    /// Writes a second: messages, notes, changes of status, priority and tags
    #[arg(long, env = "DOCKET_RATE", value_name = "R", default_value = "5000")]
    rate: u64,
    /// Tickets that they are about, at least 100: a ticket takes so many tags
    #[arg(long, env = "DOCKET_TICKETS", value_name = "N", default_value = "20000", value_parser = value_parser!(u32).range(100..))]
    tickets: u32,
    /// Print JSON, whose keys stand in docs/bench.md
    #[arg(long, env = "DOCKET_JSON", value_parser = BoolishValueParser::new())]
    json: bool,
    #[command(flatten)]
    installation: InstallationArgs,
}

#[derive(Debug, Args)]
struct ReplayArgs {
    /// Events in the log
    #[arg(long, env = "DOCKET_EVENTS", value_name = "N", default_value = "1000000")]
    events: u64,
    /// Rebuild again, alone and then asked, each until so many seconds are over
    #[arg(long, env = "DOCKET_SECONDS", value_name = "S", default_value = "0")]
    seconds: u64,
    /// Print JSON, whose keys stand in docs/bench.md
    #[arg(long, env = "DOCKET_JSON", value_parser = BoolishValueParser::new())]
    json: bool,
    #[command(flatten)]
    installation: InstallationArgs,
}

#[derive(Debug, Args)]
struct SearchArgs {
    /// Tickets of seven events each
    #[arg(long, env = "DOCKET_TICKETS", value_name = "N", default_value = "1000000")]
    tickets: u64,
    /// Of ten texts so many are English; the others are Chinese
    #[arg(long, env = "DOCKET_ENGLISH", value_name = "N", default_value = "5")]
    english: u64,
    /// Times that each kind of question is asked
    #[arg(long, env = "DOCKET_ASKED", value_name = "N", default_value = "200")]
    asked: u32,
    /// Ask them all again until so many seconds are over
    #[arg(long, env = "DOCKET_SECONDS", value_name = "S", default_value = "0")]
    seconds: u64,
    /// Print JSON, whose keys stand in docs/bench.md
    #[arg(long, env = "DOCKET_JSON", value_parser = BoolishValueParser::new())]
    json: bool,
    #[command(flatten)]
    installation: InstallationArgs,
}

#[derive(Debug, Args)]
struct FanoutArgs {
    /// How long each rate is measured, in seconds
    #[arg(long, env = "DOCKET_SECONDS", value_name = "S", default_value = "15")]
    seconds: u64,
    /// Sockets, each on its own ticket; so many files are open twice: see `ulimit -n`
    #[arg(long, env = "DOCKET_SOCKETS", value_name = "N", default_value = "5000")]
    sockets: usize,
    /// Messages a second; several, one measurement each
    #[arg(
        long,
        env = "DOCKET_RATES",
        value_name = "R",
        default_value = "12200,6000",
        value_delimiter = ','
    )]
    rates: Vec<u64>,
    /// Print JSON, whose keys stand in docs/bench.md
    #[arg(long, env = "DOCKET_JSON", value_parser = BoolishValueParser::new())]
    json: bool,
    #[command(flatten)]
    installation: InstallationArgs,
}

#[derive(Debug, Args)]
struct ConnectionsArgs {
    /// How long the sockets are kept open, in seconds
    #[arg(long, env = "DOCKET_SECONDS", value_name = "S", default_value = "300")]
    seconds: u64,
    /// Sockets; so many files are open in each of two processes: see `ulimit -n`
    #[arg(long, env = "DOCKET_SOCKETS", value_name = "N", default_value = "19000")]
    sockets: usize,
    /// Print JSON, whose keys stand in docs/bench.md
    #[arg(long, env = "DOCKET_JSON", value_parser = BoolishValueParser::new())]
    json: bool,
    #[command(flatten)]
    installation: InstallationArgs,
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
    #[arg(long, env = "DOCKET_AT_ONCE", value_name = "N", default_value = "512", value_parser = value_parser!(u32).range(1..=4096))]
    at_once: u32,
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
    let progress = |doing: &str| eprintln!("{doing}");
    match &args.what {
        What::Create(args) => {
            let (installation, plan) = (args.installation.installation(), args.plan());
            let report = measured(create::run(&installation, &plan, progress))?;
            print(args.json, &report, Report::table)
        }
        What::Fanout(args) => {
            let (installation, plan) = (args.installation.installation(), args.plan());
            let report = measured(fanout::run(&installation, &plan, progress))?;
            print(args.json, &report, fanout::Report::table)
        }
        What::Connections(args) => {
            let (installation, plan) = (args.installation.installation(), args.plan());
            let report = measured(connections::run(&installation, &plan, progress))?;
            print(args.json, &report, connections::Report::table)
        }
        What::Freshness(args) => {
            let (installation, plan) = (args.installation.installation(), args.plan());
            let report = measured(freshness::run(&installation, &plan, progress))?;
            print(args.json, &report, freshness::Report::table)
        }
        What::Search(args) => {
            let (installation, plan) = (args.installation.installation(), args.plan());
            let report = measured(search::run(&installation, &plan, progress))?;
            print(args.json, &report, search::Report::table)
        }
        What::Replay(args) => {
            let (installation, plan) = (args.installation.installation(), args.plan());
            let report = measured(replay::run(&installation, &plan, progress))?;
            print(args.json, &report, replay::Report::table)
        }
        What::Merge(args) => {
            let (installation, plan) = (args.installation.installation(), args.plan());
            let report = measured(merge::run(&installation, &plan, progress))?;
            print(args.json, &report, merge::Report::table)
        }
        What::Sagas(args) => {
            let (installation, plan) = (args.installation.installation(), args.plan());
            let report = measured(sagas::run(&installation, &plan, progress))?;
            print(args.json, &report, sagas::SagasReport::table)
        }
    }
}

impl CreateArgs {
    fn plan(&self) -> create::Plan {
        create::Plan {
            duration: Duration::from_secs(self.seconds),
            connections: self.connections,
            persons: self.persons,
            prefills: self.prefill.clone(),
        }
    }
}

impl FanoutArgs {
    fn plan(&self) -> fanout::Plan {
        fanout::Plan {
            sockets: self.sockets,
            duration: Duration::from_secs(self.seconds),
            rates: self.rates.clone(),
        }
    }
}

impl ConnectionsArgs {
    fn plan(&self) -> connections::Plan {
        connections::Plan { sockets: self.sockets, duration: Duration::from_secs(self.seconds) }
    }
}

impl FreshnessArgs {
    fn plan(&self) -> freshness::Plan {
        freshness::Plan {
            rate: self.rate.max(1),
            duration: Duration::from_secs(self.seconds),
            tickets: self.tickets as usize,
        }
    }
}

impl SearchArgs {
    fn plan(&self) -> search::Plan {
        search::Plan {
            tickets: self.tickets.max(1),
            english_of_ten: self.english,
            asked: self.asked,
            at_least: Duration::from_secs(self.seconds),
        }
    }
}

impl ReplayArgs {
    fn plan(&self) -> replay::Plan {
        replay::Plan { events: self.events, at_least: Duration::from_secs(self.seconds) }
    }
}

impl MergeArgs {
    fn plan(&self) -> merge::Plan {
        merge::Plan {
            tickets: self.tickets as usize,
            at_once: self.at_once as usize,
            at_least: Duration::from_secs(self.seconds),
        }
    }
}

impl SagasArgs {
    fn plan(&self) -> sagas::Plan {
        sagas::Plan {
            duration: Duration::from_secs(self.seconds),
            at_once: self.at_once as usize,
            tickets: self.tickets.max(1),
        }
    }
}

fn measured<R>(measuring: impl Future<Output = Result<R, WireError>>) -> Result<R, Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let report = runtime.block_on(measuring);
    // Not waiting for a load that was interrupted.
    runtime.shutdown_background();
    report
}

fn print<R: Serialize>(json: bool, report: &R, table: fn(&R) -> String) -> Result<(), Failure> {
    if json {
        print_line(serde_json::to_string_pretty(report)?)?;
    } else {
        write!(Output::open(), "{}", table(report))?;
    }
    Ok(())
}
