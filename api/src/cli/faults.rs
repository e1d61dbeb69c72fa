//! `docket faults`: the points at which this build fails when it is told to, and rehearsals of sagas.

mod bulk;
mod door;
mod four;
mod merging;

use std::io::Write as _;
use std::time::Duration;

use clap::Args;
use docket_engine::faults::{POINTS, SAGA_POINTS};
use docket_engine::ports::sagas::{SagaFilter, SagaRow, Standing};
use docket_sagas::{Act, BULK, Coordinator, FOUR, MERGE, UNMERGE};
use docket_schemas::Tenant;

use super::Failure;
use super::installation::InstallationArgs;
use super::output::Output;
use crate::sagas::registry;

/// Whose the rehearsed sagas are.
const TENANT: &str = "bench";
/// How long a rehearsal waits until nothing moves any more.
const SETTLES_WITHIN: Duration = Duration::from_secs(60);
/// How often it looks.
const LOOKS_EVERY: Duration = Duration::from_millis(120);
/// In so many looks, one after the other, nothing may move.
const LOOKS_STILL: u32 = 4;
/// Most sagas of a rehearsal.
const SAGAS_MAX: usize = 1_000;

#[derive(Debug, Args)]
pub(super) struct FaultsArgs {
    /// Carry so many new sagas, and all that are under way, to where they rest; tell what came of each
    #[arg(long, env = "DOCKET_REHEARSE", value_name = "N")]
    rehearse: Option<usize>,
    /// Of which definition the new ones are; those on merged tickets tell what list, search and the tickets show
    #[arg(long, env = "DOCKET_DEFINITION", value_name = "NAME", default_value = FOUR, value_parser = [FOUR, MERGE, UNMERGE, BULK])]
    definition: String,
    #[command(flatten)]
    installation: InstallationArgs,
}

pub(super) fn run(args: &FaultsArgs) -> Result<(), Failure> {
    let Some(count) = args.rehearse else {
        return Ok(list()?);
    };
    let count = count.min(SAGAS_MAX);
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        match args.definition.as_str() {
            FOUR => four::rehearse(args, count).await,
            BULK => bulk::rehearse(args, count).await,
            name => merging::rehearse(args, name, count).await,
        }
    })
}

/// A line a point: its name, the kinds that it honours, and what happens there.
fn list() -> std::io::Result<()> {
    let mut out = Output::open();
    writeln!(out, "DOCKET_FAULT=point:kind[:nth|seconds], several with commas between\n")?;
    for point in POINTS {
        writeln!(out, "{:<48} {:<44} {}", point.name, point.kinds.join(","), point.what)?;
    }
    for definition in registry().all() {
        for step in definition.steps() {
            let goes_back = step.has_undo() || matches!(step.act, Act::Shown);
            let ways: &[&str] = if goes_back { &["run", "undo"] } else { &["run"] };
            for way in ways {
                for when in ["before", "after"] {
                    let name = format!("saga.{}.{}.{way}.{when}", definition.name, step.name);
                    let known = SAGA_POINTS.iter().find(|point| name.ends_with(point.name));
                    let Some(known) = known else { continue };
                    writeln!(out, "{name:<48} {:<44} {}", known.kinds.join(","), known.what)?;
                }
            }
        }
    }
    Ok(())
}

/// Waits until every saga has ended or is parked, by the log; there are at least so many.
async fn settled(sagas: &Coordinator, begun: usize) -> Result<Vec<SagaRow>, Failure> {
    let tenant: Tenant = TENANT.parse()?;
    let all = async {
        let mut still = 0;
        loop {
            let rows = sagas.table().list(&tenant, &SagaFilter::default(), None, SAGAS_MAX).await?;
            let rests = |row: &SagaRow| row.standing.is_ended() || row.standing == Standing::Parked;
            // What has just begun may not stand in the table yet.
            tokio::time::sleep(LOOKS_EVERY).await;
            let busy = sagas.is_busy() || rows.len() < begun;
            still = if busy || !rows.iter().all(rests) { 0 } else { still + 1 };
            if still == LOOKS_STILL {
                return Ok::<_, Failure>(rows);
            }
        }
    };
    tokio::time::timeout(SETTLES_WITHIN, all).await?
}
