//! Filling view and index with the same made-up tickets, through their ports, at the same time.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use docket_engine::cursor::Positions;
use docket_projections::Taken;
use docket_projections::row::{ROW_FORMAT, TicketRow};
use docket_projections::store::{SpanRows, VersionNumber, ViewStore};
use docket_schemas::{Incarnation, Partition, Timestamp};
use docket_search::document::TicketWrite;
use docket_search::port::{SearchIndex, Writes};
use tokio::sync::mpsc;

use super::corpus::{Corpus, EVENTS};
use crate::clock;
use crate::wire::WireError;

/// Who writes to the view at the same time, each its own partitions.
const VIEW_WRITERS: usize = 4;
/// Rows of a batch.
const VIEW_BATCH_ROWS: usize = 2_000;
/// Tickets of a batch.
const INDEX_BATCH_TICKETS: usize = 2_000;
/// Batches that wait for each writer.
const QUEUE_BATCHES: usize = 4;
/// How often the index commits.
const COMMIT_EVERY: Duration = Duration::from_secs(5);
/// How often it is told how far it has come.
const TOLD_EVERY: Duration = Duration::from_secs(15);
/// The index is merged when its directory has been the same for so many looks.
const SAME_LOOKS: u32 = 6;
/// How often it is looked.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// How fast the tickets were taken.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Filled {
    pub(super) tickets: u64,
    /// Of subjects and messages.
    pub(super) text_bytes: u64,
    /// Seconds until the view had taken the last row, without its indexes.
    pub(super) view_seconds: f64,
    /// Seconds in which the view's indexes were made.
    pub(super) view_index_seconds: f64,
    /// Seconds until the index had committed the last ticket.
    pub(super) index_seconds: f64,
}

impl Filled {
    /// By the second.
    pub(super) fn view_rows_per_second(&self) -> f64 {
        self.tickets as f64 / self.view_seconds.max(1e-9)
    }

    /// Events that the tickets are made of, by the second.
    pub(super) fn index_events_per_second(&self) -> f64 {
        (self.tickets * EVENTS) as f64 / self.index_seconds.max(1e-9)
    }
}

/// Fills a new version of the view, which answers from then on, and the index.
pub(super) async fn fill(
    store: &Arc<dyn ViewStore>,
    index: &Arc<dyn SearchIndex>,
    corpus: Corpus,
    progress: &impl Fn(&str),
) -> Result<Filled, WireError> {
    let version = store.begin(ROW_FORMAT, clock::now()).await?;
    let began = clock::monotonic();
    let since = move || clock::monotonic().duration_since(began).as_secs_f64();
    let mut lanes = Vec::new();
    let mut writers = tokio::task::JoinSet::new();
    for _ in 0..VIEW_WRITERS {
        let (lane, rows) = mpsc::channel(QUEUE_BATCHES);
        lanes.push(lane);
        writers.spawn(write_rows(Arc::clone(store), version, rows));
    }
    let (tickets, taken) = mpsc::channel(QUEUE_BATCHES);
    let indexing = tokio::spawn(write_tickets(Arc::clone(index), taken));
    let (told, mut telling) = mpsc::channel(1);
    let making = tokio::task::spawn_blocking(move || make(corpus, &lanes, &tickets, &told));
    while let Some(made) = telling.recv().await {
        progress(&format!("made {made} tickets in {:.0} s", since()));
    }
    let (tickets, text_bytes) = making.await?;
    while let Some(written) = writers.join_next().await {
        written??;
    }
    let view_seconds = since();
    progress(&format!("the view has all rows after {view_seconds:.0} s"));
    indexing.await??;
    let index_seconds = since();
    progress(&format!(
        "the index has all documents after {index_seconds:.0} s; making the view's indexes"
    ));
    store.index(version).await?;
    store.vouch(version).await?;
    if !store.switch(version, clock::now()).await? {
        return Err("the new version of the view does not answer".into());
    }
    let view_index_seconds = since() - index_seconds;
    Ok(Filled { tickets, text_bytes, view_seconds, view_index_seconds, index_seconds })
}

type Lane = mpsc::Sender<Vec<TicketRow>>;
type IndexBatch = (Vec<TicketWrite>, Positions);

/// Makes the tickets and hands them out; answers how many there are, and how long their texts.
fn make(
    mut corpus: Corpus,
    lanes: &[Lane],
    index: &mpsc::Sender<IndexBatch>,
    told: &mpsc::Sender<u64>,
) -> (u64, u64) {
    let (mut made, mut bytes) = (0, 0);
    let mut last = clock::monotonic();
    let mut rows: Vec<Vec<TicketRow>> = lanes.iter().map(|_| Vec::new()).collect();
    let mut writes = Vec::new();
    while let Some(ticket) = corpus.next() {
        made += 1;
        bytes += ticket.texts().map(|text| text.len() as u64).sum::<u64>();
        let lane = usize::from(ticket.row.partition.number()) % lanes.len();
        rows[lane].push(ticket.row);
        writes.push(ticket.write);
        // A writer that is gone has an error, which is told elsewhere.
        if rows[lane].len() == VIEW_BATCH_ROWS {
            let _ = lanes[lane].blocking_send(std::mem::take(&mut rows[lane]));
        }
        if writes.len() == INDEX_BATCH_TICKETS {
            let _ = index.blocking_send((std::mem::take(&mut writes), corpus.positions));
        }
        if clock::monotonic().duration_since(last) > TOLD_EVERY {
            last = clock::monotonic();
            let _ = told.try_send(made);
        }
    }
    for (lane, rows) in lanes.iter().zip(rows) {
        let _ = lane.blocking_send(rows);
    }
    let _ = index.blocking_send((writes, corpus.positions));
    (made, bytes)
}

/// Writes rows of some partitions, each from where the last batch has left it.
async fn write_rows(
    store: Arc<dyn ViewStore>,
    version: VersionNumber,
    mut rows: mpsc::Receiver<Vec<TicketRow>>,
) -> Result<(), WireError> {
    let mut reached = Positions::START;
    while let Some(batch) = rows.recv().await {
        let mut by_partition: BTreeMap<Partition, Vec<TicketRow>> = BTreeMap::new();
        for row in batch {
            by_partition.entry(row.partition).or_default().push(row);
        }
        let mut spans = Vec::with_capacity(by_partition.len());
        for (partition, rows) in by_partition {
            let after = reached.get(partition);
            let upto = rows.last().map_or(after, |row| row.position);
            let recorded_at = rows.last().map_or(Timestamp::from_micros(0), |row| row.updated_at);
            reached.set(partition, upto);
            spans.push(SpanRows { partition, after, upto, recorded_at, rows, parked: Vec::new() });
        }
        if store.write(version, None, spans).await? == Taken::Fenced {
            return Err("somebody else writes to the view".into());
        }
    }
    Ok(())
}

async fn write_tickets(
    index: Arc<dyn SearchIndex>,
    mut batches: mpsc::Receiver<IndexBatch>,
) -> Result<(), WireError> {
    let incarnation: Incarnation = "bench.1".parse()?;
    let mut committed = clock::monotonic();
    while let Some((tickets, upto)) = batches.recv().await {
        let incarnation = incarnation.clone();
        index.write(Writes { incarnation, tickets, forgotten: Vec::new(), upto }).await?;
        if clock::monotonic().duration_since(committed) > COMMIT_EVERY {
            index.commit().await?;
            committed = clock::monotonic();
        }
    }
    index.commit().await?;
    Ok(())
}

/// Waits until the index merges nothing any more; answers its bytes.
pub(super) async fn merged(
    index: &Arc<dyn SearchIndex>,
    directory: &Path,
) -> Result<u64, WireError> {
    let (mut same, mut before) = (0, (0, 0));
    while same < SAME_LOOKS {
        tokio::time::sleep(LOOK_EVERY).await;
        let found = size(directory)?;
        same = if found == before { same + 1 } else { 0 };
        before = found;
    }
    index.purge().await?;
    Ok(size(directory)?.1)
}

/// Files of a directory and of those within it, and their bytes.
fn size(directory: &Path) -> std::io::Result<(u64, u64)> {
    let (mut files, mut bytes) = (0, 0);
    for entry in std::fs::read_dir(directory)? {
        let entry = entry?;
        let found = match entry.metadata() {
            Ok(metadata) if metadata.is_dir() => size(&entry.path())?,
            Ok(metadata) => (1, metadata.len()),
            // Merging removes files.
            Err(_) => (0, 0),
        };
        files += found.0;
        bytes += found.1;
    }
    Ok((files, bytes))
}
