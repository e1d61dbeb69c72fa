//! An event as a row of the table `event`, written by [`bind`], read by [`read`].

use docket_engine::ports::log::{LogError, Placed};
use docket_schemas::{
    ActorId, Change, ChangeHash, CommandId, Draft, Event, EventId, EventType, Incarnation, KeyId,
    Observed, Origin, Partition, Position, Principal, Role, Sealed, SlotOp, Stream, StreamKind,
    Timestamp,
};
use sqlx::sqlite::{SqliteArguments, SqliteRow};
use sqlx::{Arguments as _, Decode, Row as _, Sqlite, Type};
use uuid::Uuid;

use super::place::{partition, place, position};
use crate::failure::Failure;

/// The columns that [`bind`] fills, in its order. `event_columns!(folded)` leaves a message's text where it is.
macro_rules! event_columns {
    () => {
        $crate::log::row::event_columns!("key_id, sealed")
    };
    (folded) => {
        $crate::log::row::event_columns!(
            "CASE WHEN event_type <> 'ticket.message_added' THEN key_id END AS key_id, \
             CASE WHEN event_type <> 'ticket.message_added' THEN sealed END AS sealed"
        )
    };
    ($sealed:literal) => {
        concat!(
        "place, recorded_at, tenant, stream_kind, stream_id, event_id, command_id, request_mac, \
         event_type, schema_version, public, principal, role, device, policy, observed, slots, \
         external_id, occurred_at, correlation_id, causation_id, origin_region, \
         origin_partition, origin_position, origin_recorded_at, actor, seq, max_op, hash, deps, \
         change, ", $sealed, ", data"
        )
    };
}
pub(super) use event_columns;

/// How many columns that are.
pub(super) const EVENT_COLUMNS: usize = 34;

type Bound = Result<(), Failure>;

/// Adds one row's values to a statement.
pub(super) fn bind(
    arguments: &mut SqliteArguments,
    draft: &Draft,
    placed: Placed,
    region: &Incarnation,
) -> Bound {
    let mut values = Values(arguments);
    values.add(place(placed.partition, placed.position))?;
    values.add(placed.recorded_at.micros())?;
    values.add(draft.tenant.as_str())?;
    values.add(draft.stream.kind.code())?;
    values.add(draft.stream.id)?;
    values.add(draft.event_id.uuid())?;
    values.add(draft.command_id.uuid())?;
    values.add(draft.request_mac.as_ref().map(<[u8; 32]>::as_slice))?;
    values.add(draft.event_type.as_str())?;
    values.add(draft.schema)?;
    values.add(draft.public)?;
    values.add(draft.principal.to_string())?;
    values.add(draft.role.as_str())?;
    values.add(draft.device.as_str())?;
    values.add(draft.policy)?;
    values.add(draft.observed.as_str())?;
    values.add(slots_json(&draft.slots))?;
    values.add(draft.external_id.as_deref())?;
    values.add(draft.occurred_at.micros())?;
    values.add(draft.correlation_id.map(CommandId::uuid))?;
    values.add(draft.causation_id.map(CommandId::uuid))?;
    values.add(region.as_str())?;
    // Of this region: the origin is the row's own place.
    values.add(None::<i64>)?;
    values.add(None::<i64>)?;
    values.add(None::<i64>)?;
    bind_change(&mut values, draft.change.as_ref())?;
    values.add(draft.sealed.as_ref().map(|sealed| sealed.key_id.uuid()))?;
    values.add(draft.sealed.as_ref().map(|sealed| sealed.bytes.as_slice()))?;
    values.add(draft.data.as_str())
}

fn bind_change(values: &mut Values<'_>, change: Option<&Change>) -> Bound {
    values.add(change.map(|change| change.actor.0.to_vec()))?;
    values.add(change.map(|change| change.seq.cast_signed()))?;
    values.add(change.map(|change| change.max_op.cast_signed()))?;
    values.add(change.map(|change| change.hash.0.to_vec()))?;
    values
        .add(change.map(|change| change.deps.iter().flat_map(|dep| dep.0).collect::<Vec<u8>>()))?;
    values.add(change.map(|change| change.bytes.as_slice()))
}

struct Values<'a>(&'a mut SqliteArguments);

impl Values<'_> {
    fn add<'v, T: sqlx::Encode<'v, Sqlite> + Type<Sqlite>>(&mut self, value: T) -> Bound {
        Ok(self.0.add(value).map_err(sqlx::Error::Encode)?)
    }
}

/// Reads a row of [`event_columns`]; the damage of one that cannot be read says where it stands.
pub(super) fn read(row: &SqliteRow) -> Result<Event, Failure> {
    let columns = Columns { row, place: row.try_get("place")? };
    let partition = columns.parse("place", partition(columns.place))?;
    let position = position(columns.place);
    let read = || {
        let recorded_at = Timestamp::from_micros(columns.get("recorded_at")?);
        Ok(Event {
            draft: read_draft(&columns)?,
            partition,
            position,
            recorded_at,
            origin: read_origin(&columns, partition, position, recorded_at)?,
        })
    };
    read().map_err(|failure: Failure| match failure.damage() {
        Some(what) => {
            let what = format!("partition {}, position {position}: {what}", partition.number());
            LogError::Damaged { what, at: Some((partition, position)) }.into()
        }
        None => failure,
    })
}

fn read_draft(columns: &Columns<'_>) -> Result<Draft, Failure> {
    let text = |name| columns.get::<&str>(name);
    let mac = columns.get::<Option<&[u8]>>("request_mac")?;
    Ok(Draft {
        tenant: columns.parse("tenant", text("tenant")?.parse().ok())?,
        stream: Stream {
            kind: columns
                .parse("stream_kind", StreamKind::from_code(columns.get("stream_kind")?))?,
            id: columns.get("stream_id")?,
        },
        event_id: EventId::new(columns.get("event_id")?),
        command_id: CommandId::new(columns.get("command_id")?),
        request_mac: mac
            .map(|mac| columns.parse("request_mac", mac.try_into().ok()))
            .transpose()?,
        event_type: columns.parse("event_type", EventType::parse(text("event_type")?))?,
        schema: columns.get("schema_version")?,
        data: columns.get("data")?,
        sealed: read_sealed(columns)?,
        change: read_change(columns)?,
        public: columns.get("public")?,
        principal: Principal::from(text("principal")?),
        role: columns.parse("role", text("role")?.parse::<Role>().ok())?,
        device: columns.get("device")?,
        policy: columns.get("policy")?,
        observed: columns.parse("observed", observed(text("observed")?))?,
        slots: read_slots(columns)?,
        external_id: columns.get("external_id")?,
        occurred_at: Timestamp::from_micros(columns.get("occurred_at")?),
        correlation_id: columns.get::<Option<Uuid>>("correlation_id")?.map(CommandId::new),
        causation_id: columns.get::<Option<Uuid>>("causation_id")?.map(CommandId::new),
    })
}

fn read_origin(
    columns: &Columns<'_>,
    partition: Partition,
    position: Position,
    recorded_at: Timestamp,
) -> Result<Origin, Failure> {
    let there: Option<u8> = columns.get("origin_partition")?;
    let there = there.map(|there| columns.parse("origin_partition", Partition::new(there)));
    let time: Option<i64> = columns.get("origin_recorded_at")?;
    Ok(Origin {
        region: columns
            .parse("origin_region", columns.get::<&str>("origin_region")?.parse().ok())?,
        partition: there.transpose()?.unwrap_or(partition),
        position: columns
            .get::<Option<i64>>("origin_position")?
            .map_or(position, i64::cast_unsigned),
        recorded_at: time.map_or(recorded_at, Timestamp::from_micros),
    })
}

fn read_sealed(columns: &Columns<'_>) -> Result<Option<Sealed>, Failure> {
    let Some(key_id) = columns.get::<Option<Uuid>>("key_id")? else { return Ok(None) };
    Ok(Some(Sealed { key_id: KeyId::new(key_id), bytes: columns.get("sealed")? }))
}

fn read_change(columns: &Columns<'_>) -> Result<Option<Change>, Failure> {
    let Some(actor) = columns.get::<Option<&[u8]>>("actor")? else { return Ok(None) };
    let (deps, rest) = columns.get::<&[u8]>("deps")?.as_chunks::<32>();
    let whole = rest.is_empty().then(|| deps.iter().copied().map(ChangeHash).collect());
    let hash = ChangeHash::from_slice(columns.get("hash")?);
    Ok(Some(Change {
        actor: columns.parse("actor", ActorId::from_slice(actor).ok())?,
        seq: columns.get::<i64>("seq")?.cast_unsigned(),
        deps: columns.parse("deps", whole)?,
        bytes: columns.get("change")?,
        hash: columns.parse("hash", hash.ok())?,
        max_op: columns.get::<i64>("max_op")?.cast_unsigned(),
    }))
}

fn slots_json(slots: &[SlotOp]) -> Option<String> {
    let json = |slots| serde_json::to_string(slots).expect("a slot operation has string keys only");
    (!slots.is_empty()).then(|| json(slots))
}

fn read_slots(columns: &Columns<'_>) -> Result<Vec<SlotOp>, Failure> {
    let Some(json) = columns.get::<Option<&str>>("slots")? else { return Ok(Vec::new()) };
    columns.parse("slots", serde_json::from_str(json).ok())
}

fn observed(name: &str) -> Option<Observed> {
    [Observed::Given, Observed::Assumed].into_iter().find(|observed| observed.as_str() == name)
}

struct Columns<'r> {
    row: &'r SqliteRow,
    place: i64,
}

impl<'r> Columns<'r> {
    fn get<T: Decode<'r, Sqlite> + Type<Sqlite>>(&self, name: &str) -> Result<T, Failure> {
        Ok(self.row.try_get(name)?)
    }

    /// `value`, or which row and column hold none that this release knows.
    fn parse<T>(&self, name: &str, value: Option<T>) -> Result<T, Failure> {
        value.ok_or_else(|| Failure::Row(format!("event at place {}: {name}", self.place)))
    }
}
