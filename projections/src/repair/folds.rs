//! Some tickets of a partition, all folded up to one position that moves on.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use docket_engine::ports::log::{EventLog, LogError};
use docket_schemas::{Partition, Position, StreamKind, TicketId};

use crate::diff::PAGE;
use crate::feeder::read;
use crate::folder::{TicketKey, fold_ticket};
use crate::row::TicketRow;
use crate::sink::Poison;
use crate::source::FromLog;

/// What a ticket comes to: its row, none where it had not begun, or why it cannot be folded.
type Fold = Result<Option<TicketRow>, String>;

pub(super) struct Folds {
    log: Arc<dyn EventLog>,
    partition: Partition,
    tickets: BTreeSet<TicketKey>,
    folds: BTreeMap<TicketKey, Fold>,
    upto: Position,
}

impl Folds {
    /// Tickets of a partition, not folded yet.
    pub(super) const fn of(
        log: Arc<dyn EventLog>,
        partition: Partition,
        tickets: BTreeSet<TicketKey>,
    ) -> Self {
        Self { log, partition, tickets, folds: BTreeMap::new(), upto: 0 }
    }

    /// Folds up to a position: where they were folded before, only those that have events since.
    pub(super) async fn bring_to(&mut self, upto: Position) -> Result<(), LogError> {
        let stale = match self.folds.is_empty() || upto < self.upto {
            true => self.tickets.clone(),
            false => self.written_upto(upto).await?,
        };
        for key in stale {
            let folded = fold_ticket(&*self.log, &key, upto).await?;
            let row = |(state, position, public)| TicketRow::of(&key.0, &state, position, public);
            let fold = folded.map(|ticket| ticket.map(row));
            self.folds.insert(key, fold);
        }
        self.upto = upto;
        Ok(())
    }

    /// Those that have events between where they were folded to and a later position.
    async fn written_upto(&self, upto: Position) -> Result<BTreeSet<TicketKey>, LogError> {
        let source = FromLog(Arc::clone(&self.log));
        let (mut written, mut at) = (BTreeSet::new(), self.upto);
        while at < upto {
            let stretch = read(&source, self.partition, at, upto, PAGE).await?;
            // Whose event it is that cannot be read is not known.
            let Some(last) = stretch.events.last().filter(|_| stretch.unreadable.is_empty()) else {
                return Ok(self.tickets.clone());
            };
            at = last.position;
            let of_tickets = stretch.events.iter().filter(|e| e.stream.kind == StreamKind::Ticket);
            let keys = of_tickets.map(|e| (e.tenant.clone(), TicketId::new(e.stream.id)));
            written.extend(keys.filter(|key| self.tickets.contains(key)));
        }
        Ok(written)
    }

    pub(super) fn rows(&self) -> Vec<TicketRow> {
        self.folds.values().filter_map(|fold| fold.as_ref().ok()?.clone()).collect()
    }

    pub(super) fn gone(&self) -> Vec<TicketKey> {
        let gone = self.folds.iter().filter(|(_, fold)| matches!(fold, Ok(None)));
        gone.map(|(key, _)| key.clone()).collect()
    }

    /// Those that cannot be folded; where, whoever looked for them knows.
    pub(super) fn failed(&self) -> Vec<Poison> {
        let failed = self.folds.iter().filter_map(|(key, fold)| {
            let reason = fold.as_ref().err()?.clone();
            Some(Poison { ticket: Some(key.clone()), position: 0, reason })
        });
        failed.collect()
    }
}
