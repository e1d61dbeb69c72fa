//! Counters: how many tickets have a value, kept up by the difference that each row makes.

use std::collections::BTreeMap;

use docket_schemas::{Partition, PersonId, Priority, Status, Tenant, TicketType};

use crate::row::TicketRow;

/// What is counted. The numbers stand in stores and never change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum CounterField {
    /// Every ticket; the value is empty.
    All = 0,
    /// By status, as staff see it.
    Status = 1,
    /// By priority.
    Priority = 2,
    /// By type.
    Type = 3,
    /// By assignee; the value is empty for nobody's.
    Assignee = 4,
    /// By group; prefixed by `=`, and empty for no group.
    Group = 5,
    /// By requester.
    Requester = 6,
    /// By tag.
    Tag = 7,
}

impl CounterField {
    /// Every one, in the order of their numbers.
    pub const ALL: [Self; 8] = [
        Self::All,
        Self::Status,
        Self::Priority,
        Self::Type,
        Self::Assignee,
        Self::Group,
        Self::Requester,
        Self::Tag,
    ];

    /// The number that stands in a store.
    #[must_use]
    pub const fn code(self) -> u8 {
        self as u8
    }
}

/// One counted value of a field.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CounterValue {
    /// Of what.
    pub field: CounterField,
    /// As text.
    pub value: String,
}

impl CounterValue {
    const fn new(field: CounterField, value: String) -> Self {
        Self { field, value }
    }

    /// Every ticket.
    #[must_use]
    pub const fn all() -> Self {
        Self::new(CounterField::All, String::new())
    }

    /// Tickets of a status.
    #[must_use]
    pub fn status(status: Status) -> Self {
        Self::new(CounterField::Status, status.as_str().to_owned())
    }

    /// Tickets of a priority.
    #[must_use]
    pub fn priority(priority: Priority) -> Self {
        Self::new(CounterField::Priority, priority.as_str().to_owned())
    }

    /// Tickets of a type.
    #[must_use]
    pub fn ticket_type(ticket_type: TicketType) -> Self {
        Self::new(CounterField::Type, ticket_type.as_str().to_owned())
    }

    /// Tickets that somebody holds, or nobody.
    #[must_use]
    pub fn assignee(assignee: Option<PersonId>) -> Self {
        let value = assignee.map_or_else(String::new, |person| person.to_string());
        Self::new(CounterField::Assignee, value)
    }

    /// Tickets of a group, or of none.
    #[must_use]
    pub fn group(group: Option<&str>) -> Self {
        // A group may have any name, the empty one too.
        let value = group.map_or_else(String::new, |group| format!("={group}"));
        Self::new(CounterField::Group, value)
    }

    /// Tickets of a person.
    #[must_use]
    pub fn requester(requester: PersonId) -> Self {
        Self::new(CounterField::Requester, requester.to_string())
    }

    /// Tickets with a tag.
    #[must_use]
    pub fn tag(tag: &str) -> Self {
        Self::new(CounterField::Tag, tag.to_owned())
    }
}

/// The parts of a row that are counted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Counted {
    /// Its status, as staff see it.
    pub status: Status,
    /// Its priority.
    pub priority: Priority,
    /// Its type.
    pub ticket_type: Option<TicketType>,
    /// Who holds it.
    pub assignee: Option<PersonId>,
    /// The team.
    pub group: Option<String>,
    /// Whose ticket it is.
    pub requester: PersonId,
    /// Each once.
    pub tags: Vec<String>,
}

impl Counted {
    /// The values under which it is counted.
    #[must_use]
    pub fn values(&self) -> Vec<CounterValue> {
        let mut values = vec![
            CounterValue::all(),
            CounterValue::status(self.status),
            CounterValue::priority(self.priority),
            CounterValue::assignee(self.assignee),
            CounterValue::group(self.group.as_deref()),
            CounterValue::requester(self.requester),
        ];
        values.extend(self.ticket_type.map(CounterValue::ticket_type));
        values.extend(self.tags.iter().map(|tag| CounterValue::tag(tag)));
        values
    }
}

impl From<&TicketRow> for Counted {
    fn from(row: &TicketRow) -> Self {
        Self {
            status: row.status,
            priority: row.priority,
            ticket_type: row.ticket_type,
            assignee: row.assignee,
            group: row.group.clone(),
            requester: row.requester,
            tags: row.tags.clone(),
        }
    }
}

/// Where a counter stands.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CounterKey {
    /// Whose tickets.
    pub tenant: Tenant,
    /// Of which value.
    pub value: CounterValue,
    /// Of which partition: nodes that project different ones never wait for each other.
    pub partition: Partition,
}

/// What counters gain and lose.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Deltas(BTreeMap<CounterKey, i64>);

impl Deltas {
    /// Counts a row that takes the place of another, or of none.
    pub fn replace(&mut self, old: Option<&Counted>, new: &TicketRow) {
        let counted = Counted::from(new);
        if old == Some(&counted) {
            return;
        }
        if let Some(old) = old {
            self.remove(&new.tenant, new.partition, old);
        }
        self.add(&new.tenant, new.partition, &counted, 1);
    }

    /// Counts a row.
    pub fn count(&mut self, tenant: &Tenant, partition: Partition, row: &Counted) {
        self.add(tenant, partition, row, 1);
    }

    /// Counts a row that goes.
    pub fn remove(&mut self, tenant: &Tenant, partition: Partition, old: &Counted) {
        self.add(tenant, partition, old, -1);
    }

    fn add(&mut self, tenant: &Tenant, partition: Partition, counted: &Counted, by: i64) {
        for value in counted.values() {
            let key = CounterKey { tenant: tenant.clone(), value, partition };
            *self.0.entry(key).or_default() += by;
        }
    }

    /// The counters that change, in the order of their keys.
    pub fn changes(&self) -> impl Iterator<Item = (&CounterKey, i64)> {
        self.0.iter().filter(|(_, by)| **by != 0).map(|(key, by)| (key, *by))
    }
}

/// The counters that rows add up to.
#[must_use]
pub fn recount<'a>(rows: impl IntoIterator<Item = &'a TicketRow>) -> BTreeMap<CounterKey, i64> {
    let mut deltas = Deltas::default();
    for row in rows {
        deltas.replace(None, row);
    }
    deltas.0
}
