//! Event types and payloads over all kinds of streams: each kind keeps its own list, this one joins them.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize};

use crate::StreamKind;
use crate::saga::payload::{SagaEvent, SagaPayload};
use crate::ticket::payload::{TicketEvent, TicketPayload};

/// An event's type, as it stands in the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum EventType {
    /// `ticket.…`: stands on a ticket's stream.
    Ticket(TicketEvent),
    /// `saga.…`: stands on a saga's stream, or a definition's.
    Saga(SagaEvent),
}

impl EventType {
    /// Every type, kind by kind.
    pub fn all() -> impl Iterator<Item = Self> {
        let tickets = TicketEvent::ALL.into_iter().map(Self::Ticket);
        tickets.chain(SagaEvent::ALL.into_iter().map(Self::Saga))
    }

    /// As it stands in the log and in answers.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ticket(event) => event.as_str(),
            Self::Saga(event) => event.as_str(),
        }
    }

    /// The kind of stream that it stands on.
    #[must_use]
    pub const fn stream_kind(self) -> StreamKind {
        match self {
            Self::Ticket(_) => StreamKind::Ticket,
            Self::Saga(_) => StreamKind::Saga,
        }
    }

    /// The type with this name.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        let ticket = TicketEvent::parse(name).map(Self::Ticket);
        ticket.or_else(|| SagaEvent::parse(name).map(Self::Saga))
    }
}

impl From<TicketEvent> for EventType {
    fn from(event: TicketEvent) -> Self {
        Self::Ticket(event)
    }
}

impl From<SagaEvent> for EventType {
    fn from(event: SagaEvent) -> Self {
        Self::Saga(event)
    }
}

impl PartialEq<TicketEvent> for EventType {
    fn eq(&self, other: &TicketEvent) -> bool {
        matches!(self, Self::Ticket(event) if event == other)
    }
}

impl PartialEq<SagaEvent> for EventType {
    fn eq(&self, other: &SagaEvent) -> bool {
        matches!(self, Self::Saga(event) if event == other)
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
    /// An event on a stream of another kind.
    #[error("`{event_type}` stands on a stream of kind `{stream}`")]
    Kind {
        /// The event's type.
        event_type: String,
        /// The stream's kind.
        stream: &'static str,
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
    /// Of a ticket's event.
    Ticket(TicketPayload),
    /// Of a saga's event.
    Saga(SagaPayload),
}

impl Payload {
    /// Reads a payload that has already been brought to the newest version.
    ///
    /// # Errors
    /// When the JSON does not have the type's shape.
    pub fn read(event_type: EventType, data: &str) -> Result<Self, PayloadError> {
        match event_type {
            EventType::Ticket(event) => TicketPayload::read(event, data).map(Self::Ticket),
            EventType::Saga(event) => SagaPayload::read(event, data).map(Self::Saga),
        }
    }

    /// The payload's event type.
    #[must_use]
    pub const fn event_type(&self) -> EventType {
        match self {
            Self::Ticket(payload) => EventType::Ticket(payload.event_type()),
            Self::Saga(payload) => EventType::Saga(payload.event_type()),
        }
    }

    /// Canonical JSON, as it is stored and committed to.
    #[must_use]
    pub fn to_json(&self) -> String {
        match self {
            Self::Ticket(payload) => payload.to_json(),
            Self::Saga(payload) => payload.to_json(),
        }
    }

    /// The ticket's payload, when it is one.
    #[must_use]
    pub fn ticket(self) -> Option<TicketPayload> {
        match self {
            Self::Ticket(payload) => Some(payload),
            Self::Saga(_) => None,
        }
    }

    /// The saga's payload, when it is one.
    #[must_use]
    pub fn saga(self) -> Option<SagaPayload> {
        match self {
            Self::Saga(payload) => Some(payload),
            Self::Ticket(_) => None,
        }
    }
}

/// Reads JSON of one type's shape.
pub(crate) fn shape<T: DeserializeOwned>(event_type: &str, data: &str) -> Result<T, PayloadError> {
    serde_json::from_str(data)
        .map_err(|source| PayloadError::Shape { event_type: event_type.to_owned(), source })
}
