//! What an append does to a log, unit by unit: decided over what the log holds, nothing is written here.
//!
//! For logs that decide in this process while they hold the lock. A log that decides in its database follows the
//! same rules there, and the suite in [`crate::contract`] holds both to them.

use std::collections::{BTreeMap, HashMap, HashSet};

use docket_schemas::{
    CommandId, Draft, Event, EventId, Incarnation, Origin, Partition, Position, SlotKey, SlotOp,
    Stream, Tenant, Timestamp,
};

use crate::ports::log::{Batch, Expected, LogError, Placed, Row, Unit, UnitOutcome};

/// How far a partition has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Head {
    /// The last position; 0 before the first event.
    pub position: Position,
    /// When its event was recorded.
    pub recorded_at: Timestamp,
}

/// What an append asks of the log. The answers hold while the partitions' heads are locked.
pub trait Stored {
    /// How far the partition has come.
    fn head(&self, partition: Partition) -> Head;

    /// The event of a tenant's command, whatever region or incarnation stored it.
    fn command(&self, tenant: &Tenant, partition: Partition, command: CommandId) -> Option<Event>;

    /// The last position of a stream; 0 for an empty one.
    fn last_position(&self, tenant: &Tenant, stream: Stream) -> Position;

    /// The event that took a slot; none when it is free.
    fn holder(&self, tenant: &Tenant, key: &SlotKey) -> Option<EventId>;
}

impl<S: Stored> Stored for &S {
    fn head(&self, partition: Partition) -> Head {
        (**self).head(partition)
    }

    fn command(&self, tenant: &Tenant, partition: Partition, command: CommandId) -> Option<Event> {
        (**self).command(tenant, partition, command)
    }

    fn last_position(&self, tenant: &Tenant, stream: Stream) -> Position {
        (**self).last_position(tenant, stream)
    }

    fn holder(&self, tenant: &Tenant, key: &SlotKey) -> Option<EventId> {
        (**self).holder(tenant, key)
    }
}

/// What an append writes.
#[derive(Debug, Clone, Default)]
pub struct Changes<'a> {
    /// The events, each with its place.
    pub rows: Vec<(&'a Draft, Placed)>,
    /// Slots as they stand afterwards: the event that holds each, or none.
    pub slots: BTreeMap<(&'a Tenant, &'a SlotKey), Option<EventId>>,
    /// Heads as they stand afterwards.
    pub heads: BTreeMap<Partition, Head>,
}

/// Why the batch as a whole is handed back, if it is.
///
/// # Errors
/// [`LogError::Damaged`] when no incarnation has begun: there is nobody to write as.
pub fn whole_batch_refusal(
    batch: &Batch,
    newest: Option<&Incarnation>,
    erasure_epoch: u64,
) -> Result<Option<UnitOutcome>, LogError> {
    let Some(newest) = newest else {
        return Err(LogError::damaged("no incarnation has begun"));
    };
    Ok(if *newest != batch.incarnation {
        Some(UnitOutcome::IncarnationOld { current: newest.clone() })
    } else if batch.erasure_epoch < erasure_epoch {
        Some(UnitOutcome::EpochOld { current: erasure_epoch })
    } else {
        None
    })
}

/// The event that a row becomes when this region accepts it first.
#[must_use]
pub fn local_event(draft: &Draft, placed: Placed, incarnation: &Incarnation) -> Event {
    let Placed { partition, position, recorded_at } = placed;
    let origin = Origin { region: incarnation.clone(), partition, position, recorded_at };
    Event { draft: draft.clone(), partition, position, recorded_at, origin }
}

type StreamName<'a> = (&'a Tenant, Stream);

/// The plan of one batch: each unit is decided on what the log holds and on what the units before it will write.
#[derive(Debug)]
pub struct Plan<'a, S> {
    stored: S,
    batch: &'a Batch,
    changes: Changes<'a>,
    /// Index into the rows of `changes`.
    commands: HashMap<(&'a Tenant, Partition, CommandId), usize>,
    last_positions: HashMap<StreamName<'a>, Position>,
    handed_back: HashSet<StreamName<'a>>,
}

impl<'a, S: Stored> Plan<'a, S> {
    /// A plan with nothing decided yet.
    #[must_use]
    pub fn new(stored: S, batch: &'a Batch) -> Self {
        Self {
            stored,
            batch,
            changes: Changes::default(),
            commands: HashMap::new(),
            last_positions: HashMap::new(),
            handed_back: HashSet::new(),
        }
    }

    /// Decides the next unit and remembers the decision.
    pub fn decide(&mut self, unit: &'a Unit) -> UnitOutcome {
        match self.check(unit) {
            Ok(changes) => self.accept(changes),
            Err(outcome) => {
                self.hand_back(unit);
                outcome
            }
        }
    }

    /// What the unit would write, or why it may not. Remembers nothing: follow with [`Self::accept`] or
    /// [`Self::hand_back`].
    ///
    /// # Errors
    /// The outcome of a unit that is not appended.
    pub fn check(&self, unit: &'a Unit) -> Result<Changes<'a>, UnitOutcome> {
        let partitions: Vec<_> = unit.rows.iter().map(|row| partition_of(&row.draft)).collect();
        self.check_commands(unit, &partitions)?;
        self.check_expected(unit)?;
        let slots = self.step_slots(unit)?;
        let (rows, heads) = self.number(unit, &partitions);
        Ok(Changes { rows, slots, heads })
    }

    /// Remembers that a unit is appended.
    pub fn accept(&mut self, changes: Changes<'a>) -> UnitOutcome {
        let mut places = Vec::with_capacity(changes.rows.len());
        for (draft, placed) in changes.rows {
            let command = (&draft.tenant, placed.partition, draft.command_id);
            self.commands.insert(command, self.changes.rows.len());
            self.last_positions.insert((&draft.tenant, draft.stream), placed.position);
            self.changes.rows.push((draft, placed));
            places.push(placed);
        }
        self.changes.slots.extend(changes.slots);
        self.changes.heads.extend(changes.heads);
        UnitOutcome::Appended(places)
    }

    /// Remembers that a unit is not appended, so that later units on its streams are not either.
    pub fn hand_back(&mut self, unit: &'a Unit) {
        self.handed_back.extend(unit.rows.iter().map(stream_of));
    }

    /// All that the appended units write.
    #[must_use]
    pub fn finish(self) -> Changes<'a> {
        self.changes
    }

    fn check_commands(&self, unit: &Unit, partitions: &[Partition]) -> Result<(), UnitOutcome> {
        let mut in_unit = HashSet::new();
        for (row, (Row { draft, .. }, partition)) in unit.rows.iter().zip(partitions).enumerate() {
            let command = (&draft.tenant, *partition, draft.command_id);
            if !in_unit.insert(command) {
                return Err(UnitOutcome::Damaged { what: "a command stands twice".to_owned() });
            }
            let earlier = self.commands.get(&command).map(|index| {
                let (draft, placed) = self.changes.rows[*index];
                local_event(draft, placed, &self.batch.incarnation)
            });
            let stored = || self.stored.command(&draft.tenant, *partition, draft.command_id);
            if let Some(event) = earlier.or_else(stored) {
                return Err(UnitOutcome::Duplicate { row, stored: Box::new(event) });
            }
        }
        Ok(())
    }

    fn check_expected(&self, unit: &Unit) -> Result<(), UnitOutcome> {
        let mut in_unit = HashSet::new();
        for row in &unit.rows {
            let stream = stream_of(row);
            let met = match row.expected {
                Expected::Opening => true,
                Expected::Last(position) => {
                    !in_unit.contains(&stream) && self.last_position(stream) == position
                }
                Expected::Chained => {
                    in_unit.contains(&stream) || self.last_positions.contains_key(&stream)
                }
            };
            if !met || self.handed_back.contains(&stream) {
                return Err(UnitOutcome::Behind);
            }
            in_unit.insert(stream);
        }
        Ok(())
    }

    fn last_position(&self, (tenant, stream): StreamName<'_>) -> Position {
        let planned = self.last_positions.get(&(tenant, stream)).copied();
        planned.unwrap_or_else(|| self.stored.last_position(tenant, stream))
    }

    /// The unit's slot operations, in the order of its rows and of each row's list.
    fn step_slots(
        &self,
        unit: &'a Unit,
    ) -> Result<BTreeMap<(&'a Tenant, &'a SlotKey), Option<EventId>>, UnitOutcome> {
        let mut slots = BTreeMap::new();
        for draft in unit.rows.iter().map(|row| &row.draft) {
            for step in &draft.slots {
                let key = step.key();
                let slot = (&draft.tenant, key);
                let holder = slots.get(&slot).copied().unwrap_or_else(|| self.holder(slot));
                let next = match (step, holder) {
                    (SlotOp::Take(_), None) => Some(draft.event_id),
                    (SlotOp::Release(_), Some(_)) => None,
                    (SlotOp::Take(_), Some(holder)) => {
                        return Err(UnitOutcome::SlotHeld { key: key.clone(), holder });
                    }
                    (SlotOp::Release(_), None) => {
                        return Err(UnitOutcome::SlotFree { key: key.clone() });
                    }
                };
                slots.insert(slot, next);
            }
        }
        Ok(slots)
    }

    fn holder(&self, slot: (&'a Tenant, &'a SlotKey)) -> Option<EventId> {
        let planned = self.changes.slots.get(&slot).copied();
        planned.unwrap_or_else(|| self.stored.holder(slot.0, slot.1))
    }

    fn number(
        &self,
        unit: &'a Unit,
        partitions: &[Partition],
    ) -> (Vec<(&'a Draft, Placed)>, BTreeMap<Partition, Head>) {
        let mut heads: BTreeMap<_, _> =
            partitions.iter().map(|partition| (*partition, self.head(*partition))).collect();
        let next_free = heads.values().map(|head| head.recorded_at.plus_micros(1)).max();
        let recorded_at = self.batch.now.max(next_free.unwrap_or(self.batch.now));
        let mut rows = Vec::with_capacity(unit.rows.len());
        for (row, partition) in unit.rows.iter().zip(partitions) {
            let head = heads.entry(*partition).or_default();
            *head = Head { position: head.position + 1, recorded_at };
            let placed = Placed { partition: *partition, position: head.position, recorded_at };
            rows.push((&*row.draft, placed));
        }
        (rows, heads)
    }

    fn head(&self, partition: Partition) -> Head {
        let planned = self.changes.heads.get(&partition).copied();
        planned.unwrap_or_else(|| self.stored.head(partition))
    }
}

/// The partition in which a draft is to stand.
#[must_use]
pub fn partition_of(draft: &Draft) -> Partition {
    draft.stream.partition(&draft.tenant)
}

fn stream_of(row: &Row) -> StreamName<'_> {
    (&row.draft.tenant, row.draft.stream)
}
