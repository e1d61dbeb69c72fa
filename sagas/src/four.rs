//! `bench-four`: four local steps on one ticket, to measure and to rehearse with. Each puts on a tag, each undo takes it off.

use async_trait::async_trait;
use docket_engine::command::{Command, FieldChange};
use docket_schemas::saga::Direction;
use serde_json::Value;

use crate::act::{Local, Plan, Scene, StepError};
use crate::definition::{Definition, Step};

/// The steps, and the tags that they put on.
pub const FOUR_STEPS: [&str; 4] = ["a", "b", "c", "d"];

/// The definition's name.
pub const FOUR: &str = "bench-four";

/// The definition; its sagas' input is `{"ticket": id}`.
#[must_use]
pub fn four() -> Definition {
    FOUR_STEPS
        .into_iter()
        .fold(Definition::new(FOUR, 1), |four, step| four.step(Step::local(step, Tag).undo(Tag)))
}

struct Tag;

#[async_trait]
impl Local for Tag {
    async fn plan(&self, scene: &Scene) -> Result<Plan, StepError> {
        let tag = vec![scene.step.to_owned()];
        let change = match scene.direction {
            Direction::Run => FieldChange { add_tags: tag, ..FieldChange::default() },
            Direction::Undo => FieldChange { remove_tags: tag, ..FieldChange::default() },
        };
        let (ticket, command_id) = (scene.ticket("ticket")?, scene.command("tag"));
        let intent = scene.intent(ticket, command_id, Command::Change(Box::new(change)));
        Ok(Plan::whole(vec![intent], Value::Null))
    }
}
