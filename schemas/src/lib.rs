//! Owns: what is written down or crosses a wire: ids, event types, payloads, canonical bytes, JSON Schema.
//! Imports: no crate of this workspace.
//! Never: IO, clocks, randomness, decisions.

mod ids;
pub use ids::{
    ActorId, ChangeHash, CommandId, EventId, IdError, KeyId, MessageId, PersonId, SagaId, TicketId,
};
mod tenant;
pub use tenant::{TENANT_CHARS_MAX, Tenant, TenantError};
mod time;
pub use time::{Timestamp, TimestampError};
mod role;
pub use role::{Principal, Role};
pub mod canonical;
pub mod derivation;
mod stream;
pub use stream::{PARTITIONS, Partition, Position, Stream, StreamKind};
mod slot;
pub use slot::{SlotKey, SlotOp};
mod region;
pub use region::{Incarnation, IncarnationError, REGION_CHARS_MAX};
mod event;
pub use event::{Change, Draft, Event, Mac, Observed, Origin, SCHEMA_VERSION, Sealed};
mod commitment;
pub mod ticket;
pub use ticket::{
    Channel, CustomFields, Kind, Priority, Scalar, Status, TicketType, UnknownName,
    merge::{
        MergeAttached, MergeBegun, MergeDetached, MergeEnded, MergeGoal, Merged, MessageForwarded,
        UnansweredSource, Unmerged,
    },
    payload::{
        Changed, Claimed, FollowUpOpened, Followed, MessageAdded, Opened, Released, TicketEvent,
        TicketPayload,
    },
    text::{MessageText, OpeningText, PersonText, SubjectText},
};
pub mod saga;
pub use saga::payload::{SagaEvent, SagaPayload};
mod payload;
pub use payload::{EventType, Payload, PayloadError};
pub mod asyncapi;
pub mod json_schema;
pub mod upcast;
