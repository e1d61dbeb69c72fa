//! Repair: what differs is projected again from the log, and nothing else is touched.

use std::collections::BTreeSet;
use std::sync::Arc;

use docket_engine::ports::log::EventLog;
use docket_schemas::Partition;

use crate::PartitionSet;
use crate::diff::{DiffError, Difference, PartitionDiff, diff};
use crate::feeder::{Appetite, Fed, FeedError, Feeder};
use crate::folder::{TicketKey, fold_ticket};
use crate::row::TicketRow;
use crate::sink::{Poison, Taken};
use crate::source::FromLog;
use crate::store::{Mending, VersionNumber, ViewStore};
use crate::view::TicketsView;

/// How often a partition is compared and mended again: its projector goes on meanwhile.
const TRIES_MAX: u32 = 16;

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
        if found.is_clean() && found.parked.is_empty() && found.readable_again == 0 {
            return Ok(wrong);
        }
        let head = log.heads().await.map_err(DiffError::from)?.get(partition);
        let set_back = found.differences.iter().any(
            |one| matches!(one, Difference::Checkpoint { found, expected, .. } if found < expected),
        );
        if set_back {
            catch_up(store, log, version, partition).await?;
            continue;
        }
        let mending = mending(&**log, partition, &found, head).await?;
        let parked_again = found.is_clean()
            && found.readable_again == 0
            && mending.rows.is_empty()
            && mending.gone.is_empty();
        if parked_again {
            return Ok(wrong);
        }
        match store.mend(version, mending).await.map_err(DiffError::from)? {
            // Looked at once more, so that an answer without an error means that nothing differs.
            Taken::Done | Taken::Fenced => {}
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

async fn mending(
    log: &dyn EventLog,
    partition: Partition,
    found: &PartitionDiff,
    head: u64,
) -> Result<Mending, RepairError> {
    let upto = found.checkpoint.min(head);
    let rows = found.differences.iter().filter_map(|difference| match difference {
        Difference::Row { ticket, .. } => Some(ticket.clone()),
        Difference::Counter { .. } | Difference::Checkpoint { .. } => None,
    });
    let unparked = found.unparked.iter().map(|(ticket, ..)| ticket.clone());
    let tickets: BTreeSet<TicketKey> =
        rows.chain(unparked).chain(found.parked.iter().cloned()).collect();
    let mut mending = Mending {
        partition,
        checkpoint: found.checkpoint,
        upto,
        rows: Vec::new(),
        gone: Vec::new(),
        parked: Vec::new(),
    };
    for key in tickets {
        let folded = fold_ticket(log, &key, upto).await.map_err(DiffError::from)?;
        match folded {
            Ok(Some((state, position, public))) => {
                mending.rows.push(TicketRow::of(&key.0, &state, position, public));
            }
            Ok(None) => mending.gone.push(key),
            Err(reason) => {
                let known = found.unparked.iter().find(|(ticket, ..)| *ticket == key);
                let position = known.map_or(0, |(_, position, _)| *position);
                mending.parked.push(Poison { ticket: Some(key), position, reason });
            }
        }
    }
    Ok(mending)
}
