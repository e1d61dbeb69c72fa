//! Event payloads of tickets and chats, version 1: the readable fact, with nothing personal in it.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize};

use super::merge::{
    MergeAttached, MergeBegun, MergeDetached, MergeEnded, Merged, MessageForwarded, Unmerged,
};
use super::{Channel, CustomFields, Kind, Priority, Status, TicketType};
use crate::{PersonId, TicketId, canonical};

/// An event's type, as it stands in the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum EventType {
    /// `ticket.opened`
    Opened,
    /// `ticket.changed`
    Changed,
    /// `ticket.message_added`
    MessageAdded,
    /// `ticket.claimed`
    Claimed,
    /// `ticket.released`
    Released,
    /// `ticket.follower_added`
    FollowerAdded,
    /// `ticket.follower_removed`
    FollowerRemoved,
    /// `ticket.follow_up_opened`
    FollowUpOpened,
    /// `ticket.heads_joined`
    HeadsJoined,
    /// `ticket.merge_begun`
    MergeBegun,
    /// `ticket.merge_ended`
    MergeEnded,
    /// `ticket.merged`
    Merged,
    /// `ticket.unmerged`
    Unmerged,
    /// `ticket.merge_attached`
    MergeAttached,
    /// `ticket.merge_detached`
    MergeDetached,
    /// `ticket.message_forwarded`
    MessageForwarded,
}

impl EventType {
    /// Every type, in the order of their codes.
    pub const ALL: [Self; 16] = [
        Self::Opened,
        Self::Changed,
        Self::MessageAdded,
        Self::Claimed,
        Self::Released,
        Self::FollowerAdded,
        Self::FollowerRemoved,
        Self::FollowUpOpened,
        Self::HeadsJoined,
        Self::MergeBegun,
        Self::MergeEnded,
        Self::Merged,
        Self::Unmerged,
        Self::MergeAttached,
        Self::MergeDetached,
        Self::MessageForwarded,
    ];

    /// As it stands in the log and in answers.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Opened => "ticket.opened",
            Self::Changed => "ticket.changed",
            Self::MessageAdded => "ticket.message_added",
            Self::Claimed => "ticket.claimed",
            Self::Released => "ticket.released",
            Self::FollowerAdded => "ticket.follower_added",
            Self::FollowerRemoved => "ticket.follower_removed",
            Self::FollowUpOpened => "ticket.follow_up_opened",
            Self::HeadsJoined => "ticket.heads_joined",
            Self::MergeBegun => "ticket.merge_begun",
            Self::MergeEnded => "ticket.merge_ended",
            Self::Merged => "ticket.merged",
            Self::Unmerged => "ticket.unmerged",
            Self::MergeAttached => "ticket.merge_attached",
            Self::MergeDetached => "ticket.merge_detached",
            Self::MessageForwarded => "ticket.message_forwarded",
        }
    }

    /// The type with this name.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == name)
    }
}

impl Serialize for EventType {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for EventType {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let name = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        Self::parse(&name).ok_or_else(|| serde::de::Error::custom("unknown event type"))
    }
}

/// A payload that cannot be read: a damaged row, or one from a newer release.
#[derive(Debug, thiserror::Error)]
pub enum PayloadError {
    /// A type that this release does not know.
    #[error("unknown event type `{0}`")]
    UnknownType(String),
    /// A schema version above the newest that this release knows.
    #[error("`{event_type}` of schema {schema} is newer than this release")]
    Newer {
        /// The event's type.
        event_type: String,
        /// Its schema version.
        schema: u16,
    },
    /// JSON of another shape.
    #[error("payload of `{event_type}` does not match its schema")]
    Shape {
        /// The event's type.
        event_type: String,
        /// What did not match.
        #[source]
        source: serde_json::Error,
    },
}

/// Any payload of the newest version.
#[derive(Debug, Clone, PartialEq)]
pub enum Payload {
    /// A ticket or chat began, with message 1.
    Opened(Box<Opened>),
    /// Fields were written.
    Changed(Box<Changed>),
    /// Somebody said something.
    MessageAdded(MessageAdded),
    /// Somebody took the ticket, or affirmed that they hold it.
    Claimed(Claimed),
    /// The holder let the ticket go.
    Released(Released),
    /// Somebody follows the ticket.
    FollowerAdded(Followed),
    /// Somebody follows it no more.
    FollowerRemoved(Followed),
    /// A public message on a closed ticket opened another.
    FollowUpOpened(FollowUpOpened),
    /// Many heads became one, so that versions stay small.
    HeadsJoined,
    /// A merge or an unmerge is under way.
    MergeBegun(MergeBegun),
    /// It is no longer.
    MergeEnded(MergeEnded),
    /// The ticket went into another.
    Merged(Merged),
    /// The ticket is itself again.
    Unmerged(Unmerged),
    /// Another ticket came into this one.
    MergeAttached(Box<MergeAttached>),
    /// Another ticket left this one.
    MergeDetached(Box<MergeDetached>),
    /// A message to a merged ticket went on to the one that shows it.
    MessageForwarded(MessageForwarded),
}

impl Payload {
    /// Reads a payload that has already been brought to the newest version.
    ///
    /// # Errors
    /// When the JSON does not have the type's shape.
    pub fn read(event_type: EventType, data: &str) -> Result<Self, PayloadError> {
        fn shape<T: DeserializeOwned>(
            event_type: EventType,
            data: &str,
        ) -> Result<T, PayloadError> {
            serde_json::from_str(data).map_err(|source| PayloadError::Shape {
                event_type: event_type.as_str().to_owned(),
                source,
            })
        }
        Ok(match event_type {
            EventType::Opened => Self::Opened(shape(event_type, data)?),
            EventType::Changed => Self::Changed(shape(event_type, data)?),
            EventType::MessageAdded => Self::MessageAdded(shape(event_type, data)?),
            EventType::Claimed => Self::Claimed(shape(event_type, data)?),
            EventType::Released => Self::Released(shape(event_type, data)?),
            EventType::FollowerAdded => Self::FollowerAdded(shape(event_type, data)?),
            EventType::FollowerRemoved => Self::FollowerRemoved(shape(event_type, data)?),
            EventType::FollowUpOpened => Self::FollowUpOpened(shape(event_type, data)?),
            EventType::HeadsJoined => Self::HeadsJoined,
            EventType::MergeBegun => Self::MergeBegun(shape(event_type, data)?),
            EventType::MergeEnded => Self::MergeEnded(shape(event_type, data)?),
            EventType::Merged => Self::Merged(shape(event_type, data)?),
            EventType::Unmerged => Self::Unmerged(shape(event_type, data)?),
            EventType::MergeAttached => Self::MergeAttached(shape(event_type, data)?),
            EventType::MergeDetached => Self::MergeDetached(shape(event_type, data)?),
            EventType::MessageForwarded => Self::MessageForwarded(shape(event_type, data)?),
        })
    }

    /// The payload's event type.
    #[must_use]
    pub const fn event_type(&self) -> EventType {
        match self {
            Self::Opened(_) => EventType::Opened,
            Self::Changed(_) => EventType::Changed,
            Self::MessageAdded(_) => EventType::MessageAdded,
            Self::Claimed(_) => EventType::Claimed,
            Self::Released(_) => EventType::Released,
            Self::FollowerAdded(_) => EventType::FollowerAdded,
            Self::FollowerRemoved(_) => EventType::FollowerRemoved,
            Self::FollowUpOpened(_) => EventType::FollowUpOpened,
            Self::HeadsJoined => EventType::HeadsJoined,
            Self::MergeBegun(_) => EventType::MergeBegun,
            Self::MergeEnded(_) => EventType::MergeEnded,
            Self::Merged(_) => EventType::Merged,
            Self::Unmerged(_) => EventType::Unmerged,
            Self::MergeAttached(_) => EventType::MergeAttached,
            Self::MergeDetached(_) => EventType::MergeDetached,
            Self::MessageForwarded(_) => EventType::MessageForwarded,
        }
    }

    /// Canonical JSON, as it is stored and committed to.
    #[must_use]
    pub fn to_json(&self) -> String {
        match self {
            Self::Opened(data) => canonical::json(data),
            Self::Changed(data) => canonical::json(data),
            Self::MessageAdded(data) => canonical::json(data),
            Self::Claimed(data) => canonical::json(data),
            Self::Released(data) => canonical::json(data),
            Self::FollowerAdded(data) | Self::FollowerRemoved(data) => canonical::json(data),
            Self::FollowUpOpened(data) => canonical::json(data),
            Self::HeadsJoined => "{}".to_owned(),
            Self::MergeBegun(data) => canonical::json(data),
            Self::MergeEnded(data) => canonical::json(data),
            Self::Merged(data) => canonical::json(data),
            Self::Unmerged(data) => canonical::json(data),
            Self::MergeAttached(data) => canonical::json(data),
            Self::MergeDetached(data) => canonical::json(data),
            Self::MessageForwarded(data) => canonical::json(data),
        }
    }
}

/// `ticket.opened`: a ticket or chat began. Subject, body and what was said of the requester are sealed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Opened {
    /// Whose ticket it is.
    pub requester_id: PersonId,
    /// Ticket or chat; absent for a ticket.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<Kind>,
    /// The first status.
    pub status: Status,
    /// How urgent.
    pub priority: Priority,
    /// What it is about.
    #[serde(default, rename = "type", skip_serializing_if = "Option::is_none")]
    pub ticket_type: Option<TicketType>,
    /// The first tags.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<String>,
    /// The team.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group_id: Option<String>,
    /// Who holds it from the start; only imports set this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub assignee_id: Option<PersonId>,
    /// The first custom fields.
    #[serde(default, skip_serializing_if = "CustomFields::is_empty")]
    pub custom_fields: CustomFields,
    /// The way in which it came.
    pub channel: Channel,
    /// Its id in another system.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub external_id: Option<String>,
    /// The closed ticket that this one follows up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub follow_up_of: Option<TicketId>,
    /// The row of the incident in the file that it was imported from, from 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source_row: Option<u32>,
}

/// `ticket.changed`: the fields that one write named, with their values. A sealed field is named in `sealed`.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Changed {
    /// The status written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<Status>,
    /// The priority written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub priority: Option<Priority>,
    /// The type written; null clears it.
    #[serde(
        default,
        rename = "type",
        deserialize_with = "named",
        skip_serializing_if = "Option::is_none"
    )]
    pub ticket_type: Option<Option<TicketType>>,
    /// The team written; null clears it.
    #[serde(default, deserialize_with = "named", skip_serializing_if = "Option::is_none")]
    pub group_id: Option<Option<String>>,
    /// Who holds the ticket from now on; null lets it go.
    #[serde(default, deserialize_with = "named", skip_serializing_if = "Option::is_none")]
    pub assignee_id: Option<Option<PersonId>>,
    /// Tags added.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub add_tags: Vec<String>,
    /// Tags removed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub remove_tags: Vec<String>,
    /// Custom fields written; null clears one.
    #[serde(default, skip_serializing_if = "CustomFields::is_empty")]
    pub custom_fields: CustomFields,
    /// Fields whose values are sealed, such as `subject`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sealed: Vec<String>,
    /// The row of the incident in the file that it was imported from, from 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source_row: Option<u32>,
}

/// `ticket.message_added`: somebody said something; the body is sealed, the message id derives from the command.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct MessageAdded {
    /// A public reply, or else an internal note.
    pub public: bool,
}

/// `ticket.claimed`: a person holds the ticket.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Claimed {
    /// The holder.
    pub assignee_id: PersonId,
}

/// `ticket.released`: nobody holds the ticket.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Released {}

/// `ticket.follower_added`, `ticket.follower_removed`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Followed {
    /// Who follows, or follows no more.
    pub person_id: PersonId,
}

/// `ticket.follow_up_opened`: stands on the closed ticket; a retry of the message finds it there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct FollowUpOpened {
    /// The new ticket.
    pub ticket_id: TicketId,
}

/// Tells a field that is null from one that is absent.
fn named<'de, D, T>(deserializer: D) -> Result<Option<Option<T>>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    Option::<T>::deserialize(deserializer).map(Some)
}
