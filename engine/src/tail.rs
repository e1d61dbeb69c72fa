//! The tail of the log: what a node has newly read, shared by all who follow it.
//!
//! A node reads the log once, however many follow it: caches, subscribers, projections, sagas, the relay. The tail is
//! woken, never fed: the log says how far it goes, and what is committed is read from it, whoever wrote it. Only what this
//! node wrote itself is not read again.
//!
//! A log that is restored from a backup under a running node goes on under a new incarnation, and gives out positions
//! anew. The tail forgets what it has read of the lost ones and says so ([`Tail::restores`]).
//!
//! A row that cannot be read stops nobody: whoever reads through the tail is led around it, and it is reported once.

mod beside;
mod left;
mod recent;
mod restored;
mod written;

use std::sync::Arc;
use std::time::Duration;

use docket_schemas::{Event, Incarnation, Partition, Position, Tenant};
use parking_lot::Mutex;
use tokio::sync::{Notify, watch};
use tokio::task::JoinHandle;
use tokio::time::sleep;

use crate::around::{self, Around, Reported, Stretch};
use crate::cursor::Positions;
use crate::ports::bus::Bus;
use crate::ports::log::{
    EventLog, IncarnationStart, LogError, Page, READ_EVENTS_MAX, Standing, StreamRead,
};
pub(crate) use beside::Beside;
pub use left::left_of;
use recent::Recent;
pub(crate) use written::Written;

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
    beside: Arc<dyn Beside>,
    recent: Vec<Mutex<Recent>>,
    heads: watch::Sender<Positions>,
    /// The incarnation that what is held belongs to.
    incarnation: Mutex<Option<Incarnation>>,
    restores: watch::Sender<u64>,
    /// Somebody has heard of a newer incarnation.
    asked: Notify,
    /// Rows that cannot be read.
    reported: Reported,
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
        Self::follow_beside(log, bus, Arc::<Written>::default()).await
    }

    /// The same on a node that writes: what it has written it does not read again.
    pub(crate) async fn follow_beside(
        log: Arc<dyn EventLog>,
        bus: &dyn Bus,
        beside: Arc<impl Beside>,
    ) -> Result<Self, LogError> {
        beside.written().hold();
        let heads = log.heads().await?;
        // After the heads: where another begins between the two, they are gone back from when its first event is read.
        let incarnation = Mutex::new(newest(&log.incarnations().await?));
        let recent = heads.iter().map(|(_, head)| Mutex::new(Recent::after(head))).collect();
        let (heads, restores) = (watch::Sender::new(heads), watch::Sender::new(0));
        let asked = Notify::new();
        let reported = Reported::default();
        let shared = Shared { log, beside, recent, heads, incarnation, restores, asked, reported };
        let shared = Arc::new(shared);
        let task = tokio::spawn(follow(Arc::clone(&shared), bus.woken()));
        Ok(Self { shared, _task: Arc::new(Following(task)) })
    }

    /// How far the tail has read. It changes whenever more was read, and goes back when the log was restored from a
    /// backup.
    #[must_use]
    pub fn heads(&self) -> watch::Receiver<Positions> {
        self.shared.heads.subscribe()
    }

    /// How often the log turned out to be restored from a backup. It changes before the heads do: whoever sees it
    /// unchanged after reading has read no event that the log has lost.
    #[must_use]
    pub fn restores(&self) -> watch::Receiver<u64> {
        self.shared.restores.subscribe()
    }

    /// Whether what the tail holds is of this incarnation, or of a later one; where it is not, the tail looks again.
    #[must_use]
    pub fn is_of(&self, incarnation: &Incarnation) -> bool {
        let is_of = self.shared.known() >= incarnation.number();
        if !is_of {
            self.shared.asked.notify_one();
        }
        is_of
    }

    /// The incarnation that what the tail holds is of; none where none had begun.
    #[must_use]
    pub fn incarnation(&self) -> Option<Incarnation> {
        self.shared.incarnation.lock().clone()
    }

    /// All tenants' events of one partition after a position, in order and without gaps but for what cannot be read, from
    /// memory where it still holds them, else from the log; at most `limit` and never more than [`READ_EVENTS_MAX`].
    ///
    /// # Errors
    /// When the log has to be asked and fails.
    pub async fn read(
        &self,
        partition: Partition,
        after: Position,
        limit: usize,
    ) -> Result<Stretch, LogError> {
        if let Some(stretch) = self.recent(partition, after, limit) {
            return Ok(stretch);
        }
        let head = self.shared.heads.borrow().get(partition);
        let read =
            around::partition_events(&*self.shared.log, partition, (after, head), limit).await?;
        self.shared.reported.report(&read.unreadable);
        Ok(read)
    }

    /// The same from memory alone; none where it no longer holds the event after `after`, or not yet.
    #[must_use]
    pub fn recent(&self, partition: Partition, after: Position, limit: usize) -> Option<Stretch> {
        self.shared.recent[partition.index()].lock().read(after, limit.min(READ_EVENTS_MAX))
    }

    /// [`EventLog::tenant_events`] around what cannot be read.
    ///
    /// # Errors
    /// When the log fails.
    pub async fn tenant_events(
        &self,
        tenant: &Tenant,
        after: &Positions,
        limit: usize,
    ) -> Result<Around<Page>, LogError> {
        let read = around::page(&*self.shared.log, Some(tenant), after, limit).await?;
        self.shared.reported.report(&read.unreadable);
        Ok(read)
    }

    /// [`EventLog::stream_page`] around what cannot be read.
    ///
    /// # Errors
    /// When the log fails.
    pub async fn stream_page(
        &self,
        read: &StreamRead,
        limit: usize,
    ) -> Result<Around<Vec<Event>>, LogError> {
        let read = around::stream_page(&*self.shared.log, read, limit).await?;
        self.shared.reported.report(&read.unreadable);
        Ok(read)
    }

    /// The rows that turned out to be unreadable since the node began to follow the log.
    #[must_use]
    pub fn reported(&self) -> &Reported {
        &self.shared.reported
    }
}

async fn follow(shared: Arc<Shared>, mut woken: watch::Receiver<u64>) {
    let mut owed = Positions::START;
    loop {
        match shared.read_on(&mut owed).await {
            Ok(true) => {}
            Ok(false) => shared.rest(&mut woken).await,
            Err(error) => {
                tracing::warn!(error = &error as &dyn std::error::Error, "log.tail.failed");
                shared.beside.written().forget();
                sleep(TAIL_RETRIES_AFTER).await;
            }
        }
        sleep(TAIL_RESTS_FOR).await;
    }
}

impl Shared {
    /// The number of the incarnation that is known; 0 where none is.
    fn known(&self) -> u32 {
        self.incarnation.lock().as_ref().map_or(0, Incarnation::number)
    }

    /// Until there may be more to read.
    async fn rest(&self, woken: &mut watch::Receiver<u64>) {
        tokio::select! {
            changed = woken.changed() => if changed.is_err() {
                // A bus that has gone leaves looking by itself.
                sleep(TAIL_LOOKS_EVERY).await;
            },
            () = sleep(TAIL_LOOKS_EVERY) => {}
            () = self.asked.notified() => {
                if let Err(error) = self.go_back().await {
                    tracing::warn!(error = &error as &dyn std::error::Error, "log.tail.failed");
                }
            }
        }
    }

    /// Reads one page and says whether there is more. `owed` is how far the log had come at the last look.
    async fn read_on(&self, owed: &mut Positions) -> Result<bool, LogError> {
        if let Some(standing) = self.take_written().await? {
            let reached = *self.heads.borrow();
            if reached.covers(&standing.heads) {
                return Ok(false);
            }
            // The rest is this node's own and about to be handed over, or another's: that shows at the next look.
            let is_new = reached.covers(owed);
            *owed = standing.heads;
            if is_new {
                return Ok(true);
            }
        }
        let reached = *self.heads.borrow();
        let read = match around::page(&*self.log, None, &reached, READ_EVENTS_MAX).await {
            Err(LogError::Damaged { what, .. }) => return self.leap(&reached, &what).await,
            read => read?,
        };
        let page = read.found;
        let held = self.incarnation.lock().clone();
        // Nothing is written under an older incarnation once a newer has begun.
        let is_newer = |event: &Event| {
            let (of, held) = (&event.origin.region, held.as_ref());
            held.is_none_or(|held| of.region() == held.region() && of.number() > held.number())
        };
        if page.events.iter().any(is_newer) || !page.heads.covers(&reached) {
            self.go_back().await?;
            return Ok(true);
        }
        self.reported.report(&read.unreadable);
        let mut heads = reached;
        for row in read.unreadable {
            heads.set(row.partition, row.position);
            self.recent[row.partition.index()].lock().push(Err(Box::new(row)));
        }
        for event in page.events {
            heads.set(event.partition, event.position);
            self.recent[event.partition.index()].lock().push(Ok(Arc::new(event)));
        }
        if heads != reached {
            self.heads.send_replace(heads);
        }
        Ok(page.more)
    }

    /// Takes what this node has written, where that is what comes next; says then where the log stands.
    async fn take_written(&self) -> Result<Option<Standing>, LogError> {
        let reached = *self.heads.borrow();
        let ends = self.beside.written().ends_beyond(&reached);
        if ends.is_empty() {
            return Ok(None);
        }
        let places: Vec<_> = ends.iter().map(|end| end.place).collect();
        let standing = self.log.standing(&places).await?;
        let is_there =
            ends.iter().map(|end| Some(end.event_id)).eq(standing.event_ids.iter().copied());
        if !is_there {
            self.beside.written().forget();
            return Ok(None);
        }
        if standing.incarnation != *self.incarnation.lock() || !standing.heads.covers(&reached) {
            return Ok(None);
        }
        let events = self.beside.written().after(&reached, &standing);
        if events.is_empty() {
            return Ok(None);
        }
        let mut heads = reached;
        for event in events {
            heads.set(event.partition, event.position);
            self.recent[event.partition.index()].lock().push(Ok(event));
        }
        self.heads.send_replace(heads);
        Ok(Some(standing))
    }

    /// What comes next is damaged, and nothing says which row it is: the others are found by those who read on.
    async fn leap(&self, reached: &Positions, what: &str) -> Result<bool, LogError> {
        let heads = self.log.heads().await?;
        if !heads.covers(reached) {
            self.go_back().await?;
            return Ok(true);
        }
        tracing::error!(what, "log.tail.leaps");
        for (partition, head) in heads.iter() {
            if head != reached.get(partition) {
                *self.recent[partition.index()].lock() = Recent::after(head);
            }
        }
        self.heads.send_replace(heads);
        Ok(false)
    }
}

fn newest(incarnations: &[IncarnationStart]) -> Option<Incarnation> {
    incarnations.last().map(|start| start.incarnation.clone())
}

#[cfg(test)]
mod tests;
