//! Writing a batch: checkpoints first, by compare-and-set, then rows, what is listed by them, and counters.

use std::collections::{BTreeSet, HashMap};

use docket_projections::counters::{CounterKey, Deltas};
use docket_projections::row::TicketRow;
use docket_projections::store::{SpanRows, StoreError, VersionNumber};
use docket_projections::{Poison, Taken};
use docket_schemas::{Incarnation, Partition, Status, Tenant, TicketId};
use sqlx::postgres::PgConnection;
use sqlx::{Connection as _, Executor as _, PgPool};
use uuid::Uuid;

use crate::busy;
use crate::failure::{failed, get};
use crate::row::{Old, bind, counted_columns, old, stored_position, ticket_columns};
use crate::slot::Slot;

/// Writes a batch, or nothing.
pub(crate) async fn write(
    pool: PgPool,
    version: VersionNumber,
    under: Option<Incarnation>,
    spans: Vec<SpanRows>,
) -> Result<Taken, StoreError> {
    let mut connection = pool.acquire().await.map_err(failed)?;
    let mut transaction = connection.begin().await.map_err(failed)?;
    let Some(standing) = advance(&mut transaction, version, under, &spans).await? else {
        transaction.rollback().await.map_err(failed)?;
        return Ok(Taken::Fenced);
    };
    let slot = standing.slot;
    let rows: Vec<&TicketRow> = spans.iter().flat_map(|span| &span.rows).collect();
    if !rows.is_empty() {
        let busy_within = if standing.filled { busy::within(rows.len()) } else { 0 };
        put(&mut transaction, slot, (version, busy_within), &rows).await?;
    }
    if standing.filled {
        busy::rest(&mut transaction, slot, &spans, rows.len()).await?;
    }
    for span in spans.iter().filter(|span| !span.parked.is_empty()) {
        park(&mut transaction, version, span.partition, &span.parked).await?;
    }
    transaction.commit().await.map_err(failed)?;
    Ok(Taken::Done)
}

/// The version that is written.
struct Standing {
    slot: Slot,
    /// Whether it has its indexes.
    filled: bool,
}

/// Moves the checkpoints if all of them stand where the batch was worked out.
async fn advance(
    connection: &mut PgConnection,
    version: VersionNumber,
    under: Option<Incarnation>,
    spans: &[SpanRows],
) -> Result<Option<Standing>, StoreError> {
    let statement = "WITH v AS (SELECT number, slot, filled FROM docket_views.version \
           WHERE number = $1 AND ($6::text IS NULL OR incarnation = $6) FOR SHARE) \
         UPDATE docket_views.checkpoint c \
         SET position = s.upto, recorded_at = greatest(c.recorded_at, s.recorded_at) \
         FROM unnest($2::smallint[], $3::bigint[], $4::bigint[], $5::bigint[]) \
           AS s (partition, after, upto, recorded_at), v \
         WHERE c.version = v.number AND c.partition = s.partition \
           AND c.position = s.after \
         RETURNING v.slot, v.filled";
    let column = |of: fn(&SpanRows) -> i64| spans.iter().map(of).collect::<Vec<i64>>();
    let partitions: Vec<i16> = spans.iter().map(|span| span.partition.number().into()).collect();
    let moved = sqlx::query(statement)
        .bind(version.cast_signed())
        .bind(partitions)
        .bind(column(|span| stored_position(span.after)))
        .bind(column(|span| stored_position(span.upto)))
        .bind(column(|span| span.recorded_at.micros()))
        .bind(under.map(|under| under.to_string()))
        .fetch_all(connection)
        .await
        .map_err(failed)?;
    match moved.first() {
        Some(row) if moved.len() == spans.len() => {
            Ok(Some(Standing { slot: Slot::parse(get(row, 0)?)?, filled: get(row, 1)? }))
        }
        _ => Ok(None),
    }
}

const PUT: &str = concat!(
    "WITH new AS MATERIALIZED (SELECT * FROM unnest($1::text[], $2::uuid[], $3::smallint[], \
       $4::smallint[], $5::bigint[], $6::bigint[], $7::bigint[], $8::bigint[], $9::bigint[], \
       $10::uuid[], $11::uuid[], $12::text[], $13::text[], $14::text[], $15::text[], $16::text[], \
       $17::text[], $18::text[]) AS n (",
    ticket_columns!(""),
    ")), gone AS (DELETE FROM docket_views.parked p USING new n \
       WHERE p.version = $19 AND p.partition = n.partition AND p.tenant = n.tenant \
         AND p.ticket_id = n.ticket_id), \
     old AS (SELECT ",
    counted_columns!(),
    "  FROM new n JOIN docket_views.ticket_{slot} t \
         ON t.tenant = n.tenant AND t.ticket_id = n.ticket_id), \
     put AS (INSERT INTO docket_views.ticket_{slot} AS t (",
    ticket_columns!(""),
    ") SELECT n.tenant, n.ticket_id, n.partition, n.priority, n.position, n.public_position, \
         n.created_at, n.updated_at, n.public_updated_at, n.requester_id, n.assignee_id, n.status, \
         n.public_status, n.type, n.group_id, n.tags::text[], n.readers::uuid[], n.state FROM new n \
       ON CONFLICT (tenant, ticket_id) DO UPDATE SET partition = excluded.partition, \
         priority = excluded.priority, position = excluded.position, \
         public_position = excluded.public_position, created_at = excluded.created_at, \
         updated_at = excluded.updated_at, public_updated_at = excluded.public_updated_at, \
         requester_id = excluded.requester_id, assignee_id = excluded.assignee_id, \
         status = excluded.status, public_status = excluded.public_status, type = excluded.type, \
         group_id = excluded.group_id, tags = excluded.tags, readers = excluded.readers, \
         state = excluded.state, busy = excluded.position - t.position < $20 \
       WHERE t.position < excluded.position) \
     SELECT * FROM old"
);

async fn put(
    connection: &mut PgConnection,
    slot: Slot,
    (version, busy_within): (VersionNumber, i64),
    rows: &[&TicketRow],
) -> Result<(), StoreError> {
    let statement = bind(sqlx::query(slot.sql(PUT)), rows);
    let statement = statement.bind(version.cast_signed()).bind(busy_within);
    let found = statement.fetch_all(&mut *connection).await.map_err(failed)?;
    let mut before: HashMap<(Tenant, TicketId), Old> = HashMap::with_capacity(found.len());
    for row in &found {
        let old = old(row)?;
        before.insert((old.tenant.clone(), old.ticket), old);
    }
    let mut changes = Changes::default();
    for row in rows {
        let old = before.get(&(row.tenant.clone(), row.ticket));
        // One that was folded further stays, and so does what is counted of it.
        if old.is_none_or(|old| old.position < row.position) {
            changes.replace(old, row);
        }
    }
    changes.write(connection, slot).await
}

/// What follows from rows: who sees which ticket, which have a tag, how many there are.
#[derive(Default)]
pub(crate) struct Changes {
    pub(crate) readers: Listing<Uuid>,
    /// By tag and status.
    pub(crate) tags: Listing<(String, &'static str)>,
    pub(crate) counters: Deltas,
}

/// Entries of a list that come and go: tenant, what the ticket is listed under, ticket.
pub(crate) struct Listing<T> {
    pub(crate) added: BTreeSet<(Tenant, T, Uuid)>,
    pub(crate) removed: BTreeSet<(Tenant, T, Uuid)>,
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
        let readers = old.map(|old| &old.readers);
        if readers != Some(&row.readers) {
            let ids = |list: &[docket_schemas::PersonId]| {
                list.iter().map(|person| person.uuid()).collect::<Vec<_>>()
            };
            let before = readers.map(|readers| ids(readers)).unwrap_or_default();
            self.readers.replace(row, before.into_iter(), ids(&row.readers).into_iter());
        }
        if counted.is_none_or(|old| old.tags != row.tags || old.status != row.status) {
            let before = counted.into_iter().flat_map(|old| tags_by_status(&old.tags, old.status));
            self.tags.replace(row, before, tags_by_status(&row.tags, row.status));
        }
    }

    pub(crate) async fn write(
        &self,
        connection: &mut PgConnection,
        slot: Slot,
    ) -> Result<(), StoreError> {
        for (template, entries) in [
            (
                "DELETE FROM docket_views.reader_{slot} r USING unnest($1::text[], $2::uuid[], $3::uuid[]) \
                 AS n (tenant, person, ticket_id) WHERE r.tenant = n.tenant AND r.person = n.person \
                 AND r.ticket_id = n.ticket_id",
                &self.readers.removed,
            ),
            (
                "INSERT INTO docket_views.reader_{slot} (tenant, person, ticket_id) \
                 SELECT * FROM unnest($1::text[], $2::uuid[], $3::uuid[]) ON CONFLICT DO NOTHING",
                &self.readers.added,
            ),
        ] {
            if !entries.is_empty() {
                let persons: Vec<Uuid> = entries.iter().map(|(_, person, _)| *person).collect();
                let statement =
                    sqlx::query(slot.sql(template)).bind(tenants(entries)).bind(persons);
                execute(connection, statement.bind(tickets(entries))).await?;
            }
        }
        for (template, entries) in [
            (
                "DELETE FROM docket_views.tag_{slot} l USING \
                 unnest($1::text[], $2::text[], $3::text[], $4::uuid[]) \
                 AS n (tenant, tag, status, ticket_id) WHERE l.tenant = n.tenant \
                 AND l.tag = n.tag AND l.status = n.status AND l.ticket_id = n.ticket_id",
                &self.tags.removed,
            ),
            (
                "INSERT INTO docket_views.tag_{slot} (tenant, tag, status, ticket_id) \
                 SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::uuid[]) \
                 ON CONFLICT DO NOTHING",
                &self.tags.added,
            ),
        ] {
            if !entries.is_empty() {
                let (tags, statuses): (Vec<&str>, Vec<&str>) =
                    entries.iter().map(|(_, (tag, status), _)| (tag.as_str(), *status)).unzip();
                let statement = sqlx::query(slot.sql(template)).bind(tenants(entries)).bind(tags);
                execute(connection, statement.bind(statuses).bind(tickets(entries))).await?;
            }
        }
        let counters: Vec<(&CounterKey, i64)> = self.counters.changes().collect();
        count(connection, slot, &counters).await
    }
}

/// What a ticket's tags are listed under.
pub(crate) fn tags_by_status(
    tags: &[String],
    status: Status,
) -> impl Iterator<Item = (String, &'static str)> {
    tags.iter().map(move |tag| (tag.clone(), status.as_str()))
}

fn tenants<T>(entries: &BTreeSet<(Tenant, T, Uuid)>) -> Vec<&str> {
    entries.iter().map(|(tenant, ..)| tenant.as_str()).collect()
}

fn tickets<T>(entries: &BTreeSet<(Tenant, T, Uuid)>) -> Vec<Uuid> {
    entries.iter().map(|(.., ticket)| *ticket).collect()
}

/// Adds to counters, in the order of their keys.
pub(crate) async fn count(
    connection: &mut PgConnection,
    slot: Slot,
    counters: &[(&CounterKey, i64)],
) -> Result<(), StoreError> {
    if counters.is_empty() {
        return Ok(());
    }
    let template = "INSERT INTO docket_views.counter_{slot} AS c \
           (tenant, field, value, partition, count) \
         SELECT * FROM unnest($1::text[], $2::smallint[], $3::text[], $4::smallint[], $5::bigint[]) \
         ON CONFLICT (tenant, field, value, partition) DO UPDATE SET count = c.count + excluded.count";
    let keys = || counters.iter().map(|(key, _)| *key);
    let statement = sqlx::query(slot.sql(template))
        .bind(keys().map(|key| key.tenant.as_str()).collect::<Vec<_>>())
        .bind(keys().map(|key| i16::from(key.value.field.code())).collect::<Vec<_>>())
        .bind(keys().map(|key| key.value.value.as_str()).collect::<Vec<_>>())
        .bind(keys().map(|key| i16::from(key.partition.number())).collect::<Vec<_>>())
        .bind(counters.iter().map(|(_, by)| *by).collect::<Vec<_>>());
    execute(connection, statement).await
}

/// Notes tickets that cannot be folded. One that is parked already keeps its first event and gets the newest reason.
pub(crate) async fn park(
    connection: &mut PgConnection,
    version: VersionNumber,
    partition: Partition,
    parked: &[Poison],
) -> Result<(), StoreError> {
    let statement = "INSERT INTO docket_views.parked AS p \
           (version, partition, tenant, ticket_id, place, position, reason) \
         SELECT $1, $2, * FROM unnest($3::text[], $4::uuid[], $5::bigint[], $6::bigint[], $7::text[]) \
         ON CONFLICT (version, partition, tenant, ticket_id, place) DO UPDATE SET reason = excluded.reason";
    let tenant = |poison: &Poison| match &poison.ticket {
        Some((tenant, _)) => tenant.as_str().to_owned(),
        None => String::new(),
    };
    let ticket = |poison: &Poison| poison.ticket.as_ref().map_or(Uuid::nil(), |(_, id)| id.uuid());
    let position = |poison: &Poison| stored_position(poison.position);
    let place = |poison: &Poison| if poison.ticket.is_some() { 0 } else { position(poison) };
    let statement = sqlx::query(statement)
        .bind(version.cast_signed())
        .bind(i16::from(partition.number()))
        .bind(parked.iter().map(tenant).collect::<Vec<_>>())
        .bind(parked.iter().map(ticket).collect::<Vec<_>>())
        .bind(parked.iter().map(place).collect::<Vec<_>>())
        .bind(parked.iter().map(position).collect::<Vec<_>>())
        .bind(parked.iter().map(|poison| poison.reason.replace('\0', "")).collect::<Vec<_>>());
    execute(connection, statement).await
}

/// Runs a statement that answers nothing.
pub(crate) async fn execute(
    connection: &mut PgConnection,
    statement: crate::row::Statement<'_>,
) -> Result<(), StoreError> {
    connection.execute(statement).await.map(drop).map_err(failed)
}
