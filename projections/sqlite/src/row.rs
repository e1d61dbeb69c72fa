//! A ticket's row: its columns, written as JSON that one statement takes apart, and read back.

use docket_projections::counters::Counted;
use docket_projections::row::TicketRow;
use docket_projections::store::StoreError;
use docket_schemas::{
    Partition, PersonId, Position, Priority, Status, Tenant, TicketId, TicketType, Timestamp,
};
use serde_json::{Value, json};
use sqlx::sqlite::SqliteRow;
use uuid::Uuid;

use crate::failure::{damaged, get};

/// The columns of a row, in the order in which [`cells`] writes and [`read`] reads them.
macro_rules! ticket_columns {
    () => {
        "tenant, ticket_id, partition, priority, position, public_position, created_at, updated_at, \
         public_updated_at, requester_id, assignee_id, status, public_status, type, group_id, tags, \
         readers, state"
    };
}
pub(crate) use ticket_columns;

/// The same, taken out of what [`cells`] wrote.
macro_rules! cell_values {
    () => {
        "value ->> 0, unhex(value ->> 1), value ->> 2, value ->> 3, value ->> 4, value ->> 5, \
         value ->> 6, value ->> 7, value ->> 8, unhex(value ->> 9), unhex(value ->> 10), \
         value ->> 11, value ->> 12, value ->> 13, value ->> 14, value ->> 15, value ->> 16, \
         value ->> 17"
    };
}
pub(crate) use cell_values;

/// What [`old`] reads.
macro_rules! counted_columns {
    () => {
        "t.tenant, t.ticket_id, t.position, t.priority, t.requester_id, t.assignee_id, t.status, \
         t.type, t.group_id, t.tags, t.readers"
    };
}
pub(crate) use counted_columns;

/// A row as an array.
pub(crate) fn cells(row: &TicketRow) -> Value {
    let persons: Vec<String> = row.readers.iter().map(|person| id(person.uuid())).collect();
    json!([
        row.tenant,
        id(row.ticket.uuid()),
        row.partition.number(),
        row.priority as i64,
        row.position,
        row.public_position,
        row.created_at.micros(),
        row.updated_at.micros(),
        row.public_updated_at.micros(),
        id(row.requester.uuid()),
        row.assignee.map(|person| id(person.uuid())),
        row.status,
        row.public_status,
        row.ticket_type,
        row.group,
        json!(row.tags).to_string(),
        json!(persons).to_string(),
        row.state,
    ])
}

/// An id as SQLite's `unhex` takes it.
pub(crate) fn id(id: Uuid) -> String {
    id.simple().to_string()
}

/// Reads [`ticket_columns`].
pub(crate) fn read(row: &SqliteRow) -> Result<TicketRow, StoreError> {
    Ok(TicketRow {
        tenant: tenant(get(row, 0)?)?,
        ticket: TicketId::new(get(row, 1)?),
        partition: partition(get(row, 2)?)?,
        priority: priority(get(row, 3)?)?,
        position: position(get(row, 4)?)?,
        public_position: position(get(row, 5)?)?,
        created_at: Timestamp::from_micros(get(row, 6)?),
        updated_at: Timestamp::from_micros(get(row, 7)?),
        public_updated_at: Timestamp::from_micros(get(row, 8)?),
        requester: PersonId::new(get(row, 9)?),
        assignee: get::<Option<Uuid>>(row, 10)?.map(PersonId::new),
        status: get::<&str>(row, 11)?.parse().map_err(damaged)?,
        public_status: get::<&str>(row, 12)?.parse().map_err(damaged)?,
        ticket_type: ticket_type(get(row, 13)?)?,
        group: get(row, 14)?,
        tags: list(get(row, 15)?)?,
        readers: persons(get(row, 16)?)?,
        state: get(row, 17)?,
    })
}

/// What a row was counted as, and which lists it stood in.
pub(crate) struct Old {
    pub(crate) tenant: Tenant,
    pub(crate) ticket: TicketId,
    pub(crate) position: Position,
    /// None where somebody has changed the row by hand so that it cannot be read: the counters are mended with it.
    pub(crate) counted: Option<Counted>,
    pub(crate) readers: Vec<PersonId>,
}

/// Reads [`counted_columns`].
pub(crate) fn old(row: &SqliteRow) -> Result<Old, StoreError> {
    Ok(Old {
        tenant: tenant(get(row, 0)?)?,
        ticket: TicketId::new(get(row, 1)?),
        position: position(get(row, 2)?)?,
        counted: counted(row).ok(),
        readers: persons(get(row, 10)?).unwrap_or_default(),
    })
}

fn counted(row: &SqliteRow) -> Result<Counted, StoreError> {
    Ok(Counted {
        priority: priority(get(row, 3)?)?,
        requester: PersonId::new(get(row, 4)?),
        assignee: get::<Option<Uuid>>(row, 5)?.map(PersonId::new),
        status: get::<&str>(row, 6)?.parse::<Status>().map_err(damaged)?,
        ticket_type: ticket_type(get(row, 7)?)?,
        group: get(row, 8)?,
        tags: list(get(row, 9)?)?,
    })
}

fn ticket_type(name: Option<&str>) -> Result<Option<TicketType>, StoreError> {
    name.map(str::parse).transpose().map_err(damaged)
}

fn list(json: &str) -> Result<Vec<String>, StoreError> {
    serde_json::from_str(json).map_err(damaged)
}

fn persons(json: &str) -> Result<Vec<PersonId>, StoreError> {
    let ids = list(json)?;
    ids.iter().map(|id| Uuid::try_parse(id).map(PersonId::new).map_err(damaged)).collect()
}

pub(crate) fn tenant(name: &str) -> Result<Tenant, StoreError> {
    name.parse().map_err(damaged)
}

fn priority(code: i64) -> Result<Priority, StoreError> {
    let index = usize::try_from(code).map_err(damaged)?;
    Priority::ALL.get(index).copied().ok_or_else(|| damaged("unknown priority"))
}

pub(crate) fn partition(stored: i64) -> Result<Partition, StoreError> {
    let number = u8::try_from(stored).ok();
    number.and_then(Partition::new).ok_or_else(|| damaged("unknown partition"))
}

pub(crate) fn position(stored: i64) -> Result<Position, StoreError> {
    Position::try_from(stored).map_err(damaged)
}

pub(crate) fn stored_position(position: Position) -> i64 {
    i64::try_from(position).unwrap_or(i64::MAX)
}
