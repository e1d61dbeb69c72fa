//! Several nodes: whoever leads carries, and another goes on where one has ended.

use std::time::Duration;

use docket_engine::ports::sagas::Standing;
use docket_schemas::Partition;

use super::crew::{Crew, QUICK, Tag, transient};
use crate::*;

#[tokio::test]
async fn another_node_goes_on_with_what_one_left() {
    let crew = Crew::new().await;
    let tag = Tag(crew.script.clone());
    let slow = || {
        Definition::new("slow", 1)
            .step(Step::local("a", tag.clone()).undo(tag.clone()))
            .step(Step::new("rest", Act::Pause(Duration::from_millis(800))))
            .step(Step::remote("out", crew.outside()).undo_remote(crew.outside()))
            .step(Step::local("b", tag.clone()).undo(tag.clone()))
    };
    let first = crew.node(vec![slow()]).await;
    let mut all = Vec::new();
    for _ in 0..40 {
        let ticket = crew.ticket(&first).await;
        all.push((ticket, crew.start(&first, "slow", ticket).await));
    }
    crew.end(first).await;
    let second = crew.node(vec![slow()]).await;
    for (ticket, started) in &all {
        assert_eq!(crew.settle(&second, started).await, Standing::Done);
        assert_eq!(crew.tags(&second, *ticket).await, ["a", "b"]);
        assert_eq!(crew.load(&second, started).await.rows, 5);
    }
    let outside = crew.script.outside.lock();
    assert_eq!((outside.len(), outside.values().sum::<i32>()), (40, 40));
}

#[tokio::test]
async fn a_node_that_does_not_lead_starts_what_the_leader_carries() {
    let crew = Crew::new().await;
    let first = crew.node(vec![crew.four()]).await;
    let second = crew.try_node(vec![crew.four()]).await.unwrap();
    let mut all = Vec::new();
    for _ in 0..20 {
        let ticket = crew.ticket(&second).await;
        all.push((ticket, crew.start(&second, "four", ticket).await));
    }
    for (ticket, started) in &all {
        assert_eq!(crew.settle(&second, started).await, Standing::Done);
        assert_eq!(crew.tags(&first, *ticket).await, ["a", "b", "c", "d"]);
    }
    // Both are there now, and share.
    let shared = || {
        let led = |node: &super::crew::Node| {
            Partition::all().filter(|partition| node.coordinator.leads(*partition)).count()
        };
        (led(&first), led(&second))
    };
    for _ in 0..60 {
        if shared() == (8, 8) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("they do not share: {:?}", shared());
}

#[tokio::test]
async fn an_operator_on_another_node_is_followed() {
    let crew = Crew::new().await;
    let first = crew.node(vec![crew.four()]).await;
    crew.script.fail("b/run", &[transient(), transient(), transient()]);
    let ticket = crew.ticket(&first).await;
    let started = crew.start(&first, "four", ticket).await;
    assert_eq!(crew.settle(&first, &started).await, Standing::Parked);
    let other = crew.try_node(vec![crew.four()]).await.unwrap();
    let by = crew.operator().await;
    other
        .coordinator
        .operate(&by, started.state.id, &Operation::Retry { reason: None })
        .await
        .unwrap();
    for _ in 0..400 {
        if crew.load(&other, &started).await.ended.is_some() {
            assert_eq!(crew.tags(&first, ticket).await, ["a", "b", "c", "d"]);
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("nobody followed");
}

#[tokio::test]
async fn two_that_believe_they_lead_do_everything_once() {
    let crew = Crew::new().await;
    let first = crew.node(vec![crew.four()]).await;
    let mut all = Vec::new();
    for _ in 0..30 {
        let ticket = crew.ticket(&first).await;
        all.push((ticket, crew.start(&first, "four", ticket).await));
    }
    // The lease is taken from under the first, which goes on until it looks.
    for lane in 0..4 {
        use docket_engine::ports::leases::Leases as _;
        crew.roster.release(&format!("saga/{lane}"), first.id).await.unwrap();
    }
    let second = crew.try_node(vec![crew.four()]).await.unwrap();
    for (ticket, started) in &all {
        assert_eq!(crew.settle(&second, started).await, Standing::Done);
        assert_eq!(crew.tags(&second, *ticket).await, ["a", "b", "c", "d"]);
        assert_eq!(crew.office.events(*ticket).await.len(), 5);
    }
}

#[tokio::test]
async fn a_running_saga_keeps_its_version_and_a_node_without_it_does_not_begin() {
    let crew = Crew::new().await;
    let tag = Tag(crew.script.clone());
    let of = |version: u16, last: &'static str| {
        Definition::new("turns", version)
            .step(Step::new("rest", Act::Pause(Duration::from_millis(600))))
            .step(Step::local(last, tag.clone()).retry(QUICK))
    };
    let first = crew.node(vec![of(1, "old")]).await;
    let mut all = Vec::new();
    for _ in 0..100 {
        let ticket = crew.ticket(&first).await;
        let start = Start { request_mac: Some([1; 32]), ..crew.asked("turns", ticket).await };
        all.push((ticket, first.coordinator.start(start).await.unwrap()));
    }
    crew.end(first).await;
    let refused = crew.try_node(vec![of(2, "new")]).await.err().map(|error| error.to_string());
    assert!(refused.is_some_and(|why| why.contains("`turns` version 1")));
    let second = crew.node(vec![of(1, "old"), of(2, "new")]).await;
    let ticket = crew.ticket(&second).await;
    let newer = crew.start(&second, "turns", ticket).await;
    for (ticket, started) in &all {
        assert_eq!(crew.settle(&second, started).await, Standing::Done);
        assert_eq!(crew.tags(&second, *ticket).await, ["old"]);
    }
    assert_eq!(crew.settle(&second, &newer).await, Standing::Done);
    assert_eq!(crew.tags(&second, ticket).await, ["new"]);
    let third = crew.try_node(vec![of(2, "new")]).await;
    assert!(third.is_ok(), "nothing of the old version is under way");
}
