//! Slots: what only one may hold.

use docket_schemas::{Draft, SlotKey, SlotOp};

use super::LogHarness;
use super::drafts::{
    after, append, append_one, check_order, draft, draft_of, events_of, opening, place, placed,
    releasing, started, taking, tenant, ticket, unit, units,
};
use crate::ports::log::UnitOutcome;

/// Take, take again, release, release again, take.
pub async fn a_slot_is_taken_held_released_and_free(harness: &impl LogHarness) {
    let log = started(harness).await;
    let key = SlotKey::claim(ticket(1));
    let keys = [key.clone()];
    let holder = draft(ticket(1), 1).event_id;
    place(&log, opening(taking(ticket(1), 1, &keys))).await;
    let held = UnitOutcome::SlotHeld { key: key.clone(), holder };
    assert_eq!(append_one(&log, [opening(taking(ticket(2), 2, &keys))]).await, held);
    place(&log, opening(releasing(ticket(3), 3, &key))).await;
    let free = UnitOutcome::SlotFree { key: key.clone() };
    assert_eq!(append_one(&log, [opening(releasing(ticket(4), 4, &key))]).await, free);
    place(&log, opening(taking(ticket(5), 5, &keys))).await;
    assert!(events_of(&log, ticket(2)).await.is_empty());
    check_order(&log).await;
}

/// Slots are a tenant's own.
pub async fn a_slot_of_another_tenant_is_another_slot(harness: &impl LogHarness) {
    let log = started(harness).await;
    let slots = vec![SlotOp::Take(SlotKey::stored("door"))];
    for (number, name) in [(1, "acme"), (2, "bolt")] {
        let draft = draft_of(&tenant(name), ticket(1), number);
        place(&log, opening(Draft { slots: slots.clone(), ..draft })).await;
    }
    let draft = draft_of(&tenant("bolt"), ticket(2), 3);
    let outcome = append_one(&log, [opening(Draft { slots, ..draft })]).await;
    assert!(matches!(outcome, UnitOutcome::SlotHeld { .. }), "{outcome:?}");
}

/// Release and take in one event: the slot changes hands without ever being free.
pub async fn one_event_hands_a_slot_on(harness: &impl LogHarness) {
    let log = started(harness).await;
    let key = SlotKey::claim(ticket(1));
    let first = place(&log, opening(taking(ticket(1), 1, std::slice::from_ref(&key)))).await;
    let slots = vec![SlotOp::Release(key.clone()), SlotOp::Take(key.clone())];
    let handing_on = Draft { slots, ..draft(ticket(1), 2) };
    place(&log, after(first.position, handing_on)).await;
    let refused =
        append_one(&log, [opening(taking(ticket(2), 3, std::slice::from_ref(&key)))]).await;
    let holder = draft(ticket(1), 2).event_id;
    assert_eq!(refused, UnitOutcome::SlotHeld { key: key.clone(), holder });
    let slots = vec![SlotOp::Take(key.clone()), SlotOp::Release(key.clone())];
    let wrong_order = Draft { slots, ..draft(ticket(2), 4) };
    let refused = append_one(&log, [opening(wrong_order)]).await;
    assert_eq!(refused, UnitOutcome::SlotHeld { key, holder });
}

/// One held slot refuses the rows and the other slots of its unit, and the later units of its streams.
pub async fn a_refused_slot_undoes_the_whole_unit(harness: &impl LogHarness) {
    let log = started(harness).await;
    let [held, wanted] = ["b", "a"].map(SlotKey::stored);
    place(&log, opening(taking(ticket(1), 1, std::slice::from_ref(&held)))).await;
    let outcomes = append(
        &log,
        vec![
            unit([
                opening(taking(ticket(2), 2, std::slice::from_ref(&wanted))),
                opening(taking(ticket(3), 3, std::slice::from_ref(&held))),
            ]),
            unit([opening(draft(ticket(2), 4))]),
            unit([opening(draft(ticket(4), 5))]),
        ],
    )
    .await;
    let holder = draft(ticket(1), 1).event_id;
    assert_eq!(outcomes[0], UnitOutcome::SlotHeld { key: held, holder });
    assert_eq!(outcomes[1], UnitOutcome::Behind);
    placed(&outcomes[2]);
    assert!(events_of(&log, ticket(2)).await.is_empty());
    place(&log, opening(taking(ticket(5), 6, &[wanted]))).await;
    check_order(&log).await;
}

/// A later unit sees what the earlier ones of its batch did to a slot.
pub async fn slots_follow_the_order_of_the_batch(harness: &impl LogHarness) {
    let log = started(harness).await;
    let key = SlotKey::stored("k");
    let keys = std::slice::from_ref(&key);
    let outcomes = append(
        &log,
        units([
            opening(taking(ticket(1), 1, keys)),
            opening(taking(ticket(2), 2, keys)),
            opening(releasing(ticket(3), 3, &key)),
            opening(releasing(ticket(4), 4, &key)),
            opening(taking(ticket(5), 5, keys)),
        ]),
    )
    .await;
    for appended in [0, 2, 4] {
        placed(&outcomes[appended]);
    }
    let holder = draft(ticket(1), 1).event_id;
    assert_eq!(outcomes[1], UnitOutcome::SlotHeld { key: key.clone(), holder });
    assert_eq!(outcomes[3], UnitOutcome::SlotFree { key: key.clone() });
    let holder = draft(ticket(5), 5).event_id;
    let refused = append_one(&log, [opening(taking(ticket(6), 6, keys))]).await;
    assert_eq!(refused, UnitOutcome::SlotHeld { key, holder });
}
