//! Two connections at once, and futures that are dropped.

use std::sync::Arc;
use std::time::Duration;

use docket_schemas::{Position, SlotKey};

use super::LogHarness;
use super::drafts::{
    after, append, append_one, batch, check_order, draft, eu, events_of, numbers, opening, place,
    placed, started, taking, ticket, unit, units,
};
use crate::ports::log::{EventLog, Row, StreamRead, Unit, UnitOutcome};

/// Where two event ids in opposite order deadlock a naive insert.
pub async fn the_same_commands_in_opposite_order_are_stored_once(harness: &impl LogHarness) {
    let log = started(harness).await;
    let other = harness.second_connection().await;
    for round in 0..10 {
        let rows = |order: Vec<u64>| {
            units(order.into_iter().map(|number| opening(draft(ticket(number), number))))
        };
        let numbers: Vec<u64> = (1..=40).map(|index| round * 40 + index).collect();
        let backwards = numbers.iter().rev().copied().collect();
        let ours = appending(log.clone(), rows(numbers));
        let (ours, theirs) = both(ours, appending(other.clone(), rows(backwards))).await;
        for (ours, theirs) in ours.iter().zip(theirs.iter().rev()) {
            let appended = [ours, theirs].map(|one| matches!(one, UnitOutcome::Appended(_)));
            let known = [ours, theirs].map(|one| matches!(one, UnitOutcome::Duplicate { .. }));
            assert_eq!(appended.map(|one| !one), known, "{ours:?} {theirs:?}");
            assert_eq!(appended.iter().filter(|one| **one).count(), 1, "stored by one of them");
        }
    }
    check_order(&log).await;
    assert_eq!(log.heads().await.expect("heads").total(), 400);
}

/// However the two are interleaved, each slot has one holder, and the loser is told who.
pub async fn a_hundred_slots_have_one_winner_each(harness: &impl LogHarness) {
    let log = started(harness).await;
    let other = harness.second_connection().await;
    let (ours, theirs) = both(take_all(log.clone(), 0), take_all(other, 1_000)).await;
    for (ours, theirs) in ours.iter().zip(&theirs) {
        match (ours, theirs) {
            (UnitOutcome::Appended(_), UnitOutcome::SlotHeld { .. })
            | (UnitOutcome::SlotHeld { .. }, UnitOutcome::Appended(_)) => {}
            both => panic!("one winner each: {both:?}"),
        }
    }
    check_order(&log).await;
    assert_eq!(log.heads().await.expect("heads").total(), 100);
}

/// Who is behind reads the tail and tries again; in the end every write is there, each on the one before.
pub async fn writers_of_one_ticket_are_handed_back_never_lost(harness: &impl LogHarness) {
    let log = started(harness).await;
    let other = harness.second_connection().await;
    place(&log, opening(draft(ticket(1), 1))).await;
    both(insist(log.clone(), 100), insist(other, 200)).await;
    let mut written = numbers(&events_of(&log, ticket(1)).await);
    written.sort_unstable();
    let expected: Vec<u64> = std::iter::once(1).chain(101..=120).chain(201..=220).collect();
    assert_eq!(written, expected);
    check_order(&log).await;
}

/// The caller may go away at any moment: a timeout, a closed connection.
pub async fn a_dropped_append_is_whole_or_absent(harness: &impl LogHarness) {
    let log = started(harness).await;
    for round in 0..20 {
        let append = log.append(batch(eu(1), vec![fifty_tickets(round)]));
        let patience = Duration::from_micros(round * 100);
        // The outcome does not matter: dropped before, during or after the transaction.
        drop(tokio::time::timeout(patience, append).await);
    }
    place(&log, opening(draft(ticket(5_000), 5_000))).await;
    for round in 0..20 {
        let reads: Vec<_> = fifty_tickets(round).rows.iter().map(whole_stream).collect();
        let found = log.stream_events(&reads).await.expect("the log is available").len();
        assert!(found == 0 || found == 50, "whole or absent, not {found} of 50");
        match append_one(&log, fifty_tickets(round).rows).await {
            UnitOutcome::Appended(_) | UnitOutcome::Duplicate { row: 0, .. } => {}
            other => panic!("a retry is answered: {other:?}"),
        }
    }
    check_order(&log).await;
    assert_eq!(log.heads().await.expect("heads").total(), 1_001);
}

fn fifty_tickets(round: u64) -> Unit {
    let numbers = (1..=50).map(|index| round * 50 + index);
    unit(numbers.map(|number| opening(draft(ticket(number), number))).collect::<Vec<_>>())
}

fn whole_stream(row: &Row) -> StreamRead {
    StreamRead { tenant: row.draft.tenant.clone(), stream: row.draft.stream, after: 0 }
}

async fn take_all(log: Arc<dyn EventLog>, base: u64) -> Vec<UnitOutcome> {
    let mut outcomes = Vec::new();
    for chunk in 0..20 {
        let rows = (1..=5).map(|index| {
            let slot = chunk * 5 + index;
            let number = base + slot;
            opening(taking(ticket(number), number, &[SlotKey::claim(ticket(slot))]))
        });
        outcomes.extend(append(&log, units(rows)).await);
    }
    outcomes
}

async fn insist(log: Arc<dyn EventLog>, base: u64) {
    let mut tail: Position = 0;
    for number in base + 1..=base + 20 {
        loop {
            match append_one(&log, [after(tail, draft(ticket(1), number))]).await {
                UnitOutcome::Behind => {
                    let events = events_of(&log, ticket(1)).await;
                    tail = events.last().map_or(0, |event| event.position);
                }
                outcome => {
                    tail = placed(&outcome)[0].position;
                    break;
                }
            }
        }
    }
}

async fn appending(log: Arc<dyn EventLog>, units: Vec<Unit>) -> Vec<UnitOutcome> {
    append(&log, units).await
}

/// Runs both at once, in tasks of their own.
async fn both<A, B>(a: A, b: B) -> (A::Output, B::Output)
where
    A: Future<Output: Send> + Send + 'static,
    B: Future<Output: Send> + Send + 'static,
{
    let (a, b) = (tokio::spawn(a), tokio::spawn(b));
    (a.await.expect("no panic"), b.await.expect("no panic"))
}
