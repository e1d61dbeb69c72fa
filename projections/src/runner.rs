//! The runner: keeps a sink fed, at the pace that the machine allows, for as long as it is wanted.

use std::sync::Arc;
use std::time::Duration;

use docket_engine::cursor::Positions;
use docket_engine::ports::clock::Clock;
use docket_schemas::Timestamp;
use tokio::sync::watch;
use tokio::time::sleep;

use crate::PartitionSet;
use crate::feeder::{Fed, FeedError, Feeder};
use crate::progress::Progress;

/// Longest pause between two batches of a feeder that is behind.
const PAUSE_MAX: Duration = Duration::from_secs(1);

/// A batch of so few events is what following looks like: no pause after it.
const FOLLOWED_EVENTS: usize = 32;

/// Up to so many events a second a sink is fed as soon as it can take more; beyond, once in [`PAUSE_MAX`], so that a ticket
/// which changes several times meanwhile is written once.
const EAGER_EVENTS_PER_SECOND: u64 = 8_000;

/// First pause after a failure; each further one is twice as long.
const RETRY_PAUSE_MIN: Duration = Duration::from_millis(50);
/// Longest pause after failures.
const RETRY_PAUSE_MAX: Duration = Duration::from_secs(2);

/// Pause after another feeder was met: it may be about to stop.
const FENCED_PAUSE: Duration = Duration::from_millis(100);

/// What a runner stands on.
pub struct Runner {
    /// Reads, folds, hands over.
    pub feeder: Feeder,
    /// How far the log can be read.
    pub heads: watch::Receiver<Positions>,
    /// How often it was restored from a backup.
    pub restores: watch::Receiver<u64>,
    /// The partitions that are this node's to feed.
    pub share: watch::Receiver<PartitionSet>,
    /// Told of every batch taken.
    pub progress: Arc<Progress>,
    /// Says who waits for what is fed to become visible; mostly the same.
    pub awaited: Arc<Progress>,
    /// The time.
    pub clock: Arc<dyn Clock>,
}

impl Runner {
    /// Feeds until nobody says any more how far the log can be read, or whose the partitions are.
    pub async fn run(mut self) {
        let mut failures = Failures::default();
        let mut pace = Pace::from(self.clock.now());
        loop {
            let heads = *self.heads.borrow_and_update();
            let share = *self.share.borrow_and_update();
            let began = self.clock.now();
            match self.turn(share, &heads).await {
                Ok(Fed::Events(events)) => {
                    failures = Failures::default();
                    self.progress.raise(&self.owned_positions());
                    let now = self.clock.now();
                    pace.count(events, now);
                    let is_all = !self.feeder.is_behind(&heads);
                    self.pause(Came { events, is_all, pace: &pace }, since(began, now)).await;
                }
                Ok(Fed::Fenced) => sleep(FENCED_PAUSE).await,
                Ok(Fed::Nothing) => {
                    failures = Failures::default();
                    self.progress.raise(&self.owned_positions());
                    tokio::select! {
                        more = self.heads.changed() => if more.is_err() { return },
                        other = self.share.changed() => if other.is_err() { return },
                        back = self.restores.changed() => {
                            if back.is_err() { return }
                            self.restores.mark_changed();
                        }
                    }
                }
                Err(error) => failures.pause(&error).await,
            }
            if self.heads.has_changed().is_err() || self.share.has_changed().is_err() {
                return;
            }
        }
    }

    async fn turn(&mut self, share: PartitionSet, heads: &Positions) -> Result<Fed, FeedError> {
        if self.restores.has_changed().unwrap_or(false) {
            self.restores.mark_unchanged();
            // What was read, and how far the sink was fed, may be what the log has lost.
            let begun = self.feeder.begin_again().await;
            begun.inspect_err(|_| self.restores.mark_changed())?;
        }
        if share != self.feeder.owned() {
            self.feeder.own(share).await?;
        }
        self.feeder.feed(heads).await
    }

    /// How far it has come in what it owns; nothing is said of the rest.
    fn owned_positions(&self) -> Positions {
        let mut positions = Positions::START;
        for partition in self.feeder.owned().iter() {
            positions.set(partition, self.feeder.positions().get(partition));
        }
        positions
    }

    /// Lets more come together: a hot ticket is then written once for many events. Somebody who waits ends the pause.
    async fn pause(&self, came: Came<'_>, took: Duration) {
        if came.events <= FOLLOWED_EVENTS {
            return;
        }
        let rest = self.feeder.appetite().rest_min;
        let pause = match came.is_all {
            false => took / 2,
            true if came.pace.per_second > EAGER_EVENTS_PER_SECOND => {
                PAUSE_MAX.saturating_sub(took)
            }
            true => (took / 4).max(rest),
        };
        let pause = pause.min(PAUSE_MAX);
        tokio::select! {
            () = sleep(pause) => {}
            () = self.awaited.hurried() => {}
        }
    }
}

/// A batch: how much it held, whether it was all that there was, and how fast events come.
struct Came<'a> {
    events: usize,
    is_all: bool,
    pace: &'a Pace,
}

/// How fast events come: over a second, for within it they come in bursts.
struct Pace {
    since: Timestamp,
    events: usize,
    per_second: u64,
}

impl Pace {
    const fn from(since: Timestamp) -> Self {
        Self { since, events: 0, per_second: 0 }
    }

    fn count(&mut self, events: usize, now: Timestamp) {
        self.events += events;
        let within = since(self.since, now);
        if within >= Duration::from_secs(1) {
            let per_second = self.events as u128 * 1_000 / within.as_millis();
            let per_second = u64::try_from(per_second).unwrap_or(u64::MAX);
            *self = Self { since: now, events: 0, per_second };
        }
    }
}

fn since(time: Timestamp, now: Timestamp) -> Duration {
    Duration::from_micros(now.micros().saturating_sub(time.micros()).unsigned_abs())
}

/// Failures in a row.
#[derive(Default)]
struct Failures(u32);

impl Failures {
    async fn pause(&mut self, error: &FeedError) {
        tracing::warn!(error = error as &dyn std::error::Error, "projection.feed.retried");
        let pause = RETRY_PAUSE_MIN * 2_u32.saturating_pow(self.0.min(16));
        self.0 += 1;
        sleep(pause.min(RETRY_PAUSE_MAX)).await;
    }
}
