//! A message as JSON.

use docket_engine::desk::DeskError;
use docket_schemas::{
    Event, MessageId, MessageText, Role, TicketEvent, TicketId, Timestamp, derivation,
};
use serde::Serialize;
use serde_json::Value;

use super::Names;

/// The member `message` of an answer, or one of `messages`.
#[derive(Debug, Serialize)]
pub struct MessageView {
    pub(crate) id: MessageId,
    pub(crate) ticket_id: TicketId,
    pub(crate) author_id: String,
    pub(crate) role: Role,
    pub(crate) public: bool,
    pub(crate) body: Option<String>,
    pub(crate) created_at: Timestamp,
    pub(crate) redacted: bool,
    pub(crate) attachments: Vec<Value>,
}

/// Whether an event is a message, and whether a customer may see it.
#[must_use]
pub fn is_message(event: &Event) -> bool {
    event.event_type == TicketEvent::Opened || event.event_type == TicketEvent::MessageAdded
}

/// The message that an event wrote. Its body is null once its author's or requester's key was destroyed.
///
/// # Errors
/// When the key store fails.
pub async fn present(names: Names<'_>, event: &Event) -> Result<MessageView, DeskError> {
    let text: Option<MessageText> = names.text(event).await?;
    Ok(MessageView {
        id: derivation::message_of(event.command_id),
        ticket_id: TicketId::new(event.stream.id),
        author_id: names.principal(&event.principal).await?,
        role: event.role,
        public: event.public,
        body: text.map(|text| text.body),
        created_at: event.occurred_at,
        redacted: false,
        attachments: Vec::new(),
    })
}
