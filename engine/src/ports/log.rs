//! The event log: the one place where a write becomes durable.

use std::sync::Arc;

use async_trait::async_trait;
use docket_schemas::{
    CommandId, Draft, Event, EventId, Incarnation, Partition, Position, SlotKey, Stream, Tenant,
    TicketId, Timestamp,
};
use uuid::Uuid;

use crate::cursor::Positions;

/// Most rows of one append; a unit of more is a bug of its caller.
pub const APPEND_BATCH_ROWS_MAX: usize = 500;

/// Most events that one read returns.
pub const READ_EVENTS_MAX: usize = 1_000;

/// Why the log failed. Never the caller's fault.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// No answer from the backend: the outcome is unknown, and the same batch may be sent again.
    #[error("event log unavailable")]
    Unavailable(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// Nothing was written: the connection that appends is a new one, and behind it may be a log that was restored from
    /// a backup meanwhile. Compare it with the witnesses, then send the same batch again.
    #[error("event log connected anew")]
    Reconnected,
    /// A stored row that cannot be read, or a log to which nothing can be appended yet: no incarnation has begun.
    #[error("event log damaged: {what}")]
    Damaged {
        /// Which row, or what is missing.
        what: String,
        /// Where the row stands; none where that cannot be said, or where no row is to blame.
        at: Option<(Partition, Position)>,
    },
}

impl LogError {
    /// Damage that no row is to blame for, or that says not which.
    #[must_use]
    pub fn damaged(what: impl Into<String>) -> Self {
        Self::Damaged { what: what.into(), at: None }
    }
}

/// What a row expects of its stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expected {
    /// The row opens the stream, whose id derives from the row's own command: deduplication is check enough.
    Opening,
    /// The stream's last position that the row was authored on; 0 for an empty stream.
    Last(Position),
    /// The row follows an earlier row of the same stream in the same batch.
    Chained,
}

/// A draft with what it expects of its stream.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    /// The event to be; shared with whoever waits for it.
    pub draft: Arc<Draft>,
    /// Checked under the partition's lock.
    pub expected: Expected,
}

/// Rows that stand or fall together, of one or several streams. Never empty.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Unit {
    /// In the order in which they take their positions.
    pub rows: Vec<Row>,
}

/// What one append writes in one transaction.
#[derive(Debug, Clone, PartialEq)]
pub struct Batch {
    /// The incarnation that the rows were authored under; any but the newest is handed back whole.
    pub incarnation: Incarnation,
    /// The erasure epoch of the key cache that sealed the rows; an older one than the log's is handed back whole.
    pub erasure_epoch: u64,
    /// The writer's clock, for logs that have none of their own.
    pub now: Timestamp,
    /// In order; a later unit may build on an earlier one.
    pub units: Vec<Unit>,
}

/// Where the log put a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Placed {
    /// The stream's partition.
    pub partition: Partition,
    /// The position there.
    pub position: Position,
    /// One time for all rows of a unit.
    pub recorded_at: Timestamp,
}

/// What became of one unit. Only [`UnitOutcome::Appended`] wrote anything.
#[derive(Debug, Clone, PartialEq)]
pub enum UnitOutcome {
    /// Durable: a place for each row.
    Appended(Vec<Placed>),
    /// A row's command is already stored for its tenant, whatever region or incarnation stored it.
    Duplicate {
        /// Index of the first such row in the unit.
        row: usize,
        /// What is stored.
        stored: Box<Event>,
    },
    /// Handed back to be authored again: a stream has other events at its end than the row was authored on, or an
    /// earlier unit of this batch that touches one of its streams was not appended.
    Behind,
    /// A slot to be taken is held.
    SlotHeld {
        /// Which.
        key: SlotKey,
        /// The event that took it.
        holder: EventId,
    },
    /// A slot to be released is free.
    SlotFree {
        /// Which.
        key: SlotKey,
    },
    /// A constraint fired that the append excludes, such as a dot used twice: a bug of the author. The unit alone is
    /// left out; its neighbours are as if it had been handed back.
    Damaged {
        /// Which constraint.
        what: String,
    },
    /// The batch's erasure epoch is older than the log's, which is `current`: seal and author again.
    EpochOld {
        /// The log's.
        current: u64,
    },
    /// The batch's incarnation is not the newest, which is `current`: author again.
    IncarnationOld {
        /// The log's.
        current: Incarnation,
    },
}

/// A read of one stream's events beyond a position.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StreamRead {
    /// Whose.
    pub tenant: Tenant,
    /// Which stream.
    pub stream: Stream,
    /// Events after this position.
    pub after: Position,
}

/// A page of events, a tenant's or everyone's, with the heads of the same snapshot.
#[derive(Debug, Clone, PartialEq)]
pub struct Page {
    /// By (`recorded_at`, partition, position); within a partition in position order, without gaps for
    /// whose events they are.
    pub events: Vec<Event>,
    /// The log's heads when the page was read.
    pub heads: Positions,
    /// Whether there are more events up to these heads.
    pub more: bool,
}

/// A ticket's document and change graph as they stood at a position. Derived: it may be missing or deleted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot {
    /// The last event that it holds.
    pub position: Position,
    /// Format and content are the engine's.
    pub bytes: Vec<u8>,
}

/// When an incarnation of this region began.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IncarnationStart {
    /// Which.
    pub incarnation: Incarnation,
    /// The heads at that moment.
    pub heads: Positions,
}

/// Where the log stands at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    /// The newest incarnation; none for a new log.
    pub incarnation: Option<Incarnation>,
    /// The last position of each partition.
    pub heads: Positions,
    /// The event at each place that was asked about, in that order; none where none is.
    pub event_ids: Vec<Option<EventId>>,
}

/// The log on one backend. Every implementation passes the suite in [`crate::contract`].
///
/// Futures may be dropped at any time: a transaction that has begun then still ends by itself.
#[async_trait]
pub trait EventLog: Send + Sync + 'static {
    /// Writes a batch in one transaction and says, unit by unit, what became of it.
    ///
    /// In this order: lock the heads of the batch's partitions, ascending; drop units of which a command is stored;
    /// hand back what was authored on another last position; take and release slots; then number, and insert.
    /// Dropping, handing back or refusing one unit hands back the later units that touch one of its streams.
    /// `recorded_at` is `max(clock, the partition's last + 1 µs)`, so time order is position order.
    ///
    /// # Errors
    /// [`LogError::Unavailable`] leaves the outcome unknown; the same batch sent again answers
    /// [`UnitOutcome::Duplicate`] with the same event where it had been written. [`LogError::Reconnected`] once after
    /// each loss of the connection.
    async fn append(&self, batch: Batch) -> Result<Vec<UnitOutcome>, LogError>;

    /// Events of several streams, each beyond its own position; of each stream in position order, streams in the
    /// order of `reads`. For folding, which never looks at what a message says: its `sealed` is left out. Returns all
    /// of them: callers bound what they ask for by snapshots.
    async fn stream_events(&self, reads: &[StreamRead]) -> Result<Vec<Event>, LogError>;

    /// The events of one stream after a position, at most `limit` and never more than [`READ_EVENTS_MAX`].
    async fn stream_page(&self, read: &StreamRead, limit: usize) -> Result<Vec<Event>, LogError>;

    /// The stored event of a tenant's command in one partition, by whichever incarnation it was accepted first.
    async fn event_of_command(
        &self,
        tenant: &Tenant,
        partition: Partition,
        command: CommandId,
    ) -> Result<Option<Event>, LogError>;

    /// All tenants' events of one partition after `after`, at most `limit` and never more than [`READ_EVENTS_MAX`].
    async fn partition_events(
        &self,
        partition: Partition,
        after: Position,
        limit: usize,
    ) -> Result<Vec<Event>, LogError>;

    /// All tenants' events beyond `after`, at most `limit` and never more than [`READ_EVENTS_MAX`]: what a node's one
    /// follower of the whole log reads.
    async fn events(&self, after: &Positions, limit: usize) -> Result<Page, LogError>;

    /// One tenant's events beyond `after`, at most `limit` and never more than [`READ_EVENTS_MAX`].
    async fn tenant_events(
        &self,
        tenant: &Tenant,
        after: &Positions,
        limit: usize,
    ) -> Result<Page, LogError>;

    /// The last position of each partition.
    async fn heads(&self) -> Result<Positions, LogError>;

    /// The heads, which event stands at some places, and the incarnation under which that is so: no other had begun when
    /// they were read.
    async fn standing(&self, places: &[(Partition, Position)]) -> Result<Standing, LogError> {
        let heads = self.heads().await?;
        let mut event_ids = Vec::with_capacity(places.len());
        for (partition, position) in places {
            event_ids.push(self.event_id_at(*partition, *position).await?);
        }
        let incarnation = self.incarnations().await?.pop().map(|start| start.incarnation);
        Ok(Standing { incarnation, heads, event_ids })
    }

    /// The event at one place, for comparing a witness with the log.
    async fn event_id_at(
        &self,
        partition: Partition,
        position: Position,
    ) -> Result<Option<EventId>, LogError>;

    /// The events at these places, in any order; those that are not there are left out.
    async fn events_at(&self, places: &[(Partition, Position)]) -> Result<Vec<Event>, LogError> {
        let mut events = Vec::with_capacity(places.len());
        for (partition, position) in places {
            let found = self.partition_events(*partition, position.saturating_sub(1), 1).await?;
            events.extend(found.into_iter().filter(|event| event.position == *position));
        }
        Ok(events)
    }

    /// The tickets of a tenant that were opened with this `external_id`, oldest first, at most `limit`.
    async fn tickets_by_external_id(
        &self,
        tenant: &Tenant,
        external_id: &str,
        limit: usize,
    ) -> Result<Vec<TicketId>, LogError>;

    /// The newest snapshot of each ticket that has one.
    async fn snapshots(
        &self,
        tickets: &[(Tenant, TicketId)],
    ) -> Result<Vec<(Tenant, TicketId, Snapshot)>, LogError>;

    /// Keeps a snapshot unless a later one is kept already. A log that outlives its process keeps none of a ticket whose last
    /// event it lacks: it may have been restored since the snapshot was made.
    async fn save_snapshot(
        &self,
        tenant: &Tenant,
        ticket: TicketId,
        snapshot: Snapshot,
    ) -> Result<(), LogError>;

    /// The incarnations of this region, oldest first; empty for a new log.
    async fn incarnations(&self) -> Result<Vec<IncarnationStart>, LogError>;

    /// Begins `next` at the present heads if `newest` is still the newest (compare-and-set); answers the newest.
    async fn begin_incarnation(
        &self,
        newest: Option<&Incarnation>,
        next: &Incarnation,
    ) -> Result<Incarnation, LogError>;

    /// The key store that this log's sealed parts belong to; none for a new log.
    async fn key_store(&self) -> Result<Option<Uuid>, LogError>;

    /// Names the key store unless one is named already; answers the one that is.
    async fn name_key_store(&self, id: Uuid) -> Result<Uuid, LogError>;

    /// The erasure epoch, which rises when a key is destroyed.
    async fn erasure_epoch(&self) -> Result<u64, LogError>;

    /// Raises the erasure epoch by one, durably, and answers the new one. Called before a key is destroyed, so that
    /// nothing is acknowledged under it afterwards.
    async fn raise_erasure_epoch(&self) -> Result<u64, LogError>;

    /// Writes something that is no event, durably: whether the next write would succeed.
    async fn probe_write(&self) -> Result<(), LogError>;
}
