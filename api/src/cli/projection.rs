//! `docket projection`: how the projections do, and what to do when one is wrong.

mod search;
mod tickets;

use std::process::ExitCode;

use clap::builder::BoolishValueParser;
use clap::{Args, Subcommand, ValueEnum};
use docket_search::errands::Errand;
use indicatif::{ProgressBar, ProgressStyle};
use search::Indexes;
use tickets::Place;

use super::Failure;
use super::installation::InstallationArgs;
use super::output::is_reader_gone;

#[derive(Debug, Args)]
pub(super) struct ProjectionArgs {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Print each projection with its versions, its lag by partition, and the tickets that it cannot fold
    List(ListArgs),
    /// Fill a new version beside the active one and switch to it; the one before is kept for a day
    Rebuild(NamedArgs),
    /// Go back to the version before the last rebuild
    Rollback(NamedArgs),
    /// Compare a projection with a replay of the log; print a line for each difference, and exit 1 if there is one
    Diff(DiffArgs),
}

#[derive(Debug, Args)]
struct ListArgs {
    #[command(flatten)]
    installation: InstallationArgs,
}

#[derive(Debug, Args)]
struct NamedArgs {
    /// Which projection
    name: Projection,
    #[command(flatten)]
    installation: InstallationArgs,
}

#[derive(Debug, Args)]
struct DiffArgs {
    /// Which projection
    name: Projection,
    #[command(flatten)]
    installation: InstallationArgs,
    /// Project again what differs, and exit 0 once nothing does
    #[arg(long, env = "DOCKET_REPAIR", value_parser = BoolishValueParser::new())]
    repair: bool,
}

/// The projections that there are.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum Projection {
    /// The tickets view: lists, counts
    Tickets,
    /// The search index of every node whose directory is here
    Search,
}

pub(super) fn run(args: ProjectionArgs) -> Result<ExitCode, Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        match args.what {
            What::List(args) => {
                tickets::list(&Place::open(&args.installation).await?).await?;
                search::list(&Indexes::open(&args.installation).await?).await
            }
            What::Rebuild(NamedArgs { name: Projection::Tickets, installation }) => {
                tickets::rebuild(&Place::open(&installation).await?).await
            }
            What::Rebuild(NamedArgs { name: Projection::Search, installation }) => {
                search::see_to(&Indexes::open(&installation).await?, Errand::Rebuild).await
            }
            What::Rollback(NamedArgs { name: Projection::Tickets, installation }) => {
                tickets::rollback(&Place::open(&installation).await?).await
            }
            What::Rollback(NamedArgs { name: Projection::Search, installation }) => {
                search::see_to(&Indexes::open(&installation).await?, Errand::RollBack).await
            }
            What::Diff(DiffArgs { name: Projection::Tickets, installation, repair }) => {
                let place = Place::open(&installation).await?;
                if repair {
                    tickets::mend(&place).await
                } else {
                    differing(tickets::compare(&place).await)
                }
            }
            What::Diff(DiffArgs { name: Projection::Search, installation, repair }) => {
                let indexes = Indexes::open(&installation).await?;
                if repair {
                    search::see_to(&indexes, Errand::Repair).await?;
                }
                differing(search::compare(&indexes).await)
            }
        }
    })
}

/// Only differences are printed: whoever does not read them all has had one.
fn differing(compared: Result<ExitCode, Failure>) -> Result<ExitCode, Failure> {
    match compared {
        Err(failure) if is_reader_gone(&*failure) => Ok(ExitCode::FAILURE),
        compared => compared,
    }
}

/// A bar of events read.
fn bar() -> Result<ProgressBar, Failure> {
    Ok(ProgressBar::new(0).with_style(ProgressStyle::with_template(
        "{msg:<10} {wide_bar} {human_pos}/{human_len} events, {per_sec}, {eta} left",
    )?))
}
