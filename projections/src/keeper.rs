//! The keeper: on every node, sees to it that each version of the tickets view is fed while it is wanted.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use docket_engine::cursor::Positions;
use docket_engine::ports::clock::Clock;
use docket_engine::ports::leases::{LEASE_TTL, Leases};
use docket_engine::ports::log::{EventLog, IncarnationStart, LogError};
use docket_engine::tail::{self, Tail};
use docket_schemas::{Incarnation, Partition, Position, Timestamp};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::sleep;
use uuid::Uuid;

use crate::feeder::{Appetite, Feeder};
use crate::folder::told;
use crate::progress::Progress;
use crate::rebuild::Rebuild;
use crate::runner::Runner;
use crate::store::{Phase, StoreError, Version, VersionNumber, ViewStore};
use crate::view::TicketsView;
use crate::{PartitionSet, row::ROW_FORMAT};

/// How often a keeper looks which versions there are.
const LOOKED_EVERY: Duration = Duration::from_millis(500);

/// How long the version before is kept, to be gone back to.
pub const KEPT_FOR: Duration = Duration::from_secs(24 * 60 * 60);

/// How long a rebuild that nobody asked for waits after one that has failed.
const REBUILD_RETRIED_AFTER: Duration = Duration::from_secs(10);

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
    /// Of all nodes one rebuilds.
    pub leases: Arc<dyn Leases>,
    /// This node.
    pub node: Uuid,
}

/// The lease of whoever rebuilds the tickets view.
pub const REBUILD_LEASE: &str = "rebuild/tickets";

/// Why a keeper could not look.
#[derive(Debug, thiserror::Error)]
enum KeepError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Log(#[from] LogError),
}

/// What a keeper has under way.
#[derive(Default)]
struct Kept {
    /// What the log was when feeding began.
    incarnation: Option<Incarnation>,
    fed: HashMap<VersionNumber, Fed>,
    rebuild: Option<Running>,
    /// Before this no rebuild begins by itself: the last one has failed.
    not_before: Timestamp,
}

/// A rebuild under way.
struct Running {
    /// Who asked for it, if anybody did.
    request: Option<u64>,
    task: JoinHandle<Result<(), String>>,
}

impl Drop for Running {
    fn drop(&mut self) {
        self.task.abort();
    }
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
        let mut kept = Kept::default();
        while self.share.has_changed().is_ok() {
            if let Err(error) = self.look(&mut kept).await {
                let error = &error as &dyn std::error::Error;
                tracing::warn!(error, "projection.versions.unknown");
            }
            sleep(LOOKED_EVERY).await;
        }
    }

    async fn look(&self, kept: &mut Kept) -> Result<(), KeepError> {
        let versions = self.store.versions().await?;
        let incarnations = self.log.incarnations().await?;
        let newest = incarnations.last().map(|start| start.incarnation.clone());
        if kept.incarnation != newest {
            // The log was restored: what was folded of it, and how far that came, says nothing of what it now holds. Who
            // waits asks the store.
            kept.fed.clear();
            self.progress.set(Positions::START);
            kept.incarnation = newest.clone();
        }
        // What the tail holds in memory may be what the log has lost.
        if newest.is_some_and(|newest| !self.tail.is_of(&newest)) {
            return Ok(());
        }
        let active_is_fed = self.look_at(&versions, &incarnations, &mut kept.fed).await?;
        self.look_after_rebuild(kept, active_is_fed).await
    }

    /// Feeds what is to be fed; answers whether the active version is among it.
    async fn look_at(
        &self,
        versions: &[Version],
        incarnations: &[IncarnationStart],
        fed: &mut HashMap<VersionNumber, Fed>,
    ) -> Result<bool, KeepError> {
        let mut active_is_fed = true;
        fed.retain(|number, fed| {
            let same = |one: &Version| one.number == *number && one.phase == fed.phase;
            !fed.task.is_finished() && versions.iter().any(same)
        });
        for version in versions {
            let feedable = self.adopt(version, incarnations).await?
                && version.format == ROW_FORMAT
                && version.phase != Phase::Filling;
            if !feedable {
                fed.remove(&version.number);
                active_is_fed &= version.phase != Phase::Active;
            } else {
                let newest = incarnations.last().map(|start| start.incarnation.clone());
                fed.entry(version.number).or_insert_with(|| self.feed(version, newest));
            }
            let old =
                version.since.plus_micros(KEPT_FOR.as_micros().try_into().unwrap_or(i64::MAX));
            if version.phase == Phase::Kept && old < self.clock.now() {
                self.store.drop_version(version.number).await?;
            }
        }
        Ok(active_is_fed)
    }

    /// Begins a rebuild that was asked for, or that a restored log or a new release makes necessary; ends one that is
    /// done.
    async fn look_after_rebuild(
        &self,
        kept: &mut Kept,
        active_is_fed: bool,
    ) -> Result<(), KeepError> {
        if let Some(mut running) = kept.rebuild.take() {
            if !running.task.is_finished() {
                // Losing the lease is no reason to stop: a rebuild that begins elsewhere fences this one.
                let _ = self.leases.hold(REBUILD_LEASE, self.node, LEASE_TTL).await;
                kept.rebuild = Some(running);
                return Ok(());
            }
            let outcome = match (&mut running.task).await {
                Ok(outcome) => outcome,
                Err(stopped) => Err(stopped.to_string()),
            };
            if let Err(reason) = &outcome {
                tracing::error!(reason, "projection.rebuild.failed");
                let pause = i64::try_from(REBUILD_RETRIED_AFTER.as_micros()).unwrap_or(i64::MAX);
                kept.not_before = self.clock.now().plus_micros(pause);
            }
            if let Some(id) = running.request {
                self.store.end_rebuild(id, outcome, self.clock.now()).await?;
            }
            self.leases.release(REBUILD_LEASE, self.node).await?;
        }
        let request = self.store.rebuild_request(None).await?.map(|request| request.id);
        let by_itself = !active_is_fed && kept.not_before <= self.clock.now();
        if request.is_none() && !by_itself {
            return Ok(());
        }
        if self.leases.hold(REBUILD_LEASE, self.node, LEASE_TTL).await?.is_some() {
            kept.rebuild = Some(Running { request, task: tokio::spawn(self.rebuild()) });
        }
        Ok(())
    }

    fn rebuild(&self) -> impl Future<Output = Result<(), String>> + Send + 'static {
        tracing::info!("projection.rebuild.begun");
        let rebuild = Rebuild {
            store: Arc::clone(&self.store),
            log: Arc::clone(&self.log),
            clock: Arc::clone(&self.clock),
            told: Box::new(|_| {}),
        };
        async move {
            match rebuild.run().await {
                Ok(version) => {
                    tracing::info!(version, "projection.rebuild.done");
                    Ok(())
                }
                Err(error) => Err(told(&error)),
            }
        }
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
        // Where another node was quicker it has said the same.
        let of = version.incarnation.as_ref();
        let within = left_of(of, incarnations);
        if self.store.go_on_as(version.number, of, newest, &within).await? {
            return Ok(true);
        }
        let positions = self.store.checkpoints(version.number).await?;
        Ok(within.covers(&positions))
    }

    fn feed(&self, version: &Version, newest: Option<Incarnation>) -> Fed {
        let sink = Arc::new(TicketsView::new(Arc::clone(&self.store), version.number, newest));
        let source = Arc::new(self.tail.clone());
        let feeder = Feeder::new(source, Arc::clone(&self.log), sink, Appetite::FOLLOW);
        let progress = match version.phase {
            Phase::Active => Arc::clone(&self.progress),
            Phase::Kept | Phase::Filling => Arc::default(),
        };
        let runner = Runner {
            feeder,
            heads: self.tail.heads(),
            restores: self.tail.restores(),
            share: self.share.clone(),
            awaited: Arc::clone(&progress),
            progress,
            clock: Arc::clone(&self.clock),
        };
        Fed { phase: version.phase, task: tokio::spawn(runner.run()) }
    }
}

/// How far restores have left the log of an incarnation: what positions of it may go on from.
pub(crate) fn left_of(of: Option<&Incarnation>, incarnations: &[IncarnationStart]) -> Positions {
    // Where one that the log does not list parted from it is not known: nothing of it is left.
    if let Some(of) = of {
        return tail::left_of(of, incarnations).unwrap_or(Positions::START);
    }
    // Positions of nobody's are those of a view that was not begun.
    let mut all = Positions::START;
    Partition::all().for_each(|partition| all.set(partition, Position::MAX));
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_view_of_an_incarnation_that_the_log_does_not_list_is_not_gone_on_with() {
        let incarnation = |name: &str| name.parse::<Incarnation>().expect("a name");
        let start = |name, position| {
            let mut heads = Positions::START;
            Partition::all().for_each(|partition| heads.set(partition, position));
            IncarnationStart { incarnation: incarnation(name), heads }
        };
        let starts = [start("eu.1", 0), start("eu.3", 130)];
        let left = |name| left_of(Some(&incarnation(name)), &starts);
        assert_eq!(left("eu.2"), Positions::START);
        assert_eq!(left("eu.1"), start("eu.1", 130).heads);
        assert_eq!(left_of(None, &starts), left("eu.3"));
    }
}
