//! Lists and counts: they answer like a plain loop over all rows.

use docket_engine::ticket::Resolved;
use docket_schemas::{Priority, Status, TicketId, TicketType, Timestamp};

use super::ViewHarness;
use super::sample::{active, empty_spans, person, resolved, row, tenant, ticket, write};
use crate::Taken;
use crate::query::{
    COUNTED_TICKETS_MAX, CountQuery, Direction, ListQuery, Place, Sort, SortKey, TicketFilter,
    Viewer,
};
use crate::row::TicketRow;
use crate::store::ViewStore;

const ROWS: u64 = 90;

/// The plain loop's list.
fn expected(
    rows: &[TicketRow],
    viewer: Viewer,
    filter: &TicketFilter,
    sort: Sort,
) -> Vec<TicketId> {
    let mut found: Vec<Place> = rows
        .iter()
        .filter(|row| passes(row, viewer, filter))
        .map(|row| Place { key: key(row, viewer, sort.key), ticket: row.ticket })
        .collect();
    found.sort_by_key(|place| (place.key, place.ticket));
    if sort.direction == Direction::Descending {
        found.reverse();
    }
    found.into_iter().map(|place| place.ticket).collect()
}

fn key(row: &TicketRow, viewer: Viewer, key: SortKey) -> i64 {
    match (key, viewer) {
        (SortKey::CreatedAt, _) => row.created_at.micros(),
        (SortKey::UpdatedAt, Viewer::Staff) => row.updated_at.micros(),
        (SortKey::UpdatedAt, Viewer::Customer(_)) => row.public_updated_at.micros(),
        (SortKey::Priority, _) => row.priority as i64,
    }
}

fn passes(row: &TicketRow, viewer: Viewer, filter: &TicketFilter) -> bool {
    let (status, updated_at) = match viewer {
        Viewer::Staff => (row.status, row.updated_at),
        Viewer::Customer(person) => {
            if !row.readers.contains(&person) || filter.group.is_some() || filter.tag.is_some() {
                return false;
            }
            (row.public_status, row.public_updated_at)
        }
    };
    filter.status.is_none_or(|wanted| wanted == status)
        && filter.priority.is_none_or(|wanted| wanted == row.priority)
        && filter.ticket_type.is_none_or(|wanted| Some(wanted) == row.ticket_type)
        && filter.assignee.is_none_or(|wanted| wanted == row.assignee)
        && filter.group.as_ref().is_none_or(|wanted| *wanted == row.group)
        && filter.requester.is_none_or(|wanted| wanted == row.requester)
        && filter.tag.as_ref().is_none_or(|wanted| row.tags.contains(wanted))
        && filter.created_after.is_none_or(|time| row.created_at > time)
        && filter.updated_after.is_none_or(|time| updated_at > time)
}

fn filters() -> Vec<TicketFilter> {
    let time = |seconds: i64| Some(Timestamp::from_micros(seconds * 1_000_000));
    let none = TicketFilter::default;
    let ones = vec![
        none(),
        TicketFilter { status: Some(Status::Open), ..none() },
        TicketFilter { status: Some(Status::Hold), ..none() },
        TicketFilter { status: Some(Status::Solved), ..none() },
        TicketFilter { priority: Some(Priority::High), ..none() },
        TicketFilter { ticket_type: Some(TicketType::Incident), ..none() },
        TicketFilter { ticket_type: Some(TicketType::Task), ..none() },
        TicketFilter { assignee: Some(Some(person(101))), ..none() },
        TicketFilter { assignee: Some(None), ..none() },
        TicketFilter { group: Some(Some("group 1".to_owned())), ..none() },
        TicketFilter { group: Some(None), ..none() },
        TicketFilter { requester: Some(person(2)), ..none() },
        TicketFilter { tag: Some("vip".to_owned()), ..none() },
        TicketFilter { tag: Some("網路".to_owned()), ..none() },
        TicketFilter { created_after: time(1_010), ..none() },
        TicketFilter { updated_after: time(2_006), ..none() },
    ];
    let pairs = ones.clone().into_iter().skip(1).map(|one| TicketFilter {
        status: one.status.or(Some(Status::New)),
        tag: one.tag.or(Some("vip".to_owned())),
        ..one
    });
    let with_time = ones.clone().into_iter().skip(1).map(|one| TicketFilter {
        created_after: one.created_after.or(time(1_005)),
        updated_after: one.updated_after.or(time(2_003)),
        ..one
    });
    let pairs: Vec<TicketFilter> = pairs.chain(with_time).collect();
    ones.into_iter().chain(pairs).collect()
}

fn sorts() -> impl Iterator<Item = Sort> {
    [SortKey::CreatedAt, SortKey::UpdatedAt, SortKey::Priority].into_iter().flat_map(|key| {
        [Direction::Ascending, Direction::Descending].map(|direction| Sort { key, direction })
    })
}

async fn walk(
    store: &dyn ViewStore,
    viewer: Viewer,
    filter: &TicketFilter,
    sort: Sort,
    limit: usize,
) -> Vec<TicketId> {
    let mut query =
        ListQuery { tenant: tenant(), viewer, filter: filter.clone(), sort, after: None, limit };
    let mut found = Vec::new();
    loop {
        let page = store.list(&query).await.expect("an answer");
        assert!(page.tickets.len() <= limit);
        assert!(!page.more || page.tickets.len() == limit);
        found.extend(page.tickets.iter().map(|listed| listed.ticket.id));
        query.after = page.tickets.last().map(|last| last.place);
        if !page.more {
            return found;
        }
    }
}

async fn check(store: &dyn ViewStore, rows: &[TicketRow], viewer: Viewer) {
    for filter in filters() {
        let mut number = 0;
        for sort in sorts() {
            let plain = expected(rows, viewer, &filter, sort);
            number = plain.len();
            for limit in [7, 100] {
                let found = walk(store, viewer, &filter, sort, limit).await;
                assert_eq!(found, plain, "{viewer:?} {filter:?} {sort:?} by {limit}");
            }
        }
        let query = CountQuery { tenant: tenant(), viewer, filter: filter.clone() };
        let count = store.count(&query).await.expect("an answer");
        assert_eq!((count.count, count.exact), (number as u64, true), "{viewer:?} {filter:?}");
    }
}

/// Case.
pub async fn every_filter_sort_and_page_answers_like_a_plain_loop(harness: &dyn ViewHarness) {
    let store = harness.fresh().await;
    let version = active(&*store).await;
    let rows: Vec<TicketRow> = (0..ROWS).map(|number| row(number, 3)).collect();
    write(&*store, version, rows.clone(), (0, 4)).await;
    check(&*store, &rows, Viewer::Staff).await;
}

/// Case.
pub async fn what_changes_again_and_again_is_listed_like_all_else(harness: &dyn ViewHarness) {
    let store = harness.fresh().await;
    let version = active(&*store).await;
    let mut rows: Vec<TicketRow> = (0..ROWS).map(|number| row(number, 1)).collect();
    let all: fn(u64) -> bool = |_| true;
    let most: fn(u64) -> bool = |number| number % 3 != 0;
    let few: fn(u64) -> bool = |number| number % 30 == 0;
    // Many change, as under load; then few do, while the others come to rest.
    for (position, changes) in (1..).zip([all, most, most, few, few]) {
        for number in (0..ROWS).filter(|number| changes(*number)) {
            let ticket = Resolved { id: ticket(number), ..resolved(number + 11 * position) };
            let index = usize::try_from(number).expect("few");
            rows[index] = TicketRow::of(&tenant(), &ticket, position, position);
        }
        let mut spans = empty_spans(position - 1, position);
        for row in rows.iter().filter(|row| row.position == position) {
            spans[row.partition.index()].rows.push(row.clone());
        }
        assert_eq!(store.write(version, None, spans).await.expect("an answer"), Taken::Done);
        check(&*store, &rows, Viewer::Staff).await;
        check(&*store, &rows, Viewer::Customer(person(50))).await;
    }
}

/// Case.
pub async fn a_customer_gets_own_tickets_and_their_public_values(harness: &dyn ViewHarness) {
    let store = harness.fresh().await;
    let version = active(&*store).await;
    let rows: Vec<TicketRow> = (0..ROWS).map(|number| row(number, 3 + number)).collect();
    write(&*store, version, rows.clone(), (0, 99)).await;
    // A requester, a follower, a stranger.
    for number in [2, 50, 999] {
        check(&*store, &rows, Viewer::Customer(person(number))).await;
    }
    let (viewer, filter) = (Viewer::Customer(person(50)), TicketFilter::default());
    let query = CountQuery { tenant: tenant(), viewer, filter };
    let basis = store.count(&query).await.expect("an answer").basis;
    let mut seen = docket_engine::cursor::Positions::START;
    for row in rows.iter().filter(|row| row.readers.contains(&person(50))) {
        seen.advance(row.partition, row.public_position);
    }
    assert_eq!(basis.newest_visible, Some(seen));
}

/// Case.
pub async fn tenants_do_not_see_each_other(harness: &dyn ViewHarness) {
    let store = harness.fresh().await;
    let version = active(&*store).await;
    let other: docket_schemas::Tenant = "other".parse().expect("a name");
    let foreign: Vec<_> = (0..20).map(|one| TicketRow::of(&other, &resolved(one), 3, 3)).collect();
    write(&*store, version, foreign, (0, 4)).await;
    let tickets: Vec<TicketId> = (0..20).map(super::sample::ticket).collect();
    for viewer in [Viewer::Staff, Viewer::Customer(person(2))] {
        check(&*store, &[], viewer).await;
        let found = store.tickets(&tenant(), viewer, &tickets).await.expect("an answer");
        assert!(found.is_empty());
    }
}

/// Case.
pub async fn a_count_beyond_the_limit_says_so(harness: &dyn ViewHarness) {
    let store = harness.fresh().await;
    let version = active(&*store).await;
    let more = COUNTED_TICKETS_MAX + 3;
    let rows: Vec<TicketRow> = (0..more)
        .map(|number| {
            let mut ticket = resolved(number);
            (ticket.status, ticket.priority) = (Status::Open, Priority::High);
            TicketRow::of(&tenant(), &ticket, 3, 3)
        })
        .collect();
    write(&*store, version, rows, (0, 4)).await;
    let both = TicketFilter {
        status: Some(Status::Open),
        priority: Some(Priority::High),
        ..TicketFilter::default()
    };
    let counted = async |filter| {
        let query = CountQuery { tenant: tenant(), viewer: Viewer::Staff, filter };
        let count = store.count(&query).await.expect("an answer");
        (count.count, count.exact)
    };
    assert_eq!(counted(both.clone()).await, (COUNTED_TICKETS_MAX, false));
    assert_eq!(counted(TicketFilter { priority: None, ..both }).await, (more, true));
}
