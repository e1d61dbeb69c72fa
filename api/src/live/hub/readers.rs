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

/// How often in a row whose ticket an event is about is looked for while the log does not answer. One ticket must not hold back
/// what happens to all others.
const FIND_TRIES_MAX: u32 = 20;

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
    found: HashMap<EventId, Found>,
    /// How often in a row somebody could not be found.
    failing: Option<(EventId, u32)>,
}

/// Whose ticket an event is about.
#[derive(Debug, Clone)]
pub(super) enum Found {
    /// Theirs.
    Persons(Arc<[PersonId]>),
    /// Nobody can say: whoever may be meant has to read the log.
    Unknown,
}

impl Default for Readers {
    fn default() -> Self {
        Self { tickets: LruCache::new(TICKETS_MAX), found: HashMap::new(), failing: None }
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
        let key = (event.tenant.clone(), ticket);
        if CHANGES_READERS.iter().any(|changes| event.event_type == *changes) {
            // Also while nobody listens: somebody may listen again.
            self.tickets.pop(&key);
        }
        if !registry.lock().has_persons(&event.tenant) {
            return Ok(());
        }
        let known = self.tickets.get(&key).cloned();
        let found = match known {
            Some(persons) => Found::Persons(persons),
            None => match persons(desk, &key.0, ticket).await {
                Ok(persons) => {
                    self.tickets.put(key, Arc::clone(&persons));
                    Found::Persons(persons)
                }
                Err(error) => {
                    let lasts = matches!(error, DeskError::Damaged(_));
                    if !lasts && self.failed_for(event.event_id) < FIND_TRIES_MAX {
                        return Err(error);
                    }
                    tracing::warn!(error = &error as &dyn std::error::Error, "live.readers.failed");
                    Found::Unknown
                }
            },
        };
        self.found.insert(event.event_id, found);
        Ok(())
    }

    /// How often an event's ticket was looked for in vain. What comes before it on its page is found again each time.
    fn failed_for(&mut self, event: EventId) -> u32 {
        let before = self.failing.filter(|(failing, _)| *failing == event);
        let tries = before.map_or(0, |(_, tries)| tries) + 1;
        self.failing = Some((event, tries));
        tries
    }

    /// Whose ticket an event is about; none where that was not looked for.
    pub(super) fn found(&self, event: &Event) -> Option<&Found> {
        self.found.get(&event.event_id)
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
