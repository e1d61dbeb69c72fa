//! A rebuild: the next index is filled beside the one that answers, tried, then switched to.

use std::sync::Arc;

use docket_engine::cursor::Positions;
use docket_engine::ports::log::LogError;
use docket_projections::{Appetite, Fed, FeedError, Feeder, FromLog, PartitionSet, SinkError};
use docket_schemas::TicketId;

use super::Indexer;
use crate::home::{IndexHome, Next};
use crate::port::{IndexError, SearchIndex, Standing};
use crate::reading::ReadError;

/// Tickets that are folded anew and compared before an index is switched to.
const SAMPLE_TICKETS: usize = 100;

/// Events by which the new index may be behind the log when the old one is no longer fed: a fraction of a second's work.
const REST_EVENTS_MAX: u64 = 2_000;

/// Rounds in which the new index follows the log until it is that near. Each has less to do than the one before it, as long
/// as events are indexed faster than they are written.
const ROUNDS_MAX: usize = 16;

/// How far a rebuild has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rebuilding {
    /// Events read.
    pub events: u64,
    /// Events of the log.
    pub of: u64,
}

/// Why an index was not rebuilt. The one that answers is as it was.
#[derive(Debug, thiserror::Error)]
pub enum RebuildError {
    /// The log could not be replayed.
    #[error(transparent)]
    Replay(#[from] FeedError),
    /// An index could not be made or read.
    #[error(transparent)]
    Index(#[from] IndexError),
    /// The new index is not what the log says.
    #[error("the new index differs from the log at ticket {0}; it was not switched to")]
    Differs(TicketId),
}

impl From<SinkError> for RebuildError {
    fn from(error: SinkError) -> Self {
        Self::Replay(error.into())
    }
}

impl From<LogError> for RebuildError {
    fn from(error: LogError) -> Self {
        Self::Replay(error.into())
    }
}

impl From<ReadError> for RebuildError {
    fn from(error: ReadError) -> Self {
        SinkError::from(error).into()
    }
}

impl Indexer {
    /// Fills a new index from the first event, and switches `home`, which this indexer feeds, to it once it has come as
    /// far as the one that answers.
    ///
    /// # Errors
    /// The one that answers is as it was then.
    pub async fn rebuild(
        &self,
        home: &IndexHome,
        on_progress: impl FnMut(Rebuilding) + Send,
    ) -> Result<(), RebuildError> {
        let next = home.begin().await?;
        self.fill_and_switch(home, next, on_progress).await
    }

    /// Goes back to the index before the last rebuild once it has caught up; false where there is none.
    ///
    /// # Errors
    /// The one that answers is as it was then.
    pub async fn roll_back(
        &self,
        home: &IndexHome,
        on_progress: impl FnMut(Rebuilding) + Send,
    ) -> Result<bool, RebuildError> {
        let Some(previous) = home.previous().await? else { return Ok(false) };
        self.fill_and_switch(home, previous, on_progress).await?;
        Ok(true)
    }

    async fn fill_and_switch(
        &self,
        home: &IndexHome,
        next: Next,
        mut on_progress: impl FnMut(Rebuilding) + Send,
    ) -> Result<(), RebuildError> {
        let log = &self.reading.log;
        let filler = Arc::new(Self::new(
            Arc::clone(&next.index) as Arc<dyn SearchIndex>,
            Arc::clone(log),
            Arc::clone(&self.reading.keyring),
            Arc::clone(&self.incarnation),
        ));
        let source = Arc::new(FromLog(Arc::clone(log)));
        let sink = Arc::clone(&filler) as _;
        let mut feeder = Feeder::new(source, Arc::clone(log), sink, Appetite::REBUILD);
        feeder.own(PartitionSet::ALL).await?;
        let mut heads = log.heads().await?;
        fill(&mut feeder, &heads, &mut on_progress).await?;
        for _ in 0..ROUNDS_MAX {
            let now = log.heads().await?;
            if now.total().saturating_sub(heads.total()) <= REST_EVENTS_MAX {
                break;
            }
            heads = now;
            fill(&mut feeder, &heads, &mut on_progress).await?;
        }
        filler.commit().await?;
        self.try_sample(&next, &heads).await?;
        // Nobody feeds the old one meanwhile, so that the new one is not behind it.
        let mut taken = self.taken.lock().await;
        fill(&mut feeder, &taken.positions, &mut on_progress).await?;
        filler.commit().await?;
        if filler.taken.lock().await.incarnation != taken.incarnation {
            return Err(SinkError("the log was restored meanwhile".into()).into());
        }
        home.switch(next)?;
        // What was fed to the old one says nothing of the new one.
        self.lose(&mut taken);
        Ok(())
    }

    async fn try_sample(&self, next: &Next, heads: &Positions) -> Result<(), RebuildError> {
        let (_, standings) = next.index.standings().await?;
        let step = standings.len().div_ceil(SAMPLE_TICKETS).max(1);
        for standing in standings.iter().step_by(step) {
            let (partition, position) = (standing.ticket.partition(), standing.ticket.position());
            let opening = self.reading.log.partition_events(partition, position - 1, 1).await?;
            let Some(opening) = opening.first() else { continue };
            let key = (opening.tenant.clone(), TicketId::new(opening.stream.id));
            let Ok(Some(write)) = self.reading.whole(&key, heads.get(partition)).await? else {
                continue;
            };
            let expected = Standing {
                ticket: standing.ticket,
                position: write.ticket.position,
                digest: next.index.digest(&write).whole(),
            };
            if expected != *standing {
                return Err(RebuildError::Differs(key.1));
            }
        }
        Ok(())
    }
}

async fn fill(
    feeder: &mut Feeder,
    upto: &Positions,
    on_progress: &mut (impl FnMut(Rebuilding) + Send),
) -> Result<(), FeedError> {
    while feeder.feed(upto).await? != Fed::Nothing {
        on_progress(Rebuilding { events: feeder.positions().total(), of: upto.total() });
    }
    Ok(())
}
