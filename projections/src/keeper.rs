//! The keeper: on every node, sees to it that each version of the tickets view is fed while it is wanted.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use docket_engine::ports::clock::Clock;
use docket_engine::ports::log::{EventLog, IncarnationStart, LogError};
use docket_engine::tail::Tail;
use docket_schemas::{Incarnation, Position};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::sleep;

use crate::feeder::{Appetite, Feeder};
use crate::progress::Progress;
use crate::runner::Runner;
use crate::store::{Phase, StoreError, Version, VersionNumber, ViewStore};
use crate::view::TicketsView;
use crate::{PartitionSet, row::ROW_FORMAT};

/// How often a keeper looks which versions there are.
const LOOKED_EVERY: Duration = Duration::from_millis(500);

/// How long the version before is kept, to be gone back to.
pub const KEPT_FOR: Duration = Duration::from_secs(24 * 60 * 60);

/// What a keeper stands on.
pub struct Keeper {
    /// Where the view is.
    pub store: Arc<dyn ViewStore>,
    /// The truth.
    pub log: Arc<dyn EventLog>,
    /// What the node newly reads of it.
    pub tail: Tail,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// The partitions that are this node's to feed.
    pub share: watch::Receiver<PartitionSet>,
    /// How far the active version has come.
    pub progress: Arc<Progress>,
}

/// Why a keeper could not look.
#[derive(Debug, thiserror::Error)]
enum KeepError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Log(#[from] LogError),
}

/// A version with the task that feeds it.
struct Fed {
    phase: Phase,
    task: JoinHandle<()>,
}

impl Drop for Fed {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Keeper {
    /// Keeps feeding until it is dropped or nobody shares partitions any more.
    pub async fn run(self) {
        let mut fed: HashMap<VersionNumber, Fed> = HashMap::new();
        while self.share.has_changed().is_ok() {
            if let Err(error) = self.look(&mut fed).await {
                let error = &error as &dyn std::error::Error;
                tracing::warn!(error, "projection.versions.unknown");
            }
            sleep(LOOKED_EVERY).await;
        }
    }

    async fn look(&self, fed: &mut HashMap<VersionNumber, Fed>) -> Result<(), KeepError> {
        let versions = self.store.versions().await?;
        let incarnations = self.log.incarnations().await?;
        fed.retain(|number, fed| {
            let same = |one: &Version| one.number == *number && one.phase == fed.phase;
            !fed.task.is_finished() && versions.iter().any(same)
        });
        for version in &versions {
            let feedable = self.adopt(version, &incarnations).await?
                && version.format == ROW_FORMAT
                && version.phase != Phase::Filling;
            if !feedable {
                fed.remove(&version.number);
            } else if !fed.contains_key(&version.number) {
                fed.insert(version.number, self.feed(version));
            }
            let old =
                version.since.plus_micros(KEPT_FOR.as_micros().try_into().unwrap_or(i64::MAX));
            if version.phase == Phase::Kept && old < self.clock.now() {
                self.store.drop_version(version.number).await?;
            }
        }
        Ok(())
    }

    /// Brings a version into the newest incarnation; false where it was beyond a restore of the log.
    async fn adopt(
        &self,
        version: &Version,
        incarnations: &[IncarnationStart],
    ) -> Result<bool, KeepError> {
        let Some(newest) = incarnations.last().map(|start| &start.incarnation) else {
            return Ok(false);
        };
        if version.incarnation.as_ref() == Some(newest) {
            return Ok(true);
        }
        let positions = self.store.checkpoints(version.number).await?;
        if is_beyond(version.incarnation.as_ref(), incarnations, |partition| {
            positions.get(partition)
        }) {
            return Ok(false);
        }
        let named = self.store.go_on_as(version.number, version.incarnation.as_ref(), newest);
        if named.await? && version.phase == Phase::Active {
            // What was known of another log says nothing of this one.
            self.progress.set(positions);
        }
        Ok(true)
    }

    fn feed(&self, version: &Version) -> Fed {
        let sink = Arc::new(TicketsView::new(Arc::clone(&self.store), version.number));
        let source = Arc::new(self.tail.clone());
        let feeder = Feeder::new(source, Arc::clone(&self.log), sink, Appetite::FOLLOW);
        let progress = match version.phase {
            Phase::Active => Arc::clone(&self.progress),
            Phase::Kept | Phase::Filling => Arc::default(),
        };
        let runner = Runner {
            feeder,
            heads: self.tail.heads(),
            share: self.share.clone(),
            progress,
            clock: Arc::clone(&self.clock),
        };
        Fed { phase: version.phase, task: tokio::spawn(runner.run()) }
    }
}

/// Whether positions of an incarnation lie beyond what a restore has left of the log.
pub(crate) fn is_beyond(
    of: Option<&Incarnation>,
    incarnations: &[IncarnationStart],
    position: impl Fn(docket_schemas::Partition) -> Position,
) -> bool {
    // Positions of nobody's are those of a view that was not begun.
    let Some(of) = of else { return false };
    let later = incarnations.iter().filter(|start| start.incarnation.number() > of.number());
    later.into_iter().any(|start| start.heads.iter().any(|(one, head)| position(one) > head))
}
