//! Writers: who writes a ticket from where, as Automerge sees them.

use docket_schemas::canonical::Fields;
use docket_schemas::{ActorId, Incarnation, Principal, Role, Tenant, TicketId};

/// Most lanes of one writer on one ticket.
pub const LANES_PER_WRITER_MAX: u8 = 32;

/// One role, principal, device and region incarnation on one ticket: the owner of up to 32 lanes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Writer {
    role: u8,
    hash: [u8; 14],
}

impl Writer {
    /// The writer of `ticket` that these name.
    #[must_use]
    pub fn new(
        tenant: &Tenant,
        ticket: TicketId,
        role: Role,
        principal: &Principal,
        device: &str,
        incarnation: &Incarnation,
    ) -> Self {
        let digest = Fields::new("docket/writer/1")
            .field(tenant.as_str())
            .field(ticket.as_bytes())
            .field(role.as_str())
            .field(principal.to_string())
            .field(device)
            .field(incarnation.as_str())
            .finish();
        let mut hash = [0; 14];
        hash.copy_from_slice(&digest[..14]);
        Self { role: role.code(), hash }
    }

    /// The actor of this writer's `lane`, counted from 0.
    #[must_use]
    pub fn actor(&self, lane: u8) -> ActorId {
        let mut bytes = [0; 16];
        bytes[0] = self.role;
        bytes[1] = lane;
        bytes[2..].copy_from_slice(&self.hash);
        ActorId(bytes)
    }

    /// Whether `actor` is one of this writer's lanes.
    #[must_use]
    pub fn owns(&self, actor: &ActorId) -> bool {
        actor.0[0] == self.role && actor.0[2..] == self.hash
    }
}
