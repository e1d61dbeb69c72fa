//! Writing: rows and checkpoint stand or fall together, and a lower row never overwrites a higher.

use docket_engine::cursor::Positions;
use docket_schemas::Status;

use super::ViewHarness;
use super::sample::{
    active, empty_spans, partition, person, poison, resolved, row, spans, tenant, ticket, write,
};
use crate::query::{
    CountQuery, Direction, ListPage, ListQuery, Sort, SortKey, TicketFilter, Viewer,
};
use crate::row::TicketRow;
use crate::store::{Phase, ViewStore};
use crate::{PartitionSet, Taken};

/// All tickets of the tenant by creation.
///
/// # Panics
/// When the store does not answer.
pub async fn all(store: &dyn ViewStore) -> ListPage {
    let sort = Sort { key: SortKey::CreatedAt, direction: Direction::Ascending };
    let (viewer, filter) = (Viewer::Staff, TicketFilter::default());
    let query = ListQuery { tenant: tenant(), viewer, filter, sort, after: None, limit: 100 };
    store.list(&query).await.expect("an answer")
}

/// How many tickets of the tenant pass a filter.
///
/// # Panics
/// When the store does not answer, or not exactly.
pub async fn counted(store: &dyn ViewStore, filter: TicketFilter) -> u64 {
    let query = CountQuery { tenant: tenant(), viewer: Viewer::Staff, filter };
    let count = store.count(&query).await.expect("an answer");
    assert!(count.exact);
    count.count
}

fn of_status(status: Status) -> TicketFilter {
    TicketFilter { status: Some(status), ..TicketFilter::default() }
}

/// Case.
pub async fn a_new_store_is_active_empty_and_at_the_beginning(harness: &dyn ViewHarness) {
    let store = harness.fresh().await;
    let versions = store.versions().await.expect("an answer");
    assert_eq!(versions.len(), 1);
    assert_eq!((versions[0].phase, versions[0].format), (Phase::Active, crate::row::ROW_FORMAT));
    assert_eq!(store.reached().await.expect("an answer"), Positions::START);
    let page = all(&*store).await;
    assert!(page.tickets.is_empty() && !page.more);
    assert_eq!(page.basis.positions, Positions::START);
    assert_eq!(counted(&*store, TicketFilter::default()).await, 0);
}

/// Case.
pub async fn a_row_is_listed_and_counted_with_its_checkpoint(harness: &dyn ViewHarness) {
    let store = harness.fresh().await;
    let version = active(&*store).await;
    write(&*store, version, vec![row(1, 3)], (0, 4)).await;
    let page = all(&*harness.second_connection().await).await;
    assert_eq!(page.tickets.len(), 1);
    assert_eq!(format!("{:?}", page.tickets[0].ticket), format!("{:?}", resolved(1)));
    assert_eq!(page.basis.positions.get(partition(1)), 4);
    assert_eq!(store.reached().await.expect("an answer"), page.basis.positions);
    assert_eq!(counted(&*store, TicketFilter::default()).await, 1);
    assert_eq!(counted(&*store, of_status(Status::Open)).await, 1);
    let found = store.tickets(&tenant(), Viewer::Staff, &[ticket(1), ticket(2)]).await;
    assert_eq!(found.expect("an answer").len(), 1);
    let found = store.tickets(&tenant(), Viewer::Customer(person(6)), &[ticket(1)]).await;
    assert!(found.expect("an answer").is_empty());
}

/// Case.
pub async fn a_row_that_changes_moves_its_counters(harness: &dyn ViewHarness) {
    let store = harness.fresh().await;
    let version = active(&*store).await;
    write(&*store, version, vec![row(1, 3)], (0, 4)).await;
    let mut changed = resolved(1);
    changed.status = Status::Solved;
    changed.tags = vec!["late".to_owned()];
    changed.followers = vec![person(77)];
    let changed = TicketRow::of(&tenant(), &changed, 5, 5);
    write(&*store, version, vec![changed], (4, 5)).await;
    assert_eq!(counted(&*store, of_status(Status::Open)).await, 0);
    assert_eq!(counted(&*store, of_status(Status::Solved)).await, 1);
    let tagged = |tag: &str| TicketFilter { tag: Some(tag.to_owned()), ..TicketFilter::default() };
    assert_eq!(counted(&*store, tagged("late")).await, 1);
    assert_eq!(counted(&*store, TicketFilter::default()).await, 1);
    let seen = store.tickets(&tenant(), Viewer::Customer(person(77)), &[ticket(1)]).await;
    assert_eq!(seen.expect("an answer").len(), 1);
    let dump = store.dump(version, partition(1)).await.expect("an answer");
    assert_eq!(dump.stray, []);
    assert_eq!(dump.counters, crate::counters::recount(&dump.rows));
}

/// Case.
pub async fn a_lower_row_never_overwrites_a_higher(harness: &dyn ViewHarness) {
    let store = harness.fresh().await;
    let version = active(&*store).await;
    write(&*store, version, vec![row(1, 9)], (0, 4)).await;
    let mut lower = resolved(1);
    lower.status = Status::Closed;
    for position in [8, 9] {
        let lower = TicketRow::of(&tenant(), &lower, position, 5);
        write(&*store, version, vec![lower], (position - 4, position - 3)).await;
        assert_eq!(counted(&*store, of_status(Status::Open)).await, 1);
        assert_eq!(counted(&*store, of_status(Status::Closed)).await, 0);
        let dump = store.dump(version, partition(1)).await.expect("an answer");
        assert_eq!((dump.rows, dump.checkpoint), (vec![row(1, 9)], position - 3));
    }
}

/// Case.
pub async fn a_batch_worked_out_on_another_checkpoint_changes_nothing(harness: &dyn ViewHarness) {
    let store = harness.fresh().await;
    let version = active(&*store).await;
    let rows: Vec<TicketRow> = (1..20).map(|number| row(number, 3)).collect();
    let mut batch = spans(rows, 0, 4);
    assert!(batch.len() > 2, "several partitions");
    batch[1].after = 1;
    assert_eq!(store.write(version, None, batch).await.expect("an answer"), Taken::Fenced);
    assert_eq!(store.checkpoints(version).await.expect("an answer"), Positions::START);
    assert!(all(&*store).await.tickets.is_empty());
    assert_eq!(counted(&*store, TicketFilter::default()).await, 0);
    let unknown = store.write(version + 100, None, empty_spans(0, 1)).await.expect("an answer");
    assert_eq!(unknown, Taken::Fenced);
}

/// Case.
pub async fn of_two_feeders_of_one_partition_one_is_fenced(harness: &dyn ViewHarness) {
    let store = harness.fresh().await;
    let other = harness.second_connection().await;
    let version = active(&*store).await;
    for round in 0..10 {
        let (mine, theirs) = tokio::join!(
            store.write(version, None, empty_spans(round, round + 1)),
            other.write(version, None, empty_spans(round, round + 1)),
        );
        let taken = [mine.expect("an answer"), theirs.expect("an answer")];
        assert!(taken.contains(&Taken::Done) && taken.contains(&Taken::Fenced), "{taken:?}");
    }
}

/// Case.
pub async fn a_ticket_is_parked_until_it_has_a_row(harness: &dyn ViewHarness) {
    let store = harness.fresh().await;
    let version = active(&*store).await;
    let mut batch = spans(vec![row(1, 3)], 0, 4);
    let unreadable = crate::Poison { ticket: None, position: 4, reason: "?".to_owned() };
    batch[0].parked = vec![poison(2, 2), unreadable.clone()];
    assert_eq!(store.write(version, None, batch).await.expect("an answer"), Taken::Done);
    let parked = store.parked(version, PartitionSet::ALL).await.expect("an answer");
    let parked: Vec<_> = parked.into_iter().map(|one| one.poison).collect();
    assert_eq!(parked, [poison(2, 2), unreadable]);
    let none = PartitionSet::ALL.except(PartitionSet::NONE.with(partition(1)));
    assert_eq!(store.parked(version, none).await.expect("an answer"), []);

    let mut batch = spans(vec![row(1, 5)], 4, 6);
    let mut again = row(2, 6);
    again.partition = partition(1);
    batch[0].rows.push(again);
    assert_eq!(store.write(version, None, batch).await.expect("an answer"), Taken::Done);
    let parked = store.parked(version, PartitionSet::ALL).await.expect("an answer");
    assert_eq!(parked.len(), 1);
    assert_eq!(parked[0].poison.ticket, None);
}
