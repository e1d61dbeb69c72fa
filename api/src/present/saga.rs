//! A saga as JSON: a timeline of its steps, their attempts, errors and undo.

use docket_engine::desk::DeskError;
use docket_engine::ports::sagas::Standing;
use docket_sagas::{Attempt, Coordinator, Registry, State, StepState, Track, standing};
use docket_schemas::saga::Direction;
use docket_schemas::{SagaEvent, Timestamp};
use serde_json::{Value, json};

use super::Names;

/// How a saga stands at a time by what its rows say.
#[must_use]
pub fn stood(registry: &Registry, state: &State, at: Timestamp) -> Standing {
    let begun = state.begun.as_ref();
    let definition = begun.and_then(|b| registry.find(&b.what.definition, b.what.version));
    standing(definition.as_deref(), state, at)
}

/// How it stands now, which is at rest while its definition is paused.
#[must_use]
pub fn stands(sagas: &Coordinator, state: &State, now: Timestamp) -> Standing {
    let stands = stood(sagas.registry(), state, now);
    let begun = state.begun.as_ref();
    let paused = begun.is_some_and(|begun| sagas.is_paused(&state.tenant, &begun.what.definition));
    if paused { stands.at_rest() } else { stands }
}

/// A saga for those who may look at it.
///
/// # Errors
/// When the key store fails.
pub async fn present(
    names: Names<'_>,
    registry: &Registry,
    state: &State,
    stands: Standing,
) -> Result<Value, DeskError> {
    let Some(begun) = &state.begun else { return Ok(Value::Null) };
    let (name, version) = (&begun.what.definition, begun.what.version);
    let parked = state.parked.as_ref().map(|parked| {
        let direction = parked.direction.map(Direction::as_str);
        json!({"step": parked.step, "direction": direction, "reason": parked.reason, "at": parked.at})
    });
    Ok(json!({
        "id": state.id,
        "definition": name,
        "version": version,
        "state": stands.as_str(),
        "subject": begun.what.subject,
        "started_by": names.principal(&begun.by.principal).await?,
        "started_at": begun.at,
        "ended_at": state.ended.map(|(_, at)| at),
        "parked": parked,
        "operations": operations(names, state).await?,
        "steps": steps(registry, state),
    }))
}

/// What operators did about it, oldest first.
async fn operations(names: Names<'_>, state: &State) -> Result<Vec<Value>, DeskError> {
    let mut operations = Vec::with_capacity(state.operated.len());
    for one in &state.operated {
        operations.push(json!({
            "operation": operation(one.event),
            "by": names.principal(&one.by).await?,
            "at": one.at,
            "reason": one.reason,
        }));
    }
    Ok(operations)
}

/// The act by the name under which operators ask for it.
const fn operation(event: SagaEvent) -> &'static str {
    match event {
        SagaEvent::Resumed => "retry",
        SagaEvent::Skipped => "skip",
        SagaEvent::Cancelled => "cancel",
        SagaEvent::Stopped => "stop",
        SagaEvent::UndoRequested => "undo",
        other => other.as_str(),
    }
}

/// In the order of the definition, with those of no row yet; as the rows named them where the version is unknown.
fn steps(registry: &Registry, state: &State) -> Vec<Value> {
    let begun = state.begun.as_ref();
    let definition = begun.and_then(|b| registry.find(&b.what.definition, b.what.version));
    let untouched = StepState::default();
    match definition {
        Some(definition) => definition
            .steps()
            .iter()
            .map(|step| view(step.name, state.step(step.name).unwrap_or(&untouched), state))
            .collect(),
        None => state.steps.iter().map(|step| view(&step.name, step, state)).collect(),
    }
}

fn view(name: &str, step: &StepState, state: &State) -> Value {
    json!({
        "name": name,
        "state": step_state(step, state),
        "attempts": attempts(&step.run),
        "undo": attempts(&step.undo),
    })
}

fn step_state(step: &StepState, state: &State) -> &'static str {
    if step.undo.is_over() {
        return "undone";
    }
    if step.undo.is_stuck {
        return "failed";
    }
    if !step.undo.attempts.is_empty() {
        return "undoing";
    }
    if step.run.is_skipped {
        return "skipped";
    }
    if step.run.done_at.is_some() {
        return "done";
    }
    if step.run.is_stuck {
        return "failed";
    }
    let begun = step.run.is_open || !step.run.attempts.is_empty();
    if begun && state.ended.is_none() { "running" } else { "pending" }
}

fn attempts(track: &Track) -> Vec<Value> {
    let attempt = |one: &Attempt| {
        let took_ms = one.took_micros.map(|micros| micros as f64 / 1_000.0);
        json!({"at": one.at, "took_ms": took_ms, "error": one.error})
    };
    track.attempts.iter().map(attempt).collect()
}
