//! The replay of a partition's events.

use std::collections::{HashMap, HashSet};
use std::panic::{AssertUnwindSafe, catch_unwind};

use docket_engine::ticket::Ticket;
use docket_schemas::{Event, Position, StreamKind, TicketId};

use crate::counters::{Counted, Deltas};
use crate::folder::{TicketKey, public_position};
use crate::row::TicketRow;
use crate::store::PartitionDump;

/// The tickets of a partition as the log has them, each up to where its row says.
pub(super) struct Replay<'a> {
    upto: HashMap<TicketKey, Position>,
    dump: &'a PartitionDump,
    parked: HashSet<&'a TicketKey>,
    open: HashMap<TicketKey, Ticket>,
    /// What their rows should be.
    pub(super) digests: HashMap<TicketKey, [u8; 32]>,
    /// Tickets whose rows lack events.
    pub(super) behind: HashSet<TicketKey>,
    /// Tickets that cannot be folded, where and why.
    pub(super) failed: HashMap<TicketKey, (Position, String)>,
    /// What the counters should be.
    pub(super) counters: Deltas,
}

impl<'a> Replay<'a> {
    pub(super) fn new(dump: &'a PartitionDump) -> Self {
        let rows = dump.rows.iter();
        let upto = rows.map(|row| ((row.tenant.clone(), row.ticket), row.position)).collect();
        Self {
            upto,
            dump,
            parked: dump.parked.iter().filter_map(|one| one.poison.ticket.as_ref()).collect(),
            open: HashMap::new(),
            digests: HashMap::new(),
            behind: HashSet::new(),
            failed: HashMap::new(),
            counters: Deltas::default(),
        }
    }

    pub(super) fn event(&mut self, event: &Event) {
        if event.stream.kind != StreamKind::Ticket {
            return;
        }
        let key = (event.tenant.clone(), TicketId::new(event.stream.id));
        let upto = self.upto.get(&key).copied();
        let within = upto.unwrap_or(self.dump.checkpoint);
        if event.position > within {
            if upto.is_some() && event.position <= self.dump.checkpoint {
                self.behind.insert(key);
            }
            return;
        }
        if self.failed.contains_key(&key) || self.digests.contains_key(&key) {
            return;
        }
        let ticket =
            self.open.entry(key.clone()).or_insert_with(|| Ticket::new(key.0.clone(), key.1));
        let applied = catch_unwind(AssertUnwindSafe(|| ticket.apply(event)));
        let failed = match applied {
            Ok(Ok(())) => None,
            Ok(Err(error)) => Some(error.to_string()),
            Err(_) => Some("a change cannot be read".to_owned()),
        };
        if let Some(reason) = failed {
            self.open.remove(&key);
            self.failed.insert(key, (event.position, reason));
        } else if upto == Some(event.position) {
            // Where its row was folded to: no more of it is needed.
            if let Some(ticket) = self.open.remove(&key) {
                self.close(key, ticket);
            }
        }
    }

    /// No more events come.
    pub(super) fn finish(&mut self) {
        for (key, ticket) in std::mem::take(&mut self.open) {
            self.close(key, ticket);
        }
        // A ticket that is parked, or would be, is counted by the row that it has left behind.
        for row in &self.dump.rows {
            let key = (row.tenant.clone(), row.ticket);
            if self.parked.contains(&key) || self.failed.contains_key(&key) {
                self.counters.count(&row.tenant, row.partition, &Counted::from(row));
            }
        }
    }

    fn close(&mut self, key: TicketKey, mut ticket: Ticket) {
        let position = ticket.last_position();
        let resolved = catch_unwind(AssertUnwindSafe(|| ticket.resolve()));
        let state = match resolved {
            Ok(Ok(state)) => state,
            Ok(Err(error)) => {
                self.failed.insert(key, (position, error.to_string()));
                return;
            }
            Err(_) => {
                self.failed.insert(key, (position, "a change cannot be applied".to_owned()));
                return;
            }
        };
        let row = TicketRow::of(&key.0, &state, position, public_position(&ticket));
        if !self.parked.contains(&key) {
            self.counters.count(&key.0, row.partition, &Counted::from(&row));
        }
        self.digests.insert(key, row.digest());
    }
}
