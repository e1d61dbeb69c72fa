//! A ticket's row: its columns, bound as arrays and read back.

use docket_projections::counters::Counted;
use docket_projections::row::TicketRow;
use docket_projections::store::StoreError;
use docket_schemas::{
    Partition, PersonId, Position, Priority, Status, Tenant, TicketId, TicketType, Timestamp,
};
use sqlx::Postgres;
use sqlx::postgres::{PgArguments, PgRow};
use sqlx::query::Query;
use uuid::Uuid;

use crate::failure::{damaged, get};

/// The columns of a row, in the order in which [`bind`] binds and [`read`] reads them.
macro_rules! ticket_columns {
    ($prefix:literal) => {
        concat!(
            $prefix,
            "tenant, ",
            $prefix,
            "ticket_id, ",
            $prefix,
            "partition, ",
            $prefix,
            "priority, ",
            $prefix,
            "position, ",
            $prefix,
            "public_position, ",
            $prefix,
            "created_at, ",
            $prefix,
            "updated_at, ",
            $prefix,
            "public_updated_at, ",
            $prefix,
            "requester_id, ",
            $prefix,
            "assignee_id, ",
            $prefix,
            "status, ",
            $prefix,
            "public_status, ",
            $prefix,
            "type, ",
            $prefix,
            "group_id, ",
            $prefix,
            "tags, ",
            $prefix,
            "readers, ",
            $prefix,
            "state"
        )
    };
}
pub(crate) use ticket_columns;

/// What [`counted`] reads.
macro_rules! counted_columns {
    () => {
        "t.tenant, t.ticket_id, t.position, t.priority, t.requester_id, t.assignee_id, t.status, \
         t.type, t.group_id, t.tags, t.readers"
    };
}
pub(crate) use counted_columns;

/// A statement with its values.
pub(crate) type Statement<'q> = Query<'q, Postgres, PgArguments>;

/// Binds the rows as `$1` to `$18`, an array a column; lists within a row as array literals.
pub(crate) fn bind<'q>(statement: Statement<'q>, rows: &[&TicketRow]) -> Statement<'q> {
    fn column<T>(rows: &[&TicketRow], of: impl Fn(&TicketRow) -> T) -> Vec<T> {
        rows.iter().map(|row| of(row)).collect()
    }
    statement
        .bind(column(rows, |row| row.tenant.as_str().to_owned()))
        .bind(column(rows, |row| row.ticket.uuid()))
        .bind(column(rows, |row| i16::from(row.partition.number())))
        .bind(column(rows, |row| row.priority as i16))
        .bind(column(rows, |row| stored_position(row.position)))
        .bind(column(rows, |row| stored_position(row.public_position)))
        .bind(column(rows, |row| row.created_at.micros()))
        .bind(column(rows, |row| row.updated_at.micros()))
        .bind(column(rows, |row| row.public_updated_at.micros()))
        .bind(column(rows, |row| row.requester.uuid()))
        .bind(column(rows, |row| row.assignee.map(PersonId::uuid)))
        .bind(column(rows, |row| row.status.as_str()))
        .bind(column(rows, |row| row.public_status.as_str()))
        .bind(column(rows, |row| row.ticket_type.map(TicketType::as_str)))
        .bind(column(rows, |row| row.group.clone()))
        .bind(column(rows, |row| literal(row.tags.iter().map(String::as_str))))
        .bind(column(rows, |row| literal(row.readers.iter().map(ToString::to_string))))
        .bind(column(rows, |row| row.state.clone()))
}

/// An array as PostgreSQL writes it: `{"one","two"}`.
fn literal(items: impl Iterator<Item = impl AsRef<str>>) -> String {
    let mut text = String::from("{");
    for (index, item) in items.enumerate() {
        text.push_str(if index == 0 { "\"" } else { ",\"" });
        for character in item.as_ref().chars() {
            if matches!(character, '"' | '\\') {
                text.push('\\');
            }
            text.push(character);
        }
        text.push('"');
    }
    text.push('}');
    text
}

/// Reads [`ticket_columns`].
pub(crate) fn read(row: &PgRow) -> Result<TicketRow, StoreError> {
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
        ticket_type: get::<Option<&str>>(row, 13)?.map(str::parse).transpose().map_err(damaged)?,
        group: get(row, 14)?,
        tags: get(row, 15)?,
        readers: persons(get(row, 16)?),
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
pub(crate) fn old(row: &PgRow) -> Result<Old, StoreError> {
    Ok(Old {
        tenant: tenant(get(row, 0)?)?,
        ticket: TicketId::new(get(row, 1)?),
        position: position(get(row, 2)?)?,
        counted: counted(row).ok(),
        readers: persons(get(row, 10)?),
    })
}

fn counted(row: &PgRow) -> Result<Counted, StoreError> {
    Ok(Counted {
        priority: priority(get(row, 3)?)?,
        requester: PersonId::new(get(row, 4)?),
        assignee: get::<Option<Uuid>>(row, 5)?.map(PersonId::new),
        status: get::<&str>(row, 6)?.parse::<Status>().map_err(damaged)?,
        ticket_type: get::<Option<&str>>(row, 7)?.map(str::parse).transpose().map_err(damaged)?,
        group: get(row, 8)?,
        tags: get(row, 9)?,
    })
}

fn persons(ids: Vec<Uuid>) -> Vec<PersonId> {
    ids.into_iter().map(PersonId::new).collect()
}

pub(crate) fn tenant(name: &str) -> Result<Tenant, StoreError> {
    name.parse().map_err(damaged)
}

pub(crate) fn priority(code: i16) -> Result<Priority, StoreError> {
    let index = usize::try_from(code).map_err(damaged)?;
    Priority::ALL.get(index).copied().ok_or_else(|| damaged("unknown priority"))
}

pub(crate) fn partition(stored: i16) -> Result<Partition, StoreError> {
    let number = u8::try_from(stored).ok();
    number.and_then(Partition::new).ok_or_else(|| damaged("unknown partition"))
}

pub(crate) fn position(stored: i64) -> Result<Position, StoreError> {
    Position::try_from(stored).map_err(damaged)
}

pub(crate) fn stored_position(position: Position) -> i64 {
    i64::try_from(position).unwrap_or(i64::MAX)
}
