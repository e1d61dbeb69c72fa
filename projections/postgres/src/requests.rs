//! Rebuilds that a command asks the nodes for.

use docket_projections::store::{RebuildRequest, StoreError};
use docket_schemas::Timestamp;
use sqlx::Executor as _;
use sqlx::postgres::PgPool;

use crate::failure::{failed, get};

pub(crate) async fn ask(pool: PgPool, now: Timestamp) -> Result<u64, StoreError> {
    let statement = "WITH waiting AS (SELECT r.id FROM docket_views.rebuild_request r \
           WHERE r.ended_at IS NULL ORDER BY r.id LIMIT 1), \
         asked AS (INSERT INTO docket_views.rebuild_request (asked_at) \
           SELECT $1 WHERE NOT EXISTS (SELECT FROM waiting) RETURNING id) \
         SELECT id FROM waiting UNION ALL SELECT id FROM asked";
    let row = sqlx::query(statement).bind(now.micros()).fetch_one(&pool).await;
    Ok(get::<i64>(&row.map_err(failed)?, 0)?.cast_unsigned())
}

pub(crate) async fn find(
    pool: PgPool,
    id: Option<u64>,
) -> Result<Option<RebuildRequest>, StoreError> {
    let query = "SELECT r.id, r.ended_at IS NOT NULL, r.failure FROM docket_views.rebuild_request r \
         WHERE CASE WHEN $1::bigint IS NULL THEN r.ended_at IS NULL ELSE r.id = $1 END \
         ORDER BY r.id LIMIT 1";
    let asked = sqlx::query(query).bind(id.map(u64::cast_signed)).fetch_optional(&pool).await;
    let Some(row) = asked.map_err(failed)? else { return Ok(None) };
    let failure: Option<String> = get(&row, 2)?;
    let ended = get::<bool>(&row, 1)?.then(|| failure.map_or(Ok(()), Err));
    Ok(Some(RebuildRequest { id: get::<i64>(&row, 0)?.cast_unsigned(), ended }))
}

pub(crate) async fn end(
    pool: PgPool,
    id: u64,
    outcome: Result<(), String>,
    now: Timestamp,
) -> Result<(), StoreError> {
    let statement = "UPDATE docket_views.rebuild_request SET ended_at = $2, failure = $3 \
         WHERE id = $1 AND ended_at IS NULL";
    let ended = sqlx::query(statement).bind(id.cast_signed()).bind(now.micros());
    pool.execute(ended.bind(outcome.err())).await.map(drop).map_err(failed)
}
