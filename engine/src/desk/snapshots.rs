//! Snapshots of long tickets: written behind the appends, read before a cold ticket is folded.

use std::collections::BTreeMap;
use std::sync::Arc;

use docket_schemas::{Stream, Tenant, TicketId};

use super::{DeskError, Shared};
use crate::ports::log::StreamRead;
use crate::ticket::Ticket;

/// Those of `tickets` that have a snapshot, as it left them.
pub(super) async fn restore(
    shared: &Shared,
    tickets: &[(Tenant, TicketId)],
) -> Result<BTreeMap<(Tenant, TicketId), Ticket>, DeskError> {
    let found = shared.ports.log.snapshots(tickets).await?;
    let restored = found.into_iter().filter_map(|(tenant, id, snapshot)| {
        let ticket = Ticket::restore(tenant.clone(), id, &snapshot)?;
        Some(((tenant, id), ticket))
    });
    Ok(restored.collect())
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
