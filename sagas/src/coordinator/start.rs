//! Starting a saga: durable before it is answered, and carried by whoever leads its partition.

use std::sync::Arc;

use docket_engine::command::Caller;
use docket_engine::cursor::Positions;
use docket_engine::desk::DeskError;
use docket_engine::ports::sagas::Standing;
use docket_schemas::saga::payload::Started;
use docket_schemas::{CommandId, Mac, Stream, Tenant, Timestamp, derivation};
use serde_json::Value;
use tokio::sync::{oneshot, watch};

use super::commit::Pending;
use super::live::Signal;
use super::runner::{self, Beginning, Unbegun};
use super::{Coordinator, SagaError};
use crate::definition::Definition;
use crate::state::{Begun, State};
use crate::weight::weight_of;

/// What a saga's first unit came to: its state, how far the log was written, and who will tell how it ends.
type FirstUnit = Result<(State, Positions, Option<watch::Receiver<Option<Standing>>>), Unbegun>;

/// How often a start looks whether the same request, sent at the same time, has started its saga.
const START_TRIES_MAX: u32 = 200;

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
    /// How far the log was written when it was.
    pub written: Positions,
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
        shared.live.admit(shared.ports.limits, weight_of(&start.input))?;
        for _ in 0..START_TRIES_MAX {
            let tenant = &start.caller.tenant;
            let known = self.started(tenant, start.command_id, start.request_mac).await?;
            if let Some(started) = known {
                return Ok(started);
            }
            match self.begin_once(&start, &definition).await? {
                Some(Ok((state, written, over))) => {
                    return Ok(StartedSaga { state, replayed: false, written, over });
                }
                Some(Err(Unbegun::Failed(error))) => return Err(error),
                // What is stored without a saga was stored beside none: the key had named something else.
                Some(Err(Unbegun::Stored)) => {
                    let known = self.stored(tenant, start.command_id, start.request_mac).await?;
                    return known.ok_or(SagaError::KeyReused);
                }
                // The same request came twice at once, and the other one's is being written; or this node led its
                // partition no more, and what was written of it is in the log, or soon will be.
                None => tokio::time::sleep(SETTLED_RESTS_FOR).await,
            }
        }
        Err(DeskError::Overloaded.into())
    }

    /// Writes a saga's first row; nothing where this node is doing so already.
    async fn begin_once(
        &self,
        start: &Start,
        definition: &Arc<Definition>,
    ) -> Result<Option<FirstUnit>, SagaError> {
        let shared = &self.shared;
        let id = derivation::saga_of(start.command_id);
        let tenant = start.caller.tenant.clone();
        let partition = Stream::saga(id).partition(&tenant);
        let what = started(start, definition);
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
        let mut beginning = Some(Beginning { pending, answer, is_all });
        let (carried, definition) = (Arc::clone(shared), Arc::clone(definition));
        let over = if is_all {
            // Its first row is all that is written here; its leader sees that and goes on.
            let signal = Arc::new(Signal::absent());
            runner::spawn(carried, definition, state, signal, beginning.take());
            None
        } else {
            let from = (0, state.weight());
            let signal = shared.live.carry((tenant, id), partition, from, |signal| {
                runner::spawn(carried, definition, state, signal, beginning.take())
            });
            Some(signal.subscribe())
        };
        if beginning.is_some() {
            return Ok(None);
        }
        let Ok(first_row) = first_row.await else { return Ok(None) };
        Ok(Some(first_row.map(|(state, written)| (state, written, over))))
    }

    /// The saga that a request has started before, as its first row left it. Only what came with a request can come
    /// again.
    ///
    /// # Errors
    /// [`SagaError::KeyReused`] where another request did; else see [`SagaError`].
    pub async fn started(
        &self,
        tenant: &Tenant,
        command: CommandId,
        request_mac: Option<Mac>,
    ) -> Result<Option<StartedSaga>, SagaError> {
        if request_mac.is_none() {
            return Ok(None);
        }
        self.stored(tenant, command, request_mac).await
    }

    async fn stored(
        &self,
        tenant: &Tenant,
        command: CommandId,
        request_mac: Option<Mac>,
    ) -> Result<Option<StartedSaga>, SagaError> {
        let id = derivation::saga_of(command);
        let log = &self.shared.ports.desk.ports().log;
        let partition = Stream::saga(id).partition(tenant);
        let Some(stored) = log.event_of_command(tenant, partition, command).await? else {
            return Ok(None);
        };
        if stored.request_mac != request_mac {
            return Err(SagaError::KeyReused);
        }
        let mut state = State::new(tenant.clone(), id);
        state.fold([&stored])?;
        // Its unit's other rows are not beyond the present heads.
        let written = log.heads().await?;
        Ok(Some(StartedSaga { state, replayed: true, written, over: None }))
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
