//! Messages: facts that join the history, and the follow-up that a public one on a closed ticket opens.

use std::sync::Arc;

use docket_schemas::{
    Event, FollowUpOpened, MessageAdded, MessageText, Observed, Opened, OpeningText, Payload,
    Priority, Status, SubjectText, derivation,
};

use super::author::{AuthorError, Step, author};
use super::decide::{Decided, Scene};
use super::open::{Opening, open};
use super::status::{Closing, check_fresh, check_status, closing};
use super::{Intent, NewMessage, Refusal, Visibility};
use crate::policy::Action;
use crate::seal::DataKey;
use crate::ticket::{FoldError, Ticket};

/// The part of a message's command that sets a status with it.
const STATUS_ORDINAL: u32 = 1;
/// The part of a message's command that opens a follow-up.
pub(crate) const FOLLOW_UP_ORDINAL: u32 = 2;

pub(super) fn add(
    ticket: &mut Ticket,
    intent: &Intent,
    scene: &Scene<'_>,
    message: &NewMessage,
) -> Result<Decided, AuthorError> {
    let public = message.visibility == Visibility::Public;
    let action = if public { Action::AddPublicMessage } else { Action::AddInternalNote };
    scene.allow(intent, action, "write an internal note")?;
    if ticket.merges().merged().is_some() {
        // It shows `closed`, so a status is refused; what is said goes to the ticket that shows its messages.
        return Err(
            if message.status.is_some() { Refusal::Closed } else { Refusal::Elsewhere }.into()
        );
    }
    if public && closing(ticket) == Closing::Lone {
        return follow_up(ticket, intent, scene, message);
    }
    if let Some(status) = message.status {
        check_status(ticket, intent, scene.relation, status, &scene.past)?;
        check_fresh(ticket, intent, &scene.past)?;
    }
    let text =
        serde_json::to_value(MessageText { body: message.body.clone() }).expect("string keys only");
    let step = scene.step(intent, Payload::MessageAdded(MessageAdded { public }), public);
    let step = Step { text: Some((text, text_key(intent)?)), ..step };
    let mut rows = vec![author(ticket, step, &scene.seen, scene.with)?];
    if let Some(status) = message.status {
        let changed = docket_schemas::Changed { status: Some(status), ..Default::default() };
        let step = Step {
            command_id: derivation::part_of_command(intent.command_id, STATUS_ORDINAL),
            request_mac: None,
            causation_id: Some(intent.command_id),
            ..scene.step(intent, Payload::Changed(Box::new(changed)), true)
        };
        rows.push(author(ticket, step, &scene.seen, scene.with)?);
    }
    Ok(Decided { rows, follow_up: None })
}

pub(super) fn text_key(intent: &Intent) -> Result<&DataKey, Refusal> {
    intent.text_key.as_deref().ok_or_else(Refusal::erased)
}

/// A public message on a lone `closed` makes a ticket whose id derives from the message's command.
fn follow_up(
    ticket: &mut Ticket,
    intent: &Intent,
    scene: &Scene<'_>,
    message: &NewMessage,
) -> Result<Decided, AuthorError> {
    if message.status.is_some() {
        return Err(Refusal::Closed.into());
    }
    let key = intent.requester_key.as_ref().ok_or(Refusal::Closed)?;
    let (Some(facts), Ok(resolved)) = (ticket.facts().cloned(), ticket.resolve()) else {
        return Err(Refusal::NotFound.into());
    };
    let command_id = derivation::part_of_command(intent.command_id, FOLLOW_UP_ORDINAL);
    let opening = Opening {
        caller: intent.caller.clone(),
        command_id,
        request_mac: None,
        occurred_at: intent.occurred_at,
        opened: Opened {
            requester_id: facts.requester,
            kind: None,
            status: Status::New,
            priority: Priority::Normal,
            ticket_type: resolved.ticket_type,
            tags: Vec::new(),
            group_id: resolved.group.clone(),
            assignee_id: None,
            custom_fields: docket_schemas::CustomFields::new(),
            channel: facts.channel,
            external_id: None,
            follow_up_of: Some(ticket.id),
            source_row: None,
        },
        text: OpeningText {
            subject: subject_text(ticket, &resolved, key),
            body: message.body.clone(),
            requester: None,
        },
        key: Arc::clone(key),
        causation_id: Some(intent.command_id),
    };
    let link = Payload::FollowUpOpened(FollowUpOpened { ticket_id: opening.ticket() });
    let step = Step { observed: Observed::Assumed, ..scene.step(intent, link, true) };
    let heads = ticket.graph.heads().to_vec();
    let mut rows = vec![author(ticket, step, &heads, scene.with)?];
    let (row, follow_up) = open(&opening, scene.with)?;
    rows.push(row);
    Ok(Decided { rows, follow_up: Some(Box::new(follow_up)) })
}

/// The closed ticket's subject, to be sealed again in the follow-up; empty once it was erased.
fn subject_text(ticket: &Ticket, resolved: &crate::ticket::Resolved, key: &DataKey) -> String {
    let Some(subject) = resolved.subjects.get(&resolved.subject) else { return String::new() };
    key.open::<SubjectText>(&ticket.tenant, resolved.subject, subject.schema, &subject.sealed)
        .map(|text| text.subject)
        .unwrap_or_default()
}

impl Ticket {
    /// Folds a run of stored events of this ticket, oldest first.
    ///
    /// # Errors
    /// When one does not fit.
    pub fn apply_all<'a>(
        &mut self,
        events: impl IntoIterator<Item = &'a Event>,
    ) -> Result<(), FoldError> {
        events.into_iter().try_for_each(|event| self.apply(event))
    }
}
