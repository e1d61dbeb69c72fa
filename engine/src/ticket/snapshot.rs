//! Snapshots: a folded ticket as bytes, so that a long one is not folded from its first event. Derived and disposable.

use std::collections::BTreeMap;
use std::sync::Arc;

use docket_schemas::{CommandId, EventId, Position, Tenant, TicketId};
use serde::{Deserialize, Serialize};
use smol_str::SmolStr;

use super::untagged::Untagged;
use super::{Counted, Facts, FoldError, Holder, Merges, Registers, SealedSubject, Ticket, Updated};
use crate::document::{Document, Survivor};
use crate::graph::ChangeGraph;
use crate::layout::Container;
use crate::ports::log::Snapshot;

/// How many changes a ticket gains between two snapshots, at least.
pub const SNAPSHOT_EVERY: usize = 200;

/// A long ticket gains this part of its changes: each snapshot holds all of it, and all together are to cost no more than the
/// changes do.
const SNAPSHOT_GROWTH: usize = 8;

/// The first byte of every snapshot; another one is ignored and the ticket folded from its events.
const FORMAT: u8 = 5;

/// What a snapshot holds. Texts in it are as sealed as in the log.
#[derive(Serialize, Deserialize)]
struct Stored {
    graph: ChangeGraph,
    document: Vec<u8>,
    facts: Option<Facts>,
    holder: Option<Holder>,
    registers: Vec<(Container, SmolStr, Vec<Survivor>)>,
    subjects: BTreeMap<EventId, SealedSubject>,
    follow_ups: BTreeMap<CommandId, TicketId>,
    merges: Merges,
    untagged: Untagged,
    last_position: Position,
    updated: Updated,
    messages: Counted,
}

impl Ticket {
    /// Whether enough has happened since the last snapshot, and all of it is durable.
    #[must_use]
    pub fn snapshot_due(&self) -> bool {
        let durable = self.graph.nodes().last().is_some_and(|node| node.position > 0);
        let apart = SNAPSHOT_EVERY.max(self.kept / SNAPSHOT_GROWTH);
        durable && self.graph.nodes().len() >= self.kept + apart
    }

    /// The ticket as bytes.
    ///
    /// # Errors
    /// When the document cannot be brought to life.
    pub fn snapshot(&mut self) -> Result<Snapshot, FoldError> {
        self.registers()?;
        self.kept = self.graph.nodes().len();
        let stored = Stored {
            graph: self.graph.clone(),
            document: self.document.save()?,
            facts: self.facts.clone(),
            holder: self.holder,
            registers: self.registers.stored(),
            subjects: self.subjects.iter().map(|(id, sealed)| (*id, (**sealed).clone())).collect(),
            follow_ups: self.follow_ups.clone(),
            merges: self.merges.clone(),
            untagged: self.untagged.clone(),
            last_position: self.last_position,
            updated: self.updated,
            messages: self.messages,
        };
        let bytes = postcard::to_extend(&stored, vec![FORMAT]).unwrap_or_default();
        Ok(Snapshot { position: self.last_position, bytes })
    }

    /// The ticket that a snapshot holds; none when its format is another release's.
    #[must_use]
    pub fn restore(tenant: Tenant, id: TicketId, snapshot: &Snapshot) -> Option<Self> {
        let (&FORMAT, bytes) = snapshot.bytes.split_first()? else { return None };
        let mut stored: Stored = postcard::from_bytes(bytes).ok()?;
        stored.graph.reindex();
        Some(Self {
            document: Document::restore(&tenant, id, stored.document),
            tenant,
            id,
            kept: stored.graph.nodes().len(),
            graph: stored.graph,
            facts: stored.facts,
            holder: stored.holder,
            registers: Registers::restore(stored.registers),
            subjects: stored
                .subjects
                .into_iter()
                .map(|(id, sealed)| (id, Arc::new(sealed)))
                .collect(),
            follow_ups: stored.follow_ups,
            merges: stored.merges,
            untagged: stored.untagged,
            last_position: stored.last_position,
            updated: stored.updated,
            messages: stored.messages,
        })
    }
}
