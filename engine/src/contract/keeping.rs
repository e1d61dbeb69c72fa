//! What a log keeps beside its events: snapshots, incarnations, the key store's name, the epoch.

use docket_schemas::Stream;

use super::LogHarness;
use super::drafts::{
    append_one, chained, draft, eu, opening, place, placed, started, tenant, ticket, uuid,
};
use crate::cursor::Positions;
use crate::ports::log::{IncarnationStart, Snapshot};

/// Two nodes save as they come: the later state stays.
pub async fn an_older_snapshot_never_replaces_a_newer(harness: &impl LogHarness) {
    let log = started(harness).await;
    let acme = tenant("acme");
    // Only what the log has can have been folded.
    let mut rows = vec![opening(draft(ticket(1), 1))];
    rows.extend((2..=9).map(|number| chained(draft(ticket(1), number))));
    assert_eq!(placed(&append_one(&log, rows).await).last().map(|last| last.position), Some(9));
    let save = async |position, byte: u8| {
        let snapshot = Snapshot { position, bytes: vec![byte; 300] };
        log.save_snapshot(&acme, ticket(1), snapshot).await.expect("an answer");
    };
    save(5, 1).await;
    save(9, 2).await;
    save(7, 3).await;
    let asked = [(acme.clone(), ticket(2)), (acme.clone(), ticket(1)), (tenant("bolt"), ticket(1))];
    let found = log.snapshots(&asked).await.expect("an answer");
    let newest = Snapshot { position: 9, bytes: vec![2; 300] };
    assert_eq!(found, [(acme, ticket(1), newest)]);
    assert!(log.snapshots(&[]).await.expect("an answer").is_empty());
}

/// A snapshot may be saved long after it was made: what it holds may be lost by then, and its place another stream's.
pub async fn a_snapshot_of_what_the_log_does_not_have_is_not_kept(harness: &impl LogHarness) {
    let log = started(harness).await;
    let acme = tenant("acme");
    let partition = Stream::ticket(ticket(1)).partition(&acme);
    let own = |number: &u64| Stream::ticket(ticket(*number)).partition(&acme) == partition;
    let other = (2..).find(own).expect("one in 16");
    place(&log, opening(draft(ticket(1), 1))).await;
    place(&log, opening(draft(ticket(other), 2))).await;
    for (position, is_kept) in [(3, false), (2, false), (1, true), (2, false), (3, false)] {
        let snapshot = Snapshot { position, bytes: vec![1; 300] };
        log.save_snapshot(&acme, ticket(1), snapshot).await.expect("an answer");
        let found = log.snapshots(&[(acme.clone(), ticket(1))]).await.expect("an answer");
        assert!(found.iter().all(|(.., kept)| kept.position == 1), "{found:?}");
        assert!(!is_kept || found.len() == 1, "what the log has is kept");
    }
}

/// Two nodes that find the log restored agree on one next incarnation.
pub async fn incarnations_begin_by_compare_and_set_and_keep_their_heads(harness: &impl LogHarness) {
    let log = harness.fresh().await;
    assert!(log.incarnations().await.expect("an answer").is_empty());
    let other = harness.second_connection().await;
    assert_eq!(log.begin_incarnation(None, &eu(1)).await.expect("an answer"), eu(1));
    assert_eq!(other.begin_incarnation(None, &eu(1)).await.expect("an answer"), eu(1));
    for number in 1..=20 {
        place(&log, opening(draft(ticket(number), number))).await;
    }
    let heads = log.heads().await.expect("heads");
    assert_eq!(other.begin_incarnation(Some(&eu(1)), &eu(2)).await.expect("an answer"), eu(2));
    assert_eq!(log.begin_incarnation(Some(&eu(1)), &eu(3)).await.expect("an answer"), eu(2));
    let start = |number, heads| IncarnationStart { incarnation: eu(number), heads };
    let expected = [start(1, Positions::START), start(2, heads)];
    assert_eq!(log.incarnations().await.expect("an answer"), expected);
    assert_eq!(heads.total(), 20);
}

/// The first name stands, for every connection.
pub async fn a_key_store_is_named_once(harness: &impl LogHarness) {
    let log = harness.fresh().await;
    let other = harness.second_connection().await;
    let [first, second] = [1, 2].map(|number| uuid(6, number));
    assert_eq!(log.key_store().await.expect("an answer"), None);
    assert_eq!(log.name_key_store(first).await.expect("an answer"), first);
    assert_eq!(other.name_key_store(second).await.expect("an answer"), first);
    assert_eq!(other.key_store().await.expect("an answer"), Some(first));
}

/// From 0, by one.
pub async fn the_erasure_epoch_rises_for_every_connection(harness: &impl LogHarness) {
    let log = harness.fresh().await;
    let other = harness.second_connection().await;
    assert_eq!(log.erasure_epoch().await.expect("an answer"), 0);
    assert_eq!(other.raise_erasure_epoch().await.expect("an answer"), 1);
    assert_eq!(log.raise_erasure_epoch().await.expect("an answer"), 2);
    assert_eq!(other.erasure_epoch().await.expect("an answer"), 2);
}

/// Readiness costs no position.
pub async fn a_probe_writes_no_event(harness: &impl LogHarness) {
    let log = started(harness).await;
    place(&log, opening(draft(ticket(1), 1))).await;
    let heads = log.heads().await.expect("heads");
    for _ in 0..3 {
        log.probe_write().await.expect("the log can be written");
    }
    assert_eq!(log.heads().await.expect("heads"), heads);
}
