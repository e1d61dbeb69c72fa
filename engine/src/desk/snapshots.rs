//! Snapshots of long tickets: written behind the appends, read before a cold ticket is folded.

use std::collections::BTreeMap;
use std::sync::Arc;

use docket_schemas::{EventId, Partition, Position, Stream, Tenant, TicketId};

use super::{DeskError, Shared};
use crate::ports::log::StreamRead;
use crate::ticket::Ticket;

/// Those of `tickets` that have a snapshot, as it left them. One whose last event the log does not have was made before
/// the log was restored, and counts for nothing.
pub(super) async fn restore(
    shared: &Shared,
    tickets: &[(Tenant, TicketId)],
) -> Result<BTreeMap<(Tenant, TicketId), Ticket>, DeskError> {
    let found = shared.ports.log.snapshots(tickets).await?;
    let restored: Vec<Ticket> = found
        .into_iter()
        .filter_map(|(tenant, id, snapshot)| Ticket::restore(tenant, id, &snapshot))
        .collect();
    if restored.is_empty() {
        return Ok(BTreeMap::new());
    }
    let places: Vec<_> = restored.iter().map(last_place).collect();
    let standing = shared.ports.log.standing(&places).await?;
    let restored = restored.into_iter().zip(standing.event_ids).filter_map(|(ticket, stands)| {
        let name = (ticket.tenant.clone(), ticket.id);
        let is_whole = stands.is_some() && stands == last_event(&ticket);
        is_whole.then_some((name, ticket))
    });
    Ok(restored.collect())
}

fn last_place(ticket: &Ticket) -> (Partition, Position) {
    (Stream::ticket(ticket.id).partition(&ticket.tenant), ticket.last_position())
}

/// The event at a ticket's last position, if a change of its own stands there.
fn last_event(ticket: &Ticket) -> Option<EventId> {
    let mut nodes = ticket.graph.nodes().iter().rev();
    nodes.find(|node| node.position == ticket.last_position()).map(|node| node.event_id)
}

/// A ticket from its first event: what memory or a snapshot held of it does not fit its newest events.
pub(super) async fn fold_anew(
    shared: &Shared,
    (tenant, id): &(Tenant, TicketId),
) -> Result<Ticket, DeskError> {
    tracing::warn!(ticket.id = %id, "ticket.folded.anew");
    let mut ticket = Ticket::new(tenant.clone(), *id);
    let read = StreamRead { tenant: tenant.clone(), stream: Stream::ticket(*id), after: 0 };
    ticket.apply_all(&shared.ports.log.stream_events(&[read]).await?)?;
    Ok(ticket)
}

/// Keeps a snapshot when one is due. Nobody waits for it, and losing it costs time, nothing else.
pub(super) fn keep(shared: &Shared, ticket: &mut Ticket) {
    if !ticket.snapshot_due() {
        return;
    }
    let (tenant, id) = (ticket.tenant.clone(), ticket.id);
    let snapshot = match ticket.snapshot() {
        Ok(snapshot) => snapshot,
        Err(error) => {
            tracing::error!(ticket.id = %id, error = &error as &dyn std::error::Error, "ticket.snapshot.failed");
            return;
        }
    };
    let log = Arc::clone(&shared.ports.log);
    tokio::spawn(async move {
        if let Err(error) = log.save_snapshot(&tenant, id, snapshot).await {
            tracing::warn!(ticket.id = %id, error = &error as &dyn std::error::Error, "ticket.snapshot.not_saved");
        }
    });
}
