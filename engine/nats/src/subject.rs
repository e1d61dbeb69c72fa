//! Subjects: who is spoken to about what. Tokens are names of Docket's own, never a user's text.

use docket_schemas::{Event, Partition, Tenant};

/// Where the nodes of a region wake each other.
pub(crate) fn wake(region: &str) -> String {
    format!("docket.wake.v1.{region}")
}

/// Before the tenant and the ticket of a whisper.
pub(crate) fn whispers(region: &str) -> String {
    format!("docket.whisper.v1.{region}")
}

/// The stream that holds a region's events.
pub(crate) fn stream(region: &str) -> String {
    format!("docket_{region}")
}

/// All durable events of a region.
pub(crate) fn events(region: &str) -> String {
    format!("docket.v1.{region}.>")
}

/// All durable events of one tenant.
pub(crate) fn events_of(region: &str, tenant: &Tenant) -> String {
    format!("docket.v1.{region}.{tenant}.>")
}

/// All durable events of one partition.
pub(crate) fn events_in(region: &str, partition: Partition) -> String {
    format!("docket.v1.{region}.*.*.{}.*", partition.number())
}

/// The durable subject of one event. No ticket stands in it: a stream keeps state for each of its subjects.
pub(crate) fn durable(region: &str, event: &Event) -> String {
    let kind = event.stream.kind.as_str();
    let partition = event.partition.number();
    format!("docket.v1.{region}.{}.{kind}.{partition}.{}", event.tenant, event_token(event))
}

/// The subject on which one stream is followed live.
pub(crate) fn live(event: &Event) -> String {
    let (kind, id) = (event.stream.kind.as_str(), event.stream.id.hyphenated());
    format!("docket.live.v1.{}.{kind}.{id}.{}", event.tenant, event_token(event))
}

/// All live subjects of one tenant.
pub(crate) fn live_of(tenant: &Tenant) -> String {
    format!("docket.live.v1.{tenant}.>")
}

/// `ticket.message_added` is the event `message-added`.
fn event_token(event: &Event) -> String {
    let name = event.event_type.as_str();
    name.split_once('.').map_or(name, |(_, rest)| rest).replace('_', "-")
}

/// The stream of the relay's own cursor.
pub(crate) fn cursor_stream(region: &str) -> String {
    format!("docket_{region}_cursor")
}

/// The subject of the relay's own cursor.
pub(crate) fn saved_cursor(region: &str) -> String {
    format!("docket.relay.v1.{region}.cursor")
}

/// Where a tenant asks to read on from elsewhere: `….{tenant}.{feed|replay}`.
pub(crate) fn resets(region: &str) -> String {
    format!("docket.reset.v1.{region}")
}

/// A tenant's durable consumer on the region's stream.
pub(crate) fn consumer(tenant: &Tenant, which: &str) -> String {
    format!("{tenant}_{which}")
}
