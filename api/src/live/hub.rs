//! The hub: one task a node that hands what the tail reads to those who listen to a ticket or as a person.

mod readers;
mod registry;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use docket_engine::desk::{Desk, DeskError};
use docket_engine::ports::ephemeral::{Ephemeral, Whisper};
use docket_engine::ports::log::READ_EVENTS_MAX;
use docket_engine::tail::Tail;
use docket_schemas::{Event, Incarnation, Partition, PersonId, Position, Stream, Tenant, TicketId};
use parking_lot::Mutex;
use tokio::sync::{broadcast, watch};
use tokio::task::JoinSet;

use super::outbox::{Heard, Listener, SubscriptionNumber};
use super::shown::Shown;
use docket_engine::cursor::Positions;
use readers::{Found, Readers};
use registry::{Registry, Target};

/// How long the hub waits after the log has failed.
const RETRY_AFTER: Duration = Duration::from_millis(500);

/// Hands events on. Cheap to clone.
#[derive(Clone)]
pub struct Hub {
    shared: Arc<Shared>,
    _tasks: Arc<JoinSet<()>>,
}

struct Shared {
    desk: Desk,
    tail: Tail,
    registry: Mutex<Registry>,
}

/// A listener's entry; it is struck when this is dropped.
pub struct Registration {
    shared: Arc<Shared>,
    tenant: Tenant,
    target: Target,
    number: u64,
    /// How far the hub had come when the listener was entered: it hears all that lies beyond.
    pub from: Positions,
}

impl Drop for Registration {
    fn drop(&mut self) {
        self.shared.registry.lock().strike(&self.tenant, self.target, self.number);
    }
}

impl Hub {
    /// Begins to hand on what the tail reads and what is whispered from now on.
    #[must_use]
    pub fn start(desk: Desk, tail: Tail, whispers: &dyn Ephemeral) -> Self {
        let (heads, restores) = (tail.heads(), tail.restores());
        let registry = Mutex::new(Registry::new(*heads.borrow(), *restores.borrow()));
        let shared = Arc::new(Shared { desk, tail, registry });
        let mut tasks = JoinSet::new();
        tasks.spawn(follow(Arc::clone(&shared), heads, restores));
        tasks.spawn(listen(Arc::clone(&shared), whispers.subscribe()));
        Self { shared, _tasks: Arc::new(tasks) }
    }

    /// Whether all that is handed on from now on is of this incarnation, or of a later one: who goes on in it may listen.
    #[must_use]
    pub fn is_of(&self, incarnation: &Incarnation) -> bool {
        let tail = &self.shared.tail;
        tail.is_of(incarnation) && self.shared.registry.lock().restores == self.shared.restores()
    }

    /// Listens to one ticket.
    #[must_use]
    pub fn to_ticket(
        &self,
        tenant: &Tenant,
        ticket: TicketId,
        subscription: SubscriptionNumber,
        listener: Arc<dyn Listener>,
    ) -> Registration {
        let mut registry = self.shared.registry.lock();
        self.enter(&mut registry, tenant, Target::Ticket(ticket), (subscription, listener))
    }

    /// Listens to several tickets, to all of them from the same place on: one cursor tells how far they are.
    #[must_use]
    pub fn to_tickets(
        &self,
        tenant: &Tenant,
        tickets: &[TicketId],
        (subscription, listener): (SubscriptionNumber, &Arc<dyn Listener>),
    ) -> Vec<(TicketId, Registration)> {
        let mut registry = self.shared.registry.lock();
        let enter = |ticket: &TicketId| {
            let listener = (subscription, Arc::clone(listener));
            (*ticket, self.enter(&mut registry, tenant, Target::Ticket(*ticket), listener))
        };
        tickets.iter().map(enter).collect()
    }

    /// Listens to every ticket whose requester or follower a person is.
    #[must_use]
    pub fn as_person(
        &self,
        tenant: &Tenant,
        person: PersonId,
        subscription: SubscriptionNumber,
        listener: Arc<dyn Listener>,
    ) -> Registration {
        let mut registry = self.shared.registry.lock();
        self.enter(&mut registry, tenant, Target::Person(person), (subscription, listener))
    }

    fn enter(
        &self,
        registry: &mut Registry,
        tenant: &Tenant,
        target: Target,
        (subscription, listener): (SubscriptionNumber, Arc<dyn Listener>),
    ) -> Registration {
        let number = registry.enter(tenant, target, subscription, listener);
        let from = registry.handled;
        let (shared, tenant) = (Arc::clone(&self.shared), tenant.clone());
        Registration { shared, tenant, target, number, from }
    }
}

async fn follow(
    shared: Arc<Shared>,
    mut heads: watch::Receiver<Positions>,
    mut restores: watch::Receiver<u64>,
) {
    let mut readers = Readers::default();
    loop {
        let mut reached = *heads.borrow_and_update();
        if restores.has_changed().unwrap_or(false) {
            let restored = *restores.borrow_and_update();
            reached = *heads.borrow_and_update();
            shared.registry.lock().begin_again(reached, restored);
            // Who read a ticket by what is lost reads it no more.
            readers = Readers::default();
        }
        // A restore is told before the heads are: those above may have been the old ones.
        shared.registry.lock().go_back_to(&reached);
        for (partition, head) in reached.iter() {
            while let Err(error) = shared.hand_on(&mut readers, partition, head).await {
                tracing::warn!(error = &error as &dyn std::error::Error, "live.hub.failed");
                tokio::time::sleep(RETRY_AFTER).await;
            }
        }
        if heads.changed().await.is_err() {
            return;
        }
    }
}

/// Whispers go to those who listen to the ticket by name; a node that cannot follow loses some.
async fn listen(shared: Arc<Shared>, mut whispers: broadcast::Receiver<Whisper>) {
    loop {
        match whispers.recv().await {
            Ok(whisper) => {
                let registry = shared.registry.lock();
                let target = Target::Ticket(whisper.ticket);
                registry.tell(&whisper.tenant, target, &Heard::Whisper(whisper.clone()));
            }
            Err(broadcast::error::RecvError::Lagged(_)) => {}
            Err(broadcast::error::RecvError::Closed) => return,
        }
    }
}

impl Shared {
    /// How often the log was restored, as the tail has it by now.
    fn restores(&self) -> u64 {
        *self.tail.restores().borrow()
    }

    /// Hands on one partition's events up to its head.
    async fn hand_on(
        &self,
        readers: &mut Readers,
        partition: Partition,
        head: Position,
    ) -> Result<(), DeskError> {
        loop {
            let after = {
                let registry = self.registry.lock();
                if registry.restores != self.restores() {
                    return Ok(());
                }
                registry.handled.get(partition)
            };
            if head <= after {
                return Ok(());
            }
            let read = self.tail.read(partition, after, READ_EVENTS_MAX).await?;
            let Some(upto) = read.upto else { return Ok(()) };
            readers.forget_found();
            for event in &read.events {
                readers.find(&self.desk, &self.registry, event).await?;
            }
            self.tell_all(readers, partition, &read.events, upto);
        }
    }

    /// What is told and how far that goes change together, so that a listener who comes between hears all or nothing.
    fn tell_all(
        &self,
        readers: &Readers,
        partition: Partition,
        events: &[Arc<Event>],
        upto: Position,
    ) {
        let mut registry = self.registry.lock();
        if registry.restores != self.restores() {
            // They may be what the log has lost.
            return;
        }
        for event in events {
            let Some(ticket) = ticket_of(event) else { continue };
            let persons = match readers.found(event) {
                Some(Found::Persons(persons)) => &**persons,
                Some(Found::Unknown) => {
                    registry.lose_persons(&event.tenant);
                    &[]
                }
                None if registry.has_persons(&event.tenant) => return,
                None => &[],
            };
            registry.handled.set(partition, event.position);
            let targets = std::iter::once(Target::Ticket(ticket))
                .chain(persons.iter().map(|one| Target::Person(*one)));
            let mut shown = None;
            for target in targets.filter(|target| registry.has(&event.tenant, *target)) {
                let shown = shown.get_or_insert_with(|| Arc::new(Shown::new(Arc::clone(event))));
                registry.tell(&event.tenant, target, &Heard::Event(Arc::clone(shown)));
            }
        }
        registry.handled.set(partition, upto);
    }
}

/// The ticket that an event is about, if it is about one.
fn ticket_of(event: &Event) -> Option<TicketId> {
    let ticket = TicketId::new(event.stream.id);
    (event.stream == Stream::ticket(ticket)).then_some(ticket)
}
