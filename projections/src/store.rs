//! The store of the tickets view: a port that each database fills, held together by one contract suite.

use std::collections::BTreeMap;

use async_trait::async_trait;
use docket_engine::cursor::Positions;
use docket_schemas::{Incarnation, Partition, Position, Tenant, TicketId, Timestamp};

use crate::PartitionSet;
use crate::counters::CounterKey;
use crate::query::{Count, CountQuery, ListPage, ListQuery, Listed, Viewer};
use crate::row::TicketRow;
use crate::sink::{Poison, Taken};

/// Most tickets that are looked up by id at once.
pub const LOOK_UP_TICKETS_MAX: usize = 1_000;

/// Why a store gives no answer. Never the caller's fault.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// No answer, or a refusal that trying again may outlast.
    #[error("the tickets view does not answer")]
    Unavailable(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// A row that this release cannot read.
    #[error("the tickets view is damaged: {what}")]
    Damaged {
        /// Which row.
        what: String,
    },
}

/// The number of a version: rises with every rebuild, and is never used again.
pub type VersionNumber = u64;

/// What becomes of a version.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// It is being filled, beside the active one, or was not compared with the log yet.
    Filling,
    /// Queries are answered from it.
    Active,
    /// It can be switched to and is still projected: mostly it was active before.
    Kept,
}

impl Phase {
    /// As operators read it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Filling => "filling",
            Self::Active => "active",
            Self::Kept => "kept",
        }
    }
}

/// One of the at most two versions of the view.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Version {
    /// Which.
    pub number: VersionNumber,
    /// What becomes of it.
    pub phase: Phase,
    /// The shape of its rows, see [`crate::row::ROW_FORMAT`].
    pub format: u16,
    /// Whose positions its checkpoints are; none before the first node has fed it.
    pub incarnation: Option<Incarnation>,
    /// Since when it is in its phase.
    pub since: Timestamp,
}

/// The rows that a stretch of one partition makes.
#[derive(Debug, Clone)]
pub struct SpanRows {
    /// Which partition.
    pub partition: Partition,
    /// The checkpoint that has to stand.
    pub after: Position,
    /// The checkpoint that will.
    pub upto: Position,
    /// When the event at `upto` was recorded.
    pub recorded_at: Timestamp,
    /// Each ticket once.
    pub rows: Vec<TicketRow>,
    /// Tickets that cannot be folded.
    pub parked: Vec<Poison>,
}

/// A ticket that waits for an operator or a newer release.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parked {
    /// Its partition.
    pub partition: Partition,
    /// Whose and which, where that is known, and why.
    pub poison: Poison,
}

/// Everything that a version holds of one partition, as one snapshot.
#[derive(Debug, Clone, Default)]
pub struct PartitionDump {
    /// The checkpoint.
    pub checkpoint: Position,
    /// Every row that can be read.
    pub rows: Vec<TicketRow>,
    /// Rows that cannot be read, and why.
    pub unreadable: Vec<(Tenant, TicketId, String)>,
    /// The counters.
    pub counters: BTreeMap<CounterKey, i64>,
    /// Tickets whose readers or tags are listed otherwise than in their row, those without a row among them.
    pub stray: Vec<(Tenant, TicketId)>,
    /// Parked tickets.
    pub parked: Vec<Parked>,
}

/// A rebuild that somebody asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RebuildRequest {
    /// Which.
    pub id: u64,
    /// How it ended; none while it waits or runs. Inside: why it failed.
    pub ended: Option<Result<(), String>>,
}

/// What mends one partition.
#[derive(Debug, Clone)]
pub struct Mending {
    /// Which partition.
    pub partition: Partition,
    /// The checkpoint that has to stand.
    pub checkpoint: Position,
    /// The checkpoint that will, up to which the rows were folded: another one where it was set by hand.
    pub upto: Position,
    /// Rows that take the place of whatever is there.
    pub rows: Vec<TicketRow>,
    /// Tickets that have no row.
    pub gone: Vec<(Tenant, TicketId)>,
    /// Tickets that cannot be folded; their rows stay.
    pub parked: Vec<Poison>,
    /// Events that were noted as unreadable and have been read: they are noted no more.
    pub readable: Vec<Position>,
}

/// A store of the tickets view. Every implementation passes the suite in [`crate::contract`].
///
/// Every write of a version first compares the checkpoints that it was worked out on with those that stand, in the
/// transaction that writes: two nodes that feed one partition never both succeed.
///
/// Futures may be dropped at any time: a transaction that has begun then still ends by itself.
#[async_trait]
pub trait ViewStore: Send + Sync + 'static {
    /// The versions, oldest first. A new store has one, active and empty.
    async fn versions(&self) -> Result<Vec<Version>, StoreError>;

    /// Makes an empty version to be filled, without indexes. A kept version is dropped for it; one that is being filled
    /// is begun again. Its number is new.
    async fn begin(&self, format: u16, now: Timestamp) -> Result<VersionNumber, StoreError>;

    /// Makes the indexes of a version, and has the database look at how its values are spread.
    async fn index(&self, version: VersionNumber) -> Result<(), StoreError>;

    /// Says that a version with its indexes was compared with the log: from now on it can be switched to.
    async fn vouch(&self, version: VersionNumber) -> Result<(), StoreError>;

    /// Answers queries from `to` from now on, in one row's change, and keeps the version before it. Nothing happens, and
    /// the answer is false, unless `to` was vouched for and has come at least as far as the active one has.
    async fn switch(&self, to: VersionNumber, now: Timestamp) -> Result<bool, StoreError>;

    /// Drops a version that is not active; its feeders are fenced.
    async fn drop_version(&self, version: VersionNumber) -> Result<(), StoreError>;

    /// Says whose positions the checkpoints of a version are, if they are `from`'s still (compare-and-set) and none lies
    /// beyond `within`. Whoever writes under `from` is fenced from then on.
    async fn go_on_as(
        &self,
        version: VersionNumber,
        from: Option<&Incarnation>,
        to: &Incarnation,
        within: &Positions,
    ) -> Result<bool, StoreError>;

    /// How far a version has come; all zero for one that is gone.
    async fn checkpoints(&self, version: VersionNumber) -> Result<Positions, StoreError>;

    /// Writes rows, counters, what is parked, and the new checkpoints in one transaction, the checkpoints first. A row
    /// that was folded further stays as it is. A ticket that has a row is parked no more. What was read of the log
    /// `under` an incarnation that the version has left is fenced.
    async fn write(
        &self,
        version: VersionNumber,
        under: Option<&Incarnation>,
        spans: Vec<SpanRows>,
    ) -> Result<Taken, StoreError>;

    /// Replaces rows whatever their positions, removes others, counts the partition anew, in one transaction.
    async fn mend(&self, version: VersionNumber, mending: Mending) -> Result<Taken, StoreError>;

    /// All that a version holds of one partition.
    async fn dump(
        &self,
        version: VersionNumber,
        partition: Partition,
    ) -> Result<PartitionDump, StoreError>;

    /// Tickets that cannot be folded, in these partitions.
    async fn parked(
        &self,
        version: VersionNumber,
        partitions: PartitionSet,
    ) -> Result<Vec<Parked>, StoreError>;

    /// The rows of some tickets, of any version; those that are missing or cannot be read are left out.
    async fn rows(
        &self,
        version: VersionNumber,
        tickets: &[(Tenant, TicketId)],
    ) -> Result<Vec<TicketRow>, StoreError>;

    /// Asks the nodes for a rebuild; one that waits already is the same.
    async fn ask_rebuild(&self, now: Timestamp) -> Result<u64, StoreError>;

    /// A rebuild that was asked for: the one with this id, or the one that waits or runs.
    async fn rebuild_request(&self, id: Option<u64>) -> Result<Option<RebuildRequest>, StoreError>;

    /// Says how a rebuild ended.
    async fn end_rebuild(
        &self,
        id: u64,
        outcome: Result<(), String>,
        now: Timestamp,
    ) -> Result<(), StoreError>;

    /// How far the active version has come.
    async fn reached(&self) -> Result<Positions, StoreError>;

    /// A page of a list, from the active version.
    async fn list(&self, query: &ListQuery) -> Result<ListPage, StoreError>;

    /// A count, from the active version.
    async fn count(&self, query: &CountQuery) -> Result<Count, StoreError>;

    /// Those of these tickets that the viewer may see, from the active version, in any order; at most
    /// [`LOOK_UP_TICKETS_MAX`]. Their places say nothing.
    async fn tickets(
        &self,
        tenant: &Tenant,
        viewer: Viewer,
        tickets: &[TicketId],
    ) -> Result<Vec<Listed>, StoreError>;
}
