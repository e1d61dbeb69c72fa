//! A ticket as one row of the tickets view: what lists filter and sort by, with the text that an answer is made of.

use docket_engine::policy::Audience;
use docket_engine::ticket::Resolved;
use docket_schemas::canonical::Fields;
use docket_schemas::{
    Partition, PersonId, Position, Priority, Status, Stream, Tenant, TicketId, TicketType,
    Timestamp,
};

use crate::sink::News;
use crate::stored;

/// The shape of rows that this release writes. Another one in a store is rebuilt.
pub const ROW_FORMAT: u16 = 1;

/// One row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TicketRow {
    /// Whose.
    pub tenant: Tenant,
    /// Which ticket.
    pub ticket: TicketId,
    /// The ticket's partition.
    pub partition: Partition,
    /// The event that the row was folded to: the ticket's last one up to the checkpoint.
    pub position: Position,
    /// The last event that a customer may see.
    pub public_position: Position,
    /// As shown to staff.
    pub status: Status,
    /// As shown to customers.
    pub public_status: Status,
    /// How urgent.
    pub priority: Priority,
    /// What about.
    pub ticket_type: Option<TicketType>,
    /// Who holds it.
    pub assignee: Option<PersonId>,
    /// The team.
    pub group: Option<String>,
    /// Whose ticket it is.
    pub requester: PersonId,
    /// Sorted, each once.
    pub tags: Vec<String>,
    /// When it was opened.
    pub created_at: Timestamp,
    /// When something last happened to it.
    pub updated_at: Timestamp,
    /// The same among what a customer may see.
    pub public_updated_at: Timestamp,
    /// Requester and followers, sorted, each once: the customers who may see it.
    pub readers: Vec<PersonId>,
    /// The rest, as [`stored`] writes it.
    pub state: String,
}

impl TicketRow {
    /// The row of a ticket that was folded to a position.
    #[must_use]
    pub fn of(
        tenant: &Tenant,
        ticket: &Resolved,
        position: Position,
        public_position: Position,
    ) -> Self {
        let mut readers = ticket.followers.clone();
        readers.push(ticket.requester);
        readers.sort_unstable();
        readers.dedup();
        let mut tags = ticket.tags.clone();
        tags.sort_unstable();
        tags.dedup();
        Self {
            tenant: tenant.clone(),
            ticket: ticket.id,
            partition: Stream::ticket(ticket.id).partition(tenant),
            position,
            public_position,
            status: Audience::Staff.status(ticket.status),
            public_status: Audience::Customer.status(ticket.status),
            priority: ticket.priority,
            ticket_type: ticket.ticket_type,
            assignee: ticket.assignee,
            group: ticket.group.clone(),
            requester: ticket.requester,
            tags,
            created_at: ticket.created_at,
            updated_at: ticket.updated_at,
            public_updated_at: ticket.public_updated_at,
            readers,
            state: stored::write(ticket),
        }
    }

    /// What the row says, as 32 bytes: rows that differ anywhere have different ones.
    #[must_use]
    pub fn digest(&self) -> [u8; 32] {
        let tags = self.tags.iter().fold(Fields::new("docket/tags/1"), Fields::field);
        let readers = self.readers.iter().map(PersonId::as_bytes);
        let readers = readers.fold(Fields::new("docket/readers/1"), Fields::field);
        Fields::new("docket/row/1")
            .field(self.tenant.as_str())
            .field(self.ticket.as_bytes())
            .field([self.partition.number()])
            .field(self.position.to_be_bytes())
            .field(self.public_position.to_be_bytes())
            .field(self.status.as_str())
            .field(self.public_status.as_str())
            .field(self.priority.as_str())
            .optional(self.ticket_type.map(TicketType::as_str))
            .optional(self.assignee.as_ref().map(PersonId::as_bytes))
            .optional(self.group.as_ref())
            .field(self.requester.as_bytes())
            .field(tags.finish())
            .field(self.created_at.micros().to_be_bytes())
            .field(self.updated_at.micros().to_be_bytes())
            .field(self.public_updated_at.micros().to_be_bytes())
            .field(readers.finish())
            .field(&self.state)
            .finish()
    }
}

impl From<&News> for TicketRow {
    fn from(news: &News) -> Self {
        Self::of(&news.tenant, &news.state, news.position, news.public_position)
    }
}
