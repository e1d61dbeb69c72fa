//! A runner: the task that carries one saga, row by row, until it ends, parks, or is another node's.

use std::collections::HashMap;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use docket_engine::command::Caller;
use docket_engine::cursor::Positions;
use docket_engine::desk::DeskError;
use docket_schemas::saga::Direction;
use docket_schemas::saga::payload::{Finished, Parked, SagaPayload};
use docket_schemas::{CommandId, Stream, Timestamp};
use futures_util::FutureExt as _;
use serde_json::Value;
use tokio::sync::{OwnedSemaphorePermit, oneshot};
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::sleep;

use super::commit::{Pending, Trouble};
use super::flight::Landed;
use super::live::Signal;
use super::looking::{LOG_RESTS_FOR, trouble};
use super::{SagaError, Shared};
use crate::act::StepError;
use crate::definition::{Definition, Step};
use crate::next::{Action, UnderWay, next};
use crate::state::State;

/// Tells who started a saga what its first unit came to: the state, and how far the log was written.
pub(super) type FirstRow = oneshot::Sender<Result<(State, Positions), Unbegun>>;

/// Why a saga did not begin.
#[derive(Debug)]
pub(super) enum Unbegun {
    /// Its command is stored.
    Stored,
    /// All else.
    Failed(SagaError),
}

/// What a start brings along while its first row is not written.
pub(super) struct Beginning {
    pub(super) pending: Pending,
    pub(super) answer: FirstRow,
    /// Another node leads the saga, and carries it on from there.
    pub(super) is_all: bool,
}

pub(super) struct Runner {
    pub(super) shared: Arc<Shared>,
    pub(super) definition: Arc<Definition>,
    pub(super) state: State,
    pub(super) caller: Caller,
    pub(super) signal: Arc<Signal>,
    pub(super) pending: Option<Pending>,
    answer: Option<FirstRow>,
    /// What view and index have to reach before they show what the saga wrote.
    pub(super) effects: Positions,
    /// More may have been written for the saga than `effects` knows of, by others or without an answer. It is not beyond
    /// the present heads.
    pub(super) inherits: bool,
    pub(super) flights: JoinSet<Landed>,
    pub(super) under_way: Vec<UnderWay>,
    pub(super) aborts: HashMap<(usize, Direction), AbortHandle>,
    permit: Option<OwnedSemaphorePermit>,
    /// It is another node's once its first row stands.
    is_all: bool,
}

/// Carries a saga in a task of its own.
pub(super) fn spawn(
    shared: Arc<Shared>,
    definition: Arc<Definition>,
    state: State,
    signal: Arc<Signal>,
    beginning: Option<Beginning>,
) -> AbortHandle {
    let task = async move {
        let Some(begun) = &state.begun else { return };
        let caller = begun.by.clone();
        let is_all = beginning.as_ref().is_some_and(|beginning| beginning.is_all);
        let (pending, answer) = match beginning {
            Some(beginning) => (Some(beginning.pending), Some(beginning.answer)),
            None => (None, None),
        };
        let mut runner = Runner {
            effects: Positions::START,
            inherits: pending.is_none(),
            shared,
            definition,
            state,
            caller,
            signal,
            pending,
            answer,
            flights: JoinSet::new(),
            under_way: Vec::new(),
            aborts: HashMap::new(),
            permit: None,
            is_all,
        };
        runner.carry_through().await;
    };
    tokio::spawn(task).abort_handle()
}

impl Runner {
    /// Carries the saga; from what the log has of it again where that breaks off.
    async fn carry_through(&mut self) {
        while AssertUnwindSafe(self.carry()).catch_unwind().await.is_err() {
            tracing::error!(saga.id = %self.state.id, "saga.runner.panicked");
            if self.pending.is_some() {
                return self.refuse_start(Unbegun::Failed(DeskError::Stopping.into()));
            }
            self.begin_anew();
            self.state = State::new(self.state.tenant.clone(), self.state.id);
            self.rest().await;
        }
    }

    async fn carry(&mut self) {
        if self.pending.is_none() && !self.catches_up().await {
            return self.leave_for_good();
        }
        loop {
            if self.is_all && self.pending.is_none() {
                return;
            }
            if self.pending.is_none() {
                self.signal.gives_way().await;
            }
            match self.go_on().await {
                Ok(true) => {}
                Ok(false) => {
                    let key = (self.state.tenant.clone(), self.state.id);
                    if self.shared.live.leave(&key, &self.signal, self.standing()) {
                        return;
                    }
                    if !self.catches_up().await {
                        return self.leave_for_good();
                    }
                }
                Err(Trouble::GoneOn | Trouble::Contended) => {
                    if self.pending.is_some() {
                        return self.refuse_start(Unbegun::Stored);
                    }
                    self.inherits = true;
                    if !self.catches_up().await {
                        return self.leave_for_good();
                    }
                }
                Err(Trouble::Refused(refusal)) if self.pending.is_some() => {
                    return self.refuse_start(Unbegun::Failed(DeskError::Refused(refusal).into()));
                }
                Err(Trouble::Refused(error)) => {
                    tracing::error!(saga.id = %self.state.id, %error, "saga.row.refused");
                    self.rest().await;
                }
                Err(Trouble::Log(error)) => {
                    if self.pending.is_some() {
                        return self.refuse_start(Unbegun::Failed(error.into()));
                    }
                    tracing::warn!(saga.id = %self.state.id, error = &error as &dyn std::error::Error, "saga.log.unavailable");
                    self.inherits = true;
                    self.rest().await;
                    if !self.catches_up().await {
                        return self.leave_for_good();
                    }
                }
                Err(Trouble::Over(error)) => {
                    tracing::error!(saga.id = %self.state.id, error = &error as &dyn std::error::Error, "saga.left");
                    self.refuse_start(Unbegun::Failed(error.into()));
                    return self.leave_for_good();
                }
            }
        }
    }

    /// Does what is next. False when there is nothing to do and nothing to wait for.
    async fn go_on(&mut self) -> Result<bool, Trouble> {
        if self.rests_with_its_definition().await? {
            return Ok(true);
        }
        if self.state.cause.is_some() || self.state.ended.is_some() || self.state.parked.is_some() {
            self.drop_watches();
        }
        let actions = next(&self.definition, &self.state, &self.under_way, self.now());
        if actions.is_empty() && self.flights.is_empty() {
            return Ok(false);
        }
        let mut wake = None;
        for action in actions {
            let acted = match action {
                Action::Sleep(at) => {
                    wake = Some(wake.map_or(at, |wake: Timestamp| wake.min(at)));
                    false
                }
                Action::Run(step) => self.set_out(step, Direction::Run).await?,
                Action::Undo(step) => self.set_out(step, Direction::Undo).await?,
                Action::Pass(step) | Action::GiveUp(step) | Action::Park { step, .. }
                    if self.came_after_all(step).await? =>
                {
                    true
                }
                Action::Pass(step) => {
                    self.forget_flight(step);
                    self.succeed(step, Direction::Run, Value::Null, self.now()).await?;
                    true
                }
                Action::GiveUp(step) => {
                    self.forget_flight(step);
                    let late = StepError::Business("what it waits for did not come".to_owned());
                    self.fail(step, Direction::Run, late, self.now()).await?;
                    true
                }
                Action::Park { step, direction, reason } => {
                    let step = Some(self.step(step).name.to_owned());
                    let parked = Parked { step, direction: Some(direction), reason };
                    self.drop_flights();
                    self.write(SagaPayload::Parked(parked), self.now(), &[]).await?;
                    tracing::warn!(saga.id = %self.state.id, definition = self.definition.name, "saga.parked");
                    true
                }
                Action::End(outcome) => {
                    self.drop_flights();
                    let finished = SagaPayload::Finished(Finished { outcome });
                    self.write(finished, self.now(), &[]).await?;
                    true
                }
            };
            if acted {
                return Ok(true);
            }
        }
        self.wait(wake).await
    }

    /// Waits for whatever comes first.
    async fn wait(&mut self, wake: Option<Timestamp>) -> Result<bool, Trouble> {
        self.write_start().await?;
        self.permit = None;
        let now = self.now();
        let pause = wake.map(|at| {
            let micros = at.micros().saturating_sub(now.micros()).max(1_000);
            Duration::from_micros(micros.cast_unsigned())
        });
        let signal = Arc::clone(&self.signal);
        let mut paused = self.shared.paused.subscribe();
        tokio::select! {
            Some(landed) = self.flights.join_next() => match landed {
                Ok(landed) => {
                    let flight = (landed.step, landed.direction);
                    self.aborts.remove(&flight);
                    let own = |other: &UnderWay| (other.step, other.direction) == flight;
                    if let Some(index) = self.under_way.iter().position(own) {
                        self.under_way.remove(index);
                        self.land(landed).await?;
                    }
                }
                Err(error) if error.is_cancelled() => {}
                Err(error) => {
                    tracing::error!(saga.id = %self.state.id, %error, "saga.step.panicked");
                    self.drop_flights();
                    self.rest().await;
                }
            },
            () = signal.poked() => {
                self.look_again().await.map_err(trouble)?;
            }
            () = sleep(pause.unwrap_or(LOG_RESTS_FOR)), if pause.is_some() => {}
            changed = paused.changed() => {
                if changed.is_err() {
                    return Ok(false);
                }
            }
        }
        Ok(true)
    }

    /// Rests while the definition is paused. True when it did.
    async fn rests_with_its_definition(&mut self) -> Result<bool, Trouble> {
        let (tenant, name) = (&self.state.tenant, self.definition.name);
        if self.state.ended.is_some() || !self.shared.is_paused(tenant, name) {
            return Ok(false);
        }
        if self.pending.is_some() {
            let asks = self.definition.steps().first().is_some_and(|one| one.is_with_the_request);
            if asks {
                return Ok(false);
            }
            return self.write_start().await.map(|()| true);
        }
        self.permit = None;
        let mut paused = self.shared.paused.subscribe();
        let own = (tenant.clone(), name.to_owned());
        let signal = Arc::clone(&self.signal);
        let poked = tokio::select! {
            over = paused.wait_for(|paused| !paused.contains(&own)) => {
                drop(over);
                false
            }
            () = signal.poked() => true,
        };
        if poked {
            self.look_again().await.map_err(trouble)?;
        }
        self.set_out_anew();
        Ok(true)
    }

    pub(super) async fn take_permit(&mut self) {
        if self.permit.is_none() {
            let acting = Arc::clone(&self.shared.acting);
            self.permit = acting.acquire_owned().await.ok();
        }
    }

    pub(super) fn step(&self, index: usize) -> &Step {
        &self.definition.steps()[index]
    }

    pub(super) fn now(&self) -> Timestamp {
        self.shared.ports.desk.ports().clock.now()
    }

    pub(super) fn start_command(&self) -> CommandId {
        let begun = self.state.begun.as_ref();
        begun.map_or(CommandId::new(self.state.id.uuid()), |begun| begun.command_id)
    }

    fn standing(&self) -> docket_engine::ports::sagas::Standing {
        crate::summary::standing(Some(&self.definition), &self.state, self.now())
    }

    /// The first row stands: whoever started the saga may go.
    pub(super) fn answer_start(&mut self) {
        if let Some(answer) = self.answer.take() {
            let own = Stream::saga(self.state.id).partition(&self.state.tenant);
            let mut written = self.effects;
            written.advance(own, self.state.position);
            let _ = answer.send(Ok((self.state.clone(), written)));
        }
    }

    fn refuse_start(&mut self, error: Unbegun) {
        if let Some(answer) = self.answer.take() {
            let _ = answer.send(Err(error));
        }
        self.shared.live.abandon(&self.signal, self.standing());
        if self.pending.take().is_some() {
            // No row of it will come by to have it forgotten.
            self.shared.live.forget(&(self.state.tenant.clone(), self.state.id));
        }
    }

    fn leave_for_good(&self) {
        self.shared.live.abandon(&self.signal, self.standing());
        if self.state.begun.is_none() {
            // No row of it will come by to have it forgotten.
            self.shared.live.forget(&(self.state.tenant.clone(), self.state.id));
        }
    }
}
