//! A saga's state, folded from its events. Total: what a row says happened, whatever the definition would have wanted.

use docket_engine::command::Caller;
use docket_schemas::saga::payload::{SagaPayload, Started};
use docket_schemas::saga::{Direction, Failure, Outcome};
use docket_schemas::{
    CommandId, Event, PayloadError, Position, Principal, Role, SagaId, Tenant, Timestamp,
};
use serde_json::Value;

use crate::operated::Operated;

/// One row of a saga's stream.
#[derive(Debug, Clone, Copy)]
pub struct Row<'a> {
    /// What it says.
    pub payload: &'a SagaPayload,
    /// Its own command.
    pub command_id: CommandId,
    /// Who wrote it, and as what.
    pub by: (&'a Principal, Role, &'a str),
    /// When what it says began.
    pub began: Timestamp,
    /// When it was written.
    pub at: Timestamp,
    /// Where; 0 while it is not.
    pub position: Position,
}

impl<'a> Row<'a> {
    /// An event of the log with its payload.
    #[must_use]
    pub fn of(event: &'a Event, payload: &'a SagaPayload) -> Self {
        Self {
            payload,
            command_id: event.command_id,
            by: (&event.principal, event.role, &event.device),
            began: event.occurred_at,
            at: event.recorded_at,
            position: event.position,
        }
    }
}

/// How a saga began.
#[derive(Debug, Clone, PartialEq)]
pub struct Begun {
    /// The command that started it.
    pub command_id: CommandId,
    /// Definition, version, subject and input.
    pub what: Started,
    /// Who started it, and as whom it acts.
    pub by: Caller,
    /// When.
    pub at: Timestamp,
}

/// One try of a step, or of its undo.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attempt {
    /// When it began.
    pub at: Timestamp,
    /// How long it took until that was written, in microseconds; none while it is under way.
    pub took_micros: Option<u64>,
    /// What went wrong, if anything.
    pub error: Option<String>,
}

/// How far one direction of a step has come.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Track {
    /// Every try, oldest first.
    pub attempts: Vec<Attempt>,
    /// Failed tries since an operator last had it try again.
    pub failed: u32,
    /// A try has begun outside, and nothing is known of its end.
    pub is_open: bool,
    /// When it is tried again.
    pub retry_at: Option<Timestamp>,
    /// It failed, and is not tried again by itself.
    pub is_stuck: bool,
    /// When it was done.
    pub done_at: Option<Timestamp>,
    /// An operator had the saga go on without it.
    pub is_skipped: bool,
    /// When an operator last had it try again.
    pub resumed_at: Option<Timestamp>,
    /// What its parts came to.
    pub parts: Vec<Value>,
    /// What it came to.
    pub output: Value,
}

impl Track {
    /// Done, or given up with an operator's leave.
    #[must_use]
    pub const fn is_over(&self) -> bool {
        self.done_at.is_some() || self.is_skipped
    }

    /// When it was done, or given up.
    #[must_use]
    pub fn over_at(&self) -> Option<Timestamp> {
        self.done_at.or_else(|| self.resumed_at.filter(|_| self.is_skipped))
    }

    /// The last error, while it stands.
    #[must_use]
    pub fn error(&self) -> Option<&str> {
        let standing = !self.is_over() && (self.retry_at.is_some() || self.is_stuck);
        let last = self.attempts.last().filter(|_| standing);
        last.and_then(|attempt| attempt.error.as_deref())
    }

    fn end(&mut self, row: Row<'_>, error: Option<&str>) {
        let took = row.at.micros().saturating_sub(row.began.micros()).max(0).cast_unsigned();
        let error = error.map(str::to_owned);
        match self.attempts.last_mut().filter(|attempt| attempt.took_micros.is_none()) {
            Some(attempt) => (attempt.took_micros, attempt.error) = (Some(took), error),
            None => {
                let (at, took_micros) = (row.began, Some(took));
                self.attempts.push(Attempt { at, took_micros, error });
            }
        }
        self.is_open = false;
        self.retry_at = None;
        self.is_stuck = false;
    }

    fn open(&mut self, row: Row<'_>) {
        self.attempts.push(Attempt { at: row.began, took_micros: None, error: None });
        self.is_open = true;
        self.retry_at = None;
    }

    fn fail(&mut self, row: Row<'_>, error: &str, retry_at: Option<Timestamp>) {
        self.end(row, Some(error));
        self.failed = self.failed.saturating_add(1);
        self.retry_at = retry_at;
        self.is_stuck = retry_at.is_none();
    }

    const fn resume(&mut self, at: Timestamp) {
        self.failed = 0;
        self.retry_at = None;
        self.is_stuck = false;
        self.resumed_at = Some(at);
    }
}

/// How far a step has come.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct StepState {
    /// Its name.
    pub name: String,
    /// Doing it.
    pub run: Track,
    /// Undoing it.
    pub undo: Track,
}

impl StepState {
    /// The track of a direction.
    #[must_use]
    pub const fn track(&self, direction: Direction) -> &Track {
        match direction {
            Direction::Run => &self.run,
            Direction::Undo => &self.undo,
        }
    }

    /// Whether something of it may be there to undo.
    #[must_use]
    pub fn is_touched(&self) -> bool {
        !self.run.is_skipped
            && (self.run.done_at.is_some() || self.run.is_open || !self.run.attempts.is_empty())
    }
}

/// Why a saga goes back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cause {
    /// A step failed for good.
    Failed {
        /// Which.
        step: String,
    },
    /// Somebody cancelled it.
    Cancelled,
    /// Somebody had it undone after it was done.
    Requested,
}

/// Where a saga waits for an operator.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParkedAt {
    /// At which step, if at one.
    pub step: Option<String>,
    /// Which way it was to go.
    pub direction: Option<Direction>,
    /// Why.
    pub reason: String,
    /// Since when.
    pub at: Timestamp,
}

/// A saga, as far as its events tell.
#[derive(Debug, Clone, PartialEq)]
pub struct State {
    /// Whose.
    pub tenant: Tenant,
    /// Which.
    pub id: SagaId,
    /// How it began; none for a stream that does not begin with a start.
    pub begun: Option<Begun>,
    /// The last row's place: what fences the next.
    pub position: Position,
    /// How many rows there are.
    pub rows: u64,
    /// When the last was written.
    pub at: Timestamp,
    /// Steps in the order in which rows first named them.
    pub steps: Vec<StepState>,
    /// Steps in the order in which they were done.
    pub completed: Vec<String>,
    /// Why it goes back, if it does.
    pub cause: Option<Cause>,
    /// Where it waits for an operator.
    pub parked: Option<ParkedAt>,
    /// What operators did about it, oldest first.
    pub operated: Vec<Operated>,
    /// How and when it ended.
    pub ended: Option<(Outcome, Timestamp)>,
}

impl State {
    /// A saga of which nothing is known yet.
    #[must_use]
    pub const fn new(tenant: Tenant, id: SagaId) -> Self {
        Self {
            tenant,
            id,
            begun: None,
            position: 0,
            rows: 0,
            at: Timestamp::from_micros(0),
            steps: Vec::new(),
            completed: Vec::new(),
            cause: None,
            parked: None,
            operated: Vec::new(),
            ended: None,
        }
    }

    /// Folds events of the saga's stream, oldest first; known ones are passed over.
    ///
    /// # Errors
    /// When a payload cannot be read.
    pub fn fold<'e>(
        &mut self,
        events: impl IntoIterator<Item = &'e Event>,
    ) -> Result<(), PayloadError> {
        for event in events {
            if event.position > self.position {
                let payload = event.saga_payload()?;
                self.evolve(Row::of(event, &payload));
            }
        }
        Ok(())
    }

    /// What is known of a step, if a row has named it.
    #[must_use]
    pub fn step(&self, name: &str) -> Option<&StepState> {
        self.steps.iter().find(|step| step.name == name)
    }

    fn step_mut(&mut self, name: &str) -> &mut StepState {
        let known = self.steps.iter().position(|step| step.name == name);
        let index = known.unwrap_or_else(|| {
            self.steps.push(StepState { name: name.to_owned(), ..StepState::default() });
            self.steps.len() - 1
        });
        &mut self.steps[index]
    }

    /// Folds one row.
    pub fn evolve(&mut self, row: Row<'_>) {
        self.position = self.position.max(row.position);
        self.rows += 1;
        self.at = row.at;
        if let (None, Some(what)) = (&self.begun, row.payload.start()) {
            let (principal, role, device) = (row.by.0.clone(), row.by.1, row.by.2.into());
            let by = Caller { tenant: self.tenant.clone(), role, principal, device };
            let (command_id, what, at) = (row.command_id, what.clone(), row.began);
            self.begun = Some(Begun { command_id, what, by, at });
        }
        self.evolve_step(row);
        self.evolve_course(row);
        self.operated.extend(Operated::of(row));
        if let Some(outcome) = row.payload.end() {
            self.ended = Some((outcome, row.at));
            self.parked = None;
        }
    }

    fn evolve_step(&mut self, row: Row<'_>) {
        match row.payload {
            SagaPayload::StepStarted(of) => self.step_mut(&of.step).run.open(row),
            SagaPayload::UndoStarted(of) => self.step_mut(&of.step).undo.open(row),
            SagaPayload::StepProgressed(of) => {
                let track = &mut self.step_mut(&of.step).run;
                track.end(row, None);
                track.parts.push(of.output.clone());
            }
            SagaPayload::UndoProgressed(of) => {
                let track = &mut self.step_mut(&of.step).undo;
                track.end(row, None);
                track.parts.push(of.output.clone());
            }
            SagaPayload::StepSucceeded(of) => {
                let track = &mut self.step_mut(&of.step).run;
                track.end(row, None);
                track.output = of.output.clone();
                if track.done_at.replace(row.at).is_none() {
                    self.completed.push(of.step.clone());
                }
            }
            SagaPayload::StepUndone(of) => {
                let track = &mut self.step_mut(&of.step).undo;
                track.end(row, None);
                track.output = of.output.clone();
                track.done_at = Some(row.at);
            }
            SagaPayload::StepFailed(of) => {
                self.step_mut(&of.step).run.fail(row, &of.error, of.retry_at);
                if of.failure == Failure::Business && self.cause.is_none() {
                    self.cause = Some(Cause::Failed { step: of.step.clone() });
                }
            }
            SagaPayload::UndoFailed(of) => {
                self.step_mut(&of.step).undo.fail(row, &of.error, of.retry_at);
            }
            _ => {}
        }
    }

    fn evolve_course(&mut self, row: Row<'_>) {
        match row.payload {
            SagaPayload::Parked(of) => {
                let (step, reason) = (of.step.clone(), of.reason.clone());
                let (direction, at) = (of.direction, row.at);
                self.parked = Some(ParkedAt { step, direction, reason, at });
            }
            SagaPayload::Resumed(_) => {
                if let Some(at) = self.parked.take() {
                    self.try_again(&at, row.at);
                }
            }
            SagaPayload::Skipped(of) => {
                if let Some(at) = self.parked.take() {
                    self.try_again(&at, row.at);
                }
                let step = self.step_mut(&of.step);
                match of.direction {
                    Direction::Run => step.run.is_skipped = true,
                    Direction::Undo => step.undo.is_skipped = true,
                }
            }
            SagaPayload::Cancelled(_) => {
                self.parked = None;
                self.cause.get_or_insert(Cause::Cancelled);
            }
            SagaPayload::UndoRequested(_) => {
                self.parked = None;
                self.ended = None;
                self.cause = Some(Cause::Requested);
            }
            _ => {}
        }
    }

    /// A step that failed on the way forth and could not go back is to be done after all.
    fn try_again(&mut self, parked: &ParkedAt, at: Timestamp) {
        let Some(name) = &parked.step else { return };
        let forth = parked.direction != Some(Direction::Undo);
        let failed = matches!(&self.cause, Some(Cause::Failed { step }) if step == name);
        if forth && failed {
            self.cause = None;
        }
        let step = self.step_mut(name);
        let track = if forth { &mut step.run } else { &mut step.undo };
        track.resume(at);
    }
}
