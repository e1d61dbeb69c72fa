//! The AsyncAPI 3 document of what Docket publishes to NATS, made from the registry of event types.

use serde_json::{Map, Value, json};

use crate::PARTITIONS;
use crate::json_schema::{self, message_schema_id};

/// What a field of an event is, for those that every event has: name, type, what it says.
const FIELDS: [(&str, &str, &str); 20] = [
    ("id", "string", "The event; also `Nats-Msg-Id` and `ce-id`."),
    ("command_id", "string", "The intent behind it: the same in every region that accepted it."),
    ("type", "string", "What happened."),
    ("schema", "integer", "The version of `data`."),
    ("tenant", "string", "Whose."),
    ("stream", "object", "What it is about: `kind` and `id`."),
    ("principal", "string", "Who did it; a person by the id that the log knows."),
    ("role", "string", "As what."),
    ("device", "string", "On which device."),
    ("policy", "integer", "The version of roles, resolver and limits in force."),
    ("observed", "string", "Whether it was said what the write was made on: `given` or `assumed`."),
    ("partition", "integer", "The partition; a stream's events are all in one."),
    ("position", "integer", "Rises by one from event to event of a partition, over all tenants."),
    ("origin", "object", "Region, partition, position and time where it was first accepted."),
    ("occurred_at", "string", "When it happened, by who did it."),
    ("recorded_at", "string", "When this region's log took it."),
    ("correlation_id", "string", "What it belongs to."),
    ("causation_id", "string, null", "What caused it."),
    ("cursor", "string", "Where to read on after it, on every door; also `docket-cursor`."),
    ("text_url", "string", "Where it is read with its text over HTTP, by who may."),
];

/// Fields that only events with an Automerge change have.
const CHANGE_FIELDS: [(&str, &str, &str); 5] = [
    ("version", "string", "The version token of this change alone."),
    ("actor", "string", "Who wrote the change, on which lane."),
    ("seq", "integer", "Its number among the actor's changes."),
    (
        "deps",
        "array, null",
        "The changes that it was made on; null in an event too large for the server.",
    ),
    ("hash", "string", "The change's name."),
];

/// Headers of every message.
const HEADERS: [(&str, &str); 13] = [
    ("Nats-Msg-Id", "The event's id: messages with one id are one event."),
    ("ce-id", "The event's id."),
    ("ce-specversion", "`1.0`."),
    ("ce-type", "The event's type."),
    ("ce-source", "Region and tenant."),
    ("ce-subject", "The id of the stream that it is about."),
    ("ce-time", "When the log took it, RFC 3339."),
    ("ce-dataschema", "The name of the message's schema."),
    ("docket-cursor", "Where to read on after it, on every door of Docket."),
    (
        "docket-fields",
        "The fields that it changes, with commas between; absent where there are none.",
    ),
    ("Nats-Expected-Stream", "Of the relay, for the server."),
    ("Nats-Expected-Last-Sequence", "Of the relay, for the server."),
    (
        "Nats-Expected-Last-Msg-Id",
        "Of the relay, for the server; absent where the message before it is another tenant's.",
    ),
];

/// The document, as published in `schemas/asyncapi.json`. Payloads refer to the JSON Schemas in `json` beside it.
#[must_use]
pub fn document() -> Value {
    let mut channels = Map::new();
    let mut operations = Map::new();
    let mut messages = Map::new();
    for (event_type, version) in events() {
        let name = format!("{event_type}.{version}");
        messages.insert(name.clone(), message(&event_type, version));
        for (way, address) in addresses(&event_type) {
            let key = format!("{way}.{event_type}");
            let channel = channels.entry(key.clone()).or_insert_with(|| channel(&address));
            let reference = json!({"$ref": format!("#/components/messages/{name}")});
            channel["messages"][&name] = reference;
            operations.insert(
                format!("publish.{key}"),
                json!({"action": "send", "channel": {"$ref": format!("#/channels/{key}")}}),
            );
        }
    }
    reset(&mut channels, &mut operations, &mut messages);
    json!({
        "asyncapi": "3.0.0",
        "info": {
            "title": "Docket on NATS",
            "version": "1",
            "description": "Every event of a tenant, at least once and in order per ticket, as CloudEvents 1.0 in \
                binary mode. `docket.v1` is durable, in the JetStream stream `docket_{region}`; `docket.live.v1` is \
                core NATS, and lossy.",
            "license": {"name": "Apache-2.0"},
        },
        "defaultContentType": "application/json",
        "channels": channels,
        "operations": operations,
        "components": {
            "messages": messages,
            "schemas": {"Event": envelope(), "Headers": headers()},
            "parameters": parameters(),
        },
    })
}

/// Every event type with its versions, as the published schemas name them.
fn events() -> Vec<(String, u16)> {
    let names = json_schema::all().into_iter().filter_map(|(file, _)| {
        let (event_type, version) = file.strip_suffix(".json")?.rsplit_once('.')?;
        // Texts are sealed, and never on NATS.
        (!event_type.ends_with(".text")).then(|| (event_type.to_owned(), version.parse().ok()))
    });
    names.filter_map(|(event_type, version)| Some((event_type, version?))).collect()
}

/// The durable and the live subject of an event type.
fn addresses(event_type: &str) -> [(&'static str, String); 2] {
    let (kind, rest) = event_type.split_once('.').unwrap_or(("ticket", event_type));
    let token = rest.replace('_', "-");
    [
        ("durable", format!("docket.v1.{{region}}.{{tenant}}.{kind}.{{partition}}.{token}")),
        ("live", format!("docket.live.v1.{{tenant}}.{kind}.{{id}}.{token}")),
    ]
}

fn channel(address: &str) -> Value {
    let named = address.split('{').skip(1).filter_map(|rest| rest.split('}').next());
    let parameters: Map<String, Value> = named
        .map(|name| {
            let reference = json!({"$ref": format!("#/components/parameters/{name}")});
            (name.to_owned(), reference)
        })
        .collect();
    json!({"address": address, "parameters": parameters, "messages": {}})
}

fn message(event_type: &str, version: u16) -> Value {
    let data = format!("json/{event_type}.{version}.json");
    json!({
        "name": event_type,
        "contentType": "application/json",
        "headers": {"$ref": "#/components/schemas/Headers"},
        "payload": {
            "$id": message_schema_id(event_type, version),
            "allOf": [
                {"$ref": "#/components/schemas/Event"},
                {
                    "type": "object",
                    "required": ["data"],
                    "properties": {
                        "type": {"const": event_type},
                        "schema": {"const": version},
                        "data": {"anyOf": [{"$ref": data}, {"type": "null"}]},
                    },
                },
            ],
        },
    })
}

/// A tenant's request to read on from elsewhere, with its answer.
fn reset(
    channels: &mut Map<String, Value>,
    operations: &mut Map<String, Value>,
    messages: &mut Map<String, Value>,
) {
    let asked = json!({
        "type": "object",
        "additionalProperties": false,
        "description": "Where to read on, by one of these; nothing is `acknowledged`.",
        "properties": {
            "from": {"enum": ["start", "acknowledged"]},
            "sequence": {"type": "integer", "minimum": 1, "description": "A sequence of the stream."},
            "time": {"type": "string", "format": "date-time"},
        },
    });
    let answered = json!({
        "type": "object",
        "properties": {
            "stream": {"type": "string"},
            "consumer": {"type": "string"},
            "from": {"description": "From where it reads now."},
            "error": {"type": "string", "description": "Why nothing was done; alone."},
        },
    });
    messages.insert("reset".to_owned(), json!({"name": "reset", "payload": asked}));
    messages
        .insert("reset.answer".to_owned(), json!({"name": "reset.answer", "payload": answered}));
    let mut asking = channel("docket.reset.v1.{region}.{tenant}.{consumer}");
    asking["messages"]["reset"] = json!({"$ref": "#/components/messages/reset"});
    channels.insert("reset".to_owned(), asking);
    channels.insert(
        "reset.answer".to_owned(),
        json!({"address": null, "messages": {"answer": {"$ref": "#/components/messages/reset.answer"}}}),
    );
    operations.insert(
        "reset".to_owned(),
        json!({
            "action": "receive",
            "channel": {"$ref": "#/channels/reset"},
            "reply": {
                "address": {"location": "$message.header#/reply-to"},
                "channel": {"$ref": "#/channels/reset.answer"},
            },
        }),
    );
}

fn parameters() -> Value {
    let last = PARTITIONS - 1;
    json!({
        "region": {"description": "The region's name, without its incarnation."},
        "tenant": {"description": "1 to 63 of a-z, 0-9 and -."},
        "partition": {"description": format!("0 to {last}; a stream's events are all in one.")},
        "id": {"description": "The id of a ticket, or of another stream."},
        "consumer": {"description": "Which of the tenant's two consumers.", "enum": ["feed", "replay"]},
    })
}

/// What every event has beside its data.
fn envelope() -> Value {
    let property = |(name, kinds, says): &(&str, &str, &str)| {
        let kinds: Vec<&str> = kinds.split(", ").collect();
        let kind = if let [kind] = kinds[..] { json!(kind) } else { json!(kinds) };
        ((*name).to_owned(), json!({"type": kind, "description": says}))
    };
    let mut properties: Map<String, Value> =
        FIELDS.iter().chain(&CHANGE_FIELDS).map(property).collect();
    let data = "The fact, by `type` and `schema`; null in an event too large for the server.";
    properties.insert("data".to_owned(), json!({"description": data}));
    let oversize =
        "There, and true, in an event too large for the server: `text_url` leads to the whole.";
    properties.insert("oversize".to_owned(), json!({"const": true, "description": oversize}));
    let required: Vec<&str> = FIELDS.iter().map(|(name, ..)| *name).collect();
    json!({"type": "object", "required": required, "properties": properties})
}

fn headers() -> Value {
    let properties: Map<String, Value> = HEADERS
        .iter()
        .map(|(name, says)| ((*name).to_owned(), json!({"type": "string", "description": says})))
        .collect();
    json!({"type": "object", "properties": properties})
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::EventType;

    #[test]
    fn every_event_type_has_a_durable_and_a_live_channel() {
        let document = document();
        for event_type in EventType::all() {
            for way in ["durable", "live"] {
                let channel = &document["channels"][format!("{way}.{}", event_type.as_str())];
                assert!(channel["address"].is_string(), "{way} {}", event_type.as_str());
            }
        }
        let address = &document["channels"]["durable.ticket.message_added"]["address"];
        assert_eq!(address, "docket.v1.{region}.{tenant}.ticket.{partition}.message-added");
    }

    #[test]
    fn every_reference_within_the_document_leads_somewhere() {
        fn check(document: &Value, value: &Value) {
            match value {
                Value::Object(fields) => {
                    if let Some(Value::String(reference)) = fields.get("$ref") {
                        if let Some(path) = reference.strip_prefix('#') {
                            assert!(document.pointer(path).is_some(), "{reference}");
                        } else {
                            let file = reference.strip_prefix("json/").unwrap_or(reference);
                            assert!(
                                json_schema::all().iter().any(|(name, _)| *name == file),
                                "{file}"
                            );
                        }
                    }
                    fields.values().for_each(|value| check(document, value));
                }
                Value::Array(items) => items.iter().for_each(|value| check(document, value)),
                _ => {}
            }
        }
        let document = document();
        check(&document, &document);
    }
}
