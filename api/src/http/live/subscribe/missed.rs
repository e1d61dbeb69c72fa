//! What a subscription has missed, read in pages that hold no more than a socket may.

use std::collections::{BTreeMap, VecDeque};

use docket_engine::desk::DeskError;
use docket_engine::ports::log::StreamRead;
use docket_engine::tail::Tail;
use docket_schemas::{Event, Partition, Position, Stream, Tenant, TicketId};

use crate::app::App;
use crate::field_limits::BODY_BYTES_MAX;
use crate::live::feed::weight;

/// Most events of one ticket that are read at once.
const READ_AT_ONCE_MAX: usize = 20;

/// Bytes of events that are held before they are told. One of each ticket is held in any case: which comes first shows
/// only between them.
const HELD_BYTES_MAX: usize = 1024 * 1024;

/// What was missed of several tickets. Those of one partition are read side by side, for one cursor tells how far all of
/// them are.
#[derive(Default)]
pub(in crate::http::live) struct Missed {
    tickets: BTreeMap<Partition, Vec<Stretch>>,
    /// What was read and not handed out yet.
    held_bytes: usize,
}

/// A part of one ticket's history.
struct Stretch {
    read: StreamRead,
    to: Position,
    ready: VecDeque<Event>,
    ended: bool,
}

impl Missed {
    /// Adds what a ticket has behind one position up to another.
    pub(super) fn add(
        &mut self,
        tenant: &Tenant,
        ticket: TicketId,
        (after, to): (Position, Position),
    ) {
        let stream = Stream::ticket(ticket);
        let partition = stream.partition(tenant);
        let read = StreamRead { tenant: tenant.clone(), stream, after };
        let stretch = Stretch { read, to, ready: VecDeque::new(), ended: after >= to };
        self.tickets.entry(partition).or_default().push(stretch);
    }

    /// The next event by position; none at the end.
    pub(in crate::http::live) async fn next(
        &mut self,
        app: &App,
    ) -> Result<Option<Event>, DeskError> {
        self.next_of(&app.live.tail).await
    }

    async fn next_of(&mut self, tail: &Tail) -> Result<Option<Event>, DeskError> {
        while let Some(mut first) = self.tickets.first_entry() {
            let mut least: Option<(Position, usize)> = None;
            for (index, stretch) in first.get_mut().iter_mut().enumerate() {
                self.held_bytes += stretch.fill(tail, self.held_bytes).await?;
                if let Some(event) = stretch.ready.front()
                    && least.is_none_or(|(position, _)| event.position < position)
                {
                    least = Some((event.position, index));
                }
            }
            if let Some((_, index)) = least {
                let next = first.get_mut()[index].ready.pop_front();
                self.held_bytes -= next.as_ref().map_or(0, weight);
                return Ok(next);
            }
            first.remove();
        }
        Ok(None)
    }
}

impl Stretch {
    /// Reads on where nothing is ready, and says how many bytes that are.
    async fn fill(&mut self, tail: &Tail, held_bytes: usize) -> Result<usize, DeskError> {
        if self.ended || !self.ready.is_empty() {
            return Ok(0);
        }
        let page = tail.stream_page(&self.read, readable(held_bytes)).await?;
        self.ended = page.found.len() < page.asked;
        let mut bytes = 0;
        for event in page.found {
            self.read.after = event.position;
            if event.position > self.to {
                self.ended = true;
                break;
            }
            bytes += weight(&event);
            self.ready.push_back(event);
        }
        Ok(bytes)
    }
}

/// How many events may be read where so much is held: how large they are shows only afterwards, so each counts as a text
/// of full length.
fn readable(held_bytes: usize) -> usize {
    let left = HELD_BYTES_MAX.saturating_sub(held_bytes);
    (left / BODY_BYTES_MAX).clamp(1, READ_AT_ONCE_MAX)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use docket_engine::command::Command;
    use docket_engine::testing::Office;
    use docket_schemas::Role;

    use super::*;

    const TICKETS: usize = 5;
    const MESSAGES: usize = 8;
    const MESSAGE_BYTES: usize = 60 * 1024;

    /// Writes to several tickets of one partition by turns, and says which they are.
    async fn busy_tickets(office: &Office) -> Vec<TicketId> {
        let desk = office.desk().await;
        let agent = office.caller(Role::Agent, "ann").await;
        let mut opened: BTreeMap<Partition, Vec<TicketId>> = BTreeMap::new();
        let tickets = loop {
            let ticket = desk.open(office.opening().await).await.expect("it opens").ticket.id;
            let partition = Stream::ticket(ticket).partition(&office.tenant);
            let beside = opened.entry(partition).or_default();
            beside.push(ticket);
            if beside.len() == TICKETS {
                break beside.clone();
            }
        };
        let body = "x".repeat(MESSAGE_BYTES);
        for _ in 0..MESSAGES {
            for ticket in &tickets {
                let intent = office.intent(&agent, *ticket, Command::reply(&body)).await;
                desk.execute(intent).await.expect("it is said");
            }
        }
        tickets
    }

    #[tokio::test]
    async fn what_was_missed_comes_by_position_and_little_of_it_is_held_at_once() {
        let office = Office::new().await;
        let tickets = busy_tickets(&office).await;
        let tail = Tail::follow(Arc::clone(&office.log), &*office.bus).await.expect("a tail");
        let (mut missed, mut expected) = (Missed::default(), Vec::new());
        for ticket in tickets {
            let events = office.events(ticket).await;
            // The last of each is beyond what has to be read.
            let to = events[events.len() - 2].position;
            expected.extend(events.iter().map(|event| event.position).filter(|one| *one <= to));
            missed.add(&office.tenant, ticket, (0, to));
        }
        expected.sort_unstable();
        let (mut met, mut most) = (Vec::new(), 0);
        while let Some(event) = missed.next_of(&tail).await.expect("the log answers") {
            met.push(event.position);
            most = most.max(missed.held_bytes);
        }
        assert_eq!(met, expected);
        assert_eq!(missed.held_bytes, 0);
        let all = TICKETS * MESSAGES * MESSAGE_BYTES;
        assert!((MESSAGE_BYTES..all * 3 / 4).contains(&most), "{most} of {all} bytes");
        assert!(most <= HELD_BYTES_MAX + TICKETS * BODY_BYTES_MAX, "{most} bytes");
    }

    #[test]
    fn fewer_are_read_the_more_is_held_but_never_none() {
        assert_eq!(readable(0), HELD_BYTES_MAX / BODY_BYTES_MAX);
        assert_eq!(readable(HELD_BYTES_MAX / 2), HELD_BYTES_MAX / BODY_BYTES_MAX / 2);
        assert_eq!((readable(HELD_BYTES_MAX - 1), readable(2 * HELD_BYTES_MAX)), (1, 1));
    }
}
