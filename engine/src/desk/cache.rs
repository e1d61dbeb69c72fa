//! Hot tickets: the ones last used, each behind a lock of its own.

use std::num::NonZeroUsize;
use std::sync::Arc;

use docket_schemas::{Tenant, TicketId};
use lru::LruCache;
use parking_lot::Mutex;

use crate::ticket::Ticket;

/// Most tickets held in memory, written to or read: beyond them each write reads its ticket from the log again. One takes
/// 2 kB and 0.6 kB a change, with a live document 18 kB more.
pub(super) const HOT_TICKETS_MAX: usize = 8_192;

/// A place for a ticket; empty until it is loaded, and again after a write on it failed.
pub(super) type Entry = Arc<tokio::sync::Mutex<Option<Ticket>>>;

/// The hot tickets of a node.
pub(super) struct Cache(Mutex<LruCache<(Tenant, TicketId), Entry>>);

impl Cache {
    pub(super) fn new() -> Self {
        Self(Mutex::new(LruCache::new(
            NonZeroUsize::new(HOT_TICKETS_MAX).expect("a constant above zero"),
        )))
    }

    /// Forgets every ticket; one that is in use stays with its user.
    pub(super) fn clear(&self) {
        self.0.lock().clear();
    }

    /// The ticket's place.
    pub(super) fn entry(&self, tenant: &Tenant, id: TicketId) -> Entry {
        Arc::clone(self.0.lock().get_or_insert_mut((tenant.clone(), id), Entry::default))
    }
}
