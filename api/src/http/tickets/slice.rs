//! A slice of a ticket's events: as many as asked for, and no more bytes than a node can hold for everybody.

use docket_engine::desk::DeskError;
use docket_engine::ports::log::StreamRead;
use docket_schemas::{Event, Position, Stream};

use super::enter::Entered;
use crate::app::App;
use crate::http::page::{PAGE_BYTES_MAX, READ_AT_ONCE_MAX, weight};

/// Fewest events that are read at once: most of a ticket may be hidden from a customer.
const READ_AT_ONCE_MIN: usize = 20;

/// Events in order.
pub(super) struct Slice {
    pub(super) events: Vec<Event>,
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
    let (mut events, mut bytes) = (Vec::new(), 0);
    loop {
        let page = app.desk.ports().log.stream_page(&read, at_once).await?;
        let Some(last) = page.last() else { return Ok(Slice { events, more: false }) };
        read.after = last.position;
        let ended = page.len() < at_once;
        for event in page.into_iter().filter(&wanted) {
            if events.len() == limit || bytes >= PAGE_BYTES_MAX {
                return Ok(Slice { events, more: true });
            }
            bytes += weight(&event);
            events.push(event);
        }
        if ended {
            return Ok(Slice { events, more: false });
        }
    }
}
