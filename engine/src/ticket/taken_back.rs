//! Taking a change back: what a command wrote is set to what it replaced, where nobody else has written since.

use docket_schemas::{Changed, CommandId, Priority, Scalar, Status, TicketType};

use super::{FoldError, Ticket};
use crate::command::FieldChange;
use crate::layout::{Container, custom_key};
use crate::resolver::{RegisterValue, resolve, unseen_by};

/// A command's change with what it replaced, which never changes: how much of it is taken back is decided on the ticket
/// as it then is.
#[derive(Debug, Clone, PartialEq)]
pub struct TakeBack {
    command: CommandId,
    /// What takes all of it back.
    replaced: FieldChange,
    /// Who wrote the status that it replaced, where that said that the customer had been answered.
    settled_by: Option<Vec<CommandId>>,
}

impl TakeBack {
    /// What takes back what a command wrote to a ticket that was `past` before it.
    ///
    /// # Errors
    /// When that is damaged.
    pub fn new(
        past: &mut Ticket,
        command: CommandId,
        written: &Changed,
    ) -> Result<Self, FoldError> {
        past.registers()?;
        let past = &*past;
        let had = |tag: &&String| past.settled().holds(Container::Tags, tag);
        let fields = written.custom_fields.keys();
        let status = written.status.and_then(|_| resolve::<Status>(past, "status"));
        let replaced = FieldChange {
            status: status.as_ref().map(|outcome| outcome.effective),
            priority: written.priority.and_then(|_| before::<Priority>(past, "priority")),
            ticket_type: written
                .ticket_type
                .map(|_| before::<Option<TicketType>>(past, "type").flatten()),
            group_id: written
                .group_id
                .as_ref()
                .map(|_| before::<Option<String>>(past, "group").flatten()),
            assignee: written.assignee_id.map(|_| past.holder().map(|holder| holder.person)),
            add_tags: written.remove_tags.iter().filter(had).cloned().collect(),
            remove_tags: written.add_tags.iter().filter(|tag| !had(tag)).cloned().collect(),
            custom_fields: fields
                .map(|name| {
                    let value = before::<Scalar>(past, &custom_key(name));
                    (name.clone(), value.unwrap_or(Scalar::Null))
                })
                .collect(),
            ..FieldChange::default()
        };
        let settled_by = status.and_then(|outcome| outcome.settled_by());
        Ok(Self { command, replaced, settled_by })
    }

    /// What is left to take back from the ticket as it is: a field that somebody has written since, or that is in
    /// conflict, stays, and so does a tag that others have dealt with. None where that is nothing.
    ///
    /// # Errors
    /// When the ticket is damaged.
    pub fn left(&self, now: &mut Ticket) -> Result<Option<FieldChange>, FoldError> {
        now.registers()?;
        let (now, command) = (&*now, self.command);
        let alone = |key: &str| is_alone(now, key, command);
        let mut left = self.replaced.clone();
        left.status = left.status.filter(|_| alone("status")).map(|had| self.shows(now, had));
        left.priority = left.priority.filter(|_| alone("priority"));
        left.ticket_type = left.ticket_type.filter(|_| alone("type"));
        left.group_id = left.group_id.filter(|_| alone("group"));
        left.assignee = left.assignee.filter(|_| alone("assignee"));
        left.custom_fields.retain(|name, _| alone(&custom_key(name)));
        left.remove_tags.retain(|tag| {
            let mut writers = now.settled().writers(Container::Tags, tag).peekable();
            writers.peek().is_some() && writers.all(|writer| writer == command)
        });
        left.add_tags.retain(|tag| now.untagged.last(tag) == Some(command));
        Ok((left != FieldChange::default()).then_some(left))
    }

    /// What the ticket would show had the change never been made. What takes it back has seen every message, so a
    /// status that says that the customer has been answered would hide those that nobody has answered.
    fn shows(&self, now: &Ticket, had: Status) -> Status {
        match &self.settled_by {
            Some(writers) if !unseen_by(now, writers).is_empty() => Status::Open,
            _ => had,
        }
    }
}

/// Whether a register still holds what a command wrote, and nothing else.
fn is_alone(ticket: &Ticket, key: &str, command: CommandId) -> bool {
    let candidates = ticket.settled().candidates(key);
    !candidates.is_empty() && candidates.iter().all(|candidate| candidate.command == command)
}

fn before<V: RegisterValue>(past: &Ticket, key: &str) -> Option<V> {
    resolve::<V>(past, key).map(|outcome| outcome.effective)
}
