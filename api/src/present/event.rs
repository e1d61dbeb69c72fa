//! An event as JSON: the same on every door, with less of it for a customer.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use docket_engine::cursor::Cursor;
use docket_engine::desk::DeskError;
use docket_engine::event_json::{event_json, public_event_json};
use docket_engine::genesis::genesis;
use docket_engine::policy::Audience;
use docket_schemas::{Event, Incarnation, Status, TicketEvent, TicketId};
use serde_json::{Map, Value, json};

use super::Names;

/// Whether an event comes with the bytes of its Automerge change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChangeBytes {
    /// Without.
    Omit,
    /// `change`, and with an opening `genesis`, in base64.
    Include,
}

/// An event for staff, with its text opened.
///
/// # Errors
/// When the key store fails.
pub async fn present(
    names: Names<'_>,
    event: &Event,
    cursor: &Cursor,
    bytes: ChangeBytes,
) -> Result<Map<String, Value>, DeskError> {
    let data = names.payload(&event.data).await?;
    let principal = names.principal(&event.principal).await?;
    let text: Value = names.text(event).await?.unwrap_or_default();
    let mut view = event_json(event, data, &principal, cursor);
    let mut put = |key: &str, value: Value| view.insert(key.to_owned(), value);
    if event.sealed.is_some() && text.is_null() {
        put("erased", Value::Bool(true));
    }
    put("text", text);
    if bytes == ChangeBytes::Include {
        if let Some(change) = &event.change {
            put("change", json!(STANDARD.encode(&change.bytes)));
        }
        if event.event_type == TicketEvent::Opened {
            let genesis = genesis(&event.tenant, TicketId::new(event.stream.id));
            put("genesis", json!(STANDARD.encode(genesis.raw_bytes())));
        }
    }
    Ok(view)
}

/// Payload fields of the public part.
const PUBLIC_DATA: [&str; 12] = [
    "status",
    "priority",
    "type",
    "requester_id",
    "assignee_id",
    "channel",
    "public",
    "sealed",
    "goal",
    "source",
    "into",
    "saga_id",
];

/// Sealed parts of the public part.
const PUBLIC_TEXT: [&str; 2] = ["subject", "body"];

/// A public event for a customer of its ticket.
///
/// # Errors
/// When the key store fails.
pub async fn present_to_customer(
    names: Names<'_>,
    event: &Event,
    cursor: &Cursor,
) -> Result<Map<String, Value>, DeskError> {
    let data = names.payload(&event.data).await?;
    let principal = names.principal(&event.principal).await?;
    let text: Value = names.text(event).await?.unwrap_or_default();
    let mut view = public_event_json(event, data, &principal, cursor);
    view.insert("text".to_owned(), text);
    // An opening also seals who the requester is.
    if let Some(text) = view.get_mut("text").and_then(Value::as_object_mut) {
        text.retain(|key, _| PUBLIC_TEXT.contains(&key.as_str()));
    }
    if let Some(data) = view.get_mut("data").and_then(Value::as_object_mut) {
        data.retain(|key, _| PUBLIC_DATA.contains(&key.as_str()) || key == "ticket_id");
        if let Some(status) =
            data.get("status").and_then(|s| serde_json::from_value::<Status>(s.clone()).ok())
        {
            data.insert("status".to_owned(), json!(Audience::Customer.status(status)));
        }
    }
    Ok(view)
}

/// Whether an audience gets an event of a ticket that it may see. Joined heads move a customer's version and touch
/// nothing that they see.
#[must_use]
pub fn shows(audience: Audience, event: &Event) -> bool {
    let shown = event.public && event.event_type != TicketEvent::HeadsJoined;
    shown || audience == Audience::Staff
}

/// The place of one event within its own partition: a position to read on from, or to wait for.
#[must_use]
pub fn position_of(
    incarnation: &Incarnation,
    partition: docket_schemas::Partition,
    position: u64,
) -> Cursor {
    let mut positions = docket_engine::cursor::Positions::START;
    positions.set(partition, position);
    Cursor { incarnation: incarnation.clone(), positions }
}
