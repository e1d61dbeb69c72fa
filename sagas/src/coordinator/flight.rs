//! Flights: what is under way outside the log, calls to the other side and watches.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use docket_engine::cursor::Positions;
use docket_engine::ports::log::{LogError, READ_EVENTS_MAX, StreamRead};
use docket_schemas::saga::Direction;
use docket_schemas::{Position, Timestamp};
use futures_util::FutureExt as _;
use serde_json::Value;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use super::Shared;
use super::commit::Trouble;
use super::runner::Runner;
use crate::act::{Awaited, Remote, Scene, StepError};
use crate::definition::Act;

/// How long a watch rests between two looks at the stream that it waits for.
const WATCH_RESTS_FOR: Duration = Duration::from_millis(100);

/// What came of something that was under way.
pub(super) struct Landed {
    /// The step.
    pub(super) step: usize,
    /// Which way.
    pub(super) direction: Direction,
    /// When it set out.
    pub(super) began: Timestamp,
    /// What it came to.
    pub(super) outcome: Result<Value, StepError>,
}

impl Runner {
    pub(super) fn forget_flight(&mut self, step: usize) {
        let flight = (step, Direction::Run);
        self.under_way.retain(|other| (other.step, other.direction) != flight);
        if let Some(abort) = self.aborts.remove(&flight) {
            abort.abort();
        }
    }

    /// A last look for what a step waits for: it may have come while nobody watched. True where that is so.
    pub(super) async fn came_after_all(&mut self, step: usize) -> Result<bool, Trouble> {
        let Act::Wait { event, .. } = &self.step(step).act else { return Ok(false) };
        let (event, scene) = (Arc::clone(event), self.scene(step, Direction::Run));
        let found = find(&self.shared, &scene, &*event, &mut 0).await;
        let found = found.map_err(|error| Trouble::Log(error.into()))?;
        let Some(found) = found else { return Ok(false) };
        self.forget_flight(step);
        self.succeed(step, Direction::Run, found, self.now()).await?;
        Ok(true)
    }

    /// What is watched for has its whole time once more.
    pub(super) fn set_out_anew(&mut self) {
        let since = self.now();
        self.under_way.iter_mut().for_each(|watch| watch.since = since);
    }

    pub(super) fn drop_flights(&mut self) {
        self.flights = JoinSet::new();
        self.under_way.clear();
        self.aborts.clear();
    }

    /// What is only watched for on the way forth is dropped; a call comes to its end.
    pub(super) fn drop_watches(&mut self) {
        let steps = self.definition.steps();
        let aborts = &mut self.aborts;
        self.under_way.retain(|flight| {
            let watch = !matches!(steps[flight.step].act, Act::Remote { .. });
            let stays = !watch || flight.direction == Direction::Undo;
            if !stays && let Some(abort) = aborts.remove(&(flight.step, flight.direction)) {
                abort.abort();
            }
            stays
        });
    }
}

/// What a try comes to; one that panics has failed for a passing reason, so that an operator is asked in the end.
pub(super) async fn unbroken<R>(
    attempt: impl Future<Output = Result<R, StepError>> + Send,
) -> Result<R, StepError> {
    let caught = AssertUnwindSafe(attempt).catch_unwind().await;
    caught.unwrap_or_else(|_| Err(StepError::Transient("the step panicked".to_owned())))
}

/// Calls the other side, no longer than its step allows.
pub(super) async fn call(
    remote: Arc<dyn Remote>,
    scene: Scene,
    longest: Duration,
) -> Result<Value, StepError> {
    match timeout(longest, remote.call(&scene)).await {
        Ok(outcome) => outcome,
        Err(_) => Err(StepError::Transient(format!("no answer within {} s", longest.as_secs()))),
    }
}

/// Waits until view and index have reached `effects`.
pub(super) async fn shown(shared: Arc<Shared>, effects: Positions) -> Result<Value, StepError> {
    let mut reached = shared.shown.subscribe();
    let covers = |reached: &Positions| reached.covers(&effects);
    match reached.wait_for(covers).await {
        Ok(_) => Ok(Value::Null),
        Err(_) => Err(StepError::Transient("this node is stopping".to_owned())),
    }
}

/// Waits for an event, from the beginning of its stream on.
pub(super) async fn awaited(
    shared: Arc<Shared>,
    scene: Scene,
    event: Arc<dyn Awaited>,
) -> Result<Value, StepError> {
    let partition = event.stream(&scene).partition(&scene.tenant);
    let mut heads = shared.ports.tail.heads();
    let mut after: Position = 0;
    loop {
        let head = heads.borrow_and_update().get(partition);
        let found = find(&shared, &scene, &*event, &mut after).await;
        if let Some(found) = found.map_err(|error| StepError::Transient(error.to_string()))? {
            return Ok(found);
        }
        let grown = heads.wait_for(|heads| heads.get(partition) != head);
        if grown.await.is_err() {
            return Err(StepError::Transient("this node is stopping".to_owned()));
        }
        sleep(WATCH_RESTS_FOR).await;
    }
}

/// Looks for an event beyond a place of its stream, as far as the stream goes.
async fn find(
    shared: &Shared,
    scene: &Scene,
    event: &dyn Awaited,
    after: &mut Position,
) -> Result<Option<Value>, LogError> {
    let stream = event.stream(scene);
    loop {
        let read = StreamRead { tenant: scene.tenant.clone(), stream, after: *after };
        let page = shared.ports.tail.stream_page(&read, READ_EVENTS_MAX).await?.found;
        if let Some(found) = page.iter().find_map(|one| event.matches(scene, one)) {
            return Ok(Some(found));
        }
        match page.last() {
            Some(last) => *after = last.position,
            None => return Ok(None),
        }
    }
}
