//! The table of sagas: derived from their streams, so that what is under way is found without reading the log.

use async_trait::async_trait;
use docket_schemas::{
    Event, Partition, Position, Principal, Role, SagaId, Tenant, Timestamp, UnknownName,
};

use super::log::LogError;

/// How a saga stands, for those who look for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Standing {
    /// A step is being done.
    Running,
    /// It waits: for a time, an event, or its next try.
    Waiting,
    /// It undoes what was done.
    Compensating,
    /// It waits for an operator.
    Parked,
    /// It ended, with every step done.
    Done,
    /// It ended, with everything undone.
    Undone,
    /// It was cancelled, and everything undone.
    Cancelled,
    /// Its definition is paused, and it would go on otherwise. No row is kept so: the pauses say it when rows are read.
    Paused,
}

impl Standing {
    /// Every one.
    pub const ALL: [Self; 8] = [
        Self::Running,
        Self::Waiting,
        Self::Compensating,
        Self::Parked,
        Self::Done,
        Self::Undone,
        Self::Cancelled,
        Self::Paused,
    ];

    /// As it stands in answers, and all but [`Self::Paused`] in the table.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Waiting => "waiting",
            Self::Compensating => "compensating",
            Self::Parked => "parked",
            Self::Done => "done",
            Self::Undone => "undone",
            Self::Cancelled => "cancelled",
            Self::Paused => "paused",
        }
    }

    /// How it stands while its definition is paused: what has ended or is parked does not go on anyway.
    #[must_use]
    pub const fn at_rest(self) -> Self {
        match self {
            Self::Running | Self::Waiting | Self::Compensating => Self::Paused,
            stays => stays,
        }
    }

    /// Whether it has ended.
    #[must_use]
    pub const fn is_ended(self) -> bool {
        matches!(self, Self::Done | Self::Undone | Self::Cancelled)
    }
}

impl std::str::FromStr for Standing {
    type Err = UnknownName;

    fn from_str(name: &str) -> Result<Self, UnknownName> {
        Self::ALL.into_iter().find(|standing| standing.as_str() == name).ok_or(UnknownName)
    }
}

/// A saga in the table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SagaRow {
    /// Whose.
    pub tenant: Tenant,
    /// Which.
    pub id: SagaId,
    /// Its stream's partition.
    pub partition: Partition,
    /// The last event that the row holds.
    pub position: Position,
    /// Its definition.
    pub definition: String,
    /// Its definition's version.
    pub version: u16,
    /// How it stands.
    pub standing: Standing,
    /// What it is about.
    pub subject: String,
    /// Who started it.
    pub started_by: Principal,
    /// As what.
    pub role: Role,
    /// When.
    pub started_at: Timestamp,
    /// When it ended.
    pub ended_at: Option<Timestamp>,
    /// When it goes on by itself.
    pub next_at: Option<Timestamp>,
    /// The step that it stands at after a failure.
    pub failing_step: Option<String>,
    /// What went wrong there, or why it is parked.
    pub error: Option<String>,
}

/// A tenant's definition, paused or not.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Pause {
    /// Whose.
    pub tenant: Tenant,
    /// Which definition.
    pub definition: String,
    /// Whether its sagas rest.
    pub is_paused: bool,
}

/// What is kept in one go.
#[derive(Debug, Clone, Default)]
pub struct Kept {
    /// Rows as they now are; an older position never replaces a newer.
    pub sagas: Vec<SagaRow>,
    /// Definitions paused and resumed.
    pub pauses: Vec<Pause>,
}

/// What a list is of. Every part that is given must fit.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SagaFilter {
    /// How they stand.
    pub standing: Option<Standing>,
    /// Of which definition.
    pub definition: Option<String>,
    /// About what.
    pub subject: Option<String>,
    /// Started by whom.
    pub started_by: Option<Principal>,
}

/// A place in a list, newest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SagaPlace {
    /// When the saga there was started.
    pub started_at: Timestamp,
    /// Which it is.
    pub id: SagaId,
}

/// The table on one backend, in the log's own database, so that both are restored together.
#[async_trait]
pub trait SagaTable: Send + Sync + 'static {
    /// The events of sagas of all tenants in one partition after a position, oldest first, at most `limit` and never more
    /// than [`super::log::READ_EVENTS_MAX`].
    async fn saga_events(
        &self,
        partition: Partition,
        after: Position,
        limit: usize,
    ) -> Result<Vec<Event>, LogError>;

    /// How far the table has come in a partition; 0 for a new one.
    async fn reached(&self, partition: Partition) -> Result<Position, LogError>;

    /// Keeps what was folded from `from` up to `to`, unless the table has come elsewhere than `from` meanwhile: false
    /// then, and nothing is written.
    async fn keep(
        &self,
        partition: Partition,
        from: Position,
        to: Position,
        kept: &Kept,
    ) -> Result<bool, LogError>;

    /// The sagas of a partition that have not ended.
    async fn unended(&self, partition: Partition) -> Result<Vec<SagaRow>, LogError>;

    /// One saga.
    async fn find(&self, tenant: &Tenant, saga: SagaId) -> Result<Option<SagaRow>, LogError>;

    /// A tenant's sagas, the last started first, beyond a place; at most `limit`.
    async fn list(
        &self,
        tenant: &Tenant,
        filter: &SagaFilter,
        after: Option<SagaPlace>,
        limit: usize,
    ) -> Result<Vec<SagaRow>, LogError>;

    /// Every definition that is paused.
    async fn paused(&self) -> Result<Vec<Pause>, LogError>;
}

/// What the other side of a remote step may do with a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Passage {
    /// Do it.
    First,
    /// It was let through before: do it again only where doing it twice is doing it once.
    Again,
    /// An undo of what was never done: do nothing. What comes late is turned away from now on.
    Empty,
    /// It comes after its undo: do nothing.
    Late,
}

/// A barrier against duplicate, empty and late calls, for the other side of a remote step.
#[async_trait]
pub trait Barrier: Send + Sync + 'static {
    /// Says which of them a call is, and remembers it, durably and at once.
    async fn pass(
        &self,
        tenant: &Tenant,
        saga: SagaId,
        step: &str,
        direction: docket_schemas::saga::Direction,
    ) -> Result<Passage, LogError>;
}
