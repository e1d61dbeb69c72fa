//! The relay against a real server: whatever is lost, killed, restored or slipped in, the stream holds the log.

#![expect(clippy::unwrap_used, reason = "a test says by a panic that it failed")]

#[path = "relay/published.rs"]
mod published;
#[path = "relay/region.rs"]
mod region;
#[path = "relay/stray.rs"]
mod stray;

use std::time::Duration;

use docket_engine::ports::witness::Witness as _;
use docket_nats::{Link, NatsOptions, StreamWitness};
use docket_schemas::Partition;
use published::Published;
use region::Region;
use serde_json::{Value, json};

/// Whether each partition's positions follow each other without a gap, from the first that is there.
fn gapless(published: &[Published]) -> bool {
    Partition::all().all(|partition| {
        let of = published.iter().filter(|message| message.partition == partition);
        let positions: Vec<u64> = of.map(|message| message.position).collect();
        positions.windows(2).all(|pair| pair[1] == pair[0] + 1)
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_is_a_cloud_event_without_its_text() {
    let region = Region::new().await;
    region.write("acme", 0..1).await;
    let relay = region.relay();
    let published = region.holds(1).await;
    let event = &region.log_events().await[0];
    let message = &published[0];
    let name = &region.name;
    let (partition, id) = (event.partition.number(), event.event_id.to_string());
    let expected = format!("docket.v1.{name}.acme.ticket.{partition}.message-added");
    assert_eq!(message.subject, expected);
    let cursor = message.header("docket-cursor");
    for (header, value) in [
        ("Nats-Msg-Id", id.as_str()),
        ("ce-id", &id),
        ("ce-specversion", "1.0"),
        ("ce-type", "ticket.message_added"),
        ("ce-source", &format!("/docket/{name}/acme")),
        ("ce-subject", &event.stream.id.to_string()),
        ("ce-time", &event.recorded_at.to_string()),
        ("ce-dataschema", "urn:docket:event:ticket.message_added:1"),
    ] {
        assert_eq!(message.header(header), value, "{header}");
    }
    let body: Value = serde_json::from_slice(&message.payload).unwrap();
    assert_eq!(body["id"], json!(id));
    assert_eq!(body["cursor"], json!(cursor));
    assert_eq!(body["principal"], json!(event.principal.to_string()));
    assert_eq!(body["position"], 1);
    assert_eq!(body.get("text"), None);
    let url = format!("/v1/events/{id}?partition={partition}&position=1");
    assert_eq!(body["text_url"], json!(url));
    drop(relay);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_relay_that_is_killed_again_and_again_publishes_each_event_once_and_in_order() {
    let region = Region::new().await;
    let mut written = 0;
    for round in 0..12_u64 {
        region.write("acme", written..written + 700).await;
        written += 700;
        let relay = region.relay();
        tokio::time::sleep(Duration::from_millis(7 * (round % 5))).await;
        drop(relay);
    }
    let relay = region.relay();
    let published = region.holds(written).await;
    assert!(gapless(&published));
    assert_eq!(published.len() as u64, written);
    drop(relay);
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_relays_the_events_of_all_partitions_come_in_the_order_in_which_they_were_recorded()
{
    let region = Region::new().await;
    region.write("acme", 0..4_000).await;
    for round in 1..6_u64 {
        let relay = region.relay();
        stray::holds_some(&region, round * 500).await;
        drop(relay);
    }
    let relay = region.relay();
    let published = region.holds(4_000).await;
    let order = |message: &Published| {
        (message.header("ce-time").to_owned(), message.partition, message.position)
    };
    assert!(published.is_sorted_by_key(order));
    assert_eq!(published.len(), 4_000);
    drop(relay);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_killed_relay_sent_and_landed_behind_another_s_hides_no_event() {
    let region = Region::new().await;
    region.write("acme", 0..1).await;
    let relay = region.relay();
    region.holds(1).await;
    drop(relay);
    let first = region.log_events().await.remove(0);
    region.write("acme", 1..3).await;
    let mut events = region.log_events().await;
    events.retain(|event| event.event_id != first.event_id);
    let [hidden, landed] = &events[..] else { panic!("two events") };
    assert_ne!(hidden.partition, landed.partition);
    // Its cursor claims all three.
    stray::land(&region, landed).await;
    let relay = region.relay();
    let published = region.holds(3).await;
    assert_eq!(published[2].id, hidden.event_id.to_string());
    assert_eq!(published.len(), 3);
    drop(relay);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_passed_over_because_the_stream_had_it_is_published_when_it_no_longer_does() {
    let region = Region::new().await;
    region.write("acme", 0..1).await;
    let relay = region.relay();
    region.holds(1).await;
    drop(relay);
    // Two events of one ticket, and so of one partition.
    region.write("acme", 1..2).await;
    region.write("acme", 98..99).await;
    stray::land(&region, &region.event(98).await).await;
    let relay = region.relay();
    region.holds(3).await;
    region.wipe().await;
    region.write("acme", 99..100).await;
    assert_eq!(region.holds(4).await.len(), 4);
    drop(relay);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_event_is_not_taken_for_a_hidden_one_at_its_position() {
    let mut region = Region::new().await;
    region.write("acme", 0..3).await;
    let relay = region.relay();
    region.holds(3).await;
    drop(relay);
    region.restore(1).await;
    region.begin(2).await;
    region.write("acme", 3..4).await;
    let relay = region.relay();
    region.holds(4).await;
    drop(relay);
    // On the tickets of the lost ones, and at their positions.
    region.write("acme", 98..99).await;
    region.write("acme", 99..100).await;
    let (hidden, landed) = (region.event(98).await, region.event(99).await);
    assert_ne!(hidden.partition, landed.partition);
    assert_eq!(hidden.position, 1, "where a lost one was");
    stray::land(&region, &landed).await;
    let relay = region.relay();
    let published = region.holds(6).await;
    assert_eq!(published[5].id, hidden.event_id.to_string());
    drop(relay);
}

#[tokio::test(flavor = "multi_thread")]
async fn two_relays_at_once_publish_each_event_once_and_in_order() {
    let region = Region::new().await;
    let relays = [region.relay(), region.relay_that_holds_a_lease_of_its_own()];
    for part in 0..20 {
        region.write("acme", part * 200..(part + 1) * 200).await;
    }
    let published = region.holds(4_000).await;
    assert!(gapless(&published));
    assert_eq!(published.len(), 4_000);
    drop(relays);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_relay_that_ends_lets_another_go_on_without_its_lease_running_out() {
    let region = Region::new().await;
    let first = region.relay_of(1).await;
    region.write("acme", 0..100).await;
    assert_eq!(region.holds(100).await.len(), 100);
    let second = region.relay_of(2).await;
    // The clock of leases stands still here: what is not let go of is held for ever.
    first.end().await;
    region.write("acme", 100..200).await;
    assert!(gapless(&region.holds(200).await));
    drop(second);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_that_somebody_slips_in_hides_no_event() {
    let region = Region::new().await;
    let relay = region.relay();
    for part in 0..30 {
        region.write("acme", part * 100..(part + 1) * 100).await;
        region.slip_in(part).await;
    }
    let published = region.holds(3_000).await;
    assert!(gapless(&published));
    assert_eq!(published.len(), 3_000);
    drop(relay);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wiped_stream_is_filled_again_with_what_it_would_keep() {
    let region = Region::new().await;
    region.write("acme", 0..300).await;
    region.days_pass(15);
    region.write("acme", 300..500).await;
    let relay = region.relay();
    let _ = region.holds(200).await;
    region.wipe().await;
    region.write("acme", 500..510).await;
    let published = region.holds(210).await;
    assert!(gapless(&published));
    assert_eq!(region.new_among(&published, 300).await, 210);
    drop(relay);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_has_aged_out_is_not_filled_again() {
    let region = Region::new().await;
    let relay = region.relay();
    region.write("acme", 0..50).await;
    let _ = region.holds(50).await;
    region.cursor_is_saved(50).await;
    drop(relay);
    region.age_out().await;
    let relay = region.relay();
    region.write("acme", 50..60).await;
    let published = region.holds(10).await;
    assert_eq!(region.new_among(&published, 50).await, 10);
    assert_eq!(published.len(), 10);
    drop(relay);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_place_in_an_incarnation_that_the_log_does_not_list_hides_nothing() {
    let mut region = Region::new().await;
    region.write("acme", 0..10).await;
    region.restore(5).await;
    region.begin(2).await;
    region.write("acme", 1_000..1_020).await;
    let relay = region.relay();
    let _ = region.holds(25).await;
    region.cursor_is_saved(25).await;
    drop(relay);
    // That was the wrong backup. Only the saved cursor is left of it.
    region.age_out().await;
    region.restore(60).await;
    region.begin(3).await;
    let relay = region.relay();
    let published = region.holds(60).await;
    assert_eq!(region.new_among(&published, 0).await, 60);
    drop(relay);
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_restore_new_events_do_not_hide_behind_lost_ones() {
    let mut region = Region::new().await;
    region.write("acme", 0..300).await;
    let relay = region.relay();
    let _ = region.holds(300).await;
    drop(relay);
    region.restore(200).await;
    region.begin(2).await;
    region.write("acme", 1_000..1_050).await;
    let relay = region.relay();
    let published = region.holds(350).await;
    assert_eq!(published.len(), 350, "nothing is published twice");
    assert_eq!(region.new_among(&published[300..], 1_000).await, 50);
    assert!(published[300..].iter().all(|m| m.incarnation == 2));
    drop(relay);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restore_that_nobody_noticed_is_found_and_what_was_written_since_is_published() {
    let mut region = Region::new().await;
    region.write("acme", 0..300).await;
    let relay = region.relay();
    let _ = region.holds(300).await;
    drop(relay);
    // The log goes on under its old incarnation, beyond where it had been: nothing but the stream knows better.
    region.restore(200).await;
    region.write("acme", 1_000..1_500).await;
    let relay = region.relay();
    region.found_restored().await;
    region.write("acme", 2_000..2_010).await;
    let all = |published: &[Published]| {
        let ids: std::collections::HashSet<_> = published.iter().map(|m| m.id.clone()).collect();
        ids.len() == 300 + 500 + 10
    };
    let published = region.holds_until(all).await;
    assert_eq!(region.new_among(&published, 1_000).await, 510);
    drop(relay);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_is_otherwise_than_asked_for_is_never_published_to() {
    let region = Region::new().await;
    region.make_stream_that_may_be_purged().await;
    region.write("acme", 0..10).await;
    let relay = region.relay();
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(region.published().await.len(), 0);
    assert_eq!(relay.lag_events(), Some(10));
    drop(relay);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_stream_bears_witness_to_the_last_event_of_each_partition() {
    let region = Region::new().await;
    region.write("acme", 0..200).await;
    let relay = region.relay();
    let published = region.holds(200).await;
    let link = Link::connect(&region.options(), "witness").await.unwrap();
    let witness = StreamWitness::new(&link, &region.name);
    let seen = witness.recall().await.unwrap();
    for partition in Partition::all() {
        let last = published.iter().rfind(|message| message.partition == partition).unwrap();
        let seen = seen.iter().find(|seen| seen.partition == partition).unwrap();
        assert_eq!((seen.position, seen.event_id.to_string()), (last.position, last.id.clone()));
        assert_eq!(seen.incarnation, 1);
    }
    assert_eq!(relay.lag_events(), Some(0));
    let nobody = NatsOptions { url: "nats://127.0.0.1:1".to_owned(), secret: None };
    let silent = StreamWitness::new(&Link::connect(&nobody, "w").await.unwrap(), &region.name);
    assert_eq!(silent.recall().await, Ok(Vec::new()), "a node starts without NATS");
    drop(relay);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tenants_consumer_shows_its_own_events_and_is_set_anew_on_request() {
    let region = Region::new().await;
    region.write("acme", 0..40).await;
    region.write("globex", 100..140).await;
    let relay = region.relay_for(&["acme", "globex"]);
    let _ = region.holds(80).await;
    let feed = region.pull("acme_feed", 100).await;
    assert_eq!(feed.len(), 40);
    assert!(feed.iter().all(|m| m.subject.contains(".acme.")));
    let asked = region.reset("acme", "feed", json!({})).await;
    let behind = asked["from"]["sequence"].as_u64().unwrap();
    assert!(behind > feed[39].sequence, "behind all that was acknowledged");
    assert_eq!(region.pull("acme_feed", 100).await.len(), 0);
    assert!(region.reset("acme", "feed", json!({})).await["error"].is_string(), "not so often");
    let sequence = feed[30].sequence;
    let _ = region.reset("acme", "replay", json!({"sequence": sequence})).await;
    assert_eq!(region.pull("acme_replay", 100).await.len(), 10);
    assert!(region.reset("acme", "replay", json!({"filter": "x"})).await["error"].is_string());
    drop(relay);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_live_subject_gets_each_new_event_of_its_ticket() {
    let region = Region::new().await;
    let relay = region.relay();
    region.write("acme", 0..1).await;
    let _ = region.holds(1).await;
    let mut live = region.listen(&region.live_subject("acme", 0)).await;
    let heard = region.writes_until_heard("acme", 0, &mut live).await;
    assert!(heard.subject.ends_with(".message-added"));
    assert_eq!(heard.headers.unwrap().get("ce-specversion").unwrap().as_str(), "1.0");
    drop(relay);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_log_goes_on_and_is_published_when_nats_comes_late() {
    let region = Region::new().await;
    let nobody = NatsOptions { url: "nats://127.0.0.1:1".to_owned(), secret: None };
    let relay = region.relay_at(nobody);
    region.write("acme", 0..10).await;
    let lag = async || {
        while relay.lag_events() != Some(10) {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(5), lag()).await.unwrap();
    drop(relay);
    let relay = region.relay();
    assert_eq!(region.holds(10).await.len(), 10);
    drop(relay);
}
