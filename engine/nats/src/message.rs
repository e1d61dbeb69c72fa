//! An event as a NATS message: subject, CloudEvents headers (binary mode), and the event as JSON without its text.

use async_nats::HeaderMap;
use bytes::Bytes;
use docket_engine::cursor::Cursor;
use docket_engine::event_json::event_json;
use docket_schemas::json_schema::message_schema_id;
use docket_schemas::{Event, EventType};
use serde_json::{Value, json};

use crate::subject;

/// The header by which JetStream drops what it has already.
pub(crate) const MESSAGE_ID: &str = "Nats-Msg-Id";

/// The header that says where to read on, on every door of Docket.
pub(crate) const CURSOR: &str = "docket-cursor";

/// What an event's payload calls a field, and what the field is called where it is read and written.
const FIELDS: [(&str, &str); 10] = [
    ("add_tags", "tags"),
    ("assignee_id", "assignee_id"),
    ("custom_fields", "custom_fields"),
    ("group_id", "group_id"),
    ("person_id", "followers"),
    ("priority", "priority"),
    ("remove_tags", "tags"),
    ("status", "status"),
    ("tags", "tags"),
    ("type", "type"),
];

/// What is published of one event.
#[derive(Debug, Clone)]
pub(crate) struct Outgoing {
    pub(crate) subject: String,
    pub(crate) live_subject: String,
    pub(crate) headers: HeaderMap,
    pub(crate) payload: Bytes,
}

impl Outgoing {
    /// The message of an event; `cursor` says how far its sender has come with it.
    pub(crate) fn of(event: &Event, cursor: &Cursor) -> Self {
        let data: Value = serde_json::from_str(&event.data).unwrap_or_default();
        let headers = headers(event, &data, cursor);
        let mut view = event_json(event, data, &event.principal.to_string(), cursor);
        view.insert("text_url".to_owned(), json!(text_url(event)));
        Self {
            subject: subject::durable(cursor.incarnation.region(), event),
            live_subject: subject::live(event),
            headers,
            payload: serde_json::to_vec(&view).unwrap_or_default().into(),
        }
    }
}

/// Where the sealed text of an event is opened for those who may read it, on any node of the region; none where the
/// event has none.
fn text_url(event: &Event) -> Option<String> {
    let (id, partition, position) = (event.event_id, event.partition.number(), event.position);
    let url = || format!("/v1/events/{id}?partition={partition}&position={position}");
    event.sealed.as_ref().map(|_| url())
}

fn headers(event: &Event, data: &Value, cursor: &Cursor) -> HeaderMap {
    let id = event.event_id.to_string();
    let region = cursor.incarnation.region();
    let mut headers = HeaderMap::new();
    headers.insert(MESSAGE_ID, id.as_str());
    headers.insert("ce-id", id.as_str());
    headers.insert("ce-specversion", "1.0");
    headers.insert("ce-type", event.event_type.as_str());
    headers.insert("ce-source", format!("/docket/{region}/{}", event.tenant));
    headers.insert("ce-subject", event.stream.id.hyphenated().to_string());
    headers.insert("ce-time", event.recorded_at.to_string());
    headers.insert("ce-dataschema", message_schema_id(event.event_type.as_str(), event.schema));
    headers.insert(CURSOR, cursor.to_string());
    let fields = fields(event.event_type, data);
    if !fields.is_empty() {
        headers.insert("docket-fields", fields.join(","));
    }
    headers
}

/// The fields that an event writes, sorted, each once.
fn fields(event_type: EventType, data: &Value) -> Vec<&str> {
    let known = |key: &str| FIELDS.iter().find(|(name, _)| *name == key).map(|(_, field)| *field);
    let mut fields: Vec<&str> =
        data.as_object().into_iter().flatten().filter_map(|(key, _)| known(key)).collect();
    let sealed = data.get("sealed").and_then(Value::as_array).into_iter().flatten();
    fields.extend(sealed.filter_map(Value::as_str));
    match event_type {
        EventType::Opened => fields.push("subject"),
        EventType::Released => fields.push("assignee_id"),
        _ => {}
    }
    fields.sort_unstable();
    fields.dedup();
    fields
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fields_of_an_event_are_those_that_it_writes_whatever_its_payload_calls_them() {
        let of = |event_type, data: Value| fields(event_type, &data).join(",");
        let changed = json!({"status": "open", "add_tags": ["a"], "remove_tags": ["b"], "sealed": ["subject"],
            "source_row": 3, "assignee_id": null});
        assert_eq!(of(EventType::Changed, changed), "assignee_id,status,subject,tags");
        assert_eq!(of(EventType::Released, json!({})), "assignee_id");
        assert_eq!(of(EventType::FollowerAdded, json!({"person_id": "p"})), "followers");
        assert_eq!(of(EventType::MessageAdded, json!({"public": true})), "");
        let opened =
            json!({"channel": "api", "priority": "high", "requester_id": "p", "status": "new"});
        assert_eq!(of(EventType::Opened, opened), "priority,status,subject");
    }
}
