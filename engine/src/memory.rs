//! The log in memory: for tests, simulations and trials that may lose everything.

mod keys;
mod roster;
mod sagas;
mod state;

pub use keys::MemoryKeyStore;
pub use roster::MemoryRoster;
pub use sagas::MemorySagas;

use std::collections::HashSet;

use async_trait::async_trait;
use docket_schemas::{
    CommandId, Event, EventId, Incarnation, Partition, Position, Tenant, TicketEvent, TicketId,
};
use parking_lot::Mutex;
use uuid::Uuid;

use crate::append::{Plan, Stored as _, local_event, whole_batch_refusal};
use crate::cursor::Positions;
use crate::ports::log::{
    Batch, EventLog, IncarnationStart, LogError, Page, READ_EVENTS_MAX, Snapshot, StreamRead, Unit,
    UnitOutcome,
};
use state::{Dot, State, Taking};

/// An event log that lives as long as its process. Shared by `Arc`.
#[derive(Debug, Default)]
pub struct MemoryLog(Mutex<State>);

impl MemoryLog {
    /// An empty log, in which no incarnation has begun.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// All that it now holds.
    #[must_use]
    pub fn backup(&self) -> MemoryBackup {
        MemoryBackup(self.0.lock().clone())
    }

    /// Holds what it held when the backup was made, and nothing else.
    pub fn restore(&self, backup: MemoryBackup) {
        *self.0.lock() = backup.0;
    }
}

/// What a [`MemoryLog`] held at some time.
#[derive(Debug, Clone)]
pub struct MemoryBackup(State);

#[async_trait]
impl EventLog for MemoryLog {
    async fn append(&self, batch: Batch) -> Result<Vec<UnitOutcome>, LogError> {
        let mut state = self.0.lock();
        let newest = state.incarnations.last().map(|start| &start.incarnation);
        if let Some(refusal) = whole_batch_refusal(&batch, newest, state.erasure_epoch)? {
            return Ok(vec![refusal; batch.units.len()]);
        }
        let mut dots = HashSet::new();
        let mut plan = Plan::new(&*state, &batch);
        let decide = |unit| decide(&state, &mut plan, &mut dots, unit);
        let outcomes = batch.units.iter().map(decide).collect();
        let changes = plan.finish();
        state.dots.extend(dots);
        for (draft, placed) in &changes.rows {
            state.push(local_event(draft, *placed, &batch.incarnation));
        }
        for ((tenant, key), holder) in changes.slots {
            state.set_slot(tenant, key, holder);
        }
        Ok(outcomes)
    }

    async fn stream_events(&self, reads: &[StreamRead]) -> Result<Vec<Event>, LogError> {
        let state = self.0.lock();
        let mut events: Vec<Event> =
            reads.iter().flat_map(|read| state.stream(read)).cloned().collect();
        for event in events.iter_mut().filter(|event| event.event_type == TicketEvent::MessageAdded)
        {
            event.draft.sealed = None;
        }
        Ok(events)
    }

    async fn stream_page(&self, read: &StreamRead, limit: usize) -> Result<Vec<Event>, LogError> {
        let state = self.0.lock();
        Ok(state.stream(read).take(limit.min(READ_EVENTS_MAX)).cloned().collect())
    }

    async fn event_of_command(
        &self,
        tenant: &Tenant,
        partition: Partition,
        command: CommandId,
    ) -> Result<Option<Event>, LogError> {
        Ok(self.0.lock().command(tenant, partition, command))
    }

    async fn partition_events(
        &self,
        partition: Partition,
        after: Position,
        limit: usize,
    ) -> Result<Vec<Event>, LogError> {
        let state = self.0.lock();
        let events = state.after(partition, after).iter();
        Ok(events.take(limit.min(READ_EVENTS_MAX)).cloned().collect())
    }

    async fn events(&self, after: &Positions, limit: usize) -> Result<Page, LogError> {
        Ok(self.0.lock().page(after, limit, |_| true))
    }

    async fn tenant_events(
        &self,
        tenant: &Tenant,
        after: &Positions,
        limit: usize,
    ) -> Result<Page, LogError> {
        Ok(self.0.lock().page(after, limit, |event| event.tenant == *tenant))
    }

    async fn heads(&self) -> Result<Positions, LogError> {
        Ok(self.0.lock().heads())
    }

    async fn event_id_at(
        &self,
        partition: Partition,
        position: Position,
    ) -> Result<Option<EventId>, LogError> {
        Ok(self.0.lock().at(partition, position).map(|event| event.event_id))
    }

    async fn tickets_by_external_id(
        &self,
        tenant: &Tenant,
        external_id: &str,
        limit: usize,
    ) -> Result<Vec<TicketId>, LogError> {
        Ok(self.0.lock().opened_as(tenant, external_id, limit))
    }

    async fn snapshots(
        &self,
        tickets: &[(Tenant, TicketId)],
    ) -> Result<Vec<(Tenant, TicketId, Snapshot)>, LogError> {
        let state = self.0.lock();
        let found = tickets.iter().filter_map(|ticket| {
            let snapshot = state.snapshots.get(ticket)?;
            Some((ticket.0.clone(), ticket.1, snapshot.clone()))
        });
        Ok(found.collect())
    }

    async fn save_snapshot(
        &self,
        tenant: &Tenant,
        ticket: TicketId,
        snapshot: Snapshot,
    ) -> Result<(), LogError> {
        let mut state = self.0.lock();
        let kept = state.snapshots.entry((tenant.clone(), ticket)).or_insert(snapshot.clone());
        if kept.position < snapshot.position {
            *kept = snapshot;
        }
        Ok(())
    }

    async fn incarnations(&self) -> Result<Vec<IncarnationStart>, LogError> {
        Ok(self.0.lock().incarnations.clone())
    }

    async fn begin_incarnation(
        &self,
        newest: Option<&Incarnation>,
        next: &Incarnation,
    ) -> Result<Incarnation, LogError> {
        let mut state = self.0.lock();
        let standing = state.incarnations.last().map(|start| start.incarnation.clone());
        if standing.as_ref() != newest {
            return standing.ok_or_else(|| LogError::damaged("no incarnation has begun"));
        }
        let heads = state.heads();
        state.incarnations.push(IncarnationStart { incarnation: next.clone(), heads });
        Ok(next.clone())
    }

    async fn key_store(&self) -> Result<Option<Uuid>, LogError> {
        Ok(self.0.lock().key_store)
    }

    async fn name_key_store(&self, id: Uuid) -> Result<Uuid, LogError> {
        Ok(*self.0.lock().key_store.get_or_insert(id))
    }

    async fn erasure_epoch(&self) -> Result<u64, LogError> {
        Ok(self.0.lock().erasure_epoch)
    }

    async fn raise_erasure_epoch(&self) -> Result<u64, LogError> {
        let mut state = self.0.lock();
        state.erasure_epoch += 1;
        Ok(state.erasure_epoch)
    }

    async fn probe_write(&self) -> Result<(), LogError> {
        Ok(())
    }
}

/// Decides one unit; the dots are what a database would hold by a unique index.
fn decide<'a>(
    state: &State,
    plan: &mut Plan<'a, &State>,
    dots: &mut HashSet<Dot>,
    unit: &'a Unit,
) -> UnitOutcome {
    let refusal = match plan.check(unit) {
        Ok(changes) => match state.take_dots(unit, dots) {
            Taking::Taken => return plan.accept(changes),
            Taking::Used => UnitOutcome::Damaged { what: "a dot is used twice".to_owned() },
        },
        Err(outcome) => outcome,
    };
    plan.hand_back(unit);
    refusal
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use async_trait::async_trait;

    use super::*;
    use crate::contract::drafts::NOON;
    use crate::contract::{KeysHarness, LogHarness, RosterHarness, SagaTableHarness};
    use crate::ports::keys::KeyStore;
    use crate::ports::leases::Leases;
    use crate::ports::nodes::Nodes;
    use crate::ports::sagas::{Barrier, SagaTable};
    use crate::testing::SetClock;

    #[derive(Default)]
    struct Memory(Arc<MemoryLog>, Arc<MemoryKeyStore>);

    #[async_trait]
    impl LogHarness for Memory {
        async fn fresh(&self) -> Arc<dyn EventLog> {
            self.0.clone()
        }

        async fn second_connection(&self) -> Arc<dyn EventLog> {
            self.0.clone()
        }
    }

    #[async_trait]
    impl KeysHarness for Memory {
        async fn fresh(&self) -> Arc<dyn KeyStore> {
            self.1.clone()
        }

        async fn second_connection(&self) -> Arc<dyn KeyStore> {
            self.1.clone()
        }
    }

    /// Its clock stands until the case waits.
    struct Roster(Arc<MemoryRoster>, Arc<SetClock>);

    impl Roster {
        fn new() -> Self {
            let clock = Arc::new(SetClock::at(NOON));
            Self(Arc::new(MemoryRoster::new(clock.clone())), clock)
        }
    }

    #[async_trait]
    impl RosterHarness for Roster {
        async fn fresh(&self) -> (Arc<dyn Leases>, Arc<dyn Nodes>) {
            (self.0.clone(), self.0.clone())
        }

        async fn second_connection(&self) -> (Arc<dyn Leases>, Arc<dyn Nodes>) {
            (self.0.clone(), self.0.clone())
        }

        async fn wait(&self, time: std::time::Duration) {
            self.1.advance(i64::try_from(time.as_micros()).expect("short"));
        }
    }

    #[async_trait]
    impl SagaTableHarness for Memory {
        async fn fresh(&self) -> (Arc<dyn EventLog>, Arc<dyn SagaTable>, Arc<dyn Barrier>) {
            let log: Arc<dyn EventLog> = LogHarness::fresh(self).await;
            let sagas = Arc::new(MemorySagas::new(Arc::clone(&log)));
            (log, sagas.clone(), sagas)
        }
    }

    mod saga_table {
        crate::saga_table_contract!(super::Memory::default());
    }

    mod roster {
        crate::roster_contract!(super::Roster::new());
    }

    mod log {
        crate::log_contract!(super::Memory::default());
    }

    mod keys {
        crate::keys_contract!(super::Memory::default());
    }
}
