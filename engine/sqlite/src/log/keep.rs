//! What the log keeps beside its events: snapshots, incarnations, the key store's name, the epoch.

use docket_engine::cursor::Positions;
use docket_engine::ports::log::{IncarnationStart, Snapshot};
use docket_schemas::{Incarnation, PARTITIONS, Partition, Position, Stream, Tenant, TicketId};
use serde_json::{Value, json};
use sqlx::Row as _;
use sqlx::sqlite::{SqliteConnection, SqlitePool};
use uuid::Uuid;

use super::place::place;
use super::{incarnation, read};
use crate::failure::Failure;

pub(super) async fn snapshots(
    pool: &SqlitePool,
    tickets: &[(Tenant, TicketId)],
) -> Result<Vec<(Tenant, TicketId, Snapshot)>, Failure> {
    let asked = tickets.iter().map(|(tenant, id)| json!([hex::encode(id.as_bytes()), tenant]));
    let sql = "SELECT asked.key AS number, position, bytes FROM json_each(?1) AS asked \
         CROSS JOIN snapshot ON ticket_id = unhex(asked.value ->> 0) \
         AND tenant = asked.value ->> 1 ORDER BY asked.key";
    let asked = Value::Array(asked.collect()).to_string();
    let mut found = Vec::new();
    for row in sqlx::query(sql).bind(asked).fetch_all(pool).await? {
        let number = usize::try_from(row.try_get::<i64, _>("number")?).ok();
        if let Some((tenant, ticket)) = number.and_then(|number| tickets.get(number)) {
            let position = row.try_get::<i64, _>("position")?.cast_unsigned();
            let snapshot = Snapshot { position, bytes: row.try_get("bytes")? };
            found.push((tenant.clone(), *ticket, snapshot));
        }
    }
    Ok(found)
}

/// One whose last event is not in the log is not kept: it was made before the log was restored.
pub(super) async fn snapshot(
    connection: &mut SqliteConnection,
    tenant: Tenant,
    ticket: TicketId,
    snapshot: Snapshot,
) -> Result<(), Failure> {
    let sql = "INSERT INTO snapshot (ticket_id, tenant, position, bytes) SELECT ?1, ?2, ?3, ?4 \
         WHERE EXISTS (SELECT 1 FROM event WHERE place = ?5 AND stream_id = ?1 AND tenant = ?2) \
         ON CONFLICT (ticket_id, tenant) \
         DO UPDATE SET position = excluded.position, bytes = excluded.bytes \
         WHERE excluded.position > snapshot.position";
    sqlx::query(sql)
        .bind(ticket.uuid())
        .bind(tenant.as_str())
        .bind(snapshot.position.cast_signed())
        .bind(snapshot.bytes)
        .bind(place(Stream::ticket(ticket).partition(&tenant), snapshot.position))
        .execute(connection)
        .await?;
    Ok(())
}

pub(super) async fn incarnations(pool: &SqlitePool) -> Result<Vec<IncarnationStart>, Failure> {
    let sql = "SELECT name, heads FROM incarnation ORDER BY ordinal";
    let mut starts = Vec::new();
    for row in sqlx::query(sql).fetch_all(pool).await? {
        let incarnation = incarnation(row.try_get("name")?)?;
        let heads = parse_heads(row.try_get("heads")?).ok_or_else(|| {
            Failure::Row(format!("the heads at which incarnation `{incarnation}` began"))
        })?;
        starts.push(IncarnationStart { incarnation, heads });
    }
    Ok(starts)
}

pub(super) async fn begin_incarnation(
    connection: &mut SqliteConnection,
    newest: Option<Incarnation>,
    next: Incarnation,
) -> Result<Incarnation, Failure> {
    let sql = "SELECT name FROM incarnation ORDER BY ordinal DESC LIMIT 1";
    let standing: Option<String> = sqlx::query_scalar(sql).fetch_optional(&mut *connection).await?;
    let standing = standing.as_deref().map(incarnation).transpose()?;
    if standing != newest {
        return standing.ok_or_else(|| Failure::Row("no incarnation has begun".to_owned()));
    }
    let heads = "SELECT partition, position FROM partition_head";
    let heads = read::read_heads(&sqlx::query(heads).fetch_all(&mut *connection).await?)?;
    sqlx::query("INSERT INTO incarnation (name, heads) VALUES (?1, ?2)")
        .bind(next.as_str())
        .bind(heads_json(&heads))
        .execute(connection)
        .await?;
    Ok(next)
}

pub(super) async fn key_store(pool: &SqlitePool) -> Result<Option<Uuid>, Failure> {
    Ok(sqlx::query_scalar("SELECT key_store FROM meta").fetch_one(pool).await?)
}

pub(super) async fn name_key_store(
    connection: &mut SqliteConnection,
    id: Uuid,
) -> Result<Uuid, Failure> {
    let sql = "UPDATE meta SET key_store = coalesce(key_store, ?1) RETURNING key_store";
    Ok(sqlx::query_scalar(sql).bind(id).fetch_one(connection).await?)
}

pub(super) async fn erasure_epoch(pool: &SqlitePool) -> Result<u64, Failure> {
    let epoch: i64 = sqlx::query_scalar("SELECT erasure_epoch FROM meta").fetch_one(pool).await?;
    Ok(epoch.cast_unsigned())
}

pub(super) async fn raise_erasure_epoch(connection: &mut SqliteConnection) -> Result<u64, Failure> {
    let sql = "UPDATE meta SET erasure_epoch = erasure_epoch + 1 RETURNING erasure_epoch";
    let epoch: i64 = sqlx::query_scalar(sql).fetch_one(connection).await?;
    Ok(epoch.cast_unsigned())
}

pub(super) async fn probe(connection: &mut SqliteConnection) -> Result<(), Failure> {
    sqlx::query("UPDATE meta SET probes = probes + 1").execute(connection).await?;
    Ok(())
}

pub(super) fn heads_json(heads: &Positions) -> String {
    let heads: Vec<Position> = heads.iter().map(|(_, position)| position).collect();
    json!(heads).to_string()
}

pub(super) fn parse_heads(json: &str) -> Option<Positions> {
    let positions: [Position; PARTITIONS as usize] = serde_json::from_str(json).ok()?;
    let mut heads = Positions::START;
    for (partition, position) in Partition::all().zip(positions) {
        heads.set(partition, position);
    }
    Some(heads)
}
