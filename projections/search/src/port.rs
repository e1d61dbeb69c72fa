//! The port: what a search index answers and takes, whatever stands behind it.

use std::collections::BTreeMap;

use async_trait::async_trait;
use docket_engine::cursor::{Cursor, Positions};
use docket_schemas::{Incarnation, PersonId, Tenant, TicketId};

use crate::document::{Place, TicketWrite};
use crate::query::Query;

/// Most results of one page.
pub const PAGE_SIZE_MAX: usize = 100;
/// Most messages of one result whose matching parts are shown.
pub const MATCHED_MESSAGES_MAX: usize = 2;

/// Why the index does not answer or did not take a write.
#[derive(Debug, thiserror::Error)]
pub enum IndexError {
    /// It failed, and may be asked again.
    #[error("the search index failed")]
    Failed(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// What it holds cannot be read: it has to be built anew.
    #[error("the search index is damaged: {0}")]
    Damaged(String),
    /// More questions wait than it takes on.
    #[error("too many searches wait")]
    Overloaded,
}

/// Who asks, which says what the answer may come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reader {
    /// Everything of the tenant.
    Staff(Option<PersonId>),
    /// The public part of the tickets of which this person is requester or follower.
    Customer(PersonId),
}

impl Reader {
    /// The person behind `me`.
    #[must_use]
    pub const fn person(self) -> Option<PersonId> {
        match self {
            Self::Staff(person) => person,
            Self::Customer(person) => Some(person),
        }
    }
}

/// In which order results come. Equal ones follow by the place of their opening, the newest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Sort {
    /// The best first.
    Relevance,
    /// By a value of the ticket.
    By(SortKey, Direction),
}

/// A value to sort by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SortKey {
    /// When it was opened.
    Created,
    /// When something happened last, as far as the reader may know.
    Updated,
    /// How urgent.
    Priority,
}

/// Which end comes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Direction {
    /// The smallest.
    Ascending,
    /// The largest.
    Descending,
}

/// The place of a result in its order, from which the next page goes on.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rank {
    /// The score's bits, or the sorted value: larger ones come first.
    pub key: i64,
    /// Where the ticket's opening stands.
    pub ticket: Place,
}

/// What the scores of one walk are computed from. Tickets that are written meanwhile change how rare words are, and with it the
/// scores of all others: pages that were to go on from one another would leave out some and repeat others.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rarity {
    /// Documents of the tenant, by a rough guess.
    pub documents: u64,
    /// By the hash of a word or pair, in how many documents it stands.
    pub frequencies: BTreeMap<u32, u32>,
}

/// What results are counted by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Facet {
    /// `status`
    Status,
    /// `priority`
    Priority,
    /// `type`
    Type,
    /// `kind`
    Kind,
    /// `channel`
    Channel,
    /// `tag`
    Tag,
    /// `group`
    Group,
    /// `assignee`
    Assignee,
}

impl Facet {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::Status,
        Self::Priority,
        Self::Type,
        Self::Kind,
        Self::Channel,
        Self::Tag,
        Self::Group,
        Self::Assignee,
    ];

    /// As it stands in questions and answers.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Status => "status",
            Self::Priority => "priority",
            Self::Type => "type",
            Self::Kind => "kind",
            Self::Channel => "channel",
            Self::Tag => "tag",
            Self::Group => "group",
            Self::Assignee => "assignee",
        }
    }

    /// Whether a customer sees the field.
    #[must_use]
    pub const fn is_public(self) -> bool {
        matches!(self, Self::Status | Self::Priority | Self::Type | Self::Channel | Self::Assignee)
    }
}

/// A question to the index.
#[derive(Debug, Clone)]
pub struct Question {
    /// Whose tickets.
    pub tenant: Tenant,
    /// Who asks.
    pub reader: Reader,
    /// What for; its persons are known ones.
    pub query: Query,
    /// In which order.
    pub sort: Sort,
    /// Behind which result.
    pub after: Option<Rank>,
    /// What the first page's scores were computed from; none for a first page.
    pub rarity: Option<Rarity>,
    /// How many results, at most [`PAGE_SIZE_MAX`].
    pub size: usize,
    /// What to count by.
    pub facets: Vec<Facet>,
}

/// A ticket that was found.
#[derive(Debug, Clone, PartialEq)]
pub struct Hit {
    /// Which.
    pub ticket: TicketId,
    /// How well its best part fits; 0 where the query has no words.
    pub score: f32,
    /// Its place in the order.
    pub rank: Rank,
    /// Whether the subject fits.
    pub subject: bool,
    /// The places of the best fitting messages, at most [`MATCHED_MESSAGES_MAX`].
    pub messages: Vec<Place>,
}

/// A facet's values with their counts, the most frequent first.
pub type FacetCounts = Vec<(String, u64)>;

/// The answer to a question.
#[derive(Debug, Clone, PartialEq)]
pub struct Found {
    /// In order.
    pub hits: Vec<Hit>,
    /// All that fit, on every page together.
    pub count: u64,
    /// Whether results follow the page's last.
    pub more: bool,
    /// For each facet asked for.
    pub facets: Vec<(Facet, FacetCounts)>,
    /// What scores were computed from, where further pages depend on it.
    pub rarity: Option<Rarity>,
    /// How far of the log the answer comes from.
    pub positions: Positions,
    /// For a customer: by partition the newest event of own tickets that the customer may see; 0 elsewhere.
    pub newest_visible: Option<Positions>,
}

/// A batch of writes that brings the index to `upto`.
#[derive(Debug, Clone)]
pub struct Writes {
    /// Whose positions these are.
    pub incarnation: Incarnation,
    /// What is written.
    pub tickets: Vec<TicketWrite>,
    /// Tickets of which nothing stays.
    pub forgotten: Vec<Place>,
    /// How far of the log this is, partition by partition; 0 where it says nothing.
    pub upto: Positions,
}

/// What stands for one ticket in the index, to be compared with the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Standing {
    /// Where its opening stands.
    pub ticket: Place,
    /// What it was folded to.
    pub position: u64,
    /// Its documents, in whatever order.
    pub digest: u64,
}

/// What a write adds to a ticket's standing, in two parts, because a further write replaces the first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Digest {
    /// The ticket's own document.
    pub ticket: u64,
    /// Its messages.
    pub messages: u64,
}

impl Digest {
    /// Both parts.
    #[must_use]
    pub const fn whole(self) -> u64 {
        self.ticket.wrapping_add(self.messages)
    }
}

/// A search index. Writes become visible, and durable together with their positions, at a commit.
#[async_trait]
pub trait SearchIndex: Send + Sync + 'static {
    /// Answers as of the last commit.
    async fn search(&self, question: Question) -> Result<Found, IndexError>;

    /// Takes a batch whole or not at all. Applied twice it does no harm only where the first time was not committed: after
    /// an error everything since the last commit is forgotten.
    async fn write(&self, writes: Writes) -> Result<(), IndexError>;

    /// Makes everything taken durable and visible; answers how far that is.
    async fn commit(&self) -> Result<Positions, IndexError>;

    /// How far the last commit came, in which incarnation of the region; none for an empty index.
    fn standing(&self) -> Option<Cursor>;

    /// Every ticket's documents by digest, in order of places, with how far of the log this is: as of the last commit.
    async fn standings(&self) -> Result<(Positions, Vec<Standing>), IndexError>;

    /// What a write adds to what stands: for a ticket that is written whole, all that should stand.
    fn digest(&self, write: &TicketWrite) -> Digest;

    /// Throws everything away.
    async fn clear(&self) -> Result<(), IndexError>;

    /// Writes the files anew without what was deleted, so that nothing of it is left on the disk.
    async fn purge(&self) -> Result<(), IndexError>;
}
