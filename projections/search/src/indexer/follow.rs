//! Following the log for as long as the node runs: fed as fast as it can be read, committed about once a second.

use std::sync::Arc;
use std::time::Duration;

use docket_engine::cursor::Positions;
use docket_engine::ports::clock::Clock;
use docket_projections::{Appetite, EventSource, Feeder, PartitionSet, Progress, Runner};
use tokio::sync::watch;
use tokio::time::sleep;

use super::Indexer;

/// Time between two commits while there is something to commit and nobody waits for it.
pub const COMMIT_EVERY: Duration = Duration::from_millis(500);
/// Least time between two commits while somebody waits.
pub const COMMIT_SPACING_MIN: Duration = Duration::from_millis(50);

/// Least pause between two batches that are more than a trickle: each is committed as soon as it is taken, and a ticket
/// that changes twice in it is written once.
const REST_MIN: Duration = Duration::from_millis(400);

/// What is fed is visible only once it is committed, so that more turns would only write a ticket more often.
const TURNS_MAX: u8 = 2;

/// What following stands on.
pub struct Following {
    /// What is fed.
    pub indexer: Arc<Indexer>,
    /// Where new events are read.
    pub source: Arc<dyn EventSource>,
    /// How far they can be read.
    pub heads: watch::Receiver<Positions>,
    /// How often the log was restored from a backup.
    pub restores: watch::Receiver<u64>,
    /// Told how far the index answers; who waits for it makes commits come sooner.
    pub visible: Arc<Progress>,
    /// The time.
    pub clock: Arc<dyn Clock>,
}

impl Following {
    /// Follows until nobody says any more how far events can be read.
    pub async fn run(self) {
        tokio::select! {
            () = self.feed() => {}
            () = self.commit_regularly() => {}
        }
    }

    /// Feeds, and begins again from the last commit whenever the index was set back to it.
    async fn feed(&self) {
        let (_all, share) = watch::channel(PartitionSet::ALL);
        loop {
            let runner = Runner {
                feeder: Feeder::new(
                    Arc::clone(&self.source),
                    Arc::clone(&self.indexer.reading.log),
                    Arc::clone(&self.indexer) as _,
                    Appetite { rest_min: REST_MIN, turns_max: TURNS_MAX, ..Appetite::FOLLOW },
                ),
                heads: self.heads.clone(),
                restores: self.restores.clone(),
                share: share.clone(),
                // What was taken is not visible yet: that is told by the commits.
                progress: Arc::default(),
                awaited: Arc::clone(&self.visible),
                clock: Arc::clone(&self.clock),
            };
            tokio::select! {
                () = runner.run() => return,
                () = self.indexer.set_back.notified() => sleep(COMMIT_SPACING_MIN).await,
            }
        }
    }

    /// Commits what was taken as soon as it was, but not too often; sooner while somebody waits for it.
    async fn commit_regularly(&self) {
        loop {
            sleep(COMMIT_SPACING_MIN).await;
            tokio::select! {
                () = sleep(COMMIT_EVERY.saturating_sub(COMMIT_SPACING_MIN)) => {}
                () = self.visible.hurried() => {}
            }
            tokio::select! {
                () = self.indexer.news.notified() => {}
                () = self.visible.hurried() => {}
                // What others have committed, who mend, is told as well.
                () = sleep(COMMIT_EVERY) => {}
            }
            match self.indexer.commit().await {
                Ok(positions) => self.visible.set(positions),
                Err(error) => {
                    tracing::warn!(
                        error = &error as &dyn std::error::Error,
                        "search.commit.failed"
                    );
                    sleep(COMMIT_EVERY).await;
                }
            }
        }
    }
}
