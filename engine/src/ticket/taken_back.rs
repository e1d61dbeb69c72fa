//! Taking a change back: what a command wrote is set to what it replaced, where nobody else has written since.

use docket_schemas::{Changed, CommandId, Priority, Scalar, Status, TicketType};

use super::{FoldError, Ticket};
use crate::command::FieldChange;
use crate::layout::{Container, custom_key};
use crate::resolver::{RegisterValue, resolve};

/// A command's change with what it replaced, which never changes: how much of it is taken back is decided on the ticket
/// as it then is.
#[derive(Debug, Clone, PartialEq)]
pub struct TakeBack {
    command: CommandId,
    /// What takes all of it back.
    replaced: FieldChange,
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
        let replaced = FieldChange {
            status: written.status.and_then(|_| before::<Status>(past, "status")),
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
        Ok(Self { command, replaced })
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
        left.status = left.status.filter(|_| alone("status"));
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
}

/// Whether a register still holds what a command wrote, and nothing else.
fn is_alone(ticket: &Ticket, key: &str, command: CommandId) -> bool {
    let candidates = ticket.settled().candidates(key);
    !candidates.is_empty() && candidates.iter().all(|candidate| candidate.command == command)
}

fn before<V: RegisterValue>(past: &Ticket, key: &str) -> Option<V> {
    resolve::<V>(past, key).map(|outcome| outcome.effective)
}
