//! The newest events of one partition, in memory.

use std::collections::VecDeque;
use std::sync::Arc;

use docket_schemas::{Event, Position};

/// Most events that are held of one partition.
const RECENT_EVENTS_MAX: usize = 4_096;

/// Most bytes of payloads, texts and changes that are held of one partition: 64 MiB over all 16.
const RECENT_BYTES_MAX: usize = 4 * 1024 * 1024;

/// Events without gaps up to the last one read.
#[derive(Debug)]
pub(super) struct Recent {
    /// The position before the first event held.
    before: Position,
    events: VecDeque<Arc<Event>>,
    bytes: usize,
}

impl Recent {
    /// Nothing is held of what stands up to `position`.
    pub(super) const fn after(position: Position) -> Self {
        Self { before: position, events: VecDeque::new(), bytes: 0 }
    }

    /// Adds the next event; the oldest make room for it.
    pub(super) fn push(&mut self, event: Arc<Event>) {
        self.bytes += weight(&event);
        self.events.push_back(event);
        while self.events.len() > RECENT_EVENTS_MAX || self.bytes > RECENT_BYTES_MAX {
            let Some(oldest) = self.events.pop_front() else { return };
            self.before = oldest.position;
            self.bytes -= weight(&oldest);
        }
    }

    /// Forgets what stands beyond a position.
    pub(super) fn cut_off(&mut self, head: Position) {
        while let Some(newest) = self.events.pop_back_if(|newest| newest.position > head) {
            self.bytes -= weight(&newest);
        }
        self.before = self.before.min(head);
    }

    /// What follows a position; none where that is not held.
    pub(super) fn read(&self, after: Position, limit: usize) -> Option<Vec<Arc<Event>>> {
        let skipped = usize::try_from(after.checked_sub(self.before)?).ok()?;
        if skipped > self.events.len() {
            return None;
        }
        Some(self.events.iter().skip(skipped).take(limit).cloned().collect())
    }
}

fn weight(event: &Event) -> usize {
    let sealed = event.sealed.as_ref().map_or(0, |sealed| sealed.bytes.len());
    let change = event.change.as_ref().map_or(0, |change| change.bytes.len());
    event.data.len() + sealed + change
}
