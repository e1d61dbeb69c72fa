//! The indexer: takes what the runner brings, writes it into the index, commits about once a second.

use std::sync::Arc;

use async_trait::async_trait;
use docket_engine::cursor::{Cursor, Positions};
use docket_engine::keyring::Keyring;
use docket_engine::ports::log::EventLog;
use docket_engine::tail::left_of;
use docket_projections::{Batch, PartitionSet, Poison, Sink, SinkError, Span, Taken, TicketKey};
use docket_schemas::Incarnation;
use tokio::sync::{Mutex, Notify, watch};

use crate::document::Place;
use crate::port::{IndexError, SearchIndex, Writes};
use crate::reading::{ReadError, Reading};

mod follow;
mod rebuild;
pub use follow::{COMMIT_EVERY, COMMIT_SPACING_MIN, Following};
pub use rebuild::{RebuildError, Rebuilding};

/// What the index is called.
pub const SEARCH_INDEX: &str = "search";

/// Tickets written after which a batch is committed at once, so that a rebuild is resumed not far behind.
const COMMIT_TICKETS_MAX: usize = 20_000;

/// The incarnation of what the index is fed with: what is in memory may still be of an older one than the log.
pub type PresentIncarnation = Arc<dyn Fn() -> Incarnation + Send + Sync>;

/// Feeds an index from the log.
pub struct Indexer {
    index: Arc<dyn SearchIndex>,
    reading: Reading,
    incarnation: PresentIncarnation,
    /// How far the index has taken the log, committed or not; held while it is written.
    taken: Mutex<InIndex>,
    /// How far questions are answered, in the incarnation that this is known to be of; none before that is known.
    standing: watch::Sender<Option<Cursor>>,
    /// Told when something was taken.
    news: Notify,
    /// Told when what was taken is lost: who feeds has to ask for the checkpoints again.
    set_back: Notify,
}

#[derive(Debug, Default)]
struct InIndex {
    positions: Positions,
    /// The incarnation that all of it was found to be of; none before it was looked at.
    incarnation: Option<Incarnation>,
    /// Tickets written since the last commit.
    uncommitted: usize,
    /// What was taken is not known: an error has set the index back.
    lost: bool,
}

impl From<IndexError> for SinkError {
    fn from(error: IndexError) -> Self {
        Self(error.into())
    }
}

impl From<ReadError> for SinkError {
    fn from(error: ReadError) -> Self {
        Self(error.into())
    }
}

impl Indexer {
    /// An indexer of an index that nobody else writes.
    #[must_use]
    pub fn new(
        index: Arc<dyn SearchIndex>,
        log: Arc<dyn EventLog>,
        keyring: Arc<Keyring>,
        incarnation: PresentIncarnation,
    ) -> Self {
        let reading = Reading { log, keyring };
        let (news, set_back) = (Notify::new(), Notify::new());
        let (taken, standing) = (Mutex::default(), watch::Sender::default());
        Self { index, reading, incarnation, taken, standing, news, set_back }
    }

    /// The index that it feeds.
    #[must_use]
    pub fn index(&self) -> &Arc<dyn SearchIndex> {
        &self.index
    }

    /// How far questions are answered; none before it is known of which incarnation that is.
    #[must_use]
    pub fn standing(&self) -> watch::Receiver<Option<Cursor>> {
        self.standing.subscribe()
    }

    /// Makes what was taken visible; answers how far that is.
    ///
    /// # Errors
    /// When the index fails; it is fed again from its last commit then.
    pub async fn commit(&self) -> Result<Positions, IndexError> {
        let mut taken = self.taken.lock().await;
        self.commit_taken(&mut taken).await
    }

    async fn commit_taken(&self, taken: &mut InIndex) -> Result<Positions, IndexError> {
        let committed = self.index.commit().await;
        taken.uncommitted = 0;
        match &committed {
            Ok(positions) => self.tell(taken, *positions),
            Err(_) => self.lose(taken),
        }
        committed
    }

    /// Says how far questions are answered.
    fn tell(&self, taken: &InIndex, positions: Positions) {
        if let Some(incarnation) = taken.incarnation.clone() {
            self.standing.send_replace(Some(Cursor { incarnation, positions }));
        }
    }

    /// What was taken is lost, or is another index's.
    fn lose(&self, taken: &mut InIndex) {
        taken.lost = true;
        self.set_back.notify_one();
    }

    /// Writes these tickets anew, as the log has them up to where the index has come: what was changed, removed or added
    /// by hand is mended, and what can no longer be opened is gone. Tickets that the log does not know, or that cannot
    /// be folded, are taken out by their places.
    ///
    /// # Errors
    /// When log, key store or index fail; trying again does no harm.
    pub async fn mend(&self, tickets: &[TicketKey], strangers: &[Place]) -> Result<(), SinkError> {
        let mut taken = self.taken.lock().await;
        if taken.lost {
            return Err(SinkError("the index is being set back to its last commit".into()));
        }
        let Some(mut writes) = self.writes(&taken, Positions::START) else {
            return Err(SinkError("the log was restored, and the index not yet looked at".into()));
        };
        writes.forgotten = strangers.to_vec();
        for key in tickets {
            let partition = docket_schemas::Stream::ticket(key.1).partition(&key.0);
            let upto = taken.positions.get(partition);
            match self.reading.whole(key, upto).await? {
                Ok(Some(write)) => writes.tickets.push(write),
                Ok(None) => {}
                Err(reason) => {
                    tracing::warn!(ticket.id = %key.1, %reason, "search.ticket.unfolded")
                }
            }
        }
        if let Err(error) = self.index.write(writes).await {
            self.lose(&mut taken);
            return Err(error.into());
        }
        self.commit_taken(&mut taken).await?;
        Ok(())
    }

    /// Writes tickets anew whose texts were erased, and then the files that held them, so that nothing of them is left on
    /// the disk.
    ///
    /// # Errors
    /// As [`Indexer::mend`].
    pub async fn erase(&self, tickets: &[TicketKey]) -> Result<(), SinkError> {
        self.reading.keyring.forget();
        self.mend(tickets, &[]).await?;
        Ok(self.index.purge().await?)
    }

    /// Writes under the incarnation that the index was found to be of; none where what feeds it is of another one: after a
    /// restore that was not found out by then, lost events would pass for what the log now has.
    fn writes(&self, taken: &InIndex, upto: Positions) -> Option<Writes> {
        let present = (self.incarnation)();
        let incarnation = taken.incarnation.clone().filter(|found| *found == present)?;
        Some(Writes { incarnation, tickets: Vec::new(), forgotten: Vec::new(), upto })
    }

    async fn resume(&self, taken: &mut InIndex) -> Result<Positions, SinkError> {
        // Where something was lost, this goes back to the last commit first.
        self.index.commit().await?;
        taken.uncommitted = 0;
        let starts = self.reading.log.incarnations().await.map_err(ReadError::Log)?;
        let newest = starts.last().map(|start| start.incarnation.clone());
        if newest.as_ref().is_some_and(|newest| (self.incarnation)() != *newest) {
            return Err(SinkError("what feeds the index is not of the newest incarnation".into()));
        }
        // The log may have been restored from a backup meanwhile, and lack some of what the index was fed with.
        let is_current = |standing: &Cursor| {
            let left = left_of(&standing.incarnation, &starts);
            left.is_some_and(|left| left.covers(&standing.positions))
        };
        if let Some(standing) = self.index.standing().filter(|standing| !is_current(standing)) {
            tracing::warn!(
                incarnation = %standing.incarnation,
                "search.index.rebuilt: the log was restored from before it"
            );
            self.index.clear().await?;
        }
        let standing = self.index.standing();
        taken.positions = standing.map_or(Positions::START, |standing| standing.positions);
        taken.incarnation = newest;
        self.tell(taken, taken.positions);
        Ok(taken.positions)
    }
}

#[async_trait]
impl Sink for Indexer {
    fn name(&self) -> &str {
        SEARCH_INDEX
    }

    async fn checkpoints(&self, _: PartitionSet) -> Result<Positions, SinkError> {
        let mut taken = self.taken.lock().await;
        let resumed = self.resume(&mut taken).await;
        taken.lost = resumed.is_err();
        resumed
    }

    /// Where a new incarnation has begun it is looked at anew, whether anything comes of that or not.
    async fn stands_at(&self, _: PartitionSet, _: &Positions) -> Result<bool, SinkError> {
        let taken = self.taken.lock().await;
        Ok(taken.incarnation.as_ref() == Some(&(self.incarnation)()))
    }

    async fn take(&self, batch: &Batch) -> Result<Taken, SinkError> {
        let mut taken = self.taken.lock().await;
        let follows = |span: &Span| taken.positions.get(span.partition) == span.after;
        if taken.lost || !batch.spans.iter().all(follows) {
            return Ok(Taken::Fenced);
        }
        let mut upto = taken.positions;
        for span in &batch.spans {
            upto.set(span.partition, span.upto);
            span.parked.iter().for_each(park);
        }
        let Some(mut writes) = self.writes(&taken, upto) else { return Ok(Taken::Fenced) };
        writes.tickets =
            self.reading.news(batch.spans.iter().flat_map(|span| &span.tickets)).await?;
        let written = writes.tickets.len();
        if let Err(error) = self.index.write(writes).await {
            self.lose(&mut taken);
            return Err(error.into());
        }
        taken.positions = upto;
        self.news.notify_one();
        taken.uncommitted += written;
        if taken.uncommitted >= COMMIT_TICKETS_MAX {
            self.commit_taken(&mut taken).await?;
        }
        Ok(Taken::Done)
    }
}

/// A ticket that cannot be folded stays as it is in the index; once it can, `diff` finds it.
fn park(poison: &Poison) {
    let Poison { ticket, position, reason } = poison;
    let ticket = ticket.as_ref().map(|(_, id)| id.to_string()).unwrap_or_default();
    tracing::warn!(ticket.id = %ticket, position, %reason, "search.ticket.parked");
}

#[cfg(test)]
mod tests;
