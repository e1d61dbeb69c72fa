//! What this node has written lately, which its tail need not read again.
//!
//! That rows are durable, and how far the log goes, is still read from the log. Only their content comes from here, and only
//! of rows that this node has appended under the incarnation in which the log now is, and that the log still has: a database
//! that was restored, or another that took its place, may hold others at their positions.

use std::sync::Arc;

use docket_schemas::{Event, EventId, Incarnation, Partition, Position};
use parking_lot::Mutex;

use super::recent::Recent;
use crate::cursor::Positions;
use crate::ports::log::Standing;

/// Shared by a node's appender and its tail. Holds nothing until a tail follows.
#[derive(Debug, Default)]
pub(crate) struct Written(Mutex<Option<Held>>);

#[derive(Debug)]
struct Held {
    incarnation: Option<Incarnation>,
    partitions: Vec<Recent>,
}

/// The last event that was written here in a partition.
pub(super) struct End {
    pub(super) place: (Partition, Position),
    pub(super) event_id: EventId,
}

impl Held {
    fn nothing() -> Self {
        let partitions = Positions::START.iter().map(|_| Recent::after(0)).collect();
        Self { incarnation: None, partitions }
    }
}

impl Written {
    /// Begins to hold what is written.
    pub(super) fn hold(&self) {
        self.0.lock().get_or_insert_with(Held::nothing);
    }

    /// These were appended under `incarnation`. `events` is not asked when nobody follows.
    pub(crate) fn add(&self, incarnation: &Incarnation, events: impl Iterator<Item = Event>) {
        let mut held = self.0.lock();
        let Some(held) = held.as_mut() else { return };
        if held.incarnation.as_ref() != Some(incarnation) {
            *held = Held { incarnation: Some(incarnation.clone()), ..Held::nothing() };
        }
        for event in events {
            held.partitions[event.partition.index()].push(Ok(Arc::new(event)));
        }
    }

    /// Forgets everything: what the log holds may be something else.
    pub(crate) fn forget(&self) {
        if let Some(held) = self.0.lock().as_mut() {
            *held = Held::nothing();
        }
    }

    /// The last event of each partition in which something beyond these positions was written here.
    pub(super) fn ends_beyond(&self, reached: &Positions) -> Vec<End> {
        let held = self.0.lock();
        let Some(held) = held.as_ref() else { return Vec::new() };
        let partitions = reached.iter().zip(&held.partitions);
        let ends = partitions.filter_map(|((partition, reached), recent)| {
            let event = recent.last().filter(|event| event.position > reached)?;
            Some(End { place: (partition, event.position), event_id: event.event_id })
        });
        ends.collect()
    }

    /// What follows `reached`, of each partition as far as it was written here and stands in the log.
    pub(super) fn after(&self, reached: &Positions, standing: &Standing) -> Vec<Arc<Event>> {
        let held = self.0.lock();
        let current = held.as_ref().filter(|held| held.incarnation == standing.incarnation);
        let Some(held) = current else { return Vec::new() };
        let mut all = Vec::new();
        for (partition, head) in standing.heads.iter() {
            let reached = reached.get(partition);
            let missing = usize::try_from(head.saturating_sub(reached)).unwrap_or(usize::MAX);
            if let Some(own) = held.partitions[partition.index()].read(reached, missing) {
                all.extend(own.events);
            }
        }
        all
    }
}
