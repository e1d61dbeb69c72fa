//! The search indexes on the command line: those of the nodes whose directories are here, whether a node serves or not.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use docket_engine::cursor::Positions;
use docket_projections::{PartitionSet, Sink as _, told};
use docket_search::errands::{Errand, Outcome, ask};
use docket_search::home::IndexHome;
use docket_search::port::SearchIndex as _;
use indicatif::ProgressBar;
use tokio::time::interval;

use super::bar;
use super::tickets::write_lags;
use crate::cli::Failure;
use crate::cli::installation::InstallationArgs;
use crate::cli::output::{Output, print_line};
use crate::search::errands::{Course, Errands};
use crate::search::indexer;
use crate::views::status::{PartitionLag, lags};
use crate::wire::{self, Opened};

/// How often the bar is drawn anew.
const DRAWN_EVERY: Duration = Duration::from_millis(200);

/// An installation with the indexes of its nodes.
pub(super) struct Indexes {
    opened: Opened,
    homes: Vec<PathBuf>,
}

impl Indexes {
    pub(super) async fn open(args: &InstallationArgs) -> Result<Self, Failure> {
        let installation = args.installation();
        let opened = wire::open_existing(&installation, "projection").await?;
        let directory = installation.indexes();
        let mut homes = Vec::new();
        if directory.is_dir() {
            for entry in std::fs::read_dir(&directory)? {
                homes.extend(Some(entry?.path()).filter(|path| path.is_dir()));
            }
        }
        homes.sort();
        Ok(Self { opened, homes })
    }

    fn some(&self) -> Result<&[PathBuf], Failure> {
        if self.homes.is_empty() {
            return Err("no index is here: a node makes its own when it first serves; \
                        name the directory with --index where it is not in the data directory"
                .into());
        }
        Ok(&self.homes)
    }

    fn errands(&self, home: IndexHome) -> Errands {
        let home = Arc::new(home);
        let ports = self.opened.desk.ports();
        let (keyring, log) = (Arc::clone(&ports.keyring), Arc::clone(&ports.log));
        Errands { indexer: indexer(&home, &self.opened.desk), home, keyring, log }
    }
}

pub(super) async fn list(indexes: &Indexes) -> Result<ExitCode, Failure> {
    let ports = indexes.opened.desk.ports();
    for path in &indexes.homes {
        let standing = IndexHome::look(path).ok().and_then(|home| home.standing());
        let positions = standing.map_or(Positions::START, |standing| standing.positions);
        let lags = lags(&*ports.log, &positions, ports.clock.now()).await?;
        let (events, seconds) = PartitionLag::of_all(&lags);
        let mut out = Output::open();
        writeln!(out, "search of {}: {events} events behind, {seconds:.1} s", name(path))?;
        write_lags(&mut out, &lags)?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Has every index rebuilt, set back, or repaired: by the node that has it open, else here.
pub(super) async fn see_to(indexes: &Indexes, errand: Errand) -> Result<ExitCode, Failure> {
    for path in indexes.some()? {
        let bar = bar()?;
        bar.set_message(name(path));
        let outcome = match IndexHome::open(path, 1) {
            Ok(home) => do_here(&indexes.errands(home), errand, &bar).await,
            Err(error) => ask_node(indexes, path, errand, &bar, &error).await?,
        };
        bar.finish_and_clear();
        match outcome {
            Ok(what) => print_line(format_args!("search of {}: {what}", name(path)))?,
            Err(reason) => return Err(format!("search of {}: {reason}", name(path)).into()),
        }
    }
    Ok(ExitCode::SUCCESS)
}

async fn do_here(errands: &Errands, errand: Errand, bar: &ProgressBar) -> Result<String, String> {
    let course = Course::default();
    // Nobody feeds it here: what it holds is what its last commit says.
    let begun = errands.indexer.checkpoints(PartitionSet::ALL).await;
    begun.map_err(|error| told(&error))?;
    let doing = errands.do_one(errand, &course);
    draw(doing, &course, bar).await
}

async fn ask_node(
    indexes: &Indexes,
    path: &Path,
    errand: Errand,
    bar: &ProgressBar,
    why: &docket_search::port::IndexError,
) -> Result<Result<String, String>, Failure> {
    let id = indexes.opened.desk.ports().ids.time_ordered();
    let on_progress = |events, of| {
        bar.set_length(of);
        bar.set_position(events);
    };
    Ok(match ask(path, errand, id, on_progress).await? {
        Outcome::Done(what) => Ok(what),
        Outcome::Failed(reason) => Err(reason),
        Outcome::NotTaken => Err(format!("{}; and no node has it open", told(why))),
    })
}

/// Names what differs, index by index.
pub(super) async fn compare(indexes: &Indexes) -> Result<ExitCode, Failure> {
    let mut differing = 0;
    for path in indexes.some()? {
        let home = IndexHome::look(path).map_err(|error| {
            format!("search of {}: {}; repair it with --repair", name(path), told(&error))
        })?;
        let (errands, course, bar) = (indexes.errands(home), Course::default(), bar()?);
        bar.set_message(name(path));
        let found = draw(errands.differences(&course), &course, &bar).await?;
        bar.finish_and_clear();
        for difference in &found {
            let drift = difference.drift.as_str();
            match &difference.ticket {
                Some((tenant, ticket)) => {
                    print_line(format_args!("{tenant} ticket {ticket}: {drift}"))?;
                }
                None => {
                    let (partition, at) =
                        (difference.place.partition().number(), difference.place.position());
                    print_line(format_args!(
                        "a ticket opened at partition {partition}, position {at}: {drift}"
                    ))?;
                }
            }
        }
        let events = course.events.load(Ordering::Relaxed);
        let count = found.len();
        eprintln!("search of {}: compared with {events} events, {count} differences", name(path));
        differing += count;
    }
    Ok(if differing == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Draws how far something has come until it is done.
async fn draw<T>(doing: impl Future<Output = T>, course: &Course, bar: &ProgressBar) -> T {
    tokio::pin!(doing);
    let mut drawn = interval(DRAWN_EVERY);
    loop {
        tokio::select! {
            done = &mut doing => return done,
            _ = drawn.tick() => {
                bar.set_length(course.of.load(Ordering::Relaxed));
                bar.set_position(course.events.load(Ordering::Relaxed));
            }
        }
    }
}

/// A node's directory is named by the address at which it listens.
fn name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}
