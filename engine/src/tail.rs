//! The tail of the log: what a node has newly read, shared by all who follow it.
//!
//! A node reads the log once, however many follow it: caches, subscribers, projections, sagas, the relay. The tail is
//! woken, never fed: it reads what is committed, whoever wrote it.

mod recent;

use std::sync::Arc;
use std::time::Duration;

use docket_schemas::{Event, Partition, Position};
use parking_lot::Mutex;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

use crate::cursor::Positions;
use crate::ports::bus::Bus;
use crate::ports::log::{EventLog, LogError, READ_EVENTS_MAX};
use recent::Recent;

/// A wake-up may be lost: so often the tail looks by itself.
pub const TAIL_LOOKS_EVERY: Duration = Duration::from_secs(1);

/// The tail rests so long between two reads: what was written meanwhile comes in one.
pub const TAIL_RESTS_FOR: Duration = Duration::from_millis(2);

/// How long the tail waits after the log has failed.
const TAIL_RETRIES_AFTER: Duration = Duration::from_millis(500);

/// A node's one follower of the log. Cheap to clone; the log is followed until the last clone is dropped.
#[derive(Clone)]
pub struct Tail {
    shared: Arc<Shared>,
    _task: Arc<Following>,
}

struct Shared {
    log: Arc<dyn EventLog>,
    recent: Vec<Mutex<Recent>>,
    heads: watch::Sender<Positions>,
}

/// Ends the task with the last tail.
struct Following(JoinHandle<()>);

impl Drop for Following {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl std::fmt::Debug for Tail {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Tail({} events)", self.shared.heads.borrow().total())
    }
}

impl Tail {
    /// Follows the log from its present heads.
    ///
    /// # Errors
    /// When the log does not say where they are.
    pub async fn follow(log: Arc<dyn EventLog>, bus: &dyn Bus) -> Result<Self, LogError> {
        let heads = log.heads().await?;
        let recent = heads.iter().map(|(_, head)| Mutex::new(Recent::after(head))).collect();
        let shared = Arc::new(Shared { log, recent, heads: watch::Sender::new(heads) });
        let task = tokio::spawn(follow(Arc::clone(&shared), bus.woken()));
        Ok(Self { shared, _task: Arc::new(Following(task)) })
    }

    /// How far the tail has read. It changes whenever more was read, and goes back when the log was restored from a
    /// backup.
    #[must_use]
    pub fn heads(&self) -> watch::Receiver<Positions> {
        self.shared.heads.subscribe()
    }

    /// All tenants' events of one partition after a position, in order and without gaps, from memory where it still
    /// holds them, else from the log; at most `limit` and never more than [`READ_EVENTS_MAX`].
    ///
    /// # Errors
    /// When the log has to be asked and fails.
    pub async fn read(
        &self,
        partition: Partition,
        after: Position,
        limit: usize,
    ) -> Result<Vec<Arc<Event>>, LogError> {
        if let Some(events) = self.recent(partition, after, limit) {
            return Ok(events);
        }
        let events = self.shared.log.partition_events(partition, after, limit).await?;
        Ok(events.into_iter().map(Arc::new).collect())
    }

    /// The same from memory alone; none where it no longer holds the event after `after`, or not yet.
    #[must_use]
    pub fn recent(
        &self,
        partition: Partition,
        after: Position,
        limit: usize,
    ) -> Option<Vec<Arc<Event>>> {
        self.shared.recent[partition.index()].lock().read(after, limit.min(READ_EVENTS_MAX))
    }
}

async fn follow(shared: Arc<Shared>, mut woken: watch::Receiver<u64>) {
    loop {
        match shared.read_on().await {
            Ok(true) => {}
            Ok(false) => {
                // Waking and looking by itself come to the same; a bus that has gone leaves the second.
                if let Ok(Err(_)) = timeout(TAIL_LOOKS_EVERY, woken.changed()).await {
                    sleep(TAIL_LOOKS_EVERY).await;
                }
            }
            Err(error) => {
                tracing::warn!(error = &error as &dyn std::error::Error, "log.tail.failed");
                sleep(TAIL_RETRIES_AFTER).await;
            }
        }
        sleep(TAIL_RESTS_FOR).await;
    }
}

impl Shared {
    /// Reads one page and says whether there is more.
    async fn read_on(&self) -> Result<bool, LogError> {
        let reached = *self.heads.borrow();
        let page = self.log.events(&reached, READ_EVENTS_MAX).await?;
        let mut heads = reached;
        for event in page.events {
            heads.set(event.partition, event.position);
            self.recent[event.partition.index()].lock().push(Arc::new(event));
        }
        if !page.more && heads != page.heads {
            self.go_back(&mut heads, &page.heads);
        }
        if heads != reached {
            self.heads.send_replace(heads);
        }
        Ok(page.more)
    }

    /// The log ends before what was read of it: it was restored, and what is held is no part of it.
    fn go_back(&self, heads: &mut Positions, log: &Positions) {
        for (partition, head) in log.iter() {
            if head < heads.get(partition) {
                *self.recent[partition.index()].lock() = Recent::after(head);
                heads.set(partition, head);
            }
        }
    }
}

#[cfg(test)]
mod tests;
