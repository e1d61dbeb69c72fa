//! What the append has to know of a batch beside its events: which rows share a stream, a command, a slot.

use std::collections::{BTreeMap, HashMap, HashSet};

use docket_engine::ports::log::{Expected, Row, Unit};
use docket_schemas::canonical::Fields;
use docket_schemas::{CommandId, Partition, SlotKey, SlotOp, Stream, Tenant};
use sqlx::Postgres;
use sqlx::postgres::PgArguments;
use sqlx::query::Query;

use crate::event_row::stored_position;

/// [`Expected::Opening`] as the append reads it.
const OPENING: i64 = -1;
/// [`Expected::Chained`] as the append reads it.
const CHAINED: i64 = -2;

type Slot<'a> = (i64, &'a Tenant, &'a SlotKey);

type Command<'a> = (&'a Tenant, Partition, CommandId);

/// Arrays by row, numbered from 1 as PostgreSQL does.
#[derive(Default)]
pub(super) struct Bookkeeping<'a> {
    /// A unit may refuse another, so the batch has to be decided unit by unit.
    contested: bool,
    pub(super) partitions: Vec<Partition>,
    units: Vec<i32>,
    streams: Vec<i32>,
    commands: Vec<i32>,
    offsets: Vec<i32>,
    expected: Vec<i64>,
    probes: Vec<i32>,
    op_rows: Vec<i32>,
    op_slots: Vec<i32>,
    op_takes: Vec<bool>,
    /// In the order in which they are locked: by hash.
    slots: Vec<Slot<'a>>,
}

impl<'a> Bookkeeping<'a> {
    pub(super) fn of(units: &'a [Unit]) -> Self {
        let mut books = Self::default();
        let mut streams = HashMap::new();
        let mut commands = HashMap::new();
        let mut counts = [0; 16];
        for (unit, row) in rows(units) {
            let stream = (&row.draft.tenant, row.draft.stream);
            let partition = row.draft.stream.partition(&row.draft.tenant);
            books.note_stream(stream, row.expected, &mut streams);
            let command = (&row.draft.tenant, partition, row.draft.command_id);
            books.note_command(command, &mut commands);
            counts[partition.index()] += 1;
            books.offsets.push(counts[partition.index()]);
            books.partitions.push(partition);
            books.units.push(unit);
        }
        books.note_slots(units);
        books
    }

    pub(super) fn is_empty(&self) -> bool {
        self.units.is_empty()
    }

    /// The key of a slot by its number.
    pub(super) fn slot(&self, number: i32) -> Option<&'a SlotKey> {
        let index = usize::try_from(number).ok()?.checked_sub(1)?;
        self.slots.get(index).map(|(_, _, key)| *key)
    }

    fn note_stream(
        &mut self,
        stream: (&'a Tenant, Stream),
        expected: Expected,
        streams: &mut HashMap<(&'a Tenant, Stream), i32>,
    ) {
        let next = number(streams.len());
        let known = streams.contains_key(&stream);
        self.streams.push(*streams.entry(stream).or_insert(next));
        let row = number(self.expected.len());
        match expected {
            Expected::Opening => self.expected.push(OPENING),
            Expected::Chained => {
                self.contested |= !known;
                self.expected.push(CHAINED);
            }
            Expected::Last(position) => {
                self.contested |= known;
                self.expected.push(stored_position(position));
                self.probes.push(row);
            }
        }
    }

    fn note_command(&mut self, command: Command<'a>, commands: &mut HashMap<Command<'a>, i32>) {
        let next = number(commands.len());
        let known = *commands.entry(command).or_insert(next);
        self.contested |= known != next;
        self.commands.push(known);
    }

    fn note_slots(&mut self, units: &'a [Unit]) {
        let mut numbers: BTreeMap<Slot<'a>, i32> = BTreeMap::new();
        let mut steps = Vec::new();
        for (index, (_, row)) in rows(units).enumerate() {
            for step in &row.draft.slots {
                let slot = slot(&row.draft.tenant, step.key());
                numbers.insert(slot, 0);
                steps.push((number(index), slot, matches!(step, SlotOp::Take(_))));
            }
        }
        for (index, known) in numbers.values_mut().enumerate() {
            *known = number(index);
        }
        for (row, slot, takes) in steps {
            self.op_rows.push(row);
            self.op_slots.push(numbers[&slot]);
            self.op_takes.push(takes);
        }
        self.contested |= !numbers.is_empty();
        self.slots = numbers.into_keys().collect();
    }

    /// Binds `settled` to `slot_keys`.
    pub(super) fn bind<'q>(
        &self,
        query: Query<'q, Postgres, PgArguments>,
    ) -> Query<'q, Postgres, PgArguments> {
        let locks: HashSet<_> =
            self.partitions.iter().map(|partition| partition.number()).collect();
        query
            .bind(!self.contested)
            .bind(locks.into_iter().map(i16::from).collect::<Vec<_>>())
            .bind(self.units.clone())
            .bind(self.streams.clone())
            .bind(self.commands.clone())
            .bind(self.offsets.clone())
            .bind(self.expected.clone())
            .bind(self.probes.clone())
            .bind(self.op_rows.clone())
            .bind(self.op_slots.clone())
            .bind(self.op_takes.clone())
            .bind(self.slots.iter().map(|(lock, _, _)| *lock).collect::<Vec<_>>())
            .bind(self.slots.iter().map(|(_, tenant, _)| tenant.as_str()).collect::<Vec<_>>())
            .bind(self.slots.iter().map(|(_, _, key)| key.as_str()).collect::<Vec<_>>())
            .bind(self.partitions.iter().map(|one| i16::from(one.number())).collect::<Vec<_>>())
    }
}

/// Each row with the index of its unit, from 0.
pub(super) fn rows(units: &[Unit]) -> impl Iterator<Item = (i32, &Row)> {
    let numbered = (0..).zip(units);
    numbered.flat_map(|(index, unit)| unit.rows.iter().map(move |row| (index, row)))
}

/// The number of what has `index`: PostgreSQL counts from 1.
fn number(index: usize) -> i32 {
    i32::try_from(index + 1).unwrap_or(i32::MAX)
}

/// A slot with its lock: 64 bits of a hash of its name, the last four of which are its partition.
fn slot<'a>(tenant: &'a Tenant, key: &'a SlotKey) -> Slot<'a> {
    let hash = Fields::new("docket/slot/1").field(tenant.as_str()).field(key.as_str()).finish();
    let mut lock = [0; 8];
    lock.copy_from_slice(&hash[..8]);
    (i64::from_be_bytes(lock), tenant, key)
}
