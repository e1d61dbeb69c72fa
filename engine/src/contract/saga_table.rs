//! The table of sagas: kept by compare-and-set, found by how they stand; and the barrier of remote steps.

use docket_schemas::saga::Direction;
use docket_schemas::{Partition, Position, Principal, Role, SagaId, Stream, Timestamp};

use super::SagaTableHarness;
use super::drafts::{NOON, append, draft, eu, numbers, opening, tenant, ticket, unit, uuid};
use super::sagas::row as event_row;
use crate::ports::sagas::{Kept, Passage, Pause, SagaFilter, SagaPlace, SagaRow, Standing};

fn saga(number: u64) -> SagaId {
    SagaId::new(uuid(7, number))
}

fn partition_of(number: u64) -> Partition {
    Stream::saga(saga(number)).partition(&tenant("acme"))
}

fn row(number: u64, position: Position, standing: Standing) -> SagaRow {
    SagaRow {
        tenant: tenant("acme"),
        id: saga(number),
        partition: partition_of(number),
        position,
        definition: "merge-tickets".to_owned(),
        version: 3,
        standing,
        subject: format!("subject-{number}"),
        started_by: Principal::Docket("import".into()),
        role: Role::Agent,
        started_at: NOON.plus_micros(i64::try_from(number).expect("small")),
        ended_at: standing.is_ended().then_some(NOON),
        next_at: None,
        failing_step: Some("attach".to_owned()),
        error: Some("the ticket is closed".to_owned()),
    }
}

fn kept(row: &SagaRow) -> Kept {
    Kept { sagas: vec![row.clone()], pauses: Vec::new() }
}

/// Who folds from another place than the table has come to is not the one who leads.
pub async fn a_table_is_kept_by_compare_and_set(harness: &impl SagaTableHarness) {
    let (_, table, _) = harness.fresh().await;
    let partition = partition_of(1);
    let is = async || table.find(&tenant("acme"), saga(1)).await.expect("an answer");
    assert_eq!(table.reached(partition).await.expect("an answer"), 0);
    let running = row(1, 5, Standing::Running);
    assert!(table.keep(partition, 0, 7, &kept(&running)).await.expect("an answer"));
    let done = row(1, 9, Standing::Done);
    assert!(!table.keep(partition, 0, 9, &kept(&done)).await.expect("an answer"));
    assert_eq!(is().await, Some(running));
    assert!(table.keep(partition, 7, 9, &kept(&done)).await.expect("an answer"));
    assert_eq!(is().await, Some(done.clone()));
    let older = row(1, 8, Standing::Running);
    assert!(table.keep(partition, 9, 10, &kept(&older)).await.expect("an answer"));
    assert_eq!(is().await, Some(done), "an older position never replaces a newer");
    assert_eq!(table.reached(partition).await.expect("an answer"), 10);
    let other = table.find(&tenant("bolt"), saga(1)).await.expect("an answer");
    assert_eq!(other, None);
}

/// What resuming asks for.
pub async fn sagas_that_have_not_ended_are_found_by_partition(harness: &impl SagaTableHarness) {
    let (_, table, _) = harness.fresh().await;
    for number in 1..=8 {
        let standing = Standing::ALL[usize::try_from(number % 7).expect("small")];
        let (partition, row) = (partition_of(number), row(number, 1, standing));
        let from = table.reached(partition).await.expect("an answer");
        assert!(table.keep(partition, from, number, &kept(&row)).await.expect("an answer"));
    }
    let mut found = Vec::new();
    for partition in Partition::all() {
        let rows = table.unended(partition).await.expect("an answer");
        assert!(rows.iter().all(|row| row.partition == partition));
        found.extend(rows);
    }
    found.sort_unstable_by_key(|row| row.id);
    let expected: Vec<_> = (1..=8)
        .map(|number| row(number, 1, Standing::ALL[usize::try_from(number % 7).expect("small")]))
        .filter(|row| !row.standing.is_ended())
        .collect();
    assert_eq!(found, expected);
}

/// The last started first, each once, a tenant's own.
pub async fn sagas_are_listed_page_by_page_and_filtered(harness: &impl SagaTableHarness) {
    let (_, table, _) = harness.fresh().await;
    for number in 1..=20 {
        let standing = if number % 2 == 0 { Standing::Parked } else { Standing::Done };
        let mut listed = row(number, 1, standing);
        listed.started_at = Timestamp::from_micros(i64::try_from(number / 3).expect("small"));
        listed.definition = if number % 3 == 0 { "bulk-update" } else { "merge-tickets" }.into();
        let partition = partition_of(number);
        let from = table.reached(partition).await.expect("an answer");
        assert!(table.keep(partition, from, number, &kept(&listed)).await.expect("an answer"));
    }
    let walk = async |filter: &SagaFilter| {
        let mut found: Vec<SagaRow> = Vec::new();
        loop {
            let place = |row: &SagaRow| SagaPlace { started_at: row.started_at, id: row.id };
            let after = found.last().map(place);
            let page = table.list(&tenant("acme"), filter, after, 3).await.expect("a page");
            if page.is_empty() {
                return found;
            }
            found.extend(page);
        }
    };
    let all = walk(&SagaFilter::default()).await;
    assert_eq!(all.len(), 20);
    let falls =
        |pair: &[SagaRow]| (pair[0].started_at, pair[0].id) > (pair[1].started_at, pair[1].id);
    assert!(all.windows(2).all(falls));
    let parked = SagaFilter { standing: Some(Standing::Parked), ..SagaFilter::default() };
    assert_eq!(walk(&parked).await.len(), 10);
    let both = SagaFilter { definition: Some("bulk-update".to_owned()), ..parked };
    assert_eq!(walk(&both).await.len(), 3);
    let subject = Some("subject-7".to_owned());
    let one = walk(&SagaFilter { subject, ..SagaFilter::default() }).await;
    assert_eq!(one.iter().map(|row| row.id).collect::<Vec<_>>(), [saga(7)]);
    let started_by = Some(Principal::Docket("import".into()));
    assert_eq!(walk(&SagaFilter { started_by, ..SagaFilter::default() }).await.len(), 20);
    let started_by = Some(Principal::Docket("nobody".into()));
    assert!(walk(&SagaFilter { started_by, ..SagaFilter::default() }).await.is_empty());
    let other = table.list(&tenant("bolt"), &SagaFilter::default(), None, 5).await;
    assert!(other.expect("a page").is_empty());
}

/// What would go on rests while its definition is paused, and is found as that and as nothing else.
pub async fn sagas_of_a_paused_definition_are_shown_at_rest(harness: &impl SagaTableHarness) {
    let (_, table, _) = harness.fresh().await;
    let keep = async |kept: Kept, partition| {
        let from = table.reached(partition).await.expect("an answer");
        assert!(table.keep(partition, from, from + 1, &kept).await.expect("an answer"));
    };
    let stands = [
        Standing::Running,
        Standing::Compensating,
        Standing::Waiting,
        Standing::Parked,
        Standing::Done,
    ];
    for (number, standing) in (1..).zip(stands) {
        keep(kept(&row(number, 1, standing)), partition_of(number)).await;
    }
    let of_another = SagaRow { definition: "bulk-update".into(), ..row(6, 1, Standing::Running) };
    keep(kept(&of_another), partition_of(6)).await;
    let found = async |standing| {
        let filter = SagaFilter { standing: Some(standing), ..SagaFilter::default() };
        let page = table.list(&tenant("acme"), &filter, None, 10).await.expect("a page");
        assert!(page.iter().all(|row| row.standing == standing), "{page:?}");
        page.len()
    };
    for (is_paused, expected) in [(true, [3, 1, 0, 0, 1, 1]), (false, [0, 2, 1, 1, 1, 1])] {
        let pause = |tenant| Pause { tenant, definition: "merge-tickets".to_owned(), is_paused };
        let pauses =
            vec![pause(tenant("acme")), Pause { is_paused: true, ..pause(tenant("bolt")) }];
        keep(Kept { sagas: Vec::new(), pauses }, partition_of(1)).await;
        let [resting, running, undoing, waiting, parked, done] = expected;
        assert_eq!(found(Standing::Paused).await, resting);
        assert_eq!(found(Standing::Running).await, running);
        assert_eq!(found(Standing::Compensating).await, undoing);
        assert_eq!(found(Standing::Waiting).await, waiting);
        assert_eq!(found(Standing::Parked).await, parked);
        assert_eq!(found(Standing::Done).await, done);
        let one = table.find(&tenant("acme"), saga(1)).await.expect("an answer").expect("kept");
        assert_eq!(one.standing == Standing::Paused, is_paused);
    }
}

/// The last word of a batch counts.
pub async fn paused_definitions_are_told(harness: &impl SagaTableHarness) {
    let (_, table, _) = harness.fresh().await;
    let pause = |name: &str, definition: &str, is_paused| Pause {
        tenant: tenant(name),
        definition: definition.to_owned(),
        is_paused,
    };
    let pauses = vec![
        pause("acme", "merge-tickets", true),
        pause("acme", "bulk-update", true),
        pause("bolt", "bulk-update", true),
        pause("acme", "bulk-update", false),
    ];
    let kept = Kept { sagas: Vec::new(), pauses };
    assert!(table.keep(partition_of(1), 0, 4, &kept).await.expect("an answer"));
    let mut told = table.paused().await.expect("an answer");
    told.sort_unstable_by(|one, other| one.tenant.cmp(&other.tenant));
    let expected = [pause("acme", "merge-tickets", true), pause("bolt", "bulk-update", true)];
    assert_eq!(told, expected);
}

/// Tickets' events are passed over without being read.
pub async fn events_of_sagas_are_read_by_partition(harness: &impl SagaTableHarness) {
    let (log, table, _) = harness.fresh().await;
    log.begin_incarnation(None, &eu(1)).await.expect("an incarnation begins");
    let partition = partition_of(1);
    let same = (1..200).filter(|number| partition_of(*number) == partition).take(3);
    let sagas: Vec<u64> = same.collect();
    let rows = sagas.iter().map(|number| unit([opening(event_row(*number, *number))]));
    append(&log, rows.collect()).await;
    let tickets = (300..330).map(|number| unit([opening(draft(ticket(number), number))]));
    append(&log, tickets.collect()).await;
    let events = table.saga_events(partition, 0, 10).await.expect("an answer");
    assert_eq!(numbers(&events), sagas);
    let rest = table.saga_events(partition, events[0].position, 1).await.expect("an answer");
    assert_eq!(numbers(&rest), sagas[1..2]);
}

/// Duplicate, empty and late calls are told from the first.
pub async fn a_barrier_tells_calls_apart(harness: &impl SagaTableHarness) {
    let (_, _, barrier) = harness.fresh().await;
    let acme = tenant("acme");
    let pass = async |number, step: &str, way| {
        barrier.pass(&acme, saga(number), step, way).await.expect("an answer")
    };
    use Direction::{Run, Undo};
    assert_eq!(pass(1, "a", Run).await, Passage::First);
    assert_eq!(pass(1, "a", Run).await, Passage::Again);
    assert_eq!(pass(1, "b", Run).await, Passage::First);
    assert_eq!(pass(2, "a", Run).await, Passage::First);
    assert_eq!(pass(1, "a", Undo).await, Passage::First);
    assert_eq!(pass(1, "a", Undo).await, Passage::Again);
    assert_eq!(pass(1, "a", Run).await, Passage::Again, "it was let through before its undo");
    assert_eq!(pass(3, "a", Undo).await, Passage::Empty);
    assert_eq!(pass(3, "a", Run).await, Passage::Late);
    assert_eq!(pass(3, "a", Undo).await, Passage::Empty);
    let other = barrier.pass(&tenant("bolt"), saga(1), "a", Run).await;
    assert_eq!(other.expect("an answer"), Passage::First);
}
