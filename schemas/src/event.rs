//! An event: one row of the log, first as a draft, then with the place that the log gave it.

use crate::commitment::commitment;
use crate::upcast::upcast;
use crate::{
    ActorId, ChangeHash, CommandId, EventId, EventType, Incarnation, KeyId, Partition, Payload,
    PayloadError, Position, Principal, Role, SagaPayload, SlotOp, Stream, Tenant, TicketPayload,
    Timestamp,
};

/// The newest schema version of every event type.
pub const SCHEMA_VERSION: u16 = 1;

/// HMAC-SHA-256 over a request, which tells a retry from a reused key.
pub type Mac = [u8; 32];

/// Whether a write said what it was made on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Observed {
    /// The caller named a version.
    Given,
    /// None was named: the write was made on the current state.
    Assumed,
}

impl Observed {
    /// As it stands in the log.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Given => "given",
            Self::Assumed => "assumed",
        }
    }
}

/// The personal part of an event: nonce, ciphertext and tag of AES-256-GCM.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Sealed {
    /// Which key opens it.
    pub key_id: KeyId,
    /// 12 bytes of nonce, the ciphertext, 16 bytes of tag.
    pub bytes: Vec<u8>,
}

/// The Automerge change of a ticket's event, with what the change graph needs of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// Who wrote it, on which lane.
    pub actor: ActorId,
    /// Its number among the actor's changes, from 1.
    pub seq: u64,
    /// The changes that it was made on, sorted.
    pub deps: Vec<ChangeHash>,
    /// The chunk itself, uncompressed.
    pub bytes: Vec<u8>,
    /// SHA-256 of the chunk: the change's name.
    pub hash: ChangeHash,
    /// The op counter of its last op.
    pub max_op: u64,
}

/// An event as it was authored, before the log has given it a place.
#[derive(Debug, Clone, PartialEq)]
pub struct Draft {
    /// Whose.
    pub tenant: Tenant,
    /// What about.
    pub stream: Stream,
    /// This event.
    pub event_id: EventId,
    /// The intent behind it.
    pub command_id: CommandId,
    /// Over the request that asked for it; none where there was no request.
    pub request_mac: Option<Mac>,
    /// The payload's type.
    pub event_type: EventType,
    /// The payload's version.
    pub schema: u16,
    /// The payload as canonical JSON.
    pub data: String,
    /// The personal part.
    pub sealed: Option<Sealed>,
    /// The Automerge change; tickets only.
    pub change: Option<Change>,
    /// Whether it touches what a customer may see.
    pub public: bool,
    /// Who wrote it.
    pub principal: Principal,
    /// As what.
    pub role: Role,
    /// On which device.
    pub device: String,
    /// The version of roles, resolver and limits in force.
    pub policy: u32,
    /// Whether its version was given or assumed.
    pub observed: Observed,
    /// What it takes and releases.
    pub slots: Vec<SlotOp>,
    /// The id in another system, for the indexed look-up; openings only.
    pub external_id: Option<String>,
    /// When it happened, by the client or the source.
    pub occurred_at: Timestamp,
    /// What it belongs to; none where that is the command itself.
    pub correlation_id: Option<CommandId>,
    /// What caused it.
    pub causation_id: Option<CommandId>,
}

impl Draft {
    /// What the change's `message` commits to: base64url of SHA-256 over every other part of the event.
    #[must_use]
    pub fn commitment(&self) -> String {
        commitment(self)
    }
}

/// Where an event was first accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    /// The region and its incarnation.
    pub region: Incarnation,
    /// The partition there, the same as here.
    pub partition: Partition,
    /// The position there.
    pub position: Position,
    /// The time of acceptance there.
    pub recorded_at: Timestamp,
}

/// An event as the log holds it.
#[derive(Debug, Clone, PartialEq)]
pub struct Event {
    /// All that its author fixed.
    pub draft: Draft,
    /// Its partition.
    pub partition: Partition,
    /// Its position there.
    pub position: Position,
    /// Strictly rising within the partition.
    pub recorded_at: Timestamp,
    /// Where it was first accepted.
    pub origin: Origin,
}

impl std::ops::Deref for Event {
    type Target = Draft;

    fn deref(&self) -> &Draft {
        &self.draft
    }
}

impl Draft {
    /// The payload, brought to the newest version.
    ///
    /// # Errors
    /// When the row is damaged or from a newer release.
    pub fn payload(&self) -> Result<Payload, PayloadError> {
        let data = upcast(self.event_type, self.schema, &self.data)?;
        Payload::read(self.event_type, &data)
    }

    /// The payload of a ticket's event, brought to the newest version.
    ///
    /// # Errors
    /// As [`Self::payload`], and when it is of another kind.
    pub fn ticket_payload(&self) -> Result<TicketPayload, PayloadError> {
        self.payload()?.ticket().ok_or_else(|| self.of_another_kind())
    }

    /// The payload of a saga's event, brought to the newest version.
    ///
    /// # Errors
    /// As [`Self::payload`], and when it is of another kind.
    pub fn saga_payload(&self) -> Result<SagaPayload, PayloadError> {
        self.payload()?.saga().ok_or_else(|| self.of_another_kind())
    }

    fn of_another_kind(&self) -> PayloadError {
        PayloadError::Kind {
            event_type: self.event_type.as_str().to_owned(),
            stream: self.stream.kind.as_str(),
        }
    }
}
