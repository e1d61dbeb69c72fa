//! What a step does: its plan for the log, or its call outside, from what the saga knows.

use std::sync::Arc;

use async_trait::async_trait;
use docket_engine::command::{Caller, Command, Intent, JointWrite, Refusal, Source};
use docket_engine::desk::{Desk, DeskError};
use docket_schemas::saga::Direction;
use docket_schemas::{CommandId, Event, Mac, SagaId, SlotOp, Stream, Tenant, TicketId, derivation};
use serde_json::Value;

/// Why a try of a step failed. What it says is stored: nothing personal.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StepError {
    /// It will not go otherwise next time.
    #[error("{0}")]
    Business(String),
    /// It may go next time.
    #[error("{0}")]
    Transient(String),
}

impl From<Refusal> for StepError {
    fn from(refusal: Refusal) -> Self {
        Self::Business(refusal.to_string())
    }
}

impl From<DeskError> for StepError {
    fn from(error: DeskError) -> Self {
        match error {
            DeskError::Refused(refusal) => refusal.into(),
            error => Self::Transient(error.to_string()),
        }
    }
}

/// What a step may know.
#[derive(Clone)]
pub struct Scene {
    /// Reads tickets.
    pub desk: Desk,
    /// Whose saga.
    pub tenant: Tenant,
    /// Which.
    pub saga: SagaId,
    /// The command that started it.
    pub start: CommandId,
    /// Over the request that did, while its first row is still to be written.
    pub request_mac: Option<Mac>,
    /// As whom it acts: whoever started it.
    pub caller: Caller,
    /// What it was started with.
    pub input: Value,
    /// The step.
    pub step: &'static str,
    /// Which way.
    pub direction: Direction,
    /// What steps before it came to, by their names; at an undo, its own too.
    pub outputs: Arc<Vec<(String, Value)>>,
    /// What the parts came to that are done of this step.
    pub parts: Vec<Value>,
    /// At an undo: what the parts came to that were done.
    pub done_parts: Vec<Value>,
    /// Most commands of a divisible plan: fewer where others kept writing to the tickets of a larger one.
    pub at_most: usize,
}

impl Scene {
    /// The step's name to the world, the same on every try: `saga/step/direction`.
    #[must_use]
    pub fn key(&self) -> String {
        format!("{}/{}/{}", self.saga, self.step, self.direction.as_str())
    }

    /// What this step asks of a ticket, as it is now.
    #[must_use]
    pub fn intent(&self, ticket: TicketId, command_id: CommandId, command: Command) -> Intent {
        let source = match self.direction {
            Direction::Run => Source::Saga(self.start),
            Direction::Undo => Source::Undo(self.start),
        };
        let now = self.desk.ports().clock.now();
        Intent { source, ..Intent::new(self.caller.clone(), ticket, command_id, now, command) }
    }

    /// A command of this step, the same on every try.
    #[must_use]
    pub fn command(&self, which: &str) -> CommandId {
        let key = format!("{}/{}/{which}", self.step, self.direction.as_str());
        derivation::saga_effect(self.start, &key)
    }

    /// What an earlier step came to.
    #[must_use]
    pub fn output(&self, step: &str) -> Option<&Value> {
        self.outputs.iter().find(|(name, _)| name == step).map(|(_, output)| output)
    }

    /// A ticket that the input names.
    ///
    /// # Errors
    /// When it does not: no other try will help.
    pub fn ticket(&self, member: &str) -> Result<TicketId, StepError> {
        let named = self.input.get(member).and_then(Value::as_str);
        named
            .and_then(|id| id.parse().ok())
            .ok_or_else(|| StepError::Business(format!("the input names no ticket as `{member}`")))
    }
}

/// Whether a step is done with a plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// It is.
    Whole,
    /// More parts are to come.
    Part,
}

/// What a unit's row holds of what became of its commands; an error refuses them all.
pub type Report = dyn Fn(&[Result<(), Refusal>]) -> Result<Value, Refusal> + Send + Sync;

/// What a local step writes: commands that stand or fall with the saga's row.
#[derive(Clone)]
pub struct Plan {
    /// At most `SAGA_COMMANDS_MAX`, no two on one ticket.
    pub intents: Vec<Arc<Intent>>,
    /// A write over several other tickets.
    pub write: Option<Arc<dyn JointWrite>>,
    /// Slots that the saga's own row takes or releases.
    pub slots: Vec<SlotOp>,
    /// What the row holds.
    pub report: Arc<Report>,
    /// Whether the step is done with it.
    pub progress: Progress,
    /// Whether the step can do with fewer commands for now, as [`Scene::at_most`] says.
    pub divisible: bool,
}

impl Plan {
    /// Does all of it or nothing, and comes to `output`.
    #[must_use]
    pub fn whole(intents: Vec<Intent>, output: Value) -> Self {
        let report = move |verdicts: &[Result<(), Refusal>]| {
            let refused = verdicts.iter().find_map(|verdict| verdict.as_ref().err());
            refused.map_or_else(|| Ok(output.clone()), |refusal| Err(refusal.clone()))
        };
        Self {
            intents: intents.into_iter().map(Arc::new).collect(),
            write: None,
            slots: Vec::new(),
            report: Arc::new(report),
            progress: Progress::Whole,
            divisible: false,
        }
    }

    /// Does a write over several tickets, and comes to `output`.
    #[must_use]
    pub fn joint(write: impl JointWrite, output: Value) -> Self {
        Self { write: Some(Arc::new(write)), ..Self::whole(Vec::new(), output) }
    }

    /// Writes nothing but that it is done.
    #[must_use]
    pub fn nothing() -> Self {
        Self::whole(Vec::new(), Value::Null)
    }
}

/// A step of the log alone.
#[async_trait]
pub trait Local: Send + Sync + 'static {
    /// What it writes. Reads what it likes; writes nothing itself.
    ///
    /// # Errors
    /// Why it is not to be, or not now.
    async fn plan(&self, scene: &Scene) -> Result<Plan, StepError>;
}

/// A step that leaves the log.
#[async_trait]
pub trait Remote: Send + Sync + 'static {
    /// Does it. Called again under the same key after a crash, after a timeout, and for rehearsal: the other side tells
    /// by the key, or by [`docket_engine::ports::sagas::Barrier`], what it has done already.
    ///
    /// # Errors
    /// Why it is not to be, or not now.
    async fn call(&self, scene: &Scene) -> Result<Value, StepError>;
}

/// An event that a saga waits for.
#[async_trait]
pub trait Awaited: Send + Sync + 'static {
    /// The stream on which it will stand.
    fn stream(&self, scene: &Scene) -> Stream;

    /// What the event comes to, where it is the one.
    fn matches(&self, scene: &Scene, event: &Event) -> Option<Value>;
}
