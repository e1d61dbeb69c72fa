//! How much memory a saga's state holds.

use serde_json::Value;

use crate::operated::Operated;
use crate::state::{Attempt, State, Track};

impl State {
    /// About how many bytes of memory the state holds.
    #[must_use]
    pub fn weight(&self) -> usize {
        let input = self.begun.as_ref().map_or(0, |begun| weight_of(&begun.what.input));
        let tracks = self.steps.iter().flat_map(|step| [&step.run, &step.undo]);
        let steps = tracks.map(|track| {
            let attempts = track.attempts.len() * size_of::<Attempt>();
            let parts = track.parts.iter().map(weight_of).sum::<usize>();
            size_of::<Track>() + attempts + parts + weight_of(&track.output)
        });
        let operated = self.operated.iter().map(|one| {
            size_of::<Operated>() + one.reason.as_ref().map_or(0, |reason| reason.len())
        });
        size_of::<Self>() + input + steps.sum::<usize>() + operated.sum::<usize>()
    }
}

/// About how many bytes of memory a value holds.
pub(crate) fn weight_of(value: &Value) -> usize {
    let held = match value {
        Value::String(text) => text.len(),
        Value::Array(items) => items.iter().map(weight_of).sum(),
        Value::Object(members) => {
            members.iter().map(|(name, member)| name.len() + weight_of(member)).sum()
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => 0,
    };
    size_of::<Value>() + held
}
