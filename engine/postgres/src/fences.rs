//! What the log knows about itself: incarnations, the key store's name, the erasure epoch.

use docket_engine::cursor::Positions;
use docket_engine::ports::log::{IncarnationStart, LogError, Standing};
use docket_schemas::{EventId, Incarnation, Partition, Position};
use sqlx::postgres::PgRow;
use sqlx::{Decode, Postgres, Type};
use uuid::Uuid;

use crate::event_row::{get, position, stored_position};
use crate::failure::{damaged, failed};
use crate::session::Sessions;

pub(crate) async fn heads(sessions: &Sessions) -> Result<Positions, LogError> {
    let query = "SELECT array_agg(h.position ORDER BY h.partition) FROM docket.partition_head h";
    let rows = sessions.ask(|| sqlx::query(query)).await.map_err(failed)?;
    let heads = first::<Option<Vec<i64>>>(&rows, "partition_head")?;
    positions(&heads.unwrap_or_default())
}

pub(crate) async fn standing(
    sessions: &Sessions,
    places: &[(Partition, Position)],
) -> Result<Standing, LogError> {
    let query = "SELECT (SELECT i.name FROM docket.incarnation i ORDER BY i.number DESC LIMIT 1), \
                 (SELECT array_agg(h.position ORDER BY h.partition) FROM docket.partition_head h), \
                 ARRAY(SELECT e.event_id FROM unnest($1::smallint[], $2::bigint[]) \
                    WITH ORDINALITY AS asked (partition, position, number) \
                  LEFT JOIN docket.event e ON e.partition = asked.partition \
                    AND e.position = asked.position ORDER BY asked.number)";
    let partitions: Vec<_> = places.iter().map(|(one, _)| i16::from(one.number())).collect();
    let positions_of: Vec<_> = places.iter().map(|(_, at)| stored_position(*at)).collect();
    let question = || sqlx::query(query).bind(&partitions).bind(&positions_of);
    let rows = sessions.ask(question).await.map_err(failed)?;
    let row = rows.first().ok_or_else(|| damaged("the log has no heads"))?;
    let incarnation = get::<Option<&str>>(row, 0)?.map(str::parse).transpose().map_err(damaged)?;
    let heads = positions(&get::<Option<Vec<i64>>>(row, 1)?.unwrap_or_default())?;
    let event_ids = get::<Vec<Option<Uuid>>>(row, 2)?;
    let event_ids = event_ids.into_iter().map(|id| id.map(EventId::new)).collect();
    Ok(Standing { incarnation, heads, event_ids })
}

/// Positions by partition from their stored array.
pub(crate) fn positions(stored: &[i64]) -> Result<Positions, LogError> {
    let mut positions = Positions::START;
    for partition in Partition::all() {
        let found = stored.get(partition.index()).copied();
        let found = found.ok_or_else(|| damaged("a partition has no head"))?;
        positions.set(partition, position(found)?);
    }
    Ok(positions)
}

pub(crate) async fn incarnations(sessions: &Sessions) -> Result<Vec<IncarnationStart>, LogError> {
    let query = "SELECT i.name, i.began FROM docket.incarnation i ORDER BY i.number";
    let start = |row: &PgRow| {
        let incarnation = get::<&str>(row, 0)?.parse().map_err(damaged)?;
        Ok(IncarnationStart { incarnation, heads: positions(&get::<Vec<i64>>(row, 1)?)? })
    };
    let rows = sessions.ask(|| sqlx::query(query)).await.map_err(failed)?;
    rows.iter().map(start).collect()
}

pub(crate) async fn begin_incarnation(
    sessions: &Sessions,
    newest: Option<&Incarnation>,
    next: &Incarnation,
) -> Result<Incarnation, LogError> {
    let begin = sqlx::query("SELECT docket.begin_incarnation($1, $2)")
        .bind(newest.map(Incarnation::as_str))
        .bind(next.as_str());
    let rows = sessions.send(begin).await.map_err(failed)?;
    let standing = first::<Option<String>>(&rows, "incarnation")?;
    standing.ok_or_else(no_incarnation)?.parse().map_err(damaged)
}

/// The log of a region that is nobody yet.
pub(crate) fn no_incarnation() -> LogError {
    damaged("no incarnation has begun")
}

pub(crate) async fn key_store(sessions: &Sessions) -> Result<Option<Uuid>, LogError> {
    let query = "SELECT m.key_store FROM docket.meta m WHERE m.one";
    first(&sessions.ask(|| sqlx::query(query)).await.map_err(failed)?, "meta")
}

pub(crate) async fn name_key_store(sessions: &Sessions, id: Uuid) -> Result<Uuid, LogError> {
    let query = "UPDATE docket.meta m SET key_store = coalesce(m.key_store, $1) WHERE m.one \
                 RETURNING m.key_store";
    first(&sessions.send(sqlx::query(query).bind(id)).await.map_err(failed)?, "meta")
}

pub(crate) async fn erasure_epoch(sessions: &Sessions) -> Result<u64, LogError> {
    let query = "SELECT m.erasure_epoch FROM docket.meta m WHERE m.one";
    let rows = sessions.ask(|| sqlx::query(query)).await.map_err(failed)?;
    u64::try_from(first::<i64>(&rows, "meta")?).map_err(damaged)
}

pub(crate) async fn raise_erasure_epoch(sessions: &Sessions) -> Result<u64, LogError> {
    let query = "SELECT docket.raise_erasure_epoch()";
    let rows = sessions.send(sqlx::query(query)).await.map_err(failed)?;
    u64::try_from(first::<i64>(&rows, "meta")?).map_err(damaged)
}

pub(crate) async fn probe_write(sessions: &Sessions) -> Result<(), LogError> {
    let query = "UPDATE docket.meta SET \
                 probed_at = (extract(epoch FROM clock_timestamp()) * 1000000)::bigint WHERE one";
    sessions.send(sqlx::query(query)).await.map(drop).map_err(failed)
}

/// The first column of the first row, which a log always has in this table.
fn first<'r, T>(rows: &'r [PgRow], table: &str) -> Result<T, LogError>
where
    T: Decode<'r, Postgres> + Type<Postgres>,
{
    let row = rows.first().ok_or_else(|| damaged(format_args!("a row of `{table}` is missing")))?;
    get(row, 0)
}
