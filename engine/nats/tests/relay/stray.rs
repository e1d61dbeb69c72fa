//! Messages that relays have sent and that land where nobody expects them.

use std::time::Duration;

use async_nats::HeaderMap;
use docket_engine::cursor::Cursor;
use docket_schemas::Event;
use tokio::time::sleep;

use super::region::Region;

/// Has an event land as a relay sends it that has come to the log's heads, whatever stands before it.
pub(crate) async fn land(region: &Region, event: &Event) {
    let (incarnation, positions) = (event.origin.region.clone(), region.heads().await);
    let (name, partition) = (&region.name, event.partition.number());
    let subject = format!("docket.v1.{name}.acme.ticket.{partition}.message-added");
    let mut headers = HeaderMap::new();
    headers.insert("Nats-Msg-Id", event.event_id.to_string());
    headers.insert("docket-cursor", Cursor { incarnation, positions }.to_string());
    let sent = region.context.publish_with_headers(subject, headers, "{}".into()).await;
    sent.unwrap().await.unwrap();
}

/// Waits until the stream holds so many messages, or more: whoever relays is in the middle of it.
pub(crate) async fn holds_some(region: &Region, count: u64) {
    let name = format!("docket_{}", region.name);
    let enough = async {
        while !matches!(region.context.get_stream(&name).await,
            Ok(stream) if stream.cached_info().state.messages >= count)
        {
            sleep(Duration::from_millis(1)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), enough).await.unwrap();
}
