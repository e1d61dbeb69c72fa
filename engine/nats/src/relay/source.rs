//! What the relay has yet to publish: the events of all partitions, in the order in which they were recorded.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use docket_engine::around::{Stretch, Unreadable, partition_events};
use docket_engine::cursor::Positions;
use docket_engine::ports::log::{EventLog, LogError};
use docket_engine::tail::Tail;
use docket_schemas::{Event, Partition, Position};
use tokio::sync::watch;

use super::RelayPorts;

/// Events of one partition that are read at once.
const READ_AT_ONCE: usize = 64;

/// Reads on from where the relay is. Memory is asked only for what the tail has read since the relay last looked at
/// the log: what it held before may be what a restored log no longer has.
pub(super) struct Source<'a> {
    log: &'a dyn EventLog,
    tail: &'a Tail,
    heads: watch::Receiver<Positions>,
    fresh_after: Positions,
    /// By partition, what was read and not handed out yet.
    ready: Vec<VecDeque<Arc<Event>>>,
    /// Rows that cannot be read or are not there, from the first to the last, and that the caller has not passed yet.
    lacking: BTreeMap<(Partition, Position), Position>,
}

impl<'a> Source<'a> {
    pub(super) fn new(ports: &'a RelayPorts, fresh_after: Positions) -> Self {
        let heads = ports.tail.heads();
        let (log, tail) = (&*ports.log, &ports.tail);
        let ready = Partition::all().map(|_| VecDeque::new()).collect();
        Self { log, tail, heads, fresh_after, ready, lacking: BTreeMap::new() }
    }

    /// Where the tail's head may be watched.
    pub(super) fn heads(&self) -> watch::Receiver<Positions> {
        self.heads.clone()
    }

    /// The next event after `reached`, which is how far the caller took the events before; none at the head. Rows that
    /// cannot be read, or that somebody has removed, are passed. Of the partitions' next events it is the one that was recorded first, however many were
    /// read: another relay that begins elsewhere in the same log goes on in the same order.
    pub(super) async fn next(
        &mut self,
        reached: &mut Positions,
    ) -> Result<Option<Arc<Event>>, LogError> {
        let heads = *self.heads.borrow_and_update();
        for (partition, head) in heads.iter() {
            while self.ready[partition.index()].is_empty() && head > reached.get(partition) {
                let after = reached.get(partition);
                let stretch = self.read(partition, (after, head)).await?;
                let rows = stretch.unreadable.iter().map(|row| row.position);
                self.lacking.extend(rows.map(|position| ((partition, position), position)));
                self.ready[partition.index()].extend(stretch.events);
                self.pass(partition, reached);
                if reached.get(partition) == after {
                    break;
                }
            }
        }
        let place = |event: &Arc<Event>| (event.recorded_at, event.partition, event.position);
        let first = self.ready.iter().filter_map(|events| events.front().map(place)).min();
        let Some((_, partition, _)) = first else { return Ok(None) };
        self.pass(partition, reached);
        Ok(self.ready[partition.index()].pop_front())
    }

    /// Takes the caller past what is lacking and comes next.
    fn pass(&mut self, partition: Partition, reached: &mut Positions) {
        while let Some(last) = self.lacking.remove(&(partition, reached.get(partition) + 1)) {
            reached.set(partition, last);
        }
    }

    async fn read(
        &mut self,
        partition: Partition,
        (after, head): (Position, Position),
    ) -> Result<Stretch, LogError> {
        if after >= self.fresh_after.get(partition) {
            return self.tail.read(partition, after, READ_AT_ONCE).await;
        }
        let read = partition_events(self.log, partition, (after, head), READ_AT_ONCE).await?;
        self.tail.reported().report(&read.unreadable);
        for (first, last) in gaps(after, &read) {
            let reason = format!("no row from here to {last}");
            self.tail.reported().report(&[Unreadable { partition, position: first, reason }]);
            self.lacking.insert((partition, first), last);
        }
        Ok(read)
    }
}

/// Where rows are missing before one that was read: the log numbers without gaps, so somebody has removed them.
fn gaps(after: Position, read: &Stretch) -> Vec<(Position, Position)> {
    let mut there: Vec<Position> = read.events.iter().map(|event| event.position).collect();
    there.extend(read.unreadable.iter().map(|row| row.position));
    there.sort_unstable();
    let before = std::iter::once(after).chain(there.iter().copied());
    let pairs = before.zip(there.iter().copied());
    pairs.filter(|(before, at)| *at > before + 1).map(|(before, at)| (before + 1, at - 1)).collect()
}
