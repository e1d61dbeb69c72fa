//! An event as its row: which columns are read, and what they say.

use docket_engine::ports::log::LogError;
use docket_schemas::{
    ActorId, Change, ChangeHash, CommandId, Draft, Event, EventId, EventType, KeyId, Observed,
    Origin, Partition, PersonId, Position, Principal, Role, Sealed, SlotOp, Stream, StreamKind,
    Timestamp,
};
use sqlx::postgres::PgRow;
use sqlx::{Decode, Postgres, Row as _, Type};
use uuid::Uuid;

use crate::failure::{damaged, failed};

/// The columns that [`event`] reads, of a table called `e`. `event_columns!(folded)` leaves a message's text where it is.
macro_rules! event_columns {
    () => {
        event_columns!("e.key_id, e.sealed")
    };
    (folded) => {
        event_columns!(
            "CASE WHEN e.type <> 'ticket.message_added' THEN e.key_id END, \
             CASE WHEN e.type <> 'ticket.message_added' THEN e.sealed END"
        )
    };
    ($sealed:literal) => {
        concat!(
        "e.position, e.partition, e.recorded_at, e.occurred_at, e.policy, e.stream_kind, e.schema, \
         e.role, e.public, e.observed_given, e.stream_id, e.event_id, e.command_id, e.tenant, \
         e.origin_region, e.type, e.device, e.data, e.person, e.principal, e.seq, e.max_op, e.actor, \
         e.hash, e.deps, e.change, e.request_mac, ", $sealed, ", e.slots, e.external_id, \
         e.correlation_id, e.causation_id, e.origin_position, e.origin_recorded_at, \
         e.origin_partition"
        )
    };
}
pub(crate) use event_columns;

/// How many columns [`event_columns`] names: the index of the first column after them.
pub(crate) const EVENT_COLUMNS: usize = 36;

/// Reads an event.
///
/// # Errors
/// [`LogError::Damaged`] with the row's place when it holds what no event can.
pub(crate) fn event(row: &PgRow) -> Result<Event, LogError> {
    let position = position(get(row, 0)?)?;
    let partition = partition(get(row, 1)?)?;
    let recorded_at = Timestamp::from_micros(get(row, 2)?);
    let read = || Ok((draft(row)?, origin(row, partition, position, recorded_at)?));
    let (draft, origin) = read().map_err(|error| match error {
        LogError::Damaged { what, .. } => {
            let what = format!("partition {}, position {position}: {what}", partition.number());
            LogError::Damaged { what, at: Some((partition, position)) }
        }
        other @ (LogError::Unavailable(_) | LogError::Reconnected) => other,
    })?;
    Ok(Event { draft, partition, position, recorded_at, origin })
}

fn origin(
    row: &PgRow,
    partition: Partition,
    position: Position,
    recorded_at: Timestamp,
) -> Result<Origin, LogError> {
    Ok(Origin {
        region: get::<&str>(row, 14)?.parse().map_err(damaged)?,
        partition: get::<Option<i16>>(row, 35)?.map_or(Ok(partition), self::partition)?,
        position: get::<Option<i64>>(row, 33)?.map_or(Ok(position), self::position)?,
        recorded_at: get::<Option<i64>>(row, 34)?.map_or(recorded_at, Timestamp::from_micros),
    })
}

fn draft(row: &PgRow) -> Result<Draft, LogError> {
    let kind = code(get(row, 5)?).and_then(StreamKind::from_code);
    let role = code(get(row, 7)?);
    Ok(Draft {
        tenant: get::<&str>(row, 13)?.parse().map_err(damaged)?,
        stream: Stream {
            kind: kind.ok_or_else(|| damaged("unknown kind of stream"))?,
            id: get(row, 10)?,
        },
        event_id: EventId::new(get(row, 11)?),
        command_id: CommandId::new(get(row, 12)?),
        request_mac: get::<Option<[u8; 32]>>(row, 26)?,
        event_type: EventType::parse(get(row, 15)?).ok_or_else(|| damaged("unknown event type"))?,
        schema: get::<i16>(row, 6)?.cast_unsigned(),
        data: get(row, 17)?,
        sealed: sealed(row)?,
        change: change(row)?,
        public: get(row, 8)?,
        principal: principal(row)?,
        role: Role::ALL
            .into_iter()
            .find(|known| Some(known.code()) == role)
            .ok_or_else(|| damaged("unknown role"))?,
        device: get(row, 16)?,
        policy: get::<i32>(row, 4)?.cast_unsigned(),
        observed: if get(row, 9)? { Observed::Given } else { Observed::Assumed },
        slots: slots(get(row, 29)?)?,
        external_id: get(row, 30)?,
        occurred_at: Timestamp::from_micros(get(row, 3)?),
        correlation_id: get::<Option<Uuid>>(row, 31)?.map(CommandId::new),
        causation_id: get::<Option<Uuid>>(row, 32)?.map(CommandId::new),
    })
}

fn change(row: &PgRow) -> Result<Option<Change>, LogError> {
    let Some(actor) = get::<Option<Uuid>>(row, 22)? else { return Ok(None) };
    let (deps, rest) = get::<&[u8]>(row, 24)?.as_chunks::<32>();
    if !rest.is_empty() {
        return Err(damaged("dependencies are no list of hashes"));
    }
    Ok(Some(Change {
        actor: ActorId(actor.into_bytes()),
        seq: get::<i64>(row, 20)?.cast_unsigned(),
        deps: deps.iter().copied().map(ChangeHash).collect(),
        bytes: get(row, 25)?,
        hash: ChangeHash(get(row, 23)?),
        max_op: get::<i64>(row, 21)?.cast_unsigned(),
    }))
}

fn sealed(row: &PgRow) -> Result<Option<Sealed>, LogError> {
    let Some(key_id) = get::<Option<Uuid>>(row, 27)? else { return Ok(None) };
    Ok(Some(Sealed { key_id: KeyId::new(key_id), bytes: get(row, 28)? }))
}

fn principal(row: &PgRow) -> Result<Principal, LogError> {
    if let Some(person) = get::<Option<Uuid>>(row, 18)? {
        return Ok(Principal::Person(PersonId::new(person)));
    }
    Ok(Principal::Docket(get::<&str>(row, 19)?.into()))
}

fn slots(json: Option<&str>) -> Result<Vec<SlotOp>, LogError> {
    json.map_or_else(|| Ok(Vec::new()), |json| serde_json::from_str(json).map_err(damaged))
}

/// One column by its place.
pub(crate) fn get<'r, T>(row: &'r PgRow, column: usize) -> Result<T, LogError>
where
    T: Decode<'r, Postgres> + Type<Postgres>,
{
    row.try_get(column).map_err(failed)
}

/// A position as it is stored.
pub(crate) fn position(stored: i64) -> Result<Position, LogError> {
    Position::try_from(stored).map_err(damaged)
}

/// A position as the database compares it: one beyond its range is beyond every event.
pub(crate) fn stored_position(position: Position) -> i64 {
    i64::try_from(position).unwrap_or(i64::MAX)
}

/// A partition as it is stored.
pub(crate) fn partition(stored: i16) -> Result<Partition, LogError> {
    code(stored).and_then(Partition::new).ok_or_else(|| damaged("unknown partition"))
}

fn code(stored: i16) -> Option<u8> {
    u8::try_from(stored).ok()
}
