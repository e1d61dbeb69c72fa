//! What the index holds of a ticket: one document of its own, and one for each message that it shows.

use docket_engine::policy::Audience;
use docket_engine::ticket::Resolved;
use docket_schemas::{
    Channel, Kind, PARTITIONS, Partition, PersonId, Position, Priority, Status, Stream, Tenant,
    TicketId, TicketType, Timestamp,
};

/// Where an event stands in the region's log, as one number: it names the ticket that the event opened, or the message
/// that it brought, in every index of the region alike.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Place(u64);

impl Place {
    /// The place of an event.
    #[must_use]
    pub const fn new(partition: Partition, position: Position) -> Self {
        Self(position * PARTITIONS as u64 + partition.number() as u64)
    }

    /// A place by its number.
    #[must_use]
    pub const fn from_number(number: u64) -> Self {
        Self(number)
    }

    /// As one number.
    #[must_use]
    pub const fn number(self) -> u64 {
        self.0
    }

    /// The partition.
    #[must_use]
    pub fn partition(self) -> Partition {
        let number = u8::try_from(self.0 % u64::from(PARTITIONS)).unwrap_or_default();
        Partition::new(number).expect("a remainder is below its divisor")
    }

    /// The position in the partition.
    #[must_use]
    pub const fn position(self) -> Position {
        self.0 / PARTITIONS as u64
    }
}

/// A ticket: its subject, and what filters, facets and sorts look at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TicketDocument {
    /// Whose.
    pub tenant: Tenant,
    /// Which.
    pub ticket: TicketId,
    /// Where its opening stands.
    pub place: Place,
    /// What it was folded to.
    pub position: Position,
    /// Where the last of its events stands that a customer may see.
    pub public_position: Position,
    /// The subject line; none once its key was destroyed.
    pub subject: Option<String>,
    /// As staff see it.
    pub status: Status,
    /// How urgent.
    pub priority: Priority,
    /// What about.
    pub ticket_type: Option<TicketType>,
    /// Ticket or chat.
    pub kind: Kind,
    /// The way in which it came.
    pub channel: Channel,
    /// Sorted.
    pub tags: Vec<String>,
    /// The team.
    pub group: Option<String>,
    /// Who holds it.
    pub assignee: Option<PersonId>,
    /// Whose ticket it is.
    pub requester: PersonId,
    /// Who reads it beside the requester.
    pub followers: Vec<PersonId>,
    /// When it was opened.
    pub created_at: Timestamp,
    /// When one of its events happened last.
    pub updated_at: Timestamp,
    /// The same among what a customer may see.
    pub public_updated_at: Timestamp,
}

impl TicketDocument {
    /// The document of a ticket that was opened at the first of these positions in its partition and folded to the second;
    /// of what customers may see it has everything to the third.
    #[must_use]
    pub fn of(
        tenant: &Tenant,
        state: &Resolved,
        [opened, position, public_position]: [Position; 3],
        subject: Option<String>,
    ) -> Self {
        let partition = Stream::ticket(state.id).partition(tenant);
        Self {
            tenant: tenant.clone(),
            ticket: state.id,
            place: Place::new(partition, opened),
            position,
            public_position,
            subject,
            status: state.status,
            priority: state.priority,
            ticket_type: state.ticket_type,
            kind: state.kind,
            channel: state.channel,
            tags: state.tags.clone(),
            group: state.group.clone(),
            assignee: state.assignee,
            requester: state.requester,
            followers: state.followers.clone(),
            created_at: state.created_at,
            updated_at: state.updated_at,
            public_updated_at: state.public_updated_at,
        }
    }

    /// The status as customers see it.
    #[must_use]
    pub const fn public_status(&self) -> Status {
        Audience::Customer.status(self.status)
    }
}

/// A message, under the ticket that shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MessageDocument {
    /// Where its event stands.
    pub place: Place,
    /// Whether customers of the ticket see it.
    pub public: bool,
    /// What it says; none once its key was destroyed.
    pub body: Option<String>,
}

/// How much of a ticket is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Extent {
    /// The index has nothing of it yet.
    New,
    /// Its own document anew, and further messages.
    Further,
    /// Everything: what the index has of it is thrown away.
    Whole,
}

/// What is written of one ticket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TicketWrite {
    /// The ticket's own document.
    pub ticket: TicketDocument,
    /// Messages that are not in the index yet; with [`Extent::Whole`] all of them.
    pub messages: Vec<MessageDocument>,
    /// How much.
    pub extent: Extent,
}
