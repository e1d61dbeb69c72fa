//! Reading events: by stream, by partition, by tenant.

use docket_engine::cursor::Positions;
use docket_engine::ports::log::{LogError, Page, READ_EVENTS_MAX, StreamRead};
use docket_schemas::{Event, Partition, Position, Tenant};
use sqlx::postgres::PgRow;

use crate::event_row::{EVENT_COLUMNS, event, event_columns, get, stored_position};
use crate::failure::{damaged, failed};
use crate::fences::positions;
use crate::session::Sessions;

/// Streams in the order asked, each beyond its own position, in one query, without the texts of messages.
pub(crate) async fn stream_events(
    sessions: &Sessions,
    reads: &[StreamRead],
) -> Result<Vec<Event>, LogError> {
    const QUERY: &str = concat!(
        "SELECT ",
        event_columns!(folded),
        " FROM unnest($1::smallint[], $2::text[], $3::smallint[], $4::uuid[], $5::bigint[])",
        " WITH ORDINALITY AS r (partition, tenant, stream_kind, stream_id, after, number)",
        " JOIN docket.event e ON e.stream_id = r.stream_id AND e.position > r.after",
        " AND e.partition + 0 = r.partition AND e.tenant || '' = r.tenant AND e.stream_kind = r.stream_kind",
        " ORDER BY r.number, e.position"
    );
    if reads.is_empty() {
        return Ok(Vec::new());
    }
    let question = || {
        sqlx::query(QUERY)
            .bind(reads.iter().map(|read| i16::from(partition_of(read))).collect::<Vec<_>>())
            .bind(reads.iter().map(|read| read.tenant.as_str()).collect::<Vec<_>>())
            .bind(reads.iter().map(|read| i16::from(read.stream.kind.code())).collect::<Vec<_>>())
            .bind(reads.iter().map(|read| read.stream.id).collect::<Vec<_>>())
            .bind(reads.iter().map(|read| stored_position(read.after)).collect::<Vec<_>>())
    };
    let rows = sessions.ask(question).await;
    events(&rows.map_err(failed)?)
}

pub(crate) async fn stream_page(
    sessions: &Sessions,
    read: &StreamRead,
    limit: usize,
) -> Result<Vec<Event>, LogError> {
    const QUERY: &str = concat!(
        "SELECT ",
        event_columns!(),
        " FROM docket.event e WHERE e.stream_id = $2 AND e.position > $3 AND e.partition + 0 = $1",
        " AND e.tenant || '' = $4 AND e.stream_kind = $5 ORDER BY e.position LIMIT $6"
    );
    let question = || {
        sqlx::query(QUERY)
            .bind(i16::from(partition_of(read)))
            .bind(read.stream.id)
            .bind(stored_position(read.after))
            .bind(read.tenant.as_str())
            .bind(i16::from(read.stream.kind.code()))
            .bind(page_rows(limit))
    };
    let rows = sessions.ask(question).await;
    events(&rows.map_err(failed)?)
}

pub(crate) async fn partition_events(
    sessions: &Sessions,
    partition: Partition,
    after: Position,
    limit: usize,
) -> Result<Vec<Event>, LogError> {
    const QUERY: &str = concat!(
        "SELECT ",
        event_columns!(),
        " FROM docket.event e WHERE e.partition = $1 AND e.position > $2",
        " ORDER BY e.position LIMIT $3"
    );
    let question = || {
        sqlx::query(QUERY)
            .bind(i16::from(partition.number()))
            .bind(stored_position(after))
            .bind(page_rows(limit))
    };
    let rows = sessions.ask(question).await;
    events(&rows.map_err(failed)?)
}

/// The events at these places, in one query.
pub(crate) async fn events_at(
    sessions: &Sessions,
    places: &[(Partition, Position)],
) -> Result<Vec<Event>, LogError> {
    const QUERY: &str = concat!(
        "SELECT ",
        event_columns!(),
        " FROM unnest($1::smallint[], $2::bigint[]) AS r (partition, position)",
        " JOIN docket.event e ON e.partition = r.partition AND e.position = r.position"
    );
    if places.is_empty() {
        return Ok(Vec::new());
    }
    let question = || {
        sqlx::query(QUERY)
            .bind(places.iter().map(|(one, _)| i16::from(one.number())).collect::<Vec<_>>())
            .bind(places.iter().map(|(_, at)| stored_position(*at)).collect::<Vec<_>>())
    };
    let rows = sessions.ask(question).await;
    events(&rows.map_err(failed)?)
}

/// A page with the heads of its own snapshot, which bound it. The places are found first, by `$of` and in the order of
/// `$by`, and the events fetched for the page alone. `$1` are the positions, `$2` is the limit.
macro_rules! page_query {
    (by $by:literal, of $of:literal) => {
        concat!(
            "WITH head AS MATERIALIZED (SELECT h.partition, h.position FROM docket.partition_head h),",
            " page AS MATERIALIZED (",
            "  SELECT place.partition, place.position, row_number() OVER (",
            "   ORDER BY place.recorded_at, place.partition, place.position) AS number",
            "  FROM head CROSS JOIN LATERAL (",
            "   SELECT t.partition, t.position, t.recorded_at FROM docket.event t WHERE ",
            $of,
            "   ORDER BY ",
            $by,
            " LIMIT $2) AS place",
            "  ORDER BY number LIMIT $2)",
            " SELECT ",
            event_columns!(),
            ", CASE WHEN coalesce(page.number, 1) = 1 THEN heads.positions END",
            " FROM (SELECT array_agg(h.position ORDER BY h.partition) AS positions FROM head h)",
            " AS heads",
            " LEFT JOIN page ON true",
            " LEFT JOIN docket.event e ON e.partition = page.partition AND e.position = page.position",
            " ORDER BY page.number"
        )
    };
}

pub(crate) async fn all_events(
    sessions: &Sessions,
    after: &Positions,
    limit: usize,
) -> Result<Page, LogError> {
    const QUERY: &str = page_query!(
        by "t.position",
        of "t.partition = head.partition AND t.position > ($1::bigint[])[head.partition + 1] \
            AND t.position <= head.position"
    );
    let (after, limit) = (stored_positions(after), limit.min(READ_EVENTS_MAX));
    let question = || sqlx::query(QUERY).bind(&after).bind(page_rows(limit) + 1);
    page(&sessions.ask(question).await.map_err(failed)?, limit)
}

/// Comparing whole rows of (tenant, partition, position) leaves the planner no index but the tenant's, so no other
/// tenant's rows are read.
pub(crate) async fn tenant_events(
    sessions: &Sessions,
    tenant: &Tenant,
    after: &Positions,
    limit: usize,
) -> Result<Page, LogError> {
    const QUERY: &str = page_query!(
        by "t.tenant, t.partition, t.position",
        of "(t.tenant, t.partition, t.position) \
             > ($3, head.partition, ($1::bigint[])[head.partition + 1]) \
            AND (t.tenant, t.partition, t.position) <= ($3, head.partition, head.position)"
    );
    let (after, limit) = (stored_positions(after), limit.min(READ_EVENTS_MAX));
    let question =
        || sqlx::query(QUERY).bind(&after).bind(page_rows(limit) + 1).bind(tenant.as_str());
    page(&sessions.ask(question).await.map_err(failed)?, limit)
}

pub(crate) fn stored_positions(after: &Positions) -> Vec<i64> {
    after.iter().map(|(_, position)| stored_position(position)).collect()
}

fn page(rows: &[PgRow], limit: usize) -> Result<Page, LogError> {
    let first = rows.first().ok_or_else(|| damaged("the log has no heads"))?;
    let heads = positions(&get::<Vec<i64>>(first, EVENT_COLUMNS)?)?;
    if get::<Option<i64>>(first, 0)?.is_none() {
        return Ok(Page { events: Vec::new(), heads, more: false });
    }
    let events = events(&rows[..rows.len().min(limit)])?;
    Ok(Page { events, heads, more: rows.len() > limit })
}

pub(crate) fn events(rows: &[PgRow]) -> Result<Vec<Event>, LogError> {
    rows.iter().map(event).collect()
}

fn partition_of(read: &StreamRead) -> u8 {
    read.stream.partition(&read.tenant).number()
}

fn page_rows(limit: usize) -> i64 {
    i64::try_from(limit.min(READ_EVENTS_MAX)).unwrap_or(0)
}
