//! The newest events of one partition, in memory.

use std::collections::VecDeque;
use std::sync::Arc;

use docket_schemas::{Event, EventId, Position};

use crate::around::{Stretch, Unreadable};

/// Most events that are held of one partition.
const RECENT_EVENTS_MAX: usize = 4_096;

/// Most bytes of payloads, texts and changes that are held of one partition: 64 MiB over all 16.
const RECENT_BYTES_MAX: usize = 4 * 1024 * 1024;

/// What stands at a position.
pub(super) type Row = Result<Arc<Event>, Box<Unreadable>>;

/// Rows without gaps up to the last one read.
#[derive(Debug)]
pub(super) struct Recent {
    /// The position before the first row held.
    before: Position,
    rows: VecDeque<Row>,
    bytes: usize,
}

impl Recent {
    /// Nothing is held of what stands up to `position`.
    pub(super) const fn after(position: Position) -> Self {
        Self { before: position, rows: VecDeque::new(), bytes: 0 }
    }

    /// The last event held; none where it cannot be read.
    pub(super) fn last(&self) -> Option<&Event> {
        self.rows.back()?.as_deref().ok()
    }

    /// The position before the first event held that is lost; `head` where none up to there is.
    pub(super) fn before_lost(&self, head: Position, is_lost: impl Fn(&Event) -> bool) -> Position {
        let mut held = self.rows.iter().filter_map(|row| row.as_deref().ok());
        let lost = held.find(|event| event.position <= head && is_lost(event));
        lost.map_or(head, |lost| lost.position - 1)
    }

    /// The places up to a position of which the event is held, in order.
    pub(super) fn known_upto(&self, head: Position) -> Vec<(Position, EventId)> {
        let readable = self.rows.iter().filter_map(|row| row.as_deref().ok());
        let known = readable.take_while(|event| event.position <= head);
        known.map(|event| (event.position, event.event_id)).collect()
    }

    /// The position of the last row held.
    fn end(&self) -> Position {
        self.rows.back().map_or(self.before, position)
    }

    /// Adds the next row; the oldest make room for it.
    pub(super) fn push(&mut self, row: Row) {
        if position(&row) != self.end() + 1 {
            // A damaged time has put it out of its order: what is held has to be without gaps.
            *self = Self::after(position(&row).saturating_sub(1));
        }
        self.bytes += weight(&row);
        self.rows.push_back(row);
        while self.rows.len() > RECENT_EVENTS_MAX || self.bytes > RECENT_BYTES_MAX {
            let Some(oldest) = self.rows.pop_front() else { return };
            self.before = position(&oldest);
            self.bytes -= weight(&oldest);
        }
    }

    /// Forgets what stands beyond a position.
    pub(super) fn cut_off(&mut self, head: Position) {
        while let Some(newest) = self.rows.pop_back_if(|newest| position(newest) > head) {
            self.bytes -= weight(&newest);
        }
        self.before = self.before.min(head);
    }

    /// What follows a position; none where that is not held.
    pub(super) fn read(&self, after: Position, limit: usize) -> Option<Stretch> {
        let skipped = usize::try_from(after.checked_sub(self.before)?).ok()?;
        if skipped > self.rows.len() {
            return None;
        }
        let taken = limit.min(self.rows.len() - skipped);
        let mut stretch = Stretch { events: Vec::with_capacity(taken), ..Stretch::default() };
        for row in self.rows.iter().skip(skipped).take(taken) {
            stretch.upto = Some(position(row));
            match row {
                Ok(event) => stretch.events.push(Arc::clone(event)),
                Err(unreadable) => stretch.unreadable.push((**unreadable).clone()),
            }
        }
        Some(stretch)
    }
}

fn position(row: &Row) -> Position {
    match row {
        Ok(event) => event.position,
        Err(unreadable) => unreadable.position,
    }
}

fn weight(row: &Row) -> usize {
    let Ok(event) = row else { return 0 };
    let sealed = event.sealed.as_ref().map_or(0, |sealed| sealed.bytes.len());
    let change = event.change.as_ref().map_or(0, |change| change.bytes.len());
    event.data.len() + sealed + change
}
