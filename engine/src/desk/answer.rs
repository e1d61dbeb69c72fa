//! Answers: a ticket as this region's log had it at a write's own position, now or when it is asked again.

use docket_schemas::{
    CommandId, Event, EventType, MessageId, Position, Stream, TicketId, derivation,
};

use super::appender::Done;
use super::past::AsOf;
use super::{Desk, DeskError};
use crate::command::{Command, Intent, Refusal};
use crate::ports::log::Placed;
use crate::ticket::Resolved;

/// What a write answers.
#[derive(Debug)]
pub struct Answer {
    /// The ticket at the write's own position.
    pub ticket: Resolved,
    /// The message that the write made.
    pub message: Option<MessageId>,
    /// The closed ticket that the answer's ticket follows up, when the write opened it.
    pub follow_up_of: Option<TicketId>,
    /// Where the log put it.
    pub placed: Placed,
    /// Whether it had been stored before.
    pub replayed: bool,
}

impl Answer {
    pub(super) fn first(ticket: Resolved, placed: Placed, command: CommandId) -> Self {
        let message = Some(derivation::message_of(command));
        Self { ticket, message, follow_up_of: None, placed, replayed: false }
    }

    pub(super) fn of_commit(done: Done, intent: &Intent) -> Result<Self, DeskError> {
        let placed = match done.follow_up_of {
            Some(_) => done.placed.get(FOLLOW_UP_ROW),
            None => done.placed.last(),
        };
        let placed = *placed.ok_or(DeskError::Stopping)?;
        let resolved = done.resolved.ok_or(DeskError::Stopping)?;
        let message = match (&intent.command, done.message) {
            (Command::AddMessage(_), message) => message,
            _ => None,
        };
        Ok(Self {
            ticket: resolved,
            message,
            follow_up_of: done.follow_up_of,
            placed,
            replayed: false,
        })
    }
}

/// Where in its unit a follow-up is opened: after the link on the closed ticket.
const FOLLOW_UP_ROW: usize = 1;

/// The parts that a command's rows may have on one ticket.
const PART_ORDINALS: [u32; 2] = [1, 1_000];

impl Desk {
    /// The answer of an opening that is stored.
    pub(super) async fn replayed_opening(&self, stored: &Event) -> Result<Answer, DeskError> {
        let id = TicketId::new(stored.stream.id);
        let (ticket, _) = self.at_command(stored, id, stored.command_id).await?;
        Ok(Answer {
            ticket,
            message: Some(derivation::message_of(stored.command_id)),
            follow_up_of: None,
            placed: placed(stored),
            replayed: true,
        })
    }

    /// The answer of a command on a ticket that is stored.
    pub(super) async fn replayed(&self, stored: &Event) -> Result<Answer, DeskError> {
        let id = TicketId::new(stored.stream.id);
        if stored.event_type == EventType::FollowUpOpened {
            return self.replayed_follow_up(stored, id).await;
        }
        let (ticket, last) = self.at_command(stored, id, stored.command_id).await?;
        let message = (stored.event_type == EventType::MessageAdded)
            .then(|| derivation::message_of(stored.command_id));
        let placed = Placed { position: last, ..placed(stored) };
        Ok(Answer { ticket, message, follow_up_of: None, placed, replayed: true })
    }

    async fn replayed_follow_up(
        &self,
        stored: &Event,
        closed: TicketId,
    ) -> Result<Answer, DeskError> {
        let docket_schemas::Payload::FollowUpOpened(link) =
            stored.payload().map_err(|error| DeskError::Damaged(std::sync::Arc::new(error)))?
        else {
            return Err(Refusal::NotFound.into());
        };
        let command = derivation::part_of_command(stored.command_id, 2);
        let partition = Stream::ticket(link.ticket_id).partition(&stored.tenant);
        let opening = self.ports().log.event_of_command(&stored.tenant, partition, command).await?;
        let opening = opening.ok_or(Refusal::NotFound)?;
        let (ticket, _) = self.at_command(&opening, link.ticket_id, command).await?;
        Ok(Answer {
            ticket,
            message: Some(derivation::message_of(command)),
            follow_up_of: Some(closed),
            placed: placed(&opening),
            replayed: true,
        })
    }

    /// A ticket at the last row of a command.
    async fn at_command(
        &self,
        stored: &Event,
        id: TicketId,
        command: CommandId,
    ) -> Result<(Resolved, Position), DeskError> {
        let parts: Vec<CommandId> = PART_ORDINALS
            .iter()
            .map(|&ordinal| derivation::part_of_command(command, ordinal))
            .collect();
        let last = self
            .look(&stored.tenant, id, |ticket| {
                let positions = parts.iter().filter_map(|part| ticket.graph.of_command(*part));
                positions.map(|node| node.position).chain([stored.position]).max()
            })
            .await?
            .flatten()
            .unwrap_or(stored.position);
        let mut ticket = self
            .as_of(&stored.tenant, id, &AsOf::Position(last))
            .await?
            .ok_or(Refusal::NotFound)?;
        Ok((ticket.resolve()?, last))
    }
}

fn placed(event: &Event) -> Placed {
    Placed { partition: event.partition, position: event.position, recorded_at: event.recorded_at }
}
