//! Made-up tickets: rows that differ in everything that lists look at.

use std::collections::BTreeMap;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use docket_engine::ticket::{Conflict, ConflictCandidate, Resolved, SealedSubject, UnseenMessage};
use docket_schemas::{
    Channel, EventId, KeyId, Kind, MessageId, Observed, Partition, PersonId, Position, Principal,
    Priority, Role, Scalar, Sealed, Status, Stream, Tenant, TicketId, TicketType, Timestamp,
};
use uuid::Uuid;

use crate::row::TicketRow;
use crate::store::{SpanRows, VersionNumber, ViewStore};
use crate::{Poison, Taken};

/// The tenant of most cases.
///
/// # Panics
/// Never: the name is one.
#[must_use]
pub fn tenant() -> Tenant {
    "acme".parse().expect("a valid name")
}

/// A person by number.
#[must_use]
pub fn person(number: u64) -> PersonId {
    PersonId::new(Uuid::from_u64_pair(0x8000, number))
}

/// A ticket's id by number, one of few partitions among them.
#[must_use]
pub fn ticket(number: u64) -> TicketId {
    TicketId::new(Uuid::from_u64_pair(0x0198_0000_0000_7000, number))
}

/// A ticket whose fields follow from its number.
///
/// # Panics
/// Never: the version is one.
#[must_use]
pub fn resolved(number: u64) -> Resolved {
    let of = |count: u64, step: u64| usize::try_from(number / step % count).unwrap_or(0);
    let version = URL_SAFE_NO_PAD.encode(Uuid::from_u64_pair(1, number).as_bytes());
    let version: docket_engine::version::Version = version.parse().expect("a version");
    let time = |seconds: u64| Timestamp::from_micros(seconds.cast_signed() * 1_000_000);
    let subject = EventId::new(Uuid::from_u64_pair(2, number));
    let types = [None, Some(TicketType::Incident), Some(TicketType::Question)];
    let tags: &[&[&str]] = &[&[], &["vip"], &["vip", "網路"], &["late"]];
    Resolved {
        id: ticket(number),
        kind: Kind::Ticket,
        status: [Status::New, Status::Open, Status::Hold, Status::Pending, Status::Closed]
            [of(5, 1)],
        priority: Priority::ALL[of(4, 3)],
        ticket_type: types[of(3, 2)],
        subject,
        subjects: BTreeMap::from([(subject, sealed(number))]),
        requester: person(number % 7),
        assignee: (!number.is_multiple_of(3)).then(|| person(100 + number % 4)),
        group: (!number.is_multiple_of(4)).then(|| format!("group {}", number % 3)),
        tags: tags[of(4, 5)].iter().map(|&tag| tag.to_owned()).collect(),
        followers: if number.is_multiple_of(6) { vec![person(50)] } else { Vec::new() },
        custom_fields: BTreeMap::from([("floor".to_owned(), Scalar::Integer(3))]),
        channel: Channel::Api,
        external_id: Some(format!("X-{number}")),
        // Few different times, so that ties are many.
        created_at: time(1_000 + number / 4),
        updated_at: time(2_000 + number * 7 % 13),
        public_updated_at: time(2_000 + number * 5 % 11),
        message_count: number,
        public_message_count: 1,
        version: version.clone(),
        public_version: version,
        conflicts: vec![conflict(number)],
        unseen_messages: vec![UnseenMessage {
            id: MessageId::new(Uuid::from_u64_pair(3, number)),
            author: Principal::Docket("import".into()),
            created_at: time(5),
        }],
        follow_up_of: None,
        merge: None,
    }
}

fn sealed(number: u64) -> Arc<SealedSubject> {
    let key_id = KeyId::new(Uuid::from_u64_pair(4, number));
    Arc::new(SealedSubject { schema: 1, sealed: Sealed { key_id, bytes: vec![0, 255, 7] } })
}

fn conflict(number: u64) -> Conflict {
    let candidate = ConflictCandidate {
        value: serde_json::json!("open"),
        role: Role::Agent,
        principal: Principal::Person(person(number)),
        event_id: EventId::new(Uuid::from_u64_pair(5, number)),
        observed: Observed::Assumed,
    };
    Conflict { field: "status".to_owned(), candidates: vec![candidate] }
}

/// The row of a made-up ticket, folded to a position.
#[must_use]
pub fn row(number: u64, position: Position) -> TicketRow {
    TicketRow::of(&tenant(), &resolved(number), position, position.min(5))
}

/// Rows as one span of each of their partitions, from a checkpoint to a position.
#[must_use]
pub fn spans(rows: Vec<TicketRow>, after: Position, upto: Position) -> Vec<SpanRows> {
    let mut by_partition: BTreeMap<Partition, Vec<TicketRow>> = BTreeMap::new();
    for row in rows {
        by_partition.entry(row.partition).or_default().push(row);
    }
    let span = |(partition, rows)| SpanRows {
        partition,
        after,
        upto,
        recorded_at: Timestamp::from_micros(7),
        rows,
        parked: Vec::new(),
    };
    by_partition.into_iter().map(span).collect()
}

/// Every partition moved from one checkpoint to another without rows.
#[must_use]
pub fn empty_spans(after: Position, upto: Position) -> Vec<SpanRows> {
    let span = |partition| SpanRows {
        partition,
        after,
        upto,
        recorded_at: Timestamp::from_micros(7),
        rows: Vec::new(),
        parked: Vec::new(),
    };
    Partition::all().map(span).collect()
}

/// Writes rows, each partition from a checkpoint to a position.
///
/// # Panics
/// When they are not taken.
#[track_caller]
pub fn write<'a>(
    store: &'a dyn ViewStore,
    version: VersionNumber,
    rows: Vec<TicketRow>,
    between: (Position, Position),
) -> impl Future<Output = ()> + 'a {
    let spans = spans(rows, between.0, between.1);
    async move {
        assert_eq!(store.write(version, None, spans).await.expect("an answer"), Taken::Done);
    }
}

/// The version that answers.
///
/// # Panics
/// When there is none.
pub async fn active(store: &dyn ViewStore) -> VersionNumber {
    let versions = store.versions().await.expect("an answer");
    let active = versions.iter().find(|version| version.phase == crate::store::Phase::Active);
    active.expect("a version is active").number
}

/// A ticket that cannot be folded.
#[must_use]
pub fn poison(number: u64, position: Position) -> Poison {
    let reason = format!("it's \"odd\" at {position}");
    Poison { ticket: Some((tenant(), ticket(number))), position, reason }
}

/// The partition of a made-up ticket.
#[must_use]
pub fn partition(number: u64) -> Partition {
    Stream::ticket(ticket(number)).partition(&tenant())
}
