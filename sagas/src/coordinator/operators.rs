//! Operators: each act is a row on the saga's stream that says who did it and why; whoever carries the saga follows.

use docket_engine::command::{Caller, PlainRow, SagaUnit};
use docket_engine::desk::{DeskError, Joined};
use docket_engine::ports::log::{Expected, Placed, StreamRead};
use docket_engine::ports::sagas::Pause;
use docket_schemas::saga::payload::{
    Cancelled, DefinitionPaused, DefinitionResumed, Resumed, SagaPayload, Skipped,
};
use docket_schemas::saga::{Direction, Outcome};
use docket_schemas::{
    CommandId, Event, Mac, Position, SagaId, Stream, Tenant, Timestamp, derivation,
};

use super::{Coordinator, SagaError};
use crate::definition::Definition;
use crate::next::has_passed_pivot;
use crate::state::State;

/// How often an act is decided anew when the saga has moved meanwhile.
const OPERATION_TRIES_MAX: u32 = 16;

/// What an operator does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Operation {
    /// Has a parked saga try again.
    Retry {
        /// Why, if somebody says so.
        reason: Option<String>,
    },
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

/// An act that is durable.
#[derive(Debug, Clone, Copy)]
pub struct Noted {
    /// Where and when its row was written.
    pub placed: Placed,
    /// Whether the same command had done it before.
    pub replayed: bool,
}

impl Coordinator {
    /// Does something to a saga, once however often it is asked, and answers the saga as the act left it.
    ///
    /// # Errors
    /// [`SagaError::NotNow`] where that does not go with how it stands.
    pub async fn operate(
        &self,
        by: &Operator,
        saga: SagaId,
        what: &Operation,
    ) -> Result<(State, Noted), SagaError> {
        let tenant = &by.caller.tenant;
        let _announced = self.shared.live.announce(&(tenant.clone(), saga));
        for _ in 0..OPERATION_TRIES_MAX {
            let state = self.load(tenant, saga).await?;
            if let Some(noted) = self.noted(by, Stream::saga(saga)).await? {
                return Ok((self.load_up_to(tenant, saga, noted.placed.position).await?, noted));
            }
            let payload = self.decide(&state, what)?;
            let row = self.row(by, Stream::saga(saga), state.position, payload);
            if let Some(noted) = self.note(row).await? {
                self.shared.live.poke(&(tenant.clone(), saga));
                return Ok((self.load_up_to(tenant, saga, noted.placed.position).await?, noted));
            }
        }
        Err(SagaError::Overtaken)
    }

    /// A saga as the row at a position left it.
    async fn load_up_to(
        &self,
        tenant: &Tenant,
        saga: SagaId,
        position: Position,
    ) -> Result<State, SagaError> {
        let mut state = State::new(tenant.clone(), saga);
        let read = StreamRead { tenant: tenant.clone(), stream: Stream::saga(saga), after: 0 };
        let events = self.shared.ports.desk.ports().log.stream_events(&[read]).await?;
        state.fold(events.iter().filter(|event| event.position <= position))?;
        Ok(state)
    }

    /// Writes an act's row; nothing where the stream has gone on meanwhile, or holds the command already.
    async fn note(&self, row: PlainRow) -> Result<Option<Noted>, SagaError> {
        match self.shared.ports.desk.step(SagaUnit::alone(row)).await {
            Ok(Joined::Done(placed)) => {
                Ok(placed.first().map(|placed| Noted { placed: *placed, replayed: false }))
            }
            Ok(Joined::Stored(_)) | Err(DeskError::Fenced) => Ok(None),
            Err(error) => Err(error.into()),
        }
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
    ) -> Result<Noted, SagaError> {
        let definition = definition.to_owned();
        let payload = DefinitionPaused { definition: definition.clone(), reason };
        let noted = self.turn(by, &definition, SagaPayload::DefinitionPaused(payload)).await?;
        let pause = Pause { tenant: by.caller.tenant.clone(), definition, is_paused: true };
        self.follow(&pause, &noted);
        Ok(noted)
    }

    /// See [`Self::pause`].
    ///
    /// # Errors
    /// See [`Self::pause`].
    pub async fn resume(
        &self,
        by: &Operator,
        definition: &str,
        reason: Option<String>,
    ) -> Result<Noted, SagaError> {
        let definition = definition.to_owned();
        let payload = DefinitionResumed { definition: definition.clone(), reason };
        let noted = self.turn(by, &definition, SagaPayload::DefinitionResumed(payload)).await?;
        let pause = Pause { tenant: by.caller.tenant.clone(), definition, is_paused: false };
        self.follow(&pause, &noted);
        Ok(noted)
    }

    /// Goes by an act on this node at once. One that was done before is in the table, or comes by in the log.
    fn follow(&self, pause: &Pause, noted: &Noted) {
        if !noted.replayed {
            self.shared.paused.turn(pause, (noted.placed.partition, noted.placed.position));
        }
    }

    async fn turn(
        &self,
        by: &Operator,
        definition: &str,
        payload: SagaPayload,
    ) -> Result<Noted, SagaError> {
        if self.shared.registry.newest(definition).is_none() {
            return Err(SagaError::NoDefinition(definition.to_owned()));
        }
        let stream = derivation::saga_definition(definition);
        for _ in 0..OPERATION_TRIES_MAX {
            if let Some(noted) = self.noted(by, stream).await? {
                return Ok(noted);
            }
            let last = self.last_position(&by.caller.tenant, stream).await?;
            if let Some(noted) = self.note(self.row(by, stream, last, payload.clone())).await? {
                return Ok(noted);
            }
        }
        Err(SagaError::Overtaken)
    }

    async fn last_position(&self, tenant: &Tenant, stream: Stream) -> Result<Position, SagaError> {
        let read = StreamRead { tenant: tenant.clone(), stream, after: 0 };
        let events = self.shared.ports.desk.ports().log.stream_events(&[read]).await?;
        Ok(events.last().map_or(0, |event| event.position))
    }

    /// Where the same command stands already.
    async fn noted(&self, by: &Operator, stream: Stream) -> Result<Option<Noted>, SagaError> {
        let (tenant, log) = (&by.caller.tenant, &self.shared.ports.desk.ports().log);
        let partition = stream.partition(tenant);
        let stored = log.event_of_command(tenant, partition, by.command_id).await?;
        match stored {
            Some(stored) if stored.request_mac != by.request_mac => Err(SagaError::KeyReused),
            stored => Ok(stored.map(|event| {
                let Event { partition, position, recorded_at, .. } = event;
                Noted { placed: Placed { partition, position, recorded_at }, replayed: true }
            })),
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
            Operation::Retry { .. } if state.parked.is_none() => not_now("the saga is not parked"),
            Operation::Retry { reason } => {
                Ok(SagaPayload::Resumed(Resumed { reason: reason.clone() }))
            }
            Operation::Skip { reason } => skipped(&definition, state, reason).or_else(not_now),
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

    fn row(&self, by: &Operator, stream: Stream, last: Position, payload: SagaPayload) -> PlainRow {
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

/// The row that has a parked saga go on without its step, or why there is none.
fn skipped(
    definition: &Definition,
    state: &State,
    reason: &str,
) -> Result<SagaPayload, &'static str> {
    let parked = state.parked.as_ref().ok_or("the saga is not parked")?;
    let step = parked.step.clone().ok_or("the saga is not parked at a step")?;
    let named = definition.find(&step).map(|step| &definition.steps()[step]);
    if named.is_some_and(|step| step.is_indispensable) {
        return Err("without this step what the saga holds is held for ever: mend it, and retry");
    }
    let direction = parked.direction.unwrap_or(Direction::Run);
    Ok(SagaPayload::Skipped(Skipped { step, direction, reason: reason.to_owned() }))
}
