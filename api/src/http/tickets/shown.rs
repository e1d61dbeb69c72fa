//! Messages of several streams in one list: a target's and those of the tickets that were merged into it.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use docket_engine::desk::DeskError;
use docket_engine::policy::Audience;
use docket_engine::ports::log::StreamRead;
use docket_engine::ticket::ShownMessage;
use docket_schemas::{Event, MessageId, Position, Stream, Tenant, TicketId, Timestamp};
use uuid::Uuid;

use super::enter::Entered;
use super::list_messages::{After, Listed};
use super::refusal::problem;
use crate::app::App;
use crate::http::page::{PAGE_BYTES_MAX, READ_AT_ONCE_MAX};
use crate::http::place_cursor::PlaceCursor;
use crate::live::feed::weight;
use crate::problem::Problem;

/// What such a list is sorted by: a page goes on behind it. As text it is base64url of the byte 2, microseconds since
/// 1970 and the message's id; no cursor of the log begins with that byte.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct MessageKey {
    created_at: Timestamp,
    id: MessageId,
}

/// The first byte of every key.
const FORMAT: u8 = 2;

impl MessageKey {
    const fn of(message: &ShownMessage) -> Self {
        Self { created_at: message.created_at, id: message.id }
    }

    /// None where the text is no key.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let (time, id) = PlaceCursor::unbound(FORMAT).place(text)?;
        let created_at = Timestamp::from_micros(time);
        Some(Self { created_at, id: MessageId::new(Uuid::from_bytes(id)) })
    }

    fn text(self) -> String {
        PlaceCursor::unbound(FORMAT).write(self.created_at.micros(), *self.id.as_bytes())
    }
}

/// A page of what `ticket` shows, as this audience sees it.
pub(super) async fn shown(
    app: &App,
    entered: &Entered,
    ticket: TicketId,
    after: After,
    size: usize,
) -> Result<Listed, Problem> {
    let tenant = &entered.caller.tenant;
    let all = app.desk.shown_messages(tenant, ticket).await.map_err(problem)?;
    let all = all.ok_or_else(Problem::not_found)?;
    let after = match after {
        After::Key(key) => Some(key),
        After::Position(position) => {
            let own = all.iter().filter(|one| one.stands_on == entered.ticket);
            walked(own.map(|one| (one.position, MessageKey::of(one))), position)
        }
    };
    let staff = entered.audience == Audience::Staff;
    let mut rest = all.iter().filter(|one| {
        (staff || one.public) && after.is_none_or(|after| MessageKey::of(one) > after)
    });
    let page: Vec<ShownMessage> = rest.by_ref().take(size).copied().collect();
    let mut more = rest.next().is_some();
    let mut stored = read(app, tenant, &page).await.map_err(problem)?;
    let (mut events, mut bytes, mut last) = (Vec::with_capacity(page.len()), 0, None);
    for message in &page {
        if bytes >= PAGE_BYTES_MAX {
            more = true;
            break;
        }
        last = Some(MessageKey::of(message));
        if let Some(event) = stored.remove(&(message.stands_on, message.position)) {
            bytes += weight(&event);
            events.push(event);
        }
    }
    let after_cursor = last.filter(|_| more).map(MessageKey::text);
    Ok(Listed { events, after_cursor })
}

/// Where a walk goes on that began before a merge, when the list went by places: behind the last message that it has met, but
/// before the first that it has not. Clocks may differ from the log's order, and then some come twice.
fn walked(
    own: impl Iterator<Item = (Position, MessageKey)> + Clone,
    position: Position,
) -> Option<MessageKey> {
    let keys = |met: bool| {
        let own = own.clone().filter(move |(place, _)| (*place <= position) == met);
        own.map(|(_, key)| key)
    };
    let first_left = keys(false).min();
    keys(true).filter(|key| first_left.is_none_or(|left| *key < left)).max()
}

/// The events of a page, by stream and place.
async fn read(
    app: &App,
    tenant: &Tenant,
    page: &[ShownMessage],
) -> Result<HashMap<(TicketId, Position), Event>, DeskError> {
    let mut wanted: BTreeMap<TicketId, BTreeSet<Position>> = BTreeMap::new();
    for message in page {
        wanted.entry(message.stands_on).or_default().insert(message.position);
    }
    let mut found = HashMap::with_capacity(page.len());
    for (ticket, positions) in wanted {
        let (Some(first), Some(last)) = (positions.first(), positions.last()) else { continue };
        let after = first.saturating_sub(1);
        let stream = Stream::ticket(ticket);
        let mut read = StreamRead { tenant: tenant.clone(), stream, after };
        while read.after < *last {
            let events = app.live.tail.stream_page(&read, READ_AT_ONCE_MAX).await?.found;
            let Some(reached) = events.last() else { break };
            read.after = reached.position;
            let events = events.into_iter().filter(|event| positions.contains(&event.position));
            found.extend(events.map(|event| ((ticket, event.position), event)));
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_reads_back_and_no_cursor_is_one() {
        let id = MessageId::new(Uuid::from_u64_pair(1, 2));
        let key = MessageKey { created_at: Timestamp::from_micros(-7), id };
        assert_eq!(MessageKey::parse(&key.text()), Some(key));
        let positions = docket_engine::cursor::Positions::START;
        let incarnation = "eu.1".parse().unwrap();
        let cursor = docket_engine::cursor::Cursor { incarnation, positions }.to_string();
        for wrong in ["", "Ag", &cursor, &key.text()[2..], "💥"] {
            assert_eq!(MessageKey::parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_walk_by_places_goes_on_by_times_and_misses_nothing() {
        let key = |time| {
            let id = MessageId::new(Uuid::nil());
            MessageKey { created_at: Timestamp::from_micros(time), id }
        };
        // The third was accepted after the second, and is older by its node's clock.
        let own = [(10, key(1)), (20, key(5)), (30, key(3)), (40, key(7))];
        for (position, behind) in
            [(0, None), (10, Some(1)), (20, Some(1)), (30, Some(5)), (40, Some(7))]
        {
            assert_eq!(walked(own.into_iter(), position), behind.map(key), "{position}");
        }
    }
}
