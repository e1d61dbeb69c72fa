//! Questions to the tickets view: filters, sorts, pages, counts.

use docket_engine::cursor::Positions;
use docket_engine::ticket::Resolved;
use docket_schemas::{PersonId, Priority, Status, Tenant, TicketId, TicketType, Timestamp};

use crate::counters::CounterValue;

/// Beyond so many tickets a count that is not kept by counters says so and stops.
pub const COUNTED_TICKETS_MAX: u64 = 10_000;

/// Most rows of one page.
pub const LIST_ROWS_MAX: usize = 100;

/// Who asks, which decides what rows there are and which of their two sets of values counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Viewer {
    /// Sees every ticket of the tenant.
    Staff,
    /// Sees own tickets, their public values.
    Customer(PersonId),
}

/// What tickets have to be. What is absent does not matter.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TicketFilter {
    /// Of this status, as the viewer sees it.
    pub status: Option<Status>,
    /// Of this priority.
    pub priority: Option<Priority>,
    /// Of this type.
    pub ticket_type: Option<TicketType>,
    /// Held by this person, or by nobody.
    pub assignee: Option<Option<PersonId>>,
    /// Of this group, or of none. Matches nothing for a customer.
    pub group: Option<Option<String>>,
    /// Of this person.
    pub requester: Option<PersonId>,
    /// With this tag. Matches nothing for a customer.
    pub tag: Option<String>,
    /// Opened after this time.
    pub created_after: Option<Timestamp>,
    /// Last changed after this time, as the viewer sees it.
    pub updated_after: Option<Timestamp>,
}

impl TicketFilter {
    /// The values that are compared for equality, as counters know them.
    #[must_use]
    pub fn equalities(&self) -> Vec<CounterValue> {
        let assignee = self.assignee.map(CounterValue::assignee);
        let group = self.group.as_ref().map(|group| CounterValue::group(group.as_deref()));
        [
            self.status.map(CounterValue::status),
            self.priority.map(CounterValue::priority),
            self.ticket_type.map(CounterValue::ticket_type),
            assignee,
            group,
            self.requester.map(CounterValue::requester),
            self.tag.as_deref().map(CounterValue::tag),
        ]
        .into_iter()
        .flatten()
        .collect()
    }

    /// The counter that answers this filter exactly: for every ticket, or for one equality and nothing else.
    #[must_use]
    pub fn counter(&self) -> Option<CounterValue> {
        if self.created_after.is_some() || self.updated_after.is_some() {
            return None;
        }
        let mut equalities = self.equalities();
        match equalities.len() {
            0 => Some(CounterValue::all()),
            1 => equalities.pop(),
            _ => None,
        }
    }

    /// The tag, where a filter asks for a tag and a status and nothing else.
    #[must_use]
    pub fn tag_by_status(&self) -> Option<&str> {
        let tag = self.tag.as_deref()?;
        let both = Self { tag: self.tag.clone(), status: Some(self.status?), ..Self::default() };
        (*self == both).then_some(tag)
    }

    /// Whether a viewer cannot see what it asks for.
    #[must_use]
    pub const fn is_hidden_from(&self, viewer: Viewer) -> bool {
        matches!(viewer, Viewer::Customer(_)) && (self.group.is_some() || self.tag.is_some())
    }
}

/// What a list is ordered by; ties are broken by the ticket's id, in the same direction.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SortKey {
    /// When tickets were opened.
    CreatedAt,
    /// When they last changed, as the viewer sees it.
    UpdatedAt,
    /// From low to urgent.
    Priority,
}

/// In which direction.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Direction {
    /// Smallest first.
    Ascending,
    /// Largest first.
    Descending,
}

/// The order of a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Sort {
    /// By what.
    pub key: SortKey,
    /// Which way.
    pub direction: Direction,
}

/// The place of a ticket in a list: its sort key (microseconds, or the priority's rank) and its id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// The key.
    pub key: i64,
    /// The ticket.
    pub ticket: TicketId,
}

/// One page of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListQuery {
    /// Whose tickets.
    pub tenant: Tenant,
    /// Who asks.
    pub viewer: Viewer,
    /// Which of them.
    pub filter: TicketFilter,
    /// In which order.
    pub sort: Sort,
    /// Behind this place; from the first where there is none.
    pub after: Option<Place>,
    /// At most so many, and never more than [`LIST_ROWS_MAX`].
    pub limit: usize,
}

/// A ticket of an answer.
#[derive(Debug, Clone)]
pub struct Listed {
    /// Where it stands in its list.
    pub place: Place,
    /// The ticket as it is shown to staff; what customers see of it is the presenter's to take.
    pub ticket: Resolved,
}

/// What an answer of the view rests on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Basis {
    /// The checkpoint of the version that answered, read with the answer.
    pub positions: Positions,
    /// The number of the incarnation whose positions these are; none where nothing of the log is in it yet.
    pub incarnation: Option<u32>,
    /// For a customer: by partition the newest event that the customer may see, among own tickets; 0 elsewhere.
    pub newest_visible: Option<Positions>,
}

impl Basis {
    /// What it is worth in an incarnation. Nothing, where the version is of an older one still: some of what it holds may
    /// be what the log has lost, and positions of the two are not to be compared.
    #[must_use]
    pub fn within(self, incarnation: u32) -> Option<Self> {
        self.incarnation.is_none_or(|own| own >= incarnation).then_some(self)
    }
}

/// An answer to a [`ListQuery`].
#[derive(Debug, Clone)]
pub struct ListPage {
    /// The tickets.
    pub tickets: Vec<Listed>,
    /// Whether there are more behind them.
    pub more: bool,
    /// What it rests on.
    pub basis: Basis,
}

/// How many tickets there are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CountQuery {
    /// Whose tickets.
    pub tenant: Tenant,
    /// Who asks.
    pub viewer: Viewer,
    /// Which of them.
    pub filter: TicketFilter,
}

/// An answer to a [`CountQuery`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Count {
    /// So many, at least.
    pub count: u64,
    /// Whether there are no more.
    pub exact: bool,
    /// What it rests on.
    pub basis: Basis,
}

impl Count {
    /// A count of `found` tickets, of which no more than [`COUNTED_TICKETS_MAX`] and one were looked at.
    #[must_use]
    pub fn up_to_limit(found: u64, basis: Basis) -> Self {
        Self { count: found.min(COUNTED_TICKETS_MAX), exact: found <= COUNTED_TICKETS_MAX, basis }
    }
}
