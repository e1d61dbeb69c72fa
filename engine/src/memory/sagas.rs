//! The table of sagas of one process.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use async_trait::async_trait;
use docket_schemas::saga::Direction;
use docket_schemas::{Event, PARTITIONS, Partition, Position, SagaId, StreamKind, Tenant};
use parking_lot::Mutex;

use crate::ports::log::{EventLog, LogError, READ_EVENTS_MAX};
use crate::ports::sagas::{
    Barrier, Kept, Passage, Pause, SagaFilter, SagaPlace, SagaRow, SagaTable,
};

/// Beside a log in memory; it finds sagas' events by looking at all.
pub struct MemorySagas {
    log: Arc<dyn EventLog>,
    held: Mutex<Held>,
}

#[derive(Default)]
struct Held {
    rows: BTreeMap<(Tenant, SagaId), SagaRow>,
    reached: [Position; PARTITIONS as usize],
    pauses: BTreeMap<(Tenant, String), bool>,
    passed: HashMap<(Tenant, SagaId, String, Direction), Direction>,
}

impl Held {
    /// A row as it stands while definitions rest.
    fn shown(&self, row: &SagaRow) -> SagaRow {
        let mut row = row.clone();
        let definition = (row.tenant.clone(), row.definition.clone());
        if self.pauses.get(&definition).is_some_and(|paused| *paused) {
            row.standing = row.standing.at_rest();
        }
        row
    }
}

impl MemorySagas {
    /// An empty table beside a log.
    #[must_use]
    pub fn new(log: Arc<dyn EventLog>) -> Self {
        Self { log, held: Mutex::default() }
    }
}

#[async_trait]
impl SagaTable for MemorySagas {
    async fn saga_events(
        &self,
        partition: Partition,
        after: Position,
        limit: usize,
    ) -> Result<Vec<Event>, LogError> {
        let (mut found, mut after) = (Vec::new(), after);
        loop {
            let page = self.log.partition_events(partition, after, READ_EVENTS_MAX).await?;
            let Some(last) = page.last() else { return Ok(found) };
            after = last.position;
            found.extend(page.into_iter().filter(|event| event.stream.kind == StreamKind::Saga));
            if found.len() >= limit.min(READ_EVENTS_MAX) {
                found.truncate(limit.min(READ_EVENTS_MAX));
                return Ok(found);
            }
        }
    }

    async fn reached(&self, partition: Partition) -> Result<Position, LogError> {
        Ok(self.held.lock().reached[partition.index()])
    }

    async fn keep(
        &self,
        partition: Partition,
        from: Position,
        to: Position,
        kept: &Kept,
    ) -> Result<bool, LogError> {
        let mut held = self.held.lock();
        if held.reached[partition.index()] != from {
            return Ok(false);
        }
        held.reached[partition.index()] = to;
        for row in &kept.sagas {
            let known =
                held.rows.entry((row.tenant.clone(), row.id)).or_insert_with(|| row.clone());
            if known.position < row.position {
                *known = row.clone();
            }
        }
        let pauses = kept
            .pauses
            .iter()
            .map(|pause| ((pause.tenant.clone(), pause.definition.clone()), pause.is_paused));
        held.pauses.extend(pauses);
        Ok(true)
    }

    async fn unended(&self, partition: Partition) -> Result<Vec<SagaRow>, LogError> {
        let held = self.held.lock();
        let of = held.rows.values().filter(|row| row.partition == partition);
        Ok(of.filter(|row| row.ended_at.is_none()).map(|row| held.shown(row)).collect())
    }

    async fn find(&self, tenant: &Tenant, saga: SagaId) -> Result<Option<SagaRow>, LogError> {
        let held = self.held.lock();
        Ok(held.rows.get(&(tenant.clone(), saga)).map(|row| held.shown(row)))
    }

    async fn list(
        &self,
        tenant: &Tenant,
        filter: &SagaFilter,
        after: Option<SagaPlace>,
        limit: usize,
    ) -> Result<Vec<SagaRow>, LogError> {
        let held = self.held.lock();
        let mut rows: Vec<SagaRow> = held
            .rows
            .values()
            .filter(|row| row.tenant == *tenant)
            .filter(|row| filter.definition.as_ref().is_none_or(|name| row.definition == *name))
            .filter(|row| filter.started_by.as_ref().is_none_or(|by| row.started_by == *by))
            .filter(|row| filter.subject.as_ref().is_none_or(|subject| row.subject == *subject))
            .filter(|row| {
                after.is_none_or(|place| (row.started_at, row.id) < (place.started_at, place.id))
            })
            .map(|row| held.shown(row))
            .filter(|row| filter.standing.is_none_or(|standing| row.standing == standing))
            .collect();
        rows.sort_unstable_by_key(|row| std::cmp::Reverse((row.started_at, row.id)));
        rows.truncate(limit);
        Ok(rows)
    }

    async fn paused(&self) -> Result<Vec<Pause>, LogError> {
        let held = self.held.lock();
        let paused = held.pauses.iter().filter(|(_, paused)| **paused);
        Ok(paused
            .map(|((tenant, definition), _)| Pause {
                tenant: tenant.clone(),
                definition: definition.clone(),
                is_paused: true,
            })
            .collect())
    }
}

#[async_trait]
impl Barrier for MemorySagas {
    async fn pass(
        &self,
        tenant: &Tenant,
        saga: SagaId,
        step: &str,
        direction: Direction,
    ) -> Result<Passage, LogError> {
        let mut held = self.held.lock();
        let key = |way| (tenant.clone(), saga, step.to_owned(), way);
        let run = held.passed.get(&key(Direction::Run)).copied();
        let before = held.passed.insert(key(direction), direction);
        Ok(match (direction, run) {
            (Direction::Run, None) => Passage::First,
            (Direction::Run, Some(Direction::Run)) => Passage::Again,
            (Direction::Run, Some(Direction::Undo)) => {
                held.passed.insert(key(Direction::Run), Direction::Undo);
                Passage::Late
            }
            (Direction::Undo, Some(Direction::Run)) if before.is_none() => Passage::First,
            (Direction::Undo, Some(Direction::Run)) => Passage::Again,
            (Direction::Undo, None | Some(Direction::Undo)) => {
                held.passed.insert(key(Direction::Run), Direction::Undo);
                Passage::Empty
            }
        })
    }
}
