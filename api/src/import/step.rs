//! A step: one write that a row asks for, with persons as callers name them.

use std::sync::Arc;

use docket_engine::command::FieldChange;
use docket_schemas::{
    Channel, CommandId, CustomFields, Followed, Kind, Observed, Opened, OpeningText, Payload,
    PersonId, Principal, Priority, Role, Status, Stream, Tenant, TicketId, TicketType, Timestamp,
    derivation,
};

/// The principal of rows that other systems wrote.
const PRINCIPAL: &str = "import";

/// One write.
#[derive(Debug, Clone)]
pub(super) struct Step {
    /// The line in the file.
    pub(super) line: u64,
    /// Whose.
    pub(super) tenant: Tenant,
    /// On which ticket.
    pub(super) ticket: TicketId,
    /// The intent's own name, the same in every run.
    pub(super) command_id: CommandId,
    /// Who wrote it.
    pub(super) author: Author,
    /// When it happened; none is now.
    pub(super) occurred_at: Option<Timestamp>,
    /// What caused it.
    pub(super) causation_id: Option<CommandId>,
    /// What it does.
    pub(super) action: Action,
}

/// Who wrote something.
#[derive(Debug, Clone)]
pub(super) struct Author {
    pub(super) who: Who,
    pub(super) role: Role,
    pub(super) device: Arc<str>,
}

impl Author {
    /// The import itself.
    pub(super) fn import() -> Self {
        Self { who: Who::Docket(PRINCIPAL.into()), role: Role::Bot, device: "".into() }
    }
}

/// The command that the import names by `key`: of a ticket, or one that opens it.
pub(super) fn command_of_key(tenant: &Tenant, ticket: Option<TicketId>, key: &str) -> CommandId {
    let principal = Principal::Docket(PRINCIPAL.into());
    let stream = ticket.map(Stream::ticket);
    derivation::command_of_key(tenant, Role::Bot, &principal, stream, key, 0)
}

/// A person as callers name them, or one of Docket's own principals.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Who {
    Person(String),
    Docket(Arc<str>),
}

/// What a step does.
#[derive(Debug, Clone)]
pub(super) enum Action {
    /// Opens the ticket.
    Open(Box<NewTicket>),
    /// Writes fields.
    Change(Box<NewValues>),
    /// Authors an event of another log again.
    Replay(Box<ForeignEvent>),
}

/// A ticket to be opened.
#[derive(Debug, Clone)]
pub(super) struct NewTicket {
    pub(super) requester: String,
    pub(super) assignee: Option<String>,
    /// Where one incident may have one ticket only, whichever of its rows opened it.
    pub(super) external_id_is: Uniqueness,
    /// All but the persons, which are [`nobody`].
    pub(super) opened: Opened,
    pub(super) text: OpeningText,
}

/// Whether an external id names one ticket of the import.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Uniqueness {
    Unique,
    Free,
}

/// Fields to write.
#[derive(Debug, Clone)]
pub(super) struct NewValues {
    /// Who holds the ticket from now on; the outer none leaves that as it is.
    pub(super) assignee: Option<Option<String>>,
    /// All but the assignee.
    pub(super) fields: FieldChange,
}

/// An event of another log.
#[derive(Debug, Clone)]
pub(super) struct ForeignEvent {
    /// The fact; each person in it is [`nobody`].
    pub(super) payload: Payload,
    /// The persons in it, in the order of [`crate::present::persons_in`].
    pub(super) persons: Vec<String>,
    /// The personal part.
    pub(super) text: Option<serde_json::Value>,
    pub(super) observed: Observed,
    /// The commands whose changes it was made on.
    pub(super) causes: Vec<CommandId>,
}

impl ForeignEvent {
    /// The fact with its persons as the log knows them.
    pub(super) fn payload_with(&self, persons: &[PersonId]) -> Payload {
        let mut payload = self.payload.clone();
        let person = persons.first().copied().unwrap_or(nobody());
        match &mut payload {
            Payload::Changed(changed) => {
                if let Some(Some(assignee)) = &mut changed.assignee_id {
                    *assignee = person;
                }
            }
            Payload::Claimed(claimed) => claimed.assignee_id = person,
            Payload::FollowerAdded(Followed { person_id })
            | Payload::FollowerRemoved(Followed { person_id }) => *person_id = person,
            Payload::MergeAttached(attached) => {
                let unanswered = attached.unanswered.as_mut().map(|message| &mut message.person_id);
                let slots = attached.followers.iter_mut().chain(unanswered);
                slots.zip(persons).for_each(|(slot, person)| *slot = *person);
            }
            Payload::MergeDetached(detached) => {
                let slots = detached.followers.iter_mut().zip(persons);
                slots.for_each(|(slot, person)| *slot = *person);
            }
            _ => {}
        }
        payload
    }
}

/// Stands where a person is not mapped yet.
pub(super) const fn nobody() -> PersonId {
    PersonId::new(uuid::Uuid::nil())
}

/// A ticket with the values that one has of which nothing is said.
pub(super) fn plain_opening() -> Opened {
    Opened {
        requester_id: nobody(),
        kind: None::<Kind>,
        status: Status::New,
        priority: Priority::Normal,
        ticket_type: None::<TicketType>,
        tags: Vec::new(),
        group_id: None,
        assignee_id: None,
        custom_fields: CustomFields::new(),
        channel: Channel::Api,
        external_id: None,
        follow_up_of: None,
        source_row: None,
    }
}
