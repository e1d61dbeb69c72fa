//! What a ticket shows with the tickets that were merged into it, and which ticket shows a merged one.

use std::collections::BTreeSet;

use docket_schemas::{CommandId, Tenant, TicketId};

use super::{Desk, DeskError};
use crate::ticket::{Prefix, ShownMessage, Ticket};

impl Desk {
    /// The ticket that shows a ticket's messages: itself, or the one that it was merged into, in the end. None where
    /// there is no such ticket.
    ///
    /// # Errors
    /// When the log fails.
    pub async fn showing(
        &self,
        tenant: &Tenant,
        id: TicketId,
    ) -> Result<Option<TicketId>, DeskError> {
        Ok(self.path_to_showing(tenant, id).await?.last().copied())
    }

    /// From a ticket to the one that shows its messages, both among them; empty where there is no such ticket.
    pub(super) async fn path_to_showing(
        &self,
        tenant: &Tenant,
        id: TicketId,
    ) -> Result<Vec<TicketId>, DeskError> {
        let mut path = Vec::new();
        let mut next = Some(id);
        // Slots let no circle come about; a log that an import wrote may hold one all the same.
        while let Some(id) = next.filter(|id| !path.contains(id)) {
            let merged = self.look(tenant, id, |ticket| ticket.merges().merged()).await?;
            let Some(merged) = merged else { break };
            path.push(id);
            next = merged.map(|merged| merged.into);
        }
        Ok(path)
    }

    /// Every message that a ticket shows, by (`created_at`, id): its own, and of each source that is merged into it those
    /// in the past of the source's `ticket.merged`. A merged ticket is asked as if it were not.
    ///
    /// # Errors
    /// When the log fails.
    pub async fn shown_messages(
        &self,
        tenant: &Tenant,
        id: TicketId,
    ) -> Result<Option<Vec<ShownMessage>>, DeskError> {
        let own = |ticket: &mut Ticket| Prefix {
            messages: ticket.own_messages().collect(),
            attached: ticket.merges().attached().map(|one| (one.source, one.merged)).collect(),
        };
        let Some(own) = self.look(tenant, id, own).await? else { return Ok(None) };
        let Prefix { mut messages, attached: mut waiting } = own;
        let mut seen: BTreeSet<(TicketId, CommandId)> = BTreeSet::new();
        while let Some((source, merged)) = waiting.pop() {
            if source == id || !seen.insert((source, merged)) {
                continue;
            }
            let prefix = self.look(tenant, source, |ticket| ticket.prefix(merged)).await?;
            match prefix.flatten() {
                Some(mut prefix) => {
                    messages.append(&mut prefix.messages);
                    waiting.append(&mut prefix.attached);
                }
                None => {
                    tracing::warn!(ticket.id = %id, source.id = %source, "ticket.source.missing")
                }
            }
        }
        messages.sort_unstable();
        Ok(Some(messages))
    }
}
