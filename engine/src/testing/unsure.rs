//! A log that loses answers: it writes, and says that it does not know.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use async_trait::async_trait;
use docket_schemas::{
    CommandId, Event, EventId, Incarnation, Partition, Position, Tenant, TicketId,
};
use parking_lot::Mutex;
use tokio::sync::watch;
use uuid::Uuid;

use crate::cursor::Positions;
use crate::ports::log::{
    Batch, EventLog, IncarnationStart, LogError, Page, Snapshot, StreamRead, UnitOutcome,
};

/// A log in front of another whose next answers to appends are lost.
pub struct UnsureLog {
    inner: Arc<dyn EventLog>,
    lost_answers: AtomicUsize,
    unreadable: Mutex<Option<TicketId>>,
    silent: AtomicBool,
    missed: AtomicUsize,
    /// Most rows of a unit that nobody overtakes.
    uncrowded: AtomicUsize,
    held_up: watch::Sender<bool>,
    /// How many units each append brought.
    batches: Mutex<Vec<usize>>,
}

impl std::fmt::Debug for UnsureLog {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "UnsureLog({} to lose)", self.lost_answers.load(Ordering::SeqCst))
    }
}

impl UnsureLog {
    /// In front of `inner`; loses nothing yet.
    #[must_use]
    pub fn new(inner: Arc<dyn EventLog>) -> Self {
        Self {
            inner,
            lost_answers: AtomicUsize::new(0),
            unreadable: Mutex::new(None),
            silent: AtomicBool::new(false),
            missed: AtomicUsize::new(0),
            uncrowded: AtomicUsize::new(usize::MAX),
            held_up: watch::Sender::new(false),
            batches: Mutex::default(),
        }
    }

    /// Appends are on their way until they are held up no more.
    pub fn hold_up(&self, held_up: bool) {
        self.held_up.send_replace(held_up);
    }

    /// How many units each append brought, also those that are on their way.
    pub fn batches(&self) -> Vec<usize> {
        self.batches.lock().clone()
    }

    /// A row of this ticket cannot be read any more.
    pub fn spoil(&self, ticket: TicketId) {
        *self.unreadable.lock() = Some(ticket);
    }

    /// Nothing can be read any more; appends are answered.
    pub fn silence(&self) {
        self.silent.store(true, Ordering::SeqCst);
    }

    /// What was silent answers again.
    pub fn answer(&self) {
        self.silent.store(false, Ordering::SeqCst);
    }

    /// The next `count` looks for what is new on a stream get no answer; who reads one from its beginning does.
    pub fn miss(&self, count: usize) {
        self.missed.store(count, Ordering::SeqCst);
    }

    /// Units of more rows come too late: somebody else has always written to one of their tickets before.
    pub fn crowd(&self, most: usize) {
        self.uncrowded.store(most, Ordering::SeqCst);
    }

    /// The answers of the next `count` appends are lost; what they append is appended.
    pub fn lose(&self, count: usize) {
        self.lost_answers.store(count, Ordering::SeqCst);
    }
}

/// Takes one of what is left; false where nothing is.
fn is_left(count: &AtomicUsize) -> bool {
    let fewer = |left: usize| left.checked_sub(1);
    count.fetch_update(Ordering::SeqCst, Ordering::SeqCst, fewer).is_ok()
}

#[async_trait]
impl EventLog for UnsureLog {
    async fn append(&self, batch: Batch) -> Result<Vec<UnitOutcome>, LogError> {
        self.batches.lock().push(batch.units.len());
        let _ = self.held_up.subscribe().wait_for(|held_up| !held_up).await;
        let most = self.uncrowded.load(Ordering::SeqCst);
        if batch.units.iter().any(|unit| unit.rows.len() > most) {
            return Ok(vec![UnitOutcome::Behind; batch.units.len()]);
        }
        let outcomes = self.inner.append(batch).await?;
        match is_left(&self.lost_answers) {
            true => Err(LogError::Unavailable("the answer was lost".into())),
            false => Ok(outcomes),
        }
    }

    async fn stream_events(&self, reads: &[StreamRead]) -> Result<Vec<Event>, LogError> {
        let spoilt = *self.unreadable.lock();
        if reads.iter().any(|read| spoilt.is_some_and(|ticket| read.stream.id == ticket.uuid())) {
            return Err(LogError::damaged("unknown type of event"));
        }
        if self.silent.load(Ordering::SeqCst) {
            return Err(LogError::Unavailable("no answer".into()));
        }
        self.inner.stream_events(reads).await
    }

    async fn stream_page(&self, read: &StreamRead, limit: usize) -> Result<Vec<Event>, LogError> {
        if read.after > 0 && is_left(&self.missed) {
            return Err(LogError::Unavailable("no answer".into()));
        }
        self.inner.stream_page(read, limit).await
    }

    async fn event_of_command(
        &self,
        tenant: &Tenant,
        partition: Partition,
        command: CommandId,
    ) -> Result<Option<Event>, LogError> {
        self.inner.event_of_command(tenant, partition, command).await
    }

    async fn partition_events(
        &self,
        partition: Partition,
        after: Position,
        limit: usize,
    ) -> Result<Vec<Event>, LogError> {
        self.inner.partition_events(partition, after, limit).await
    }

    async fn events(&self, after: &Positions, limit: usize) -> Result<Page, LogError> {
        self.inner.events(after, limit).await
    }

    async fn tenant_events(
        &self,
        tenant: &Tenant,
        after: &Positions,
        limit: usize,
    ) -> Result<Page, LogError> {
        self.inner.tenant_events(tenant, after, limit).await
    }

    async fn heads(&self) -> Result<Positions, LogError> {
        self.inner.heads().await
    }

    async fn event_id_at(
        &self,
        partition: Partition,
        position: Position,
    ) -> Result<Option<EventId>, LogError> {
        self.inner.event_id_at(partition, position).await
    }

    async fn tickets_by_external_id(
        &self,
        tenant: &Tenant,
        external_id: &str,
        limit: usize,
    ) -> Result<Vec<TicketId>, LogError> {
        self.inner.tickets_by_external_id(tenant, external_id, limit).await
    }

    async fn snapshots(
        &self,
        tickets: &[(Tenant, TicketId)],
    ) -> Result<Vec<(Tenant, TicketId, Snapshot)>, LogError> {
        self.inner.snapshots(tickets).await
    }

    async fn save_snapshot(
        &self,
        tenant: &Tenant,
        ticket: TicketId,
        snapshot: Snapshot,
    ) -> Result<(), LogError> {
        self.inner.save_snapshot(tenant, ticket, snapshot).await
    }

    async fn incarnations(&self) -> Result<Vec<IncarnationStart>, LogError> {
        self.inner.incarnations().await
    }

    async fn begin_incarnation(
        &self,
        newest: Option<&Incarnation>,
        next: &Incarnation,
    ) -> Result<Incarnation, LogError> {
        self.inner.begin_incarnation(newest, next).await
    }

    async fn key_store(&self) -> Result<Option<Uuid>, LogError> {
        self.inner.key_store().await
    }

    async fn name_key_store(&self, id: Uuid) -> Result<Uuid, LogError> {
        self.inner.name_key_store(id).await
    }

    async fn erasure_epoch(&self) -> Result<u64, LogError> {
        self.inner.erasure_epoch().await
    }

    async fn raise_erasure_epoch(&self) -> Result<u64, LogError> {
        self.inner.raise_erasure_epoch().await
    }

    async fn probe_write(&self) -> Result<(), LogError> {
        self.inner.probe_write().await
    }
}
