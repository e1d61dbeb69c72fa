//! How long questions of a kind took.

use std::time::Duration;

use serde::Serialize;

use crate::bench::report::percentile_ms;
use crate::clock;

/// Times of one question after the other, in microseconds.
#[derive(Debug, Clone, Default)]
pub(super) struct Times(Vec<u32>);

/// What was asked and how long it took.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Answered {
    /// What was asked for.
    pub(super) kind: String,
    /// How many tickets an answer has on average, or counts.
    pub(super) found: u64,
    pub(super) p50_ms: f64,
    pub(super) p99_ms: f64,
    #[serde(skip)]
    times: Times,
}

impl Answered {
    /// Adds to each kind what it took another time; both name the same kinds in the same order, or there are none yet.
    pub(super) fn add_all(all: &mut Vec<Self>, again: Vec<Self>) {
        if all.is_empty() {
            *all = again;
            return;
        }
        for (one, again) in all.iter_mut().zip(again) {
            let Times(mut times) = std::mem::take(&mut one.times);
            times.extend(again.times.0);
            *one = Times(times).answered(std::mem::take(&mut one.kind), one.found);
        }
    }
}

impl Times {
    /// Waits for an answer.
    pub(super) async fn take<R>(&mut self, asked: impl Future<Output = R>) -> R {
        let began = clock::monotonic();
        let answer = asked.await;
        self.add(clock::monotonic().duration_since(began));
        answer
    }

    pub(super) fn add(&mut self, took: Duration) {
        self.0.push(u32::try_from(took.as_micros()).unwrap_or(u32::MAX));
    }

    pub(super) fn answered(mut self, kind: String, found: u64) -> Answered {
        self.0.sort_unstable();
        let (p50_ms, p99_ms) = (percentile_ms(&self.0, 0.5), percentile_ms(&self.0, 0.99));
        Answered { kind, found, p50_ms, p99_ms, times: self }
    }

    /// Of all answers, each as often as it was given: of half of them, and of 99 in a hundred, in milliseconds.
    pub(super) fn of_all(answered: &[Answered]) -> (f64, f64) {
        let mut all: Vec<u32> =
            answered.iter().flat_map(|one| one.times.0.iter().copied()).collect();
        all.sort_unstable();
        (percentile_ms(&all, 0.5), percentile_ms(&all, 0.99))
    }
}
