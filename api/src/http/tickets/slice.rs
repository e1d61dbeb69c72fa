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

/// Most rows that are read for one slice: a customer may see few of a ticket's many.
const ROWS_READ_MAX: usize = 2_000;

/// Bytes of rows after which no more are read for one slice.
const BYTES_READ_MAX: usize = 8 * 1024 * 1024;

/// Events in order.
pub(super) struct Slice {
    pub(super) events: Vec<Event>,
    /// Rows among them that cannot be read.
    pub(super) unreadable: Vec<Unreadable>,
    /// Behind which position there may be more; none at the end. It may be beyond the last of the events, for what is not
    /// wanted is passed.
    pub(super) goes_on: Option<Position>,
}

/// At most `limit` events after a position for which `wanted` holds; fewer where they are large, perhaps none where they
/// stand far behind others.
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
    let mut slice = Slice { events: Vec::new(), unreadable: Vec::new(), goes_on: None };
    let mut bytes = 0;
    let (mut rows_read, mut bytes_read) = (0, 0);
    loop {
        let page = app.live.tail.stream_page(&read, at_once).await?;
        let last = page.found.last().map(|event| event.position);
        let ended = page.found.len() < page.asked;
        let passed = page.unreadable.last().map(|row| row.position);
        slice.unreadable.extend(page.unreadable);
        let Some(last) = last.or(passed) else { return Ok(slice) };
        read.after = last;
        rows_read += page.found.len();
        bytes_read += page.found.iter().map(weight).sum::<usize>();
        for event in page.found.into_iter().filter(&wanted) {
            if slice.events.len() == limit || bytes >= PAGE_BYTES_MAX {
                let goes_on = slice.events.last().map(|event| event.position);
                return Ok(Slice { goes_on, ..slice });
            }
            bytes += weight(&event);
            slice.events.push(event);
        }
        if ended {
            return Ok(slice);
        }
        if rows_read >= ROWS_READ_MAX || bytes_read >= BYTES_READ_MAX {
            return Ok(Slice { goes_on: Some(last), ..slice });
        }
    }
}
