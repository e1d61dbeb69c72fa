//! What is next, over random definitions and random outcomes.

use std::collections::BTreeMap;

use docket_schemas::saga::payload::{
    Cancelled, Finished, Parked, Resumed, SagaPayload, Skipped, Started, StepFailed,
    StepProgressed, StepStarted, StepSucceeded,
};
use docket_schemas::saga::{Direction, Failure, Outcome};
use docket_schemas::{CommandId, Principal, Role, SagaId, Timestamp};
use proptest::prelude::*;
use serde_json::Value;
use uuid::Uuid;

use super::shapes::{Kind, Shape, definition, shapes};
use crate::*;

/// One saga in a world of its own, in which outcomes are as the dice say.
struct World {
    definition: Definition,
    state: State,
    now: Timestamp,
    under_way: Vec<(usize, Direction)>,
    /// Effects that stand, by step: what a remote call did, or a local unit.
    standing: BTreeMap<usize, bool>,
    done: Vec<usize>,
    undone: Vec<usize>,
    position: u64,
}

impl World {
    fn new(definition: Definition) -> Self {
        let tenant = "acme".parse().expect("a name");
        let mut world = Self {
            definition,
            state: State::new(tenant, SagaId::new(Uuid::nil())),
            now: Timestamp::from_micros(1_000_000),
            under_way: Vec::new(),
            standing: BTreeMap::new(),
            done: Vec::new(),
            undone: Vec::new(),
            position: 0,
        };
        let (definition, subject) = ("random".to_owned(), String::new());
        let start = Started { definition, version: 1, subject, input: Value::Null };
        world.row(SagaPayload::Started(start));
        world
    }

    fn row(&mut self, payload: SagaPayload) {
        self.position += 1;
        self.now = self.now.plus_micros(1_000);
        self.state.evolve(Row {
            payload: &payload,
            command_id: CommandId::new(Uuid::nil()),
            by: (&Principal::Docket("test".into()), Role::Bot, ""),
            began: self.now,
            at: self.now,
            position: self.position,
        });
    }

    fn name(&self, step: usize) -> String {
        self.definition.steps()[step].name.to_owned()
    }

    fn next(&self) -> Vec<Action> {
        let long_since = |&(step, direction): &(usize, Direction)| UnderWay {
            step,
            direction,
            since: Timestamp::from_micros(0),
        };
        let under_way: Vec<UnderWay> = self.under_way.iter().map(long_since).collect();
        let actions = next(&self.definition, &self.state, &under_way, self.now);
        let mut tried = std::collections::BTreeSet::new();
        for action in &actions {
            if let Action::Run(step) | Action::Undo(step) = action {
                assert!(tried.insert(*step), "two actions for one step: {actions:?}");
                let busy = self.under_way.iter().any(|(other, _)| other == step);
                assert!(!busy, "step {step} is under way: {actions:?}");
            }
        }
        actions
    }

    fn is_remote(&self, step: usize) -> bool {
        matches!(self.definition.steps()[step].act, Act::Remote { .. })
    }

    /// What a step may undo: pivot and what comes after it never are.
    fn check_undo(&self, step: usize) {
        let pivot = self.definition.steps().iter().position(|step| step.is_pivot);
        let pivot = pivot.and_then(|pivot| self.state.step(&self.name(pivot)));
        let passed = pivot.is_some_and(|pivot| pivot.run.done_at.is_some());
        assert!(!passed, "nothing is undone past the pivot");
        let position = |step| self.done.iter().position(|done| *done == step);
        if let Some(own) = position(step) {
            let later = self.done[own + 1..].iter().filter(|later| {
                self.definition.steps()[**later].has_undo() && !self.undone.contains(*later)
            });
            assert_eq!(later.count(), 0, "in reverse order of completion");
        }
    }

    fn start(&mut self, step: usize, direction: Direction) {
        if direction == Direction::Undo {
            self.check_undo(step);
        }
        if self.is_remote(step) {
            let started = StepStarted { start: None, step: self.name(step) };
            self.row(match direction {
                Direction::Run => SagaPayload::StepStarted(started),
                Direction::Undo => SagaPayload::UndoStarted(started),
            });
        }
        self.under_way.push((step, direction));
    }

    /// How something that is under way ends: dice 0 to 9.
    fn land(&mut self, which: usize, dice: u8) {
        let (step, direction) = self.under_way.remove(which % self.under_way.len());
        let name = self.name(step);
        let waits = matches!(self.definition.steps()[step].act, Act::Shown | Act::Pause(_));
        let failed = |failure, retry_at| StepFailed {
            start: None,
            step: name.clone(),
            failure,
            error: "no".to_owned(),
            retry_at,
            end: None,
        };
        let fails = |failed| match direction {
            Direction::Run => SagaPayload::StepFailed(failed),
            Direction::Undo => SagaPayload::UndoFailed(failed),
        };
        // A remote call that fails may have had its effect all the same.
        let lost = self.is_remote(step) && dice % 2 == 1;
        match dice {
            7 if !waits => {
                self.effect(step, direction, lost);
                self.row(fails(failed(Failure::Business, None)));
            }
            8 if !waits => {
                self.effect(step, direction, lost);
                let retry_at = self.now.plus_micros(50_000);
                self.row(fails(failed(Failure::Transient, Some(retry_at))));
            }
            9 if !waits => {
                self.effect(step, direction, lost);
                self.row(fails(failed(Failure::Transient, None)));
            }
            6 if !waits && !self.is_remote(step) => {
                self.effect(step, direction, true);
                let part = StepProgressed { start: None, step: name, output: Value::Null };
                self.row(match direction {
                    Direction::Run => SagaPayload::StepProgressed(part),
                    Direction::Undo => SagaPayload::UndoProgressed(part),
                });
            }
            _ => {
                self.effect(step, direction, true);
                let done =
                    StepSucceeded { start: None, step: name, output: Value::Null, end: None };
                match direction {
                    Direction::Run => {
                        self.done.push(step);
                        self.row(SagaPayload::StepSucceeded(done));
                    }
                    Direction::Undo => {
                        self.undone.push(step);
                        self.row(SagaPayload::StepUndone(done));
                    }
                }
            }
        }
    }

    fn effect(&mut self, step: usize, direction: Direction, happens: bool) {
        if happens && self.definition.steps()[step].has_undo() {
            self.standing.insert(step, direction == Direction::Run);
        }
    }

    fn act(&mut self, action: &Action) -> bool {
        match action {
            Action::Run(step) => self.start(*step, Direction::Run),
            Action::Undo(step) => self.start(*step, Direction::Undo),
            Action::Park { step, direction, reason } => {
                self.under_way.clear();
                let (step, reason) = (Some(self.name(*step)), reason.clone());
                self.row(SagaPayload::Parked(Parked { step, direction: Some(*direction), reason }));
            }
            Action::End(outcome) => {
                self.under_way.clear();
                self.row(SagaPayload::Finished(Finished { outcome: *outcome }));
            }
            Action::Sleep(_) | Action::Pass(_) | Action::GiveUp(_) => return false,
        }
        true
    }

    /// A node dies: what was under way outside the log is forgotten, what the log says stays.
    fn crash(&mut self) {
        self.under_way.clear();
    }

    fn cancel(&mut self) {
        if self.state.cause.is_none() && !has_passed_pivot(&self.definition, &self.state) {
            self.row(SagaPayload::Cancelled(Cancelled::default()));
            // A unit that was authored before is fenced.
            let steps = self.definition.steps();
            self.under_way.retain(|(step, _)| !matches!(steps[*step].act, Act::Local { .. }));
            self.drop_watches();
        }
    }

    fn drop_watches(&mut self) {
        let steps = self.definition.steps();
        self.under_way.retain(|(step, way)| {
            *way == Direction::Undo
                || matches!(steps[*step].act, Act::Local { .. } | Act::Remote { .. })
        });
    }

    fn operate(&mut self, dice: u8) {
        let Some(parked) = self.state.parked.clone() else { return };
        if dice < 7 {
            self.row(SagaPayload::Resumed(Resumed::default()));
        } else if let Some(step) = parked.step {
            let direction = parked.direction.unwrap_or(Direction::Run);
            if let Some(index) = self.definition.find(&step) {
                // An operator who skips has seen to it by hand.
                self.effect(index, Direction::Undo, true);
                if direction == Direction::Undo {
                    self.undone.push(index);
                }
            }
            let reason = "by hand".to_owned();
            self.row(SagaPayload::Skipped(Skipped { step, direction, reason }));
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "how long tests take is said to them so")]
fn histories() -> u32 {
    if std::env::var_os("DOCKET_TEST_LONG").is_some() { 100_000 } else { 3_000 }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: histories(), failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_saga_ends_done_or_undone_and_undoes_in_reverse(
        shape in shapes(),
        dice in prop::collection::vec((0..10_u8, 0..8_usize), 1..200),
    ) {
        let mut world = World::new(definition(&shape));
        let mut dice = dice.into_iter();
        for round in 0..2_000 {
            if world.state.ended.is_some() {
                break;
            }
            // When the dice have run out everything goes well.
            let (fate, which) = dice.next().unwrap_or((0, round));
            if world.state.parked.is_some() {
                world.operate(fate);
                continue;
            }
            if world.state.cause.is_some() {
                world.drop_watches();
            }
            if fate == 5 && which == 0 {
                world.crash();
            }
            if fate == 5 && which == 1 {
                world.cancel();
            }
            let actions = world.next();
            let acted = actions.iter().filter(|action| world.act(action)).count();
            if acted == 0 && world.under_way.is_empty() {
                let sleeps = actions.iter().filter_map(|action| match action {
                    Action::Sleep(at) => Some(*at),
                    _ => None,
                });
                let wake = sleeps.min();
                prop_assert!(wake.is_some(), "nothing to do, nothing to wait for: {:?}", world.state);
                world.now = world.now.max(wake.unwrap_or(world.now));
            } else if !world.under_way.is_empty() {
                world.land(which, fate);
            }
        }
        let ended = world.state.ended.map(|(outcome, _)| outcome);
        prop_assert!(ended.is_some(), "it ends: {:?}", world.state);
        if ended != Some(Outcome::Done) {
            let left: Vec<usize> = world.standing.iter().filter(|(_, stands)| **stands).map(|(step, _)| *step).collect();
            prop_assert!(left.is_empty(), "{ended:?} leaves {left:?} of {:?}: {:?}", world.definition, world.state);
        }
        prop_assert_eq!(world.next(), Vec::new());
    }
}

#[test]
fn a_passing_failure_sleeps_until_its_next_try() {
    let mut world = World::new(definition(&Shape { stages: vec![vec![Kind::Local]], pivot: None }));
    assert_eq!(world.next(), [Action::Run(0)]);
    world.start(0, Direction::Run);
    world.land(0, 8);
    let at = world.state.step("a").and_then(|step| step.run.retry_at).expect("another try");
    assert_eq!(world.next(), [Action::Sleep(at)]);
    world.now = at;
    assert_eq!(world.next(), [Action::Run(0)]);
}

#[test]
fn past_the_pivot_a_failure_for_good_parks() {
    let mut world = World::new(definition(&Shape {
        stages: vec![vec![Kind::LocalWithUndo], vec![Kind::LocalWithUndo], vec![Kind::Local]],
        pivot: Some(1),
    }));
    for step in 0..2 {
        world.start(step, Direction::Run);
        world.land(0, 0);
    }
    assert!(has_passed_pivot(&world.definition, &world.state));
    world.start(2, Direction::Run);
    world.land(0, 7);
    let actions = world.next();
    assert!(matches!(actions[..], [Action::Park { step: 2, .. }]), "{actions:?}");
    world.act(&actions[0]);
    world.operate(0);
    assert_eq!(world.next(), [Action::Run(2)], "it is tried again, and nothing is undone");
}

#[test]
fn steps_side_by_side_are_tried_together_and_the_next_stage_waits_for_all() {
    let mut world = World::new(definition(&Shape {
        stages: vec![vec![Kind::Remote, Kind::Remote], vec![Kind::Local]],
        pivot: None,
    }));
    assert_eq!(world.next(), [Action::Run(0), Action::Run(1)]);
    world.start(0, Direction::Run);
    assert_eq!(world.next(), [Action::Run(1)]);
    world.start(1, Direction::Run);
    world.land(0, 0);
    assert_eq!(world.next(), Vec::new());
    world.land(0, 0);
    assert_eq!(world.next(), [Action::Run(2)]);
}

#[test]
fn what_is_not_shown_in_time_parks() {
    let mut world = World::new(definition(&Shape { stages: vec![vec![Kind::Shown]], pivot: None }));
    world.start(0, Direction::Run);
    let actions = world.next();
    let [Action::Sleep(deadline)] = actions[..] else { panic!("{actions:?}") };
    world.now = deadline;
    assert!(matches!(world.next()[..], [Action::Park { step: 0, .. }]));
}

/// Twenty minutes.
const LONG: i64 = 20 * 60 * 1_000_000;

#[test]
fn what_nobody_has_looked_for_is_not_late() {
    let mut world = World::new(definition(&Shape { stages: vec![vec![Kind::Shown]], pivot: None }));
    world.now = world.now.plus_micros(LONG);
    assert_eq!(world.next(), [Action::Run(0)], "no node ran, or the definition was paused");
    let watch = UnderWay { step: 0, direction: Direction::Run, since: world.now };
    let due = world.now.plus_micros(15 * 60 * 1_000_000);
    let actions = next(&world.definition, &world.state, &[watch], world.now);
    assert_eq!(actions, [Action::Sleep(due)], "from when somebody looks");
}

#[test]
fn what_comes_after_a_skipped_step_counts_from_the_skip() {
    let mut world = World::new(definition(&Shape {
        stages: vec![vec![Kind::Local], vec![Kind::Pause]],
        pivot: None,
    }));
    world.start(0, Direction::Run);
    world.land(0, 9);
    let parks = world.next();
    world.act(&parks[0]);
    world.now = world.now.plus_micros(LONG);
    world.operate(9);
    let skipped = world.now;
    let actions = world.next();
    assert!(matches!(actions[..], [Action::Sleep(at)] if at > skipped), "{actions:?}");
}
