//! Appending: places, duplicates, what is handed back, units.

use std::sync::Arc;

use docket_schemas::{Draft, Position, SlotKey, Tenant, Timestamp};

use super::LogHarness;
use super::drafts::{
    after, append, append_one, batch, chained, check_order, command, draft, draft_of, duplicate,
    eu, events_of, numbers, opening, place, placed, started, taking, tenant, ticket, unit, units,
};
use crate::append::partition_of;
use crate::ports::log::{APPEND_BATCH_ROWS_MAX, Batch, EventLog, UnitOutcome};

/// Positions count every tenant's events, in the order of the batch, and never skip.
pub async fn positions_are_gapless_over_all_tenants_and_times_rise(harness: &impl LogHarness) {
    let log = started(harness).await;
    let tenants: Vec<Tenant> = ["acme", "bolt", "corp"].map(tenant).into();
    for round in 0..5 {
        let rows = (0..30).map(|index: u64| {
            let number = round * 30 + index + 1;
            let owner = &tenants[usize::try_from(number % 3).expect("small")];
            opening(draft_of(owner, ticket(number), number))
        });
        let outcomes = append(&log, units(rows)).await;
        let mut last = std::collections::HashMap::new();
        for outcome in &outcomes {
            let place = placed(outcome)[0];
            if let Some(before) = last.insert(place.partition, place) {
                assert_eq!(before.position + 1, place.position, "in the order of the batch");
                assert!(before.recorded_at < place.recorded_at, "each unit has a later time");
            }
        }
    }
    check_order(&log).await;
    assert_eq!(log.heads().await.expect("heads").total(), 150);
}

/// A writer's clock may jump: the partition's times do not.
pub async fn a_clock_that_goes_back_does_not_take_the_times_with_it(harness: &impl LogHarness) {
    let log = started(harness).await;
    let first = place(&log, opening(draft(ticket(1), 1))).await;
    let early = Batch {
        now: Timestamp::from_micros(1_000_000),
        ..batch(eu(1), units([after(first.position, draft(ticket(1), 2))]))
    };
    let outcomes = log.append(early).await.expect("the log is available");
    assert!(placed(&outcomes[0])[0].recorded_at > first.recorded_at);
    check_order(&log).await;
}

/// A unit has one time in every partition that it touches, later than all before.
pub async fn a_units_rows_share_one_time(harness: &impl LogHarness) {
    let log = started(harness).await;
    for number in 1..=8 {
        place(&log, opening(draft(ticket(number), number))).await;
    }
    let rows = (101..=108).map(|number| opening(draft(ticket(number), number)));
    let outcome = append_one(&log, rows.collect::<Vec<_>>()).await;
    let times: Vec<_> = placed(&outcome).iter().map(|place| place.recorded_at).collect();
    assert!(times.windows(2).all(|pair| pair[0] == pair[1]), "one time: {times:?}");
    let next = place(&log, opening(draft(ticket(101), 200))).await;
    assert!(next.recorded_at > times[0]);
    check_order(&log).await;
}

/// A retry is answered with what is stored, and takes no position.
pub async fn a_duplicate_answers_the_stored_event_and_leaves_no_hole(harness: &impl LogHarness) {
    let log = started(harness).await;
    let first = place(&log, opening(draft(ticket(1), 1))).await;
    let again = Draft { device: "laptop".to_owned(), ..draft(ticket(1), 1) };
    let outcome = append_one(&log, [after(9, again)]).await;
    let (row, stored) = duplicate(&outcome);
    assert_eq!((row, stored.position, &stored.draft), (0, first.position, &draft(ticket(1), 1)));
    assert_eq!(stored.recorded_at, first.recorded_at);
    let next = place(&log, after(first.position, draft(ticket(1), 2))).await;
    assert_eq!(next.position, first.position + 1);
    check_order(&log).await;
}

/// Two callers' same command may meet in one batch.
pub async fn a_command_twice_in_one_batch_is_stored_once(harness: &impl LogHarness) {
    let log = started(harness).await;
    let twice = [opening(draft(ticket(1), 1)), opening(draft(ticket(1), 1))];
    let outcomes = append(&log, units(twice)).await;
    let first = placed(&outcomes[0])[0];
    let (_, stored) = duplicate(&outcomes[1]);
    assert_eq!((stored.position, stored.recorded_at), (first.position, first.recorded_at));
    let found = events_of(&log, ticket(1)).await;
    let ids: Vec<_> = found.iter().map(|event| (event.event_id, event.position)).collect();
    assert_eq!(ids, [(stored.event_id, first.position)]);
}

/// A tenant's command ids, tickets and dots are its own, also where another tenant's stand in the same partition.
pub async fn one_command_of_two_tenants_is_two_events(harness: &impl LogHarness) {
    let log = started(harness).await;
    let [acme, bolt, corp] = ["acme", "bolt", "corp"].map(tenant);
    let on = |number| [&acme, &bolt].map(|tenant| draft_of(tenant, ticket(number), number));
    let mut shared =
        (1..).map(on).filter(|[ours, theirs]| partition_of(ours) == partition_of(theirs));
    let mut next = || shared.next().expect("1 in 16");
    let (apart, in_one_batch, in_one_unit) = (next(), next(), next());

    let partition = partition_of(&apart[0]);
    let rows = |drafts: &[Draft; 2]| drafts.clone().map(opening);
    for row in rows(&apart) {
        place(&log, row).await;
    }
    for outcome in append(&log, units(rows(&in_one_batch))).await {
        placed(&outcome);
    }
    assert_eq!(placed(&append_one(&log, rows(&in_one_unit)).await).len(), 2);

    let again = [&apart, &in_one_batch, &in_one_unit].map(rows).concat();
    let outcomes = append(&log, units(again.clone())).await;
    for (row, outcome) in again.iter().zip(&outcomes) {
        assert_eq!(duplicate(outcome).1.draft, *row.draft, "a duplicate of its own tenant's");
    }
    let stored = async |tenant: &Tenant| {
        let found = log.event_of_command(tenant, partition, apart[0].command_id).await;
        found.expect("an answer").map(|event| event.draft)
    };
    let [ours, theirs] = apart.clone().map(Some);
    assert_eq!(
        [stored(&acme).await, stored(&bolt).await, stored(&corp).await],
        [ours, theirs, None]
    );
    check_order(&log).await;
}

/// The index names the first stored row; the others are not written either.
pub async fn a_unit_with_one_duplicate_row_writes_none_of_its_rows(harness: &impl LogHarness) {
    let log = started(harness).await;
    place(&log, opening(draft(ticket(1), 1))).await;
    let rows = [opening(draft(ticket(2), 2)), after(1, draft(ticket(1), 1))];
    let outcome = append_one(&log, rows).await;
    let (row, stored) = duplicate(&outcome);
    assert_eq!((row, stored.command_id), (1, command(1)));
    assert!(events_of(&log, ticket(2)).await.is_empty());
    check_order(&log).await;
}

/// A retry after a restore of the log meets what an earlier incarnation stored.
pub async fn a_command_of_an_earlier_incarnation_is_a_duplicate(harness: &impl LogHarness) {
    let log = started(harness).await;
    place(&log, opening(draft(ticket(1), 1))).await;
    log.begin_incarnation(Some(&eu(1)), &eu(2)).await.expect("an incarnation begins");
    let rows = units([opening(draft(ticket(1), 1)), opening(draft(ticket(2), 2))]);
    let outcomes = log.append(batch(eu(2), rows)).await.expect("the log is available");
    assert_eq!(duplicate(&outcomes[0]).1.origin.region, eu(1));
    placed(&outcomes[1]);
    assert_eq!(events_of(&log, ticket(2)).await[0].origin.region, eu(2));
}

/// Handing back reaches every later unit of the same ticket, and nobody else.
pub async fn rows_authored_on_an_older_tail_are_handed_back_with_all_that_follow(
    harness: &impl LogHarness,
) {
    let log = started(harness).await;
    let first = place(&log, opening(draft(ticket(1), 1))).await;
    let second = place(&log, after(first.position, draft(ticket(1), 2))).await;
    let outcomes = append(
        &log,
        units([
            opening(draft(ticket(2), 3)),
            after(first.position, draft(ticket(1), 4)),
            chained(draft(ticket(1), 5)),
            after(second.position, draft(ticket(1), 6)),
            chained(draft(ticket(2), 7)),
            opening(draft(ticket(3), 8)),
        ]),
    )
    .await;
    for behind in [1, 2, 3] {
        assert_eq!(outcomes[behind], UnitOutcome::Behind, "unit {behind}");
    }
    for appended in [0, 4, 5] {
        assert_eq!(placed(&outcomes[appended]).len(), 1, "unit {appended}");
    }
    assert_eq!(numbers(&events_of(&log, ticket(1)).await), [1, 2]);
    assert_eq!(numbers(&events_of(&log, ticket(2)).await), [3, 7]);
    place(&log, after(second.position, draft(ticket(1), 4))).await;
    check_order(&log).await;
}

/// `Chained` says: on the row before me, wherever it comes to stand.
pub async fn a_chained_row_needs_its_predecessor(harness: &impl LogHarness) {
    let log = started(harness).await;
    place(&log, opening(draft(ticket(1), 1))).await;
    assert_eq!(append_one(&log, [chained(draft(ticket(1), 2))]).await, UnitOutcome::Behind);
    let rows = [opening(draft(ticket(2), 3)), chained(draft(ticket(2), 4))];
    let outcome = append_one(&log, rows).await;
    let places = placed(&outcome);
    assert_eq!(places[0].position + 1, places[1].position);
    let outcomes =
        append(&log, units([opening(draft(ticket(3), 5)), chained(draft(ticket(3), 6))])).await;
    assert_eq!(placed(&outcomes[0])[0].position + 1, placed(&outcomes[1])[0].position);
    assert_eq!(numbers(&events_of(&log, ticket(3)).await), [5, 6]);
}

/// One row that is behind takes the rows of the other streams with it, and these their later units.
pub async fn units_over_several_streams_stand_or_fall_together(harness: &impl LogHarness) {
    let log = started(harness).await;
    let [one, two] = two_tickets(&log).await;
    let outcomes = append(
        &log,
        vec![
            unit([after(one, draft(ticket(1), 3)), after(two + 1, draft(ticket(2), 4))]),
            unit([after(one, draft(ticket(1), 5))]),
            unit([after(two, draft(ticket(2), 6)), opening(draft(ticket(3), 7))]),
            unit([chained(draft(ticket(3), 8))]),
            unit([opening(draft(ticket(4), 9))]),
        ],
    )
    .await;
    assert_eq!(outcomes[..4], vec![UnitOutcome::Behind; 4]);
    placed(&outcomes[4]);
    let whole = [after(one, draft(ticket(1), 3)), after(two, draft(ticket(2), 4))];
    assert_eq!(placed(&append_one(&log, whole).await).len(), 2);
    assert!(events_of(&log, ticket(3)).await.is_empty());
    check_order(&log).await;
}

/// A retry wants its answer, whatever became of the unit before it; that unit's fate is not its own.
pub async fn a_stored_command_is_a_duplicate_even_behind_a_refused_unit(harness: &impl LogHarness) {
    let log = started(harness).await;
    let first = place(&log, opening(taking(ticket(1), 1, &[SlotKey::stored("k")]))).await;
    let rows = [
        after(first.position + 5, draft(ticket(1), 2)),
        opening(draft(ticket(1), 1)),
        after(first.position, draft(ticket(1), 3)),
    ];
    let outcomes = append(&log, units(rows)).await;
    assert_eq!(outcomes[0], UnitOutcome::Behind);
    assert_eq!(duplicate(&outcomes[1]).1.position, first.position);
    assert_eq!(outcomes[2], UnitOutcome::Behind, "a duplicate hands back what follows too");
}

/// Nothing to write is nothing written.
pub async fn an_empty_batch_is_no_event(harness: &impl LogHarness) {
    let log = started(harness).await;
    assert!(append(&log, Vec::new()).await.is_empty());
    assert_eq!(log.heads().await.expect("heads").total(), 0);
}

/// As many rows as an append may have, over old and new streams, with slots.
pub async fn a_batch_of_the_greatest_size_is_written(harness: &impl LogHarness) {
    let log = started(harness).await;
    let most = u64::try_from(APPEND_BATCH_ROWS_MAX).expect("small");
    let rows = (1..=most).map(|number| {
        let slot = SlotKey::claim(ticket(number));
        opening(taking(ticket(number), number, &[slot]))
    });
    let outcomes = append(&log, units(rows)).await;
    let rows = outcomes.iter().zip(1..).map(|(outcome, number)| {
        after(placed(outcome)[0].position, draft(ticket(number), most + number))
    });
    for outcome in &append(&log, units(rows)).await {
        placed(outcome);
    }
    check_order(&log).await;
    assert_eq!(log.heads().await.expect("heads").total(), 2 * most);
}

async fn two_tickets(log: &Arc<dyn EventLog>) -> [Position; 2] {
    let one = place(log, opening(draft(ticket(1), 1))).await.position;
    let two = place(log, opening(draft(ticket(2), 2))).await.position;
    [one, two]
}
