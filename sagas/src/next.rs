//! What a saga does next: a pure function of its definition, its state, what is under way, and the time.

use docket_schemas::Timestamp;
use docket_schemas::saga::{Direction, Outcome};

use crate::definition::{Act, Definition, OnTimeout, SHOWN_WITHIN, Step};
use crate::state::{Cause, State, Track};

/// Something to do, or to wait for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Try a step; or watch for what it waits for.
    Run(usize),
    /// Try a step's undo.
    Undo(usize),
    /// Nothing until then.
    Sleep(Timestamp),
    /// Go on without what a step waits for.
    Pass(usize),
    /// A step did not come to its end in time, and that is final.
    GiveUp(usize),
    /// Ask an operator.
    Park {
        /// At which step.
        step: usize,
        /// Which way.
        direction: Direction,
        /// Why.
        reason: String,
    },
    /// It is over.
    End(Outcome),
}

/// Something that is under way in this process: a step that is being tried, or watched for. Whoever carries a saga that
/// goes back drops what is only watched for on the way forth.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UnderWay {
    /// Which step.
    pub step: usize,
    /// Which way.
    pub direction: Direction,
    /// Since when, in this process and without a pause of the definition.
    pub since: Timestamp,
}

/// What to do next; nothing where all there is to do is under way, parked or over.
#[must_use]
pub fn next(
    definition: &Definition,
    state: &State,
    under_way: &[UnderWay],
    now: Timestamp,
) -> Vec<Action> {
    if state.ended.is_some() || state.parked.is_some() || state.begun.is_none() {
        return Vec::new();
    }
    let view = View { definition, state, under_way, now };
    match &state.cause {
        None => view.forth(),
        Some(Cause::Failed { step }) if view.has_passed_pivot() => view.park_past_pivot(step),
        Some(_) => view.back(),
    }
}

/// Whether there is no way back: the pivot is done, or may be.
#[must_use]
pub fn has_passed_pivot(definition: &Definition, state: &State) -> bool {
    View { definition, state, under_way: &[], now: state.at }.has_passed_pivot()
}

struct View<'a> {
    definition: &'a Definition,
    state: &'a State,
    under_way: &'a [UnderWay],
    now: Timestamp,
}

impl<'a> View<'a> {
    fn track(&self, index: usize, direction: Direction) -> Option<&'a Track> {
        let step = self.state.step(self.definition.steps()[index].name)?;
        Some(step.track(direction))
    }

    fn is_over(&self, index: usize, direction: Direction) -> bool {
        self.track(index, direction).is_some_and(Track::is_over)
    }

    fn has_passed_pivot(&self) -> bool {
        let pivot = self.definition.steps().iter().position(|step| step.is_pivot);
        pivot.and_then(|pivot| self.track(pivot, Direction::Run)).is_some_and(|track| {
            track.done_at.is_some() || track.is_open || !track.parts.is_empty()
        })
    }

    fn forth(&self) -> Vec<Action> {
        let mut began = self.state.begun.as_ref().map_or(self.state.at, |begun| begun.at);
        for stage in self.definition.stages() {
            let open: Vec<usize> =
                stage.clone().filter(|&step| !self.is_over(step, Direction::Run)).collect();
            if open.is_empty() {
                let over = stage.filter_map(|step| self.track(step, Direction::Run)?.over_at());
                began = over.max().unwrap_or(began).max(began);
                continue;
            }
            return self.together(&open, began);
        }
        vec![Action::End(Outcome::Done)]
    }

    /// The steps of a stage that are not over. One that is stuck stops the others from being tried anew.
    fn together(&self, open: &[usize], began: Timestamp) -> Vec<Action> {
        let actions: Vec<Action> =
            open.iter().filter_map(|&step| self.one(step, Direction::Run, began)).collect();
        let stop = |action: &Action| matches!(action, Action::Park { .. } | Action::GiveUp(_));
        match actions.iter().find(|action| stop(action)) {
            Some(stop) if self.none_tried_beside(stop) => vec![stop.clone()],
            Some(_) => Vec::new(),
            None => actions,
        }
    }

    /// What is tried beside a step that is stuck comes to its end first; what only waits does not.
    fn none_tried_beside(&self, stop: &Action) -> bool {
        let (Action::Park { step: stuck, .. } | Action::GiveUp(stuck)) = stop else { return true };
        let steps = self.definition.steps();
        !self.under_way.iter().any(|UnderWay { step, .. }| {
            step != stuck && matches!(steps[*step].act, Act::Local { .. } | Act::Remote { .. })
        })
    }

    /// What to do about one step that is not over.
    fn one(&self, index: usize, direction: Direction, began: Timestamp) -> Option<Action> {
        let step = &self.definition.steps()[index];
        let track = self.track(index, direction);
        if let Some(track) = track.filter(|track| track.is_stuck) {
            let error = track.error().unwrap_or("failed");
            let reason = format!("failed {} times: {error}", track.failed);
            return Some(Action::Park { step: index, direction, reason });
        }
        let since = track.and_then(|track| track.resumed_at).map_or(began, |at| at.max(began));
        let mut under_way = self.under_way.iter();
        let watch = under_way.find(|one| one.step == index && one.direction == direction);
        let deadline = deadline(step, since, watch);
        if deadline.is_some_and(|deadline| deadline <= self.now) {
            return Some(late(step, index, direction));
        }
        if watch.is_some() {
            return deadline.map(Action::Sleep);
        }
        if let Some(at) = track.and_then(|track| track.retry_at).filter(|at| *at > self.now) {
            return Some(Action::Sleep(at));
        }
        if let Act::Pause(time) = &step.act {
            let due = since.plus_micros(micros(*time));
            return Some(if due > self.now { Action::Sleep(due) } else { Action::Run(index) });
        }
        Some(match direction {
            Direction::Run => Action::Run(index),
            Direction::Undo => Action::Undo(index),
        })
    }

    /// A step failed for good, and there is no way back.
    fn park_past_pivot(&self, name: &str) -> Vec<Action> {
        if !self.under_way.is_empty() {
            return Vec::new();
        }
        let Some(step) = self.definition.find(name) else { return Vec::new() };
        let attempts = self.track(step, Direction::Run).map(|track| track.attempts.as_slice());
        let error = attempts.and_then(|attempts| attempts.last()?.error.clone());
        let reason = format!("failed after the pivot: {}", error.unwrap_or_default());
        vec![Action::Park { step, direction: Direction::Run, reason }]
    }

    /// One undo at a time, the last done first; then whatever has to show it; then what is to be undone last.
    fn back(&self) -> Vec<Action> {
        // What is tried comes to its end first; a watch has none, and whoever carries the saga drops it.
        let steps = self.definition.steps();
        let tried = |one: &UnderWay| {
            one.direction == Direction::Run
                && matches!(steps[one.step].act, Act::Local { .. } | Act::Remote { .. })
        };
        if self.under_way.iter().any(tried) {
            return Vec::new();
        }
        let (last, touched): (Vec<usize>, Vec<usize>) =
            self.touched().into_iter().partition(|step| steps[*step].is_undone_last);
        let over = |step: &usize| self.is_over(*step, Direction::Undo);
        let undone: Vec<Timestamp> =
            touched.iter().filter_map(|step| self.track(*step, Direction::Undo)?.done_at).collect();
        let over_at = |step: &usize| self.track(*step, Direction::Undo)?.over_at();
        let since = touched.iter().filter_map(over_at).max().unwrap_or(self.state.at);
        if let Some(step) = touched.iter().copied().find(|step| !over(step)) {
            return self.one(step, Direction::Undo, since).into_iter().collect();
        }
        if !undone.is_empty() {
            let steps = self.definition.steps().iter().enumerate();
            let mut shown = steps.filter(|(_, step)| matches!(step.act, Act::Shown));
            if let Some((step, _)) = shown.find(|(step, _)| !over(step)) {
                return self.one(step, Direction::Undo, since).into_iter().collect();
            }
        }
        if let Some(step) = last.into_iter().find(|step| !over(step)) {
            return self.one(step, Direction::Undo, since).into_iter().collect();
        }
        let cancelled = self.state.cause == Some(Cause::Cancelled);
        vec![Action::End(if cancelled { Outcome::Cancelled } else { Outcome::Undone })]
    }

    /// Steps with something to undo, the last done first; before them those that may be half done.
    fn touched(&self) -> Vec<usize> {
        let steps = self.definition.steps();
        let undoable = |step: &usize| steps[*step].has_undo();
        let done = self.state.completed.iter().rev().filter_map(|name| self.definition.find(name));
        let done: Vec<usize> = done.filter(undoable).collect();
        let half = (0..steps.len()).rev().filter(undoable).filter(|step| {
            let Some(state) = self.state.step(steps[*step].name) else { return false };
            // Parts that were done before somebody skipped the rest are as real as others.
            let begun = !state.run.parts.is_empty()
                || matches!(steps[*step].act, Act::Remote { .. })
                    && state.is_touched()
                    && !state.run.is_skipped;
            begun && state.run.done_at.is_none()
        });
        half.chain(done.iter().copied()).collect()
    }
}

/// When a step that waits has waited long enough. An event may be late although nobody runs that looks for it; view and
/// index are given their time from when somebody looks.
fn deadline(step: &Step, since: Timestamp, watch: Option<&UnderWay>) -> Option<Timestamp> {
    match &step.act {
        Act::Shown => Some(watch?.since.max(since).plus_micros(micros(SHOWN_WITHIN))),
        Act::Wait { longest, .. } => Some(since.plus_micros(micros(*longest))),
        Act::Local { .. } | Act::Remote { .. } | Act::Pause(_) => None,
    }
}

/// What becomes of a step that waits in vain.
fn late(step: &Step, index: usize, direction: Direction) -> Action {
    let park = |reason: &str| Action::Park { step: index, direction, reason: reason.to_owned() };
    match &step.act {
        Act::Wait { on_timeout: OnTimeout::GoOn, .. } => Action::Pass(index),
        Act::Wait { on_timeout: OnTimeout::Undo, .. } => Action::GiveUp(index),
        Act::Wait { .. } => park("what it waits for did not come"),
        _ => park("view and index have not shown it in time"),
    }
}

fn micros(time: std::time::Duration) -> i64 {
    i64::try_from(time.as_micros()).unwrap_or(i64::MAX)
}
