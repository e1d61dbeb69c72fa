//! What an append must know of the log, read ahead in one statement for each kind of fact.

use std::collections::HashMap;

use docket_engine::append::{Head, Stored, partition_of};
use docket_engine::ports::log::{Batch, Expected};
use docket_schemas::{
    CommandId, Draft, Event, EventId, PARTITIONS, Partition, Position, SlotKey, Stream, Tenant,
    Timestamp,
};
use serde_json::{Value, json};
use sqlx::Row as _;
use sqlx::sqlite::SqliteConnection;

use super::{place, row};
use crate::failure::Failure;

/// The answers to all questions that a batch can ask.
#[derive(Debug, Default)]
pub(super) struct Facts {
    heads: [Head; PARTITIONS as usize],
    commands: HashMap<(Tenant, Partition, CommandId), Event>,
    last_positions: HashMap<(Tenant, Stream), Position>,
    holders: HashMap<(Tenant, SlotKey), EventId>,
}

impl Facts {
    /// Reads them inside the transaction that will write.
    pub(super) async fn read(
        connection: &mut SqliteConnection,
        batch: &Batch,
    ) -> Result<Self, Failure> {
        Ok(Self {
            heads: read_heads(&mut *connection).await?,
            commands: read_commands(&mut *connection, batch).await?,
            last_positions: read_last_positions(&mut *connection, batch).await?,
            holders: read_holders(connection, batch).await?,
        })
    }
}

impl Stored for Facts {
    fn head(&self, partition: Partition) -> Head {
        self.heads[partition.index()]
    }

    fn command(&self, tenant: &Tenant, partition: Partition, command: CommandId) -> Option<Event> {
        self.commands.get(&(tenant.clone(), partition, command)).cloned()
    }

    fn last_position(&self, tenant: &Tenant, stream: Stream) -> Position {
        self.last_positions.get(&(tenant.clone(), stream)).copied().unwrap_or(0)
    }

    fn holder(&self, tenant: &Tenant, key: &SlotKey) -> Option<EventId> {
        self.holders.get(&(tenant.clone(), key.clone())).copied()
    }
}

async fn read_heads(
    connection: &mut SqliteConnection,
) -> Result<[Head; PARTITIONS as usize], Failure> {
    let sql = "SELECT partition, position, recorded_at FROM partition_head";
    let mut heads = [Head::default(); PARTITIONS as usize];
    for row in sqlx::query(sql).fetch_all(connection).await? {
        let head = heads.get_mut(usize::from(row.try_get::<u8, _>("partition")?));
        *head.ok_or_else(|| Failure::Row("a head beyond the partitions".to_owned()))? = Head {
            position: row.try_get::<i64, _>("position")?.cast_unsigned(),
            recorded_at: Timestamp::from_micros(row.try_get("recorded_at")?),
        };
    }
    Ok(heads)
}

/// The first stored event of each command that has one.
async fn read_commands(
    connection: &mut SqliteConnection,
    batch: &Batch,
) -> Result<HashMap<(Tenant, Partition, CommandId), Event>, Failure> {
    let asked = drafts(batch).map(|draft| {
        let command = hex::encode(draft.command_id.as_bytes());
        json!([partition_of(draft).number(), command, draft.tenant])
    });
    let sql = concat!(
        "SELECT ",
        row::event_columns!(),
        " FROM json_each(?1) AS asked CROSS JOIN event",
        " ON command_id = unhex(asked.value ->> 1) AND partition = asked.value ->> 0",
        " AND +tenant = asked.value ->> 2",
        " ORDER BY place"
    );
    let mut commands = HashMap::new();
    for row in sqlx::query(sql).bind(array(asked)).fetch_all(connection).await? {
        let event = row::read(&row)?;
        let command = (event.tenant.clone(), event.partition, event.command_id);
        commands.entry(command).or_insert(event);
    }
    Ok(commands)
}

/// The last position of each stream that a row says it was authored on.
async fn read_last_positions(
    connection: &mut SqliteConnection,
    batch: &Batch,
) -> Result<HashMap<(Tenant, Stream), Position>, Failure> {
    let rows = batch.units.iter().flat_map(|unit| &unit.rows);
    let authored = rows.filter(|row| matches!(row.expected, Expected::Last(_)));
    let streams: Vec<_> =
        authored.map(|row| (row.draft.tenant.clone(), row.draft.stream)).collect();
    if streams.is_empty() {
        return Ok(HashMap::new());
    }
    let asked = streams.iter().map(|(tenant, stream)| {
        json!([hex::encode(stream.id.as_bytes()), tenant, stream.kind.code()])
    });
    let sql = "SELECT (SELECT place FROM event \
         WHERE stream_id = unhex(asked.value ->> 0) AND tenant = asked.value ->> 1 \
         AND stream_kind = asked.value ->> 2 ORDER BY place DESC LIMIT 1) \
         FROM json_each(?1) AS asked ORDER BY asked.key";
    let rows = sqlx::query(sql).bind(array(asked)).fetch_all(connection).await?;
    let mut last_positions = HashMap::with_capacity(streams.len());
    for (stream, row) in streams.into_iter().zip(rows) {
        let last = row.try_get::<Option<i64>, _>(0)?.map_or(0, place::position);
        last_positions.insert(stream, last);
    }
    Ok(last_positions)
}

async fn read_holders(
    connection: &mut SqliteConnection,
    batch: &Batch,
) -> Result<HashMap<(Tenant, SlotKey), EventId>, Failure> {
    let steps = drafts(batch).flat_map(|draft| draft.slots.iter().map(move |step| (draft, step)));
    let slots: Vec<_> = steps.map(|(draft, step)| (&draft.tenant, step.key())).collect();
    if slots.is_empty() {
        return Ok(HashMap::new());
    }
    let sql = "SELECT asked.key AS number, slot.holder FROM json_each(?1) AS asked \
         CROSS JOIN slot ON slot.tenant = asked.value ->> 0 AND slot.key = asked.value ->> 1";
    let asked = slots.iter().map(|(tenant, key)| json!([tenant, key]));
    let mut holders = HashMap::new();
    for row in sqlx::query(sql).bind(array(asked)).fetch_all(connection).await? {
        let number = usize::try_from(row.try_get::<i64, _>("number")?).ok();
        if let Some((tenant, key)) = number.and_then(|number| slots.get(number)) {
            let holder = EventId::new(row.try_get("holder")?);
            holders.insert(((*tenant).clone(), (*key).clone()), holder);
        }
    }
    Ok(holders)
}

fn drafts(batch: &Batch) -> impl Iterator<Item = &Draft> {
    batch.units.iter().flat_map(|unit| &unit.rows).map(|row| &*row.draft)
}

/// What `json_each` takes apart.
fn array(values: impl Iterator<Item = Value>) -> String {
    Value::Array(values.collect()).to_string()
}
