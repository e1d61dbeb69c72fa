//! Looking up single events: by command, by place, by an outside id.

use std::collections::HashMap;

use docket_engine::ports::log::LogError;
use docket_schemas::{CommandId, Event, EventId, Partition, Position, Tenant, TicketId};
use sqlx::PgPool;
use uuid::Uuid;

use crate::event_row::{event_columns, stored_position};
use crate::failure::failed;
use crate::read::events;

/// For each command that is stored, the event that was accepted first.
pub(crate) async fn events_of_commands(
    pool: &PgPool,
    commands: &[(Tenant, Partition, CommandId)],
) -> Result<HashMap<(Tenant, Partition, CommandId), Event>, LogError> {
    const QUERY: &str = concat!(
        "SELECT ",
        event_columns!(),
        " FROM unnest($1::smallint[], $2::uuid[], $3::text[]) AS r (partition, command_id, tenant)",
        " JOIN docket.event e ON e.command_id = r.command_id AND e.partition + 0 = r.partition",
        " AND e.tenant || '' = r.tenant"
    );
    let partitions = commands.iter().map(|(_, partition, _)| i16::from(partition.number()));
    let rows = sqlx::query(QUERY)
        .bind(partitions.collect::<Vec<_>>())
        .bind(commands.iter().map(|(.., command)| command.uuid()).collect::<Vec<_>>())
        .bind(commands.iter().map(|(tenant, ..)| tenant.as_str()).collect::<Vec<_>>())
        .fetch_all(pool)
        .await;
    let mut found = events(&rows.map_err(failed)?)?;
    found.sort_unstable_by_key(|event| std::cmp::Reverse(event.position));
    let command = |event: &Event| (event.tenant.clone(), event.partition, event.command_id);
    Ok(found.into_iter().map(|event| (command(&event), event)).collect())
}

pub(crate) async fn event_id_at(
    pool: &PgPool,
    partition: Partition,
    position: Position,
) -> Result<Option<EventId>, LogError> {
    let query = "SELECT e.event_id FROM docket.event e WHERE e.partition = $1 AND e.position = $2";
    let found: Option<Uuid> = sqlx::query_scalar(query)
        .bind(i16::from(partition.number()))
        .bind(stored_position(position))
        .fetch_optional(pool)
        .await
        .map_err(failed)?;
    Ok(found.map(EventId::new))
}

pub(crate) async fn tickets_by_external_id(
    pool: &PgPool,
    tenant: &Tenant,
    external_id: &str,
    limit: usize,
) -> Result<Vec<TicketId>, LogError> {
    let query = "SELECT e.stream_id FROM docket.event e \
                 WHERE (e.external_id, e.tenant) >= ($2, $1) AND (e.external_id, e.tenant) <= ($2, $1) \
                 AND e.external_id IS NOT NULL AND e.stream_kind = 1 \
                 GROUP BY e.stream_id ORDER BY min(e.recorded_at), e.stream_id LIMIT $3";
    // PostgreSQL's texts hold no NUL, so no stored id does.
    if external_id.contains('\0') {
        return Ok(Vec::new());
    }
    let found: Vec<Uuid> = sqlx::query_scalar(query)
        .bind(tenant.as_str())
        .bind(external_id)
        .bind(i64::try_from(limit).unwrap_or(i64::MAX))
        .fetch_all(pool)
        .await
        .map_err(failed)?;
    Ok(found.into_iter().map(TicketId::new).collect())
}
