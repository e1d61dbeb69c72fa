//! A tenant's feed for one reader: from the log until the reader has caught up, then from the node's tail.

use std::sync::Arc;
use std::time::Duration;

use docket_engine::cursor::{Cursor, Positions};
use docket_engine::desk::{Desk, DeskError, GoOn};
use docket_engine::ports::log::READ_EVENTS_MAX;
use docket_engine::tail::Tail;
use docket_schemas::{Event, Tenant};
use tokio::sync::watch;
use tokio::time::sleep;

use super::Live;

/// Most events that are read at once.
const PAGE_EVENTS_MAX: usize = 200;

/// Events of a reader's first page from the log. The next ones hold more as long as they are small.
const FIRST_PAGE_EVENTS: usize = 25;

/// Bytes of a page from the log, as they stand there, beyond which the next page holds fewer events.
const PAGE_BYTES: usize = 512 * 1024;

/// How long a reader waits for a tail that is of an older incarnation, before it reads the log instead.
const TAIL_SETTLES_WITHIN: Duration = Duration::from_millis(20);

/// What an event weighs as it stands in the log, in bytes.
#[must_use]
pub fn weight(event: &Event) -> usize {
    let sealed = event.sealed.as_ref().map_or(0, |sealed| sealed.bytes.len());
    let change = event.change.as_ref().map_or(0, |change| change.bytes.len());
    event.data.len() + sealed + change
}

/// What a reader gets next.
pub enum Next {
    /// Events, each with the cursor after it; perhaps none, where only others' events were passed.
    Events(Vec<(Arc<Event>, Cursor)>),
    /// The reader was up to date and is so far behind now that memory no longer holds what comes next. Reading on
    /// catches up from the log.
    Behind,
    /// The log was restored from before the reader's cursor.
    Replaced,
}

/// A reader of one tenant's feed.
pub struct FeedReader {
    desk: Desk,
    tail: Tail,
    heads: watch::Receiver<Positions>,
    restores: watch::Receiver<u64>,
    tenant: Tenant,
    cursor: Cursor,
    caught_up: bool,
    /// Events that are read from the log at once: so many slow readers may wait with a page each.
    at_once: usize,
}

impl FeedReader {
    /// A reader from a cursor on, which [`Desk::go_on`] has admitted.
    #[must_use]
    pub fn new(desk: &Desk, live: &Live, tenant: Tenant, cursor: Cursor) -> Self {
        let tail = live.tail.clone();
        let (heads, restores) = (tail.heads(), tail.restores());
        Self {
            desk: desk.clone(),
            tail,
            heads,
            restores,
            tenant,
            cursor,
            caught_up: false,
            at_once: FIRST_PAGE_EVENTS,
        }
    }

    /// Up to where the reader has come.
    #[must_use]
    pub fn cursor(&self) -> &Cursor {
        &self.cursor
    }

    /// What comes next, once there is something. Dropping this future loses nothing.
    ///
    /// # Errors
    /// When the log fails.
    pub async fn next(&mut self) -> Result<Next, DeskError> {
        loop {
            if self.is_outdated() && !self.go_on().await? {
                return Ok(Next::Replaced);
            }
            if !self.caught_up {
                return self.catch_up().await.map(Next::Events);
            }
            if !self.tail.is_of(&self.cursor.incarnation) {
                // What it holds may be what the log has lost.
                sleep(TAIL_SETTLES_WITHIN).await;
                self.caught_up = false;
                continue;
            }
            let heads = *self.heads.borrow_and_update();
            match self.recent(&heads) {
                None => {
                    self.caught_up = false;
                    return Ok(Next::Behind);
                }
                Some(events) if !events.is_empty() => return Ok(Next::Events(events)),
                Some(_) => {}
            }
            if self.heads.changed().await.is_err() {
                return Err(DeskError::Stopping);
            }
        }
    }

    /// Whether the log may be another than the one that the cursor was read from.
    fn is_outdated(&self) -> bool {
        self.restores.has_changed().unwrap_or(false)
            || self.cursor.incarnation.number() < self.desk.incarnation().number()
    }

    /// Goes on in the log's newest incarnation; false where the log was restored from before the cursor.
    async fn go_on(&mut self) -> Result<bool, DeskError> {
        // Seen before it is asked: what happens to the log from here on is asked about again.
        let mut restores = self.restores.clone();
        restores.mark_unchanged();
        let GoOn::From(cursor) = self.desk.go_on(self.cursor.clone()).await? else {
            return Ok(false);
        };
        (self.cursor, self.restores) = (cursor, restores);
        Ok(true)
    }

    /// A page from the log; the last one leads to where the log ended.
    async fn catch_up(&mut self) -> Result<Vec<(Arc<Event>, Cursor)>, DeskError> {
        let after = &self.cursor.positions;
        let read = self.tail.tenant_events(&self.tenant, after, self.at_once).await?;
        let page = read.found;
        self.at_once = match page.events.iter().map(weight).sum::<usize>() {
            bytes if bytes > PAGE_BYTES => (self.at_once / 2).max(1),
            bytes if bytes < PAGE_BYTES / 4 => (self.at_once * 2).min(PAGE_EVENTS_MAX),
            _ => self.at_once,
        };
        for row in read.unreadable {
            self.cursor.positions.advance(row.partition, row.position);
        }
        let events = page.events.into_iter().map(|event| {
            self.cursor.positions.advance(event.partition, event.position);
            (Arc::new(event), self.cursor.clone())
        });
        let events = events.collect();
        if !page.more {
            self.cursor.positions = page.heads;
            self.caught_up = true;
        }
        Ok(events)
    }

    /// What the tail holds beyond the cursor, of this tenant; none where it no longer holds all of it.
    fn recent(&mut self, heads: &Positions) -> Option<Vec<(Arc<Event>, Cursor)>> {
        let mut events = Vec::new();
        for (partition, head) in heads.iter() {
            while self.cursor.positions.get(partition) < head && events.len() < PAGE_EVENTS_MAX {
                let after = self.cursor.positions.get(partition);
                let recent = match self.tail.recent(partition, after, READ_EVENTS_MAX) {
                    Some(recent) => recent,
                    // What was read already comes first.
                    None if events.is_empty() => return None,
                    None => break,
                };
                let Some(upto) = recent.upto else { break };
                for event in recent.events {
                    self.cursor.positions.set(partition, event.position);
                    if event.tenant == self.tenant {
                        events.push((event, self.cursor.clone()));
                    }
                }
                self.cursor.positions.set(partition, upto);
            }
        }
        Some(events)
    }
}
