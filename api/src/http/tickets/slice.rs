//! A slice of a ticket's events: as many as asked for, and no more bytes than a node can hold for everybody.

use docket_engine::around::Unreadable;
use docket_engine::desk::DeskError;
use docket_engine::ports::log::StreamRead;
use docket_schemas::{Event, Position, Stream};

use super::enter::Entered;
use crate::app::App;
use crate::http::page::{PAGE_BYTES_MAX, READ_AT_ONCE_MAX};
use crate::live::feed::weight;

/// Fewest events that are read at once: most of a ticket may be hidden from a customer.
const READ_AT_ONCE_MIN: usize = 20;

/// Events in order.
pub(super) struct Slice {
    pub(super) events: Vec<Event>,
    /// Rows among them that cannot be read.
    pub(super) unreadable: Vec<Unreadable>,
    /// Whether there are more behind them.
    pub(super) more: bool,
}

/// At most `limit` events after a position for which `wanted` holds; fewer where they are large, but never none.
pub(super) async fn slice(
    app: &App,
    entered: &Entered,
    after: Position,
    limit: usize,
    wanted: impl Fn(&Event) -> bool,
) -> Result<Slice, DeskError> {
    let at_once = limit.saturating_add(1).clamp(READ_AT_ONCE_MIN, READ_AT_ONCE_MAX);
    let tenant = entered.caller.tenant.clone();
    let mut read = StreamRead { tenant, stream: Stream::ticket(entered.ticket), after };
    let mut slice = Slice { events: Vec::new(), unreadable: Vec::new(), more: false };
    let mut bytes = 0;
    loop {
        let page = app.live.tail.stream_page(&read, at_once).await?;
        let last = page.found.last().map(|event| event.position);
        let ended = page.found.len() < page.asked;
        let passed = page.unreadable.last().map(|row| row.position);
        slice.unreadable.extend(page.unreadable);
        let Some(last) = last.or(passed) else { return Ok(slice) };
        read.after = last;
        for event in page.found.into_iter().filter(&wanted) {
            if slice.events.len() == limit || bytes >= PAGE_BYTES_MAX {
                return Ok(Slice { more: true, ..slice });
            }
            bytes += weight(&event);
            slice.events.push(event);
        }
        if ended {
            return Ok(slice);
        }
    }
}
