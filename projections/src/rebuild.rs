//! Rebuilding: a new version fills beside the active one, is compared with the log, and takes its place in one step.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use docket_engine::cursor::Positions;
use docket_engine::ports::clock::Clock;
use docket_engine::ports::log::{EventLog, LogError};
use docket_schemas::{Incarnation, Partition, Position, Stream};
use futures_util::future::try_join_all;
use parking_lot::Mutex;
use tokio::time::sleep;

use crate::PartitionSet;
use crate::feeder::{Appetite, Fed, FeedError, Feeder};
use crate::folder::{TicketKey, fold_ticket};
use crate::keeper::left_of;
use crate::row::{ROW_FORMAT, TicketRow};
use crate::sink::{Batch, Sink, SinkError, Taken};
use crate::source::FromLog;
use crate::store::{StoreError, VersionNumber, ViewStore};
use crate::view::TicketsView;

/// Partitions that are filled at the same time.
const FILLED_AT_ONCE: usize = 4;

/// Tickets that are folded again to compare them with their rows.
const SAMPLE_TICKETS_MAX: usize = 256;

/// How often a version that has caught up tries to take the active one's place, which goes on meanwhile.
const SWITCH_TRIES_MAX: u32 = 2_000;

/// Pause between these tries.
const SWITCH_PAUSE: Duration = Duration::from_millis(2);

/// So long the new version is fed here after the switch, until every node has noticed.
const FED_AFTER_SWITCH: Duration = Duration::from_secs(2);

/// Why a rebuild came to nothing. The active version is as it was.
#[derive(Debug, thiserror::Error)]
pub enum RebuildError {
    /// Log or store failed.
    #[error(transparent)]
    Feed(#[from] FeedError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The log failed.
    #[error(transparent)]
    Log(#[from] LogError),
    /// The log has no incarnation: no node has ever begun.
    #[error("nothing was ever written to this log")]
    NoLog,
    /// Another rebuild began.
    #[error("another rebuild has taken this one's place")]
    Superseded,
    /// A row is not what its ticket folds to, or is missing.
    #[error("the row of ticket {0} is not what the log says; the active version stays")]
    Differs(docket_schemas::TicketId),
    /// The active version goes on faster than the new one follows.
    #[error("the new version does not catch up with the active one")]
    TooSlow,
}

/// Where a rebuild stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RebuildPhase {
    /// Events are folded into bare tables.
    Filling,
    /// Indexes are made.
    Indexing,
    /// A sample is folded again.
    Comparing,
    /// It waits for the moment in which it has everything that the active version has.
    Switching,
}

/// How far a rebuild has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RebuildProgress {
    /// Where it stands.
    pub phase: RebuildPhase,
    /// Events folded.
    pub events: u64,
    /// Events to be folded, as far as is known.
    pub total: u64,
}

/// A rebuild of the tickets view.
pub struct Rebuild {
    /// Where the view is.
    pub store: Arc<dyn ViewStore>,
    /// The truth.
    pub log: Arc<dyn EventLog>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Told how far it has come.
    pub told: Box<dyn Fn(RebuildProgress) + Send + Sync>,
}

impl Rebuild {
    /// Rebuilds, and answers the version that is active now.
    ///
    /// # Errors
    /// See [`RebuildError`].
    pub async fn run(self) -> Result<VersionNumber, RebuildError> {
        let incarnations = self.log.incarnations().await?;
        let newest = incarnations.last().ok_or(RebuildError::NoLog)?.incarnation.clone();
        let version = self.store.begin(ROW_FORMAT, self.clock.now()).await?;
        let outcome = self.make(version, newest).await;
        if outcome.is_err() {
            // Nobody is to come upon it; where the store does not answer, it is never vouched for and the next one drops it.
            let dropped = self.store.drop_version(version).await;
            dropped.unwrap_or_else(|error| {
                let error = &error as &dyn std::error::Error;
                tracing::warn!(error, version, "projection.rebuild.left");
            });
        }
        outcome.map(|()| version)
    }

    async fn make(&self, version: VersionNumber, newest: Incarnation) -> Result<(), RebuildError> {
        self.store.go_on_as(version, None, &newest, &left_of(None, &[])).await?;
        let sink = Arc::new(Sampled::new(TicketsView::new(
            Arc::clone(&self.store),
            version,
            Some(newest),
        )));
        let heads = self.log.heads().await?;
        self.fill(&sink, &heads).await?;
        self.tell(RebuildPhase::Indexing, &sink, &heads);
        self.store.index(version).await?;
        let mut feeder = self.feeder(Arc::clone(&sink) as Arc<dyn Sink>, Appetite::FOLLOW);
        feeder.own(PartitionSet::ALL).await.map_err(FeedError::from)?;
        self.catch_up(&mut feeder).await?;
        self.tell(RebuildPhase::Comparing, &sink, &heads);
        self.compare(version, sink.sample()).await?;
        self.store.vouch(version).await?;
        self.tell(RebuildPhase::Switching, &sink, &heads);
        self.switch(version, &mut feeder).await?;
        self.follow(&mut feeder).await;
        Ok(())
    }

    fn tell(&self, phase: RebuildPhase, sink: &Sampled, heads: &Positions) {
        let events = sink.events.load(Ordering::Relaxed);
        (self.told)(RebuildProgress { phase, events, total: heads.total().max(events) });
    }

    fn feeder(&self, sink: Arc<dyn Sink>, appetite: Appetite) -> Feeder {
        let source = Arc::new(FromLog(Arc::clone(&self.log)));
        Feeder::new(source, Arc::clone(&self.log), sink, appetite)
    }

    /// Fills a few partitions at a time, each from its first event.
    async fn fill(&self, sink: &Arc<Sampled>, heads: &Positions) -> Result<(), RebuildError> {
        let waiting = Mutex::new(Partition::all().collect::<Vec<_>>());
        let filled = (0..FILLED_AT_ONCE).map(|_| async {
            loop {
                let Some(partition) = waiting.lock().pop() else { return Ok(()) };
                let mut feeder = self.feeder(Arc::clone(sink) as Arc<dyn Sink>, Appetite::REBUILD);
                let one = PartitionSet::NONE.with(partition);
                feeder.own(one).await.map_err(FeedError::from)?;
                loop {
                    match feeder.feed(heads).await? {
                        Fed::Nothing => break,
                        Fed::Events(_) => self.tell(RebuildPhase::Filling, sink, heads),
                        Fed::Fenced => return Err(RebuildError::Superseded),
                    }
                }
            }
        });
        try_join_all(filled).await.map(drop)
    }

    async fn catch_up(&self, feeder: &mut Feeder) -> Result<(), RebuildError> {
        let heads = self.log.heads().await?;
        let mut fenced = 0;
        loop {
            match feeder.feed(&heads).await? {
                Fed::Nothing => return Ok(()),
                Fed::Events(_) => {}
                Fed::Fenced if fenced < SWITCH_TRIES_MAX => fenced += 1,
                Fed::Fenced => return Err(RebuildError::Superseded),
            }
        }
    }

    /// A sample of what went through the sink: each ticket has the row that the log says.
    async fn compare(
        &self,
        version: VersionNumber,
        sample: BTreeSet<TicketKey>,
    ) -> Result<(), RebuildError> {
        let keys: Vec<TicketKey> = sample.iter().cloned().collect();
        let checkpoints = self.store.checkpoints(version).await?;
        let mut rowless = sample;
        for row in self.store.rows(version, &keys).await? {
            let key = (row.tenant.clone(), row.ticket);
            match self.folded(&key, row.position).await? {
                Some(expected) if expected.digest() != row.digest() => {
                    return Err(RebuildError::Differs(row.ticket));
                }
                _ => drop(rowless.remove(&key)),
            }
        }
        for key in rowless {
            let partition = Stream::ticket(key.1).partition(&key.0);
            if self.folded(&key, checkpoints.get(partition)).await?.is_some() {
                return Err(RebuildError::Differs(key.1));
            }
        }
        Ok(())
    }

    /// The row of a ticket; none where it cannot be folded: it is parked, and keeps whatever row it had.
    async fn folded(
        &self,
        key: &TicketKey,
        upto: Position,
    ) -> Result<Option<TicketRow>, RebuildError> {
        let folded = fold_ticket(&*self.log, key, upto).await?;
        let folded = folded.ok().flatten();
        Ok(folded.map(|(state, at, public)| TicketRow::of(&key.0, &state, at, public)))
    }

    async fn switch(
        &self,
        version: VersionNumber,
        feeder: &mut Feeder,
    ) -> Result<(), RebuildError> {
        for _ in 0..SWITCH_TRIES_MAX {
            self.catch_up(feeder).await?;
            if self.store.switch(version, self.clock.now()).await? {
                return Ok(());
            }
            let versions = self.store.versions().await?;
            if !versions.iter().any(|one| one.number == version) {
                return Err(RebuildError::Superseded);
            }
            sleep(SWITCH_PAUSE).await;
        }
        Err(RebuildError::TooSlow)
    }

    async fn follow(&self, feeder: &mut Feeder) {
        let rounds = FED_AFTER_SWITCH.as_millis() / FOLLOW_PAUSE.as_millis();
        for _ in 0..rounds {
            if let Err(error) = self.catch_up(feeder).await {
                let error = &error as &dyn std::error::Error;
                tracing::warn!(error, "projection.rebuild.left");
                return;
            }
            sleep(FOLLOW_PAUSE).await;
        }
    }
}

/// Pause between two looks at the log after the switch.
const FOLLOW_PAUSE: Duration = Duration::from_millis(20);

/// A sink that remembers a few of the tickets that went through it.
struct Sampled {
    view: TicketsView,
    events: AtomicU64,
    sample: Mutex<Sample>,
}

/// Every so many-th ticket, fewer the more there are.
struct Sample {
    tickets: BTreeSet<TicketKey>,
    passed: usize,
    stride: usize,
}

impl Sampled {
    fn new(view: TicketsView) -> Self {
        let sample = Sample { tickets: BTreeSet::new(), passed: 0, stride: 1 };
        Self { view, events: AtomicU64::new(0), sample: Mutex::new(sample) }
    }

    fn sample(&self) -> BTreeSet<TicketKey> {
        self.sample.lock().tickets.clone()
    }
}

#[async_trait]
impl Sink for Sampled {
    fn name(&self) -> &str {
        self.view.name()
    }

    async fn checkpoints(&self, partitions: PartitionSet) -> Result<Positions, SinkError> {
        self.view.checkpoints(partitions).await
    }

    async fn take(&self, batch: &Batch) -> Result<Taken, SinkError> {
        let taken = self.view.take(batch).await?;
        if taken == Taken::Done {
            let mut sample = self.sample.lock();
            for span in &batch.spans {
                self.events.fetch_add(span.upto - span.after, Ordering::Relaxed);
                for news in &span.tickets {
                    sample.pass((news.tenant.clone(), news.ticket));
                }
            }
        }
        Ok(taken)
    }
}

impl Sample {
    fn pass(&mut self, ticket: TicketKey) {
        self.passed += 1;
        if !self.passed.is_multiple_of(self.stride) {
            return;
        }
        self.tickets.insert(ticket);
        if self.tickets.len() > SAMPLE_TICKETS_MAX {
            let mut odd = false;
            self.tickets.retain(|_| {
                odd = !odd;
                odd
            });
            self.stride *= 2;
        }
    }
}
