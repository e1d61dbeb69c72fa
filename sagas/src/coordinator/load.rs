//! Sagas as the log has them, around those that cannot be read.

use std::collections::HashMap;
use std::sync::Arc;

use docket_engine::around::{Around, Stretch, go_around};
use docket_engine::ports::log::{LogError, READ_EVENTS_MAX, StreamRead};
use docket_schemas::{Event, Partition, Position, SagaId, Stream, Tenant};
use uuid::Uuid;

use super::live::Key;
use super::{Coordinator, CoordinatorPorts, SagaError, Shared};
use crate::state::State;

impl Coordinator {
    /// A saga as the log now has it.
    ///
    /// # Errors
    /// [`SagaError::NotFound`] where there is none.
    pub async fn load(&self, tenant: &Tenant, saga: SagaId) -> Result<State, SagaError> {
        let state = self.shared.load(tenant, saga).await?;
        if state.begun.is_some() { Ok(state) } else { Err(SagaError::NotFound) }
    }

    /// Sagas as the log now has them, in the order of their ids; those that are not there, or that cannot be read, are
    /// left out.
    ///
    /// # Errors
    /// When the log fails.
    pub async fn load_all(&self, tenant: &Tenant, ids: &[SagaId]) -> Result<Vec<State>, SagaError> {
        match self.shared.load_together(tenant, ids).await {
            Err(error) if error.is_damage() => {}
            loaded => return loaded,
        }
        let mut states = Vec::with_capacity(ids.len());
        for id in ids {
            let state = readable(&self.shared, &(tenant.clone(), *id)).await?;
            states.extend(state.filter(|state| state.begun.is_some()));
        }
        Ok(states)
    }
}

impl Shared {
    pub(super) async fn load(&self, tenant: &Tenant, saga: SagaId) -> Result<State, SagaError> {
        let mut state = State::new(tenant.clone(), saga);
        self.read_on(&mut state).await?;
        Ok(state)
    }

    /// Folds what the log has beyond a state. Where a restored log no longer has the last row that the state knows, the
    /// state begins anew: true then.
    pub(super) async fn catch_up(&self, state: &mut State) -> Result<bool, SagaError> {
        if state.position == 0 {
            return self.read_on(state).await.map(|()| false);
        }
        // With the last row that is known: what follows a lost one says nothing about this state.
        let page = self.page(state, state.position - 1).await?;
        let last = page.first().map(|event| (event.position, event.recorded_at));
        if last != Some((state.position, state.at)) {
            *state = self.load(&state.tenant.clone(), state.id).await?;
            return Ok(true);
        }
        state.fold(&page)?;
        if page.len() == READ_EVENTS_MAX {
            self.read_on(state).await?;
        }
        Ok(false)
    }

    async fn read_on(&self, state: &mut State) -> Result<(), SagaError> {
        loop {
            let page = self.page(state, state.position).await?;
            state.fold(&page)?;
            if page.len() < READ_EVENTS_MAX {
                return Ok(());
            }
        }
    }

    async fn page(&self, state: &State, after: Position) -> Result<Vec<Event>, LogError> {
        let (tenant, stream) = (state.tenant.clone(), Stream::saga(state.id));
        let read = StreamRead { tenant, stream, after };
        self.ports.desk.ports().log.stream_page(&read, READ_EVENTS_MAX).await
    }

    async fn load_together(
        &self,
        tenant: &Tenant,
        ids: &[SagaId],
    ) -> Result<Vec<State>, SagaError> {
        let reads: Vec<StreamRead> = ids
            .iter()
            .map(|id| StreamRead { tenant: tenant.clone(), stream: Stream::saga(*id), after: 0 })
            .collect();
        let events = self.ports.desk.ports().log.stream_events(&reads).await?;
        let mut states: HashMap<Uuid, State> = HashMap::new();
        for event in &events {
            let id = SagaId::new(event.stream.id);
            let state =
                states.entry(event.stream.id).or_insert_with(|| State::new(tenant.clone(), id));
            state.fold([event])?;
        }
        Ok(ids.iter().filter_map(|id| states.remove(&id.uuid())).collect())
    }
}

/// A saga as the log has it; none where its stream cannot be read. Nobody carries it then, and the others go on.
pub(super) async fn readable(shared: &Shared, key: &Key) -> Result<Option<State>, SagaError> {
    match shared.load(&key.0, key.1).await {
        Ok(state) => Ok(Some(state)),
        Err(error) if error.is_damage() => {
            let error = &error as &dyn std::error::Error;
            tracing::error!(saga.id = %key.1, error, "saga.unreadable");
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

/// A partition's events of sagas after a position, around what cannot be read.
pub(super) async fn saga_events(
    ports: &CoordinatorPorts,
    partition: Partition,
    after: Position,
) -> Result<Stretch, LogError> {
    let read = |after, limit| ports.table.saga_events(partition, after, limit);
    let pass = |after: &mut Position, at: Option<(Partition, Position)>| {
        let (partition, position) = at.filter(|(_, position)| *position > *after)?;
        *after = position;
        Some((partition, position))
    };
    let Around { found, unreadable, .. } = go_around(after, READ_EVENTS_MAX, read, pass).await?;
    ports.tail.reported().report(&unreadable);
    let last = found.last().map(|event| event.position);
    let passed = unreadable.last().map(|row| row.position);
    let events = found.into_iter().map(Arc::new).collect();
    Ok(Stretch { events, unreadable, upto: last.or(passed) })
}

#[cfg(test)]
impl Coordinator {
    /// A state as whoever carries the saga goes on from it, and whether it began anew.
    pub(crate) async fn caught_up(&self, mut state: State) -> (State, bool) {
        let is_new = self.shared.catch_up(&mut state).await.expect("the log answers");
        (state, is_new)
    }
}
