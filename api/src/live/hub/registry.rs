//! Who listens to what.

use std::collections::HashMap;
use std::sync::Arc;

use docket_engine::cursor::Positions;
use docket_schemas::{PersonId, Tenant, TicketId};

use crate::live::outbox::{Heard, Listener, SubscriptionNumber};

/// What somebody listens to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Target {
    /// One ticket.
    Ticket(TicketId),
    /// All tickets of a requester or follower.
    Person(PersonId),
}

struct Place {
    number: u64,
    subscription: SubscriptionNumber,
    listener: Arc<dyn Listener>,
}

#[derive(Default)]
struct OfTenant {
    places: HashMap<Target, Vec<Place>>,
    /// Places of persons among them.
    persons: usize,
}

/// All listeners of a node.
pub(super) struct Registry {
    /// Up to where events were handed on.
    pub(super) handled: Positions,
    /// The restores of the log that those listening have been told of.
    pub(super) restores: u64,
    tenants: HashMap<Tenant, OfTenant>,
    next: u64,
}

impl Registry {
    pub(super) fn new(handled: Positions, restores: u64) -> Self {
        Self { handled, restores, tenants: HashMap::new(), next: 0 }
    }

    /// Enters a listener and answers the number of its place.
    pub(super) fn enter(
        &mut self,
        tenant: &Tenant,
        target: Target,
        subscription: SubscriptionNumber,
        listener: Arc<dyn Listener>,
    ) -> u64 {
        self.next += 1;
        let number = self.next;
        let of_tenant = self.tenants.entry(tenant.clone()).or_default();
        of_tenant.persons += usize::from(matches!(target, Target::Person(_)));
        let place = Place { number, subscription, listener };
        of_tenant.places.entry(target).or_default().push(place);
        number
    }

    /// Strikes a listener; what has no listener any more is forgotten.
    pub(super) fn strike(&mut self, tenant: &Tenant, target: Target, number: u64) {
        let Some(of_tenant) = self.tenants.get_mut(tenant) else { return };
        let Some(places) = of_tenant.places.get_mut(&target) else { return };
        places.retain(|place| place.number != number);
        if places.is_empty() {
            of_tenant.places.remove(&target);
        }
        of_tenant.persons -= usize::from(matches!(target, Target::Person(_)));
        if of_tenant.places.is_empty() {
            self.tenants.remove(tenant);
        }
    }

    /// Whether a tenant has somebody who listens as a person.
    pub(super) fn has_persons(&self, tenant: &Tenant) -> bool {
        self.tenants.get(tenant).is_some_and(|of_tenant| of_tenant.persons > 0)
    }

    pub(super) fn has(&self, tenant: &Tenant, target: Target) -> bool {
        self.places(tenant, target).next().is_some()
    }

    pub(super) fn tell(&self, tenant: &Tenant, target: Target, heard: &Heard) {
        for place in self.places(tenant, target) {
            place.listener.hear(place.subscription, heard.clone());
        }
    }

    /// The log was restored, and some of what was handed on is lost: everybody has to read on from their own cursor.
    pub(super) fn begin_again(&mut self, from: Positions, restores: u64) {
        (self.handled, self.restores) = (from, restores);
        for place in self.tenants.values().flat_map(|of| of.places.values().flatten()) {
            place.listener.lose();
        }
    }

    /// Nothing beyond the tail's heads was handed on: they fall at a restore, and at nothing else.
    pub(super) fn go_back_to(&mut self, heads: &Positions) {
        self.handled = self.handled.min(heads);
    }

    /// Something of a tenant is lost to those who listen as a person: they have to read on from their own cursors.
    pub(super) fn lose_persons(&self, tenant: &Tenant) {
        let places = self.tenants.get(tenant).into_iter().flat_map(|of| &of.places);
        let persons = places.filter(|(target, _)| matches!(target, Target::Person(_)));
        persons.flat_map(|(_, places)| places).for_each(|place| place.listener.lose());
    }

    fn places(&self, tenant: &Tenant, target: Target) -> impl Iterator<Item = &Place> {
        let places = self.tenants.get(tenant).and_then(|of_tenant| of_tenant.places.get(&target));
        places.into_iter().flatten()
    }
}
