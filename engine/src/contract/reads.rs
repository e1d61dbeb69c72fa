//! Readers: of streams, partitions and tenants, and the look-ups.

use std::collections::HashMap;
use std::sync::Arc;

use docket_schemas::{Draft, Event, EventId, Partition, Position, Stream, Tenant, TicketId};

use super::LogHarness;
use super::drafts::{
    NOON, after, append, batch, check_order, command, draft, draft_of, eu, numbers, opening, place,
    placed, started, tenant, ticket, units,
};
use crate::append::partition_of;
use crate::cursor::Positions;
use crate::ports::log::{Batch, EventLog, READ_EVENTS_MAX, StreamRead};

/// Each stream from its own position, in the order of the question, also when one is asked twice or unknown.
pub async fn streams_are_read_beyond_their_own_positions_in_the_order_asked(
    harness: &impl LogHarness,
) {
    let log = started(harness).await;
    let one = write_stream(&log, ticket(1), 1..=4).await;
    let two = write_stream(&log, ticket(2), 11..=13).await;
    let reads = [
        read(ticket(2), two[0]),
        read(ticket(9), 0),
        read(ticket(1), one[1]),
        read(ticket(2), two[2]),
        read(ticket(1), 0),
    ];
    let events = log.stream_events(&reads).await.expect("the log is available");
    assert_eq!(numbers(&events), [12, 13, 3, 4, 1, 2, 3, 4]);
    let of_another = StreamRead { tenant: tenant("bolt"), ..read(ticket(1), 0) };
    assert!(log.stream_events(&[of_another]).await.expect("an answer").is_empty());
    assert!(log.stream_events(&[]).await.expect("an answer").is_empty());
}

/// A page is never longer than asked, and the pages make the stream.
pub async fn a_page_of_a_stream_is_bounded(harness: &impl LogHarness) {
    let log = started(harness).await;
    let places = write_stream(&log, ticket(1), 1..=7).await;
    let first = log.stream_page(&read(ticket(1), 0), 4).await.expect("a page");
    assert_eq!(numbers(&first), [1, 2, 3, 4]);
    let rest = log.stream_page(&read(ticket(1), places[3]), usize::MAX).await.expect("a page");
    assert_eq!(numbers(&rest), [5, 6, 7]);
    assert!(log.stream_page(&read(ticket(1), places[6]), 4).await.expect("a page").is_empty());
    assert!(log.stream_page(&read(ticket(1), 0), 0).await.expect("a page").is_empty());
}

/// Position by position, at most so many, never more than the port allows.
pub async fn a_partition_is_read_over_all_tenants(harness: &impl LogHarness) {
    let log = started(harness).await;
    let most = u64::try_from(READ_EVENTS_MAX).expect("small");
    let partition = partition_of(&draft_of(&tenant("acme"), ticket(1), 1));
    for chunk in 0..3 {
        let rows = (1..=most / 2).map(|index| {
            let number = chunk * (most / 2) + index;
            let name = tenant(if number % 2 == 0 { "acme" } else { "bolt" });
            let on = (1..).map(|shift| ticket(number * 1_000 + shift));
            let mut drafts = on.map(|ticket| draft_of(&name, ticket, number));
            opening(drafts.find(|draft| partition_of(draft) == partition).expect("1 in 16"))
        });
        append(&log, units(rows)).await;
    }
    let page = log.partition_events(partition, 0, usize::MAX).await.expect("a page");
    assert_eq!(numbers(&page), (1..=most).collect::<Vec<_>>());
    let page = log.partition_events(partition, most - 2, 5).await.expect("a page");
    assert_eq!(numbers(&page), (most - 1..=most + 3).collect::<Vec<_>>());
    let beyond = log.partition_events(partition, most * 2, 5).await.expect("a page");
    assert!(beyond.is_empty());
    let wanted = [(partition, most + 7), (partition, 3), (partition, most * 2), (partition, 0)];
    let mut found = log.events_at(&wanted).await.expect("events");
    found.sort_by_key(|event| event.position);
    assert_eq!(numbers(&found), [3, most + 7]);
    assert_eq!(found[0], log.partition_events(partition, 2, 1).await.expect("a page")[0]);
    assert!(log.events_at(&[]).await.expect("none").is_empty());
}

/// Whatever the page's size, each event comes once, in order, and another tenant's never.
pub async fn a_reader_sees_each_event_of_its_tenant_once(harness: &impl LogHarness) {
    let log = started(harness).await;
    let [acme, bolt] = ["acme", "bolt"].map(tenant);
    for chunk in 0..6 {
        let rows = (1..=40).map(|index| {
            let number = chunk * 40 + index;
            let owner = if number % 3 == 0 { &bolt } else { &acme };
            opening(draft_of(owner, ticket(number), number))
        });
        append(&log, units(rows)).await;
    }
    let heads = log.heads().await.expect("heads");
    for limit in [1, 7, 1_000, usize::MAX] {
        let mut reader = Reader::new(&acme);
        while reader.read_page(&log, limit).await {}
        let expected: Vec<_> = (1..=240).filter(|number| number % 3 != 0).collect();
        assert_eq!(reader.sorted_numbers(), expected, "pages of {limit}");
        assert_eq!(reader.position, heads, "a reader that is through stands at the heads");
    }
    let page = log.tenant_events(&tenant("corp"), &Positions::START, 10).await.expect("a page");
    assert!(page.events.is_empty() && !page.more && page.heads == heads, "{page:?}");
    check_order(&log).await;
}

/// Whatever the page's size, each tenant's events come once, and in each partition without gaps.
pub async fn a_reader_of_everything_sees_each_event_once(harness: &impl LogHarness) {
    let log = started(harness).await;
    for chunk in 0..6 {
        let rows = (1..=40).map(|index| {
            let number = chunk * 40 + index;
            let owner = tenant(if number % 3 == 0 { "bolt" } else { "acme" });
            opening(draft_of(&owner, ticket(number), number))
        });
        append(&log, units(rows)).await;
    }
    let heads = log.heads().await.expect("heads");
    for limit in [1, 7, 1_000, usize::MAX] {
        let mut reader = Reader::of_everything();
        while reader.read_page(&log, limit).await {}
        assert_eq!(reader.sorted_numbers(), (1..=240).collect::<Vec<_>>(), "pages of {limit}");
        assert_eq!(reader.position, heads, "a reader that is through stands at the heads");
    }
    let page = log.events(&heads, 10).await.expect("a page");
    assert!(page.events.is_empty() && !page.more && page.heads == heads, "{page:?}");
}

/// A reader that pages while others write misses nothing and sees nothing twice.
pub async fn a_reader_of_a_growing_log_sees_each_event_once(harness: &impl LogHarness) {
    let log = started(harness).await;
    let writer = harness.second_connection().await;
    let writing = tokio::spawn(async move {
        for chunk in 0..30 {
            let rows = (1..=10).map(|index| {
                let number = chunk * 10 + index;
                opening(draft(ticket(number), number))
            });
            append(&writer, units(rows)).await;
        }
    });
    let acme = tenant("acme");
    let mut reader = Reader::new(&acme);
    while !writing.is_finished() {
        reader.read_page(&log, 7).await;
        tokio::task::yield_now().await;
    }
    writing.await.expect("no panic");
    while reader.read_page(&log, 7).await {}
    assert_eq!(reader.sorted_numbers(), (1..=300).collect::<Vec<_>>());
}

/// By its tenant's command within its partition, by partition and position.
pub async fn an_event_is_found_by_its_command_and_by_its_place(harness: &impl LogHarness) {
    let log = started(harness).await;
    let placed = place(&log, opening(draft(ticket(1), 1))).await;
    let [acme, bolt] = ["acme", "bolt"].map(tenant);
    let of_command = async |tenant, partition, command| -> Option<Event> {
        log.event_of_command(tenant, partition, command).await.expect("an answer")
    };
    let found = of_command(&acme, placed.partition, command(1)).await;
    let found = found.expect("it is stored");
    assert_eq!((found.draft, found.position), (draft(ticket(1), 1), placed.position));
    let elsewhere = Partition::all().find(|other| *other != placed.partition).expect("16");
    assert_eq!(of_command(&acme, elsewhere, command(1)).await, None);
    assert_eq!(of_command(&acme, placed.partition, command(2)).await, None);
    assert_eq!(of_command(&bolt, placed.partition, command(1)).await, None);
    let at = async |partition, position| -> Option<EventId> {
        log.event_id_at(partition, position).await.expect("an answer")
    };
    let event_id = draft(ticket(1), 1).event_id;
    assert_eq!(at(placed.partition, placed.position).await, Some(event_id));
    assert_eq!(at(placed.partition, placed.position + 1).await, None);
    assert_eq!(at(placed.partition, 0).await, None);
    assert_eq!(at(elsewhere, 1).await, None);
}

/// Within the tenant, each ticket once, at most so many.
pub async fn tickets_are_found_by_external_id_oldest_first(harness: &impl LogHarness) {
    let log = started(harness).await;
    let mut written = Vec::new();
    for (name, number, id) in
        [("acme", 3, "X-1"), ("acme", 1, "X-1"), ("acme", 2, "x-1"), ("bolt", 4, "X-1")]
    {
        let draft = draft_of(&tenant(name), ticket(number), number);
        let named = opening(Draft { external_id: Some(id.to_owned()), ..draft });
        // Partitions have times of their own, so the order shows only between times that differ.
        let last = written.last().copied().unwrap_or(NOON);
        let later = Batch { now: last.plus_micros(1_000), ..batch(eu(1), units([named])) };
        let outcomes = log.append(later).await.expect("the log is available");
        written.push(placed(&outcomes[0])[0].recorded_at);
    }
    let find = async |name: &str, id: &str, limit| -> Vec<TicketId> {
        log.tickets_by_external_id(&tenant(name), id, limit).await.expect("an answer")
    };
    assert_eq!(find("acme", "X-1", 10).await, [ticket(3), ticket(1)]);
    assert_eq!(find("acme", "X-1", 1).await, [ticket(3)]);
    assert_eq!(find("bolt", "X-1", 10).await, [ticket(4)]);
    assert!(find("acme", "X", 10).await.is_empty());
}

/// Follows one tenant as a subscriber does: with positions only.
struct Reader<'a> {
    /// Whose events; none for everyone's.
    tenant: Option<&'a Tenant>,
    position: Positions,
    seen: Vec<Event>,
}

impl<'a> Reader<'a> {
    const fn new(tenant: &'a Tenant) -> Self {
        Self { tenant: Some(tenant), position: Positions::START, seen: Vec::new() }
    }

    const fn of_everything() -> Self {
        Self { tenant: None, position: Positions::START, seen: Vec::new() }
    }

    /// Reads a page and answers whether there is more.
    async fn read_page(&mut self, log: &Arc<dyn EventLog>, limit: usize) -> bool {
        let page = match self.tenant {
            Some(tenant) => log.tenant_events(tenant, &self.position, limit).await,
            None => log.events(&self.position, limit).await,
        };
        let page = page.expect("a page");
        assert!(page.events.len() <= limit.min(READ_EVENTS_MAX), "a page is bounded");
        assert!(!page.more || !page.events.is_empty(), "more, and yet nothing to go on with");
        let order = |event: &Event| (event.recorded_at, event.partition, event.position);
        assert!(page.events.is_sorted_by_key(order), "by time, partition, position");
        let mut last: HashMap<Partition, Position> = HashMap::new();
        for event in page.events {
            let whose = self.tenant.unwrap_or(&event.tenant);
            assert_eq!(event.tenant, *whose, "never another tenant's");
            assert!(event.position > self.position.get(event.partition), "never twice");
            let before = last.insert(event.partition, event.position);
            assert!(before < Some(event.position), "in position order");
            self.position.set(event.partition, event.position);
            self.seen.push(event);
        }
        assert!(page.heads.covers(&self.position), "no event beyond the heads of its snapshot");
        if !page.more {
            self.position = page.heads;
        }
        page.more
    }

    fn sorted_numbers(&self) -> Vec<u64> {
        let mut numbers = numbers(&self.seen);
        numbers.sort_unstable();
        numbers
    }
}

fn read(ticket: TicketId, after: Position) -> StreamRead {
    StreamRead { tenant: tenant("acme"), stream: Stream::ticket(ticket), after }
}

async fn write_stream(
    log: &Arc<dyn EventLog>,
    ticket: TicketId,
    numbers: std::ops::RangeInclusive<u64>,
) -> Vec<Position> {
    let mut places = Vec::new();
    for number in numbers {
        let tail = places.last().copied().unwrap_or(0);
        places.push(place(log, after(tail, draft(ticket, number))).await.position);
    }
    places
}
