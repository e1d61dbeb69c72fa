//! What keeps a wrong writer out: incarnation, erasure epoch, the constraints under all checks.

use docket_schemas::{Change, Draft};

use super::LogHarness;
use super::drafts::{
    after, append, batch, chained, check_order, draft, eu, events_of, numbers, opening, place,
    placed, started, ticket, unit, units,
};
use crate::ports::log::{Batch, LogError, UnitOutcome};

/// After a restore nothing may be written as who one was before.
pub async fn an_older_incarnation_is_handed_back_whole(harness: &impl LogHarness) {
    let log = started(harness).await;
    log.begin_incarnation(Some(&eu(1)), &eu(2)).await.expect("an incarnation begins");
    let rows = units([opening(draft(ticket(1), 1)), opening(draft(ticket(2), 2))]);
    let old = UnitOutcome::IncarnationOld { current: eu(2) };
    for wrong in [eu(1), eu(3)] {
        let outcomes = log.append(batch(wrong, rows.clone())).await.expect("an answer");
        assert_eq!(outcomes, [old.clone(), old.clone()]);
    }
    assert_eq!(log.heads().await.expect("heads").total(), 0);
    for outcome in log.append(batch(eu(2), rows)).await.expect("an answer") {
        placed(&outcome);
    }
}

/// Whoever appends has to be somebody.
pub async fn nothing_is_written_before_an_incarnation_has_begun(harness: &impl LogHarness) {
    let log = harness.fresh().await;
    let outcome = log.append(batch(eu(1), units([opening(draft(ticket(1), 1))]))).await;
    assert!(matches!(outcome, Err(LogError::Damaged { .. })), "{outcome:?}");
    assert_eq!(log.heads().await.expect("heads").total(), 0);
}

/// Nothing is acknowledged under a key that has been destroyed since it was sealed.
pub async fn an_older_erasure_epoch_is_handed_back_whole(harness: &impl LogHarness) {
    let log = started(harness).await;
    assert_eq!(log.raise_erasure_epoch().await.expect("an answer"), 1);
    assert_eq!(log.raise_erasure_epoch().await.expect("an answer"), 2);
    let rows = units([opening(draft(ticket(1), 1)), opening(draft(ticket(2), 2))]);
    let old = Batch { erasure_epoch: 1, ..batch(eu(1), rows.clone()) };
    let outcomes = log.append(old).await.expect("an answer");
    assert_eq!(outcomes, vec![UnitOutcome::EpochOld { current: 2 }; 2]);
    assert_eq!(log.heads().await.expect("heads").total(), 0);
    let current = Batch { erasure_epoch: 2, ..batch(eu(1), rows) };
    for outcome in log.append(current).await.expect("an answer") {
        placed(&outcome);
    }
}

/// An author that expects rightly and yet uses a dot again has a bug; it shall cost only its own unit.
pub async fn a_dot_used_twice_is_not_stored_and_its_neighbours_are(harness: &impl LogHarness) {
    let log = started(harness).await;
    let first = place(&log, opening(draft(ticket(1), 1))).await;
    let outcomes = append(
        &log,
        vec![
            unit([opening(draft(ticket(2), 2))]),
            unit([opening(draft(ticket(3), 3)), after(first.position, with_dot_of(1, 4))]),
            unit([after(first.position, draft(ticket(1), 5))]),
            unit([chained(draft(ticket(2), 6))]),
            unit([chained(draft(ticket(3), 7))]),
            unit([opening(draft(ticket(4), 8))]),
        ],
    )
    .await;
    assert!(matches!(outcomes[1], UnitOutcome::Damaged { .. }), "{:?}", outcomes[1]);
    assert_eq!(outcomes[2], UnitOutcome::Behind);
    assert_eq!(outcomes[4], UnitOutcome::Behind);
    for appended in [0, 3, 5] {
        assert_eq!(placed(&outcomes[appended]).len(), 1, "unit {appended}");
    }
    assert_eq!(numbers(&events_of(&log, ticket(1)).await), [1]);
    assert_eq!(numbers(&events_of(&log, ticket(2)).await), [2, 6]);
    assert!(events_of(&log, ticket(3)).await.is_empty());
    check_order(&log).await;
    place(&log, after(first.position, draft(ticket(1), 5))).await;
}

/// Twice the same command in one unit cannot be right.
pub async fn a_command_twice_in_one_unit_is_not_stored_and_its_neighbours_are(
    harness: &impl LogHarness,
) {
    let log = started(harness).await;
    let again = Draft { command_id: draft(ticket(1), 1).command_id, ..draft(ticket(1), 2) };
    let outcomes = append(
        &log,
        vec![
            unit([opening(draft(ticket(1), 1)), chained(again)]),
            unit([opening(draft(ticket(2), 3))]),
        ],
    )
    .await;
    assert!(matches!(outcomes[0], UnitOutcome::Damaged { .. }), "{:?}", outcomes[0]);
    placed(&outcomes[1]);
    assert!(events_of(&log, ticket(1)).await.is_empty());
    check_order(&log).await;
}

/// Draft `number` of ticket 1 with the dot of draft `dot`.
fn with_dot_of(dot: u64, number: u64) -> Draft {
    let honest = draft(ticket(1), number);
    let change = honest.change.clone().map(|change| Change { seq: dot, ..change });
    Draft { change, ..honest }
}
