//! Answers: a ticket as this region's log had it at a write's own position, now or when it is asked again.

use std::sync::Arc;

use docket_schemas::{
    CommandId, Event, MessageId, Position, Stream, TicketId, TicketPayload, derivation,
};

use super::appender::Done;
use super::past::AsOf;
use super::{Desk, DeskError};
use crate::command::{Caller, FOLLOW_UP_ORDINAL, FORWARD_ORDINAL, Refusal, Said};
use crate::policy::Audience;
use crate::ports::log::Placed;
use crate::ticket::Resolved;

/// What a write answers.
#[derive(Debug)]
pub struct Answer {
    /// The ticket at the write's own position.
    pub ticket: Resolved,
    /// The message that the write made.
    pub message: Option<MessageId>,
    /// Where that message stands; another ticket than was named, where that one is merged or closed.
    pub said: Option<Said>,
    /// The closed ticket that the answer's ticket follows up, when the write opened it.
    pub follow_up_of: Option<TicketId>,
    /// Where the log put it.
    pub placed: Placed,
    /// Whether it had been stored before.
    pub replayed: bool,
}

impl Answer {
    pub(super) fn first(ticket: Resolved, placed: Placed, command: CommandId) -> Self {
        let said = Some(Said { ticket: ticket.id, command });
        Self::saying(ticket, said, placed)
    }

    fn saying(ticket: Resolved, said: Option<Said>, placed: Placed) -> Self {
        let message = said.map(|said| derivation::message_of(said.command));
        Self { ticket, message, said, follow_up_of: None, placed, replayed: false }
    }

    pub(super) fn of_commit(done: Done) -> Result<Self, DeskError> {
        let answer = *done.answer.ok_or(DeskError::Stopping)?;
        let placed = *done.placed.get(answer.row).ok_or(DeskError::Stopping)?;
        let follow_up_of = answer.follow_up_of;
        Ok(Self { follow_up_of, ..Self::saying(answer.ticket, answer.said, placed) })
    }
}

/// The parts that a command's rows may have on one ticket.
const PART_ORDINALS: [u32; 2] = [1, 1_000];

impl Desk {
    /// The answer of an opening that is stored.
    pub(super) async fn replayed_opening(&self, stored: &Event) -> Result<Answer, DeskError> {
        let id = TicketId::new(stored.stream.id);
        let (ticket, _) = self.at_command(stored, id).await?;
        let answer = Answer::first(ticket, placed(stored), stored.command_id);
        Ok(Answer { replayed: true, ..answer })
    }

    /// The answer that a caller got for a command that is stored.
    pub(super) async fn replayed(
        &self,
        stored: &Event,
        caller: &Caller,
    ) -> Result<Answer, DeskError> {
        let id = TicketId::new(stored.stream.id);
        match payload(stored)? {
            TicketPayload::FollowUpOpened(link) => {
                let command = derivation::part_of_command(stored.command_id, FOLLOW_UP_ORDINAL);
                let opening = self.part(stored, link.ticket_id, command).await?;
                let answer = self.replayed_opening(&opening).await?;
                Ok(Answer { follow_up_of: Some(id), ..answer })
            }
            TicketPayload::MessageForwarded(link) => {
                let command = derivation::part_of_command(stored.command_id, FORWARD_ORDINAL);
                let message = self.part(stored, link.ticket_id, command).await?;
                let there = Box::pin(self.replayed(&message, caller)).await?;
                self.as_shown_to(caller, stored, link.ticket_id, there).await
            }
            fact => {
                let (ticket, last) = self.at_command(stored, id).await?;
                let said = Said { ticket: id, command: stored.command_id };
                let said = matches!(fact, TicketPayload::MessageAdded(_)).then_some(said);
                let placed = Placed { position: last, ..placed(stored) };
                Ok(Answer { replayed: true, ..Answer::saying(ticket, said, placed) })
            }
        }
    }

    /// A customer who had no part in the ticket that a message went to was shown the one that they wrote to.
    async fn as_shown_to(
        &self,
        caller: &Caller,
        stored: &Event,
        target: TicketId,
        there: Answer,
    ) -> Result<Answer, DeskError> {
        if Audience::of(caller.role) == Audience::Staff {
            return Ok(there);
        }
        // A unit's rows share their time, so it says what stood on the target whichever row the answer names.
        let at = AsOf::Time(there.placed.recorded_at);
        let then = self.as_of_for_write(&stored.tenant, target, &at).await?;
        let mut then = then.ok_or(Refusal::NotFound)?;
        let own = match caller.principal.person() {
            Some(person) => then.concerns(person)?,
            None => false,
        };
        if own {
            return Ok(there);
        }
        let (ticket, _) = self.at_command(stored, TicketId::new(stored.stream.id)).await?;
        Ok(Answer { ticket, follow_up_of: None, ..there })
    }

    /// Another row of a command's unit.
    async fn part(
        &self,
        stored: &Event,
        ticket: TicketId,
        command: CommandId,
    ) -> Result<Event, DeskError> {
        let partition = Stream::ticket(ticket).partition(&stored.tenant);
        let log = &self.ports().log;
        let found = log.event_of_command(&stored.tenant, partition, command).await?;
        Ok(found.ok_or(Refusal::NotFound)?)
    }

    /// A ticket at the last row of a stored command.
    async fn at_command(
        &self,
        stored: &Event,
        id: TicketId,
    ) -> Result<(Resolved, Position), DeskError> {
        let parts: Vec<CommandId> = PART_ORDINALS
            .iter()
            .map(|&ordinal| derivation::part_of_command(stored.command_id, ordinal))
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
            .as_of_for_write(&stored.tenant, id, &AsOf::Position(last))
            .await?
            .ok_or(Refusal::NotFound)?;
        Ok((ticket.resolve()?, last))
    }
}

fn payload(event: &Event) -> Result<TicketPayload, DeskError> {
    event.ticket_payload().map_err(|error| DeskError::Damaged(Arc::new(error)))
}

fn placed(event: &Event) -> Placed {
    Placed { partition: event.partition, position: event.position, recorded_at: event.recorded_at }
}
