//! An attempt: one try of a step or of its undo, and the row that says what became of it.

use std::sync::Arc;
use std::time::Duration;

use docket_engine::command::SAGA_COMMANDS_MAX;
use docket_engine::desk::DeskError;
use docket_engine::faults::{self, Fault};
use docket_schemas::Timestamp;
use docket_schemas::saga::payload::{
    SagaPayload, StepFailed, StepProgressed, StepStarted, StepSucceeded,
};
use docket_schemas::saga::{Direction, Failure};
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use serde_json::Value;

use super::commit::Trouble;
use super::flight::{Landed, awaited, call, shown, unbroken};
use super::looking::trouble;
use super::runner::Runner;
use crate::act::{Local, Plan, Progress, Scene, StepError};
use crate::definition::Act;
use crate::next::UnderWay;

impl Runner {
    /// Tries a step, or watches for what it waits for. True when a row was written.
    pub(super) async fn set_out(
        &mut self,
        index: usize,
        direction: Direction,
    ) -> Result<bool, Trouble> {
        let step = self.step(index).clone();
        match (&step.act, direction) {
            (Act::Local { run, .. }, Direction::Run) => self.local(index, direction, run).await,
            (Act::Local { undo: Some(undo), .. }, Direction::Undo) => {
                self.local(index, direction, undo).await
            }
            (Act::Remote { run, .. }, Direction::Run) => {
                let (run, scene) = (Arc::clone(run), self.scene(index, direction));
                self.remote(index, direction, call(run, scene, step.timeout).boxed()).await
            }
            (Act::Remote { undo: Some(undo), .. }, Direction::Undo) => {
                let (undo, scene) = (Arc::clone(undo), self.scene(index, direction));
                self.remote(index, direction, call(undo, scene, step.timeout).boxed()).await
            }
            (Act::Shown, _) => {
                if self.inherits {
                    let heads = self.shared.ports.desk.ports().log.heads().await;
                    let heads = heads.map_err(|error| Trouble::Log(error.into()))?;
                    for (partition, position) in heads.iter() {
                        self.effects.advance(partition, position);
                    }
                    self.inherits = false;
                }
                let watch = match self.fault(index, direction, "before") {
                    None | Some(Fault::Twice) => {
                        shown(Arc::clone(&self.shared), self.effects).boxed()
                    }
                    Some(fault) => std::future::ready(Err(injected(fault))).boxed(),
                };
                self.fly(index, direction, watch);
                Ok(false)
            }
            (Act::Wait { event, .. }, Direction::Run) => {
                let scene = self.scene(index, direction);
                let watch = awaited(Arc::clone(&self.shared), scene, Arc::clone(event));
                self.fly(index, direction, watch.boxed());
                Ok(false)
            }
            (Act::Pause(_), _) | (_, Direction::Undo) => {
                self.succeed(index, direction, Value::Null, self.now()).await?;
                Ok(true)
            }
        }
    }

    /// Tries a step of the log alone: its effect and its success are one unit.
    async fn local(
        &mut self,
        index: usize,
        direction: Direction,
        act: &Arc<dyn Local>,
    ) -> Result<bool, Trouble> {
        self.take_permit().await;
        let (step, began) = (self.step(index).clone(), self.now());
        let times = match self.fault(index, direction, "before") {
            Some(Fault::Twice) => 2,
            Some(fault) => {
                self.fail(index, direction, injected(fault), began).await?;
                return Ok(true);
            }
            None => 1,
        };
        let mut scene = self.scene(index, direction);
        let before = self.state.clone();
        let mut time = 0;
        while time < times {
            let plan = match planned(act, &scene, step.timeout).await {
                Ok(plan) => plan,
                Err(error) => {
                    self.fail(index, direction, error, began).await?;
                    return Ok(true);
                }
            };
            let make = made(step.name, direction, plan.progress);
            if time > 0 {
                // Delivered again as by a node that does not know: on the state before.
                let known = std::mem::replace(&mut self.state, before.clone());
                let again = self.write_with(&plan, make, began, &[]).await;
                self.state = known;
                tracing::warn!(saga.id = %self.state.id, stands = again.is_err(), "saga.step.repeated");
                break;
            }
            match self.write_with(&plan, make, began, &[]).await {
                Ok(()) => time += 1,
                Err(Trouble::Contended) => scene.at_most = (scene.at_most / 2).max(1),
                // Nothing has begun: whoever asked is told, and nothing is written.
                Err(Trouble::Refused(refusal)) if self.pending.is_some() => {
                    return Err(Trouble::Refused(refusal));
                }
                Err(Trouble::Refused(refusal)) => {
                    self.fail(index, direction, refusal.into(), began).await?;
                    return Ok(true);
                }
                // A ticket that cannot be read, most likely: an operator is asked in the end. Where it is the saga's own
                // stream, that cannot be written either.
                Err(Trouble::Over(error @ DeskError::Damaged(_))) if self.pending.is_none() => {
                    self.fail(index, direction, error.into(), began).await?;
                    return Ok(true);
                }
                Err(trouble) => return Err(trouble),
            }
        }
        self.fail_afterwards(index, direction).await?;
        Ok(true)
    }

    /// Sends a step out, once the log knows that it may be out.
    async fn remote(
        &mut self,
        index: usize,
        direction: Direction,
        flight: BoxFuture<'static, Result<Value, StepError>>,
    ) -> Result<bool, Trouble> {
        self.take_permit().await;
        let name = self.step(index).name.to_owned();
        let open = self.state.step(&name).is_some_and(|step| step.track(direction).is_open);
        if !open {
            let started = StepStarted { start: None, step: name };
            let payload = match direction {
                Direction::Run => SagaPayload::StepStarted(started),
                Direction::Undo => SagaPayload::UndoStarted(started),
            };
            let now = self.now();
            let tried = UnderWay { step: index, direction, since: now };
            self.write(payload, now, &[tried]).await?;
        }
        let fault = self.fault(index, direction, "before");
        let flight = match fault {
            None => flight,
            Some(Fault::Twice) => {
                let again = self.call_again(index, direction);
                async move {
                    let _ = flight.await;
                    again.await
                }
                .boxed()
            }
            Some(fault) => std::future::ready(Err(injected(fault))).boxed(),
        };
        self.fly(index, direction, flight);
        // What is under way is looked at again before anything else is.
        Ok(false)
    }

    fn call_again(
        &self,
        index: usize,
        direction: Direction,
    ) -> BoxFuture<'static, Result<Value, StepError>> {
        let step = self.step(index);
        let Act::Remote { run, undo } = &step.act else {
            return std::future::ready(Ok(Value::Null)).boxed();
        };
        let act = if direction == Direction::Run { Some(run) } else { undo.as_ref() };
        match act {
            Some(act) => call(Arc::clone(act), self.scene(index, direction), step.timeout).boxed(),
            None => std::future::ready(Ok(Value::Null)).boxed(),
        }
    }

    fn fly(
        &mut self,
        step: usize,
        direction: Direction,
        flight: BoxFuture<'static, Result<Value, StepError>>,
    ) {
        let began = self.now();
        self.under_way.push(UnderWay { step, direction, since: began });
        let landed =
            async move { Landed { step, direction, began, outcome: unbroken(flight).await } };
        let abort = self.flights.spawn(landed);
        self.aborts.insert((step, direction), abort);
    }

    pub(super) async fn land(&mut self, landed: Landed) -> Result<(), Trouble> {
        let Landed { step, direction, began, outcome } = landed;
        match outcome {
            Ok(output) => {
                self.succeed(step, direction, output, began).await?;
                self.fail_afterwards(step, direction).await
            }
            Err(error) => self.fail(step, direction, error, began).await,
        }
    }

    pub(super) async fn succeed(
        &mut self,
        index: usize,
        direction: Direction,
        output: Value,
        began: Timestamp,
    ) -> Result<(), Trouble> {
        let payload = made(self.step(index).name, direction, Progress::Whole)(output);
        let under_way = self.under_way.clone();
        self.write(payload, began, &under_way).await
    }

    /// Writes that a try failed, and when the next one is.
    pub(super) async fn fail(
        &mut self,
        index: usize,
        direction: Direction,
        error: StepError,
        began: Timestamp,
    ) -> Result<(), Trouble> {
        let step = self.step(index).clone();
        let track = self.state.step(step.name).map(|state| state.track(direction));
        let failed = track.map_or(0, |track| track.failed) + 1;
        let (failure, error) = match error {
            StepError::Business(error) => (Failure::Business, error),
            StepError::Transient(error) => (Failure::Transient, error),
        };
        let mut jitter = [0];
        self.shared.ports.desk.ports().ids.fill(&mut jitter);
        let pause = step.retry.pause(failed, jitter[0]).filter(|_| failure == Failure::Transient);
        let retry_at = pause.map(|pause| {
            self.now().plus_micros(i64::try_from(pause.as_micros()).unwrap_or(i64::MAX))
        });
        let failed = StepFailed {
            start: None,
            step: step.name.to_owned(),
            failure,
            error,
            retry_at,
            end: None,
        };
        let payload = match direction {
            Direction::Run => SagaPayload::StepFailed(failed),
            Direction::Undo => SagaPayload::UndoFailed(failed),
        };
        let under_way = self.under_way.clone();
        self.write(payload, began, &under_way).await
    }

    /// A rehearsal may have a step fail that is done.
    async fn fail_afterwards(&mut self, index: usize, direction: Direction) -> Result<(), Trouble> {
        match self.fault(index, direction, "after") {
            Some(Fault::Business) if direction == Direction::Run && self.state.ended.is_none() => {
                let error = injected(Fault::Business);
                self.fail(index, direction, error, self.now()).await
            }
            Some(Fault::Transient | Fault::Unavailable) => {
                // As if the answer had been lost: what stands in the log is what counts.
                self.look_again().await.map_err(trouble)
            }
            _ => Ok(()),
        }
    }

    fn fault(&self, index: usize, direction: Direction, when: &str) -> Option<Fault> {
        faults::at(|| {
            let (name, step) = (self.definition.name, self.step(index).name);
            format!("saga.{name}.{step}.{}.{when}", direction.as_str())
        })
    }

    pub(super) fn scene(&self, index: usize, direction: Direction) -> Scene {
        let step = self.step(index);
        let done = self.state.steps.iter().filter(|step| step.run.done_at.is_some());
        let outputs = done.map(|step| (step.name.clone(), step.run.output.clone())).collect();
        let state = self.state.step(step.name);
        let parts = |way| state.map_or_else(Vec::new, |state| state.track(way).parts.clone());
        let begun = self.state.begun.as_ref();
        Scene {
            desk: self.shared.ports.desk.clone(),
            tenant: self.state.tenant.clone(),
            saga: self.state.id,
            start: self.start_command(),
            request_mac: self.pending.as_ref().and_then(|pending| pending.request_mac),
            caller: self.caller.clone(),
            input: begun.map_or(Value::Null, |begun| begun.what.input.clone()),
            step: step.name,
            direction,
            outputs: Arc::new(outputs),
            parts: parts(direction),
            done_parts: parts(Direction::Run),
            at_most: SAGA_COMMANDS_MAX,
        }
    }
}

/// What a local step is to write.
async fn planned(act: &Arc<dyn Local>, scene: &Scene, within: Duration) -> Result<Plan, StepError> {
    let plan = unbroken(act.plan(scene));
    let planned = tokio::time::timeout(within, plan).await;
    planned.unwrap_or_else(|_| {
        Err(StepError::Transient(format!("no plan within {} s", within.as_secs())))
    })
}

/// The row that says what became of a try.
fn made(
    step: &'static str,
    direction: Direction,
    progress: Progress,
) -> Arc<dyn Fn(Value) -> SagaPayload + Send + Sync> {
    Arc::new(move |output| {
        let step = step.to_owned();
        let part = |output| StepProgressed { start: None, step: step.clone(), output };
        let whole = |output| StepSucceeded { start: None, step: step.clone(), output, end: None };
        match (direction, progress) {
            (Direction::Run, Progress::Part) => SagaPayload::StepProgressed(part(output)),
            (Direction::Run, Progress::Whole) => SagaPayload::StepSucceeded(whole(output)),
            (Direction::Undo, Progress::Part) => SagaPayload::UndoProgressed(part(output)),
            (Direction::Undo, Progress::Whole) => SagaPayload::StepUndone(whole(output)),
        }
    })
}

fn injected(fault: Fault) -> StepError {
    match fault {
        Fault::Business | Fault::Damage => StepError::Business("a fault on purpose".to_owned()),
        _ => StepError::Transient("a fault on purpose".to_owned()),
    }
}
