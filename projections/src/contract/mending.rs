//! Mending: rows take the place of whatever is there, and the partition is counted anew.

use super::ViewHarness;
use super::sample::{active, partition, poison, row, spans, tenant, ticket, write};
use super::writes::counted;
use crate::query::TicketFilter;
use crate::store::Mending;
use crate::{PartitionSet, Poison, Taken};

/// Case.
pub async fn what_was_changed_by_hand_or_is_too_much_is_mended(harness: &dyn ViewHarness) {
    let store = harness.fresh().await;
    let version = active(&*store).await;
    let home = partition(1);
    let neighbours: Vec<u64> = (2..200).filter(|number| partition(*number) == home).collect();
    let (extra, wrong, missing) = (neighbours[0], neighbours[1], neighbours[2]);
    let rows = vec![row(1, 3), row(extra, 4), row(wrong, 99)];
    write(&*store, version, rows, (0, 9)).await;
    let mending = Mending {
        partition: home,
        checkpoint: 9,
        upto: 8,
        rows: vec![row(wrong, 5), row(missing, 6)],
        gone: vec![(tenant(), ticket(extra))],
        parked: vec![poison(neighbours[3], 7)],
        readable: Vec::new(),
    };
    assert_eq!(store.mend(version, mending).await.expect("an answer"), Taken::Done);
    let mut dump = store.dump(version, home).await.expect("an answer");
    dump.rows.sort_by_key(|row| row.ticket);
    let mut mended = vec![row(1, 3), row(wrong, 5), row(missing, 6)];
    mended.sort_by_key(|row| row.ticket);
    assert_eq!(dump.rows, mended);
    assert_eq!(dump.stray, []);
    assert_eq!(dump.checkpoint, 8);
    assert_eq!(dump.counters, crate::counters::recount(&mended));
    assert_eq!(counted(&*store, TicketFilter::default()).await, 3);
    let parked = store.parked(version, PartitionSet::ALL).await.expect("an answer");
    assert_eq!(parked.len(), 1);
}

/// Case.
pub async fn a_mending_on_another_checkpoint_changes_nothing(harness: &dyn ViewHarness) {
    let store = harness.fresh().await;
    let version = active(&*store).await;
    write(&*store, version, vec![row(1, 3)], (0, 9)).await;
    let gone = vec![(tenant(), ticket(1))];
    let (rows, parked, readable) = (Vec::new(), Vec::new(), Vec::new());
    let (partition, checkpoint) = (partition(1), 8);
    let mending = Mending { partition, checkpoint, upto: 8, rows, gone, parked, readable };
    assert_eq!(store.mend(version, mending).await.expect("an answer"), Taken::Fenced);
    assert_eq!(counted(&*store, TicketFilter::default()).await, 1);
}

/// Case.
pub async fn an_event_that_cannot_be_read_stays_noted_until_it_is_read(harness: &dyn ViewHarness) {
    let store = harness.fresh().await;
    let version = active(&*store).await;
    let home = partition(1);
    let note = |position| Poison { ticket: None, position, reason: "it is odd".to_owned() };
    let mut spans = spans(vec![row(1, 3)], 0, 9);
    spans[0].parked = vec![note(4), note(5)];
    assert_eq!(store.write(version, None, spans).await.expect("an answer"), Taken::Done);
    let mending = Mending {
        partition: home,
        checkpoint: 9,
        upto: 9,
        rows: Vec::new(),
        gone: vec![(tenant(), ticket(1))],
        parked: Vec::new(),
        readable: vec![4],
    };
    assert_eq!(store.mend(version, mending).await.expect("an answer"), Taken::Done);
    let parked = store.parked(version, PartitionSet::ALL).await.expect("an answer");
    let places: Vec<_> = parked.iter().map(|one| one.poison.position).collect();
    assert_eq!(places, [5]);
}
