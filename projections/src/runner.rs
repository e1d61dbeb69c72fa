//! The runner: keeps a sink fed, at the pace that the machine allows, for as long as it is wanted.

use std::sync::Arc;
use std::time::Duration;

use docket_engine::cursor::Positions;
use docket_engine::ports::clock::Clock;
use futures_util::FutureExt as _;
use tokio::sync::watch;
use tokio::time::{Interval, MissedTickBehavior, interval, sleep};

use crate::PartitionSet;
use crate::feeder::{Fed, FeedError, Feeder};
use crate::pace::{Pace, Turn, since};
use crate::progress::Progress;
use crate::sink::SinkError;

/// Longest pause between two batches of a feeder that is behind.
const PAUSE_MAX: Duration = Duration::from_secs(1);

/// A batch of so few events is what following looks like: no pause after it.
const FOLLOWED_EVENTS: usize = 32;

/// First pause after a failure; each further one is twice as long.
const RETRY_PAUSE_MIN: Duration = Duration::from_millis(50);
/// Longest pause after failures.
const RETRY_PAUSE_MAX: Duration = Duration::from_secs(2);

/// How often it is looked whether the sink still stands where it was fed to, also while nothing is new.
const LOOKED_EVERY: Duration = Duration::from_secs(1);

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
        let mut pace = Pace::new(self.feeder.appetite().turns_max);
        let mut looks = interval(LOOKED_EVERY);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let heads = *self.heads.borrow_and_update();
            let share = *self.share.borrow_and_update();
            let began = self.clock.now();
            pace.count(share, &heads, began);
            let turn = match self.awaited.is_awaited() {
                true => Turn::at_once(share),
                false => pace.turn(share),
            };
            let fed = match self.keep_up(share, &mut looks).await {
                Ok(()) => self.feeder.feed_some(turn.partitions, &heads).await,
                Err(error) => Err(error.into()),
            };
            if fed.is_ok() {
                failures = Failures::default();
                self.progress.raise(&self.owned_positions());
            }
            match fed {
                Ok(Fed::Nothing) if turn.partitions == share => {
                    tokio::select! {
                        more = self.heads.changed() => if more.is_err() { return },
                        other = self.share.changed() => if other.is_err() { return },
                        back = self.restores.changed() => {
                            if back.is_err() { return }
                            self.restores.mark_changed();
                        }
                        () = sleep(LOOKED_EVERY) => {}
                    }
                }
                Ok(Fed::Fenced) => sleep(FENCED_PAUSE).await,
                Ok(Fed::Events(_) | Fed::Nothing) => {
                    let events = if let Ok(Fed::Events(events)) = fed { events } else { 0 };
                    let is_all = !self.feeder.is_behind(turn.partitions, &heads);
                    if is_all {
                        pace.next();
                    }
                    let took = since(began, self.clock.now());
                    self.pause(Came { events, is_all, every: turn.every }, took).await;
                }
                Err(error) => failures.pause(&error).await,
            }
            if self.heads.has_changed().is_err() || self.share.has_changed().is_err() {
                return;
            }
        }
    }

    /// Takes over what is newly its own, and begins again where log or sink have gone back.
    async fn keep_up(
        &mut self,
        share: PartitionSet,
        looks: &mut Interval,
    ) -> Result<(), SinkError> {
        if self.restores.has_changed().unwrap_or(false) {
            self.restores.mark_unchanged();
            // What was read, and how far the sink was fed, may be what the log has lost.
            let begun = self.feeder.begin_again().await;
            begun.inspect_err(|_| self.restores.mark_changed())?;
        }
        if share != self.feeder.owned() {
            self.feeder.own(share).await?;
        }
        if looks.tick().now_or_never().is_some() {
            self.feeder.look_at_sink().await?;
        }
        Ok(())
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
    async fn pause(&self, came: Came, took: Duration) {
        let unhurried = (took / 4).max(self.feeder.appetite().rest_min);
        let rest = match (came.is_all, came.every) {
            (false, _) => took / 2,
            (true, Duration::ZERO) if came.events <= FOLLOWED_EVENTS => return,
            (true, every) => every.saturating_sub(took).max(unhurried),
        };
        tokio::select! {
            () = sleep(rest.min(PAUSE_MAX)) => {}
            () = self.awaited.hurried() => {}
        }
    }
}

/// A batch: how much it held, whether it was all that there was, and when the next turn is.
struct Came {
    events: usize,
    is_all: bool,
    every: Duration,
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
