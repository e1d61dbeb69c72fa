//! Writing a batch: checkpoints first, by compare-and-set, then rows, what is listed by them, and counters.

use std::collections::{BTreeSet, HashMap};

use docket_projections::counters::{CounterKey, Deltas};
use docket_projections::row::TicketRow;
use docket_projections::store::{SpanRows, StoreError, VersionNumber};
use docket_projections::{Poison, Taken};
use docket_schemas::{Incarnation, Partition, Tenant, TicketId};
use serde_json::{Value, json};
use sqlx::sqlite::SqliteConnection;
use uuid::Uuid;

use crate::failure::failed;
use crate::file::Ended;
use crate::row::{
    Old, cell_values, cells, counted_columns, id, old, stored_position, ticket_columns,
};
use crate::slot::Slot;
use crate::versions::slot_under;

/// Rows of one statement: what it takes apart is one JSON text.
const ROWS_AT_ONCE: usize = 500;

/// Writes a batch, or nothing.
pub(crate) async fn write(
    connection: &mut SqliteConnection,
    version: VersionNumber,
    under: Option<Incarnation>,
    spans: Vec<SpanRows>,
) -> Result<Ended<Taken>, StoreError> {
    let Some(slot) = slot_under(connection, version, under).await? else {
        return Ok(Ended::RolledBack(Taken::Fenced));
    };
    if !advance(connection, version, &spans).await? {
        return Ok(Ended::RolledBack(Taken::Fenced));
    }
    let rows: Vec<&TicketRow> = spans.iter().flat_map(|span| &span.rows).collect();
    for rows in rows.chunks(ROWS_AT_ONCE) {
        put(connection, slot, version, rows).await?;
    }
    for span in spans.iter().filter(|span| !span.parked.is_empty()) {
        park(connection, version, span.partition, &span.parked).await?;
    }
    Ok(Ended::Committed(Taken::Done))
}

/// Moves the checkpoints if all of them stand where the batch was worked out.
async fn advance(
    connection: &mut SqliteConnection,
    version: VersionNumber,
    spans: &[SpanRows],
) -> Result<bool, StoreError> {
    let statement = "UPDATE checkpoint SET position = value ->> 2, \
           recorded_at = max(recorded_at, value ->> 3) \
         FROM json_each(?2) WHERE version = ?1 AND partition = value ->> 0 AND position = value ->> 1";
    let moved = spans.iter().map(|span| {
        let (after, upto) = (stored_position(span.after), stored_position(span.upto));
        json!([span.partition.number(), after, upto, span.recorded_at.micros()])
    });
    let moved = Value::Array(moved.collect()).to_string();
    let done = sqlx::query(statement).bind(version.cast_signed()).bind(moved);
    let done = done.execute(connection).await.map_err(failed)?;
    Ok(done.rows_affected() == spans.len() as u64)
}

const OLD: &str = concat!(
    "SELECT ",
    counted_columns!(),
    " FROM json_each(?1) n CROSS JOIN ticket_{slot} t \
      WHERE t.tenant = n.value ->> 0 AND t.ticket_id = unhex(n.value ->> 1)"
);

const PUT: &str = concat!(
    "INSERT INTO ticket_{slot} AS t (",
    ticket_columns!(),
    ") SELECT ",
    cell_values!(),
    " FROM json_each(?1) WHERE true \
      ON CONFLICT (tenant, ticket_id) DO UPDATE SET partition = excluded.partition, \
        priority = excluded.priority, position = excluded.position, \
        public_position = excluded.public_position, created_at = excluded.created_at, \
        updated_at = excluded.updated_at, public_updated_at = excluded.public_updated_at, \
        requester_id = excluded.requester_id, assignee_id = excluded.assignee_id, \
        status = excluded.status, public_status = excluded.public_status, type = excluded.type, \
        group_id = excluded.group_id, tags = excluded.tags, readers = excluded.readers, \
        state = excluded.state \
      WHERE t.position < excluded.position"
);

async fn put(
    connection: &mut SqliteConnection,
    slot: Slot,
    version: VersionNumber,
    rows: &[&TicketRow],
) -> Result<(), StoreError> {
    let keys = rows.iter().map(|row| json!([row.tenant, id(row.ticket.uuid())]));
    let keys = Value::Array(keys.collect()).to_string();
    let found = sqlx::query(slot.sql(OLD)).bind(&keys).fetch_all(&mut *connection).await;
    let mut before: HashMap<(Tenant, TicketId), Old> = HashMap::new();
    for row in found.map_err(failed)? {
        let old = old(&row)?;
        before.insert((old.tenant.clone(), old.ticket), old);
    }
    let mut changes = Changes::default();
    let mut written = Vec::with_capacity(rows.len());
    for row in rows {
        let old = before.get(&(row.tenant.clone(), row.ticket));
        // One that was folded further stays, and so does what is counted of it.
        if old.is_none_or(|old| old.position < row.position) {
            changes.replace(old, row);
            written.push(cells(row));
        }
    }
    each(connection, slot.sql(PUT), &written).await?;
    unpark(connection, version, &keys).await?;
    changes.write(connection, slot).await
}

async fn unpark(
    connection: &mut SqliteConnection,
    version: VersionNumber,
    keys: &str,
) -> Result<(), StoreError> {
    let statement = "DELETE FROM parked WHERE version = ?1 AND (tenant, ticket_id) IN \
         (SELECT value ->> 0, unhex(value ->> 1) FROM json_each(?2)) \
         AND EXISTS (SELECT 1 FROM parked WHERE version = ?1)";
    let done = sqlx::query(statement).bind(version.cast_signed()).bind(keys);
    done.execute(connection).await.map(drop).map_err(failed)
}

/// What follows from rows: who sees which ticket, which have a tag, how many there are.
#[derive(Default)]
pub(crate) struct Changes {
    readers: Listing<Uuid>,
    tags: Listing<String>,
    pub(crate) counters: Deltas,
}

/// Entries of a list that come and go: tenant, what the ticket is listed under, ticket.
struct Listing<T> {
    added: BTreeSet<(Tenant, T, Uuid)>,
    removed: BTreeSet<(Tenant, T, Uuid)>,
}

impl<T> Default for Listing<T> {
    fn default() -> Self {
        Self { added: BTreeSet::new(), removed: BTreeSet::new() }
    }
}

impl<T: Ord> Listing<T> {
    fn replace(
        &mut self,
        row: &TicketRow,
        old: impl Iterator<Item = T>,
        new: impl Iterator<Item = T>,
    ) {
        let (old, new): (BTreeSet<T>, BTreeSet<T>) = (old.collect(), new.collect());
        let entry = |under: T| (row.tenant.clone(), under, row.ticket.uuid());
        for under in old {
            if !new.contains(&under) {
                self.removed.insert(entry(under));
            }
        }
        self.added.extend(new.into_iter().map(entry));
    }
}

impl Changes {
    /// A row takes the place of another, or of none. What stays listed is listed again, which does nothing.
    pub(crate) fn replace(&mut self, old: Option<&Old>, row: &TicketRow) {
        let counted = old.and_then(|old| old.counted.as_ref());
        self.counters.replace(counted, row);
        let (readers, tags) = (old.map(|old| &old.readers), counted.map(|counted| &counted.tags));
        if readers != Some(&row.readers) {
            let before = readers.map(|list| list.iter().map(|person| person.uuid()).collect());
            let before: Vec<Uuid> = before.unwrap_or_default();
            let after = row.readers.iter().map(|person| person.uuid());
            self.readers.replace(row, before.into_iter(), after);
        }
        if tags != Some(&row.tags) {
            let before = tags.cloned().unwrap_or_default();
            self.tags.replace(row, before.into_iter(), row.tags.iter().cloned());
        }
    }

    pub(crate) async fn write(
        &self,
        connection: &mut SqliteConnection,
        slot: Slot,
    ) -> Result<(), StoreError> {
        let person = |(tenant, person, ticket): &(Tenant, Uuid, Uuid)| {
            json!([tenant, id(*person), id(*ticket)])
        };
        let tag =
            |(tenant, tag, ticket): &(Tenant, String, Uuid)| json!([tenant, tag, id(*ticket)]);
        for (template, entries) in [
            (
                "DELETE FROM reader_{slot} WHERE (tenant, person, ticket_id) IN (SELECT value ->> 0, \
                 unhex(value ->> 1), unhex(value ->> 2) FROM json_each(?1))",
                self.readers.removed.iter().map(person).collect::<Vec<_>>(),
            ),
            (
                "INSERT OR IGNORE INTO reader_{slot} (tenant, person, ticket_id) SELECT value ->> 0, \
                 unhex(value ->> 1), unhex(value ->> 2) FROM json_each(?1)",
                self.readers.added.iter().map(person).collect(),
            ),
            (
                "DELETE FROM tag_{slot} WHERE (tenant, tag, ticket_id) IN (SELECT value ->> 0, \
                 value ->> 1, unhex(value ->> 2) FROM json_each(?1))",
                self.tags.removed.iter().map(tag).collect(),
            ),
            (
                "INSERT OR IGNORE INTO tag_{slot} (tenant, tag, ticket_id) SELECT value ->> 0, \
                 value ->> 1, unhex(value ->> 2) FROM json_each(?1)",
                self.tags.added.iter().map(tag).collect(),
            ),
        ] {
            each(connection, slot.sql(template), &entries).await?;
        }
        count(connection, slot, self.counters.changes()).await
    }
}

/// Adds to counters.
pub(crate) async fn count<'k>(
    connection: &mut SqliteConnection,
    slot: Slot,
    counters: impl Iterator<Item = (&'k CounterKey, i64)>,
) -> Result<(), StoreError> {
    let template = "INSERT INTO counter_{slot} AS c (tenant, field, value, partition, count) \
         SELECT value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4 FROM json_each(?1) \
         WHERE true ON CONFLICT (tenant, field, value, partition) \
         DO UPDATE SET count = c.count + excluded.count";
    let entries: Vec<Value> = counters
        .map(|(key, by)| {
            let value = &key.value;
            json!([key.tenant, value.field.code(), value.value, key.partition.number(), by])
        })
        .collect();
    each(connection, slot.sql(template), &entries).await
}

/// Notes tickets that cannot be folded. One that is parked already keeps its first event and gets the newest reason.
pub(crate) async fn park(
    connection: &mut SqliteConnection,
    version: VersionNumber,
    partition: Partition,
    parked: &[Poison],
) -> Result<(), StoreError> {
    let statement = "INSERT INTO parked (version, partition, tenant, ticket_id, place, position, reason) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7) \
         ON CONFLICT (version, partition, tenant, ticket_id, place) DO UPDATE SET reason = excluded.reason";
    for poison in parked {
        let position = stored_position(poison.position);
        let (tenant, ticket, place) = match &poison.ticket {
            Some((tenant, ticket)) => (tenant.as_str(), ticket.uuid(), 0),
            None => ("", Uuid::nil(), position),
        };
        let done = sqlx::query(statement)
            .bind(version.cast_signed())
            .bind(partition.number())
            .bind(tenant)
            .bind(ticket)
            .bind(place)
            .bind(position)
            .bind(&poison.reason);
        done.execute(&mut *connection).await.map_err(failed)?;
    }
    Ok(())
}

/// Runs a statement over entries, if there are any.
pub(crate) async fn each(
    connection: &mut SqliteConnection,
    statement: sqlx::AssertSqlSafe<String>,
    entries: &[Value],
) -> Result<(), StoreError> {
    if entries.is_empty() {
        return Ok(());
    }
    let entries = serde_json::to_string(entries).unwrap_or_default();
    sqlx::query(statement).bind(entries).execute(connection).await.map(drop).map_err(failed)
}
