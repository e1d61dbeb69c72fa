//! What the log in memory holds, with the indexes that its reads need.

use std::collections::{BTreeSet, HashMap, HashSet};

use docket_schemas::{
    ActorId, CommandId, Event, EventId, PARTITIONS, Partition, Position, SlotKey, Stream,
    StreamKind, Tenant, TicketId, Timestamp,
};
use uuid::Uuid;

use crate::append::{Head, Stored};
use crate::cursor::Positions;
use crate::ports::log::{IncarnationStart, Page, READ_EVENTS_MAX, Snapshot, StreamRead, Unit};

/// Which change of which stream: never stored twice.
pub(super) type Dot = (Tenant, Stream, ActorId, u64);

/// When, where and what was opened; sorts by age.
type Opening = (Timestamp, Partition, Position, TicketId);

#[derive(Debug, Default, Clone)]
pub(super) struct State {
    partitions: [Vec<Event>; PARTITIONS as usize],
    commands: HashMap<(Tenant, Partition, CommandId), Position>,
    streams: HashMap<(Tenant, Stream), Vec<Position>>,
    slots: HashMap<(Tenant, SlotKey), EventId>,
    /// By external id.
    openings: HashMap<(Tenant, String), BTreeSet<Opening>>,
    pub(super) dots: HashSet<Dot>,
    pub(super) snapshots: HashMap<(Tenant, TicketId), Snapshot>,
    pub(super) incarnations: Vec<IncarnationStart>,
    pub(super) key_store: Option<Uuid>,
    pub(super) erasure_epoch: u64,
}

impl State {
    pub(super) fn push(&mut self, event: Event) {
        let (partition, position) = (event.partition, event.position);
        let command = (event.tenant.clone(), partition, event.command_id);
        self.commands.entry(command).or_insert(position);
        let stream = (event.tenant.clone(), event.stream);
        self.streams.entry(stream).or_default().push(position);
        if let (Some(id), StreamKind::Ticket) = (&event.external_id, event.stream.kind) {
            let tickets = self.openings.entry((event.tenant.clone(), id.clone())).or_default();
            let ticket = TicketId::new(event.stream.id);
            if tickets.iter().all(|(.., known)| *known != ticket) {
                tickets.insert((event.recorded_at, partition, position, ticket));
            }
        }
        self.partitions[partition.index()].push(event);
    }

    pub(super) fn set_slot(&mut self, tenant: &Tenant, key: &SlotKey, holder: Option<EventId>) {
        let slot = (tenant.clone(), key.clone());
        match holder {
            Some(holder) => self.slots.insert(slot, holder),
            None => self.slots.remove(&slot),
        };
    }

    pub(super) fn at(&self, partition: Partition, position: Position) -> Option<&Event> {
        let index = usize::try_from(position.checked_sub(1)?).ok()?;
        self.partitions[partition.index()].get(index)
    }

    pub(super) fn after(&self, partition: Partition, after: Position) -> &[Event] {
        let skipped = usize::try_from(after).unwrap_or(usize::MAX);
        self.partitions[partition.index()].get(skipped..).unwrap_or_default()
    }

    pub(super) fn stream(&self, read: &StreamRead) -> impl Iterator<Item = &Event> {
        let after = read.after;
        let partition = read.stream.partition(&read.tenant);
        let positions = self.streams.get(&(read.tenant.clone(), read.stream));
        let beyond = positions.into_iter().flatten().filter(move |position| **position > after);
        beyond.filter_map(move |position| self.at(partition, *position))
    }

    /// The events beyond `after` that are wanted, in the order of the port.
    pub(super) fn page(
        &self,
        after: &Positions,
        limit: usize,
        wanted: impl Fn(&Event) -> bool,
    ) -> Page {
        let limit = limit.min(READ_EVENTS_MAX);
        let mut events: Vec<&Event> = Partition::all()
            .flat_map(|partition| self.after(partition, after.get(partition)))
            .filter(|event| wanted(event))
            .collect();
        events.sort_by_key(|event| (event.recorded_at, event.partition, event.position));
        let more = events.len() > limit;
        let events = events.into_iter().take(limit).cloned().collect();
        Page { events, heads: self.heads(), more }
    }

    pub(super) fn heads(&self) -> Positions {
        let mut heads = Positions::START;
        for partition in Partition::all() {
            heads.set(partition, self.head(partition).position);
        }
        heads
    }

    /// Oldest first.
    pub(super) fn opened_as(&self, tenant: &Tenant, id: &str, limit: usize) -> Vec<TicketId> {
        let tickets = self.openings.get(&(tenant.clone(), id.to_owned()));
        tickets.into_iter().flatten().map(|(.., ticket)| *ticket).take(limit).collect()
    }

    /// Adds a unit's dots to those `taken` by its batch, unless one of them is used already.
    pub(super) fn take_dots(&self, unit: &Unit, taken: &mut HashSet<Dot>) -> Taking {
        let mut dots = HashSet::new();
        for draft in unit.rows.iter().map(|row| &row.draft) {
            let Some(change) = &draft.change else { continue };
            let dot = (draft.tenant.clone(), draft.stream, change.actor, change.seq);
            if self.dots.contains(&dot) || taken.contains(&dot) || !dots.insert(dot) {
                return Taking::Used;
            }
        }
        taken.extend(dots);
        Taking::Taken
    }
}

/// Whether a unit's dots were free.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Taking {
    /// They were, and are the unit's now.
    Taken,
    /// One of them was not.
    Used,
}

impl Stored for State {
    fn head(&self, partition: Partition) -> Head {
        let last = self.partitions[partition.index()].last();
        last.map_or_else(Head::default, |event| Head {
            position: event.position,
            recorded_at: event.recorded_at,
        })
    }

    fn command(&self, tenant: &Tenant, partition: Partition, command: CommandId) -> Option<Event> {
        let position = self.commands.get(&(tenant.clone(), partition, command))?;
        self.at(partition, *position).cloned()
    }

    fn last_position(&self, tenant: &Tenant, stream: Stream) -> Position {
        let positions = self.streams.get(&(tenant.clone(), stream));
        positions.and_then(|positions| positions.last()).copied().unwrap_or(0)
    }

    fn holder(&self, tenant: &Tenant, key: &SlotKey) -> Option<EventId> {
        self.slots.get(&(tenant.clone(), key.clone())).copied()
    }
}
