//! Commands: what a caller wants of a ticket, parsed, and why it may be refused.

mod author;
mod beside;
mod claim;
mod decide;
mod forward;
mod joint;
mod merge;
mod merge_checks;
mod message;
mod open;
mod replay;
mod status;

use std::sync::Arc;

use docket_schemas::{
    Changed, CommandId, CustomFields, Incarnation, Mac, Observed, PersonId, Principal, Priority,
    Role, SlotKey, Status, Tenant, TicketId, TicketPayload, TicketType, Timestamp,
};

use crate::ports::ids::Ids;
use crate::seal::DataKey;
use crate::ticket::TakeBack;
use crate::version::Version;
pub use author::{AuthorError, AuthoredRow, joined_heads};
pub use beside::{Conclude, PlainRow, SAGA_COMMANDS_MAX, SagaUnit};
pub use decide::{Decided, decide};
pub(crate) use forward::{FORWARD_ORDINAL, Forward};
pub use joint::{Beside, JointRows, JointTickets, JointWrite, OtherRows, Prepared, Said};
pub use merge::{MERGED_SOURCES_MAX, MergeMove, MergeWrite, Urgency};
pub(crate) use message::FOLLOW_UP_ORDINAL;
pub use open::{Opening, open};

/// Age of the oldest unseen change beyond which a field write is refused as stale: 7 days, in microseconds.
pub const OBSERVED_AGE_MAX_MICROS: i64 = 7 * 24 * 3_600 * 1_000_000;

/// Most tags of a ticket, checked when tags are added; a merge of concurrent writes may exceed it.
pub const TAGS_MAX: usize = 100;

/// Most custom fields of a ticket, checked when they are written.
pub const CUSTOM_FIELDS_MAX: usize = 100;

/// Who asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// In which tenant.
    pub tenant: Tenant,
    /// As what.
    pub role: Role,
    /// Who, as the log knows them.
    pub principal: Principal,
    /// On which device.
    pub device: Arc<str>,
}

/// What `If-Match` asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Precondition {
    /// Any current version.
    Any,
    /// One of these, as their texts.
    OneOf(Vec<String>),
}

/// Where a command comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// A caller, held to the policy.
    Live,
    /// An import, which writes what was true elsewhere.
    Import,
    /// A step of the saga that a command started: held to the policy as whoever started it.
    Saga(CommandId),
    /// The undo of such a step, which restores what the step itself replaced: nobody else may.
    Undo(CommandId),
}

impl Source {
    /// Whether the policy is asked.
    #[must_use]
    pub const fn is_held_to_policy(self) -> bool {
        matches!(self, Self::Live | Self::Saga(_))
    }

    /// The saga that it belongs to, by the command that started it.
    pub(crate) const fn saga(self) -> Option<CommandId> {
        match self {
            Self::Saga(start) | Self::Undo(start) => Some(start),
            Self::Live | Self::Import => None,
        }
    }
}

/// A command on one ticket, with all that its author fixed.
#[derive(Debug, Clone)]
pub struct Intent {
    /// Who asks.
    pub caller: Caller,
    /// Of which ticket.
    pub ticket: TicketId,
    /// The intent's own name.
    pub command_id: CommandId,
    /// Over the request.
    pub request_mac: Option<Mac>,
    /// The version that it was made on; none for the current one.
    pub observed: Option<Version>,
    /// How the event says that it came by its version.
    pub precondition: Option<Precondition>,
    /// When it happened, by the client.
    pub occurred_at: Timestamp,
    /// The node's clock.
    pub now: Timestamp,
    /// Held to the policy or not.
    pub source: Source,
    /// Seals what it says.
    pub text_key: Option<Arc<DataKey>>,
    /// Opens the subject that a follow-up takes along, and seals the follow-up.
    pub requester_key: Option<Arc<DataKey>>,
    /// What is asked.
    pub command: Command,
}

impl Intent {
    /// What is asked at a time of a ticket as it is then, held to the policy. Texts need keys besides.
    #[must_use]
    pub const fn new(
        caller: Caller,
        ticket: TicketId,
        command_id: CommandId,
        now: Timestamp,
        command: Command,
    ) -> Self {
        Self {
            caller,
            ticket,
            command_id,
            request_mac: None,
            observed: None,
            precondition: None,
            occurred_at: now,
            now,
            source: Source::Live,
            text_key: None,
            requester_key: None,
            command,
        }
    }
}

/// What can be asked of a ticket that is there.
#[derive(Debug, Clone)]
pub enum Command {
    /// Write fields and tags.
    Change(Box<FieldChange>),
    /// Take back what an earlier command wrote, where nobody has written since; nothing where that is nowhere.
    TakeBack(Box<TakeBack>),
    /// Say something, and perhaps set a status with it.
    AddMessage(NewMessage),
    /// Hold the ticket, or have somebody hold it.
    Claim(PersonId),
    /// Let the ticket go.
    Release,
    /// Have a person follow it.
    Follow(PersonId),
    /// Have a person follow it no more.
    Unfollow(PersonId),
    /// Write an event as another log had it.
    Replay(Box<Replayed>),
}

/// Fields to write; what is absent stays as it is.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct FieldChange {
    /// Where it stands.
    pub status: Option<Status>,
    /// How urgent.
    pub priority: Option<Priority>,
    /// What about; none clears it.
    pub ticket_type: Option<Option<TicketType>>,
    /// The team; none clears it.
    pub group_id: Option<Option<String>>,
    /// Who holds it; none lets it go.
    pub assignee: Option<Option<PersonId>>,
    /// The subject line.
    pub subject: Option<String>,
    /// Tags to add.
    pub add_tags: Vec<String>,
    /// Tags to remove.
    pub remove_tags: Vec<String>,
    /// Custom fields to write; null clears one.
    pub custom_fields: CustomFields,
    /// The row of the file that this comes from.
    pub source_row: Option<u32>,
}

impl From<&Changed> for FieldChange {
    /// What a change wrote, without what is sealed.
    fn from(changed: &Changed) -> Self {
        Self {
            status: changed.status,
            priority: changed.priority,
            ticket_type: changed.ticket_type,
            group_id: changed.group_id.clone(),
            assignee: changed.assignee_id,
            subject: None,
            add_tags: changed.add_tags.clone(),
            remove_tags: changed.remove_tags.clone(),
            custom_fields: changed.custom_fields.clone(),
            source_row: changed.source_row,
        }
    }
}

/// Something to say.
#[derive(Debug, Clone)]
pub struct NewMessage {
    /// The text.
    pub body: String,
    /// Who shall see it.
    pub visibility: Visibility,
    /// A status to set with it.
    pub status: Option<Status>,
}

/// Who sees a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Visibility {
    /// Staff, requester and followers.
    Public,
    /// Staff alone.
    Internal,
}

/// An event of another log, to be authored again.
#[derive(Debug, Clone)]
pub struct Replayed {
    payload: TicketPayload,
    text: Option<serde_json::Value>,
    public: bool,
    observed: Observed,
    causation_id: Option<CommandId>,
}

/// What authoring needs besides the ticket.
#[derive(Clone, Copy)]
pub struct Authoring<'a> {
    /// The region as it now is.
    pub incarnation: &'a Incarnation,
    /// Nonces.
    pub ids: &'a dyn Ids,
}

/// Why a command is not done: the caller's fault.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Not there, or not for this caller.
    #[error("no such ticket")]
    NotFound,
    /// There, but not for this role.
    #[error("the role may not {what}")]
    Forbidden {
        /// What was asked, as in "write `priority`".
        what: String,
    },
    /// The ticket is closed for good.
    #[error("the ticket is closed")]
    Closed,
    /// The version lacks a change older than [`OBSERVED_AGE_MAX_MICROS`].
    #[error("`observed` lacks a change that is more than 7 days old")]
    Stale,
    /// Somebody else holds the ticket.
    #[error("the ticket is claimed by somebody else")]
    AlreadyClaimed {
        /// Who.
        holder: PersonId,
    },
    /// Nobody holds the ticket.
    #[error("nobody holds the ticket")]
    NotClaimed,
    /// A version of another ticket, or one never issued.
    #[error("no version of this ticket")]
    VersionUnknown,
    /// `If-Match` names another version than the current one.
    #[error("the ticket has changed since that version")]
    PreconditionFailed {
        /// The current one, as the caller may see it.
        current: Version,
    },
    /// The writer has too many lanes.
    #[error("this device has made too many diverging writes to this ticket")]
    TooManyForks,
    /// The tickets cannot be merged, or not be taken apart, as they are.
    #[error("{reason}")]
    NotMergeable {
        /// Why, as in "the ticket is merged already".
        reason: &'static str,
    },
    /// The ticket is merged, and what is said to it belongs to another; the desk sends it there.
    #[error("the ticket is merged into another")]
    Elsewhere,
    /// A stored row of the ticket cannot be read: nobody's fault who asks, and no other ticket's.
    #[error("the ticket cannot be read")]
    Unreadable,
    /// A value that this ticket cannot take.
    #[error("`{field}` {message}")]
    Invalid {
        /// Which field.
        field: &'static str,
        /// What is wrong.
        message: String,
        /// The limit that it exceeds, if one.
        limit: Option<usize>,
    },
}

impl Refusal {
    /// Nothing can be sealed for a person whose key was destroyed.
    pub(crate) fn erased() -> Self {
        let message = "has been erased".to_owned();
        Self::Invalid { field: "requester", message, limit: None }
    }

    fn forbidden(what: &str) -> Self {
        Self::Forbidden { what: what.to_owned() }
    }
}

/// The claim slot's steps that leave `assignee` holding the ticket that `holder` holds.
fn assignment(
    ticket: TicketId,
    holder: Option<PersonId>,
    assignee: Option<PersonId>,
) -> Vec<docket_schemas::SlotOp> {
    use docket_schemas::SlotOp::{Release, Take};
    let key = SlotKey::claim(ticket);
    match (holder, assignee) {
        (None, Some(_)) => vec![Take(key)],
        (Some(held), Some(next)) if held != next => vec![Release(key.clone()), Take(key)],
        (Some(_), None) => vec![Release(key)],
        (Some(_), Some(_)) | (None, None) => Vec::new(),
    }
}
