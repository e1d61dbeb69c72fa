//! Leases and nodes: one holder at a time, and no node that is not there.

use std::time::Duration;

use uuid::Uuid;

use super::RosterHarness;
use super::drafts::uuid;
use crate::cursor::Positions;

/// Long enough that no case outlives it by itself.
const LONG: Duration = Duration::from_secs(60);
/// Runs out within a case.
const SHORT: Duration = Duration::from_millis(300);
/// After it, what was for [`SHORT`] has run out.
const BEYOND_SHORT: Duration = Duration::from_millis(400);

/// Its holder renews it under one epoch, another gets it once it has run out, under the next.
pub async fn a_lease_has_one_holder_until_it_runs_out(harness: &impl RosterHarness) {
    let (leases, _) = harness.fresh().await;
    let (elsewhere, _) = harness.second_connection().await;
    let [one, two] = [node(1), node(2)];
    assert_eq!(leases.hold("relay", one, LONG).await.expect("an answer"), Some(1));
    assert_eq!(elsewhere.hold("relay", two, LONG).await.expect("an answer"), None);
    assert_eq!(elsewhere.hold("views", two, LONG).await.expect("an answer"), Some(1));
    assert_eq!(leases.hold("relay", one, SHORT).await.expect("an answer"), Some(1));
    harness.wait(BEYOND_SHORT).await;
    assert_eq!(elsewhere.hold("relay", two, LONG).await.expect("an answer"), Some(2));
    assert_eq!(leases.hold("relay", one, LONG).await.expect("an answer"), None);
}

/// Only its holder lets it go.
pub async fn a_released_lease_is_free_at_once(harness: &impl RosterHarness) {
    let (leases, _) = harness.fresh().await;
    let [one, two] = [node(1), node(2)];
    assert_eq!(leases.hold("relay", one, LONG).await.expect("an answer"), Some(1));
    leases.release("relay", two).await.expect("an answer");
    leases.release("nothing", two).await.expect("an answer");
    assert_eq!(leases.hold("relay", two, LONG).await.expect("an answer"), None);
    leases.release("relay", one).await.expect("an answer");
    assert_eq!(leases.hold("relay", two, LONG).await.expect("an answer"), Some(2));
}

/// Ten nodes reach for one lease.
pub async fn of_many_at_once_one_holds(harness: &impl RosterHarness) {
    let (leases, _) = harness.fresh().await;
    let reaching = (1..=10).map(|number| {
        let leases = leases.clone();
        tokio::spawn(async move { leases.hold("relay", node(number), LONG).await })
    });
    let mut holders = 0;
    for reached in reaching.collect::<Vec<_>>() {
        let epoch = reached.await.expect("no panic").expect("an answer");
        holders += usize::from(epoch.is_some());
    }
    assert_eq!(holders, 1);
}

/// What a node says of its index replaces what it said before.
pub async fn nodes_are_seen_until_they_fall_silent_or_leave(harness: &impl RosterHarness) {
    let (_, nodes) = harness.fresh().await;
    let (_, elsewhere) = harness.second_connection().await;
    let mut index = Positions::START;
    nodes.report(node(2), &index).await.expect("an answer");
    harness.wait(BEYOND_SHORT).await;
    nodes.report(node(1), &index).await.expect("an answer");
    index.set(docket_schemas::Partition::new(3).expect("one of 16"), 7);
    elsewhere.report(node(1), &index).await.expect("an answer");
    let seen = nodes.seen(SHORT).await.expect("an answer");
    assert_eq!(
        seen.iter().map(|seen| (seen.id, seen.index)).collect::<Vec<_>>(),
        [(node(1), index)]
    );
    let seen = nodes.seen(LONG).await.expect("an answer");
    assert_eq!(seen.iter().map(|seen| seen.id).collect::<Vec<_>>(), [node(1), node(2)]);
    nodes.leave(node(1)).await.expect("an answer");
    let seen = nodes.seen(LONG).await.expect("an answer");
    assert_eq!(seen.iter().map(|seen| seen.id).collect::<Vec<_>>(), [node(2)]);
}

fn node(number: u64) -> Uuid {
    uuid(9, number)
}
