//! Words that are nearly right: an automaton knows all within a distance.

use std::sync::{Arc, LazyLock};

use levenshtein_automata::{DFA, LevenshteinAutomatonBuilder};

use crate::query::DISTANCE_MAX;

/// One for each distance, from 1. Making one takes longer than most questions.
static BUILDERS: LazyLock<Vec<LevenshteinAutomatonBuilder>> = LazyLock::new(|| {
    (1..=DISTANCE_MAX).map(|distance| LevenshteinAutomatonBuilder::new(distance, true)).collect()
});

/// The words within a distance, where two swapped neighbours count as one. A word of 64 letters takes two megabytes.
pub(crate) fn near(word: &str, distance: u8) -> Arc<DFA> {
    let index = usize::from(distance.clamp(1, DISTANCE_MAX)) - 1;
    Arc::new(BUILDERS[index].build_dfa(word))
}
