//! Payloads of merging tickets, version 1: a source goes into a target, and may come out of it again.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{CommandId, MessageId, PersonId, TicketId, Timestamp};

/// Which way two tickets are on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum MergeGoal {
    /// The source is to go into the target.
    Merge,
    /// It is to come out of it.
    Unmerge,
}

/// `ticket.merge_begun`: stands on source and target while a saga merges or unmerges them; it takes their slots.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct MergeBegun {
    /// What is to be done.
    pub goal: MergeGoal,
    /// The ticket that goes into the other, or comes out of it.
    pub source: TicketId,
    /// The other.
    pub into: TicketId,
    /// The saga that does it.
    #[schemars(with = "String")]
    pub saga_id: Uuid,
}

/// `ticket.merge_ended`: the saga is over, whatever came of it; stands on both, and releases their slots but for the
/// one of a source that stays merged.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct MergeEnded {
    /// The saga that is over.
    #[schemars(with = "String")]
    pub saga_id: Uuid,
}

/// `ticket.merged`: stands on the source. What is in its past is what the target shows of the source.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Merged {
    /// The target.
    pub into: TicketId,
}

/// `ticket.unmerged`: stands on the source, whose status and conflicts are its own again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Unmerged {
    /// The target that it came out of.
    pub into: TicketId,
}

/// `ticket.merge_attached`: stands on the target. The source as it was when it was merged, but for its texts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct MergeAttached {
    /// The ticket that came in.
    pub source: TicketId,
    /// The command of its `ticket.merged`.
    pub merged: CommandId,
    /// Tags that the target gets.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<String>,
    /// Persons who follow the target from now on: the source's requester and followers.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub followers: Vec<PersonId>,
    /// The messages that the source showed.
    pub message_count: u64,
    /// The public ones.
    pub public_message_count: u64,
    /// The tickets that the source itself showed besides its own messages, theirs among them.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub source_count: u64,
    /// What the source's customer was waiting for, when it showed neither solved, pending nor closed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unanswered: Option<UnansweredSource>,
}

/// The public message by which a merged source counts as unseen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct UnansweredSource {
    /// The newest one of the source's customers, else its first.
    pub message_id: MessageId,
    /// Who wrote it; the source's requester where that was no person.
    pub person_id: PersonId,
    /// When, by its author.
    #[schemars(with = "String")]
    pub created_at: Timestamp,
}

/// `ticket.merge_detached`: stands on the target, which no longer shows the source.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct MergeDetached {
    /// The ticket that left.
    pub source: TicketId,
    /// The command of the `ticket.merged` that this undoes.
    pub merged: CommandId,
    /// Tags that only merges had brought.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<String>,
    /// Followers whom only merges had brought.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub followers: Vec<PersonId>,
}

/// `ticket.message_forwarded`: stands on a merged source; the message itself stands on the ticket that shows it. A retry
/// of the message finds it here.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct MessageForwarded {
    /// The ticket that the message went to.
    pub ticket_id: TicketId,
    /// A public reply, or else an internal note.
    pub public: bool,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks by reference")]
const fn is_zero(count: &u64) -> bool {
    *count == 0
}
