//! Sagas: rows without a change, fenced by their stream's last position, in one unit with what they cause.

use docket_schemas::{Draft, EventId, SagaEvent, SlotKey, SlotOp, Stream};

use super::LogHarness;
use super::drafts::{
    after, append, append_one, check_order, command, draft, eu, events_of, numbers, opening, place,
    placed, started, tenant, ticket, unit, uuid,
};
use crate::append::partition_of;
use crate::ports::log::{StreamRead, UnitOutcome};

/// Row `number` of a saga.
pub(super) fn row(saga: u64, number: u64) -> Draft {
    Draft {
        stream: Stream { kind: docket_schemas::StreamKind::Saga, id: uuid(7, saga) },
        event_type: SagaEvent::StepSucceeded.into(),
        data: r#"{"step":"a"}"#.to_owned(),
        sealed: None,
        change: None,
        public: false,
        ..draft(ticket(1), number)
    }
}

async fn rows(log: &std::sync::Arc<dyn crate::ports::log::EventLog>, saga: u64) -> Vec<u64> {
    let read = StreamRead { tenant: tenant("acme"), stream: row(saga, 1).stream, after: 0 };
    numbers(&log.stream_events(&[read]).await.expect("the log is available"))
}

/// The step's effect is there exactly where the step is said to be done.
pub async fn a_sagas_row_and_its_effect_stand_or_fall_together(harness: &impl LogHarness) {
    let log = started(harness).await;
    let opened = place(&log, opening(draft(ticket(1), 1))).await;
    let first =
        append_one(&log, [after(0, row(1, 2)), after(opened.position, draft(ticket(1), 3))]);
    let first = placed(&first.await).to_vec();
    assert_eq!(first[0].recorded_at, first[1].recorded_at);

    let stale_saga = unit([after(0, row(1, 4)), after(first[1].position, draft(ticket(1), 5))]);
    let stale_ticket =
        unit([after(first[0].position, row(1, 6)), after(opened.position, draft(ticket(1), 7))]);
    let neighbour = unit([after(0, row(2, 8)), opening(draft(ticket(2), 9))]);
    let outcomes = append(&log, vec![stale_saga, neighbour]).await;
    assert_eq!(outcomes[0], UnitOutcome::Behind);
    placed(&outcomes[1]);
    assert_eq!(append(&log, vec![stale_ticket]).await, [UnitOutcome::Behind]);

    assert_eq!(rows(&log, 1).await, [2]);
    assert_eq!(numbers(&events_of(&log, ticket(1)).await), [1, 3]);
    assert_eq!((rows(&log, 2).await, events_of(&log, ticket(2)).await.len()), (vec![8], 1));
    check_order(&log).await;
}

/// Two that think they lead: the stream's last position lets one through, in one batch or in two.
pub async fn of_two_coordinators_rows_one_is_written(harness: &impl LogHarness) {
    let log = started(harness).await;
    let rivals = [2, 3].map(|number| {
        unit([after(0, row(1, number)), opening(draft(ticket(number), number + 10))])
    });
    let outcomes = append(&log, rivals.to_vec()).await;
    let first = placed(&outcomes[0])[0];
    assert_eq!(outcomes[1], UnitOutcome::Behind);
    let late = unit([after(0, row(1, 4)), opening(draft(ticket(4), 14))]);
    assert_eq!(append(&log, vec![late]).await, [UnitOutcome::Behind]);
    let next = unit([after(first.position, row(1, 5)), opening(draft(ticket(5), 15))]);
    placed(&append(&log, vec![next]).await[0]);
    assert_eq!(rows(&log, 1).await, [2, 5]);
    for absent in [3, 4] {
        assert!(events_of(&log, ticket(absent)).await.is_empty());
    }
    check_order(&log).await;
}

/// Who starts first has what both need.
pub async fn a_sagas_row_takes_slots_without_a_change(harness: &impl LogHarness) {
    let log = started(harness).await;
    let keys = ["merge/a", "merge/b"].map(SlotKey::stored);
    let taking = |saga, number, keys: &[&SlotKey]| {
        let slots = keys.iter().map(|&key| SlotOp::Take(key.clone())).collect();
        unit([after(0, Draft { slots, ..row(saga, number) })])
    };
    let outcomes = append(
        &log,
        vec![taking(1, 1, &[&keys[0], &keys[1]]), taking(2, 2, &[&keys[1], &keys[0]])],
    );
    let outcomes = outcomes.await;
    let first = placed(&outcomes[0])[0];
    let holder = EventId::new(uuid(3, 1));
    assert_eq!(outcomes[1], UnitOutcome::SlotHeld { key: keys[1].clone(), holder });
    let release = Draft { slots: vec![SlotOp::Release(keys[1].clone())], ..row(1, 3) };
    place(&log, after(first.position, release)).await;
    placed(&append(&log, vec![taking(3, 4, &[&keys[1]])]).await[0]);
}

/// What resuming reads.
pub async fn a_sagas_rows_come_back_by_stream_partition_and_command(harness: &impl LogHarness) {
    let log = started(harness).await;
    let draft = Draft { correlation_id: Some(command(77)), ..row(1, 1) };
    let at = place(&log, after(0, draft.clone())).await;
    assert_eq!(at.partition, partition_of(&draft));
    let log = harness.second_connection().await;
    let read = StreamRead { tenant: tenant("acme"), stream: draft.stream, after: 0 };
    let by_stream = log.stream_events(std::slice::from_ref(&read)).await.expect("an answer");
    let by_page = log.stream_page(&read, 5).await.expect("an answer");
    let by_partition = log.partition_events(at.partition, 0, 5).await.expect("an answer");
    let by_command = log.event_of_command(&draft.tenant, at.partition, draft.command_id).await;
    let by_command = by_command.expect("an answer").into_iter().collect::<Vec<_>>();
    for events in [by_stream, by_page, by_partition, by_command] {
        assert_eq!(events.len(), 1);
        assert_eq!(events[0].draft, draft);
        assert_eq!(events[0].origin.region, eu(1));
    }
}
