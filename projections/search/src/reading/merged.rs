//! What a ticket shows of those that were merged into it: a prefix of each, read from the log.

use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};

use docket_engine::ticket::{FoldError, Ticket};
use docket_projections::{News, TicketKey};
use docket_schemas::{CommandId, Event, EventType, Position, TicketEvent, TicketId};

use super::{ReadError, Reading, is_message};

/// Whether news change which ticket shows messages, or are of a ticket that shows none.
pub(super) fn moves_messages(news: &News) -> bool {
    let into = news.state.merge.as_ref().is_some_and(|mark| mark.into.is_some());
    into || news.events.iter().any(|event| {
        matches!(
            event.event_type,
            EventType::Ticket(
                TicketEvent::Merged
                    | TicketEvent::Unmerged
                    | TicketEvent::MergeAttached
                    | TicketEvent::MergeDetached
            )
        )
    })
}

impl Reading {
    /// The messages that a ticket of these events shows: its own and those of its sources, or none while it is merged
    /// itself.
    pub(super) async fn shown(
        &self,
        key: &TicketKey,
        own: Vec<Event>,
    ) -> Result<Vec<Event>, ReadError> {
        let mut waiting: Vec<(TicketId, CommandId)> = match fold(key, &own) {
            None => return Ok(messages_of(own)),
            Some(ticket) if ticket.merges().merged().is_some() => return Ok(Vec::new()),
            Some(ticket) => {
                ticket.merges().attached().map(|one| (one.source, one.merged)).collect()
            }
        };
        let mut shown = messages_of(own);
        let mut seen = BTreeSet::new();
        while let Some((source, merged)) = waiting.pop() {
            if source == key.1 || !seen.insert((source, merged)) {
                continue;
            }
            // What a merge shows of a source is fixed, however far the source has come since.
            let key = (key.0.clone(), source);
            let events = self.events(&key, Position::MAX).await?;
            let prefix = fold(&key, &events).and_then(|ticket| ticket.prefix(merged));
            let Some(mut prefix) = prefix else {
                tracing::warn!(ticket.id = %source, "search.source.unfolded");
                continue;
            };
            let places: BTreeSet<Position> =
                prefix.messages.iter().map(|message| message.position).collect();
            let wanted = |event: &Event| places.contains(&event.position);
            shown.extend(messages_of(events).into_iter().filter(wanted));
            waiting.append(&mut prefix.attached);
        }
        Ok(shown)
    }
}

fn messages_of(mut events: Vec<Event>) -> Vec<Event> {
    events.retain(is_message);
    events
}

/// The ticket of these events; none where they cannot be folded.
fn fold(key: &TicketKey, events: &[Event]) -> Option<Ticket> {
    let folding = || -> Result<Ticket, FoldError> {
        let mut ticket = Ticket::new(key.0.clone(), key.1);
        events.iter().try_for_each(|event| ticket.apply(event))?;
        Ok(ticket)
    };
    // Automerge panics on some changes that it cannot read.
    catch_unwind(AssertUnwindSafe(folding)).ok()?.ok()
}
