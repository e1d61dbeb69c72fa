//! An event as JSON: all of its shape that nobody has to be asked for.

use docket_schemas::{
    ActorId, ChangeHash, CommandId, Event, EventId, Incarnation, Observed, Partition, Position,
    Role, Stream, Tenant, Timestamp,
};
use serde::Serialize;
use serde_json::Value;

use crate::cursor::Cursor;
use crate::version::Version;

/// What of an event's shape a customer gets too.
#[derive(Debug, Serialize)]
pub struct PublicEvent {
    id: EventId,
    #[serde(rename = "type")]
    event_type: &'static str,
    stream: Stream,
    /// The payload, with persons as the reader knows them.
    pub data: Value,
    #[serde(skip_serializing_if = "Option::is_none")]
    version: Option<String>,
    principal: String,
    role: Role,
    occurred_at: Timestamp,
    recorded_at: Timestamp,
    /// Where to read on after this event; none while that differs from reader to reader.
    #[serde(skip_serializing_if = "Option::is_none")]
    cursor: Option<String>,
}

/// An event as staff get it on every door, but for its `text`.
#[derive(Debug, Serialize)]
pub struct StaffEvent<'a> {
    #[serde(flatten)]
    public: PublicEvent,
    command_id: CommandId,
    schema: u16,
    tenant: &'a Tenant,
    #[serde(flatten)]
    change: Option<ChangeShape<'a>>,
    device: &'a str,
    policy: u32,
    observed: Observed,
    partition: Partition,
    position: Position,
    origin: OriginShape<'a>,
    correlation_id: CommandId,
    causation_id: Option<CommandId>,
}

#[derive(Debug, Serialize)]
struct ChangeShape<'a> {
    actor: ActorId,
    seq: u64,
    deps: &'a [ChangeHash],
    hash: ChangeHash,
}

#[derive(Debug, Serialize)]
struct OriginShape<'a> {
    region: &'a Incarnation,
    partition: Partition,
    position: Position,
    recorded_at: Timestamp,
}

impl PublicEvent {
    /// An event; `data` and `principal` say persons as the reader knows them.
    #[must_use]
    pub fn of(event: &Event, data: Value, principal: String, cursor: Option<&Cursor>) -> Self {
        let version = event.change.as_ref().map(|change| Version::of_change(&change.hash));
        Self {
            id: event.event_id,
            event_type: event.event_type.as_str(),
            stream: event.stream,
            data,
            version: version.map(|version| version.to_string()),
            principal,
            role: event.role,
            occurred_at: event.occurred_at,
            recorded_at: event.recorded_at,
            cursor: cursor.map(Cursor::to_string),
        }
    }
}

impl<'a> StaffEvent<'a> {
    /// The same event with what only staff get.
    #[must_use]
    pub fn of(event: &'a Event, public: PublicEvent) -> Self {
        let change = event.change.as_ref().map(|change| ChangeShape {
            actor: change.actor,
            seq: change.seq,
            deps: &change.deps,
            hash: change.hash,
        });
        let origin = OriginShape {
            region: &event.origin.region,
            partition: event.origin.partition,
            position: event.origin.position,
            recorded_at: event.origin.recorded_at,
        };
        Self {
            public,
            command_id: event.command_id,
            schema: event.schema,
            tenant: &event.tenant,
            change,
            device: &event.device,
            policy: event.policy,
            observed: event.observed,
            partition: event.partition,
            position: event.position,
            origin,
            correlation_id: event.correlation_id.unwrap_or(event.command_id),
            causation_id: event.causation_id,
        }
    }
}
