//! The feeder: reads what is new in some partitions, folds it, hands it to a sink.

use std::sync::Arc;
use std::time::Duration;

use docket_engine::around::Unreadable;
use docket_engine::cursor::Positions;
use docket_engine::hot::Room;
use docket_engine::ports::log::{EventLog, LogError, READ_EVENTS_MAX};
use docket_schemas::{Event, Partition, Position};
use futures_util::future::try_join_all;

use crate::PartitionSet;
use crate::folder::Folder;
use crate::sink::{Batch, Poison, Sink, SinkError, Span, Taken};
use crate::source::EventSource;

/// How much a feeder takes at once.
#[derive(Debug, Clone, Copy)]
pub struct Appetite {
    /// Most events of one batch, over all partitions.
    pub batch_events_max: usize,
    /// Most bytes of texts and changes that are read of one partition at once.
    pub batch_bytes_max: usize,
    /// Tickets remembered between batches.
    pub hot: Room,
    /// Least pause after a batch that was more than a trickle, while nobody waits.
    pub rest_min: Duration,
    /// Turns in which the partitions are fed while events gather.
    pub turns_max: u8,
}

impl Appetite {
    /// For following the log: whatever is new, soon visible.
    pub const FOLLOW: Self = Self {
        batch_events_max: 32_000,
        batch_bytes_max: 16 * 1024 * 1024,
        hot: Room { bytes: 512 * 1024 * 1024, values: 8_192 },
        rest_min: Duration::ZERO,
        turns_max: 8,
    };

    /// For a rebuild: a ticket is written once for many of its events.
    pub const REBUILD: Self = Self {
        batch_events_max: 40_000,
        batch_bytes_max: 64 * 1024 * 1024,
        hot: Room { bytes: 64 * 1024 * 1024, values: 4_096 },
        rest_min: Duration::ZERO,
        turns_max: 8,
    };
}

/// Why nothing was fed. Trying again may help.
#[derive(Debug, thiserror::Error)]
pub enum FeedError {
    /// The log failed.
    #[error(transparent)]
    Log(#[from] LogError),
    /// The sink did.
    #[error(transparent)]
    Sink(#[from] SinkError),
}

/// What came of a turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fed {
    /// There was nothing new.
    Nothing,
    /// So many events were taken.
    Events(usize),
    /// Somebody else feeds the sink; the checkpoints were read again.
    Fenced,
}

/// Feeds one sink with the events of the partitions that it owns.
pub struct Feeder {
    source: Arc<dyn EventSource>,
    folder: Folder,
    sink: Arc<dyn Sink>,
    appetite: Appetite,
    owned: PartitionSet,
    positions: Positions,
}

impl Feeder {
    /// A feeder that owns nothing yet.
    #[must_use]
    pub fn new(
        source: Arc<dyn EventSource>,
        log: Arc<dyn EventLog>,
        sink: Arc<dyn Sink>,
        appetite: Appetite,
    ) -> Self {
        Self {
            source,
            folder: Folder::new(log, appetite.hot),
            sink,
            appetite,
            owned: PartitionSet::NONE,
            positions: Positions::START,
        }
    }

    /// Feeds these partitions from now on.
    ///
    /// # Errors
    /// When the sink does not say how far it has come; the feeder owns what it did before.
    pub async fn own(&mut self, partitions: PartitionSet) -> Result<(), SinkError> {
        let gained = partitions.except(self.owned);
        if !gained.is_empty() {
            // Others may have fed these partitions since their tickets were folded here.
            self.begin_again_in(gained).await?;
        }
        self.owned = partitions;
        Ok(())
    }

    /// What it owns.
    #[must_use]
    pub const fn owned(&self) -> PartitionSet {
        self.owned
    }

    /// How much it takes at once.
    #[must_use]
    pub const fn appetite(&self) -> &Appetite {
        &self.appetite
    }

    /// How far it has come in what it owns.
    #[must_use]
    pub const fn positions(&self) -> &Positions {
        &self.positions
    }

    /// Those of `partitions` in which something is to be read up to `heads`.
    fn behind(&self, partitions: PartitionSet, heads: &Positions) -> PartitionSet {
        partitions.iter().filter(|one| self.positions.get(*one) < heads.get(*one)).collect()
    }

    /// Whether something of these partitions, which it owns, is to be read up to `heads`.
    #[must_use]
    pub fn is_behind(&self, partitions: PartitionSet, heads: &Positions) -> bool {
        !self.behind(partitions, heads).is_empty()
    }

    /// Feeds one batch of what lies between its positions and `heads`.
    ///
    /// # Errors
    /// As [`Feeder::feed_some`].
    pub async fn feed(&mut self, heads: &Positions) -> Result<Fed, FeedError> {
        self.feed_some(self.owned, heads).await
    }

    /// Feeds one batch of what lies between its positions and `heads` in these partitions, which it owns.
    ///
    /// # Errors
    /// When log or sink fail; the same batch is fed the next time.
    pub async fn feed_some(
        &mut self,
        partitions: PartitionSet,
        heads: &Positions,
    ) -> Result<Fed, FeedError> {
        let behind: Vec<Partition> = self.behind(partitions, heads).iter().collect();
        if behind.is_empty() {
            return Ok(Fed::Nothing);
        }
        let share = (self.appetite.batch_events_max / behind.len()).max(SHARE_EVENTS_MIN);
        let reads = behind.into_iter().map(|partition| {
            let after = self.positions.get(partition);
            let limits = (share, self.appetite.batch_bytes_max);
            read(&*self.source, partition, after, heads.get(partition), limits)
        });
        let stretches = try_join_all(reads).await?;
        let events = stretches.iter().map(|stretch| stretch.events.len()).sum();
        let mut spans = Vec::with_capacity(stretches.len());
        for stretch in stretches {
            match self.span(stretch).await {
                Ok(span) => spans.extend(span),
                Err(error) => return Err(self.failed(error.into())),
            }
        }
        if spans.is_empty() {
            return Ok(Fed::Nothing);
        }
        let batch = Batch { spans };
        match self.sink.take(&batch).await {
            Ok(Taken::Done) => {
                for span in &batch.spans {
                    self.positions.set(span.partition, span.upto);
                }
                Ok(Fed::Events(events))
            }
            Ok(Taken::Fenced) => {
                self.begin_again().await?;
                Ok(Fed::Fenced)
            }
            Err(error) => Err(self.failed(error.into())),
        }
    }

    /// What was folded for a batch that was not taken is ahead of the checkpoint.
    fn failed(&mut self, error: FeedError) -> FeedError {
        self.folder.clear();
        error
    }

    /// Goes on from where the sink says that it has come, with nothing in memory.
    ///
    /// # Errors
    /// When the sink does not say; the feeder is as it was.
    pub async fn begin_again(&mut self) -> Result<(), SinkError> {
        self.begin_again_in(self.owned).await
    }

    /// Begins again where the sink stands elsewhere than it was fed to.
    ///
    /// # Errors
    /// When the sink does not say; the feeder is as it was.
    pub async fn look_at_sink(&mut self) -> Result<(), SinkError> {
        if !self.sink.stands_at(self.owned, &self.positions).await? {
            tracing::info!(projection = self.sink.name(), "projection.feed.begun_again");
            self.begin_again().await?;
        }
        Ok(())
    }

    async fn begin_again_in(&mut self, partitions: PartitionSet) -> Result<(), SinkError> {
        self.folder.clear();
        let checkpoints = self.sink.checkpoints(partitions).await?;
        for partition in partitions.iter() {
            self.positions.set(partition, checkpoints.get(partition));
        }
        Ok(())
    }

    async fn span(&mut self, stretch: Stretch) -> Result<Option<Span>, LogError> {
        let Stretch { partition, after, events, unreadable } = stretch;
        let last = events.last().map(|event| (event.position, event.recorded_at));
        let skipped = unreadable.last().map_or(0, |poison| poison.position);
        let upto = skipped.max(last.map_or(0, |(position, _)| position));
        if upto == 0 {
            return Ok(None);
        }
        let folded = self.folder.fold(&events, upto).await?;
        let mut parked = folded.parked;
        parked.extend(unreadable);
        let recorded_at = last.map(|(_, at)| at).unwrap_or_default();
        Ok(Some(Span { partition, after, upto, recorded_at, tickets: folded.news, parked }))
    }
}

/// Events of one partition that are read at least, however many are behind.
const SHARE_EVENTS_MIN: usize = 100;

/// Events that stand together in a partition.
pub(crate) struct Stretch {
    partition: Partition,
    after: Position,
    pub(crate) events: Vec<Arc<Event>>,
    /// Places that cannot be read at all.
    pub(crate) unreadable: Vec<Poison>,
}

/// Events after a position up to another one, within limits of their number and bytes.
pub(crate) async fn read(
    source: &dyn EventSource,
    partition: Partition,
    after: Position,
    upto: Position,
    (limit, bytes_max): (usize, usize),
) -> Result<Stretch, LogError> {
    let mut stretch = Stretch { partition, after, events: Vec::new(), unreadable: Vec::new() };
    let (mut at, mut bytes) = (after, 0);
    while at < upto && stretch.events.len() < limit && bytes < bytes_max {
        let wanted = READ_EVENTS_MAX.min(limit - stretch.events.len());
        let wanted = wanted.min(usize::try_from(upto - at).unwrap_or(usize::MAX));
        let read = source.read(partition, (at, upto), wanted).await?;
        let Some(last) = read.upto else { break };
        at = last;
        bytes += read.events.iter().map(|event| weight(event)).sum::<usize>();
        stretch.events.extend(read.events);
        let poison =
            |row: Unreadable| Poison { ticket: None, position: row.position, reason: row.reason };
        stretch.unreadable.extend(read.unreadable.into_iter().map(poison));
    }
    Ok(stretch)
}

fn weight(event: &Event) -> usize {
    let sealed = event.sealed.as_ref().map_or(0, |sealed| sealed.bytes.len());
    let change = event.change.as_ref().map_or(0, |change| change.bytes.len());
    event.data.len() + sealed + change
}
