//! The tickets view on the command line.

use std::io::Write as _;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use docket_engine::ports::nodes::NODE_GONE_AFTER;
use docket_projections::store::{Phase, Version, ViewStore};
use docket_projections::{DiffError, Rebuild, RebuildPhase, RebuildProgress, diff, repair};
use docket_schemas::{Partition, Timestamp};
use indicatif::ProgressBar;

use super::bar;
use crate::cli::Failure;
use crate::cli::installation::InstallationArgs;
use crate::cli::output::{Output, print_line};
use crate::views::status::{PartitionLag, Status, status};
use crate::wire::{self, Opened};

/// How often a rebuild on another process is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// An installation with its views.
pub(super) struct Place {
    opened: Opened,
    store: Arc<dyn ViewStore>,
}

impl Place {
    pub(super) async fn open(args: &InstallationArgs) -> Result<Self, Failure> {
        let installation = args.installation();
        let opened = wire::open_existing(&installation, "projection").await?;
        let store = wire::view_store(&installation).await?;
        Ok(Self { opened, store })
    }

    async fn active(&self) -> Result<Version, Failure> {
        let versions = self.store.versions().await?;
        let active = versions.into_iter().find(|version| version.phase == Phase::Active);
        active.ok_or_else(|| "no version of the tickets view is active".into())
    }
}

pub(super) async fn list(place: &Place) -> Result<(), Failure> {
    let ports = place.opened.desk.ports();
    let now = ports.clock.now();
    let Status { versions, lags, parked } = status(&*place.store, &*ports.log, now).await?;
    let mut out = Output::open();
    let (events, seconds) = PartitionLag::of_all(&lags);
    writeln!(out, "tickets: {events} events behind, {seconds:.1} s, {} parked", parked.len())?;
    for version in &versions {
        let (number, phase) = (version.number, version.phase.as_str());
        // The first version came with its tables, at no time that anybody noted.
        let since = match version.since {
            since if since == Timestamp::default() => "the beginning".to_owned(),
            since => since.to_string(),
        };
        writeln!(out, "  version {number}: {phase} since {since}")?;
    }
    write_lags(&mut out, &lags)?;
    for one in &parked {
        let (number, poison) = (one.partition.number(), &one.poison);
        let ticket = match &poison.ticket {
            Some((tenant, ticket)) => format!("{tenant} ticket {ticket}"),
            None => "an event".to_owned(),
        };
        let (position, reason) = (poison.position, &poison.reason);
        writeln!(out, "  parked: {ticket}, partition {number}, position {position}: {reason}")?;
    }
    Ok(())
}

/// A line for each partition.
pub(super) fn write_lags(
    out: &mut impl std::io::Write,
    lags: &[PartitionLag],
) -> std::io::Result<()> {
    writeln!(out, "  partition    position  lag_events  lag_seconds")?;
    for lag in lags {
        let (number, position) = (lag.partition.number(), lag.position);
        writeln!(out, "  {number:>9}  {position:>10}  {:>10}  {:>11.1}", lag.events, lag.seconds)?;
    }
    Ok(())
}

/// Done here where no node is at work; else asked of the nodes, and only looked at from here.
pub(super) async fn rebuild(place: &Place) -> Result<ExitCode, Failure> {
    let bar = bar()?;
    let nodes = place.opened.nodes.seen(NODE_GONE_AFTER).await?;
    if nodes.is_empty() || rebuild_there(place, &bar).await? == Asked::NobodyLeft {
        rebuild_here(place, bar.clone()).await?;
    }
    bar.finish_and_clear();
    let active = place.active().await?;
    print_line(format_args!("tickets: version {} is active", active.number))?;
    Ok(ExitCode::SUCCESS)
}

async fn rebuild_here(place: &Place, bar: ProgressBar) -> Result<(), Failure> {
    let ports = place.opened.desk.ports();
    let told = move |progress: RebuildProgress| {
        bar.set_length(progress.total);
        bar.set_position(progress.events);
        bar.set_message(match progress.phase {
            RebuildPhase::Filling => "filling",
            RebuildPhase::Indexing => "indexing",
            RebuildPhase::Comparing => "comparing",
            RebuildPhase::Switching => "switching",
        });
    };
    let (store, log) = (Arc::clone(&place.store), Arc::clone(&ports.log));
    let clock = Arc::clone(&ports.clock);
    Rebuild { store, log, clock, told: Box::new(told) }.run().await?;
    Ok(())
}

/// What became of asking the nodes.
#[derive(Debug, PartialEq, Eq)]
enum Asked {
    /// One of them has done it.
    Done,
    /// None of them is left.
    NobodyLeft,
}

async fn rebuild_there(place: &Place, bar: &ProgressBar) -> Result<Asked, Failure> {
    let ports = place.opened.desk.ports();
    let before = place.active().await?.number;
    let asked = place.store.ask_rebuild(ports.clock.now()).await?;
    bar.set_message("waiting");
    loop {
        tokio::time::sleep(LOOK_EVERY).await;
        let request = place.store.rebuild_request(Some(asked)).await?;
        match request.and_then(|request| request.ended) {
            Some(Ok(())) => return Ok(Asked::Done),
            Some(Err(reason)) => return Err(reason.into()),
            None => {}
        }
        let versions = place.store.versions().await?;
        if let Some(new) = versions.iter().rfind(|version| version.number > before) {
            bar.set_length(ports.log.heads().await?.total());
            bar.set_position(place.store.checkpoints(new.number).await?.total());
            bar.set_message(new.phase.as_str());
        }
        if place.opened.nodes.seen(NODE_GONE_AFTER).await?.is_empty() {
            let now = ports.clock.now();
            place.store.end_rebuild(asked, Err("no node was left".to_owned()), now).await?;
            return Ok(Asked::NobodyLeft);
        }
    }
}

pub(super) async fn rollback(place: &Place) -> Result<ExitCode, Failure> {
    let versions = place.store.versions().await?;
    let kept = versions.iter().find(|version| version.phase == Phase::Kept);
    let kept = kept.ok_or("there is no version to go back to: the one before is kept for a day")?;
    let now = place.opened.desk.ports().clock.now();
    if !place.store.switch(kept.number, now).await? {
        return Err(
            "the version before is behind the active one: try again once it has caught up, \
                    which it does while a node serves"
                .into(),
        );
    }
    print_line(format_args!("tickets: version {} is active", kept.number))?;
    Ok(ExitCode::SUCCESS)
}

pub(super) async fn compare(place: &Place) -> Result<ExitCode, Failure> {
    let log = &place.opened.desk.ports().log;
    let active = place.active().await?;
    let (mut rows, mut events, mut differences) = (0, 0, 0);
    for partition in Partition::all() {
        let found = match diff(&*place.store, log, active.number, partition).await {
            Ok(found) => found,
            Err(error @ (DiffError::Log(_) | DiffError::Store(_))) => return Err(error.into()),
        };
        rows += found.rows;
        events += found.events;
        differences += found.differences.len() + found.unparked.len();
        for difference in &found.differences {
            print_line(difference)?;
        }
        for ((tenant, ticket), position, reason) in &found.unparked {
            print_line(format_args!(
                "{tenant} ticket {ticket}: position {position} cannot be folded: {reason}"
            ))?;
        }
    }
    eprintln!("{rows} rows compared with {events} events, {differences} differences");
    Ok(if differences == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

pub(super) async fn mend(place: &Place) -> Result<ExitCode, Failure> {
    let log = &place.opened.desk.ports().log;
    let active = place.active().await?;
    let mut mended = 0;
    for partition in Partition::all() {
        let wrong = repair(&place.store, log, active.number, partition).await?;
        mended += wrong.len();
        for difference in &wrong {
            print_line(difference)?;
        }
    }
    eprintln!("{mended} differences mended");
    Ok(ExitCode::SUCCESS)
}
