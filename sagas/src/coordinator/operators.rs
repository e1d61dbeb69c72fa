//! Operators: each act is a row on the saga's stream that says who did it and why; whoever carries the saga follows.

use docket_engine::command::{Caller, PlainRow, SagaUnit};
use docket_engine::desk::{DeskError, Joined};
use docket_engine::ports::log::{Expected, StreamRead};
use docket_schemas::saga::payload::{
    Cancelled, DefinitionPaused, DefinitionResumed, Resumed, SagaPayload, Skipped,
};
use docket_schemas::saga::{Direction, Outcome};
use docket_schemas::{CommandId, Mac, SagaId, Stream, Tenant, Timestamp, derivation};

use super::{Coordinator, SagaError};
use crate::next::has_passed_pivot;
use crate::state::State;

/// How often an act is decided anew when the saga has moved meanwhile.
const OPERATION_TRIES_MAX: u32 = 16;

/// What an operator does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Operation {
    /// Has a parked saga try again.
    Retry,
    /// Has a parked saga go on without the step that it stands at.
    Skip {
        /// Why.
        reason: String,
    },
    /// Has a saga undo what was done.
    Cancel {
        /// Why, if somebody says so.
        reason: Option<String>,
    },
    /// Has a saga end here and keep what was done.
    Stop {
        /// Why, if somebody says so.
        reason: Option<String>,
    },
    /// Has a saga undone that was done.
    Undo {
        /// Why, if somebody says so.
        reason: Option<String>,
    },
}

/// Who does it, with what they sent.
#[derive(Debug, Clone)]
pub struct Operator {
    /// Who.
    pub caller: Caller,
    /// The intent's own name.
    pub command_id: CommandId,
    /// Over the request.
    pub request_mac: Option<Mac>,
    /// When.
    pub occurred_at: Timestamp,
}

impl Coordinator {
    /// Does something to a saga, once however often it is asked, and answers the saga as it then is.
    ///
    /// # Errors
    /// [`SagaError::NotNow`] where that does not go with how it stands.
    pub async fn operate(
        &self,
        by: &Operator,
        saga: SagaId,
        what: &Operation,
    ) -> Result<State, SagaError> {
        let tenant = &by.caller.tenant;
        for _ in 0..OPERATION_TRIES_MAX {
            let mut state = self.load(tenant, saga).await?;
            if let Some(replayed) = self.replayed(by, Stream::saga(saga)).await? {
                // As it was then.
                state = State::new(tenant.clone(), saga);
                let log = &self.shared.ports.desk.ports().log;
                let read =
                    StreamRead { tenant: tenant.clone(), stream: Stream::saga(saga), after: 0 };
                let events = log.stream_events(&[read]).await?;
                state.fold(events.iter().filter(|event| event.position <= replayed))?;
                return Ok(state);
            }
            let payload = self.decide(&state, what)?;
            let row = self.row(by, Stream::saga(saga), state.position, payload);
            match self.shared.ports.desk.step(SagaUnit::alone(row)).await {
                Ok(Joined::Done(_)) => {
                    self.shared.live.poke(&(tenant.clone(), saga));
                    self.shared.catch_up(&mut state).await?;
                    return Ok(state);
                }
                Ok(Joined::Stored(_)) | Err(DeskError::Fenced) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Err(DeskError::Overloaded.into())
    }

    /// Pauses a tenant's definition, or resumes it: its sagas rest, and new ones rest from their first row on.
    ///
    /// # Errors
    /// [`SagaError::NoDefinition`] where no release knows it.
    pub async fn pause(
        &self,
        by: &Operator,
        definition: &str,
        reason: Option<String>,
    ) -> Result<(), SagaError> {
        let definition = definition.to_owned();
        let payload = DefinitionPaused { definition: definition.clone(), reason };
        self.turn(by, &definition, SagaPayload::DefinitionPaused(payload)).await?;
        self.shared.paused.send_modify(|paused| {
            paused.insert((by.caller.tenant.clone(), definition));
        });
        Ok(())
    }

    /// See [`Self::pause`].
    ///
    /// # Errors
    /// See [`Self::pause`].
    pub async fn resume(&self, by: &Operator, definition: &str) -> Result<(), SagaError> {
        let definition = definition.to_owned();
        let payload = DefinitionResumed { definition: definition.clone() };
        self.turn(by, &definition, SagaPayload::DefinitionResumed(payload)).await?;
        self.shared.paused.send_modify(|paused| {
            paused.remove(&(by.caller.tenant.clone(), definition));
        });
        Ok(())
    }

    async fn turn(
        &self,
        by: &Operator,
        definition: &str,
        payload: SagaPayload,
    ) -> Result<(), SagaError> {
        if self.shared.registry.newest(definition).is_none() {
            return Err(SagaError::NoDefinition(definition.to_owned()));
        }
        let stream = derivation::saga_definition(definition);
        for _ in 0..OPERATION_TRIES_MAX {
            if self.replayed(by, stream).await?.is_some() {
                return Ok(());
            }
            let last = self.last_position(&by.caller.tenant, stream).await?;
            let row = self.row(by, stream, last, payload.clone());
            match self.shared.ports.desk.step(SagaUnit::alone(row)).await {
                Ok(Joined::Done(_)) => return Ok(()),
                Ok(Joined::Stored(_)) | Err(DeskError::Fenced) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Err(DeskError::Overloaded.into())
    }

    async fn last_position(&self, tenant: &Tenant, stream: Stream) -> Result<u64, SagaError> {
        let read = StreamRead { tenant: tenant.clone(), stream, after: 0 };
        let events = self.shared.ports.desk.ports().log.stream_events(&[read]).await?;
        Ok(events.last().map_or(0, |event| event.position))
    }

    /// Where the same command stands already.
    async fn replayed(&self, by: &Operator, stream: Stream) -> Result<Option<u64>, SagaError> {
        let (tenant, log) = (&by.caller.tenant, &self.shared.ports.desk.ports().log);
        let partition = stream.partition(tenant);
        let stored = log.event_of_command(tenant, partition, by.command_id).await?;
        match stored {
            Some(stored) if stored.request_mac != by.request_mac => Err(SagaError::KeyReused),
            stored => Ok(stored.map(|stored| stored.position)),
        }
    }

    fn decide(&self, state: &State, what: &Operation) -> Result<SagaPayload, SagaError> {
        let not_now = |why: &str| Err(SagaError::NotNow(why.to_owned()));
        let Some(begun) = &state.begun else { return Err(SagaError::NotFound) };
        let definition = self.shared.registry.find(&begun.what.definition, begun.what.version);
        let Some(definition) = definition else {
            return not_now("this release does not know the version that it was begun under");
        };
        match what {
            Operation::Undo { reason } => match state.ended {
                Some((Outcome::Done | Outcome::Cancelled, _)) if definition.is_undone_when_done => {
                    let reason = reason.clone();
                    Ok(SagaPayload::UndoRequested(Cancelled { reason, end: None }))
                }
                Some(_) => not_now("there is nothing to undo"),
                None => not_now("the saga has not ended: cancel it"),
            },
            _ if state.ended.is_some() => not_now("the saga has ended"),
            Operation::Retry if state.parked.is_none() => not_now("the saga is not parked"),
            Operation::Retry => Ok(SagaPayload::Resumed(Resumed {})),
            Operation::Skip { reason } => match &state.parked {
                None => not_now("the saga is not parked"),
                Some(parked) => {
                    let Some(step) = parked.step.clone() else {
                        return not_now("the saga is not parked at a step");
                    };
                    let direction = parked.direction.unwrap_or(Direction::Run);
                    Ok(SagaPayload::Skipped(Skipped { step, direction, reason: reason.clone() }))
                }
            },
            Operation::Cancel { .. } if state.cause.is_some() => {
                not_now("the saga is being undone already")
            }
            Operation::Cancel { .. } if has_passed_pivot(&definition, state) => {
                not_now("the saga has passed the step after which there is no way back")
            }
            Operation::Cancel { reason } => {
                let reason = reason.clone();
                Ok(SagaPayload::Cancelled(Cancelled { reason, end: None }))
            }
            Operation::Stop { .. } if state.cause.is_some() => {
                not_now("the saga is being undone already")
            }
            Operation::Stop { reason } => {
                let (reason, end) = (reason.clone(), Some(Outcome::Cancelled));
                Ok(SagaPayload::Stopped(Cancelled { reason, end }))
            }
        }
    }

    fn row(&self, by: &Operator, stream: Stream, last: u64, payload: SagaPayload) -> PlainRow {
        PlainRow {
            caller: by.caller.clone(),
            stream,
            expected: Expected::Last(last),
            command_id: by.command_id,
            request_mac: by.request_mac,
            payload,
            slots: Vec::new(),
            occurred_at: by.occurred_at,
            correlation_id: None,
            causation_id: None,
        }
    }
}
