//! Starting a saga: durable before it is answered, and carried by whoever leads its partition.

use std::sync::Arc;

use docket_engine::command::{Caller, PlainRow, SagaUnit};
use docket_engine::desk::{DeskError, Joined};
use docket_engine::ports::log::Expected;
use docket_engine::ports::sagas::Standing;
use docket_schemas::saga::payload::{SagaPayload, Started};
use docket_schemas::{CommandId, Event, Mac, SagaId, Stream, Tenant, Timestamp, derivation};
use serde_json::Value;
use tokio::sync::{oneshot, watch};

use super::commit::Pending;
use super::live::Signal;
use super::runner::{self, Beginning};
use super::{Coordinator, SAGAS_LIVE_MAX, SagaError};
use crate::definition::Definition;
use crate::state::{Begun, Row, State};

/// How long [`Coordinator::settled`] rests between two looks at a saga that another node carries.
const SETTLED_RESTS_FOR: std::time::Duration = std::time::Duration::from_millis(50);

/// What a saga is started with.
#[derive(Debug, Clone)]
pub struct Start {
    /// Who starts it, and as whom it acts.
    pub caller: Caller,
    /// The intent's own name; the saga's id derives from it.
    pub command_id: CommandId,
    /// Over the request.
    pub request_mac: Option<Mac>,
    /// Which definition, in its newest version.
    pub definition: String,
    /// What it is about.
    pub subject: String,
    /// What its steps go by; nothing personal.
    pub input: Value,
    /// When it was asked for.
    pub occurred_at: Timestamp,
}

/// A saga that is durable.
#[derive(Debug)]
pub struct StartedSaga {
    /// As its first row left it.
    pub state: State,
    /// Whether the command had started it before.
    pub replayed: bool,
    over: Option<watch::Receiver<Option<Standing>>>,
}

impl Coordinator {
    /// Starts a saga, or answers as the first time when the same command had started it.
    ///
    /// # Errors
    /// See [`SagaError`].
    pub async fn start(&self, start: Start) -> Result<StartedSaga, SagaError> {
        let shared = &self.shared;
        let definition = shared.registry.newest(&start.definition);
        let definition =
            definition.ok_or_else(|| SagaError::NoDefinition(start.definition.clone()))?;
        if shared.live.len() >= SAGAS_LIVE_MAX {
            return Err(DeskError::Overloaded.into());
        }
        let id = derivation::saga_of(start.command_id);
        let tenant = start.caller.tenant.clone();
        let partition = Stream::saga(id).partition(&tenant);
        // Only what came with a request can come again.
        if start.request_mac.is_some() || !shared.live.leads(partition) {
            return self.start_apart(start, id, &definition).await;
        }
        let what = started(&start, &definition);
        let mut state = State::new(tenant.clone(), id);
        state.begun = Some(Begun {
            command_id: start.command_id,
            what: what.clone(),
            by: start.caller.clone(),
            at: start.occurred_at,
        });
        let (answer, first_row) = oneshot::channel();
        let beginning = Beginning { pending: Pending { what, request_mac: None }, answer };
        let carried = Arc::clone(shared);
        let signal = shared.live.carry((tenant, id), partition, 0, move |signal| {
            runner::spawn(carried, definition, state, signal, Some(beginning))
        });
        let over = Some(signal.subscribe());
        let state = first_row.await.map_err(|_| DeskError::Stopping)??;
        Ok(StartedSaga { state, replayed: false, over })
    }

    /// Writes the start as a row of its own.
    async fn start_apart(
        &self,
        start: Start,
        id: SagaId,
        definition: &Arc<Definition>,
    ) -> Result<StartedSaga, SagaError> {
        let row = PlainRow {
            caller: start.caller.clone(),
            stream: Stream::saga(id),
            expected: Expected::Last(0),
            command_id: start.command_id,
            request_mac: start.request_mac,
            payload: SagaPayload::Started(started(&start, definition)),
            slots: Vec::new(),
            occurred_at: start.occurred_at,
            correlation_id: Some(start.command_id),
            causation_id: None,
        };
        let stored = match self.shared.ports.desk.step(SagaUnit::alone(row.clone())).await {
            Ok(Joined::Done(placed)) => {
                let mut state = State::new(start.caller.tenant.clone(), id);
                state.evolve(Row {
                    payload: &row.payload,
                    command_id: row.command_id,
                    by: (&row.caller.principal, row.caller.role, &row.caller.device),
                    began: row.occurred_at,
                    at: placed[0].recorded_at,
                    position: placed[0].position,
                });
                let over = Some(self.carry(state.clone(), Arc::clone(definition)).subscribe());
                return Ok(StartedSaga { state, replayed: false, over });
            }
            Ok(Joined::Stored(stored)) => *stored,
            Err(DeskError::Fenced) => self.stored(&start.caller.tenant, id, &start).await?,
            Err(error) => return Err(error.into()),
        };
        if stored.request_mac != start.request_mac {
            return Err(SagaError::KeyReused);
        }
        let mut state = State::new(start.caller.tenant, id);
        state.fold([&stored])?;
        Ok(StartedSaga { state, replayed: true, over: None })
    }

    async fn stored(&self, tenant: &Tenant, id: SagaId, start: &Start) -> Result<Event, SagaError> {
        let partition = Stream::saga(id).partition(tenant);
        let log = &self.shared.ports.desk.ports().log;
        let stored = log.event_of_command(tenant, partition, start.command_id).await?;
        stored.ok_or(SagaError::NotFound)
    }

    /// Has a saga carried here where this node leads it; else its leader sees the row.
    pub(super) fn carry(&self, state: State, definition: Arc<Definition>) -> Arc<Signal> {
        let shared = &self.shared;
        let key = (state.tenant.clone(), state.id);
        let partition = Stream::saga(state.id).partition(&state.tenant);
        if !shared.live.leads(partition) {
            return Arc::new(Signal::absent());
        }
        let carried = Arc::clone(shared);
        shared.live.carry(key, partition, state.position, move |signal| {
            runner::spawn(carried, definition, state, signal, None)
        })
    }

    /// Waits until a saga has ended or is parked.
    ///
    /// # Errors
    /// When it cannot be read.
    pub async fn settled(&self, started: &StartedSaga) -> Result<Standing, SagaError> {
        if let Some(mut over) = started.over.clone()
            && let Ok(standing) = over.wait_for(Option::is_some).await
            && let Some(standing) = *standing
            && (standing.is_ended() || standing == Standing::Parked)
        {
            return Ok(standing);
        }
        loop {
            let state = self.load(&started.state.tenant, started.state.id).await?;
            let now = self.shared.ports.desk.ports().clock.now();
            let standing = crate::summary::standing(None, &state, now);
            if standing.is_ended() || standing == Standing::Parked {
                return Ok(standing);
            }
            tokio::time::sleep(SETTLED_RESTS_FOR).await;
        }
    }
}

fn started(start: &Start, definition: &Definition) -> Started {
    Started {
        definition: definition.name.to_owned(),
        version: definition.version,
        subject: start.subject.clone(),
        input: start.input.clone(),
    }
}
