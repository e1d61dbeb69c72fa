//! Drafts for the suites: every number gives a command, an event and a dot of its own.
//!
//! The log interprets no payload and no change, so both are arbitrary here.

use std::sync::Arc;

use docket_schemas::{
    ActorId, Change, ChangeHash, CommandId, Draft, Event, EventId, Incarnation, KeyId, Observed,
    PersonId, Position, Principal, Role, Sealed, SlotKey, SlotOp, Stream, Tenant, TicketEvent,
    TicketId, Timestamp,
};
use uuid::Uuid;

use super::LogHarness;
use crate::ports::log::{Batch, EventLog, Expected, Placed, Row, StreamRead, Unit, UnitOutcome};

/// When the suites' first batch is written: 2026-11-18T11:33:20Z.
pub const NOON: Timestamp = Timestamp::from_micros(1_795_000_000_000_000);

/// The incarnation that [`started`] begins.
#[must_use]
pub fn eu(number: u32) -> Incarnation {
    Incarnation::new("eu", number).expect("a valid name")
}

/// A tenant by name.
#[must_use]
pub fn tenant(name: &str) -> Tenant {
    name.parse().expect("a valid name")
}

/// A ticket by number.
#[must_use]
pub fn ticket(number: u64) -> TicketId {
    TicketId::new(uuid(1, number))
}

/// A UUID by kind and number.
#[must_use]
pub fn uuid(kind: u64, number: u64) -> Uuid {
    Uuid::from_u64_pair(0x0190_0000_0000_7000 | kind, 0x8000_0000_0000_0000 | number)
}

/// The command with a number.
#[must_use]
pub fn command(number: u64) -> CommandId {
    CommandId::new(uuid(2, number))
}

/// The draft with a number, on one of the tenant `acme`'s tickets.
#[must_use]
pub fn draft(on: TicketId, number: u64) -> Draft {
    draft_of(&tenant("acme"), on, number)
}

/// The draft with a number, on one of a tenant's tickets.
#[must_use]
pub fn draft_of(tenant: &Tenant, on: TicketId, number: u64) -> Draft {
    let mut hash = [0x5a; 32];
    hash[..8].copy_from_slice(&number.to_be_bytes());
    Draft {
        tenant: tenant.clone(),
        stream: Stream::ticket(on),
        event_id: EventId::new(uuid(3, number)),
        command_id: command(number),
        request_mac: Some([7; 32]),
        event_type: TicketEvent::MessageAdded.into(),
        schema: 1,
        data: r#"{"public":true}"#.to_owned(),
        sealed: Some(Sealed { key_id: KeyId::new(uuid(4, number)), bytes: vec![0xee; 60] }),
        change: Some(Change {
            actor: ActorId(*on.as_bytes()),
            seq: number,
            deps: vec![ChangeHash([1; 32]), ChangeHash([2; 32])],
            bytes: vec![0x85; 110],
            hash: ChangeHash(hash),
            max_op: 40 + number,
        }),
        public: true,
        principal: Principal::Person(PersonId::new(uuid(5, 1))),
        role: Role::Agent,
        device: "phone".to_owned(),
        policy: 3,
        observed: Observed::Given,
        slots: Vec::new(),
        external_id: None,
        occurred_at: NOON.plus_micros(-5),
        correlation_id: None,
        causation_id: None,
    }
}

/// The draft with a number that takes these slots, in this order.
#[must_use]
pub fn taking(on: TicketId, number: u64, keys: &[SlotKey]) -> Draft {
    Draft { slots: keys.iter().cloned().map(SlotOp::Take).collect(), ..draft(on, number) }
}

/// The draft with a number that releases a slot.
#[must_use]
pub fn releasing(on: TicketId, number: u64, key: &SlotKey) -> Draft {
    Draft { slots: vec![SlotOp::Release(key.clone())], ..draft(on, number) }
}

/// A row that opens its stream.
#[must_use]
pub fn opening(draft: Draft) -> Row {
    Row { draft: draft.into(), expected: Expected::Opening }
}

/// A row authored on a last position.
#[must_use]
pub fn after(position: Position, draft: Draft) -> Row {
    Row { draft: draft.into(), expected: Expected::Last(position) }
}

/// A row that follows an earlier one of its batch.
#[must_use]
pub fn chained(draft: Draft) -> Row {
    Row { draft: draft.into(), expected: Expected::Chained }
}

/// Rows that stand or fall together.
#[must_use]
pub fn unit(rows: impl Into<Vec<Row>>) -> Unit {
    Unit { rows: rows.into() }
}

/// A unit of one row for each.
#[must_use]
pub fn units(rows: impl IntoIterator<Item = Row>) -> Vec<Unit> {
    rows.into_iter().map(|row| unit([row])).collect()
}

/// A batch of the first incarnation and epoch at [`NOON`].
#[must_use]
pub const fn batch(incarnation: Incarnation, units: Vec<Unit>) -> Batch {
    Batch { incarnation, erasure_epoch: 0, now: NOON, units }
}

/// A fresh log in which `eu.1` has begun.
pub async fn started(harness: &impl LogHarness) -> Arc<dyn EventLog> {
    let log = harness.fresh().await;
    let newest = log.begin_incarnation(None, &eu(1)).await.expect("an incarnation begins");
    assert_eq!(newest, eu(1));
    log
}

/// Appends units as `eu.1` and answers what became of each.
pub async fn append(log: &Arc<dyn EventLog>, units: Vec<Unit>) -> Vec<UnitOutcome> {
    let expected = units.len();
    let outcomes = log.append(batch(eu(1), units)).await.expect("the log is available");
    assert_eq!(outcomes.len(), expected, "an outcome for each unit");
    outcomes
}

/// Appends one unit as `eu.1`.
pub async fn append_one(log: &Arc<dyn EventLog>, rows: impl Into<Vec<Row>>) -> UnitOutcome {
    append(log, vec![unit(rows)]).await.remove(0)
}

/// Appends one row, which must be appended, and answers its place.
pub async fn place(log: &Arc<dyn EventLog>, row: Row) -> Placed {
    placed(&append_one(log, [row]).await)[0]
}

/// The places of a unit that must have been appended.
#[track_caller]
pub fn placed(outcome: &UnitOutcome) -> &[Placed] {
    match outcome {
        UnitOutcome::Appended(places) => places,
        other => panic!("not appended: {other:?}"),
    }
}

/// The stored event of a unit that must have been dropped as a duplicate.
#[track_caller]
pub fn duplicate(outcome: &UnitOutcome) -> (usize, &Event) {
    match outcome {
        UnitOutcome::Duplicate { row, stored } => (*row, stored),
        other => panic!("no duplicate: {other:?}"),
    }
}

/// All events of one of `acme`'s tickets.
pub async fn events_of(log: &Arc<dyn EventLog>, ticket: TicketId) -> Vec<Event> {
    let read = StreamRead { tenant: tenant("acme"), stream: Stream::ticket(ticket), after: 0 };
    log.stream_events(&[read]).await.expect("the log is available")
}

/// The numbers of events: the inverse of [`draft`].
#[must_use]
pub fn numbers(events: &[Event]) -> Vec<u64> {
    events
        .iter()
        .map(|event| event.command_id.uuid().as_u64_pair().1 & u64::from(u32::MAX))
        .collect()
}

/// Holds a log to its first promises: positions without gaps, times that never fall, heads that agree.
pub async fn check_order(log: &Arc<dyn EventLog>) {
    let heads = log.heads().await.expect("the log is available");
    for (partition, head) in heads.iter() {
        let mut events = Vec::new();
        loop {
            let after = events.last().map_or(0, |event: &Event| event.position);
            let more = log.partition_events(partition, after, 1_000).await.expect("a page");
            if more.is_empty() {
                break;
            }
            events.extend(more);
        }
        let positions: Vec<_> = events.iter().map(|event| event.position).collect();
        assert_eq!(positions, (1..=head).collect::<Vec<_>>(), "gapless in {partition:?}");
        let times = events.windows(2).all(|pair| pair[0].recorded_at <= pair[1].recorded_at);
        assert!(times, "times rise in {partition:?}");
        let ours = |event: &Event| event.stream.partition(&event.tenant) == partition;
        assert!(events.iter().all(ours), "streams stand in their own partition");
    }
}
