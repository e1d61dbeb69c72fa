//! Whose tickets events are about, for those who listen as a person.

use std::collections::HashMap;
use std::num::NonZeroUsize;
use std::sync::Arc;

use docket_engine::desk::{Desk, DeskError};
use docket_engine::layout::Container;
use docket_engine::ticket::{FoldError, Ticket};
use docket_schemas::{Event, EventId, PersonId, Tenant, TicketEvent, TicketId};
use lru::LruCache;
use parking_lot::Mutex;

use super::registry::Registry;
use super::ticket_of;

/// Tickets whose requester and followers are remembered.
const TICKETS_MAX: NonZeroUsize = NonZeroUsize::new(65_536).expect("more than none");

/// Events that may change who a ticket's followers are.
const CHANGES_READERS: [TicketEvent; 5] = [
    TicketEvent::Opened,
    TicketEvent::FollowerAdded,
    TicketEvent::FollowerRemoved,
    TicketEvent::MergeAttached,
    TicketEvent::MergeDetached,
];

/// Requesters and followers of the tickets that were last written to.
pub(super) struct Readers {
    tickets: LruCache<(Tenant, TicketId), Arc<[PersonId]>>,
    /// Of the events that are about to be handed on.
    found: HashMap<EventId, Arc<[PersonId]>>,
}

impl Default for Readers {
    fn default() -> Self {
        Self { tickets: LruCache::new(TICKETS_MAX), found: HashMap::new() }
    }
}

impl Readers {
    /// Finds whose ticket an event is about, where anybody of its tenant listens as a person.
    ///
    /// # Errors
    /// When the log does not answer: the event is found again then, and nobody goes past it meanwhile.
    pub(super) async fn find(
        &mut self,
        desk: &Desk,
        registry: &Mutex<Registry>,
        event: &Event,
    ) -> Result<(), DeskError> {
        let Some(ticket) = ticket_of(event) else { return Ok(()) };
        if !registry.lock().has_persons(&event.tenant) {
            return Ok(());
        }
        let key = (event.tenant.clone(), ticket);
        if CHANGES_READERS.iter().any(|changes| event.event_type == *changes) {
            self.tickets.pop(&key);
        }
        let known = self.tickets.get(&key).cloned();
        let persons = match known {
            Some(persons) => persons,
            None => match persons(desk, &key.0, ticket).await {
                Ok(persons) => {
                    self.tickets.put(key, Arc::clone(&persons));
                    persons
                }
                // Who cannot be named is not told; whoever may be meant reads on from the log.
                Err(error @ DeskError::Damaged(_)) => {
                    tracing::warn!(error = &error as &dyn std::error::Error, "live.readers.failed");
                    registry.lock().lose_persons(&event.tenant);
                    Arc::new([])
                }
                Err(error) => return Err(error),
            },
        };
        self.found.insert(event.event_id, persons);
        Ok(())
    }

    /// Whose ticket an event is about; none where that was not looked for.
    pub(super) fn found(&self, event: &Event) -> Option<&[PersonId]> {
        self.found.get(&event.event_id).map(|persons| &**persons)
    }

    /// Other events are about to be handed on.
    pub(super) fn forget_found(&mut self) {
        self.found.clear();
    }
}

async fn persons(
    desk: &Desk,
    tenant: &Tenant,
    ticket: TicketId,
) -> Result<Arc<[PersonId]>, DeskError> {
    let found = desk.look(tenant, ticket, readers_of).await?;
    Ok(found.transpose()?.unwrap_or_else(|| Arc::new([])))
}

fn readers_of(ticket: &mut Ticket) -> Result<Arc<[PersonId]>, FoldError> {
    let requester = ticket.facts().map(|facts| facts.requester);
    let followers = ticket.registers()?.keys(Container::Followers);
    let followers = followers.filter_map(|person| person.parse().ok());
    Ok(requester.into_iter().chain(followers).collect())
}
