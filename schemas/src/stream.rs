//! Where an event stands: its stream, the stream's partition, and the position in it.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::canonical::Fields;
use crate::ticket::UnknownName;
use crate::{SagaId, Tenant, TicketId};

/// How many partitions every region's log has. Fixed for ever: streams are assigned by hash.
pub const PARTITIONS: u8 = 16;

/// One of the log's 16 partitions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Partition(u8);

impl Partition {
    /// Every partition, ascending: the order in which heads are locked.
    pub fn all() -> impl Iterator<Item = Self> {
        (0..PARTITIONS).map(Self)
    }

    /// The partition with this number, when there is one.
    #[must_use]
    pub const fn new(number: u8) -> Option<Self> {
        if number < PARTITIONS { Some(Self(number)) } else { None }
    }

    /// 0 to 15.
    #[must_use]
    pub const fn number(self) -> u8 {
        self.0
    }

    /// As an index into an array by partition.
    #[must_use]
    pub const fn index(self) -> usize {
        self.0 as usize
    }
}

/// A place in a partition: 1 for its first event, gapless, in commit order. 0 stands before the first.
pub type Position = u64;

/// What a stream is about.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    schemars::JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum StreamKind {
    /// A ticket or chat; only these have Automerge changes.
    Ticket,
    /// A person's own settings.
    Person,
    /// A saga's state.
    Saga,
    /// Groups, agents, views, rules.
    Config,
    /// Who looked at what.
    Access,
}

impl StreamKind {
    const ALL: [Self; 5] = [Self::Ticket, Self::Person, Self::Saga, Self::Config, Self::Access];

    /// As it stands in events and subjects.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ticket => "ticket",
            Self::Person => "person",
            Self::Saga => "saga",
            Self::Config => "config",
            Self::Access => "access",
        }
    }

    /// The number that stands in the database.
    #[must_use]
    pub const fn code(self) -> u8 {
        match self {
            Self::Ticket => 1,
            Self::Person => 2,
            Self::Saga => 3,
            Self::Config => 4,
            Self::Access => 5,
        }
    }

    /// The kind with this number.
    #[must_use]
    pub fn from_code(code: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.code() == code)
    }
}

impl FromStr for StreamKind {
    type Err = UnknownName;

    fn from_str(name: &str) -> Result<Self, UnknownName> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == name).ok_or(UnknownName)
    }
}

/// A sequence of events about one thing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Stream {
    /// What it is about.
    pub kind: StreamKind,
    /// Which one.
    pub id: Uuid,
}

impl Stream {
    /// A ticket's stream.
    #[must_use]
    pub const fn ticket(id: TicketId) -> Self {
        Self { kind: StreamKind::Ticket, id: id.uuid() }
    }

    /// A saga's stream.
    #[must_use]
    pub const fn saga(id: SagaId) -> Self {
        Self { kind: StreamKind::Saga, id: id.uuid() }
    }

    /// The partition that holds all of this stream's events: SHA-256(tenant, stream) mod 16, the same in every region.
    #[must_use]
    pub fn partition(&self, tenant: &Tenant) -> Partition {
        let hash = Fields::new("docket/partition/1")
            .field(tenant.as_str())
            .field(self.kind.as_str())
            .field(self.id.as_bytes())
            .finish();
        Partition(hash[31] % PARTITIONS)
    }
}

impl fmt::Display for Stream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.kind.as_str(), self.id.hyphenated())
    }
}
