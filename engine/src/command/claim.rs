//! Claims: who holds a ticket is decided by a slot, never merged.

use docket_schemas::{PersonId, SlotOp};

use super::{Intent, Refusal, assignment};
use crate::policy::{Action, Relation, Verdict, may};
use crate::ticket::Ticket;

/// How a claim was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Manner {
    /// `POST …/claim`: take a free ticket; an admin takes another's too.
    Claim,
    /// `PATCH assignee_id`: take a free ticket, or hand on one's own.
    Assign,
}

/// The slot steps after which `assignee` holds the ticket; none when that is so already.
pub(super) fn take(
    ticket: &Ticket,
    intent: &Intent,
    relation: Relation,
    assignee: PersonId,
    manner: Manner,
) -> Result<Vec<SlotOp>, Refusal> {
    let holder = ticket.holder().map(|holder| holder.person);
    let free_or_same = holder.is_none_or(|holder| holder == assignee);
    let hands_on = manner == Manner::Assign && holder == intent.caller.principal.person();
    if !free_or_same && !hands_on {
        take_over(intent, relation, holder)?;
    }
    Ok(assignment(ticket.id, holder, Some(assignee)))
}

/// The slot step after which nobody holds the ticket.
pub(super) fn release(
    ticket: &Ticket,
    intent: &Intent,
    relation: Relation,
) -> Result<Vec<SlotOp>, Refusal> {
    let holder = ticket.holder().map(|holder| holder.person);
    if holder.is_none() && intent.source.is_held_to_policy() {
        return Err(Refusal::NotClaimed);
    }
    if holder != intent.caller.principal.person() {
        take_over(intent, relation, holder)?;
    }
    Ok(assignment(ticket.id, holder, None))
}

fn take_over(intent: &Intent, relation: Relation, holder: Option<PersonId>) -> Result<(), Refusal> {
    if !intent.source.is_held_to_policy()
        || may(intent.caller.role, relation, Action::TakeOver) == Verdict::Allow
    {
        return Ok(());
    }
    match holder {
        Some(holder) => Err(Refusal::AlreadyClaimed { holder }),
        None => Err(Refusal::NotClaimed),
    }
}
