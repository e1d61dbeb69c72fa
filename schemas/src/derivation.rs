//! How one id is derived from another, so that a retry names the same things on any node.

use uuid::Uuid;

use crate::canonical::Fields;
use crate::{
    CommandId, EventId, Incarnation, MessageId, Principal, Role, SagaEvent, SagaId, Stream,
    StreamKind, Tenant, TicketId,
};

/// The command that an `Idempotency-Key` names: UUIDv8 over who sent it, to which stream, and which part of it.
///
/// `stream` is the one that the path addresses, none when a ticket is opened.
#[must_use]
pub fn command_of_key(
    tenant: &Tenant,
    role: Role,
    principal: &Principal,
    stream: Option<Stream>,
    key: &str,
    ordinal: u32,
) -> CommandId {
    let hash = Fields::new("docket/command/1")
        .field(tenant.as_str())
        .field(role.as_str())
        .field(principal.to_string())
        .optional(stream.map(|stream| stream.to_string()))
        .field(key)
        .field(ordinal.to_be_bytes())
        .finish();
    CommandId::new(version_8(hash))
}

/// The saga that a command starts.
#[must_use]
pub fn saga_of(command: CommandId) -> SagaId {
    SagaId::new(derive("docket/saga/1", command, &[]))
}

/// A row that a saga writes itself, by the command that started it, the row's number on its stream from 1, and its type.
#[must_use]
pub fn saga_row(start: CommandId, number: u64, event: SagaEvent) -> CommandId {
    let which = [&number.to_be_bytes(), event.as_str().as_bytes()].concat();
    part("docket/saga-row/1", start, &which)
}

/// What a saga's step does, the same on every try: `key` is `step/direction` and which of its commands.
#[must_use]
pub fn saga_effect(start: CommandId, key: &str) -> CommandId {
    part("docket/saga-effect/1", start, key.as_bytes())
}

/// The stream on which a tenant's definition of sagas is paused and resumed.
#[must_use]
pub fn saga_definition(name: &str) -> Stream {
    let hash = Fields::new("docket/saga-definition/1").field(name).finish();
    Stream { kind: StreamKind::Saga, id: version_8(hash) }
}

/// A further command of the same request, such as the status of "submit as solved" or a follow-up's opening.
/// A time-ordered command's parts are time-ordered too.
#[must_use]
pub fn part_of_command(command: CommandId, ordinal: u32) -> CommandId {
    part("docket/command-part/1", command, &ordinal.to_be_bytes())
}

/// The ticket that an opening command makes.
#[must_use]
pub fn ticket_of(command: CommandId) -> TicketId {
    TicketId::new(derive("docket/ticket/1", command, &[]))
}

/// The message that a command writes; an opening writes message 1.
#[must_use]
pub fn message_of(command: CommandId) -> MessageId {
    MessageId::new(derive("docket/message/1", command, &[]))
}

/// The event that one region incarnation stores for a command.
#[must_use]
pub fn event_of(command: CommandId, incarnation: &Incarnation) -> EventId {
    EventId::new(derive("docket/event-id/1", command, incarnation.as_str().as_bytes()))
}

/// A command made from another; time-ordered where that one is.
fn part(domain: &str, command: CommandId, part: &[u8]) -> CommandId {
    let part = derive(domain, command, part);
    if !is_time_ordered(command) {
        return CommandId::new(part);
    }
    let mut bytes = part.into_bytes();
    bytes[6] = 0x70 | (bytes[6] & 0x0f);
    CommandId::new(Uuid::from_bytes(bytes))
}

/// UUIDv8 of a hash, which keeps the first 48 bits of a time-ordered command so that indexes grow at their end.
fn derive(domain: &str, command: CommandId, part: &[u8]) -> Uuid {
    let mut hash = Fields::new(domain).field(command.as_bytes()).field(part).finish();
    if is_time_ordered(command) {
        hash[..6].copy_from_slice(&command.as_bytes()[..6]);
    }
    version_8(hash)
}

/// Made without a key: UUIDv7. A command made from a key is a hash throughout.
fn is_time_ordered(command: CommandId) -> bool {
    command.uuid().get_version_num() == 7
}

fn version_8(hash: [u8; 32]) -> Uuid {
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&hash[..16]);
    uuid::Builder::from_custom_bytes(bytes).into_uuid()
}
