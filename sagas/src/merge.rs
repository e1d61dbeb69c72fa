//! `merge-tickets` and `unmerge-tickets`: two tickets marked, moved, shown everywhere, and let go of again.

use async_trait::async_trait;
use docket_engine::command::{Caller, MergeMove, MergeWrite, Precondition, Urgency};
use docket_schemas::saga::Direction;
use docket_schemas::{CommandId, Mac, MergeGoal, TicketId, Timestamp, derivation};
use serde_json::{Value, json};

use crate::act::{Local, Plan, Scene, StepError};
use crate::coordinator::Start;
use crate::definition::{Definition, Step};

/// The name of the definition whose sagas merge one ticket into another.
pub const MERGE: &str = "merge-tickets";

/// The name of the one whose sagas take them apart.
pub const UNMERGE: &str = "unmerge-tickets";

/// The part of the request's command that starts the saga; the request's own command stands on the source.
const SAGA_ORDINAL: u32 = 5;

/// Has the source go into the target; undone by having it come out again.
#[must_use]
pub fn merge_tickets() -> Definition {
    let attach = Step::local("attach", Moves(MergeMove::Attach(Urgency::Wanted)));
    bracketed(MERGE, MergeGoal::Merge, attach.undo(Moves(MergeMove::Detach)))
}

/// Has the source come out of the target; undone by having it go back as it was.
#[must_use]
pub fn unmerge_tickets() -> Definition {
    let detach = Step::local("detach", Moves(MergeMove::Detach));
    bracketed(UNMERGE, MergeGoal::Unmerge, detach.undo(Moves(MergeMove::Attach(Urgency::Undo))))
}

/// Whatever comes of it, the marks go last: not before view and index show what was done, or that it was undone.
fn bracketed(name: &'static str, goal: MergeGoal, moved: Step) -> Definition {
    let end = || Moves(MergeMove::End);
    Definition::new(name, 1)
        .step(
            Step::local("begin", Moves(MergeMove::Begin(goal)))
                .undo(end())
                .undone_last()
                .with_the_request()
                .indispensable(),
        )
        .step(moved)
        .step(Step::shown("shown"))
        .step(Step::local("end", end()).indispensable())
}

/// A wish to merge two tickets, or to take them apart.
#[derive(Debug, Clone)]
pub struct MergeRequest {
    /// Who wants it.
    pub caller: Caller,
    /// The request's own name.
    pub command_id: CommandId,
    /// Over the request.
    pub request_mac: Option<Mac>,
    /// What `If-Match` asks of the source.
    pub precondition: Option<Precondition>,
    /// Which of both.
    pub goal: MergeGoal,
    /// The ticket that is to go into the other, or to come out of it.
    pub source: TicketId,
    /// The other.
    pub into: TicketId,
    /// When it was asked for.
    pub occurred_at: Timestamp,
}

impl MergeRequest {
    /// The saga that does it. Its first unit marks both tickets; where they cannot be merged, it does not begin.
    #[must_use]
    pub fn start(self) -> Start {
        let if_match = match &self.precondition {
            None => Value::Null,
            Some(Precondition::Any) => json!("*"),
            Some(Precondition::OneOf(versions)) => json!(versions),
        };
        let definition = match self.goal {
            MergeGoal::Merge => MERGE,
            MergeGoal::Unmerge => UNMERGE,
        };
        Start {
            command_id: start_of(self.command_id),
            request_mac: self.request_mac,
            definition: definition.to_owned(),
            subject: self.source.to_string(),
            input: json!({
                "source": self.source,
                "into": self.into,
                "command": self.command_id,
                "if_match": if_match,
            }),
            caller: self.caller,
            occurred_at: self.occurred_at,
        }
    }
}

/// The command of the saga that a request starts. It is not the request's own: both may stand in one partition.
#[must_use]
pub fn start_of(request: CommandId) -> CommandId {
    derivation::part_of_command(request, SAGA_ORDINAL)
}

/// One unit over both tickets.
struct Moves(MergeMove);

#[async_trait]
impl Local for Moves {
    async fn plan(&self, scene: &Scene) -> Result<Plan, StepError> {
        let begins = matches!(self.0, MergeMove::Begin(_)) && scene.direction == Direction::Run;
        let command_id = if begins { request(scene)? } else { scene.command("tickets") };
        let write = MergeWrite {
            caller: scene.caller.clone(),
            source: scene.ticket("source")?,
            into: scene.ticket("into")?,
            saga_id: scene.saga.uuid(),
            command_id,
            request_mac: scene.request_mac.filter(|_| begins),
            precondition: precondition(&scene.input["if_match"]).filter(|_| begins),
            correlation_id: Some(scene.start),
            occurred_at: scene.desk.ports().clock.now(),
            step: self.0,
        };
        Ok(Plan::joint(write, Value::Null))
    }
}

/// The request's own command: the source holds it, so that its key names nothing else there.
fn request(scene: &Scene) -> Result<CommandId, StepError> {
    let named = scene.input["command"].as_str().and_then(|id| id.parse().ok());
    named.ok_or_else(|| StepError::Business("the input names no command".to_owned()))
}

fn precondition(input: &Value) -> Option<Precondition> {
    match input {
        Value::String(_) => Some(Precondition::Any),
        Value::Array(versions) => {
            let versions = versions.iter().filter_map(Value::as_str).map(str::to_owned);
            Some(Precondition::OneOf(versions.collect()))
        }
        _ => None,
    }
}
