//! Snapshots of tickets: the newest of each, beside the events of its partition.

use docket_engine::ports::log::{LogError, Snapshot};
use docket_schemas::{Stream, Tenant, TicketId};
use sqlx::PgPool;
use uuid::Uuid;

use crate::event_row::{position, stored_position};
use crate::failure::{damaged, failed};

type Stored = (String, Uuid, i64, Vec<u8>);

pub(crate) async fn snapshots(
    pool: &PgPool,
    tickets: &[(Tenant, TicketId)],
) -> Result<Vec<(Tenant, TicketId, Snapshot)>, LogError> {
    let query = "SELECT s.tenant, s.ticket_id, s.position, s.bytes \
                 FROM unnest($1::smallint[], $2::text[], $3::uuid[]) AS r (partition, tenant, id) \
                 JOIN docket.snapshot s ON s.partition = r.partition AND s.tenant = r.tenant \
                 AND s.ticket_id = r.id";
    let partitions = tickets.iter().map(|(tenant, ticket)| partition_of(tenant, *ticket));
    let stored: Vec<Stored> = sqlx::query_as(query)
        .bind(partitions.collect::<Vec<_>>())
        .bind(tickets.iter().map(|(tenant, _)| tenant.as_str()).collect::<Vec<_>>())
        .bind(tickets.iter().map(|(_, ticket)| ticket.uuid()).collect::<Vec<_>>())
        .fetch_all(pool)
        .await
        .map_err(failed)?;
    let snapshot = |(tenant, ticket, reached, bytes): Stored| {
        let snapshot = Snapshot { position: position(reached)?, bytes };
        Ok((tenant.parse().map_err(damaged)?, TicketId::new(ticket), snapshot))
    };
    stored.into_iter().map(snapshot).collect()
}

/// A later one that is kept already stays.
pub(crate) async fn save_snapshot(
    pool: &PgPool,
    tenant: &Tenant,
    ticket: TicketId,
    snapshot: &Snapshot,
) -> Result<(), LogError> {
    let query = "INSERT INTO docket.snapshot AS s (partition, ticket_id, tenant, position, bytes) \
                 VALUES ($1, $2, $3, $4, $5) ON CONFLICT (partition, ticket_id, tenant) DO UPDATE \
                 SET position = excluded.position, bytes = excluded.bytes \
                 WHERE s.position < excluded.position";
    sqlx::query(query)
        .bind(partition_of(tenant, ticket))
        .bind(ticket.uuid())
        .bind(tenant.as_str())
        .bind(stored_position(snapshot.position))
        .bind(&snapshot.bytes)
        .execute(pool)
        .await
        .map(drop)
        .map_err(failed)
}

fn partition_of(tenant: &Tenant, ticket: TicketId) -> i16 {
    Stream::ticket(ticket).partition(tenant).number().into()
}
