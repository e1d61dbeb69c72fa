//! Forwarding: a message to a merged ticket goes to the one that shows its messages, in one unit with a link.

use docket_schemas::{CommandId, MessageForwarded, Tenant, TicketId, TicketPayload, derivation};

use super::author::{AuthorError, author, joined_heads};
use super::decide::{Scene, scene};
use super::joint::{JointRows, JointTickets, JointWrite, Prepared, Said};
use super::message::{FOLLOW_UP_ORDINAL, add};
use super::{Authoring, Command, Intent, NewMessage, Refusal, Visibility};
use crate::policy::{Action, Audience, Relation};
use crate::ports::log::Row;
use crate::ticket::Ticket;

/// The part of a message's command that writes it to the ticket that shows it.
pub(crate) const FORWARD_ORDINAL: u32 = 3;

/// The first ticket of a path and the last.
const ENDS: usize = 2;

/// Most rows: the link, the message or the two of a follow-up, and joined heads on both tickets.
const ROWS_MAX: usize = 5;

/// A message to a merged ticket, with the keys of the ticket that it goes to.
#[derive(Debug, Clone)]
pub(crate) struct Forward {
    /// What was asked of the merged ticket.
    intent: Intent,
    /// What is said there.
    message: NewMessage,
    /// From the merged ticket to the one that shows its messages; of another path nothing is written.
    path: Vec<TicketId>,
}

impl Forward {
    /// None for an intent that says nothing, or a path that leads nowhere.
    pub(crate) fn new(intent: Intent, path: Vec<TicketId>) -> Option<Self> {
        let Command::AddMessage(message) = &intent.command else { return None };
        let message = message.clone();
        (path.len() > 1).then_some(Self { intent, message, path })
    }

    fn target(&self) -> TicketId {
        *self.path.last().unwrap_or(&self.intent.ticket)
    }

    /// The message's own command, on the target.
    fn command(&self) -> CommandId {
        derivation::part_of_command(self.intent.command_id, FORWARD_ORDINAL)
    }

    /// Refuses a path that is no longer the one.
    ///
    /// The ends alone are fenced by the unit: whatever changes the path between them writes to its last ticket too. That
    /// says something only where what lies between was not read before that one.
    fn check_path(&self, tickets: &mut JointTickets<'_>) -> Result<(), AuthorError> {
        if self.path.len() > ENDS && !tickets.are_current() {
            return Err(AuthorError::Stale);
        }
        let next = self.path.iter().skip(1).copied().map(Some).chain([None]);
        for (id, next) in self.path.iter().zip(next) {
            let merged = tickets.get(*id)?.merges().merged();
            if merged.map(|merged| merged.into) != next {
                return Err(Refusal::Elsewhere.into());
            }
        }
        Ok(())
    }

    fn leave(&self, source: &mut Ticket, with: Authoring<'_>) -> Result<Left, AuthorError> {
        let intent = &self.intent;
        let scene = scene(source, intent, with)?;
        let public = self.message.visibility == Visibility::Public;
        let action = if public { Action::AddPublicMessage } else { Action::AddInternalNote };
        scene.allow(intent, action, "write an internal note")?;
        let link = MessageForwarded { ticket_id: self.target(), public };
        let step = scene.step(intent, TicketPayload::MessageForwarded(link), public);
        let mut rows = vec![author(source, step, &scene.seen, with)?];
        rows.extend(joined_heads(source, intent.command_id, intent.occurred_at, with)?);
        Ok(Left { rows, relation: scene.relation })
    }

    /// Writes the message to the target, and says what the caller is shown: not the target where a customer has no part
    /// in it, as one whom staff have unfollowed.
    fn arrive(
        &self,
        target: &mut Ticket,
        left: Left,
        with: Authoring<'_>,
    ) -> Result<(JointRows, Shows), AuthorError> {
        let intent = Intent {
            ticket: target.id,
            command_id: self.command(),
            request_mac: None,
            observed: None,
            precondition: None,
            ..self.intent.clone()
        };
        target.registers()?;
        let seen = target.graph.heads().to_vec();
        let past = target.graph.past_of(&seen);
        let causation_id = Some(self.intent.command_id);
        let scene = Scene { relation: left.relation, seen, past, causation_id, with };
        let decided = add(target, &intent, &scene, &self.message)?;
        let mut rows = left.rows;
        let first = rows.len();
        rows.extend(decided.rows);
        rows.extend(joined_heads(target, intent.command_id, intent.occurred_at, with)?);
        let prepared = match decided.follow_up {
            Some(mut opened) => Prepared {
                said: Some(Said {
                    ticket: opened.id,
                    command: derivation::part_of_command(intent.command_id, FOLLOW_UP_ORDINAL),
                }),
                ticket: opened.resolve()?,
                follow_up_of: Some(target.id),
                row: first + 1,
            },
            None => Prepared {
                said: Some(Said { ticket: target.id, command: intent.command_id }),
                ticket: target.resolve()?,
                follow_up_of: None,
                row: rows.len() - 1,
            },
        };
        let customer = Audience::of(intent.caller.role) == Audience::Customer;
        let person = intent.caller.principal.person();
        let own = match person {
            Some(person) => target.concerns(person)?,
            None => false,
        };
        let shows = if customer && !own { Shows::Source } else { Shows::Target };
        Ok((JointRows { rows, answer: Some(Box::new(prepared)) }, shows))
    }
}

/// What stands on the source.
struct Left {
    rows: Vec<Row>,
    relation: Relation,
}

/// Which ticket the answer shows.
enum Shows {
    Source,
    Target,
}

impl JointWrite for Forward {
    fn tenant(&self) -> &Tenant {
        &self.intent.caller.tenant
    }

    fn tickets(&self) -> Vec<TicketId> {
        self.path.clone()
    }

    fn known_by(&self) -> Option<(TicketId, CommandId)> {
        Some((self.intent.ticket, self.intent.command_id))
    }

    fn rows_max(&self) -> usize {
        ROWS_MAX
    }

    fn author(
        &self,
        tickets: &mut JointTickets<'_>,
        with: Authoring<'_>,
    ) -> Result<JointRows, AuthorError> {
        self.check_path(tickets)?;
        if self.message.status.is_some() {
            return Err(Refusal::Closed.into());
        }
        let left = self.leave(tickets.get(self.intent.ticket)?, with)?;
        let (mut written, shows) = self.arrive(tickets.get(self.target())?, left, with)?;
        if let (Shows::Source, Some(answer)) = (shows, &mut written.answer) {
            answer.ticket = tickets.get(self.intent.ticket)?.resolve()?;
            answer.follow_up_of = None;
        }
        Ok(written)
    }
}
