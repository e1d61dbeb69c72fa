//! The documents of a ticket as Tantivy takes them, each with a digest of what it holds.

use docket_schemas::Tenant;
use docket_schemas::canonical::Fields as Digested;
use tantivy::TantivyDocument;

use super::coded::coded;
use super::facts::facts;
use super::schema::Fields;
use super::shard::Shown;
use super::tokenizer::scoped;
use crate::document::{MessageDocument, Place, TicketDocument};

/// The ticket's own document.
pub(super) fn ticket_document(fields: Fields, ticket: &TicketDocument) -> TantivyDocument {
    let mut document = TantivyDocument::default();
    let shown = Shown { ticket: ticket.place, public: true };
    let (high, low) = ticket.ticket.uuid().as_u64_pair();
    document.add_u64(fields.ticket, ticket.place.number());
    document.add_u64(fields.head, ticket.place.number());
    document.add_u64(fields.shown, shown.number());
    document.add_u64(fields.digest, ticket_digest(ticket));
    document.add_u64(fields.id_high, high);
    document.add_u64(fields.id_low, low);
    document.add_i64(fields.created, ticket.created_at.micros());
    document.add_i64(fields.updated, ticket.updated_at.micros());
    document.add_i64(fields.public_updated, ticket.public_updated_at.micros());
    document.add_u64(fields.position, ticket.position);
    document.add_u64(fields.public_position, ticket.public_position);
    document.add_u64(fields.coded, coded(ticket));
    if let Some(group) = &ticket.group {
        document.add_text(fields.group, group);
    }
    if let Some(assignee) = ticket.assignee {
        document.add_text(fields.assignee, assignee.to_string());
    }
    ticket.tags.iter().for_each(|tag| document.add_text(fields.tag, tag));
    facts(ticket).iter().for_each(|fact| document.add_text(fields.fact, fact));
    add_text(fields, &mut document, &ticket.tenant, ticket.subject.as_deref());
    document
}

/// The document of a message under the ticket that shows it.
pub(super) fn message_document(
    fields: Fields,
    ticket: &TicketDocument,
    message: &MessageDocument,
) -> TantivyDocument {
    let mut document = TantivyDocument::default();
    let shown = Shown { ticket: ticket.place, public: message.public };
    document.add_u64(fields.ticket, ticket.place.number());
    document.add_u64(fields.shown, shown.number());
    document.add_u64(fields.message, message.place.number());
    document.add_u64(fields.digest, message_digest(&ticket.tenant, ticket.place, message));
    add_text(fields, &mut document, &ticket.tenant, message.body.as_deref());
    document
}

fn add_text(fields: Fields, document: &mut TantivyDocument, tenant: &Tenant, text: Option<&str>) {
    if let Some(text) = text {
        let text = scoped(tenant, text);
        document.add_text(fields.keys, &text);
        document.add_text(fields.sieve, &text);
        document.add_text(fields.words, text);
    }
}

/// 32 bits of a digest: enough to notice a difference, little enough for every message to carry them.
fn short(digest: [u8; 32]) -> u64 {
    u64::from(u32::from_be_bytes([digest[0], digest[1], digest[2], digest[3]]))
}

/// The digest of a ticket's own document, whatever it was folded to.
pub(super) fn ticket_digest(ticket: &TicketDocument) -> u64 {
    let times = [ticket.created_at, ticket.updated_at, ticket.public_updated_at];
    let mut digested = Digested::new("docket/index-ticket/1")
        .field(ticket.tenant.as_str())
        .field(ticket.ticket.as_bytes())
        .field(ticket.place.number().to_be_bytes())
        .field(ticket.public_position.to_be_bytes())
        .optional(ticket.subject.as_deref());
    for time in times {
        digested = digested.field(time.micros().to_be_bytes());
    }
    for fact in facts(ticket) {
        digested = digested.field(fact);
    }
    short(digested.finish())
}

/// The digest of a message's document.
pub(super) fn message_digest(tenant: &Tenant, shown_by: Place, message: &MessageDocument) -> u64 {
    let digested = Digested::new("docket/index-message/1")
        .field(tenant.as_str())
        .field(shown_by.number().to_be_bytes())
        .field(message.place.number().to_be_bytes())
        .field([u8::from(message.public)])
        .optional(message.body.as_deref());
    short(digested.finish())
}
