//! Replaying: an event of another log is authored again, held to no policy.

use docket_schemas::{Changed, CommandId, Observed, Payload};

use super::author::{AuthorError, Step, author, joins_public_heads};
use super::decide::{Decided, Scene};
use super::merge::merge_slots;
use super::message::text_key;
use super::{Intent, Replayed, assignment};
use crate::ticket::Ticket;

impl Replayed {
    /// An event of another log; `text` is the opened personal part, none where it had none or has been erased.
    #[must_use]
    pub fn new(
        payload: Payload,
        text: Option<serde_json::Value>,
        observed: Observed,
        causation_id: Option<CommandId>,
    ) -> Self {
        let public = is_public(&payload);
        Self { payload, text, public, observed, causation_id }
    }
}

/// Whether an event touches what a customer may see.
fn is_public(payload: &Payload) -> bool {
    match payload {
        Payload::Changed(changed) => touches_public(changed),
        Payload::MessageAdded(message) => message.public,
        Payload::MessageForwarded(message) => message.public,
        Payload::FollowerAdded(_) | Payload::FollowerRemoved(_) => false,
        Payload::Opened(_)
        | Payload::Claimed(_)
        | Payload::Released(_)
        | Payload::FollowUpOpened(_)
        | Payload::HeadsJoined
        | Payload::MergeBegun(_)
        | Payload::MergeEnded(_)
        | Payload::Merged(_)
        | Payload::Unmerged(_)
        | Payload::MergeAttached(_)
        | Payload::MergeDetached(_) => true,
    }
}

/// Whether a change writes anything in the public part.
pub(super) fn touches_public(changed: &Changed) -> bool {
    changed.status.is_some()
        || changed.priority.is_some()
        || changed.ticket_type.is_some()
        || changed.assignee_id.is_some()
        || changed.sealed.iter().any(|field| field == "subject")
}

/// Writes an event as another log had it; what it does to slots follows from who holds them here.
pub(super) fn replay(
    ticket: &mut Ticket,
    intent: &Intent,
    scene: &Scene<'_>,
    replayed: &Replayed,
) -> Result<Decided, AuthorError> {
    let assignee = match &replayed.payload {
        Payload::Changed(changed) => changed.assignee_id,
        Payload::Claimed(claimed) => Some(Some(claimed.assignee_id)),
        Payload::Released(_) => Some(None),
        _ => None,
    };
    let holder = ticket.holder().map(|holder| holder.person);
    let slots = match assignee {
        Some(next) => assignment(ticket.id, holder, next),
        None => merge_slots(ticket, &replayed.payload),
    };
    let text = match &replayed.text {
        Some(text) => Some((text.clone(), text_key(intent)?)),
        None => None,
    };
    let public = match &replayed.payload {
        Payload::HeadsJoined => joins_public_heads(ticket),
        _ => replayed.public,
    };
    let step = scene.step(intent, replayed.payload.clone(), public);
    let causation_id = replayed.causation_id;
    let step = Step { slots, text, observed: replayed.observed, causation_id, ..step };
    Ok(Decided { rows: vec![author(ticket, step, &scene.seen, scene.with)?], follow_up: None })
}
