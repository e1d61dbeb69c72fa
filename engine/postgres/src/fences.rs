//! What the log knows about itself: incarnations, the key store's name, the erasure epoch.

use docket_engine::cursor::Positions;
use docket_engine::ports::log::{IncarnationStart, LogError};
use docket_schemas::{Incarnation, Partition};
use sqlx::PgPool;
use uuid::Uuid;

use crate::event_row::position;
use crate::failure::{damaged, failed};

// Every write below reads its answer to the end: the first row arrives before the commit does.

pub(crate) async fn heads(pool: &PgPool) -> Result<Positions, LogError> {
    let query = "SELECT array_agg(h.position ORDER BY h.partition) FROM docket.partition_head h";
    positions(&sqlx::query_scalar::<_, Vec<i64>>(query).fetch_one(pool).await.map_err(failed)?)
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

pub(crate) async fn incarnations(pool: &PgPool) -> Result<Vec<IncarnationStart>, LogError> {
    let query = "SELECT i.name, i.began FROM docket.incarnation i ORDER BY i.number";
    let rows: Vec<(String, Vec<i64>)> =
        sqlx::query_as(query).fetch_all(pool).await.map_err(failed)?;
    let start = |(name, began): (String, Vec<i64>)| {
        let incarnation = name.parse().map_err(damaged)?;
        Ok(IncarnationStart { incarnation, heads: positions(&began)? })
    };
    rows.into_iter().map(start).collect()
}

pub(crate) async fn begin_incarnation(
    pool: &PgPool,
    newest: Option<&Incarnation>,
    next: &Incarnation,
) -> Result<Incarnation, LogError> {
    let standing: Vec<Option<String>> =
        sqlx::query_scalar("SELECT docket.begin_incarnation($1, $2)")
            .bind(newest.map(Incarnation::as_str))
            .bind(next.as_str())
            .fetch_all(pool)
            .await
            .map_err(failed)?;
    match standing.into_iter().next().flatten() {
        Some(name) => name.parse().map_err(damaged),
        None => Err(no_incarnation()),
    }
}

/// The log of a region that is nobody yet.
pub(crate) fn no_incarnation() -> LogError {
    damaged("no incarnation has begun")
}

pub(crate) async fn key_store(pool: &PgPool) -> Result<Option<Uuid>, LogError> {
    let query = "SELECT m.key_store FROM docket.meta m WHERE m.one";
    sqlx::query_scalar(query).fetch_one(pool).await.map_err(failed)
}

pub(crate) async fn name_key_store(pool: &PgPool, id: Uuid) -> Result<Uuid, LogError> {
    let query = "UPDATE docket.meta m SET key_store = coalesce(m.key_store, $1) WHERE m.one \
                 RETURNING m.key_store";
    let named: Vec<Uuid> =
        sqlx::query_scalar(query).bind(id).fetch_all(pool).await.map_err(failed)?;
    named.first().copied().ok_or_else(|| damaged("the row of `meta` is missing"))
}

pub(crate) async fn erasure_epoch(pool: &PgPool) -> Result<u64, LogError> {
    let query = "SELECT m.erasure_epoch FROM docket.meta m WHERE m.one";
    let epoch: i64 = sqlx::query_scalar(query).fetch_one(pool).await.map_err(failed)?;
    u64::try_from(epoch).map_err(damaged)
}

pub(crate) async fn raise_erasure_epoch(pool: &PgPool) -> Result<u64, LogError> {
    let query = "SELECT docket.raise_erasure_epoch()";
    let raised: Vec<i64> = sqlx::query_scalar(query).fetch_all(pool).await.map_err(failed)?;
    let epoch = raised.first().ok_or_else(|| damaged("the row of `meta` is missing"))?;
    u64::try_from(*epoch).map_err(damaged)
}

pub(crate) async fn probe_write(pool: &PgPool) -> Result<(), LogError> {
    let query = "UPDATE docket.meta SET \
                 probed_at = (extract(epoch FROM clock_timestamp()) * 1000000)::bigint WHERE one";
    sqlx::query(query).execute(pool).await.map(drop).map_err(failed)
}
