//! What the relay has yet to publish: the events of all partitions, near the order in which they were recorded.

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;

use docket_engine::around::{Stretch, partition_events};
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
    ready: VecDeque<Arc<Event>>,
    /// Rows that cannot be read and that the caller has not passed yet.
    unreadable: BTreeSet<(Partition, Position)>,
}

impl<'a> Source<'a> {
    pub(super) fn new(ports: &'a RelayPorts, fresh_after: Positions) -> Self {
        let heads = ports.tail.heads();
        let (log, tail, ready) = (&*ports.log, &ports.tail, VecDeque::new());
        Self { log, tail, heads, fresh_after, ready, unreadable: BTreeSet::new() }
    }

    /// Where the tail's head may be watched.
    pub(super) fn heads(&self) -> watch::Receiver<Positions> {
        self.heads.clone()
    }

    /// The next event after `reached`, which is how far the caller took the events before; none at the head. Rows that
    /// cannot be read are passed.
    pub(super) async fn next(
        &mut self,
        reached: &mut Positions,
    ) -> Result<Option<Arc<Event>>, LogError> {
        if self.ready.is_empty() {
            let heads = *self.heads.borrow_and_update();
            let mut read = Vec::new();
            for (partition, head) in heads.iter() {
                if head > reached.get(partition) {
                    let stretch = self.read(partition, (reached.get(partition), head)).await?;
                    let rows = stretch.unreadable.iter();
                    self.unreadable.extend(rows.map(|row| (partition, row.position)));
                    read.extend(stretch.events);
                    self.pass(partition, reached);
                }
            }
            read.sort_by_key(|event| (event.recorded_at, event.partition, event.position));
            self.ready = read.into();
        }
        let next = self.ready.pop_front();
        if let Some(event) = &next {
            self.pass(event.partition, reached);
        }
        Ok(next)
    }

    /// Takes the caller past what cannot be read and comes next.
    fn pass(&mut self, partition: Partition, reached: &mut Positions) {
        while self.unreadable.remove(&(partition, reached.get(partition) + 1)) {
            reached.set(partition, reached.get(partition) + 1);
        }
    }

    async fn read(
        &self,
        partition: Partition,
        (after, head): (Position, Position),
    ) -> Result<Stretch, LogError> {
        if after >= self.fresh_after.get(partition) {
            return self.tail.read(partition, after, READ_AT_ONCE).await;
        }
        let read = partition_events(self.log, partition, (after, head), READ_AT_ONCE).await?;
        self.tail.reported().report(&read.unreadable);
        Ok(read)
    }
}
