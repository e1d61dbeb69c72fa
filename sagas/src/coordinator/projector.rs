//! The projector: folds one partition's sagas from the log into the table, and finds those that nobody carries.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use docket_engine::ports::log::READ_EVENTS_MAX;
use docket_engine::ports::sagas::{Kept, Pause, Standing};
use docket_schemas::{Event, Partition, Position, SagaId, StreamKind};

use super::live::Key;
use super::load::{readable, saga_events};
use super::pauses::pause;
use super::{SagaError, Shared, runner};
use crate::state::{Row, State};
use crate::summary::summary;

/// How many positions without a saga's row the table may be behind what was read. Whoever takes the partition over, and
/// whoever asks how far the table has come, looks through the rows in between.
const KEPT_BEHIND_MAX: Position = 1_000;

/// One partition's sagas, as far as the log was read.
pub(super) struct Projector {
    partition: Partition,
    /// Sagas that have not ended, and those that ended since the table was last written.
    states: HashMap<Key, State>,
    /// How each was last counted.
    counted: HashMap<Key, Standing>,
    dirty: HashSet<Key>,
    pauses: Vec<Pause>,
    /// What the table holds.
    kept: Position,
    /// What was read.
    read: Position,
}

impl Projector {
    /// Takes over from the table, and folds what the log holds beyond it.
    pub(super) async fn open(
        shared: &Arc<Shared>,
        partition: Partition,
    ) -> Result<Self, SagaError> {
        let table = &shared.ports.table;
        let kept = table.reached(partition).await?;
        // Before the sagas' events are read: beyond them there is nothing of sagas up to here, and nobody reads the rest.
        let head = shared.ports.desk.ports().log.heads().await?.get(partition);
        let mut projector = Self {
            partition,
            states: HashMap::new(),
            counted: HashMap::new(),
            dirty: HashSet::new(),
            pauses: Vec::new(),
            kept,
            read: kept,
        };
        for row in table.unended(partition).await? {
            let key = (row.tenant.clone(), row.id);
            if let Some(state) = readable(shared, &key).await? {
                projector.states.insert(key, state);
            }
        }
        loop {
            let page = saga_events(&shared.ports, partition, projector.read).await?;
            let Some(upto) = page.upto else { break };
            for event in &page.events {
                projector.fold(shared, event).await?;
            }
            projector.read = upto;
        }
        projector.read = projector.read.max(head);
        // Last, for what was dropped before this would stay counted.
        for key in projector.states.keys().cloned().collect::<Vec<_>>() {
            projector.count(shared, &key);
        }
        Ok(projector)
    }

    /// Has every saga carried that should be.
    pub(super) fn carry_all(&self, shared: &Arc<Shared>) {
        for (key, state) in &self.states {
            self.carry(shared, key, state);
        }
    }

    /// Folds one page of what the tail has beyond what was read. True where there may be more.
    pub(super) async fn read_on(&mut self, shared: &Arc<Shared>) -> Result<bool, SagaError> {
        let page = shared.ports.tail.read(self.partition, self.read, READ_EVENTS_MAX).await?;
        let Some(upto) = page.upto else { return Ok(false) };
        let mut touched: HashSet<Key> = HashSet::new();
        for event in &page.events {
            touched.extend(self.fold(shared, event).await?);
            self.read = event.position;
        }
        self.read = upto;
        for key in touched {
            self.count(shared, &key);
            let Some(state) = self.states.get(&key) else { continue };
            if state.ended.is_some() || state.parked.is_some() {
                shared.live.forget(&key);
            } else {
                self.carry(shared, &key, state);
            }
        }
        Ok(true)
    }

    async fn fold(
        &mut self,
        shared: &Arc<Shared>,
        event: &Event,
    ) -> Result<Option<Key>, SagaError> {
        if event.stream.kind != StreamKind::Saga {
            return Ok(None);
        }
        let payload = match event.saga_payload() {
            Ok(payload) => payload,
            Err(error) => {
                // It is for whoever carries the saga to stop at it; the others go on.
                tracing::error!(error = &error as &dyn std::error::Error, "saga.row.damaged");
                return Ok(None);
            }
        };
        if let Some(pause) = pause(event, &payload) {
            shared.paused.turn(&pause, (event.partition, event.position));
            self.pauses.push(pause);
            return Ok(None);
        }
        let key = (event.tenant.clone(), SagaId::new(event.stream.id));
        match self.states.get_mut(&key) {
            Some(state) if event.position > state.position => {
                state.evolve(Row::of(event, &payload));
            }
            Some(_) => {}
            None if payload.start().is_some() => {
                let mut state = State::new(key.0.clone(), key.1);
                state.evolve(Row::of(event, &payload));
                self.states.insert(key.clone(), state);
            }
            // It had ended, and goes on: an undo of what was done.
            None => {
                let Some(state) = readable(shared, &key).await? else { return Ok(None) };
                self.states.insert(key.clone(), state);
            }
        }
        self.dirty.insert(key.clone());
        Ok(Some(key))
    }

    fn carry(&self, shared: &Arc<Shared>, key: &Key, state: &State) {
        if state.ended.is_some() || state.parked.is_some() {
            return;
        }
        let Some(begun) = &state.begun else { return };
        let (name, version) = (&begun.what.definition, begun.what.version);
        let Some(definition) = shared.registry.find(name, version) else {
            tracing::error!(saga.id = %key.1, definition = name, version, "saga.version.unknown");
            return;
        };
        let carried = Arc::clone(shared);
        let from = state.clone();
        let seen = (state.position, state.weight());
        shared.live.carry(key.clone(), self.partition, seen, move |signal| {
            runner::spawn(carried, definition, from, signal, None)
        });
    }

    /// Writes what has changed to the table. False when another node has: this one no longer leads.
    pub(super) async fn keep(&mut self, shared: &Shared) -> Result<bool, SagaError> {
        let is_close = self.read.saturating_sub(self.kept) < KEPT_BEHIND_MAX;
        if self.dirty.is_empty() && self.pauses.is_empty() && is_close {
            return Ok(true);
        }
        let now = shared.ports.desk.ports().clock.now();
        let rows = self.dirty.iter().filter_map(|key| {
            let state = self.states.get(key)?;
            let begun = state.begun.as_ref()?;
            let definition = shared.registry.find(&begun.what.definition, begun.what.version);
            summary(definition.as_deref(), state, now)
        });
        let kept = Kept { sagas: rows.collect(), pauses: self.pauses.clone() };
        let stands = shared.ports.table.keep(self.partition, self.kept, self.read, &kept).await?;
        if stands {
            self.kept = self.read;
            self.pauses.clear();
            for key in self.dirty.drain() {
                if self.states.get(&key).is_some_and(|state| state.ended.is_some()) {
                    self.states.remove(&key);
                    self.counted.remove(&key);
                }
            }
        }
        Ok(stands)
    }

    fn count(&mut self, shared: &Shared, key: &Key) {
        let Some(state) = self.states.get(key) else { return };
        let Some(begun) = &state.begun else { return };
        let now = shared.ports.desk.ports().clock.now();
        let definition = shared.registry.find(&begun.what.definition, begun.what.version);
        let standing = crate::summary::standing(definition.as_deref(), state, now);
        let before = self.counted.insert(key.clone(), standing);
        if before != Some(standing) {
            if let Some(before) = before {
                shared.count(&begun.what.definition, before, -1);
            }
            shared.count(&begun.what.definition, standing, 1);
        }
    }

    /// What it counted is another node's to count.
    pub(super) fn uncount(&self, shared: &Shared) {
        for (key, standing) in &self.counted {
            let begun = self.states.get(key).and_then(|state| state.begun.as_ref());
            if let Some(begun) = begun {
                shared.count(&begun.what.definition, *standing, -1);
            }
        }
    }
}

#[cfg(test)]
impl super::Coordinator {
    /// Where whoever takes a partition over begins to read.
    pub(crate) async fn opens_at(&self, partition: Partition) -> Position {
        let projector = Projector::open(&self.shared, partition).await.expect("the log answers");
        projector.uncount(&self.shared);
        projector.read
    }
}
