//! Everything that a version holds of one partition, read as one snapshot.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use docket_projections::counters::{CounterField, CounterKey, CounterValue};
use docket_projections::row::TicketRow;
use docket_projections::store::{Parked, PartitionDump, StoreError, VersionNumber};
use docket_projections::{PartitionSet, Poison};
use docket_schemas::{Partition, PersonId, Stream, Tenant, TicketId};
use sqlx::sqlite::{SqliteConnection, SqliteRow};
use uuid::Uuid;

use crate::failure::{damaged, failed, get};
use crate::row::{partition, position, read, tenant, ticket_columns};
use crate::slot::Slot;
use crate::versions::{checkpoints, slot_of};

pub(crate) async fn dump(
    connection: &mut SqliteConnection,
    version: VersionNumber,
    of: Partition,
) -> Result<PartitionDump, StoreError> {
    let Some(slot) = slot_of(connection, version).await? else {
        return Err(damaged(format_args!("version {version} was dropped")));
    };
    let mut dump = PartitionDump {
        checkpoint: checkpoints(connection, version.cast_signed()).await?.get(of),
        counters: counters(connection, slot, of).await?,
        parked: parked(connection, version, PartitionSet::NONE.with(of)).await?,
        ..PartitionDump::default()
    };
    rows(connection, slot, of, &mut dump).await?;
    lists(connection, slot, of, &mut dump).await?;
    Ok(dump)
}

async fn counters(
    connection: &mut SqliteConnection,
    slot: Slot,
    of: Partition,
) -> Result<BTreeMap<CounterKey, i64>, StoreError> {
    let query = "SELECT tenant, field, value, count FROM counter_{slot} \
         WHERE partition = ?1 AND count <> 0";
    let asked = sqlx::query(slot.sql(query)).bind(of.number());
    let mut counters = BTreeMap::new();
    for row in asked.fetch_all(connection).await.map_err(failed)? {
        let code = get::<i64>(&row, 1)?;
        let field = CounterField::ALL.into_iter().find(|field| i64::from(field.code()) == code);
        let field = field.ok_or_else(|| damaged("unknown counter"))?;
        let value = CounterValue { field, value: get(&row, 2)? };
        let key = CounterKey { tenant: tenant(get(&row, 0)?)?, value, partition: of };
        counters.insert(key, get(&row, 3)?);
    }
    Ok(counters)
}

async fn rows(
    connection: &mut SqliteConnection,
    slot: Slot,
    of: Partition,
    dump: &mut PartitionDump,
) -> Result<(), StoreError> {
    const QUERY: &str =
        concat!("SELECT ", ticket_columns!(), " FROM ticket_{slot} WHERE partition = ?1");
    let asked = sqlx::query(slot.sql(QUERY)).bind(of.number());
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
    connection: &mut SqliteConnection,
    version: VersionNumber,
    tickets: Vec<(Tenant, TicketId)>,
) -> Result<Vec<TicketRow>, StoreError> {
    const QUERY: &str = concat!(
        "SELECT ",
        ticket_columns!(),
        " FROM ticket_{slot} WHERE tenant = ?1 AND ticket_id = ?2"
    );
    let Some(slot) = slot_of(connection, version).await? else { return Ok(Vec::new()) };
    let mut found = Vec::with_capacity(tickets.len());
    for (tenant, ticket) in tickets {
        let asked = sqlx::query(slot.sql(QUERY)).bind(tenant.as_str()).bind(ticket.uuid());
        let row = asked.fetch_optional(&mut *connection).await.map_err(failed)?;
        found.extend(row.and_then(|row| read(&row).ok()));
    }
    Ok(found)
}

/// What stands in the lists of readers and tags otherwise than in the rows.
async fn lists(
    connection: &mut SqliteConnection,
    slot: Slot,
    of: Partition,
    dump: &mut PartitionDump,
) -> Result<(), StoreError> {
    let readers = "SELECT r.tenant, r.ticket_id, r.person FROM reader_{slot} r \
         LEFT JOIN ticket_{slot} t ON t.tenant = r.tenant AND t.ticket_id = r.ticket_id \
         WHERE t.partition = ?1 OR t.partition IS NULL";
    let tags = "SELECT l.tenant, l.ticket_id, l.tag FROM tag_{slot} l \
         LEFT JOIN ticket_{slot} t ON t.tenant = l.tenant AND t.ticket_id = l.ticket_id \
         WHERE t.partition = ?1 OR t.partition IS NULL";
    let person = |row: &SqliteRow| get::<Uuid>(row, 2).map(PersonId::new);
    let mut readers = listed(connection, slot, of, readers, person).await?;
    let tag = |row: &SqliteRow| get::<String>(row, 2);
    let mut tags = listed(connection, slot, of, tags, tag).await?;
    let mut stray = BTreeSet::new();
    for row in &dump.rows {
        let key = (row.tenant.clone(), row.ticket);
        let same = readers.remove(&key).unwrap_or_default()
            == row.readers.iter().copied().collect()
            && tags.remove(&key).unwrap_or_default() == row.tags.iter().cloned().collect();
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
    connection: &mut SqliteConnection,
    slot: Slot,
    of: Partition,
    query: &'static str,
    under: impl Fn(&SqliteRow) -> Result<T, StoreError>,
) -> Result<Lists<T>, StoreError> {
    let asked = sqlx::query(slot.sql(query)).bind(of.number());
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
    connection: &mut SqliteConnection,
    version: VersionNumber,
    partitions: PartitionSet,
) -> Result<Vec<Parked>, StoreError> {
    let query = "SELECT partition, tenant, ticket_id, position, reason FROM parked \
         WHERE version = ?1 ORDER BY partition, position";
    let asked = sqlx::query(query).bind(version.cast_signed()).fetch_all(connection).await;
    let mut parked = Vec::new();
    for row in asked.map_err(failed)? {
        let of = partition(get(&row, 0)?)?;
        let ticket = match get::<&str>(&row, 1)? {
            "" => None,
            name => Some((tenant(name)?, TicketId::new(get(&row, 2)?))),
        };
        let position = position(get(&row, 3)?)?;
        if partitions.has(of) {
            let poison = Poison { ticket, position, reason: get(&row, 4)? };
            parked.push(Parked { partition: of, poison });
        }
    }
    Ok(parked)
}
