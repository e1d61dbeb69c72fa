//! The past: a ticket as it was at a version, a time or a position, rebuilt from the log.

use std::sync::Arc;
use std::time::Duration;

use docket_schemas::{Event, Position, Stream, Tenant, TicketId, Timestamp};
use tokio::sync::Semaphore;
use tokio::time::timeout;

use super::{Desk, DeskError};
use crate::command::Refusal;
use crate::graph::head_name;
use crate::ports::log::StreamRead;
use crate::ticket::Ticket;
use crate::version::Version;

/// Most reads of the past at once, of each kind; the others wait, so that the present stays quick.
const PAST_READS_MAX: usize = 2;
/// How long a read of the past waits for its turn.
const PAST_TURN_WITHIN: Duration = Duration::from_secs(10);

/// Turns to read the past, each of which folds a ticket from its first event. Readers have their own, so that however much
/// they ask for, no write that is sent again and no undo stands in their queue.
pub(super) struct PastTurns {
    readers: Arc<Semaphore>,
    writers: Arc<Semaphore>,
}

impl Default for PastTurns {
    fn default() -> Self {
        let turns = || Arc::new(Semaphore::new(PAST_READS_MAX));
        Self { readers: turns(), writers: turns() }
    }
}

/// A point in a ticket's past.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AsOf {
    /// Exactly the changes of this version.
    Version(Version),
    /// What this region's log had recorded by then.
    Time(Timestamp),
    /// What stood in the ticket's partition up to here.
    Position(Position),
}

impl Desk {
    /// A ticket as it was, for somebody who asks to see it; none before it was opened.
    ///
    /// # Errors
    /// [`Refusal::VersionUnknown`] for a version of another ticket; [`DeskError::Overloaded`] where too many ask; else when
    /// the log fails.
    pub async fn as_of(
        &self,
        tenant: &Tenant,
        id: TicketId,
        at: &AsOf,
    ) -> Result<Option<Ticket>, DeskError> {
        self.past(&self.shared.past_turns.readers, tenant, id, at).await
    }

    /// The same for the sake of a write: one that is sent again, or that takes another back.
    ///
    /// # Errors
    /// As [`Desk::as_of`].
    pub async fn as_of_for_write(
        &self,
        tenant: &Tenant,
        id: TicketId,
        at: &AsOf,
    ) -> Result<Option<Ticket>, DeskError> {
        self.past(&self.shared.past_turns.writers, tenant, id, at).await
    }

    async fn past(
        &self,
        turns: &Arc<Semaphore>,
        tenant: &Tenant,
        id: TicketId,
        at: &AsOf,
    ) -> Result<Option<Ticket>, DeskError> {
        let turn = timeout(PAST_TURN_WITHIN, Arc::clone(turns).acquire_owned()).await;
        let turn = turn.map_err(|_| DeskError::Overloaded)?;
        let stream = Stream::ticket(id);
        let read = StreamRead { tenant: tenant.clone(), stream, after: 0 };
        let events = self.ports().log.stream_events(&[read]).await?;
        if events.is_empty() {
            return Ok(None);
        }
        let (tenant, at) = (tenant.clone(), at.clone());
        // Folding a long ticket takes seconds.
        let folding = tokio::task::spawn_blocking(move || {
            // Until it is done, also where nobody waits for it any more.
            let _turn = turn;
            fold_as_of(&tenant, id, &at, &events)
        });
        folding.await.unwrap_or_else(|stopped| Err(DeskError::Damaged(Arc::new(stopped))))
    }
}

/// The ticket that these events, which are all of its own, had come to.
fn fold_as_of(
    tenant: &Tenant,
    id: TicketId,
    at: &AsOf,
    events: &[Event],
) -> Result<Option<Ticket>, DeskError> {
    let past = match at {
        AsOf::Version(version) => {
            let mut whole = Ticket::new(tenant.clone(), id);
            whole.apply_all(events)?;
            let heads = version.heads(&whole.graph).map_err(|_| Refusal::VersionUnknown)?;
            Some((whole.graph.past_of(&heads), whole))
        }
        AsOf::Time(_) | AsOf::Position(_) => None,
    };
    let mut ticket = Ticket::new(tenant.clone(), id);
    for event in events {
        let within = match (at, &past) {
            (AsOf::Time(time), _) => event.recorded_at <= *time,
            (AsOf::Position(position), _) => event.position <= *position,
            (AsOf::Version(_), Some((past, whole))) => {
                event.change.as_ref().is_some_and(|change| {
                    let node = whole.graph.index_of(&head_name(&change.hash));
                    node.is_some_and(|index| past.holds(&whole.graph.nodes()[index]))
                })
            }
            (AsOf::Version(_), None) => false,
        };
        if within {
            ticket.apply(event)?;
        }
    }
    Ok(ticket.facts().is_some().then_some(ticket))
}
