//! Snapshots of tickets: the newest of each, beside the events of its partition.

use docket_engine::ports::log::{LogError, Snapshot};
use docket_schemas::{Stream, Tenant, TicketId};
use sqlx::postgres::PgRow;

use crate::event_row::{get, position, stored_position};
use crate::failure::{damaged, failed};
use crate::session::Sessions;

pub(crate) async fn snapshots(
    sessions: &Sessions,
    tickets: &[(Tenant, TicketId)],
) -> Result<Vec<(Tenant, TicketId, Snapshot)>, LogError> {
    let query = "SELECT s.tenant, s.ticket_id, s.position, s.bytes \
                 FROM unnest($1::smallint[], $2::text[], $3::uuid[]) AS r (partition, tenant, id) \
                 JOIN docket.snapshot s ON s.partition = r.partition AND s.tenant = r.tenant \
                 AND s.ticket_id = r.id";
    let partitions = || tickets.iter().map(|(tenant, ticket)| partition_of(tenant, *ticket));
    let question = || {
        sqlx::query(query)
            .bind(partitions().collect::<Vec<_>>())
            .bind(tickets.iter().map(|(tenant, _)| tenant.as_str()).collect::<Vec<_>>())
            .bind(tickets.iter().map(|(_, ticket)| ticket.uuid()).collect::<Vec<_>>())
    };
    let snapshot = |row: &PgRow| {
        let tenant = get::<&str>(row, 0)?.parse().map_err(damaged)?;
        let snapshot = Snapshot { position: position(get(row, 2)?)?, bytes: get(row, 3)? };
        Ok((tenant, TicketId::new(get(row, 1)?), snapshot))
    };
    let rows = sessions.ask(question).await.map_err(failed)?;
    rows.iter().map(snapshot).collect()
}

/// A later one that is kept already stays. One whose last event is not in the log is not kept: it was made before the log
/// was restored, or before a fail-over that lost the event.
pub(crate) async fn save_snapshot(
    sessions: &Sessions,
    tenant: &Tenant,
    ticket: TicketId,
    snapshot: &Snapshot,
) -> Result<(), LogError> {
    let query = "INSERT INTO docket.snapshot AS s (partition, ticket_id, tenant, position, bytes) \
                 SELECT $1, $2, $3, $4, $5 WHERE EXISTS (SELECT FROM docket.event e \
                 WHERE e.partition = $1 AND e.position = $4 AND e.stream_id = $2 AND e.tenant = $3) \
                 ON CONFLICT (partition, ticket_id, tenant) DO UPDATE \
                 SET position = excluded.position, bytes = excluded.bytes \
                 WHERE s.position < excluded.position";
    let keep = sqlx::query(query)
        .bind(partition_of(tenant, ticket))
        .bind(ticket.uuid())
        .bind(tenant.as_str())
        .bind(stored_position(snapshot.position))
        .bind(&snapshot.bytes);
    sessions.send(keep).await.map(drop).map_err(failed)
}

fn partition_of(tenant: &Tenant, ticket: TicketId) -> i16 {
    Stream::ticket(ticket).partition(tenant).number().into()
}
