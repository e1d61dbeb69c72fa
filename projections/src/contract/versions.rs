//! Versions: one fills beside the other, and a switch is seen at once and by everybody.

use docket_engine::cursor::Positions;
use docket_schemas::{Incarnation, Partition, Timestamp};

use super::ViewHarness;
use super::sample::{active, empty_spans, row, write};
use super::writes::{all, counted};
use crate::Taken;
use crate::query::TicketFilter;
use crate::row::ROW_FORMAT;
use crate::store::{Phase, ViewStore};

const NOW: Timestamp = Timestamp::from_micros(1_795_000_000_000_000);

async fn phases(store: &dyn ViewStore) -> Vec<(u64, Phase)> {
    let versions = store.versions().await.expect("an answer");
    versions.iter().map(|version| (version.number, version.phase)).collect()
}

/// Case.
pub async fn a_version_fills_beside_the_active_one_and_is_switched_to_at_once(
    harness: &dyn ViewHarness,
) {
    let store = harness.fresh().await;
    let other = harness.second_connection().await;
    let old = active(&*store).await;
    write(&*store, old, vec![row(1, 3)], (0, 4)).await;
    let new = store.begin(ROW_FORMAT, NOW).await.expect("a version");
    assert!(new > old);
    assert_eq!(phases(&*store).await, [(old, Phase::Active), (new, Phase::Filling)]);
    let rows = (1..40).map(|number| row(number, 3)).collect();
    write(&*store, new, rows, (0, 4)).await;
    assert_eq!(all(&*other).await.tickets.len(), 1);
    store.index(new).await.expect("indexes");
    store.vouch(new).await.expect("an answer");
    assert!(store.switch(new, NOW).await.expect("an answer"));
    for store in [&store, &other] {
        assert_eq!(all(&**store).await.tickets.len(), 39);
        assert_eq!(counted(&**store, TicketFilter::default()).await, 39);
        assert_eq!(phases(&**store).await, [(old, Phase::Kept), (new, Phase::Active)]);
    }
}

/// Case.
pub async fn a_version_that_is_behind_or_unfilled_is_not_switched_to(harness: &dyn ViewHarness) {
    let store = harness.fresh().await;
    let old = active(&*store).await;
    assert_eq!(store.write(old, None, empty_spans(0, 4)).await.expect("an answer"), Taken::Done);
    let new = store.begin(ROW_FORMAT, NOW).await.expect("a version");
    assert_eq!(store.write(new, None, empty_spans(0, 4)).await.expect("an answer"), Taken::Done);
    store.vouch(new).await.expect("an answer");
    assert!(!store.switch(new, NOW).await.expect("an answer"), "it has no indexes");
    store.index(new).await.expect("indexes");
    assert!(!store.switch(new, NOW).await.expect("an answer"), "it was not compared");
    store.vouch(new).await.expect("an answer");
    assert_eq!(store.write(old, None, empty_spans(4, 5)).await.expect("an answer"), Taken::Done);
    assert!(!store.switch(new, NOW).await.expect("an answer"), "it is behind");
    assert_eq!(store.write(new, None, empty_spans(4, 5)).await.expect("an answer"), Taken::Done);
    assert!(!store.switch(old, NOW).await.expect("an answer"), "it is active");
    assert!(!store.switch(new + 9, NOW).await.expect("an answer"), "there is none");
    assert!(store.switch(new, NOW).await.expect("an answer"));
}

/// Case.
pub async fn a_version_that_was_not_compared_is_not_kept(harness: &dyn ViewHarness) {
    let store = harness.fresh().await;
    let old = active(&*store).await;
    let new = store.begin(ROW_FORMAT, NOW).await.expect("a version");
    store.index(new).await.expect("indexes");
    assert_eq!(phases(&*store).await, [(old, Phase::Active), (new, Phase::Filling)]);
    store.vouch(new).await.expect("an answer");
    assert_eq!(phases(&*store).await, [(old, Phase::Active), (new, Phase::Kept)]);
}

/// Case.
pub async fn the_version_before_can_be_gone_back_to(harness: &dyn ViewHarness) {
    let store = harness.fresh().await;
    let old = active(&*store).await;
    write(&*store, old, vec![row(1, 3)], (0, 4)).await;
    let new = store.begin(ROW_FORMAT, NOW).await.expect("a version");
    assert_eq!(store.write(new, None, empty_spans(0, 4)).await.expect("an answer"), Taken::Done);
    store.index(new).await.expect("indexes");
    store.vouch(new).await.expect("an answer");
    assert!(store.switch(new, NOW).await.expect("an answer"));
    assert!(all(&*store).await.tickets.is_empty());
    for one in Partition::all() {
        let spans = empty_spans(0, 4).into_iter().filter(|span| span.partition == one).collect();
        // The one that has the row stands at 4 already.
        let _ = store.write(old, None, spans).await.expect("an answer");
    }
    assert!(store.switch(old, NOW).await.expect("an answer"));
    assert_eq!(all(&*store).await.tickets.len(), 1);
}

/// Case.
pub async fn a_dropped_version_fences_its_feeders(harness: &dyn ViewHarness) {
    let store = harness.fresh().await;
    let old = active(&*store).await;
    let first = store.begin(ROW_FORMAT, NOW).await.expect("a version");
    let second = store.begin(ROW_FORMAT, NOW).await.expect("a version");
    assert!(second > first);
    assert_eq!(
        store.write(first, None, empty_spans(0, 1)).await.expect("an answer"),
        Taken::Fenced
    );
    assert_eq!(phases(&*store).await, [(old, Phase::Active), (second, Phase::Filling)]);
    store.drop_version(second).await.expect("an answer");
    store.drop_version(old).await.expect("an answer");
    assert_eq!(
        store.write(second, None, empty_spans(0, 1)).await.expect("an answer"),
        Taken::Fenced
    );
    assert_eq!(phases(&*store).await, [(old, Phase::Active)], "the active one stays");
}

/// Case.
pub async fn positions_belong_to_an_incarnation_by_compare_and_set(harness: &dyn ViewHarness) {
    let store = harness.fresh().await;
    let version = active(&*store).await;
    let [first, second] = ["eu.1", "eu.2"].map(|name| name.parse::<Incarnation>().expect("a name"));
    let within = |position| {
        let mut within = Positions::START;
        Partition::all().for_each(|partition| within.set(partition, position));
        within
    };
    let rename = async |from: Option<&Incarnation>, to: &Incarnation, within: Positions| {
        store.go_on_as(version, from, to, &within).await.expect("an answer")
    };
    assert!(!rename(Some(&first), &second, within(9)).await);
    assert!(rename(None, &first, within(9)).await);
    assert!(!rename(None, &second, within(9)).await);
    let write = async |under: &Incarnation, from, to| {
        store.write(version, Some(under), empty_spans(from, to)).await.expect("an answer")
    };
    assert_eq!(write(&first, 0, 4).await, Taken::Done);
    assert!(!rename(Some(&first), &second, within(3)).await, "it has come further than is left");
    assert_eq!(write(&first, 4, 5).await, Taken::Done, "and stays what it was");
    assert!(rename(Some(&first), &second, within(5)).await);
    assert_eq!(write(&first, 5, 6).await, Taken::Fenced, "what the log has lost is not taken");
    assert_eq!(write(&second, 5, 6).await, Taken::Done);
    let versions = store.versions().await.expect("an answer");
    assert_eq!(versions[0].incarnation, Some(second));
}
