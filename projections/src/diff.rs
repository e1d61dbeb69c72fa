//! Drift: what stands in the view otherwise than a replay of the log says.
//!
//! The log is replayed partition by partition, each ticket up to the position that its row states. Both sides are summed
//! up by buckets of tickets; only where the sums differ is it looked ticket by ticket.

mod replay;

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::fmt;
use std::sync::Arc;

use docket_engine::ports::log::{EventLog, LogError, READ_EVENTS_MAX};
use docket_schemas::{Partition, Position};

use self::replay::Replay;
use crate::counters::CounterKey;
use crate::feeder::read;
use crate::folder::TicketKey;
use crate::source::FromLog;
use crate::store::{PartitionDump, StoreError, VersionNumber, ViewStore};

/// Events and bytes that are replayed at once.
pub(crate) const PAGE: (usize, usize) = (READ_EVENTS_MAX, 64 * 1024 * 1024);

/// Buckets of tickets in a partition.
const BUCKETS: usize = 256;

/// What is wrong with a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wrong {
    /// It says something else than the log.
    Changed,
    /// There is none.
    Missing,
    /// The log has no such ticket.
    Extra,
    /// It lacks events that the checkpoint says are in it.
    Behind,
    /// It cannot be read.
    Unreadable,
    /// It is listed under other readers or tags than it has.
    Listed,
}

/// One thing in which view and log differ.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Difference {
    /// A ticket's row.
    Row {
        /// Which ticket.
        ticket: TicketKey,
        /// What is wrong.
        wrong: Wrong,
    },
    /// A counter.
    Counter {
        /// Which.
        key: CounterKey,
        /// What it says.
        found: i64,
        /// What the log says.
        expected: i64,
    },
    /// A checkpoint that its rows or the log do not bear out.
    Checkpoint {
        /// Of which partition.
        partition: Partition,
        /// Where it stands.
        found: Position,
        /// Where something is that it does not cover, or where the log ends before it.
        expected: Position,
    },
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Row { ticket: (tenant, ticket), wrong } => {
                let what = match wrong {
                    Wrong::Changed => "the row is not what the log says",
                    Wrong::Missing => "the row is missing",
                    Wrong::Extra => "the log has no such ticket",
                    Wrong::Behind => "the row lacks events",
                    Wrong::Unreadable => "the row cannot be read",
                    Wrong::Listed => "readers or tags are listed otherwise than in the row",
                };
                write!(f, "{tenant} ticket {ticket}: {what}")
            }
            Self::Counter { key, found, expected } => {
                let (tenant, partition) = (&key.tenant, key.partition.number());
                let (field, value) = (key.value.field, &key.value.value);
                write!(
                    f,
                    "{tenant} counter {field:?} {value:?} of partition {partition}: {found} instead of {expected}"
                )
            }
            Self::Checkpoint { partition, found, expected } => {
                let number = partition.number();
                write!(f, "checkpoint of partition {number}: {found} instead of {expected}")
            }
        }
    }
}

/// Why there is no comparison.
#[derive(Debug, thiserror::Error)]
pub enum DiffError {
    /// The log failed.
    #[error(transparent)]
    Log(#[from] LogError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What was found in one partition.
#[derive(Debug, Clone, Default)]
pub struct PartitionDiff {
    /// The checkpoint of the snapshot that was compared.
    pub checkpoint: Position,
    /// Rows compared.
    pub rows: usize,
    /// Events replayed.
    pub events: u64,
    /// What differs.
    pub differences: Vec<Difference>,
    /// Tickets that cannot be folded and are not parked.
    pub unparked: Vec<(TicketKey, Position, String)>,
    /// Tickets that are parked.
    pub parked: Vec<TicketKey>,
    /// Events that are noted as unreadable and are not.
    pub readable_again: Vec<Position>,
}

impl PartitionDiff {
    /// Whether nothing differs.
    #[must_use]
    pub const fn is_clean(&self) -> bool {
        self.differences.is_empty() && self.unparked.is_empty()
    }
}

/// Compares one partition of a version with a replay of the log.
///
/// # Errors
/// When log or store fail.
pub async fn diff(
    store: &dyn ViewStore,
    log: &Arc<dyn EventLog>,
    version: VersionNumber,
    partition: Partition,
) -> Result<PartitionDiff, DiffError> {
    let dump = store.dump(version, partition).await?;
    // Only now: the view is fed meanwhile, and what it has of an older log would look as if it were beyond it.
    let head = log.heads().await?.get(partition);
    let highest = dump.rows.iter().map(|row| row.position).max().unwrap_or(0);
    let mut replay = Replay::new(&dump);
    let end = dump.checkpoint.max(highest);
    let source = FromLog(Arc::clone(log));
    let (mut at, mut unreadable) = (0, BTreeSet::new());
    while at < end {
        let stretch = read(&source, partition, at, end, PAGE).await?;
        let skipped = stretch.unreadable.last().map_or(0, |poison| poison.position);
        let last = stretch.events.last().map_or(0, |event| event.position).max(skipped);
        if last == 0 {
            break;
        }
        at = last;
        unreadable.extend(stretch.unreadable.iter().map(|poison| poison.position));
        for event in stretch.events.iter().take_while(|event| event.position <= end) {
            replay.event(event);
        }
        tokio::task::yield_now().await;
    }
    replay.finish();
    let mut found = PartitionDiff {
        checkpoint: dump.checkpoint,
        rows: dump.rows.len(),
        events: at.min(end),
        ..PartitionDiff::default()
    };
    let noted = dump.parked.iter().filter(|one| one.poison.ticket.is_none());
    let read = noted.map(|one| one.poison.position).filter(|position| *position <= at);
    found.readable_again = read.filter(|position| !unreadable.contains(position)).collect();
    found.parked = dump.parked.iter().filter_map(|one| one.poison.ticket.clone()).collect();
    checkpoint(&dump, highest, head, partition, &mut found);
    rows(&dump, &replay, &mut found);
    counters(&dump, &replay, &mut found);
    Ok(found)
}

fn checkpoint(
    dump: &PartitionDump,
    highest: Position,
    head: Position,
    partition: Partition,
    found: &mut PartitionDiff,
) {
    let expected = if highest > dump.checkpoint {
        highest
    } else if dump.checkpoint > head {
        head
    } else {
        return;
    };
    let difference = Difference::Checkpoint { partition, found: dump.checkpoint, expected };
    found.differences.push(difference);
}

fn rows(dump: &PartitionDump, replay: &Replay<'_>, found: &mut PartitionDiff) {
    let differs = |ticket: &TicketKey, wrong| Difference::Row { ticket: ticket.clone(), wrong };
    let parked: HashSet<&TicketKey> = found.parked.iter().collect();
    let mut named: HashSet<TicketKey> = HashSet::new();
    let mut list: Vec<Difference> = Vec::new();
    for (tenant, ticket, _) in &dump.unreadable {
        let key = (tenant.clone(), *ticket);
        list.push(differs(&key, Wrong::Unreadable));
        named.insert(key);
    }
    let actual: HashMap<TicketKey, [u8; 32]> =
        dump.rows.iter().map(|row| ((row.tenant.clone(), row.ticket), row.digest())).collect();
    for bucket in buckets(&actual, &replay.digests) {
        let here = actual.iter().filter(|(key, _)| bucket_of(key) == bucket);
        for (key, digest) in here.filter(|(key, _)| !parked.contains(key)) {
            match replay.digests.get(key) {
                Some(expected) if expected == digest => continue,
                Some(_) => list.push(differs(key, Wrong::Changed)),
                None if replay.failed.contains_key(key) => continue,
                None => list.push(differs(key, Wrong::Extra)),
            }
            named.insert(key.clone());
        }
        let there = replay.digests.keys().filter(|key| bucket_of(key) == bucket);
        for key in there.filter(|key| !actual.contains_key(*key) && !parked.contains(key)) {
            if named.insert(key.clone()) {
                list.push(differs(key, Wrong::Missing));
            }
        }
    }
    for key in replay.behind.iter().filter(|key| !parked.contains(key)) {
        if named.insert(key.clone()) {
            list.push(differs(key, Wrong::Behind));
        }
    }
    for key in &dump.stray {
        if named.insert(key.clone()) {
            list.push(differs(key, Wrong::Listed));
        }
    }
    let failed = replay.failed.iter().filter(|(key, _)| !parked.contains(key));
    let unparked: Vec<_> =
        failed.map(|(key, (position, why))| (key.clone(), *position, why.clone())).collect();
    list.sort_by_key(ToString::to_string);
    found.unparked = unparked;
    found.differences.extend(list);
}

/// The buckets in which the two sides differ.
fn buckets(
    actual: &HashMap<TicketKey, [u8; 32]>,
    expected: &HashMap<TicketKey, [u8; 32]>,
) -> Vec<usize> {
    let sums = |side: &HashMap<TicketKey, [u8; 32]>| {
        let mut sums = vec![[0_u8; 32]; BUCKETS];
        for (key, digest) in side {
            for (sum, byte) in sums[bucket_of(key)].iter_mut().zip(digest) {
                *sum ^= byte;
            }
        }
        sums
    };
    let (mine, theirs) = (sums(actual), sums(expected));
    (0..BUCKETS).filter(|&bucket| mine[bucket] != theirs[bucket]).collect()
}

fn bucket_of(key: &TicketKey) -> usize {
    usize::from(key.1.as_bytes()[15])
}

fn counters(dump: &PartitionDump, replay: &Replay<'_>, found: &mut PartitionDiff) {
    let expected: BTreeMap<CounterKey, i64> =
        replay.counters.changes().map(|(key, count)| (key.clone(), count)).collect();
    for (key, &count) in &dump.counters {
        let wanted = expected.get(key).copied().unwrap_or(0);
        if wanted != count {
            let (key, found_count) = (key.clone(), count);
            let difference = Difference::Counter { key, found: found_count, expected: wanted };
            found.differences.push(difference);
        }
    }
    for (key, &wanted) in expected.iter().filter(|(key, _)| !dump.counters.contains_key(*key)) {
        let difference = Difference::Counter { key: key.clone(), found: 0, expected: wanted };
        found.differences.push(difference);
    }
}
