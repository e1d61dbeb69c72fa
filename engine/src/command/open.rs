//! Opening: a ticket's first event, encoded directly and independent of any other.

use std::sync::Arc;

use docket_schemas::{
    CommandId, Mac, Observed, Opened, OpeningText, Payload, TicketId, Timestamp, derivation,
};

use super::author::{AuthorError, AuthoredRow, Step, author};
use super::{Authoring, Caller, assignment};
use crate::seal::DataKey;
use crate::ticket::Ticket;

/// A ticket to be opened.
#[derive(Debug, Clone)]
pub struct Opening {
    /// Who opens it.
    pub caller: Caller,
    /// The intent's own name; the ticket's id derives from it.
    pub command_id: CommandId,
    /// Over the request.
    pub request_mac: Option<Mac>,
    /// When it happened, by the client or source.
    pub occurred_at: Timestamp,
    /// The fact.
    pub opened: Opened,
    /// The personal part; nothing is sealed where it says nothing, as after an erasure.
    pub text: OpeningText,
    /// The requester's key.
    pub key: Arc<DataKey>,
    /// What caused it.
    pub causation_id: Option<CommandId>,
}

impl Opening {
    /// The ticket that it makes.
    #[must_use]
    pub fn ticket(&self) -> TicketId {
        derivation::ticket_of(self.command_id)
    }
}

/// Authors an opening: the row to append and the ticket as it will be.
///
/// # Errors
/// Never for an opening that was parsed; the type is shared with other commands.
pub fn open(opening: &Opening, with: Authoring<'_>) -> Result<(AuthoredRow, Ticket), AuthorError> {
    let mut ticket = Ticket::new(opening.caller.tenant.clone(), opening.ticket());
    let said = opening.text != OpeningText { subject: "".into(), body: "".into(), requester: None };
    let text = || serde_json::to_value(&opening.text).expect("a text has string keys only");
    let step = Step {
        caller: &opening.caller,
        command_id: opening.command_id,
        request_mac: opening.request_mac,
        slots: assignment(ticket.id, None, opening.opened.assignee_id),
        payload: Payload::Opened(Box::new(opening.opened.clone())),
        text: said.then(|| (text(), &*opening.key)),
        public: true,
        observed: Observed::Assumed,
        occurred_at: opening.occurred_at,
        correlation_id: None,
        causation_id: opening.causation_id,
    };
    let row = author(&mut ticket, step, &[], with)?;
    Ok((row, ticket))
}
