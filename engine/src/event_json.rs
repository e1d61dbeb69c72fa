//! An event as JSON: all of its shape that nobody has to be asked for.

use docket_schemas::Event;
use serde_json::{Map, Value, json};

use crate::cursor::Cursor;
use crate::version::Version;

/// An event as staff get it on every door, but for its `text`. `data` and `principal` say persons as the reader knows
/// them; `cursor` is where to read on after this event.
#[must_use]
pub fn event_json(
    event: &Event,
    data: Value,
    principal: &str,
    cursor: &Cursor,
) -> Map<String, Value> {
    let mut view = public_event_json(event, data, principal, cursor);
    let mut put = |key: &str, value: Value| view.insert(key.to_owned(), value);
    put("command_id", json!(event.command_id));
    put("schema", json!(event.schema));
    put("tenant", json!(event.tenant));
    if let Some(change) = &event.change {
        put("actor", json!(change.actor));
        put("seq", json!(change.seq));
        put("deps", json!(change.deps));
        put("hash", json!(change.hash));
    }
    put("device", json!(event.device));
    put("policy", json!(event.policy));
    put("observed", json!(event.observed));
    put("partition", json!(event.partition));
    put("position", json!(event.position));
    put("origin", origin(event));
    put("correlation_id", json!(event.correlation_id.unwrap_or(event.command_id)));
    put("causation_id", json!(event.causation_id));
    view
}

/// What of an event's shape a customer gets too.
#[must_use]
pub fn public_event_json(
    event: &Event,
    data: Value,
    principal: &str,
    cursor: &Cursor,
) -> Map<String, Value> {
    let mut view = Map::new();
    let mut put = |key: &str, value: Value| view.insert(key.to_owned(), value);
    put("id", json!(event.event_id));
    put("type", json!(event.event_type.as_str()));
    put("stream", json!(event.stream));
    put("data", data);
    if let Some(change) = &event.change {
        put("version", json!(Version::of_change(&change.hash).to_string()));
    }
    put("principal", json!(principal));
    put("role", json!(event.role));
    put("occurred_at", json!(event.occurred_at));
    put("recorded_at", json!(event.recorded_at));
    put("cursor", json!(cursor.to_string()));
    view
}

fn origin(event: &Event) -> Value {
    json!({
        "region": event.origin.region,
        "partition": event.origin.partition,
        "position": event.origin.position,
        "recorded_at": event.origin.recorded_at,
    })
}
