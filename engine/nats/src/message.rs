//! An event as a NATS message: subject, CloudEvents headers (binary mode), and the event as JSON without its text, which `text_url` leads to.

use async_nats::HeaderMap;
use bytes::Bytes;
use docket_engine::cursor::Cursor;
use docket_engine::event_json::{PublicEvent, StaffEvent};
use docket_schemas::json_schema::message_schema_id;
use docket_schemas::{Event, EventType, TicketEvent};
use serde::Serialize;
use serde_json::{Map, Value, json};

use crate::subject;

/// The header by which JetStream drops what it has already.
pub(crate) const MESSAGE_ID: &str = "Nats-Msg-Id";

/// The header that says where to read on, on every door of Docket.
pub(crate) const CURSOR: &str = "docket-cursor";

/// Room for headers, which a server counts too.
const HEADERS_BYTES_MAX: usize = 4_096;

/// What an event's payload calls a field, and what the field is called where it is read and written.
const FIELDS: [(&str, &str); 11] = [
    ("add_tags", "tags"),
    ("assignee_id", "assignee_id"),
    ("custom_fields", "custom_fields"),
    ("followers", "followers"),
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

/// An event without its text.
#[derive(Serialize)]
struct Body<'a> {
    #[serde(flatten)]
    event: StaffEvent<'a>,
    /// Where it stands with its text.
    text_url: String,
}

impl Outgoing {
    /// The message of an event; `cursor` says how far its sender has come with it.
    pub(crate) fn of(event: &Event, cursor: &Cursor) -> Self {
        let data: Value = serde_json::from_str(&event.data).unwrap_or_default();
        let headers = headers(event, &data, cursor);
        let shape = PublicEvent::of(event, data, event.principal.to_string(), Some(cursor));
        let place = (event.event_id, event.partition.number(), event.position);
        let text_url = format!("/v1/events/{}?partition={}&position={}", place.0, place.1, place.2);
        let body = Body { event: StaffEvent::of(event, shape), text_url };
        Self {
            subject: subject::durable(cursor.incarnation.region(), event),
            live_subject: subject::live(event),
            headers,
            payload: serde_json::to_vec(&body).expect("an event is JSON").into(),
        }
    }

    /// The message as a server takes it: one that is too large comes without `data` and `deps`, and is read whole
    /// over HTTP. No event may stop those behind it.
    pub(crate) fn within(mut self, payload_max: usize) -> Self {
        if self.payload.len() + HEADERS_BYTES_MAX > payload_max {
            let mut body: Map<String, Value> =
                serde_json::from_slice(&self.payload).expect("it was written above");
            for large in ["data", "deps"] {
                body.entry(large).and_modify(|value| *value = Value::Null);
            }
            body.insert("oversize".to_owned(), json!(true));
            self.payload = serde_json::to_vec(&body).expect("an event is JSON").into();
        }
        self
    }
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

/// The fields of its ticket that an event writes, sorted, each once.
fn fields(event_type: EventType, data: &Value) -> Vec<&str> {
    let EventType::Ticket(event) = event_type else { return Vec::new() };
    let known = |key: &str| FIELDS.iter().find(|(name, _)| *name == key).map(|(_, field)| *field);
    let mut fields: Vec<&str> =
        data.as_object().into_iter().flatten().filter_map(|(key, _)| known(key)).collect();
    let sealed = data.get("sealed").and_then(Value::as_array).into_iter().flatten();
    fields.extend(sealed.filter_map(Value::as_str));
    match event {
        TicketEvent::Opened => fields.push("subject"),
        TicketEvent::Released => fields.push("assignee_id"),
        _ => {}
    }
    fields.sort_unstable();
    fields.dedup();
    fields
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use docket_engine::append::local_event;
    use docket_engine::contract::drafts::{NOON, draft, eu, ticket};
    use docket_engine::layout::{Container, writes_of};
    use docket_engine::ports::log::Placed;
    use docket_schemas::TicketPayload;

    use super::*;

    #[test]
    fn the_fields_of_an_event_are_those_that_it_writes_whatever_its_payload_calls_them() {
        let of = |event: TicketEvent, data: Value| fields(event.into(), &data).join(",");
        let changed = json!({"status": "open", "add_tags": ["a"], "remove_tags": ["b"], "sealed": ["subject"],
            "source_row": 3, "assignee_id": null});
        assert_eq!(of(TicketEvent::Changed, changed), "assignee_id,status,subject,tags");
        assert_eq!(of(TicketEvent::Released, json!({})), "assignee_id");
        assert_eq!(of(TicketEvent::FollowerAdded, json!({"person_id": "p"})), "followers");
        assert_eq!(of(TicketEvent::MessageAdded, json!({"public": true})), "");
        let opened =
            json!({"channel": "api", "priority": "high", "requester_id": "p", "status": "new"});
        assert_eq!(of(TicketEvent::Opened, opened), "priority,status,subject");
        let saga = json!({"subject": "t", "definition": "d", "version": 1});
        assert!(fields(docket_schemas::SagaEvent::Started.into(), &saga).is_empty());
    }

    /// What the engine writes of each event that a release has stored, by the names under which it is read and written.
    #[test]
    fn the_fields_of_every_kind_of_event_are_those_that_the_engine_writes() {
        let golden = concat!(env!("CARGO_MANIFEST_DIR"), "/../../schemas/tests/golden");
        let mut seen = BTreeSet::new();
        for entry in std::fs::read_dir(golden).expect("the corpus is there") {
            let path = entry.expect("a readable directory").path();
            let name = path.file_name().and_then(|name| name.to_str()).expect("a name").to_owned();
            let (event_type, _) = name.split_once(".1").expect("a version");
            let EventType::Ticket(event) = EventType::parse(event_type).expect("a known type")
            else {
                continue;
            };
            let data = std::fs::read_to_string(&path).expect("a text");
            let payload = TicketPayload::read(event, &data).expect("a payload");
            let written: BTreeSet<&str> = writes_of(&draft(ticket(1), 1), &payload)
                .iter()
                .map(|write| match (write.container, write.key.as_str()) {
                    (Container::Tags, _) => "tags",
                    (Container::Followers, _) => "followers",
                    (_, "status") => "status",
                    (_, "priority") => "priority",
                    (_, "type") => "type",
                    (_, "subject") => "subject",
                    (_, "group") => "group_id",
                    (_, "assignee") => "assignee_id",
                    (_, key) if key.starts_with("custom.") => "custom_fields",
                    (_, key) => panic!("{name} writes {key}, which has no name outside"),
                })
                .collect();
            let data: Value = serde_json::from_str(&data).expect("JSON");
            assert!(fields(event.into(), &data).into_iter().eq(written), "{name}");
            seen.insert(event);
        }
        assert!(seen.into_iter().eq(TicketEvent::ALL), "an event is missing");
    }

    fn event() -> (Event, Cursor) {
        let mut draft = draft(ticket(1), 1);
        draft.causation_id = Some(draft.command_id);
        let partition = draft.stream.partition(&draft.tenant);
        let placed = Placed { partition, position: 1, recorded_at: NOON };
        let positions = docket_engine::cursor::Positions::START;
        (local_event(&draft, placed, &eu(1)), Cursor { incarnation: eu(1), positions })
    }

    #[test]
    fn a_message_has_the_fields_and_headers_of_its_asyncapi_document_and_no_others() {
        let (event, cursor) = event();
        let message = Outgoing::of(&event, &cursor);
        let schemas = &docket_schemas::asyncapi::document()["components"]["schemas"];
        let payload: Map<String, Value> = serde_json::from_slice(&message.payload).unwrap();
        let told = schemas["Event"]["properties"].as_object().unwrap();
        let sorted = |map: &Map<String, Value>| map.keys().cloned().collect::<BTreeSet<_>>();
        let only_too_large = ["oversize".to_owned()].into();
        assert_eq!(
            sorted(told).difference(&sorted(&payload)).cloned().collect::<BTreeSet<_>>(),
            only_too_large
        );
        assert!(sorted(&payload).is_subset(&sorted(told)));
        let headers = schemas["Headers"]["properties"].as_object().unwrap();
        for (name, _) in message.headers.iter() {
            assert!(headers.contains_key(AsRef::<str>::as_ref(name)), "{name}");
        }
    }

    #[test]
    fn an_event_that_is_too_large_for_the_server_comes_without_what_is_large() {
        let (mut event, cursor) = event();
        event.draft.data = json!({"custom_fields": {"k": "x".repeat(100_000)}}).to_string();
        let whole = Outgoing::of(&event, &cursor).within(1_048_576);
        assert!(whole.payload.len() > 100_000);
        let short = Outgoing::of(&event, &cursor).within(65_536);
        let payload: Value = serde_json::from_slice(&short.payload).unwrap();
        assert!(short.payload.len() < 4_096);
        assert_eq!((&payload["oversize"], &payload["data"]), (&json!(true), &Value::Null));
        assert_eq!(payload["id"], json!(event.event_id));
        assert!(payload["text_url"].as_str().unwrap().starts_with("/v1/events/"));
    }
}
