//! Everything that a version holds of one partition, read as one snapshot.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use docket_projections::counters::{CounterField, CounterKey, CounterValue};
use docket_projections::row::TicketRow;
use docket_projections::store::{Parked, PartitionDump, StoreError, VersionNumber};
use docket_projections::{PartitionSet, Poison};
use docket_schemas::{Partition, PersonId, Stream, Tenant, TicketId};
use sqlx::postgres::{PgConnection, PgPool, PgRow};
use sqlx::{Connection as _, Executor as _};
use uuid::Uuid;

use crate::failure::{damaged, failed, get};
use crate::row::{partition, position, read, tenant, ticket_columns};
use crate::slot::Slot;
use crate::versions::slot_of;

pub(crate) async fn dump(
    pool: PgPool,
    version: VersionNumber,
    of: Partition,
) -> Result<PartitionDump, StoreError> {
    let mut connection = pool.acquire().await.map_err(failed)?;
    let mut transaction = connection.begin().await.map_err(failed)?;
    let snapshot = "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY; \
         SET LOCAL statement_timeout = 0";
    transaction.execute(snapshot).await.map_err(failed)?;
    let Some(slot) = slot_of(&mut transaction, version).await? else {
        return Err(damaged(format_args!("version {version} was dropped")));
    };
    let mut dump = PartitionDump {
        checkpoint: checkpoint(&mut transaction, version, of).await?,
        counters: counters(&mut transaction, slot, of).await?,
        parked: parked_rows(&mut transaction, version, PartitionSet::NONE.with(of)).await?,
        ..PartitionDump::default()
    };
    rows(&mut transaction, slot, of, &mut dump).await?;
    lists(&mut transaction, slot, of, &mut dump).await?;
    transaction.commit().await.map_err(failed)?;
    Ok(dump)
}

async fn checkpoint(
    connection: &mut PgConnection,
    version: VersionNumber,
    of: Partition,
) -> Result<u64, StoreError> {
    let query = "SELECT c.position FROM docket_views.checkpoint c \
         WHERE c.version = $1 AND c.partition = $2";
    let asked = sqlx::query(query).bind(version.cast_signed()).bind(i16::from(of.number()));
    let row = asked.fetch_optional(connection).await.map_err(failed)?;
    row.map_or(Ok(0), |row| position(get(&row, 0)?))
}

async fn counters(
    connection: &mut PgConnection,
    slot: Slot,
    of: Partition,
) -> Result<BTreeMap<CounterKey, i64>, StoreError> {
    let query = "SELECT c.tenant, c.field, c.value, c.count FROM docket_views.counter_{slot} c \
         WHERE c.partition = $1 AND c.count <> 0";
    let asked = sqlx::query(slot.sql(query)).bind(i16::from(of.number()));
    let mut counters = BTreeMap::new();
    for row in asked.fetch_all(connection).await.map_err(failed)? {
        let code = get::<i16>(&row, 1)?;
        let field = CounterField::ALL.into_iter().find(|field| i16::from(field.code()) == code);
        let field = field.ok_or_else(|| damaged("unknown counter"))?;
        let value = CounterValue { field, value: get(&row, 2)? };
        let key = CounterKey { tenant: tenant(get(&row, 0)?)?, value, partition: of };
        counters.insert(key, get(&row, 3)?);
    }
    Ok(counters)
}

async fn rows(
    connection: &mut PgConnection,
    slot: Slot,
    of: Partition,
    dump: &mut PartitionDump,
) -> Result<(), StoreError> {
    const QUERY: &str = concat!(
        "SELECT ",
        ticket_columns!("t."),
        " FROM docket_views.ticket_{slot} t WHERE t.partition = $1"
    );
    let asked = sqlx::query(slot.sql(QUERY)).bind(i16::from(of.number()));
    for row in asked.fetch_all(connection).await.map_err(failed)? {
        match read(&row) {
            Ok(row) => dump.rows.push(row),
            Err(StoreError::Damaged { what }) => {
                let ticket = (tenant(get(&row, 0)?)?, TicketId::new(get(&row, 1)?));
                dump.unreadable.push((ticket.0, ticket.1, what));
            }
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// The rows of some tickets.
pub(crate) async fn some(
    pool: PgPool,
    version: VersionNumber,
    tickets: Vec<(Tenant, TicketId)>,
) -> Result<Vec<TicketRow>, StoreError> {
    const QUERY: &str = concat!(
        "SELECT ",
        ticket_columns!("t."),
        " FROM unnest($1::text[], $2::uuid[]) AS n (tenant, ticket_id) \
          JOIN docket_views.ticket_{slot} t ON t.tenant = n.tenant AND t.ticket_id = n.ticket_id"
    );
    let mut connection = pool.acquire().await.map_err(failed)?;
    let Some(slot) = slot_of(&mut connection, version).await? else { return Ok(Vec::new()) };
    let asked = sqlx::query(slot.sql(QUERY))
        .bind(tickets.iter().map(|(tenant, _)| tenant.as_str().to_owned()).collect::<Vec<_>>())
        .bind(tickets.iter().map(|(_, ticket)| ticket.uuid()).collect::<Vec<_>>());
    let rows = asked.fetch_all(&mut *connection).await.map_err(failed)?;
    Ok(rows.iter().filter_map(|row| read(row).ok()).collect())
}

/// What stands in the lists of readers and tags otherwise than in the rows.
async fn lists(
    connection: &mut PgConnection,
    slot: Slot,
    of: Partition,
    dump: &mut PartitionDump,
) -> Result<(), StoreError> {
    let readers = "SELECT r.tenant, r.ticket_id, r.person FROM docket_views.reader_{slot} r \
         LEFT JOIN docket_views.ticket_{slot} t ON t.tenant = r.tenant AND t.ticket_id = r.ticket_id \
         WHERE t.partition = $1 OR t.partition IS NULL";
    let tags = "SELECT l.tenant, l.ticket_id, l.tag, l.status FROM docket_views.tag_{slot} l \
         LEFT JOIN docket_views.ticket_{slot} t ON t.tenant = l.tenant AND t.ticket_id = l.ticket_id \
         WHERE t.partition = $1 OR t.partition IS NULL";
    let person = |row: &PgRow| get::<Uuid>(row, 2).map(PersonId::new);
    let mut readers = listed(connection, slot, of, readers, person).await?;
    let tag = |row: &PgRow| Ok((get::<String>(row, 2)?, get::<String>(row, 3)?));
    let mut tags = listed(connection, slot, of, tags, tag).await?;
    let mut stray = BTreeSet::new();
    for row in &dump.rows {
        let key = (row.tenant.clone(), row.ticket);
        let by_status = row.tags.iter().map(|tag| (tag.clone(), row.status.as_str().to_owned()));
        let same = readers.remove(&key).unwrap_or_default()
            == row.readers.iter().copied().collect()
            && tags.remove(&key).unwrap_or_default() == by_status.collect();
        if !same {
            stray.insert(key);
        }
    }
    stray.extend(readers.into_keys().chain(tags.into_keys()));
    dump.stray = stray.into_iter().collect();
    Ok(())
}

type Lists<T> = HashMap<(Tenant, TicketId), BTreeSet<T>>;

async fn listed<T: Ord>(
    connection: &mut PgConnection,
    slot: Slot,
    of: Partition,
    query: &'static str,
    under: impl Fn(&PgRow) -> Result<T, StoreError>,
) -> Result<Lists<T>, StoreError> {
    let asked = sqlx::query(slot.sql(query)).bind(i16::from(of.number()));
    let mut lists = Lists::new();
    for row in asked.fetch_all(connection).await.map_err(failed)? {
        let (tenant, ticket) = (tenant(get(&row, 0)?)?, TicketId::new(get(&row, 1)?));
        if Stream::ticket(ticket).partition(&tenant) == of {
            lists.entry((tenant, ticket)).or_default().insert(under(&row)?);
        }
    }
    Ok(lists)
}

pub(crate) async fn parked(
    pool: PgPool,
    version: VersionNumber,
    partitions: PartitionSet,
) -> Result<Vec<Parked>, StoreError> {
    let mut connection = pool.acquire().await.map_err(failed)?;
    parked_rows(&mut connection, version, partitions).await
}

async fn parked_rows(
    connection: &mut PgConnection,
    version: VersionNumber,
    partitions: PartitionSet,
) -> Result<Vec<Parked>, StoreError> {
    let query = "SELECT p.partition, p.tenant, p.ticket_id, p.position, p.reason \
         FROM docket_views.parked p WHERE p.version = $1 AND p.partition = ANY ($2) \
         ORDER BY p.partition, p.position";
    let numbers: Vec<i16> = partitions.iter().map(|one| i16::from(one.number())).collect();
    let asked = sqlx::query(query).bind(version.cast_signed()).bind(numbers);
    let rows = asked.fetch_all(connection).await.map_err(failed)?;
    rows.iter()
        .map(|row| {
            let ticket = match get::<&str>(row, 1)? {
                "" => None,
                name => Some((tenant(name)?, TicketId::new(get(row, 2)?))),
            };
            let poison = Poison { ticket, position: position(get(row, 3)?)?, reason: get(row, 4)? };
            Ok(Parked { partition: partition(get(row, 0)?)?, poison })
        })
        .collect()
}
