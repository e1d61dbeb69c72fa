//! The index compared with a replay of the log, ticket by ticket.

use std::collections::HashMap;
use std::sync::Arc;

use async_trait::async_trait;
use docket_engine::cursor::Positions;
use docket_engine::keyring::Keyring;
use docket_engine::ports::log::EventLog;
use docket_projections::{
    Appetite, Batch, Fed, FeedError, Feeder, FromLog, PartitionSet, Sink, SinkError, Taken,
    TicketKey,
};
use parking_lot::Mutex;

use crate::document::{Extent, Place};
use crate::indexer::SEARCH_INDEX;
use crate::port::{Digest, SearchIndex, Standing};
use crate::reading::Reading;

/// How a ticket's documents differ from what the log says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Drift {
    /// Nothing of it is in the index.
    Missing,
    /// Something of it is missing, too much, or other than it should be.
    Differs,
    /// The log knows no such ticket.
    Stranger,
}

impl Drift {
    /// As operators read it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Missing => "missing",
            Self::Differs => "differs",
            Self::Stranger => "stranger",
        }
    }
}

/// A ticket that differs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// Where its opening should stand.
    pub place: Place,
    /// Whose and which; none for a stranger.
    pub ticket: Option<TicketKey>,
    /// How.
    pub drift: Drift,
}

/// Why nothing was compared.
#[derive(Debug, thiserror::Error)]
pub enum DriftError {
    /// The log could not be replayed.
    #[error(transparent)]
    Replay(#[from] FeedError),
    /// The index could not be read.
    #[error(transparent)]
    Index(#[from] crate::port::IndexError),
}

impl From<SinkError> for DriftError {
    fn from(error: SinkError) -> Self {
        Self::Replay(error.into())
    }
}

/// Compares what an index holds with the log up to where its last commit came; answers how many tickets were compared,
/// and those that differ, by place. `on_events` is told of progress, in events read.
///
/// # Errors
/// When log, key store or index fail.
pub async fn diff(
    index: &Arc<dyn SearchIndex>,
    log: &Arc<dyn EventLog>,
    keyring: &Arc<Keyring>,
    mut on_events: impl FnMut(usize) + Send,
) -> Result<(usize, Vec<Difference>), DriftError> {
    let (positions, standings) = index.standings().await?;
    let replay = Arc::new(Replay {
        index: Arc::clone(index),
        reading: Reading { log: Arc::clone(log), keyring: Arc::clone(keyring) },
        expected: Mutex::default(),
    });
    let source = Arc::new(FromLog(Arc::clone(log)));
    let mut feeder =
        Feeder::new(source, Arc::clone(log), Arc::clone(&replay) as _, Appetite::REBUILD);
    feeder.own(PartitionSet::ALL).await?;
    while let Fed::Events(events) = feeder.feed(&positions).await? {
        on_events(events);
    }
    let expected = std::mem::take(&mut *replay.expected.lock());
    Ok((expected.len(), differences(expected, &standings)))
}

fn differences(mut expected: HashMap<Place, Expected>, standings: &[Standing]) -> Vec<Difference> {
    let mut found = Vec::new();
    for standing in standings {
        let place = standing.ticket;
        match expected.remove(&place) {
            None => found.push(Difference { place, ticket: None, drift: Drift::Stranger }),
            Some(ticket) if !ticket.stands_as(standing) => {
                let drift = Drift::Differs;
                found.push(Difference { place, ticket: Some(ticket.key), drift });
            }
            Some(_) => {}
        }
    }
    found.extend(expected.into_iter().map(|(place, ticket)| Difference {
        place,
        ticket: Some(ticket.key),
        drift: Drift::Missing,
    }));
    found.sort_unstable_by_key(|difference| difference.place);
    found
}

/// What should stand for a ticket.
struct Expected {
    key: TicketKey,
    position: u64,
    digest: Digest,
}

impl Expected {
    fn stands_as(&self, standing: &Standing) -> bool {
        self.position == standing.position && self.digest.whole() == standing.digest
    }
}

/// Takes the log as the index would, and keeps only digests.
struct Replay {
    index: Arc<dyn SearchIndex>,
    reading: Reading,
    expected: Mutex<HashMap<Place, Expected>>,
}

#[async_trait]
impl Sink for Replay {
    fn name(&self) -> &str {
        SEARCH_INDEX
    }

    async fn checkpoints(&self, _: PartitionSet) -> Result<Positions, SinkError> {
        Ok(Positions::START)
    }

    async fn take(&self, batch: &Batch) -> Result<Taken, SinkError> {
        let writes = self.reading.news(batch.spans.iter().flat_map(|span| &span.tickets)).await?;
        let mut expected = self.expected.lock();
        for write in &writes {
            let ticket = &write.ticket;
            let mut digest = self.index.digest(write);
            if write.extent == Extent::Further
                && let Some(before) = expected.get(&ticket.place)
            {
                digest.messages = digest.messages.wrapping_add(before.digest.messages);
            }
            let key = (ticket.tenant.clone(), ticket.ticket);
            expected.insert(ticket.place, Expected { key, position: ticket.position, digest });
        }
        Ok(Taken::Done)
    }
}
