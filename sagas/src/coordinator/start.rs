//! Starting a saga: durable before it is answered, and carried by whoever leads its partition.

use std::sync::Arc;

use docket_engine::command::Caller;
use docket_engine::desk::DeskError;
use docket_engine::ports::sagas::Standing;
use docket_schemas::saga::payload::Started;
use docket_schemas::{CommandId, Event, Mac, SagaId, Stream, Tenant, Timestamp, derivation};
use serde_json::Value;
use tokio::sync::{oneshot, watch};

use super::commit::Pending;
use super::live::Signal;
use super::runner::{self, Beginning, Unbegun};
use super::{Coordinator, SAGAS_LIVE_MAX, SagaError};
use crate::definition::Definition;
use crate::state::{Begun, State};

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
        if start.request_mac.is_some()
            && let Some(stored) = self.stored(&tenant, id, &start).await?
        {
            return replayed(start, id, &stored);
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
        let is_all = !shared.live.leads(partition);
        let pending = Pending { what, request_mac: start.request_mac };
        let beginning = Beginning { pending, answer, is_all };
        let carried = Arc::clone(shared);
        let over = if is_all {
            // Its first row is all that is written here; its leader sees that and goes on.
            let signal = Arc::new(Signal::absent());
            runner::spawn(carried, definition, state, signal, Some(beginning));
            None
        } else {
            let signal = shared.live.carry((tenant.clone(), id), partition, 0, move |signal| {
                runner::spawn(carried, definition, state, signal, Some(beginning))
            });
            Some(signal.subscribe())
        };
        match first_row.await.map_err(|_| DeskError::Stopping)? {
            Ok(state) => Ok(StartedSaga { state, replayed: false, over }),
            Err(Unbegun::Failed(error)) => Err(error),
            Err(Unbegun::Stored) => {
                let stored = self.stored(&tenant, id, &start).await?.ok_or(SagaError::NotFound)?;
                replayed(start, id, &stored)
            }
        }
    }

    async fn stored(
        &self,
        tenant: &Tenant,
        id: SagaId,
        start: &Start,
    ) -> Result<Option<Event>, SagaError> {
        let partition = Stream::saga(id).partition(tenant);
        let log = &self.shared.ports.desk.ports().log;
        Ok(log.event_of_command(tenant, partition, start.command_id).await?)
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

/// The saga as its first row left it.
fn replayed(start: Start, id: SagaId, stored: &Event) -> Result<StartedSaga, SagaError> {
    if stored.request_mac != start.request_mac {
        return Err(SagaError::KeyReused);
    }
    let mut state = State::new(start.caller.tenant, id);
    state.fold([stored])?;
    Ok(StartedSaga { state, replayed: true, over: None })
}

fn started(start: &Start, definition: &Definition) -> Started {
    Started {
        definition: definition.name.to_owned(),
        version: definition.version,
        subject: start.subject.clone(),
        input: start.input.clone(),
    }
}
