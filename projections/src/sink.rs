//! What the runner feeds: a table of rows or a search index, each with a checkpoint of its own.
//!
//! The runner reads the log by partition, folds the tickets that a stretch of events touches, and hands a [`Batch`] to a
//! [`Sink`]. The sink makes its effect and its checkpoint durable together; the runner remembers nothing over a
//! restart. A sink that commits later than it takes (a search index) says in [`Sink::checkpoints`] what is durable:
//! after a crash it is fed from there again, so taking the same news twice must do no harm.

use std::sync::Arc;

use async_trait::async_trait;
use docket_engine::cursor::Positions;
use docket_engine::ticket::Resolved;
use docket_schemas::{Event, Partition, Position, Tenant, TicketId, Timestamp};

use crate::PartitionSet;

/// What is new, of one or several partitions.
#[derive(Debug, Clone, Default)]
pub struct Batch {
    /// Each partition at most once, ascending. Never empty.
    pub spans: Vec<Span>,
}

/// A stretch of one partition, all tenants' events together.
#[derive(Debug, Clone)]
pub struct Span {
    /// Which partition.
    pub partition: Partition,
    /// The checkpoint on which it was worked out; the sink compares it with its own.
    pub after: Position,
    /// The new checkpoint: the position of the last event that was read, whether anything came of it or not.
    pub upto: Position,
    /// When the event at `upto` was recorded.
    pub recorded_at: Timestamp,
    /// The tickets that these events touch, each once. May be empty: the checkpoint moves all the same.
    pub tickets: Vec<News>,
    /// Tickets that cannot be folded. They stay as they were, and the sink notes why.
    pub parked: Vec<Poison>,
}

/// A ticket with what is new about it.
#[derive(Debug, Clone)]
pub struct News {
    /// Whose.
    pub tenant: Tenant,
    /// Which.
    pub ticket: TicketId,
    /// Where its opening stands in its partition: it never changes, and names the ticket in an index.
    pub opened: Position,
    /// Its events in the span, as the log holds them, in order. Never empty.
    pub events: Vec<Arc<Event>>,
    /// The ticket after the last of them, and after no other.
    pub state: Arc<Resolved>,
    /// Where the last of its events stands: what `state` was folded to.
    pub position: Position,
    /// Where the last of its events stands that a customer may see.
    pub public_position: Position,
}

/// A ticket that cannot be folded: the log is damaged there, or was written by a newer release.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Poison {
    /// Whose; none where the event itself cannot be read.
    pub ticket: Option<(Tenant, TicketId)>,
    /// The first event that was not taken.
    pub position: Position,
    /// Why, for operators.
    pub reason: String,
}

/// Whether a sink took a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Taken {
    /// It did.
    Done,
    /// Its checkpoint is another than the batch was worked out on: somebody else feeds it, or it was mended. Nothing was
    /// taken; the runner asks for the checkpoints again.
    Fenced,
}

/// Why a sink took nothing. The runner tries again, with pauses.
#[derive(Debug, thiserror::Error)]
#[error("the projection cannot be written")]
pub struct SinkError(#[source] pub Box<dyn std::error::Error + Send + Sync>);

/// A projection as the runner sees it.
#[async_trait]
pub trait Sink: Send + Sync + 'static {
    /// What it is called in metrics and logs, such as `tickets` or `search`.
    fn name(&self) -> &str;

    /// How far it has durably come in these partitions; what it says of others does not matter. Asked at the start, when
    /// the runner gets further partitions, and after [`Taken::Fenced`].
    async fn checkpoints(&self, partitions: PartitionSet) -> Result<Positions, SinkError>;

    /// Whether it still stands in these partitions where it was fed to. Asked about every second: a store may be restored,
    /// lose its last moments in a crash, or be changed by hand. A sink that nobody else reaches says yes unseen.
    async fn stands_at(&self, _: PartitionSet, _: &Positions) -> Result<bool, SinkError> {
        Ok(true)
    }

    /// Takes a batch, whole or not at all. Called with one batch at a time, each beginning where the one before it
    /// ended.
    async fn take(&self, batch: &Batch) -> Result<Taken, SinkError>;
}
