//! Repair: what differs is projected again from the log, and nothing else is touched.

mod folds;

use std::collections::BTreeSet;
use std::sync::Arc;

use docket_engine::ports::log::EventLog;
use docket_schemas::Partition;

use self::folds::Folds;
use crate::PartitionSet;
use crate::diff::{DiffError, Difference, PartitionDiff, diff};
use crate::feeder::{Appetite, Fed, FeedError, Feeder};
use crate::folder::TicketKey;
use crate::sink::Taken;
use crate::source::FromLog;
use crate::store::{Mending, VersionNumber, ViewStore};
use crate::view::TicketsView;

/// How often a partition is compared and mended again: its projector goes on meanwhile.
const TRIES_MAX: u32 = 16;

/// How often the tickets that differ are brought on to where the projector has come, before all is compared again.
const FENCED_MAX: u32 = 64;

/// Why a partition was not mended.
#[derive(Debug, thiserror::Error)]
pub enum RepairError {
    /// Log or store failed.
    #[error(transparent)]
    Diff(#[from] DiffError),
    /// Log or store failed.
    #[error(transparent)]
    Feed(#[from] FeedError),
    /// Something differs after every try.
    #[error("partition {} still differs after {TRIES_MAX} tries", .0.number())]
    StillDiffers(Partition),
}

/// Brings a partition up to the log's head and mends what differs; parked tickets are tried again. Answers what was
/// wrong.
///
/// # Errors
/// See [`RepairError`].
pub async fn repair(
    store: &Arc<dyn ViewStore>,
    log: &Arc<dyn EventLog>,
    version: VersionNumber,
    partition: Partition,
) -> Result<Vec<Difference>, RepairError> {
    let mut wrong: Vec<Difference> = Vec::new();
    for _ in 0..TRIES_MAX {
        let found = diff(&**store, log, version, partition).await?;
        for difference in &found.differences {
            if !wrong.contains(difference) {
                wrong.push(difference.clone());
            }
        }
        if found.is_clean() && found.parked.is_empty() && found.readable_again.is_empty() {
            return Ok(wrong);
        }
        let set_back = found.differences.iter().any(
            |one| matches!(one, Difference::Checkpoint { found, expected, .. } if found < expected),
        );
        if set_back {
            catch_up(store, log, version, partition).await?;
            continue;
        }
        // Looked at once more, so that an answer without an error means that nothing differs.
        match mend(&**store, log, version, (partition, &found)).await? {
            Mended::Done | Mended::TooLate => {}
            Mended::ParkedAgain => return Ok(wrong),
        }
    }
    Err(RepairError::StillDiffers(partition))
}

/// What a checkpoint that was set back has not covered is projected again; rows that are there already stay.
async fn catch_up(
    store: &Arc<dyn ViewStore>,
    log: &Arc<dyn EventLog>,
    version: VersionNumber,
    partition: Partition,
) -> Result<(), RepairError> {
    let sink = Arc::new(TicketsView::new(Arc::clone(store), version, None));
    let source = Arc::new(FromLog(Arc::clone(log)));
    let mut feeder = Feeder::new(source, Arc::clone(log), sink, Appetite::FOLLOW);
    let heads = log.heads().await.map_err(DiffError::from)?;
    feeder.own(PartitionSet::NONE.with(partition)).await.map_err(FeedError::from)?;
    while feeder.feed(&heads).await? != Fed::Nothing {}
    Ok(())
}

/// What came of mending.
enum Mended {
    /// It was written.
    Done,
    /// The partition was fed faster than its tickets were folded.
    TooLate,
    /// There was nothing to write: what is parked cannot be folded still.
    ParkedAgain,
}

/// Mends what was found. The partition may be fed meanwhile: the same tickets are then brought on to where it has come,
/// and nothing is compared again.
async fn mend(
    store: &dyn ViewStore,
    log: &Arc<dyn EventLog>,
    version: VersionNumber,
    (partition, found): (Partition, &PartitionDiff),
) -> Result<Mended, RepairError> {
    let mut folds = Folds::of(Arc::clone(log), partition, named(found));
    let mut checkpoint = found.checkpoint;
    for _ in 0..FENCED_MAX {
        let head = log.heads().await.map_err(DiffError::from)?.get(partition);
        let upto = checkpoint.min(head);
        folds.bring_to(upto).await.map_err(DiffError::from)?;
        let mut mending = Mending {
            partition,
            checkpoint,
            upto,
            rows: folds.rows(),
            gone: folds.gone(),
            parked: folds.failed(),
            readable: found.readable_again.clone(),
        };
        for poison in &mut mending.parked {
            let known = found.unparked.iter().find(|(key, ..)| poison.ticket.as_ref() == Some(key));
            poison.position = known.map_or(0, |(_, position, _)| *position);
        }
        let parked_again = found.is_clean()
            && mending.readable.is_empty()
            && mending.rows.is_empty()
            && mending.gone.is_empty();
        if parked_again {
            return Ok(Mended::ParkedAgain);
        }
        match store.mend(version, mending).await.map_err(DiffError::from)? {
            Taken::Done => return Ok(Mended::Done),
            Taken::Fenced => {
                let moved = store.checkpoints(version).await.map_err(DiffError::from)?;
                checkpoint = moved.get(partition);
            }
        }
    }
    Ok(Mended::TooLate)
}

/// The tickets that are to be folded anew.
fn named(found: &PartitionDiff) -> BTreeSet<TicketKey> {
    let rows = found.differences.iter().filter_map(|difference| match difference {
        Difference::Row { ticket, .. } => Some(ticket.clone()),
        Difference::Counter { .. } | Difference::Checkpoint { .. } => None,
    });
    let unparked = found.unparked.iter().map(|(ticket, ..)| ticket.clone());
    rows.chain(unparked).chain(found.parked.iter().cloned()).collect()
}
