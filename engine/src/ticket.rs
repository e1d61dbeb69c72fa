//! A ticket folded from its events: change graph, document, and the facts that cannot conflict.

mod baggage;
mod merges;
mod messages;
mod registers;
mod resolved;
mod snapshot;
mod taken_back;
mod untagged;
pub use snapshot::SNAPSHOT_EVERY;
pub use taken_back::TakeBack;

use std::collections::BTreeMap;
use std::sync::Arc;

use automerge::Change as AutomergeChange;
use docket_schemas::{
    Channel, CommandId, Draft, Event, EventId, Kind, MessageId, Opened, PayloadError, PersonId,
    Position, Sealed, SlotKey, SlotOp, Tenant, TicketId, TicketPayload, Timestamp,
};

use crate::document::{Document, DocumentError};
use crate::graph::ChangeGraph;
use crate::lanes::Placement;
use crate::layout::{Container, Write, writes_of};
use crate::ports::log::Placed;
pub(crate) use baggage::Baggage;
pub use merges::{Attachment, MergeMark, MergeState, MergedInto, Merges, Unanswered, Underway};
pub use messages::{Prefix, ShownMessage};
pub use registers::{Candidate, DumpedKey, Registers};
pub use resolved::{Conflict, ConflictCandidate, Resolved, UnseenMessage};
use serde::{Deserialize, Serialize};

/// A stored event that does not fit the ticket: the log is damaged, or written by a newer release.
#[derive(Debug, thiserror::Error)]
pub enum FoldError {
    /// The payload cannot be read.
    #[error(transparent)]
    Payload(#[from] PayloadError),
    /// The change cannot be applied.
    #[error(transparent)]
    Document(#[from] DocumentError),
    /// A cause is missing, or the first event is no opening.
    #[error("event {0} does not follow from the events before it")]
    Causes(EventId),
}

/// What an opening fixes for good.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Facts {
    /// Whose ticket it is.
    pub requester: PersonId,
    /// Ticket or chat.
    pub kind: Kind,
    /// The way in which it came.
    pub channel: Channel,
    /// Its id in another system.
    pub external_id: Option<String>,
    /// When it was opened, by the source.
    pub created_at: Timestamp,
    /// The closed ticket that it follows up.
    pub follow_up_of: Option<TicketId>,
}

/// Who holds a ticket, by the last slot operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holder {
    /// The assignee.
    pub person: PersonId,
}

/// The sealed part of an event that brought a subject.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SealedSubject {
    /// The version that it was sealed under, which opening it takes again.
    pub schema: u16,
    /// As it stands in the log.
    pub sealed: Sealed,
}

/// What an event says, as its author or its reader worked it out.
#[derive(Debug, Clone, Copy)]
pub struct Meaning<'a> {
    /// Its payload.
    pub payload: &'a TicketPayload,
    /// The writes that its change makes.
    pub writes: &'a [Write],
}

/// One ticket as of some position.
#[derive(Debug)]
pub struct Ticket {
    /// Whose.
    pub tenant: Tenant,
    /// Which.
    pub id: TicketId,
    /// What every change had seen.
    pub graph: ChangeGraph,
    /// The mutable state.
    pub document: Document,
    facts: Option<Facts>,
    holder: Option<Holder>,
    registers: Registers,
    subjects: BTreeMap<EventId, Arc<SealedSubject>>,
    follow_ups: BTreeMap<CommandId, TicketId>,
    merges: Merges,
    untagged: untagged::Untagged,
    last_position: Position,
    updated: Updated,
    messages: Counted,
    /// Changes that the newest snapshot holds.
    kept: usize,
}

/// A figure for staff beside the one for customers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Counted {
    all: u64,
    public: u64,
}

/// The latest time of an event, for staff and for customers.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
struct Updated {
    all: Timestamp,
    public: Timestamp,
}

/// Bytes of a ticket in memory, as measured: by itself, by change, and by a document that is live.
const WEIGHT: (usize, usize, usize) = (2_048, 600, 18_000);

impl Ticket {
    /// How many bytes of memory it takes, about.
    #[must_use]
    pub fn weight(&self) -> usize {
        let (own, change, live) = WEIGHT;
        own + change * self.graph.nodes().len() + if self.document.is_live() { live } else { 0 }
    }

    /// A ticket before its first event.
    #[must_use]
    pub fn new(tenant: Tenant, id: TicketId) -> Self {
        Self {
            document: Document::new(&tenant, id),
            tenant,
            id,
            graph: ChangeGraph::default(),
            facts: None,
            holder: None,
            registers: Registers::default(),
            subjects: BTreeMap::new(),
            follow_ups: BTreeMap::new(),
            merges: Merges::default(),
            untagged: untagged::Untagged::default(),
            last_position: 0,
            updated: Updated {
                all: Timestamp::from_micros(i64::MIN),
                public: Timestamp::from_micros(i64::MIN),
            },
            messages: Counted::default(),
            kept: 0,
        }
    }

    /// What its opening fixed; none before it.
    #[must_use]
    pub const fn facts(&self) -> Option<&Facts> {
        self.facts.as_ref()
    }

    /// Who holds it.
    #[must_use]
    pub const fn holder(&self) -> Option<Holder> {
        self.holder
    }

    /// The position of its last event; 0 before the first.
    #[must_use]
    pub const fn last_position(&self) -> Position {
        self.last_position
    }

    /// The follow-up that a message's command opened.
    #[must_use]
    pub fn follow_up_of_command(&self, command: CommandId) -> Option<TicketId> {
        self.follow_ups.get(&command).copied()
    }

    /// The newest follow-up.
    #[must_use]
    pub const fn follow_ups(&self) -> &BTreeMap<CommandId, TicketId> {
        &self.follow_ups
    }

    /// Messages, those of attached sources among them: all, and the public ones.
    #[must_use]
    pub fn message_counts(&self) -> (u64, u64) {
        let (all, public) = self.merges.message_counts();
        (self.messages.all + all, self.messages.public + public)
    }

    /// Folds a stored event.
    ///
    /// # Errors
    /// When the event does not fit: see [`FoldError`].
    pub fn apply(&mut self, event: &Event) -> Result<(), FoldError> {
        if event.position <= self.last_position {
            return Ok(());
        }
        if let Some(change) = &event.change {
            self.document.receive(&change.bytes);
        }
        let payload = event.ticket_payload()?;
        let meaning = Meaning { payload: &payload, writes: &writes_of(event, &payload) };
        self.fold(event, meaning, event.position, event.recorded_at)?;
        self.last_position = event.position;
        Ok(())
    }

    /// Folds a draft before it is durable, with the change as it was encoded. [`Ticket::confirm`] follows, or the
    /// ticket is thrown away.
    ///
    /// # Errors
    /// When the draft does not fit.
    pub fn apply_draft(
        &mut self,
        draft: &Draft,
        meaning: Meaning<'_>,
        change: &AutomergeChange,
    ) -> Result<(), FoldError> {
        self.document.receive(change.raw_bytes());
        self.fold(draft, meaning, 0, draft.occurred_at)
    }

    /// Says where the log put a draft that was folded before.
    pub fn confirm(&mut self, draft: &Draft, placed: Placed) {
        if let Some(change) = &draft.change {
            self.graph.confirm(&change.hash, placed.position, placed.recorded_at);
        }
        self.last_position = self.last_position.max(placed.position);
    }

    fn fold(
        &mut self,
        draft: &Draft,
        meaning: Meaning<'_>,
        position: Position,
        recorded_at: Timestamp,
    ) -> Result<(), FoldError> {
        let Meaning { payload, writes } = meaning;
        let opening = matches!(payload, TicketPayload::Opened(_));
        // Cut-off regions may each have accepted one command; its further events say nothing new.
        let twin = self.graph.of_command(draft.command_id).is_some();
        if opening != self.facts.is_none() && !(opening && twin) {
            return Err(FoldError::Causes(draft.event_id));
        }
        let known = self.graph.nodes().len();
        self.graph
            .add(draft, position, recorded_at)
            .map_err(|_| FoldError::Causes(draft.event_id))?;
        let is_new = self.graph.nodes().len() > known;
        let last_op = self.graph.nodes().last().map_or(0, |node| node.max_op);
        let has_seen_all = is_new && self.graph.heads().len() == 1;
        if opening && !twin {
            self.registers.open(writes, draft);
        } else if !(has_seen_all && self.registers.replace(writes, last_op)) {
            self.registers.touch(writes);
        }
        self.fold_slots(draft, payload);
        self.fold_payload(draft, payload);
        if !twin {
            self.count_message(payload);
            self.merges.fold(draft.command_id, payload);
            self.untagged.fold(draft.command_id, payload);
        }
        // The latest, not the last: every region accepts in an order of its own.
        self.updated.all = self.updated.all.max(draft.occurred_at);
        if draft.public && !matches!(payload, TicketPayload::HeadsJoined) {
            self.updated.public = self.updated.public.max(draft.occurred_at);
        }
        Ok(())
    }

    /// Encodes a change at its placement.
    ///
    /// # Errors
    /// When the document is needed, and cannot be brought to life.
    pub(crate) fn encode(
        &mut self,
        placement: &Placement,
        writes: &[Write],
        draft: &Draft,
    ) -> Result<AutomergeChange, FoldError> {
        let Self { graph, registers, document, .. } = self;
        let seen_all = graph.heads().iter().all(|&head| placement.past.holds(&graph.nodes()[head]));
        let standing =
            |write: &Write| if seen_all { registers.replaced(write, graph) } else { None };
        Ok(document.encode(graph, placement, (writes, &standing), draft)?)
    }

    fn fold_payload(&mut self, draft: &Draft, payload: &TicketPayload) {
        match payload {
            TicketPayload::Opened(opened) => {
                let known = self.facts.take().map(|facts| facts.created_at);
                let facts = self.facts.insert(facts(draft, opened));
                facts.created_at = known.map_or(facts.created_at, |at| at.min(facts.created_at));
                self.keep_subject(draft);
            }
            TicketPayload::Changed(changed)
                if changed.sealed.iter().any(|field| field == "subject") =>
            {
                self.keep_subject(draft);
            }
            TicketPayload::FollowUpOpened(link) => {
                self.follow_ups.insert(draft.command_id, link.ticket_id);
            }
            _ => {}
        }
    }

    const fn count_message(&mut self, payload: &TicketPayload) {
        let public = match payload {
            TicketPayload::Opened(_) => true,
            TicketPayload::MessageAdded(message) => message.public,
            _ => return,
        };
        self.messages.all += 1;
        self.messages.public += public as u64;
    }

    fn keep_subject(&mut self, draft: &Draft) {
        if let Some(sealed) = &draft.sealed {
            let subject = SealedSubject { schema: draft.schema, sealed: sealed.clone() };
            self.subjects.insert(draft.event_id, Arc::new(subject));
        }
    }

    /// The assignee is what the last slot operation says, never a register.
    fn fold_slots(&mut self, draft: &Draft, payload: &TicketPayload) {
        let claim = SlotKey::claim(self.id);
        for op in draft.slots.iter().filter(|op| *op.key() == claim) {
            self.holder = match op {
                SlotOp::Release(_) => None,
                SlotOp::Take(_) => assignee_of(payload).map(|person| Holder { person }),
            };
        }
        let merge = SlotKey::merge(self.id);
        draft.slots.iter().filter(|op| *op.key() == merge).for_each(|op| self.merges.fold_slot(op));
    }

    /// The surviving values of every register and map, read from the document where a change has touched them.
    ///
    /// # Errors
    /// When the document cannot be brought to life.
    pub fn registers(&mut self) -> Result<&Registers, FoldError> {
        self.registers.settle(&mut self.document)?;
        Ok(&self.registers)
    }

    /// Whether a person is the requester or a follower.
    ///
    /// # Errors
    /// When the document cannot be brought to life.
    pub fn concerns(&mut self, person: PersonId) -> Result<bool, FoldError> {
        if self.facts.as_ref().is_some_and(|facts| facts.requester == person) {
            return Ok(true);
        }
        Ok(self.registers()?.holds(Container::Followers, &person.to_string()))
    }

    /// The message that a command wrote, if it did.
    #[must_use]
    pub fn message_of_command(&self, command: CommandId) -> Option<MessageId> {
        self.graph.of_command(command).and_then(crate::graph::Node::message_id)
    }
}

fn facts(draft: &Draft, opened: &Opened) -> Facts {
    Facts {
        requester: opened.requester_id,
        kind: opened.kind.unwrap_or(Kind::Ticket),
        channel: opened.channel,
        external_id: opened.external_id.clone(),
        created_at: draft.occurred_at,
        follow_up_of: opened.follow_up_of,
    }
}

fn assignee_of(payload: &TicketPayload) -> Option<PersonId> {
    match payload {
        TicketPayload::Opened(opened) => opened.assignee_id,
        TicketPayload::Changed(changed) => changed.assignee_id.flatten(),
        TicketPayload::Claimed(claimed) => Some(claimed.assignee_id),
        _ => None,
    }
}
