//! What is undone last: after all else, and not before view and index show that.

use async_trait::async_trait;
use docket_engine::command::Caller;
use docket_schemas::saga::payload::{
    SagaPayload, Skipped, Started, StepFailed, StepProgressed, StepSucceeded,
};
use docket_schemas::saga::{Direction, Failure, Outcome};
use docket_schemas::{CommandId, Principal, Role, SagaId, Timestamp};
use serde_json::Value;
use uuid::Uuid;

use crate::act::{Local, Plan, Scene, StepError};
use crate::definition::{Definition, Step};
use crate::next::{Action, next};
use crate::state::{Begun, Row, State};

struct Never;

#[async_trait]
impl Local for Never {
    async fn plan(&self, _: &Scene) -> Result<Plan, StepError> {
        Err(StepError::Business("never planned here".to_owned()))
    }
}

fn definition() -> Definition {
    Definition::new("held", 1)
        .step(Step::local("hold", Never).undo(Never).undone_last())
        .step(Step::local("move", Never).undo(Never))
        .step(Step::shown("shown"))
        .step(Step::local("let-go", Never))
}

struct Course(State, Definition);

impl Course {
    fn begun() -> Self {
        let tenant: docket_schemas::Tenant = "t".parse().expect("a tenant");
        let mut state = State::new(tenant.clone(), SagaId::new(Uuid::from_u128(1)));
        let (role, principal) = (Role::Agent, Principal::Docket("t".into()));
        state.begun = Some(Begun {
            command_id: CommandId::new(Uuid::from_u128(1)),
            what: Started {
                definition: "held".to_owned(),
                version: 1,
                subject: String::new(),
                input: Value::Null,
            },
            by: Caller { tenant, role, principal, device: "d".into() },
            at: Timestamp::from_micros(0),
        });
        Self(state, definition())
    }

    fn row(mut self, payload: SagaPayload) -> Self {
        let position = self.0.position + 1;
        let at = Timestamp::from_micros(i64::try_from(position).expect("few rows"));
        let principal = Principal::Docket("t".into());
        let (payload, by) = (&payload, (&principal, Role::Agent, "d"));
        let command_id = CommandId::new(Uuid::from_u128(position.into()));
        self.0.evolve(Row { payload, command_id, by, began: at, at, position });
        self
    }

    fn done(self, step: &str) -> Self {
        self.row(SagaPayload::StepSucceeded(succeeded(step)))
    }

    fn undone(self, step: &str) -> Self {
        self.row(SagaPayload::StepUndone(succeeded(step)))
    }

    fn fails(self, step: &str) -> Self {
        self.row(SagaPayload::StepFailed(StepFailed {
            start: None,
            step: step.to_owned(),
            failure: Failure::Business,
            error: "no".to_owned(),
            retry_at: None,
            end: None,
        }))
    }

    #[track_caller]
    fn check(self, expected: Action) -> Self {
        assert_eq!(next(&self.1, &self.0, &[], self.0.at), [expected]);
        self
    }
}

fn succeeded(step: &str) -> StepSucceeded {
    StepSucceeded { start: None, step: step.to_owned(), output: Value::Null, end: None }
}

#[test]
fn what_is_undone_last_waits_until_all_other_undos_are_shown() {
    let undo = Action::Undo;
    let _ = Course::begun()
        .done("hold")
        .done("move")
        .done("shown")
        .fails("let-go")
        .check(undo(1))
        .undone("move")
        .check(undo(2))
        .undone("shown")
        .check(undo(0))
        .undone("hold")
        .check(Action::End(Outcome::Undone));
}

#[test]
fn where_nothing_else_was_done_there_is_nothing_to_show() {
    let held = Course::begun().done("hold").fails("move").check(Action::Undo(0));
    let _ = held.undone("hold").check(Action::End(Outcome::Undone));
}

#[test]
fn what_was_done_in_part_before_the_rest_was_skipped_is_undone() {
    let (step, output) = ("move".to_owned(), Value::from("first"));
    let progressed = StepProgressed { start: None, step: step.clone(), output };
    let reason = "the rest cannot be read".to_owned();
    let skipped = Skipped { step, direction: Direction::Run, reason };
    let _ = Course::begun()
        .done("hold")
        .row(SagaPayload::StepProgressed(progressed))
        .row(SagaPayload::Skipped(skipped))
        .done("shown")
        .fails("let-go")
        .check(Action::Undo(1));
}
