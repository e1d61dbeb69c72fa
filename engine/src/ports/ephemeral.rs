//! Whispers: who types or looks at a ticket just now, between nodes, never written down.

use std::sync::Arc;

use docket_schemas::{Tenant, TicketId};
use tokio::sync::broadcast;

/// Whispers that wait for one reader; a slower one loses the oldest, and is told how many.
pub const WHISPERS_WAITING_MAX: usize = 4_096;

/// Most bytes of one whisper; a longer one is dropped.
pub const WHISPER_BYTES_MAX: usize = 4_096;

/// Something that is said about a ticket and never kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Whisper {
    /// Whose ticket.
    pub tenant: Tenant,
    /// Which.
    pub ticket: TicketId,
    /// What is said; its meaning is that of those who say and read it.
    pub bytes: Arc<[u8]>,
}

/// Carries whispers to every reader of every node of the region. Lossy by design: none is kept, repeated or awaited.
pub trait Ephemeral: Send + Sync + 'static {
    /// Says something about a ticket: once to all who listen here, and once to those on other nodes, if they can be
    /// reached now. Never waits.
    fn publish(&self, tenant: &Tenant, ticket: TicketId, bytes: &[u8]);

    /// All whispers from now on, of all tenants, also those of this node: one receiver is meant for a whole node.
    fn subscribe(&self) -> broadcast::Receiver<Whisper>;
}
