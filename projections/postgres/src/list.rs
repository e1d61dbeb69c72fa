//! Lists and counts: one statement each, in which the active version is read beside what it answers.

use docket_engine::cursor::Positions;
use docket_projections::query::{
    Basis, COUNTED_TICKETS_MAX, Count, CountQuery, Direction, LIST_ROWS_MAX, ListPage, ListQuery,
    Listed, Place, SortKey, TicketFilter, Viewer,
};
use docket_projections::store::StoreError;
use docket_projections::stored;
use docket_schemas::{Incarnation, PersonId, Tenant, TicketId};
use sqlx::postgres::{PgPool, PgRow};
use sqlx::{Postgres, QueryBuilder};
use uuid::Uuid;

use crate::failure::{damaged, failed, get};
use crate::row::{partition, position};
use crate::slot::Slot;
use crate::way::{Way, push_listed, push_tag, way_of_count, way_of_page};

/// A statement is for one slot, and finds nothing when another is active: `head` says which.
const HEAD: &str = "WITH head AS MATERIALIZED (SELECT v.slot, v.incarnation, (SELECT \
     array_agg(c.position ORDER BY c.partition) FROM docket_views.checkpoint c \
     WHERE c.version = v.number) AS positions \
     FROM docket_views.active a JOIN docket_views.version v ON v.number = a.version";

/// What a statement answered, if its slot was the active one.
pub(crate) enum Answered<T> {
    /// It was.
    Here(T),
    /// This one is.
    Elsewhere(Slot),
}

pub(crate) async fn list(
    pool: PgPool,
    slot: Slot,
    query: ListQuery,
) -> Result<Answered<ListPage>, StoreError> {
    let limit = query.limit.min(LIST_ROWS_MAX);
    let way = match query.viewer {
        Viewer::Staff => {
            let asked = (&query.tenant, &query.filter);
            way_of_page(&pool, slot, asked, (query.sort.key, limit + 1)).await?
        }
        Viewer::Customer(_) => Way::default(),
    };
    let plus = way.of_column();
    let mut sql = begin(slot, query.viewer, &query.tenant);
    sql.push(", page.ticket_id, page.key, s.state FROM head");
    push_seen(&mut sql, query.viewer);
    let column = sort_column(query.sort.key, query.viewer);
    let (order, beyond) = match query.sort.direction {
        Direction::Ascending => ("ASC", ">"),
        Direction::Descending => ("DESC", "<"),
    };
    // Which tickets are on the page is found in indexes alone; only their own rows are looked at.
    sql.push(" LEFT JOIN LATERAL (");
    let apart = query.viewer == Viewer::Staff && !way.fetches(&query.filter);
    push_both(&mut sql, apart, |sql, rows| {
        sql.push(format_args!("SELECT t.ticket_id, t.{column}::bigint AS key"));
        push_from(sql, slot, query.viewer, &query.tenant);
        sql.push(rows);
        push_filter(sql, slot, &query.tenant, query.viewer, &query.filter, way);
        if let Some(place) = query.after {
            sql.push(format_args!(" AND (t.{column}{plus}, t.ticket_id) {beyond} ("));
            match query.sort.key {
                SortKey::Priority => sql.push_bind(i16::try_from(place.key).unwrap_or(i16::MAX)),
                SortKey::CreatedAt | SortKey::UpdatedAt => sql.push_bind(place.key),
            };
            sql.push(", ").push_bind(place.ticket.uuid()).push(")");
        }
        sql.push(format_args!(" ORDER BY t.{column}{plus} {order}, t.ticket_id {order} LIMIT "));
        sql.push_bind(i64::try_from(limit + 1).unwrap_or(i64::MAX));
    });
    sql.push(format_args!(" ORDER BY key {order}, ticket_id {order} LIMIT "));
    sql.push_bind(i64::try_from(limit + 1).unwrap_or(i64::MAX));
    sql.push(format_args!(
        ") AS page ON true LEFT JOIN docket_views.ticket_{} s ON s.ticket_id = page.ticket_id AND s.tenant = ",
        slot.name()
    ));
    sql.push_bind(query.tenant.as_str().to_owned());
    sql.push(format_args!(" ORDER BY page.key {order}, page.ticket_id {order}"));
    let rows = sql.build().fetch_all(&pool).await.map_err(failed)?;
    let basis = match basis(&rows, slot, query.viewer)? {
        Answered::Here(basis) => basis,
        Answered::Elsewhere(slot) => return Ok(Answered::Elsewhere(slot)),
    };
    let mut tickets = Vec::with_capacity(rows.len().min(limit));
    for row in rows.iter().take(limit) {
        tickets.extend(listed(row)?);
    }
    Ok(Answered::Here(ListPage { tickets, more: rows.len() > limit, basis }))
}

pub(crate) async fn count(
    pool: PgPool,
    slot: Slot,
    query: CountQuery,
) -> Result<Answered<Count>, StoreError> {
    let counter = match query.viewer {
        Viewer::Staff => query.filter.counter(),
        Viewer::Customer(_) => None,
    };
    // Of a customer's tickets there are no counters; they are few.
    let exact = query.filter.counter().is_some();
    let way = match query.viewer {
        Viewer::Staff if !exact => {
            way_of_count(&pool, slot, (&query.tenant, &query.filter)).await?
        }
        _ => Way::default(),
    };
    let mut sql = begin(slot, query.viewer, &query.tenant);
    if let Some(counter) = counter {
        sql.push(format_args!(
            ", (SELECT coalesce(sum(c.count), 0)::bigint FROM docket_views.counter_{} c \
              WHERE head.slot = '{}' AND c.tenant = ",
            slot.name(),
            slot.name()
        ));
        sql.push_bind(query.tenant.as_str().to_owned());
        sql.push(" AND c.field = ").push_bind(i16::from(counter.field.code()));
        sql.push(" AND c.value = ").push_bind(counter.value).push(")");
    } else {
        sql.push(", (SELECT count(*) FROM (");
        let most = (!exact).then_some(COUNTED_TICKETS_MAX.cast_signed() + 1);
        push_counted(&mut sql, slot, &query, (way, most));
        sql.push(" LIMIT ").push_bind(most).push(") AS found)");
    }
    sql.push(" FROM head");
    push_seen(&mut sql, query.viewer);
    let rows = sql.build().fetch_all(&pool).await.map_err(failed)?;
    let basis = match basis(&rows, slot, query.viewer)? {
        Answered::Here(basis) => basis,
        Answered::Elsewhere(slot) => return Ok(Answered::Elsewhere(slot)),
    };
    let row = rows.first().ok_or_else(|| damaged("no version is active"))?;
    let found = u64::try_from(get::<i64>(row, FIRST)?).unwrap_or(0);
    Ok(Answered::Here(if exact {
        Count { count: found, exact, basis }
    } else {
        Count::up_to_limit(found, basis)
    }))
}

/// A row for each ticket that is counted, up to `most` of them.
fn push_counted(sql: &mut Sql, slot: Slot, query: &CountQuery, (way, most): (Way, Option<i64>)) {
    let CountQuery { tenant, viewer, filter } = query;
    if let (Viewer::Staff, Some(tag)) = (viewer, filter.tag_by_status()) {
        sql.push("SELECT 1");
        push_listed(sql, slot, tenant, (tag, filter));
        sql.push(format_args!(" AND head.slot = '{}'", slot.name()));
        return;
    }
    let apart = *viewer == Viewer::Staff && !way.fetches(filter);
    push_both(sql, apart, |sql, rows| {
        sql.push("SELECT 1");
        push_from(sql, slot, *viewer, tenant);
        sql.push(rows);
        push_filter(sql, slot, tenant, *viewer, filter, way);
        sql.push(" LIMIT ").push_bind(most);
    });
}

pub(crate) async fn tickets(
    pool: PgPool,
    slot: Slot,
    tenant: Tenant,
    viewer: Viewer,
    tickets: Vec<TicketId>,
) -> Result<Answered<Vec<Listed>>, StoreError> {
    // What else a customer may see is no part of the answer.
    let mut sql = begin(slot, Viewer::Staff, &tenant);
    sql.push(", page.ticket_id, page.key, page.state FROM head");
    sql.push(" LEFT JOIN LATERAL (SELECT t.ticket_id, 0::bigint AS key, t.state");
    // A customer's are found among own ones.
    let found = match viewer {
        Viewer::Staff => {
            push_from(&mut sql, slot, viewer, &tenant);
            "t"
        }
        Viewer::Customer(person) => {
            push_own(&mut sql, slot, &tenant, person);
            "r"
        }
    };
    sql.push(format_args!(" AND {found}.ticket_id = ANY ("));
    sql.push_bind(tickets.iter().map(|ticket| ticket.uuid()).collect::<Vec<_>>());
    sql.push(")) AS page ON true");
    let rows = sql.build().fetch_all(&pool).await.map_err(failed)?;
    if let Answered::Elsewhere(slot) = basis(&rows, slot, Viewer::Staff)? {
        return Ok(Answered::Elsewhere(slot));
    }
    let mut found = Vec::with_capacity(rows.len());
    for row in &rows {
        found.extend(listed(row)?);
    }
    Ok(Answered::Here(found))
}

/// The first column that is a statement's own, after [`begin`]'s.
const FIRST: usize = 5;

type Sql = QueryBuilder<Postgres>;

fn begin(slot: Slot, viewer: Viewer, tenant: &Tenant) -> Sql {
    let mut sql = QueryBuilder::new(HEAD);
    sql.push(")");
    if let Viewer::Customer(person) = viewer {
        // Looked at once for what is listed and once for how fresh it is.
        sql.push(
            ", own AS MATERIALIZED (SELECT t.ticket_id, t.partition, t.public_position, \
             t.created_at, t.public_updated_at, t.priority, t.public_status, t.type, \
             t.assignee_id, t.requester_id FROM head, LATERAL (SELECT t.*",
        );
        push_own(&mut sql, slot, tenant, person);
        sql.push(") AS t)");
    }
    sql.push(" SELECT head.slot, head.positions, head.incarnation, ");
    sql.push(match viewer {
        Viewer::Staff => "NULL::smallint[], NULL::bigint[]",
        Viewer::Customer(_) => "seen.partitions, seen.positions",
    });
    sql
}

/// For a customer, by partition the newest event among own tickets that they may see.
fn push_seen(sql: &mut Sql, viewer: Viewer) {
    if let Viewer::Customer(_) = viewer {
        sql.push(
            " LEFT JOIN LATERAL (SELECT array_agg(x.partition ORDER BY x.partition) AS partitions, \
              array_agg(x.position ORDER BY x.partition) AS positions FROM (\
              SELECT t.partition, max(t.public_position) AS position FROM own t \
              GROUP BY t.partition) AS x) AS seen ON true",
        );
    }
}

/// The tickets `t` that a viewer may know of.
fn push_from(sql: &mut Sql, slot: Slot, viewer: Viewer, tenant: &Tenant) {
    match viewer {
        Viewer::Staff => {
            let slot = slot.name();
            sql.push(format_args!(
                " FROM docket_views.ticket_{slot} t WHERE head.slot = '{slot}' AND t.tenant = "
            ));
            sql.push_bind(tenant.as_str().to_owned());
        }
        Viewer::Customer(_) => drop(sql.push(" FROM own t WHERE true")),
    }
}

/// A customer's tickets `t`, each by an entry `r`.
fn push_own(sql: &mut Sql, slot: Slot, tenant: &Tenant, person: PersonId) {
    let slot = slot.name();
    sql.push(format_args!(
        " FROM docket_views.reader_{slot} r JOIN docket_views.ticket_{slot} t \
          ON t.tenant = r.tenant AND t.ticket_id = r.ticket_id \
          WHERE head.slot = '{slot}' AND r.tenant = "
    ));
    sql.push_bind(tenant.as_str().to_owned()).push(" AND r.person = ").push_bind(person.uuid());
}

/// What `select` finds: among rows at rest and among busy ones apart, where it walks an index, since none has both.
fn push_both(sql: &mut Sql, apart: bool, select: impl Fn(&mut Sql, &'static str)) {
    if apart {
        sql.push("SELECT * FROM ((");
        select(sql, " AND NOT t.busy");
        sql.push(") UNION ALL (");
        select(sql, " AND t.busy");
        sql.push(")");
    } else {
        sql.push("SELECT * FROM (");
        select(sql, "");
    }
    sql.push(") AS both_kinds");
}

fn push_filter(
    sql: &mut Sql,
    slot: Slot,
    tenant: &Tenant,
    viewer: Viewer,
    filter: &TicketFilter,
    way: Way,
) {
    if filter.is_hidden_from(viewer) {
        sql.push(" AND false");
        return;
    }
    let staff = viewer == Viewer::Staff;
    if let Some(status) = filter.status {
        sql.push(if staff { " AND t.status = " } else { " AND t.public_status = " });
        sql.push_bind(status.as_str());
    }
    if let Some(priority) = filter.priority {
        sql.push(" AND t.priority = ").push_bind(priority as i16);
    }
    if let Some(ticket_type) = filter.ticket_type {
        sql.push(" AND t.type = ").push_bind(ticket_type.as_str());
    }
    match filter.assignee.map(|assignee| assignee.map(PersonId::uuid)) {
        Some(Some(person)) => drop(sql.push(" AND t.assignee_id = ").push_bind(person)),
        Some(None) => drop(sql.push(" AND t.assignee_id IS NULL")),
        None => {}
    }
    match &filter.group {
        Some(Some(group)) => drop(sql.push(" AND t.group_id = ").push_bind(group.clone())),
        Some(None) => drop(sql.push(" AND t.group_id IS NULL")),
        None => {}
    }
    if let Some(person) = filter.requester {
        sql.push(" AND t.requester_id = ").push_bind(person.uuid());
    }
    push_tag(sql, slot, tenant, filter, way);
    if let Some(time) = filter.created_after {
        sql.push(" AND t.created_at > ").push_bind(time.micros());
    }
    if let Some(time) = filter.updated_after {
        sql.push(if staff { " AND t.updated_at > " } else { " AND t.public_updated_at > " });
        sql.push_bind(time.micros());
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

fn basis(rows: &[PgRow], slot: Slot, viewer: Viewer) -> Result<Answered<Basis>, StoreError> {
    let first = rows.first().ok_or_else(|| damaged("no version is active"))?;
    let active = Slot::parse(get(first, 0)?)?;
    if active != slot {
        return Ok(Answered::Elsewhere(active));
    }
    let mut positions = Positions::START;
    let stored: Vec<i64> = get(first, 1)?;
    for (one, stored) in docket_schemas::Partition::all().zip(stored) {
        positions.set(one, position(stored)?);
    }
    let newest_visible = match viewer {
        Viewer::Staff => None,
        Viewer::Customer(_) => Some(seen(first)?),
    };
    let incarnation: Option<&str> = get(first, 2)?;
    let incarnation = incarnation.map(str::parse::<Incarnation>).transpose().map_err(damaged)?;
    let incarnation = incarnation.map(|own| own.number());
    Ok(Answered::Here(Basis { positions, incarnation, newest_visible }))
}

fn seen(row: &PgRow) -> Result<Positions, StoreError> {
    let mut seen = Positions::START;
    let partitions: Option<Vec<i16>> = get(row, 3)?;
    let positions: Option<Vec<i64>> = get(row, 4)?;
    for (one, at) in partitions.unwrap_or_default().into_iter().zip(positions.unwrap_or_default()) {
        seen.set(partition(one)?, position(at)?);
    }
    Ok(seen)
}

/// None for the one row of an empty page.
fn listed(row: &PgRow) -> Result<Option<Listed>, StoreError> {
    let Some(ticket) = get::<Option<Uuid>>(row, FIRST)?.map(TicketId::new) else {
        return Ok(None);
    };
    let place = Place { key: get(row, FIRST + 1)?, ticket };
    let ticket = stored::read(ticket, get(row, FIRST + 2)?).map_err(damaged)?;
    Ok(Some(Listed { place, ticket }))
}
