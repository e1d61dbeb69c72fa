//! Live subjects: every new event at once on core NATS, under its own stream's subject; lossy by design.

use std::sync::Arc;

use docket_engine::cursor::Cursor;
use docket_engine::ports::log::{EventLog, LogError};
use docket_engine::tail::Tail;

use super::REST_MAX;
use crate::link::Link;
use crate::message::Outgoing;

/// Events of one partition that are read at once.
const READ_AT_ONCE: usize = 64;

/// Further behind than this, live is no longer live: the rest is left to the stream.
const BEHIND_EVENTS_MAX: u64 = 10_000;

/// Follows the log's tail from now on, for ever.
pub(super) async fn follow(tail: &Tail, log: &Arc<dyn EventLog>, link: &Link, region: &str) {
    loop {
        if let Err(error) = follow_once(tail, log, link, region).await {
            tracing::debug!(%error, "nats.live.stopped");
        }
        tokio::time::sleep(REST_MAX).await;
    }
}

/// Follows one incarnation.
async fn follow_once(
    tail: &Tail,
    log: &Arc<dyn EventLog>,
    link: &Link,
    region: &str,
) -> Result<(), LogError> {
    let Some(newest) = log.incarnations().await?.pop() else { return Ok(()) };
    if newest.incarnation.region() != region {
        return Ok(());
    }
    let restores = tail.restores();
    let mut heads = tail.heads();
    let positions = *heads.borrow_and_update();
    let mut cursor = Cursor { incarnation: newest.incarnation, positions };
    while heads.changed().await.is_ok() {
        let reached = *heads.borrow_and_update();
        if restores.has_changed().unwrap_or(true) {
            return Ok(());
        }
        let behind = reached.total().saturating_sub(cursor.positions.total());
        if !link.is_up() || behind > BEHIND_EVENTS_MAX {
            cursor.positions = reached;
            continue;
        }
        for (partition, head) in reached.iter() {
            while cursor.positions.get(partition) < head {
                let after = cursor.positions.get(partition);
                let read = tail.read(partition, after, READ_AT_ONCE).await?;
                let upto = read.upto.unwrap_or(head);
                for event in read.events {
                    cursor.positions.set(partition, event.position);
                    if event.origin.region.number() > cursor.incarnation.number() {
                        return Ok(());
                    }
                    publish(link, Outgoing::of(&event, &cursor)).await;
                }
                cursor.positions.set(partition, upto);
            }
        }
    }
    Ok(())
}

async fn publish(link: &Link, event: Outgoing) {
    let client = link.client();
    let event = event.within(client.max_payload());
    let handed = client.publish_with_headers(event.live_subject, event.headers, event.payload);
    match tokio::time::timeout(REST_MAX, handed).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::debug!(%error, "nats.live.lost"),
        Err(_) => tracing::debug!("nats.live.lost"),
    }
}
