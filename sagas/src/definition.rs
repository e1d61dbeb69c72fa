//! A definition: the typed list of steps that every saga of one name and version goes through.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use crate::act::{Awaited, Local, Remote};

/// Most steps of a definition.
pub const STEPS_MAX: usize = 64;

/// The longest pause between two tries of a step.
pub const RETRY_PAUSE_MAX: Duration = Duration::from_secs(5);

/// How long a step waits for view and index before an operator is asked.
pub const SHOWN_WITHIN: Duration = Duration::from_secs(15 * 60);

/// How often, and after which pauses, a step is tried that failed for a passing reason.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retry {
    /// Tries until the saga parks.
    pub tries_max: u32,
    /// The first pause; it doubles up to [`RETRY_PAUSE_MAX`].
    pub pause_min: Duration,
}

impl Default for Retry {
    /// For a good minute.
    fn default() -> Self {
        Self { tries_max: 20, pause_min: Duration::from_millis(100) }
    }
}

impl Retry {
    /// The pause after so many failed tries, from half to all of what has doubled, as `jitter` says; none when that were
    /// enough.
    #[must_use]
    pub fn pause(&self, failed: u32, jitter: u8) -> Option<Duration> {
        if failed >= self.tries_max {
            return None;
        }
        let doubled = self.pause_min.saturating_mul(1 << failed.saturating_sub(1).min(16));
        let whole = doubled.min(RETRY_PAUSE_MAX);
        Some(whole / 2 + whole.mul_f64(f64::from(jitter) / f64::from(u8::MAX)) / 2)
    }
}

/// What a step is.
#[derive(Clone)]
pub enum Act {
    /// Writes to the log alone: its effect and its success are one unit.
    Local {
        /// Does it.
        run: Arc<dyn Local>,
        /// Undoes it; none where there is nothing to undo.
        undo: Option<Arc<dyn Local>>,
    },
    /// Leaves the log: tried at least once, under one key.
    Remote {
        /// Does it.
        run: Arc<dyn Remote>,
        /// Undoes it; none where there is nothing to undo.
        undo: Option<Arc<dyn Remote>>,
    },
    /// Waits until view and index show what the saga has written; at its undo, what it has written to undo.
    Shown,
    /// Waits for a time.
    Pause(Duration),
    /// Waits for an event.
    Wait {
        /// Which.
        event: Arc<dyn Awaited>,
        /// No longer than that.
        longest: Duration,
        /// What then.
        on_timeout: OnTimeout,
    },
}

/// What becomes of a saga whose event does not come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnTimeout {
    /// An operator is asked.
    Park,
    /// The step fails for good, and what was done is undone.
    Undo,
    /// The saga goes on without.
    GoOn,
}

/// One step.
#[derive(Clone)]
pub struct Step {
    /// Its name within the definition, and in events.
    pub name: &'static str,
    /// What it does.
    pub act: Act,
    /// When it fails for a passing reason.
    pub retry: Retry,
    /// A try that takes longer has failed for a passing reason.
    pub timeout: Duration,
    /// After it there is no way back.
    pub is_pivot: bool,
    /// Its undo waits until view and index show all other undos.
    pub is_undone_last: bool,
    /// It is part of asking: done with the first row, also while the definition is paused.
    pub is_with_the_request: bool,
    /// It lets go of what the saga holds: no operator has the saga go on without it, nor without its undo.
    pub is_indispensable: bool,
}

/// The longest that a try takes, unless its step says otherwise.
const TIMEOUT: Duration = Duration::from_secs(30);

impl Step {
    /// A step of the log alone.
    #[must_use]
    pub fn local(name: &'static str, run: impl Local) -> Self {
        Self::new(name, Act::Local { run: Arc::new(run), undo: None })
    }

    /// A step that leaves the log.
    #[must_use]
    pub fn remote(name: &'static str, run: impl Remote) -> Self {
        Self::new(name, Act::Remote { run: Arc::new(run), undo: None })
    }

    /// A step that waits until view and index show what was written.
    #[must_use]
    pub fn shown(name: &'static str) -> Self {
        Self::new(name, Act::Shown)
    }

    /// A step of any kind.
    #[must_use]
    pub const fn new(name: &'static str, act: Act) -> Self {
        Self {
            name,
            act,
            retry: Retry { tries_max: 20, pause_min: Duration::from_millis(100) },
            timeout: TIMEOUT,
            is_pivot: false,
            is_undone_last: false,
            is_with_the_request: false,
            is_indispensable: false,
        }
    }

    /// With an undo of the log alone.
    #[must_use]
    pub fn undo(mut self, by: impl Local) -> Self {
        if let Act::Local { undo, .. } = &mut self.act {
            *undo = Some(Arc::new(by));
        }
        self
    }

    /// With an undo that leaves the log.
    #[must_use]
    pub fn undo_remote(mut self, by: impl Remote) -> Self {
        if let Act::Remote { undo, .. } = &mut self.act {
            *undo = Some(Arc::new(by));
        }
        self
    }

    /// Undone after everything else, and not before view and index show that: it holds what the saga holds on to.
    #[must_use]
    pub fn undone_last(self) -> Self {
        Self { is_undone_last: true, ..self }
    }

    /// Part of asking: whoever asks is told at once where it cannot be done, and a pause of the definition holds up what
    /// comes after it. Only a first step of the log alone can be.
    #[must_use]
    pub fn with_the_request(self) -> Self {
        Self { is_with_the_request: true, ..self }
    }

    /// Not to be skipped, nor its undo: it lets go of what the saga holds, which nobody else could.
    #[must_use]
    pub fn indispensable(self) -> Self {
        Self { is_indispensable: true, ..self }
    }

    /// With another retry policy.
    #[must_use]
    pub fn retry(self, retry: Retry) -> Self {
        Self { retry, ..self }
    }

    /// With another limit on a try.
    #[must_use]
    pub fn timeout(self, timeout: Duration) -> Self {
        Self { timeout, ..self }
    }

    /// Whether there is something to undo.
    #[must_use]
    pub const fn has_undo(&self) -> bool {
        match &self.act {
            Act::Local { undo, .. } => undo.is_some(),
            Act::Remote { undo, .. } => undo.is_some(),
            Act::Shown | Act::Pause(_) | Act::Wait { .. } => false,
        }
    }
}

impl std::fmt::Debug for Step {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let kind = match &self.act {
            Act::Local { .. } => "local",
            Act::Remote { .. } => "remote",
            Act::Shown => "shown",
            Act::Pause(_) => "pause",
            Act::Wait { .. } => "wait",
        };
        let undo = if self.has_undo() { "+undo" } else { "" };
        let pivot = if self.is_pivot { "+pivot" } else { "" };
        write!(f, "{}:{kind}{undo}{pivot}", self.name)
    }
}

/// A name, a version, and the steps. A saga keeps the version that it began under.
#[derive(Debug, Clone)]
pub struct Definition {
    /// Its name, in events and on the command line.
    pub name: &'static str,
    /// Rises with every change of its steps.
    pub version: u16,
    /// Whether a saga that is done may still be undone.
    pub is_undone_when_done: bool,
    steps: Vec<Step>,
    /// The first step of each stage; the steps of a stage go side by side.
    stages: Vec<usize>,
}

impl Definition {
    /// A definition without steps.
    #[must_use]
    pub fn new(name: &'static str, version: u16) -> Self {
        let (steps, stages) = (Vec::new(), Vec::new());
        Self { name, version, is_undone_when_done: false, steps, stages }
    }

    /// Then this step.
    #[must_use]
    pub fn step(self, step: Step) -> Self {
        self.all([step])
    }

    /// Then these steps side by side.
    #[must_use]
    pub fn all(mut self, steps: impl IntoIterator<Item = Step>) -> Self {
        self.stages.push(self.steps.len());
        self.steps.extend(steps);
        self
    }

    /// Then this step, after which there is no way back.
    #[must_use]
    pub fn pivot(self, step: Step) -> Self {
        self.step(Step { is_pivot: true, ..step })
    }

    /// Its sagas may still be undone when they are done.
    #[must_use]
    pub fn undone_when_done(self) -> Self {
        Self { is_undone_when_done: true, ..self }
    }

    /// Its steps, in order.
    #[must_use]
    pub fn steps(&self) -> &[Step] {
        &self.steps
    }

    /// The step with this name.
    #[must_use]
    pub fn find(&self, name: &str) -> Option<usize> {
        self.steps.iter().position(|step| step.name == name)
    }

    /// The steps of each stage, as indices.
    pub(crate) fn stages(&self) -> impl Iterator<Item = std::ops::Range<usize>> + '_ {
        let ends = self.stages.iter().skip(1).copied().chain([self.steps.len()]);
        self.stages.iter().copied().zip(ends).map(|(first, end)| first..end)
    }

    /// What is wrong with it, if anything.
    ///
    /// # Errors
    /// In words.
    pub fn check(&self) -> Result<(), String> {
        let names: BTreeSet<&str> = self.steps.iter().map(|step| step.name).collect();
        let pivots = self.steps.iter().filter(|step| step.is_pivot).count();
        let wrong = if self.steps.is_empty() || self.stages().any(|stage| stage.is_empty()) {
            "has a stage without steps"
        } else if self.steps.len() > STEPS_MAX {
            "has more than 64 steps"
        } else if names.len() != self.steps.len() {
            "has two steps of one name"
        } else if pivots > 1 {
            "has two pivots"
        } else if self.asks_amiss() {
            "has a step that belongs to the request and is not its first alone, or leaves the log"
        } else {
            return Ok(());
        };
        Err(format!("saga definition `{}` {wrong}", self.name))
    }

    /// Whether a step belongs to the request that is not done with the first row.
    fn asks_amiss(&self) -> bool {
        let alone = self.stages().next().is_some_and(|stage| stage.len() == 1);
        let begins = |step: &Step| alone && matches!(step.act, Act::Local { .. });
        let amiss = |(index, step): (usize, &Step)| {
            step.is_with_the_request && (index > 0 || !begins(step))
        };
        self.steps.iter().enumerate().any(amiss)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_five_seconds_and_end() {
        let retry = Retry { tries_max: 9, pause_min: Duration::from_millis(100) };
        let pauses: Vec<_> = (1..10).map(|failed| retry.pause(failed, 255)).collect();
        let millis = |n| Some(Duration::from_millis(n));
        assert_eq!(pauses[..3], [millis(100), millis(200), millis(400)]);
        assert_eq!(pauses[6..], [millis(5_000), millis(5_000), None]);
        assert_eq!(retry.pause(1, 0), millis(50));
    }
}
