//! The log's readers: each answer comes from one statement, and so from one state of the log.

use std::sync::LazyLock;

use docket_engine::cursor::Positions;
use docket_engine::ports::log::{Page, READ_EVENTS_MAX, StreamRead};
use docket_schemas::{
    CommandId, Event, EventId, PARTITIONS, Partition, Position, StreamKind, Tenant, TicketId,
};
use serde_json::{Value, json};
use sqlx::sqlite::{SqlitePool, SqliteRow};
use sqlx::{Row as _, Sqlite};
use uuid::Uuid;

use super::place::{last_place, place};
use super::row::{self, event_columns};
use crate::failure::Failure;

type Query = sqlx::query::Query<'static, Sqlite, sqlx::sqlite::SqliteArguments>;

async fn events(pool: &SqlitePool, query: Query) -> Result<Vec<Event>, Failure> {
    query.fetch_all(pool).await?.iter().map(row::read).collect()
}

pub(super) async fn streams(
    pool: &SqlitePool,
    reads: &[StreamRead],
) -> Result<Vec<Event>, Failure> {
    let asked = reads.iter().map(|read| {
        let id = hex::encode(read.stream.id.as_bytes());
        json!([id, read.tenant, read.stream.kind.code(), after(read)])
    });
    let sql = concat!(
        "SELECT ",
        event_columns!(folded),
        " FROM json_each(?1) AS asked CROSS JOIN event",
        " ON stream_id = unhex(asked.value ->> 0) AND tenant = asked.value ->> 1",
        " AND stream_kind = asked.value ->> 2 AND place > asked.value ->> 3",
        " ORDER BY asked.key, place"
    );
    events(pool, sqlx::query(sql).bind(Value::Array(asked.collect()).to_string())).await
}

pub(super) async fn stream_page(
    pool: &SqlitePool,
    read: &StreamRead,
    limit: usize,
) -> Result<Vec<Event>, Failure> {
    let sql = concat!(
        "SELECT ",
        event_columns!(),
        " FROM event WHERE stream_id = ?1 AND tenant = ?2 AND stream_kind = ?3 AND place > ?4",
        " ORDER BY place LIMIT ?5"
    );
    let query = sqlx::query(sql)
        .bind(read.stream.id)
        .bind(read.tenant.to_string())
        .bind(read.stream.kind.code())
        .bind(after(read))
        .bind(bounded(limit));
    events(pool, query).await
}

pub(super) async fn of_command(
    pool: &SqlitePool,
    tenant: &Tenant,
    partition: Partition,
    command: CommandId,
) -> Result<Option<Event>, Failure> {
    let sql = concat!(
        "SELECT ",
        event_columns!(),
        // `+`: never by the tenant's index, which is ordered as asked and would be walked.
        " FROM event WHERE command_id = ?1 AND partition = ?2 AND +tenant = ?3 ORDER BY place LIMIT 1"
    );
    let query =
        sqlx::query(sql).bind(command.uuid()).bind(partition.number()).bind(tenant.to_string());
    Ok(events(pool, query).await?.pop())
}

pub(super) async fn partition(
    pool: &SqlitePool,
    partition: Partition,
    after: Position,
    limit: usize,
) -> Result<Vec<Event>, Failure> {
    let sql = concat!(
        "SELECT ",
        event_columns!(),
        " FROM event WHERE place > ?1 AND place <= ?2 ORDER BY place LIMIT ?3"
    );
    let query = sqlx::query(sql)
        .bind(place(partition, after))
        .bind(last_place(partition))
        .bind(bounded(limit));
    events(pool, query).await
}

/// A page of one tenant's events, or of everyone's. The heads are read first and bound the page, so both are of one
/// state of the log.
pub(super) async fn page(
    pool: &SqlitePool,
    tenant: Option<&Tenant>,
    after: &Positions,
    limit: usize,
) -> Result<Page, Failure> {
    let heads = heads(pool).await?;
    let limit = limit.min(READ_EVENTS_MAX);
    let sql = if tenant.is_some() { &TENANT_PAGE } else { &PAGE };
    let mut query = sqlx::query(sql.as_str())
        .bind(tenant.map(Tenant::to_string))
        .bind(i64::try_from(limit + 1).unwrap_or(i64::MAX));
    for (partition, head) in heads.iter() {
        query = query.bind(place(partition, after.get(partition))).bind(place(partition, head));
    }
    let rows = query.fetch_all(pool).await?;
    let more = rows.len() > limit;
    // The one that only says whether there are more need not be readable.
    let events = rows.iter().take(limit).map(row::read).collect::<Result<_, _>>()?;
    Ok(Page { events, heads, more })
}

static PAGE: LazyLock<String> = LazyLock::new(|| page_sql("true"));
static TENANT_PAGE: LazyLock<String> = LazyLock::new(|| page_sql("tenant = ?1"));

/// The first places of each partition, merged by time; only the page's own events are fetched.
fn page_sql(whose: &str) -> String {
    let branch = |number: usize| {
        let (after, head) = (3 + 2 * number, 4 + 2 * number);
        format!(
            "SELECT * FROM (SELECT place AS at, recorded_at AS time FROM event \
             WHERE {whose} AND place > ?{after} AND place <= ?{head} ORDER BY place LIMIT ?2)"
        )
    };
    let branches: Vec<_> = (0..usize::from(PARTITIONS)).map(branch).collect();
    format!(
        "SELECT {} FROM (SELECT at FROM ({}) ORDER BY time, at LIMIT ?2) \
         CROSS JOIN event ON place = at ORDER BY recorded_at, place",
        event_columns!(),
        branches.join(" UNION ALL ")
    )
}

pub(super) async fn heads(pool: &SqlitePool) -> Result<Positions, Failure> {
    let sql = "SELECT partition, position FROM partition_head";
    read_heads(&sqlx::query(sql).fetch_all(pool).await?)
}

/// Rows of (partition, position).
pub(super) fn read_heads(rows: &[SqliteRow]) -> Result<Positions, Failure> {
    let mut heads = Positions::START;
    for row in rows {
        let partition = Partition::new(row.try_get("partition")?);
        let beyond = || Failure::Row("a head beyond the partitions".to_owned());
        let position: i64 = row.try_get("position")?;
        heads.set(partition.ok_or_else(beyond)?, position.cast_unsigned());
    }
    Ok(heads)
}

pub(super) async fn id_at(
    pool: &SqlitePool,
    partition: Partition,
    position: Position,
) -> Result<Option<EventId>, Failure> {
    let query = sqlx::query_scalar::<_, Uuid>("SELECT event_id FROM event WHERE place = ?1");
    let id = query.bind(place(partition, position)).fetch_optional(pool).await?;
    Ok(id.map(EventId::new))
}

pub(super) async fn opened_as(
    pool: &SqlitePool,
    tenant: &Tenant,
    external_id: &str,
    limit: usize,
) -> Result<Vec<TicketId>, Failure> {
    // One ticket may have two opening events: two regions accepted the same command.
    let sql = "SELECT stream_id FROM event \
         WHERE tenant = ?1 AND external_id = ?2 AND stream_kind = ?3 \
         GROUP BY stream_id ORDER BY min(recorded_at), min(place) LIMIT ?4";
    let ids = sqlx::query_scalar::<_, Uuid>(sql)
        .bind(tenant.as_str())
        .bind(external_id)
        .bind(StreamKind::Ticket.code())
        .bind(i64::try_from(limit).unwrap_or(i64::MAX))
        .fetch_all(pool)
        .await?;
    Ok(ids.into_iter().map(TicketId::new).collect())
}

fn after(read: &StreamRead) -> i64 {
    place(read.stream.partition(&read.tenant), read.after)
}

fn bounded(limit: usize) -> i64 {
    i64::try_from(limit.min(READ_EVENTS_MAX)).unwrap_or(i64::MAX)
}
