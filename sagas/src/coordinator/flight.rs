//! Flights: what is under way outside the log, calls to the other side and watches.

use std::sync::Arc;
use std::time::Duration;

use docket_engine::cursor::Positions;
use docket_engine::ports::log::{READ_EVENTS_MAX, StreamRead};
use docket_schemas::saga::Direction;
use docket_schemas::{Position, Timestamp};
use serde_json::Value;
use tokio::time::{sleep, timeout};

use super::Shared;
use crate::act::{Awaited, Remote, Scene, StepError};

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
    let stream = event.stream(&scene);
    let partition = stream.partition(&scene.tenant);
    let mut heads = shared.ports.tail.heads();
    let mut after: Position = 0;
    loop {
        let head = heads.borrow_and_update().get(partition);
        loop {
            let read = StreamRead { tenant: scene.tenant.clone(), stream, after };
            let page = shared.ports.tail.stream_page(&read, READ_EVENTS_MAX).await;
            let page = page.map_err(|error| StepError::Transient(error.to_string()))?.found;
            if let Some(found) = page.iter().find_map(|one| event.matches(&scene, one)) {
                return Ok(found);
            }
            match page.last() {
                Some(last) => after = last.position,
                None => break,
            }
        }
        let grown = heads.wait_for(|heads| heads.get(partition) != head);
        if grown.await.is_err() {
            return Err(StepError::Transient("this node is stopping".to_owned()));
        }
        sleep(WATCH_RESTS_FOR).await;
    }
}
