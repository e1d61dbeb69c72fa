//! A saga's row in the table, worked out from its state.

use docket_engine::ports::sagas::{SagaRow, Standing};
use docket_schemas::saga::{Direction, Outcome};
use docket_schemas::{Stream, Timestamp};

use crate::definition::Definition;
use crate::next::{Action, next};
use crate::state::State;

/// How a saga stands; without its definition it is not known to wait.
#[must_use]
pub fn standing(definition: Option<&Definition>, state: &State, now: Timestamp) -> Standing {
    match state.ended {
        Some((Outcome::Done, _)) => return Standing::Done,
        Some((Outcome::Undone, _)) => return Standing::Undone,
        Some((Outcome::Cancelled, _)) => return Standing::Cancelled,
        None => {}
    }
    if state.parked.is_some() {
        return Standing::Parked;
    }
    if state.cause.is_some() {
        return Standing::Compensating;
    }
    let acts = definition.map(|definition| (definition, next(definition, state, &[], now)));
    let waits = acts.is_some_and(|(definition, actions)| {
        !actions.is_empty() && actions.iter().all(|action| is_wait(definition, action))
    });
    if waits { Standing::Waiting } else { Standing::Running }
}

fn is_wait(definition: &Definition, action: &Action) -> bool {
    use crate::definition::Act::{Pause, Shown, Wait};
    match action {
        Action::Sleep(_) => true,
        Action::Run(step) => {
            matches!(definition.steps()[*step].act, Shown | Pause(_) | Wait { .. })
        }
        _ => false,
    }
}

/// The saga's row; none for a stream that does not begin with a start.
#[must_use]
pub fn summary(definition: Option<&Definition>, state: &State, now: Timestamp) -> Option<SagaRow> {
    let begun = state.begun.as_ref()?;
    let stream = Stream::saga(state.id);
    let standing = standing(definition, state, now);
    let tracks = state.steps.iter().flat_map(|step| {
        [Direction::Run, Direction::Undo].map(|way| (&step.name, step.track(way)))
    });
    let mut failing =
        tracks.filter_map(|(name, track)| Some((name.clone(), track.error()?.to_owned())));
    let failing = if standing.is_ended() { None } else { failing.next_back() };
    let parked = state.parked.as_ref();
    let next_at = state.steps.iter().flat_map(|step| [step.run.retry_at, step.undo.retry_at]);
    Some(SagaRow {
        tenant: state.tenant.clone(),
        id: state.id,
        partition: stream.partition(&state.tenant),
        position: state.position,
        definition: begun.what.definition.clone(),
        version: begun.what.version,
        standing,
        subject: begun.what.subject.clone(),
        started_by: begun.by.principal.clone(),
        role: begun.by.role,
        started_at: begun.at,
        ended_at: state.ended.map(|(_, at)| at),
        next_at: if standing.is_ended() || parked.is_some() {
            None
        } else {
            next_at.flatten().min()
        },
        failing_step: parked
            .and_then(|parked| parked.step.clone())
            .or_else(|| failing.as_ref().map(|(name, _)| name.clone())),
        error: parked
            .map(|parked| parked.reason.clone())
            .or_else(|| failing.map(|(_, error)| error)),
    })
}
