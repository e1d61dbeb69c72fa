//! Lists and counts: each reads the active version and its answer from one snapshot.
//!
//! SQLite knows nothing of how values are spread, and the counters do: they decide whether a list is found by the
//! rarest value asked for (and sorted) or by walking the order asked for (and filtered). A column written as `+column`
//! is not looked up in an index.

use docket_engine::cursor::Positions;
use docket_projections::counters::{CounterField, CounterValue};
use docket_projections::query::{
    Basis, COUNTED_TICKETS_MAX, Count, CountQuery, Direction, LIST_ROWS_MAX, ListPage, ListQuery,
    Listed, Place, SortKey, TicketFilter, Viewer,
};
use docket_projections::store::StoreError;
use docket_projections::stored;
use docket_schemas::{PersonId, Tenant, TicketId};
use serde_json::Value;
use sqlx::sqlite::{SqliteConnection, SqliteRow};
use sqlx::{QueryBuilder, Sqlite};
use uuid::Uuid;

use crate::failure::{damaged, failed, get};
use crate::row::{id, partition, position};
use crate::slot::Slot;
use crate::versions::{active, checkpoints, incarnation};

type Sql = QueryBuilder<Sqlite>;

pub(crate) async fn list(
    connection: &mut SqliteConnection,
    query: ListQuery,
) -> Result<ListPage, StoreError> {
    let (slot, basis) = head(connection, query.viewer, &query.tenant).await?;
    let nothing = ListPage { tickets: Vec::new(), more: false, basis };
    if query.filter.is_hidden_from(query.viewer) {
        return Ok(nothing);
    }
    let limit = query.limit.min(LIST_ROWS_MAX);
    let by_update = query.sort.key == SortKey::UpdatedAt;
    let way = match query.viewer {
        Viewer::Customer(_) => Way::Readers,
        Viewer::Staff => {
            way(connection, slot, &query.tenant, &query.filter, limit, by_update).await?
        }
    };
    if way == Way::Nowhere {
        return Ok(nothing);
    }
    let column = sort_column(query.sort.key, query.viewer);
    // Which tickets are on the page is found in an index alone; only their own rows are looked at.
    let mut sql = QueryBuilder::new(format!(
        "SELECT s.ticket_id, page.key, s.state FROM (SELECT t.rowid AS number, t.{column} AS key, t.ticket_id"
    ));
    push_from(&mut sql, slot, query.viewer, &query.tenant, &way, &query.filter);
    push_filter(&mut sql, slot, &query.tenant, query.viewer, &query.filter, &way);
    let (order, beyond) = match query.sort.direction {
        Direction::Ascending => ("ASC", ">"),
        Direction::Descending => ("DESC", "<"),
    };
    // Sorting what was gathered; a walk is in order already.
    let plus = match &way {
        Way::Walk => "",
        Way::Gather(field) if by_update && *field != CounterField::Tag => "",
        _ => "+",
    };
    if let Some(place) = query.after {
        sql.push(format_args!(" AND ({plus}t.{column}, t.ticket_id) {beyond} ("));
        sql.push_bind(place.key).push(", ").push_bind(place.ticket.uuid()).push(")");
    }
    sql.push(format_args!(
        " ORDER BY {plus}t.{column} {order}, t.ticket_id {order} LIMIT {}) AS page \
         CROSS JOIN ticket_{} s ON s.rowid = page.number \
         ORDER BY page.key {order}, page.ticket_id {order}",
        limit + 1,
        slot.name()
    ));
    let rows = sql.build().fetch_all(connection).await.map_err(failed)?;
    let tickets = rows.iter().take(limit).map(listed).collect::<Result<_, _>>()?;
    Ok(ListPage { tickets, more: rows.len() > limit, basis })
}

pub(crate) async fn count(
    connection: &mut SqliteConnection,
    query: CountQuery,
) -> Result<Count, StoreError> {
    let (slot, basis) = head(connection, query.viewer, &query.tenant).await?;
    if query.filter.is_hidden_from(query.viewer) {
        return Ok(Count { count: 0, exact: true, basis });
    }
    let counter = query.filter.counter();
    // Of a customer's tickets there are no counters; they are few.
    let exact = counter.is_some();
    let way = match query.viewer {
        Viewer::Customer(_) => Way::Readers,
        Viewer::Staff => {
            if let Some(counter) = counter {
                let count = counted(connection, slot, &query.tenant, &counter).await?;
                return Ok(Count { count, exact: true, basis });
            }
            rarest(connection, slot, &query.tenant, &query.filter)
                .await?
                .map_or(Way::Walk, |(field, _)| Way::Gather(field))
        }
    };
    let mut sql = QueryBuilder::new("SELECT count(*) FROM (SELECT 1");
    push_from(&mut sql, slot, query.viewer, &query.tenant, &way, &query.filter);
    push_filter(&mut sql, slot, &query.tenant, query.viewer, &query.filter, &way);
    if !exact {
        sql.push(format_args!(" LIMIT {}", COUNTED_TICKETS_MAX + 1));
    }
    sql.push(")");
    let row = sql.build().fetch_one(connection).await.map_err(failed)?;
    let count = u64::try_from(get::<i64>(&row, 0)?).unwrap_or(0);
    Ok(if exact { Count { count, exact, basis } } else { Count::up_to_limit(count, basis) })
}

pub(crate) async fn tickets(
    connection: &mut SqliteConnection,
    tenant: Tenant,
    viewer: Viewer,
    tickets: Vec<TicketId>,
) -> Result<Vec<Listed>, StoreError> {
    let (_, slot) = active(connection).await?;
    let ids = tickets.iter().map(|ticket| Value::String(id(ticket.uuid()))).collect();
    let ids = Value::Array(ids).to_string();
    let slot = slot.name();
    let mut sql = QueryBuilder::new("SELECT t.ticket_id, 0, t.state FROM json_each(");
    sql.push_bind(ids);
    sql.push(format_args!(
        ") n CROSS JOIN ticket_{slot} t ON t.ticket_id = unhex(n.value) WHERE t.tenant = "
    ));
    sql.push_bind(tenant.as_str().to_owned());
    if let Viewer::Customer(person) = viewer {
        sql.push(format_args!(
            " AND EXISTS (SELECT 1 FROM reader_{slot} r WHERE r.tenant = t.tenant \
             AND r.ticket_id = t.ticket_id AND r.person = "
        ));
        sql.push_bind(person.uuid()).push(")");
    }
    let rows = sql.build().fetch_all(connection).await.map_err(failed)?;
    rows.iter().map(listed).collect()
}

/// How tickets are found.
#[derive(Debug, PartialEq, Eq)]
enum Way {
    /// By who may see them.
    Readers,
    /// In the order asked for.
    Walk,
    /// By the rarest value asked for.
    Gather(CounterField),
    /// A value that no ticket has was asked for.
    Nowhere,
}

async fn way(
    connection: &mut SqliteConnection,
    slot: Slot,
    tenant: &Tenant,
    filter: &TicketFilter,
    limit: usize,
    by_update: bool,
) -> Result<Way, StoreError> {
    let Some((field, rarest)) = rarest(connection, slot, tenant, filter).await? else {
        return Ok(Way::Walk);
    };
    if rarest == 0 {
        return Ok(Way::Nowhere);
    }
    // The indexes of most fields are in the order of the last change.
    if by_update && !matches!(field, CounterField::Tag | CounterField::Priority) {
        return Ok(Way::Gather(field));
    }
    let all = counted(connection, slot, tenant, &CounterValue::all()).await?;
    // A walk passes all/rarest tickets for each that it finds.
    let walked = all.saturating_mul(limit as u64 + 1) / rarest;
    Ok(if rarest <= walked { Way::Gather(field) } else { Way::Walk })
}

/// The equality that the fewest tickets fulfil.
async fn rarest(
    connection: &mut SqliteConnection,
    slot: Slot,
    tenant: &Tenant,
    filter: &TicketFilter,
) -> Result<Option<(CounterField, u64)>, StoreError> {
    let mut rarest: Option<(CounterField, u64)> = None;
    for value in filter.equalities() {
        let count = counted(connection, slot, tenant, &value).await?;
        if rarest.is_none_or(|(_, fewest)| count < fewest) {
            rarest = Some((value.field, count));
        }
    }
    Ok(rarest)
}

async fn counted(
    connection: &mut SqliteConnection,
    slot: Slot,
    tenant: &Tenant,
    counter: &CounterValue,
) -> Result<u64, StoreError> {
    let query = "SELECT coalesce(sum(count), 0) FROM counter_{slot} \
         WHERE tenant = ?1 AND field = ?2 AND value = ?3";
    let asked = sqlx::query(slot.sql(query))
        .bind(tenant.as_str())
        .bind(counter.field.code())
        .bind(&counter.value);
    let row = asked.fetch_one(connection).await.map_err(failed)?;
    Ok(u64::try_from(get::<i64>(&row, 0)?).unwrap_or(0))
}

async fn head(
    connection: &mut SqliteConnection,
    viewer: Viewer,
    tenant: &Tenant,
) -> Result<(Slot, Basis), StoreError> {
    let (version, slot) = active(connection).await?;
    let incarnation = incarnation(connection, version).await?.map(|own| own.number());
    let positions = checkpoints(connection, version).await?;
    let newest_visible = match viewer {
        Viewer::Staff => None,
        Viewer::Customer(person) => Some(seen(connection, slot, tenant, person).await?),
    };
    Ok((slot, Basis { positions, incarnation, newest_visible }))
}

/// For a customer, by partition the newest event among own tickets that they may see.
async fn seen(
    connection: &mut SqliteConnection,
    slot: Slot,
    tenant: &Tenant,
    person: PersonId,
) -> Result<Positions, StoreError> {
    let query = "SELECT t.partition, max(t.public_position) FROM reader_{slot} r \
         CROSS JOIN ticket_{slot} t ON t.tenant = r.tenant AND t.ticket_id = r.ticket_id \
         WHERE r.tenant = ?1 AND r.person = ?2 GROUP BY t.partition";
    let asked = sqlx::query(slot.sql(query)).bind(tenant.as_str()).bind(person.uuid());
    let mut seen = Positions::START;
    for row in asked.fetch_all(connection).await.map_err(failed)? {
        seen.set(partition(get(&row, 0)?)?, position(get(&row, 1)?)?);
    }
    Ok(seen)
}

fn push_from(
    sql: &mut Sql,
    slot: Slot,
    viewer: Viewer,
    tenant: &Tenant,
    way: &Way,
    filter: &TicketFilter,
) {
    let (slot, tenant) = (slot.name(), tenant.as_str().to_owned());
    match (viewer, way, &filter.tag) {
        (Viewer::Customer(person), ..) => {
            sql.push(format_args!(
                " FROM reader_{slot} r CROSS JOIN ticket_{slot} t \
                  ON t.tenant = r.tenant AND t.ticket_id = r.ticket_id WHERE r.tenant = "
            ));
            sql.push_bind(tenant).push(" AND r.person = ").push_bind(person.uuid());
        }
        (Viewer::Staff, Way::Gather(CounterField::Tag), Some(tag)) => {
            sql.push(format_args!(
                " FROM tag_{slot} l CROSS JOIN ticket_{slot} t \
                  ON t.tenant = l.tenant AND t.ticket_id = l.ticket_id WHERE l.tenant = "
            ));
            sql.push_bind(tenant).push(" AND l.tag = ").push_bind(tag.clone());
        }
        (Viewer::Staff, ..) => {
            sql.push(format_args!(" FROM ticket_{slot} t WHERE t.tenant = ")).push_bind(tenant);
        }
    }
}

fn push_filter(
    sql: &mut Sql,
    slot: Slot,
    tenant: &Tenant,
    viewer: Viewer,
    filter: &TicketFilter,
    way: &Way,
) {
    let staff = viewer == Viewer::Staff;
    let plus = |field: CounterField| if *way == Way::Gather(field) { "" } else { "+" };
    if let Some(status) = filter.status {
        let column = if staff { "status" } else { "public_status" };
        sql.push(format_args!(" AND {}t.{column} = ", plus(CounterField::Status)));
        sql.push_bind(status.as_str());
    }
    if let Some(priority) = filter.priority {
        sql.push(format_args!(" AND {}t.priority = ", plus(CounterField::Priority)));
        sql.push_bind(priority as i64);
    }
    if let Some(ticket_type) = filter.ticket_type {
        sql.push(format_args!(" AND {}t.type = ", plus(CounterField::Type)));
        sql.push_bind(ticket_type.as_str());
    }
    if let Some(assignee) = filter.assignee {
        sql.push(format_args!(" AND {}t.assignee_id IS ", plus(CounterField::Assignee)));
        sql.push_bind(assignee.map(PersonId::uuid));
    }
    if let Some(group) = &filter.group {
        sql.push(format_args!(" AND {}t.group_id IS ", plus(CounterField::Group)));
        sql.push_bind(group.clone());
    }
    if let Some(person) = filter.requester {
        sql.push(format_args!(" AND {}t.requester_id = ", plus(CounterField::Requester)));
        sql.push_bind(person.uuid());
    }
    if let Some(tag) = filter.tag.as_ref().filter(|_| *way != Way::Gather(CounterField::Tag)) {
        let slot = slot.name();
        sql.push(format_args!(" AND EXISTS (SELECT 1 FROM tag_{slot} l WHERE l.tenant = "));
        sql.push_bind(tenant.as_str().to_owned());
        sql.push(" AND l.tag = ").push_bind(tag.clone()).push(" AND l.ticket_id = t.ticket_id)");
    }
    // Only a walk in the same order takes a time for its beginning.
    let walks = if *way == Way::Walk { "" } else { "+" };
    if let Some(time) = filter.created_after {
        sql.push(format_args!(" AND {walks}t.created_at > ")).push_bind(time.micros());
    }
    if let Some(time) = filter.updated_after {
        let column = if staff { "updated_at" } else { "public_updated_at" };
        sql.push(format_args!(" AND {walks}t.{column} > ")).push_bind(time.micros());
    }
}

const fn sort_column(key: SortKey, viewer: Viewer) -> &'static str {
    match (key, viewer) {
        (SortKey::CreatedAt, _) => "created_at",
        (SortKey::UpdatedAt, Viewer::Staff) => "updated_at",
        (SortKey::UpdatedAt, Viewer::Customer(_)) => "public_updated_at",
        (SortKey::Priority, _) => "priority",
    }
}

fn listed(row: &SqliteRow) -> Result<Listed, StoreError> {
    let ticket = TicketId::new(get::<Uuid>(row, 0)?);
    let place = Place { key: get(row, 1)?, ticket };
    let ticket = stored::read(ticket, get(row, 2)?).map_err(damaged)?;
    Ok(Listed { place, ticket })
}
