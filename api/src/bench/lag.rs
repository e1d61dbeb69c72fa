//! How far view and index are behind the log, looked at all the time while something else is measured.

use std::sync::Arc;
use std::time::{Duration, Instant};

use docket_engine::cursor::Positions;
use parking_lot::Mutex;
use serde::Serialize;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{MissedTickBehavior, interval};

use super::report::percentile_ms;
use crate::app::App;
use crate::clock;

/// How often it is looked.
const LOOK_EVERY: Duration = Duration::from_millis(10);

/// How far a projection was behind.
#[derive(Debug, Serialize)]
pub(super) struct Lag {
    /// From when an event was read of the log until the projection showed it, at 99 of 100 looks.
    pub(super) p99_ms: f64,
    /// Most events that were missing at a look.
    pub(super) events_max: u64,
}

/// Of both projections.
#[derive(Debug, Serialize)]
pub(super) struct Lags {
    pub(super) view: Lag,
    pub(super) index: Lag,
}

/// Looks until it is asked.
pub(super) struct Looking {
    looks: Arc<Mutex<Vec<Look>>>,
    task: JoinHandle<()>,
}

/// Events up to where the log was read, and up to where each projection had come.
#[derive(Clone, Copy)]
struct Look {
    at: Instant,
    log: u64,
    view: u64,
    index: u64,
}

impl Looking {
    /// Begins to look.
    pub(super) fn begin(app: &App) -> Self {
        let log = app.live.tail.heads();
        let (view, index) = (app.views.freshness.reached(), app.search.reached());
        let looks = Arc::<Mutex<Vec<Look>>>::default();
        let noted = Arc::clone(&looks);
        let task = tokio::spawn(async move {
            let mut ticks = interval(LOOK_EVERY);
            ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
            loop {
                ticks.tick().await;
                let total = |of: &watch::Receiver<Positions>| of.borrow().total();
                let (view, index) = (total(&view), total(&index));
                noted.lock().push(Look { at: clock::monotonic(), log: total(&log), view, index });
            }
        });
        Self { looks, task }
    }

    /// What was seen; what came into the log last may still be on its way, and counts for as long as was looked.
    pub(super) fn end(self) -> Lags {
        self.task.abort();
        let looks = std::mem::take(&mut *self.looks.lock());
        Lags { view: lag(&looks, |look| look.view), index: lag(&looks, |look| look.index) }
    }
}

fn lag(looks: &[Look], shown: impl Fn(&Look) -> u64) -> Lag {
    let mut lags = Vec::with_capacity(looks.len());
    let mut reached = 0;
    for look in looks {
        while reached + 1 < looks.len() && shown(&looks[reached]) < look.log {
            reached += 1;
        }
        let behind = looks[reached].at.saturating_duration_since(look.at);
        lags.push(u32::try_from(behind.as_micros()).unwrap_or(u32::MAX));
    }
    lags.sort_unstable();
    let missing = looks.iter().map(|look| look.log.saturating_sub(shown(look)));
    Lag { p99_ms: percentile_ms(&lags, 0.99), events_max: missing.max().unwrap_or(0) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_late_until_the_first_look_that_shows_it() {
        let began = clock::monotonic();
        let look = |number: u64, log, view| {
            let at = began + Duration::from_millis(10 * number);
            Look { at, log, view, index: 0 }
        };
        let looks = [look(0, 5, 5), look(1, 8, 5), look(2, 8, 6), look(3, 8, 8), look(4, 8, 8)];
        let lag = lag(&looks, |look| look.view);
        assert!((lag.p99_ms - 20.0).abs() < 0.01, "{lag:?}");
        assert_eq!(lag.events_max, 3);
    }
}
