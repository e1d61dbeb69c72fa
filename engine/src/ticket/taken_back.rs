//! Taking a change back: what a command wrote is set to what it replaced, where nobody else has written since.

use docket_schemas::{Changed, CommandId, Priority, Scalar, Status, TicketType};

use super::{FoldError, Ticket};
use crate::command::FieldChange;
use crate::layout::{Container, custom_key};
use crate::resolver::{RegisterValue, resolve};

/// What takes a command's change back from a ticket that was `past` before it. None where nothing is left to take back: a
/// field that somebody has written since, or that is in conflict, stays.
///
/// # Errors
/// When one of them is damaged.
pub fn taken_back(
    now: &mut Ticket,
    past: &mut Ticket,
    command: CommandId,
    written: &Changed,
) -> Result<Option<FieldChange>, FoldError> {
    now.registers()?;
    past.registers()?;
    let (now, past) = (&*now, &*past);
    let mut change = FieldChange::default();
    if written.status.is_some() && is_alone(now, "status", command) {
        change.status = before::<Status>(past, "status");
    }
    if written.priority.is_some() && is_alone(now, "priority", command) {
        change.priority = before::<Priority>(past, "priority");
    }
    if written.ticket_type.is_some() && is_alone(now, "type", command) {
        change.ticket_type = Some(before::<Option<TicketType>>(past, "type").flatten());
    }
    if written.group_id.is_some() && is_alone(now, "group", command) {
        change.group_id = Some(before::<Option<String>>(past, "group").flatten());
    }
    if written.assignee_id.is_some() && is_alone(now, "assignee", command) {
        change.assignee = Some(past.holder().map(|holder| holder.person));
    }
    for name in written.custom_fields.keys() {
        let key = custom_key(name);
        if is_alone(now, &key, command) {
            let value = before::<Scalar>(past, &key).unwrap_or(Scalar::Null);
            change.custom_fields.insert(name.clone(), value);
        }
    }
    let had = |ticket: &Ticket, tag: &str| ticket.settled().holds(Container::Tags, tag);
    let added = written.add_tags.iter().filter(|tag| {
        let mut writers = now.settled().writers(Container::Tags, tag);
        !had(past, tag) && had(now, tag) && writers.all(|writer| writer == command)
    });
    change.remove_tags = added.cloned().collect();
    let removed = written.remove_tags.iter().filter(|tag| had(past, tag) && !had(now, tag));
    change.add_tags = removed.cloned().collect();
    Ok((change != FieldChange::default()).then_some(change))
}

/// Whether a register still holds what a command wrote, and nothing else.
fn is_alone(ticket: &Ticket, key: &str, command: CommandId) -> bool {
    let candidates = ticket.settled().candidates(key);
    !candidates.is_empty() && candidates.iter().all(|candidate| candidate.command == command)
}

fn before<V: RegisterValue>(past: &Ticket, key: &str) -> Option<V> {
    resolve::<V>(past, key).map(|outcome| outcome.effective)
}
