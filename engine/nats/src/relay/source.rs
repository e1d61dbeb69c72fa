//! What the relay has yet to publish: the events of all partitions, near the order in which they were recorded.

use std::collections::VecDeque;
use std::sync::Arc;

use docket_engine::cursor::Positions;
use docket_engine::ports::log::{EventLog, LogError};
use docket_engine::tail::Tail;
use docket_schemas::{Event, Partition};
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
}

impl<'a> Source<'a> {
    pub(super) fn new(ports: &'a RelayPorts, fresh_after: Positions) -> Self {
        let heads = ports.tail.heads();
        Self { log: &*ports.log, tail: &ports.tail, heads, fresh_after, ready: VecDeque::new() }
    }

    /// Where the tail's head may be watched.
    pub(super) fn heads(&self) -> watch::Receiver<Positions> {
        self.heads.clone()
    }

    /// The next event after `reached`, which is how far the caller took the events before; none at the head.
    pub(super) async fn next(
        &mut self,
        reached: &Positions,
    ) -> Result<Option<Arc<Event>>, LogError> {
        if self.ready.is_empty() {
            let heads = *self.heads.borrow_and_update();
            let mut read = Vec::new();
            for (partition, head) in heads.iter() {
                if head > reached.get(partition) {
                    read.extend(self.read(partition, reached).await?);
                }
            }
            read.sort_by_key(|event| (event.recorded_at, event.partition, event.position));
            self.ready = read.into();
        }
        Ok(self.ready.pop_front())
    }

    async fn read(
        &self,
        partition: Partition,
        reached: &Positions,
    ) -> Result<Vec<Arc<Event>>, LogError> {
        let after = reached.get(partition);
        if after >= self.fresh_after.get(partition) {
            return self.tail.read(partition, after, READ_AT_ONCE).await;
        }
        let events = self.log.partition_events(partition, after, READ_AT_ONCE).await?;
        Ok(events.into_iter().map(Arc::new).collect())
    }
}
