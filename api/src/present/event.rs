//! An event as JSON: the same on every door, with less of it for a customer.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use docket_engine::cursor::Cursor;
use docket_engine::desk::DeskError;
use docket_engine::event_json::{PublicEvent, StaffEvent};
use docket_engine::genesis::genesis;
use docket_engine::policy::Audience;
use docket_schemas::{Event, Incarnation, Status, TicketEvent, TicketId};
use serde::Serialize;
use serde_json::{Value, json};

use super::Names;

/// Whether an event comes with the bytes of its Automerge change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChangeBytes {
    /// Without.
    Omit,
    /// `change`, and with an opening `genesis`, in base64.
    Include,
}

/// An event as a reader gets it.
#[derive(Debug, Serialize)]
pub struct EventView<'a> {
    #[serde(flatten)]
    shape: Shape<'a>,
    text: Value,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    erased: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    change: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    genesis: Option<String>,
}

#[derive(Debug, Serialize)]
#[serde(untagged)]
enum Shape<'a> {
    Staff(Box<StaffEvent<'a>>),
    Customer(Box<PublicEvent>),
}

impl EventView<'_> {
    /// As a part of something larger.
    #[must_use]
    pub fn json(&self) -> Value {
        json!(self)
    }
}

/// An event for staff, with its text opened; without a cursor where none is given.
///
/// # Errors
/// When the key store fails.
pub async fn present<'a>(
    names: Names<'_>,
    event: &'a Event,
    cursor: Option<&Cursor>,
    bytes: ChangeBytes,
) -> Result<EventView<'a>, DeskError> {
    let data = names.payload(&event.data).await?;
    let principal = names.principal(&event.principal).await?;
    let text: Value = names.text(event).await?.unwrap_or_default();
    let erased = event.sealed.is_some() && text.is_null();
    let shape = StaffEvent::of(event, PublicEvent::of(event, data, principal, cursor));
    let (mut change, mut genesis_change) = (None, None);
    if bytes == ChangeBytes::Include {
        change = event.change.as_ref().map(|change| STANDARD.encode(&change.bytes));
        if event.event_type == TicketEvent::Opened {
            let genesis = genesis(&event.tenant, TicketId::new(event.stream.id));
            genesis_change = Some(STANDARD.encode(genesis.raw_bytes()));
        }
    }
    let shape = Shape::Staff(Box::new(shape));
    Ok(EventView { shape, text, erased, change, genesis: genesis_change })
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

/// A public event for a customer of its ticket; without a cursor where none is given.
///
/// # Errors
/// When the key store fails.
pub async fn present_to_customer(
    names: Names<'_>,
    event: &Event,
    cursor: Option<&Cursor>,
) -> Result<EventView<'static>, DeskError> {
    let mut data = names.payload(&event.data).await?;
    let principal = names.principal(&event.principal).await?;
    let mut text: Value = names.text(event).await?.unwrap_or_default();
    // An opening also seals who the requester is.
    if let Some(text) = text.as_object_mut() {
        text.retain(|key, _| PUBLIC_TEXT.contains(&key.as_str()));
    }
    if let Some(data) = data.as_object_mut() {
        data.retain(|key, _| PUBLIC_DATA.contains(&key.as_str()) || key == "ticket_id");
        if let Some(status) =
            data.get("status").and_then(|s| serde_json::from_value::<Status>(s.clone()).ok())
        {
            data.insert("status".to_owned(), json!(Audience::Customer.status(status)));
        }
    }
    let shape = Shape::Customer(Box::new(PublicEvent::of(event, data, principal, cursor)));
    Ok(EventView { shape, text, erased: false, change: None, genesis: None })
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
