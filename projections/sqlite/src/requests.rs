//! Rebuilds that a command asks the nodes for.

use docket_projections::store::{RebuildRequest, StoreError};
use docket_schemas::Timestamp;
use sqlx::sqlite::SqliteConnection;

use crate::failure::{failed, get};
use crate::file::Ended;

pub(crate) async fn ask(
    connection: &mut SqliteConnection,
    now: Timestamp,
) -> Result<Ended<u64>, StoreError> {
    if let Some(waiting) = find(connection, None).await? {
        return Ok(Ended::RolledBack(waiting.id));
    }
    let asked = sqlx::query("INSERT INTO rebuild_request (asked_at) VALUES (?1) RETURNING id");
    let row = asked.bind(now.micros()).fetch_one(connection).await.map_err(failed)?;
    Ok(Ended::Committed(get::<i64>(&row, 0)?.cast_unsigned()))
}

pub(crate) async fn find(
    connection: &mut SqliteConnection,
    id: Option<u64>,
) -> Result<Option<RebuildRequest>, StoreError> {
    let query = "SELECT id, ended_at IS NOT NULL, failure FROM rebuild_request \
         WHERE CASE WHEN ?1 IS NULL THEN ended_at IS NULL ELSE id = ?1 END ORDER BY id LIMIT 1";
    let asked = sqlx::query(query).bind(id.map(u64::cast_signed));
    let Some(row) = asked.fetch_optional(connection).await.map_err(failed)? else {
        return Ok(None);
    };
    let failure: Option<String> = get(&row, 2)?;
    let ended = get::<bool>(&row, 1)?.then(|| failure.map_or(Ok(()), Err));
    Ok(Some(RebuildRequest { id: get::<i64>(&row, 0)?.cast_unsigned(), ended }))
}

pub(crate) async fn end(
    connection: &mut SqliteConnection,
    id: u64,
    outcome: Result<(), String>,
    now: Timestamp,
) -> Result<Ended<()>, StoreError> {
    let statement = "UPDATE rebuild_request SET ended_at = ?2, failure = ?3 \
         WHERE id = ?1 AND ended_at IS NULL";
    let ended = sqlx::query(statement).bind(id.cast_signed()).bind(now.micros());
    ended.bind(outcome.err()).execute(connection).await.map_err(failed)?;
    Ok(Ended::Committed(()))
}
