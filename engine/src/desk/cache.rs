//! Hot tickets: the ones last used, each behind a lock of its own.

use std::sync::Arc;

use docket_schemas::{Tenant, TicketId};
use parking_lot::Mutex;

use crate::hot::{Hot, Room};
use crate::ticket::Ticket;

/// Tickets in memory, written to or read, by [`Ticket::weight`]: beyond them the ones used least lately are read from the
/// log again.
const HOT: Room = Room { bytes: 512 * 1024 * 1024, values: 8_192 };

/// What a ticket is taken to weigh until it was loaded.
const UNKNOWN_BYTES: usize = 4 * 1024;

/// A place for a ticket; empty until it is loaded, and again after a write on it failed.
pub(super) type Entry = Arc<tokio::sync::Mutex<Option<Ticket>>>;

/// The hot tickets of a node.
pub(super) struct Cache(Mutex<Hot<(Tenant, TicketId), Entry>>);

impl Cache {
    pub(super) fn new() -> Self {
        Self(Mutex::new(Hot::new(HOT)))
    }

    /// Forgets every ticket; one that is in use stays with its user.
    pub(super) fn clear(&self) {
        self.0.lock().clear();
    }

    /// The ticket's place.
    pub(super) fn entry(&self, tenant: &Tenant, id: TicketId) -> Entry {
        self.0.lock().get_or_put((tenant.clone(), id), UNKNOWN_BYTES, Entry::default)
    }

    /// The ticket was loaded, or has grown.
    pub(super) fn weigh(&self, ticket: &Ticket) {
        self.0.lock().weigh(&(ticket.tenant.clone(), ticket.id), ticket.weight());
    }
}
